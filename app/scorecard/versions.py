"""The versions of targets: which definition holds on a day, as far as was known on another.

A version takes the place of all before it from its first day on. What was known on a day are the versions that were recorded by
then, so a scorecard as of that day is the scorecard as it was.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from app.core.names import Fault, name_fault, nearest_names
from app.core.periods import LAST_END
from app.database.connection import Connection
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement
from app.scorecard.definition import STEP, Definition, parse_definition


class TargetVersion(NamedTuple):
    """A version of a target. definition: None where the target has ended."""

    id: str
    number: int
    recorded_on: date
    effective_from: date
    definition: Definition | None


class TargetStretch(NamedTuple):
    """The days `[start, end)` on which a version of a target holds."""

    start: date
    end: date
    version: TargetVersion
    definition: Definition

    def holds_on(self, day: date) -> bool:
        """Return whether the version holds on a day."""
        return self.start <= day < self.end


# A version whose place another one has taken on all of its days is left out.
_LOAD = Statement("""
    SELECT id, number, recorded_on, effective_from, CAST(document AS text) FROM (
        SELECT *, min(effective_from) OVER (
            PARTITION BY id ORDER BY number ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS next_from
        FROM target WHERE recorded_on <= %(as_of)s) AS known
    WHERE next_from IS NULL OR next_from > effective_from
    ORDER BY id, number
    """)
_LOAD_ONE = Statement("""
    SELECT id, number, recorded_on, effective_from, CAST(document AS text) FROM target
    WHERE id = %(id)s AND recorded_on <= %(as_of)s ORDER BY number
    """)
_INSERT = Statement("""
    INSERT INTO target (id, number, recorded_on, effective_from, document)
    SELECT %(id)s, 1 + coalesce(max(number), 0), %(recorded_on)s, %(effective_from)s, CAST(%(document)s AS jsonb)
    FROM target WHERE id = %(id)s
    """)


def load_all_stretches(as_of: date | None) -> QueryPlan[dict[str, list[TargetStretch]]]:
    """Return the stretches of all targets by id, as far as was known on the day `as_of` (None: by now)."""
    (rows,) = yield [BoundStatement(_LOAD, {"as_of": as_of or LAST_END})]
    versions = map(_version, rows)
    return {id: find_stretches(list(own)) for id, own in groupby(versions, key=lambda version: version.id)}


def load_target_versions(id: str, as_of: date | None = None) -> QueryPlan[list[TargetVersion]]:
    """Return all versions of a target that were known on the day `as_of` (None: by now), by number; none without the target."""
    (rows,) = yield [BoundStatement(_LOAD_ONE, {"id": id, "as_of": as_of or LAST_END})]
    return [_version(row) for row in rows]


def _version(row: tuple[Any, ...]) -> TargetVersion:
    id, number, recorded_on, effective_from, text = row
    return TargetVersion(id, number, recorded_on, effective_from, _parse(text) if text is not None else None)


# A version never changes.
@lru_cache(maxsize=2_048)
def _parse(text: str) -> Definition:
    return parse_definition(from_json(text))


def find_stretches(versions: Iterable[TargetVersion]) -> list[TargetStretch]:
    """Return on which days the versions of one target hold, in order of days. versions: by number."""
    stretches: list[TargetStretch] = []
    for version in versions:
        first = version.effective_from
        stretches = [own._replace(end=min(own.end, first)) for own in stretches if own.start < first]
        if version.definition is not None:
            stretches.append(TargetStretch(first, version.definition.until or LAST_END, version, version.definition))
    return stretches


def stretches_known_on(versions: Iterable[TargetVersion], as_of: date | None) -> list[TargetStretch]:
    """Return the stretches as far as was known on the day `as_of` (None: by now)."""
    return find_stretches(version for version in versions if as_of is None or version.recorded_on <= as_of)


def stretch_on(stretches: Iterable[TargetStretch], day: date) -> TargetStretch | None:
    """Return the stretch that a day is in."""
    return next((own for own in stretches if own.holds_on(day)), None)


async def lock_targets(connection: Connection) -> None:
    """Let nobody else write targets until the end of the transaction: versions are numbered, and targets compared."""
    await connection.execute("LOCK TABLE target IN SHARE ROW EXCLUSIVE MODE")


async def write_version(
    connection: Connection, id: str, definition: Definition | None, *, effective_from: date, recorded_on: date
) -> None:
    """Store a version of a target that holds from a day on; None ends the target."""
    document = to_json(definition.as_json()).decode() if definition is not None else None
    values = {"id": id, "recorded_on": recorded_on, "effective_from": effective_from, "document": document}
    await connection.execute(_INSERT.text, values)


def changes_nothing(stretches: Sequence[TargetStretch], definition: Definition) -> bool:
    """Return whether a definition is what holds already, from its first day on for ever.

    Where all periods have the same target, it does not matter since when.
    """
    last = stretches[-1] if stretches else None
    if last is None or not last.holds_on(definition.since) or last.end != (definition.until or LAST_END):
        return False
    is_steady = definition.shape == STEP and definition.granularity != "total"
    return last.definition == (replace(definition, since=last.definition.since) if is_steady else definition)


def unknown_target(id: str, existing: Iterable[str]) -> Fault:
    """Return the fault of a target that does not exist. existing: the ids of those that do."""
    advice = "GET /v1/targets lists all targets."
    return name_fault(
        "/path/target_id", "Unknown target{}.", id, nearest_names(id, existing), code="unknown_target", advice=advice
    )
