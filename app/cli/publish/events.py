"""The reference page of event types, by topic."""

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import groupby, product
from typing import Any, get_type_hints

from app.accounts.attributes import ACCOUNT_UPDATED
from app.audit.origins import Origins, origins_of
from app.cli.publish.markdown import bullets, code, codes, fence, page, table
from app.ingest.define import EVENT_TYPES, EventType
from app.ingest.schemas import example_event
from app.ledger.measures import EventView, activities_of, lines_of, stream_name_of
from app.ledger.registrations import ACTIVE_USERS
from app.ledger.streams.registration import registered_users
from app.ledger.surveys import Survey
from app.metrics.define import METRICS

INTRO = """Every event type with its fields, an example, and the metrics that it counts in. How to send events, and how to correct
them, is in the [events guide](../guides/events.md)."""

FIELDS = [
    [
        "`id`",
        "text (1–128)",
        "yes",
        "Your own id of the event, unique within its account. It makes repeated sending safe.",
    ],
    ["`type`", "text", "yes", "The event type."],
    ["`account_id`", "text (1–128)", "yes", "Your own id of the account. Only `cost.recorded` may leave it out."],
    ["`user_id`", "text (1–128)", "see type", "The person who did it. The same id in two accounts is two users."],
    ["`occurred_at`", "time", "yes", "When it happened: from 1970 to at most 24 hours ahead."],
    [
        "`recorded_on`",
        "date",
        "no",
        "The day it became known, for imported history. Needs an admin key. Default: today.",
    ],
    ["`data`", "object", "yes", "The fields of the event type, listed below."],
]

TYPES = [
    ["text (1–128)", "A string with at least 1 and at most 128 characters."],
    ["time", 'RFC 3339 with an offset from UTC: `"2026-03-14T09:30:00Z"`, `"2026-03-14T10:30:00+01:00"`.'],
    ["date", '`"2026-03-14"`'],
    [
        "money",
        'A decimal string such as `"1250.50"` (or a number): not negative, at most 4 decimals, below 100 billion.',
    ],
    ["whole number", "A JSON number without decimals. Numbers in quotes are rejected."],
]

FIELDS_INTRO = """Every event has these fields. Unknown fields are rejected. `data` of every type may also have `extra`, an
object of at most 16 KiB that is stored with the event and not counted."""

# The meanings of fields that the catalogue does not describe, most of them shared by several types.
MEANINGS = {
    "attributes": "Values by key: what you know about the account, such as its plan or region.",
    "amount": "The amount, in `currency`.",
    "category": "What the money was spent on: winning customers or keeping them.",
    "channel": "Where it came from, such as `email` or `in_app`.",
    "comment": "What the person wrote. At most 10,000 characters.",
    "contract_id": "Your own id of the contract, unique within the account.",
    "count": "How often. Default: 1.",
    "duration_seconds": "How long the session lasted, at most 31 days.",
    "feature": "The name of the feature.",
    "goal": "The name of the goal.",
    "interval": "The unit of the billing interval.",
    "interval_count": "How many units the billing interval has. Default: 1.",
    "note": "A remark about what was done. An empty text removes it.",
    "order_id": "Your own id of the order, unique within the account.",
    "plan": "The plan, such as `pro`. MRR can be broken down by the plan of the subscription.",
    "priority": "The priority. Stored, not counted.",
    "reason": "Why. Churn can be broken down by it.",
    "seats": "The number of licensed seats.",
    "status": "What became of the comment.",
    "step": "The name of the step.",
    "subscription_id": "Your own id of the subscription, unique within the account.",
    "survey": "The id of the survey.",
    "tags": "Topics of the comment. The feedback endpoints count them.",
    "ticket_id": "Your own id of the ticket, unique within the account.",
    "trial_id": "Your own id of the trial, unique within the account.",
}

_TEXT_FORMATS = {"date-time": "time", "date": "date"}
_SURVEYS = [
    Survey("nps", "nps", 0, 10, None, None, None, answered=True),
    Survey("csat", "csat", 1, 5, 4, None, None, answered=True),
    Survey("effort", "ces", 1, 7, None, "high", None, answered=True),
]


def render() -> str:
    """Return the page."""
    fields = table(("field", "type", "required", "meaning"), FIELDS)
    types = table(("type", "meaning"), TYPES)
    sections = (part for module, kinds in _topics() for part in _topic(module, kinds))
    return page("Events", INTRO, "## Fields of every event", FIELDS_INTRO, fields, "## Types", types, *sections)


def _topics() -> Iterator[tuple[str, list[EventType]]]:
    for name, kinds in groupby(EVENT_TYPES.values(), key=lambda kind: get_type_hints(kind.envelope)["data"].__module__):
        title = (inspect.getdoc(sys.modules[name]) or "").removeprefix("Event types of ")
        heading = re.split(r"[:.]", title)[0]
        yield heading[:1].upper() + heading[1:], list(kinds)


def _topic(heading: str, kinds: list[EventType]) -> Iterator[str]:
    yield f"## {heading}"
    yield table(("event type", "meaning"), ([_link(kind.name), _first_sentence(kind)] for kind in kinds))
    for kind in kinds:
        yield from _event(kind)


def _link(name: str) -> str:
    return f"[`{name}`](#{name.replace('.', '')})"


def _first_sentence(kind: EventType) -> str:
    return re.split(r"(?<=\.)\s", " ".join(kind.description.split()))[0]


def _event(kind: EventType) -> Iterator[str]:
    yield f"### `{kind.name}`"
    yield " ".join([*kind.description.split(), *(["Requires `user_id`."] if kind.needs_user else [])])
    yield table(("field of `data`", "type", "required", "meaning"), _fields(kind)) or "`data` has no fields of its own."
    yield bullets(_effects(kind))
    yield fence(json.dumps(example_event(kind.name), indent=2), "json")


def _fields(kind: EventType) -> Iterator[list[str]]:
    schema = data_schema(kind)
    for name, field in schema["properties"].items():
        if name != "extra":
            required = "yes" if name in schema.get("required", ()) else "no"
            yield [code(name), _type(name, field), required, field.get("description") or MEANINGS.get(name, "")]


def data_schema(kind: EventType) -> dict[str, Any]:
    """Return the JSON schema of an event type's `data`."""
    definitions: dict[str, dict[str, Any]] = kind.adapter.json_schema()["$defs"]
    return definitions[get_type_hints(kind.envelope)["data"].__name__]


def _type(name: str, schema: Mapping[str, Any]) -> str:
    """Return the type of a field with its allowed values and its unit."""
    if "enum" in schema:
        return " or ".join(map(code, schema["enum"]))
    if "anyOf" in schema:
        return "money"
    match schema["type"]:
        case "array":
            return f"list of {_type(name, schema['items'])}, at most {schema['maxItems']}"
        case "object":
            return f"object with at most {schema['maxProperties']} keys; values: text, number, true, false or null"
        case "integer":
            unit = "seconds" if name.endswith("_seconds") else ""
            return ", ".join(filter(None, ["whole number", unit, _range(schema)]))
        case "boolean":
            return "true or false"
    if "pattern" in schema:
        return "three capital letters"
    if "format" in schema:
        return _TEXT_FORMATS[schema["format"]]
    return f"text ({schema.get('minLength', 0)}–{schema['maxLength']:,})"


def _range(schema: Mapping[str, Any]) -> str:
    return f"{schema['minimum']:,}–{schema['maximum']:,}" if "minimum" in schema else ""


def _effects(kind: EventType) -> Iterator[str]:
    """Yield what an event of this type does to the ledger."""
    if kind.name == ACCOUNT_UPDATED:
        yield "Posts nothing. Attributes say to which segments and groups an account belongs, from which day on."
        return
    posted = _posted(kind)
    stream = (stream_name_of(EventView(kind.name, "ada", kind.example)) or "").partition(" ")[0]
    if posted:
        yield f"Posts: {codes(sorted(posted))}"
    if stream:
        yield f"Stream: `{stream}`. Its events are evaluated together, in the order in which they occurred."
    if metrics := [name for name, origins in _origins().items() if _counts_in(posted, stream, origins)]:
        yield f"Counts in the [metrics](metrics.md) {codes(metrics)}"


def _posted(kind: EventType) -> set[str]:
    """Return the measures and presences that events of this type post by themselves, with every choice of their fields."""
    choices = [
        [(name, value) for value in field["enum"]]
        for name, field in data_schema(kind)["properties"].items()
        if "enum" in field
    ]
    names: set[str] = set()
    for values, survey, whole_business in product(product(*choices), _SURVEYS, (False, True)):
        fact = EventView(kind.name, "ada", {**kind.example, **dict(values)}, survey, whole_business=whole_business)
        names.update(line.measure.name for line in lines_of(fact))
        names.update(activity.presence.name for activity in activities_of(fact))
    return names


def _counts_in(posted: set[str], stream: str, origins: Origins) -> bool:
    names = frozenset().union(*(source.names for source in origins.sources))
    is_registered = ACTIVE_USERS in posted and registered_users.name in names
    return bool(posted & names) or is_registered or stream in origins.kinds


@cache
def _origins() -> dict[str, Origins]:
    return {name: origins_of(metric.sums) for name, metric in METRICS.items()}
