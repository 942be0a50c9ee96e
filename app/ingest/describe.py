"""Event types as the API describes them: what happened, which fields an event has, and an example."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, get_type_hints

from app.http.openapi import component, list_schema, name_schema, object_schema, response_schema
from app.ingest.define import EVENT_TYPES, EventType
from app.ingest.schemas import example_event

_TEXT: dict[str, Any] = {"type": "string"}
_BOOLEAN: dict[str, Any] = {"type": "boolean"}
FIELD_TYPES = ("text", "money", "integer", "boolean", "time", "date", "texts", "attributes", "object")
EVENT_TYPES_SCHEMA = response_schema(
    "All event types.",
    object_schema(
        "EventTypeList",
        {
            "event_types": list_schema(
                "EventTypeEntry",
                {
                    "name": name_schema("EventType", "The `type` of its events."),
                    "description": _TEXT,
                    "needs_account": _BOOLEAN | {"description": "Whether its events need an `account_id`."},
                    "needs_user": _BOOLEAN | {"description": "Whether its events need a `user_id`."},
                    "fields": list_schema(
                        "EventField",
                        {
                            "name": _TEXT,
                            "type": {
                                "type": "string",
                                "enum": [*FIELD_TYPES],
                                "description": "`money` is a decimal text such as `1250.50`, or a number; `texts` a list of "
                                "texts; `attributes` an object whose values are texts, numbers, true, false or null.",
                            },
                            "required": _BOOLEAN,
                            "description": _TEXT,
                        },
                        {
                            "values": {"type": "array", "items": _TEXT, "description": "All that a text may be."},
                            "minimum": {"type": "number"},
                            "maximum": {"type": "number"},
                            "max_length": {"type": "integer", "description": "Of a text: the number of characters."},
                            "max_items": {"type": "integer", "description": "Of a list or an object."},
                        },
                    )
                    | {"description": "The fields of `data`."},
                    "example": component("Event"),
                },
            )
        },
    ),
)
# The names of limits in JSON Schema and in the answer.
_LIMITS = {
    "enum": "values",
    "minimum": "minimum",
    "maximum": "maximum",
    "maxLength": "max_length",
    "maxItems": "max_items",
    "maxProperties": "max_items",
}


@cache
def list_event_types() -> list[dict[str, Any]]:
    """Return the catalogue of event types as JSON objects, by name. Nobody may change it."""
    return [_describe(EVENT_TYPES[name]) for name in sorted(EVENT_TYPES)]


def _describe(kind: EventType) -> dict[str, Any]:
    required = kind.adapter.json_schema()["required"]
    return {
        "name": kind.name,
        "description": kind.description,
        "needs_account": "account_id" in required,
        "needs_user": "user_id" in required,
        "fields": list(_fields(kind)),
        "example": example_event(kind.name),
    }


def _fields(kind: EventType) -> Iterator[dict[str, Any]]:
    schema = data_schema(kind)
    for name, field in schema["properties"].items():
        yield {
            "name": name,
            "type": _type(field),
            "required": name in schema.get("required", ()),
            "description": field.get("description", ""),
        } | {member: field[keyword] for keyword, member in _LIMITS.items() if keyword in field}


def data_schema(kind: EventType) -> dict[str, Any]:
    """Return the JSON schema of an event type's `data`."""
    definitions: dict[str, dict[str, Any]] = kind.adapter.json_schema()["$defs"]
    return definitions[get_type_hints(kind.envelope)["data"].__name__]


def _type(field: Mapping[str, Any]) -> str:
    """Return the type of a field from its JSON schema."""
    if "anyOf" in field:
        # An amount may be a text or a number; nothing else may be of several types.
        return "money"
    match field["type"]:
        case "integer" | "boolean" as name:
            return str(name)
        case "array":
            return "texts"
        case "object":
            return "attributes" if isinstance(field.get("additionalProperties"), Mapping) else "object"
    return {"date-time": "time", "date": "date"}.get(field.get("format", ""), "text")
