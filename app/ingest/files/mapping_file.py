"""Read a mapping file, and say what is wrong with it."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from app.core.errors import Invalid
from app.ingest.files.event_check import MappingFault
from app.ingest.files.hints import did_you_mean
from app.ingest.files.mapping import ImportMapping
from app.ingest.files.mapping_check import check_mapping

# By Pydantic's type of error: what is wrong, in the terms of TOML.
_DETAILS = {
    "missing": "this key is required",
    "string_type": "must be a text in quotes",
    "string_too_short": "must not be empty",
    "string_too_long": "must have one character",
    "string_pattern_mismatch": 'must be one character other than a quote, or "spaces"',
    "int_type": "must be a whole number",
    "bool_type": "must be true or false, without quotes",
    "list_type": "must be a list in brackets",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "too_short": "must have at least one item",
    "greater_than_equal": "must be at least 0",
    "less_than_equal": "is too large",
}


def load_mapping(path: Path) -> ImportMapping:
    """Return the mapping in a TOML file; its `folder` is then relative to the working directory.

    Raises Invalid (`bad_mapping`) when the file cannot be read, is not TOML or is not a mapping, and for everything in it that
    is wrong whatever the files hold: `detail` has one line for each fault, with its table and key.
    """
    mapping = parse_mapping(path)
    if faults := check_mapping(mapping):
        raise _invalid(path, faults)
    return mapping


def parse_mapping(path: Path) -> ImportMapping:
    """Return the mapping in a TOML file, of which only the form has been checked. Raises Invalid (`bad_mapping`)."""
    document = _read_toml(path)
    try:
        mapping = ImportMapping.model_validate(document)
    except ValidationError as error:
        faults = [MappingFault(_clean(fault["loc"]), _explain(fault)) for fault in error.errors(include_url=False)]
        raise _invalid(path, list(dict.fromkeys(faults))) from None
    return mapping.model_copy(update={"folder": str(path.parent / mapping.folder)})


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise Invalid(f"The mapping {path} cannot be read: {error.strerror}.", code="bad_mapping") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The mapping {path} is not valid TOML: {error}.", code="bad_mapping") from error


def _clean(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Return a location without the types that Pydantic tries in turn, such as `str` and `list[str]`."""
    return tuple(step for step in location if step not in ("str", "list[str]", "bool", "int", "float"))


def _explain(fault: Mapping[str, Any]) -> str:
    kind, location, context = fault["type"], fault["loc"], fault.get("ctx", {})
    match kind:
        case "extra_forbidden":
            return f"unknown key.{did_you_mean(str(location[-1]), _keys_at(location[:-1]))}"
        case "literal_error":
            options = [option.strip(" '") for option in context["expected"].replace(" or ", ", ").split(",")]
            value = str(fault["input"])
            return f'"{value}" is not one of {", ".join(options)}.{did_you_mean(value, options)}'
    return _DETAILS.get(kind) or str(fault["msg"]).removeprefix("Value error, ")


def _keys_at(location: Sequence[str | int]) -> list[str]:
    """Return the keys of the table at a location of a mapping."""
    annotation: Any = ImportMapping
    for step in location:
        model = _model_in(annotation)
        if isinstance(step, str) and model is not None and step in model.model_fields:
            annotation = model.model_fields[step].annotation
    model = _model_in(annotation)
    return [field.alias or name for name, field in model.model_fields.items()] if model is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the first model that an annotation such as `dict[str, FileColumn]` contains."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part)) is not None), None)


def _invalid(path: Path, faults: Sequence[MappingFault]) -> Invalid:
    lines = [f"  {_name_location(location)}{detail}" for location, detail in faults]
    return Invalid("\n".join([f"The mapping {path} is not valid:", *lines]), code="bad_mapping")


def _name_location(steps: tuple[str | int, ...]) -> str:
    """Return where a fault is, counted from 1: ("source", 0, "event", 1, "id") is `source 1, event 2, id: `."""
    words: list[str] = []
    for step in steps:
        if isinstance(step, int):
            words[-1] += f" {step + 1}"
        else:
            words.append(step)
    return ", ".join(words) + ": " if words else ""
