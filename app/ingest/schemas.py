"""OpenAPI schemas of events and survey responses, built from the catalogue of event types."""

from typing import Any

from app.http.encoding import PROBLEM_JSON
from app.http.openapi import EXAMPLE_DAY, component, object_schema
from app.http.vocabularies import add_vocabulary
from app.ingest.decode import MAX_EVENTS
from app.ingest.define import EVENT_TYPES

add_vocabulary("EventType", "The type of an event.", lambda: sorted(EVENT_TYPES))

_EXAMPLE_TIME = f"{EXAMPLE_DAY}T09:30:00Z"
# The bodies that /docs sends by "Try it out". Their ids have the day in them: see `http.document`.
EXAMPLE_EVENT: dict[str, Any] = {
    "id": f"visit-{EXAMPLE_DAY}",
    "type": "session.ended",
    "account_id": "acme",
    "user_id": "ada@acme.example",
    "occurred_at": _EXAMPLE_TIME,
    "data": {"duration_seconds": 600},
}
# By name; `event_schemas` adds an event of every type.
EXAMPLE_BODIES: dict[str, Any] = {"visit": {"summary": "A session that has ended.", "value": EXAMPLE_EVENT}}
EXAMPLE_CLOUDEVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": f"visit-{EXAMPLE_DAY}",
    "source": "/shop",
    "type": "session.ended",
    "subject": "acme",
    "userid": "ada@acme.example",
    "time": _EXAMPLE_TIME,
    "data": {"duration_seconds": 600},
}
EXAMPLE_SURVEY_RESPONSE: dict[str, Any] = {
    "id": f"answer-{EXAMPLE_DAY}",
    "survey": "nps",
    "account_id": "acme",
    "user_id": "ada@acme.example",
    "score": 9,
    "comment": "Exports have become fast.",
    "responded_at": _EXAMPLE_TIME,
}

_EXAMPLE_FAULT = {"pointer": "/account_id", "code": "missing", "detail": '"account_id" is required.'}
_EXAMPLE_REJECTION: dict[str, Any] = {
    "type": "about:blank",
    "title": "Unprocessable Entity",
    "status": 422,
    "detail": "No event was accepted; see `rejected`.",
    "code": "all_rejected",
    "accepted": 0,
    "duplicates": 0,
    "rejected": [{"index": 0, "id": "1", **_EXAMPLE_FAULT, "errors": [_EXAMPLE_FAULT]}],
}
# The OpenAPI `responses` of an endpoint that takes a batch.
BATCH_RESPONSES: dict[int | str, dict[str, Any]] = {
    422: {
        "description": "No event was accepted (`all_rejected`), or the body as a whole is invalid.",
        "content": {
            PROBLEM_JSON: {"schema": component("Problem"), "examples": {"all_rejected": {"value": _EXAMPLE_REJECTION}}}
        },
    }
}


def event_schemas() -> dict[str, Any]:
    """Return the OpenAPI components: one schema for each event type, `Event` for any of them and `Events` for a body."""
    schemas: dict[str, Any] = {}
    for event_type in EVENT_TYPES.values():
        schema = event_type.adapter.json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schema["examples"] = [example_event(event_type.name)]
        schemas[event_type.envelope.__name__] = schema
        value = example_event(event_type.name) | {"id": f"{event_type.name}-{EXAMPLE_DAY}"}
        EXAMPLE_BODIES[event_type.name] = {"summary": event_type.description.partition("\n")[0], "value": value}
    refs = {name: component(event_type.envelope.__name__) for name, event_type in EVENT_TYPES.items()}
    event = {
        "oneOf": list(refs.values()),
        "discriminator": {"propertyName": "type", "mapping": {name: ref["$ref"] for name, ref in refs.items()}},
    }
    array = _array_of("Event")
    object_with_events = object_schema("EventBatch", {"events": array}) | {"additionalProperties": False}
    events = {
        "Event": event,
        "Events": {"anyOf": [component("Event"), array, object_with_events]},
    }
    return schemas | _response_schemas(schemas) | events


def _response_schemas(schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas of a survey response, with the fields of its event at the top level, and of a body of them."""
    envelope, data = (schemas[name]["properties"] for name in ("SurveyRespondedEvent", "SurveyResponded"))
    response = {
        "type": "object",
        "additionalProperties": False,
        "required": ["id", "survey", "account_id", "score", "responded_at"],
        "properties": {name: envelope[name] for name in ("id", "account_id", "user_id", "recorded_on")}
        | data
        | {"responded_at": envelope["occurred_at"]},
    }
    return {
        "SurveyResponse": response,
        "SurveyResponses": {"anyOf": [component("SurveyResponse"), _array_of("SurveyResponse")]},
    }


def _array_of(name: str) -> dict[str, Any]:
    return {"type": "array", "maxItems": MAX_EVENTS, "items": component(name)}


def example_event(name: str) -> dict[str, Any]:
    """Return a complete event of a type, as a client sends it."""
    event_type = EVENT_TYPES[name]
    user = {"user_id": "ada@acme.example"} if event_type.needs_user else {}
    return {
        "id": f"{name}-1",
        "type": name,
        "account_id": "acme",
        **user,
        "occurred_at": _EXAMPLE_TIME,
        "data": dict(event_type.example),
    }
