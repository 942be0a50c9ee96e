"""Read a mapping file, and say what is wrong with it."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.core.errors import Invalid, json_pointer
from app.ingest.files.mapping import ImportMapping

_DETAILS = {"extra_forbidden": "unknown key", "missing": "this key is required"}


def load_mapping(path: Path) -> ImportMapping:
    """Return the mapping in a TOML file; its `folder` is then relative to the working directory.

    Raises Invalid (`bad_mapping`) when the file cannot be read, is not TOML or is not a mapping: `detail` has one line for
    each fault, with its table and key.
    """
    document = _read_toml(path)
    try:
        mapping = ImportMapping.model_validate(document)
    except ValidationError as error:
        raise _faults(path, error) from None
    return mapping.model_copy(update={"folder": str(path.parent / mapping.folder)})


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Invalid(f"The mapping {path} cannot be read: {error.strerror}.", code="bad_mapping") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The mapping {path} is not valid TOML: {error}.", code="bad_mapping") from error


def _faults(path: Path, error: ValidationError) -> Invalid:
    faults = error.errors(include_url=False, include_context=False)
    details = [_DETAILS.get(fault["type"]) or fault["msg"].removeprefix("Value error, ") for fault in faults]
    lines = [f"  {_location(fault['loc'])}{detail}" for fault, detail in zip(faults, details, strict=True)]
    return Invalid(
        "\n".join([f"The mapping {path} is not valid:", *lines]),
        code="bad_mapping",
        errors=[
            {"pointer": json_pointer(fault["loc"]), "code": fault["type"], "detail": detail}
            for fault, detail in zip(faults, details, strict=True)
        ],
    )


def _location(steps: tuple[str | int, ...]) -> str:
    """Return where a fault is, counted from 1: ("source", 0, "event", 1, "id") is `source 1, event 2, id: `."""
    words: list[str] = []
    for step in steps:
        if isinstance(step, int):
            words[-1] += f" {step + 1}"
        else:
            words.append(step)
    return ", ".join(words) + ": " if words else ""
