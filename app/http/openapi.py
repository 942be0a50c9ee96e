"""Pieces of the OpenAPI document that endpoints declare: parameters, bodies, responses.

It has no framework in it, so that schemas can be declared beside the code that makes the values. Every object has a name, under
which `http.components` makes it a component of the document.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.http.chart_formats import CHART_FORMATS
from app.http.encoding import JSON
from app.http.formats import DEFAULT_FORMAT, FORMATS
from app.http.vocabularies import VOCABULARY

# The day in the examples of request bodies. A running service writes its own yesterday instead: see `document`.
EXAMPLE_DAY = "2026-03-14"

# Component schemas, or functions that return them once the catalogues are filled, by name; filled as routes are declared.
COMPONENTS: dict[str, Any] = {}

# The member of an operation that names the scopes which its key needs.
REQUIRED_SCOPES = "x-required-scopes"
_REFERENCE = "#/components/schemas/{model}"


def query_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAPI operation members for parameters that are read with `parse_query`."""
    schema = model.model_json_schema(ref_template=_REFERENCE)
    COMPONENTS.update(schema.pop("$defs", {}))
    required = schema.get("required", ())
    return {
        "parameters": [
            {"name": name, "in": "query", "required": name in required, "schema": _without_null(field)}
            | ({"description": field["description"]} if "description" in field else {})
            for name, field in schema["properties"].items()
        ]
    }


def _without_null(field: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter, which is left out and never null."""
    options = [option for option in field.get("anyOf", ()) if option != {"type": "null"}]
    rest = {name: value for name, value in field.items() if name != "anyOf"}
    if rest.get("default", "") is None:
        del rest["default"]
    return rest if not options else options[0] | rest if len(options) == 1 else {"anyOf": options, **rest}


def body_schema(model: type[BaseModel], example: Mapping[str, Any], *, required: bool = True) -> dict[str, Any]:
    """Return the OpenAPI operation members for a body that is read with `read_body`.

    example: a body that is accepted as it is; /docs sends it by "Try it out". required: False for `read_optional_body`.
    """
    schema = model.model_json_schema(ref_template=_REFERENCE)
    COMPONENTS.update(schema.pop("$defs", {}) | {model.__name__: schema})
    reference = component(model.__name__)
    return {"requestBody": {"required": required, "content": {JSON: {"schema": reference, "example": dict(example)}}}}


def response_schema(
    description: str, schema: Any, *, status: int = 200, table: bool = False, chart: bool = False
) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI `responses` of an endpoint that answers JSON of this schema.

    table: whether it answers in all output formats of rows. chart: whether it answers in those of charts.
    """
    content: dict[str, Any] = {JSON: {"schema": schema}}
    if table:
        # In OpenAPI 3.1, content that is no text has no schema.
        tables = (entry for name, entry in FORMATS.items() if name != DEFAULT_FORMAT)
        content |= {entry.media_type: {"schema": {"type": "string"}} if entry.is_text else {} for entry in tables}
    if chart:
        content |= {
            CHART_FORMATS["vega"].media_type: {
                "schema": map_schema("VegaLite", description="A Vega-Lite specification.")
            },
            CHART_FORMATS["svg"].media_type: {"schema": {"type": "string"}},
            CHART_FORMATS["png"].media_type: {},
        }
    return {status: {"description": description, "content": content}}


def conflict_response(description: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI `responses` of an endpoint that refuses what contradicts something stored. description: when."""
    return {409: {"description": description}}


def object_schema(
    name: str, required: Mapping[str, Any], optional: Mapping[str, Any] | None = None, *, description: str = ""
) -> dict[str, Any]:
    """Return the schema of an object with these required and optional members.

    name: of the component of the document, in PascalCase. Objects with the same name have the same members.
    """
    members: dict[str, Any] = {"required": [*required]} if required else {}
    members |= {"description": description} if description else {}
    return {"title": name, "type": "object", **members, "properties": {**required, **(optional or {})}}


def list_schema(name: str, required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of a list of objects with these required and optional members. name: of one of them."""
    return {"type": "array", "items": object_schema(name, required, optional)}


def map_schema(name: str, values: Mapping[str, Any] | None = None, *, description: str = "") -> dict[str, Any]:
    """Return the schema of an object whose members have names of the client's, or of many. values: of its members; None: any."""
    text = {"description": description} if description else {}
    return {"title": name, "type": "object", **text, "additionalProperties": True if values is None else {**values}}


def component(name: str) -> dict[str, Any]:
    """Return the reference to a component schema."""
    return {"$ref": _REFERENCE.format(model=name)}


def name_schema(vocabulary: str, description: str = "") -> dict[str, Any]:
    """Return the schema of a text that is one of the names of a vocabulary."""
    return {"type": "string", VOCABULARY: vocabulary} | ({"description": description} if description else {})
