"""The reference page of event types, by topic."""

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import groupby
from typing import Any, get_type_hints

from app.audit.origins import Origins, origins_of
from app.cli.publish.markdown import bullets, code, codes, fence, page, table
from app.ingest.define import EVENT_TYPES, EventType
from app.ingest.describe import data_schema
from app.ingest.schemas import example_event
from app.ledger.measures import POSTING_RULES, EventView, sequence_name_of, stream_name_of
from app.metrics.define import METRICS

INTRO = """Every event type with its fields, an example, and the metrics that it counts in. How to send events, and how to correct
them, is in the [events guide](../guides/events.md)."""

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

_TEXT_FORMATS = {"date-time": "time", "date": "date"}


def render() -> str:
    """Return the page."""
    fields = table(("field", "type", "required", "meaning"), _common_fields())
    types = table(("type", "meaning"), TYPES)
    sections = (part for module, kinds in _topics() for part in _topic(module, kinds))
    return page("Events", INTRO, "## Fields of every event", FIELDS_INTRO, fields, "## Types", types, *sections)


def _common_fields() -> Iterator[list[str]]:
    """Yield the fields that every event has, whatever its type."""
    schemas = [kind.adapter.json_schema() for kind in EVENT_TYPES.values()]
    for name, field in schemas[0]["properties"].items():
        required = [name in schema["required"] for schema in schemas]
        type_name = {"type": "text", "data": "object"}.get(name) or _type(name, field)
        meaning = "The fields of the event type, listed below." if name == "data" else field.get("description", "")
        yield [code(name), type_name, "yes" if all(required) else "by type" if any(required) else "no", meaning]


def _topics() -> Iterator[tuple[str, list[EventType]]]:
    for name, kinds in groupby(EVENT_TYPES.values(), key=lambda kind: get_type_hints(kind.envelope)["data"].__module__):
        title = (inspect.getdoc(sys.modules[name]) or "").removeprefix("Event types about ")
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
    *paragraphs, last = (" ".join(paragraph.split()) for paragraph in kind.description.split("\n\n"))
    yield from paragraphs
    yield " ".join([last, *_requirements(kind)])
    yield table(("field of `data`", "type", "required", "meaning"), _fields(kind)) or "`data` has no fields of its own."
    yield bullets(_effects(kind))
    yield fence(json.dumps(example_event(kind.name), indent=2), "json")


def _requirements(kind: EventType) -> Iterator[str]:
    """Yield what the type requires differently from others."""
    if kind.needs_user:
        yield "Requires `user_id`."
    if "account_id" not in kind.adapter.json_schema()["required"]:
        yield "`account_id` may be left out."


def _fields(kind: EventType) -> Iterator[list[str]]:
    schema = data_schema(kind)
    for name, field in schema["properties"].items():
        if name != "extra":
            required = "yes" if name in schema.get("required", ()) else "no"
            yield [code(name), _type(name, field), required, field.get("description", "")]


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
    view = EventView(kind.name, "ada", kind.example)
    names = [name for name in (stream_name_of(view), sequence_name_of(view)) if name is not None]
    streams = [name.partition(" ")[0] for name in names]
    if targets := POSTING_RULES[kind.name].targets:
        yield f"Posts: {codes(sorted(targets))}"
    for stream in streams:
        yield f"Stream: `{stream}`. Its events are evaluated together, in the order in which they occurred."
    metrics = [
        name
        for name, origins in _origins().items()
        if kind.name in origins.event_types or not set(origins.stream_kinds).isdisjoint(streams)
    ]
    if metrics:
        yield f"Counts in the [metrics](metrics.md) {codes(metrics)}"


@cache
def _origins() -> dict[str, Origins]:
    return {name: origins_of(metric.operands) for name, metric in METRICS.items()}
