"""A target tried before it is put: what would be stored, and how near it would be, now and in the periods that have ended."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from itertools import islice
from typing import Any

from app.accounts.listing import day_after
from app.books.books import Books
from app.core.errors import Invalid
from app.core.periods import LAST_END
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.http.openapi import list_schema, object_schema, response_schema
from app.metrics.number_checks import find_name_faults
from app.metrics.numbers import load_numbers
from app.metrics.schema import ROW_SCHEMA
from app.scorecard.definition import Definition
from app.scorecard.history import JUDGMENT_MEMBERS, judge_past, request_past
from app.scorecard.placement import TREND_LENGTH, Placement, past_periods
from app.scorecard.scorecard import STANDING_SCHEMA, standing_json
from app.scorecard.standings import judge_targets
from app.scorecard.targets import TARGET, find_conflicts, parse_target, target_json
from app.scorecard.versions import (
    TargetStretch,
    TargetVersion,
    changes_nothing,
    find_stretches,
    load_all_stretches,
    load_target_versions,
)

_DAYS: dict[str, Any] = {name: ROW_SCHEMA[name] for name in ("period", "start", "end")}
_OPTIONAL_ROW: dict[str, Any] = {"anyOf": [STANDING_SCHEMA, {"type": "null"}]}
TARGET_PREVIEW_SCHEMA = response_schema(
    "What a target would be.",
    object_schema(
        "TargetPreview",
        {
            "target": TARGET | {"description": "The target as it would be stored."},
            "changes": {
                "type": "boolean",
                "description": "Whether anything would be stored: not where it is so already.",
            },
            "before": _OPTIONAL_ROW
            | {"description": "The row of today's scorecard as it is; null if the target does not hold, nor will."},
            "after": _OPTIONAL_ROW | {"description": "The same row as it would be."},
            "periods": list_schema("TargetPreviewPeriod", _DAYS | JUDGMENT_MEMBERS)
            | {
                "description": f"Up to {TREND_LENGTH} periods that have ended and would have the target, the last one first."
            },
        },
    ),
)


async def preview_target(books: Books, id: str, raw: Any, *, strict: bool) -> dict[str, Any]:
    """Return what `put_target` would change, with the same faults. Raises Invalid."""
    body, new = await parse_target(books, raw, strict=strict)
    today = books.today()

    async def load(connection: Connection) -> dict[str, Any]:
        faults = await find_name_faults(connection, books, body, strict=strict)
        other_targets = await run_plan(connection, load_all_stretches(None))
        own = other_targets.pop(id, [])
        if faults := faults + find_conflicts(new, other_targets, today=today):
            raise Invalid.of(faults, subject="The target")
        is_new = not changes_nothing(own, new)
        stretches = await _stretches_after(connection, id, new, today=today) if is_new else own
        row = partial(_load_row, connection, books, today=today)
        return {
            "target": target_json(id, stretches, today=today),
            "changes": is_new,
            "before": await row(own),
            "after": await row(stretches),
            "periods": await _load_periods(connection, books, stretches, today=today),
        }

    return await books.database.ask(load)


async def _stretches_after(connection: Connection, id: str, new: Definition, *, today: date) -> list[TargetStretch]:
    """Return the stretches of a target with one more version."""
    versions = await run_plan(connection, load_target_versions(id))
    number = versions[-1].number + 1 if versions else 1
    return find_stretches([*versions, TargetVersion(id, number, today, new.since, new)])


async def _load_row(
    connection: Connection, books: Books, stretches: Sequence[TargetStretch], *, today: date
) -> Mapping[str, Any] | None:
    """Return the row of today's scorecard or, of a target that is ahead, that of its first period; None if it has ended."""
    end = LAST_END if any(own.start > today for own in stretches) else day_after(today)
    targets = {own.version.id: stretches for own in stretches}
    standings = await judge_targets(connection, books, targets, start=today, end=end, today=today, as_of=None)
    return standing_json(standings[0]) if standings else None


async def _load_periods(
    connection: Connection, books: Books, stretches: Sequence[TargetStretch], *, today: date
) -> list[dict[str, Any]]:
    """Return the last periods that have ended, as they are known now."""
    placements: list[Placement] = list(
        islice(past_periods(stretches, calendar=books.calendar, today=today), TREND_LENGTH)
    )
    numbers = await load_numbers(connection, books, [request_past(own, None) for own in placements], today=today)
    return [
        {"period": own.period.name, "start": own.period.start, "end": own.period.end}
        | judge_past(own, numbers[request_past(own, None).key], today=today)
        for own in placements
    ]
