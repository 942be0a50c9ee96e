"""What the OpenAPI document says of events and of what becomes of them, from the vocabulary."""

from typing import Any

from typing_extensions import TypedDict

from app.ingest.define import EVENT_TYPES


class Rejection(TypedDict):
    """An event that was not taken: its place in the request, and why."""

    index: int
    id: str | None
    code: str
    detail: str
    pointer: str


class Accepted(TypedDict):
    """What became of a batch. Accepted is durable, counted, and in the next answer."""

    accepted: int
    duplicates: int
    rejected: list[Rejection]


def event_schemas() -> dict[str, Any]:
    """The components of the OpenAPI document that describe events: one schema a type, and `Events` over all."""
    schemas: dict[str, Any] = {}
    for kind in EVENT_TYPES.values():
        schema = kind.adapter.json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schema["examples"] = [example_event(kind.name)]
        schemas[kind.envelope.__name__] = schema
    one = {
        "oneOf": [{"$ref": f"#/components/schemas/{kind.envelope.__name__}"} for kind in EVENT_TYPES.values()],
        "discriminator": {
            "propertyName": "type",
            "mapping": {kind.name: f"#/components/schemas/{kind.envelope.__name__}" for kind in EVENT_TYPES.values()},
        },
    }
    many = {"type": "array", "maxItems": 10_000, "items": {"$ref": "#/components/schemas/Event"}}
    wrapped = {"type": "object", "required": ["events"], "properties": {"events": many}, "additionalProperties": False}
    return (
        schemas
        | _response_schemas(schemas)
        | {
            "Event": one,
            "Events": {"anyOf": [{"$ref": "#/components/schemas/Event"}, many, wrapped]},
        }
    )


def _response_schemas(schemas: dict[str, Any]) -> dict[str, Any]:
    """An answer to a survey with its fields at the top, and one or many of them."""
    envelope, data = (schemas[name]["properties"] for name in ("SurveyRespondedEvent", "SurveyResponded"))
    one = {
        "type": "object",
        "additionalProperties": False,
        "required": ["id", "survey", "account_id", "score", "responded_at"],
        "properties": {name: envelope[name] for name in ("id", "account_id", "user_id", "recorded_on")}
        | data
        | {"responded_at": envelope["occurred_at"]},
    }
    many = {"type": "array", "maxItems": 10_000, "items": {"$ref": "#/components/schemas/SurveyResponse"}}
    return {
        "SurveyResponse": one,
        "SurveyResponses": {"anyOf": [{"$ref": "#/components/schemas/SurveyResponse"}, many]},
    }


def example_event(name: str) -> dict[str, Any]:
    """A complete event of a type, as a client would send it."""
    kind = EVENT_TYPES[name]
    user = {"user_id": "ada@acme.example"} if kind.needs_user else {}
    at = {"occurred_at": "2026-03-14T09:30:00Z"}
    return {"id": f"{name}-1", "type": name, "account_id": "acme", **user, **at, "data": dict(kind.example)}
