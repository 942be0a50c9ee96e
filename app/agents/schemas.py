"""The JSON schemas of tools: of their arguments, and pieces of those of their answers."""

import re
from collections.abc import Mapping
from typing import Any

from app.accounts.recorded_names import NOT_STRICT
from app.agents.define import TOOLS, Tool
from app.http import openapi
from app.http.vocabularies import VOCABULARY

TEXT: dict[str, Any] = {"type": "string"}
OPTIONAL_TEXT: dict[str, Any] = {"type": ["string", "null"]}
DAY: dict[str, Any] = {"type": "string", "format": "date"}
INTEGER: dict[str, Any] = {"type": "integer"}
NEXT: dict[str, Any] = OPTIONAL_TEXT | {"description": "The `cursor` of the next page; null on the last one."}

# What the service checks itself, and what a model cannot use.
_LEFT_OUT = {VOCABULARY, "title", "maxLength", "minLength", "maxItems", "minItems", "pattern"}
# About query strings, in which a list is a repeated parameter, and about a parameter that no tool has.
_LEFT_OUT_TEXTS = [
    (re.compile(r" ?(Repeat it for several\.|Separate them by commas or repeat the parameter\.)"), ""),
    (re.compile(", separated by commas or repeated"), ""),
    (re.compile(rf" ?{re.escape(NOT_STRICT)}"), ""),
]
_ENDPOINT = re.compile(
    r"`?(?:\b(?:GET|POST) |(?<!\S))(?P<path>/v1/[a-z-]+(?:/\{[a-z_]+\})?(?:/[a-z-]+)*)(?:\?(?P<query>[^`\s)]*))?`?"
)
# A sentence that sends the reader to an endpoint for which there is no tool.
_OTHER_ENDPOINT = re.compile(r"\s*[^.?!]*\bGET /v1/[^.?!]*[.?!]")


def input_schema(entry: Tool) -> dict[str, Any]:
    """Return the schema of a tool's arguments, as short as it can be."""
    schema = entry.arguments.model_json_schema()
    definitions = schema.pop("$defs", {})
    # The tool has a description itself.
    schema.pop("description", None)
    short: dict[str, Any] = _shorten(schema, definitions)
    return {"type": "object", "properties": {}, **short, "additionalProperties": False}


def output_schema(entry: Tool) -> dict[str, Any]:
    """Return the schema of a tool's answer, without what is only for the OpenAPI document."""
    schema: dict[str, Any] = _strip(entry.output)
    return schema


def _strip(node: Any) -> Any:
    if isinstance(node, list):
        return [_strip(part) for part in node]
    if not isinstance(node, Mapping):
        return node
    result = {name: _strip(value) for name, value in node.items() if name not in ("title", VOCABULARY)}
    if "properties" in node:
        # A member of an answer may be named `title`.
        result["properties"] = {name: _strip(value) for name, value in node["properties"].items()}
    return result


def object_schema(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of an object with these required and optional members. It needs no name, unlike in OpenAPI."""
    return openapi.object_schema("", required, optional)


def list_schema(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of a list of objects with these required and optional members."""
    return openapi.list_schema("", required, optional)


def _shorten(node: Any, definitions: Mapping[str, Any]) -> Any:
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _shorten(definitions[node["$ref"].rpartition("/")[2]] | _without(node, "$ref"), definitions)
    if "anyOf" in node:
        # Null stands for an argument that is left out.
        first = next(part for part in node["anyOf"] if part != {"type": "null"})
        return _shorten(first | _without(node, "anyOf"), definitions)
    result: dict[str, Any] = {}
    for name, value in node.items():
        if name == "properties":
            result[name] = {key: _shorten(part, definitions) for key, part in value.items()}
        elif name == "description":
            result[name] = adapt(value)
        elif name not in _LEFT_OUT and not (name == "default" and value in (None, [])):
            result[name] = _shorten(value, definitions)
    return result


def _without(node: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key != name}


def adapt(text: str) -> str:
    """Return a text of the API as a tool says it: with the names of tools in the place of endpoints."""
    for left_out, instead in _LEFT_OUT_TEXTS:
        text = left_out.sub(instead, text)
    return _OTHER_ENDPOINT.sub("", _ENDPOINT.sub(_name_tool, text)).strip()


def _name_tool(match: re.Match[str]) -> str:
    tools_by_path = {
        endpoint.partition(" ")[2]: entry.name for entry in TOOLS.values() for endpoint in entry.instead_of
    }
    name = tools_by_path.get(match["path"])
    if name is None:
        return match[0]
    return f"`{name}`" + (f" with {match['query']}" if match["query"] else "")
