"""Targets: put, end, list and show them."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from app.books.books import Books
from app.core.errors import Invalid, NotFound
from app.core.names import Fault, build_fault, is_repeatable
from app.core.periods import LAST_END
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.http.openapi import list_schema, name_schema, object_schema, response_schema
from app.metrics.define import METRICS
from app.metrics.number_checks import find_name_faults
from app.scorecard.body import TargetBody, parse_target_fields
from app.scorecard.checks import check_fields
from app.scorecard.definition import Definition
from app.scorecard.history import load_known_target
from app.scorecard.placement import place_on
from app.scorecard.scorecard import load_last_day
from app.scorecard.versions import (
    TargetStretch,
    changes_nothing,
    find_stretches,
    load_all_stretches,
    lock_targets,
    stretch_on,
    stretches_known_on,
    write_version,
)

# Targets that hold today or later. A scorecard answers all of them at once.
MAX_TARGETS = 200

_TEXT: dict[str, Any] = {"type": "string"}
_DAY: dict[str, Any] = {"type": "string", "format": "date"}
_NUMBER: dict[str, Any] = {"type": ["number", "string"], "description": "Of money, a text."}
_DEFINITION = {
    "metric": name_schema("MetricName"),
    "granularity": name_schema("Granularity"),
    "value": _NUMBER,
    "direction": _TEXT,
    "from": _DAY,
}
_OPTIONAL = dict.fromkeys(("convention", "segment", "filter", "subject", "channel"), _TEXT) | {
    "baseline": _NUMBER,
    "until": _DAY,
    "path": {
        "anyOf": [
            _TEXT,
            list_schema("TargetPathValue", {"until": _DAY, "value": _NUMBER}),
        ],
        "description": "`step`, `linear`, or dated values.",
    },
}
_VERSION = {
    "version": {"type": "integer"},
    "recorded_on": _DAY | {"description": "The day on which this version was put."},
    "holds_from": _DAY | {"description": "The first day on which it holds."},
    "holds_until": {
        "type": ["string", "null"],
        "description": "The day after the last one: `until`, or the first day of the version after it. Null: it has no end.",
    },
}
_VERSION_SCHEMA = object_schema("TargetVersion", {**_VERSION, **_DEFINITION}, _OPTIONAL)
TARGET = object_schema(
    "Target",
    {
        "id": _TEXT,
        "state": {"type": "string", "enum": ["holds", "ahead", "ended"]},
        **_VERSION,
        **_DEFINITION,
        "versions": {
            "type": "array",
            "items": _VERSION_SCHEMA,
            "description": "All versions that hold on some day, in order.",
        },
    },
    _OPTIONAL,
)
TARGET_SCHEMA = response_schema("The target.", TARGET)
TARGETS_SCHEMA = response_schema(
    "All targets that hold or are ahead.",
    object_schema("TargetList", {"targets": {"type": "array", "items": TARGET}}),
)


async def put_target(
    books: Books, id: str, raw: Any, *, strict: bool, recorded_on: date | None = None
) -> dict[str, Any]:
    """Store a target from its first day on, and return it. What would change nothing is not stored.

    strict: whether attributes, subjects and channels that were never recorded are errors. recorded_on: the day from which it is
    known, after those of all earlier versions. None: today; only a demo says another. Raises Invalid with all faults.
    """
    body, _ = await parse_target(books, raw, strict=strict)

    async def write(connection: Connection, today: date) -> None:
        # The day may have changed, and with it the current period.
        new, _ = check_fields(body, [], calendar=books.calendar, today=today)
        await lock_targets(connection)
        faults = await find_name_faults(connection, books, body, strict=strict)
        other_targets = await run_plan(connection, load_all_stretches(None))
        own = other_targets.pop(id, [])
        if new is None or (faults := faults + find_conflicts(new, other_targets, today=today)):
            raise Invalid.of(faults, subject="The target")
        if not changes_nothing(own, new):
            await write_version(connection, id, new, effective_from=new.since, recorded_on=recorded_on or today)

    await books.write(write)
    return await load_target(books, id, as_of=None)


async def parse_target(books: Books, raw: Any, *, strict: bool) -> tuple[TargetBody, Definition]:
    """Return the fields of a body, and the definition as of today. Raises Invalid with all faults that need no other targets."""
    body, field_faults = parse_target_fields(raw)
    today = await books.load_today()
    definition, faults = check_fields(body, field_faults, calendar=books.calendar, today=today)
    if definition is None:
        faults += await books.database.read(lambda connection: find_name_faults(connection, books, body, strict=strict))
        raise Invalid.of(faults, subject="The target")
    return body, definition


def find_conflicts(
    new: Definition, other_targets: Mapping[str, Sequence[TargetStretch]], *, today: date
) -> list[Fault]:
    """Return the faults of a target beside the others: a duplicate, or one too many."""
    faults = []
    until = new.until or LAST_END
    for id, stretches in other_targets.items():
        if any(
            own.definition.question == new.question and own.start < until and new.since < own.end for own in stretches
        ):
            name = f' "{id}"' if is_repeatable(id) else ""
            detail = (
                f"The target{name} has the same metric, convention, accounts, subject, channel and granularity on some of its "
                "days. Change that one, or end it first."
            )
            faults.append(build_fault("/metric", detail, code="duplicate_target"))
            break
    if sum(any(own.end > today for own in stretches) for stretches in other_targets.values()) >= MAX_TARGETS:
        detail = f"There are {MAX_TARGETS} targets already, and no more are possible. End one that is no longer needed."
        faults.append(build_fault("", detail, code="too_many_targets"))
    return faults


async def end_target(books: Books, id: str) -> None:
    """End a target from the current period on; periods before keep it. Raises NotFound if it does not exist or has ended."""

    async def write(connection: Connection, today: date) -> None:
        await lock_targets(connection)
        stretches = find_stretches(await load_known_target(connection, id, None))
        left = [own for own in stretches if own.end > today]
        if not left:
            raise NotFound("The target has ended already. GET /v1/targets lists the others.", code="target_ended")
        first = left[0].start
        if first <= today and left[0].definition.granularity == "total":
            first = today
        elif first <= today:
            first = place_on(left[0], today, calendar=books.calendar, today=today).period.start
        await write_version(connection, id, None, effective_from=first, recorded_on=today)

    await books.write(write)


async def load_target(books: Books, id: str, *, as_of: date | None) -> dict[str, Any]:
    """Return a target as the API shows it, with all its versions. Raises NotFound and Invalid."""
    today = await load_last_day(books, as_of)
    versions = await books.database.read(lambda connection: load_known_target(connection, id, as_of))
    stretches = stretches_known_on(versions, as_of)
    if not stretches:
        detail = "The target was ended in the period in which it began, so it holds on no day. It can be put again."
        raise NotFound(detail, code="target_ended")
    return target_json(id, stretches, today=today)


async def list_targets(books: Books, *, as_of: date | None) -> list[dict[str, Any]]:
    """Return the targets that hold or are ahead, ordered by id, as far as was known on the day `as_of`. Raises Invalid."""
    today = await load_last_day(books, as_of)
    by_id = await books.database.read(lambda connection: run_plan(connection, load_all_stretches(as_of)))
    return [
        target_json(id, stretches, today=today)
        for id, stretches in sorted(by_id.items())
        if any(own.end > today for own in stretches)
    ]


def target_json(id: str, stretches: Sequence[TargetStretch], *, today: date) -> dict[str, Any]:
    """Return a target: the version that holds, else the next one, else the last one; and all of its versions."""
    current, ahead = stretch_on(stretches, today), [own for own in stretches if own.start > today]
    shown_stretch = current or (ahead[0] if ahead else stretches[-1])
    state = "holds" if current else "ahead" if ahead else "ended"
    versions = [_stretch_json(own) for own in stretches]
    return {"id": id, "state": state} | _stretch_json(shown_stretch) | {"versions": versions}


def _stretch_json(stretch: TargetStretch) -> dict[str, Any]:
    definition = stretch.definition
    metric = METRICS.get(definition.metric)
    members = definition.as_json()
    if metric is None or metric.unit != "money":
        members |= {name: _number(members[name]) for name in ("value", "baseline") if name in members}
        if isinstance(members["path"], list):
            members["path"] = [part | {"value": _number(part["value"])} for part in members["path"]]
    is_open = definition.until is None and stretch.end.year == date.max.year
    return {
        "version": stretch.version.number,
        "recorded_on": stretch.version.recorded_on,
        "holds_from": stretch.start,
        "holds_until": None if is_open else stretch.end,
    } | members


def _number(text: str) -> float | int:
    """Return a number as JSON has it: whole numbers without a point."""
    return float(text) if "." in text else int(text)
