"""The reference page of mapping files, from their Pydantic models."""

import inspect
import json
import typing
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from app.cli.publish.markdown import code, from_docstring, page, table
from app.ingest.files import mapping

INTRO = """A mapping is a TOML file that tells `csmetrics import` which rows of which files make which events. The guide
[importing files](../guides/importing-files.md) has an example with its files and its result."""

# Where each table stands in the file.
HEADINGS = {
    "ImportMapping": "The whole file",
    "LookupFile": "`[lookup.NAME]`",
    "FileSource": "`[[source]]`",
    "FileColumn": "`[source.columns]`",
    "SkipRule": "`skip`",
    "EventTemplate": "`[[source.event]]`",
}
_PLURALS = {"text": "texts", "table": "tables"}
_TYPES = {str: "text", bool: "true or false", int: "whole number", float: "number"}


def render() -> str:
    """Return the page."""
    rules = from_docstring(mapping.__doc__ or "", "toml")
    next(rules)  # the first paragraph says the same as the introduction
    tables = (part for model in _models(mapping.ImportMapping) for part in _model(model))
    return page("Mappings", INTRO, *rules, "## Keys", *tables)


def _models(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Return a model and those of its fields, each once, outer ones first."""
    models = [model]
    for field in model.model_fields.values():
        models += [inner for part in _parts(field.annotation) for inner in _models_in(part) if inner not in models]
    return list(dict.fromkeys(models))


def _models_in(part: Any) -> list[type[BaseModel]]:
    return _models(part) if inspect.isclass(part) and issubclass(part, BaseModel) else []


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield the types that an annotation is made of."""
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def _model(model: type[BaseModel]) -> Iterator[str]:
    yield f"### {HEADINGS.get(model.__name__, model.__name__)}"
    yield inspect.getdoc(model) or ""
    rows = (_row(field.alias or name, field) for name, field in model.model_fields.items())
    yield table(("key", "type", "default", "meaning"), rows)


def _row(name: str, field: FieldInfo) -> list[str]:
    if field.default is PydanticUndefined:
        default = "required"
    elif field.default in (None, "", [], {}):
        default = ""
    else:
        default = code(json.dumps(field.default))
    return [code(name), _type(field.annotation), default, field.description or ""]


def _type(annotation: Any) -> str:
    if get_origin(annotation) is typing.Annotated:
        return _type(get_args(annotation)[0])
    arguments = [part for part in get_args(annotation) if part is not type(None)]
    match get_origin(annotation):
        case origin if origin is Literal:
            return ", ".join(map(code, arguments))
        case origin if origin is list:
            return f"list of {_plural(arguments[0])}"
        case origin if origin is dict:
            return f"table of {_plural(arguments[1])}"
    if arguments:
        return " or ".join(dict.fromkeys(map(_type, arguments)))
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "table"
    return _TYPES.get(annotation, "any value")


def _plural(annotation: Any) -> str:
    name = _type(annotation)
    return _PLURALS.get(name, name)
