"""Pieces of the OpenAPI document that endpoints declare: parameters, bodies, responses.

It has no framework in it, so that schemas can be declared beside the code that makes the values.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.http.chart_formats import CHART_FORMATS
from app.http.encoding import JSON
from app.http.formats import DEFAULT_FORMAT, FORMATS

# The day in the examples of request bodies. A running service writes its own yesterday instead: see `document`.
EXAMPLE_DAY = "2026-03-14"

# Component schemas of request bodies and parameters, by name; filled as routes are declared.
COMPONENTS: dict[str, Any] = {}

_REFERENCE = "#/components/schemas/{model}"


def query_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAPI operation members for parameters that are read with `parse_query`."""
    schema = model.model_json_schema(ref_template=_REFERENCE)
    COMPONENTS.update(schema.pop("$defs", {}))
    required = schema.get("required", ())
    return {
        "parameters": [
            {"name": name, "in": "query", "required": name in required, "schema": field}
            | ({"description": field["description"]} if "description" in field else {})
            for name, field in schema["properties"].items()
        ]
    }


def body_schema(model: type[BaseModel], example: Mapping[str, Any], *, required: bool = True) -> dict[str, Any]:
    """Return the OpenAPI operation members for a body that is read with `read_body`.

    example: a body that is accepted as it is; /docs sends it by "Try it out". required: False for `read_optional_body`.
    """
    schema = model.model_json_schema(ref_template=_REFERENCE)
    COMPONENTS.update(schema.pop("$defs", {}) | {model.__name__: schema})
    reference = {"$ref": _REFERENCE.format(model=model.__name__)}
    return {"requestBody": {"required": required, "content": {JSON: {"schema": reference, "example": dict(example)}}}}


def response_schema(
    description: str, schema: Any, *, table: bool = False, chart: bool = False
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
                "schema": {"type": "object", "description": "A Vega-Lite specification."}
            },
            CHART_FORMATS["svg"].media_type: {"schema": {"type": "string"}},
            CHART_FORMATS["png"].media_type: {},
        }
    return {200: {"description": description, "content": content}}


def object_schema(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of an object with these required and optional members."""
    return {"type": "object", "required": [*required], "properties": {**required, **(optional or {})}}


def list_schema(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of a list of objects with these required and optional members."""
    return {"type": "array", "items": object_schema(required, optional)}
