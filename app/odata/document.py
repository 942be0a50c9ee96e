"""The paths of OData in the OpenAPI document.

What the protocol defines is described in short: clients of OData read `$metadata`.
"""

from typing import Any

from app.http.encoding import JSON
from app.http.openapi import map_schema, object_schema
from app.odata.model import ENTITY_SETS, EntitySet

_TEXT = {"type": "string"}
_ENTITY = map_schema("ODataEntity", description="An entity: its members are the properties of `$metadata`.")
COLLECTION = object_schema(
    "ODataCollection",
    {"value": {"type": "array", "items": _ENTITY}},
    {"@odata.context": _TEXT, "@odata.count": {"type": "integer"}, "@odata.nextLink": _TEXT},
)
_ERROR = object_schema(
    "ODataError",
    {
        "error": object_schema(
            "ODataErrorDetail",
            {"code": _TEXT | {"description": "As in other errors of the API."}, "message": _TEXT},
            {
                "target": _TEXT,
                "details": {"type": "array", "items": map_schema("ODataErrorPart")},
                "innererror": map_schema("ODataInnerError"),
            },
        )
    },
)
ODATA_ERROR: dict[int | str, dict[str, Any]] = {
    "default": {"description": "An error, as OData writes it.", "content": {JSON: {"schema": _ERROR}}}
}


def _parameter(name: str, description: str, **schema: Any) -> dict[str, Any]:
    members = {"type": "string"} | schema
    return {"name": name, "in": "query", "required": False, "schema": members, "description": description}


_FORMAT = _parameter("$format", "`json`, or a media type such as `application/json;odata.metadata=full`.")
_FILTER = _parameter(
    "$filter", "Only entities that satisfy a condition, such as `metric eq 'nps' and start ge 2026-01-01`."
)
FORMAT_PARAMETERS = {"parameters": [_FORMAT]}


def _custom_parameters(sets: list[EntitySet]) -> list[dict[str, Any]]:
    """Return the custom query options of all entity sets, which each has some of."""
    names: dict[str, tuple[list[str], str]] = {}
    for own in sets:
        for name, member in own.parameters.model_fields.items():
            names.setdefault(name, ([], member.description or ""))[0].append(own.name)
    return [_parameter(name, f"Of {', '.join(owners)}. {text}") for name, (owners, text) in names.items()]


def _set_parameters() -> list[dict[str, Any]]:
    return [
        _FILTER,
        _parameter("$select", "Only these properties, separated by commas."),
        _parameter("$orderby", "The order, such as `score desc,account_id`."),
        _parameter("$top", "At most so many entities.", type="integer", minimum=0),
        _parameter("$skip", "Without so many at the beginning.", type="integer", minimum=0),
        _parameter("$count", "`true`: with the number of all.", type="boolean"),
        _parameter("$skiptoken", "Where the page begins: a part of `@odata.nextLink`."),
        _FORMAT,
    ]


def complete_parameters() -> None:
    """Add the custom query options, once the catalogue is there."""
    custom = _custom_parameters(list(ENTITY_SETS.by_name.values()))
    SET_PARAMETERS["parameters"][:] = [*_set_parameters(), *custom]
    COUNT_PARAMETERS["parameters"][:] = [_FILTER, *custom]


SET_PARAMETERS: dict[str, Any] = {"parameters": []}
COUNT_PARAMETERS: dict[str, Any] = {"parameters": []}
