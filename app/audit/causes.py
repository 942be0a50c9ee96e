"""Which events changed a number: those that became known on its day in the accounts whose part of it changed."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.accounts.attributes import ACCOUNT_UPDATED
from app.audit.changes import Change
from app.audit.origins import Days, DimensionFilter, Origins, origins_of
from app.audit.stored_events import AT_ONCE, TOGETHER, day_of, event_view, events_where, number_of, parameters
from app.core.periods import Calendar
from app.database.connection import Connection
from app.ledger import surveys
from app.ledger.sums.selection import Group, Selection
from app.ledger.surveys import Survey
from app.metrics.question import Question

# More events than that are not told apart: they are no late ones, but a history that was imported.
_MOST_EVENTS = 20_000


@dataclass(frozen=True, slots=True)
class _Search:
    selection: Selection
    origins: Origins
    calendar: Calendar
    surveys: Mapping[str, Survey]


async def causes(
    connection: Connection, question: Question, changes: Sequence[Change], *, calendar: Calendar
) -> list[list[dict[str, Any]] | None]:
    """Of each change how many events of a type arrived and how many were retracted; None: there are too many to tell."""
    if not changes:
        return []
    (metric,) = question.metrics
    search = _Search(question.selection, origins_of(metric.operands), calendar, await surveys.load_surveys(connection))
    accounts = {number_of(account) for change in changes for account in change.accounts}
    start, end = min(change.row.period.start for change in changes), max(change.row.period.end for change in changes)
    asked = parameters(search.origins, accounts, start=start, end=end, calendar=calendar)
    asked |= {"days": sorted({change.recorded_on for change in changes}), "many": _MOST_EVENTS + 1}
    rows = await connection.execute(_LEARNED, asked)
    if len(rows) > _MOST_EVENTS:
        return [None] * len(changes)
    learned: dict[tuple[int, date], list[Any]] = defaultdict(list)
    for row in rows:
        for day in filter(None, (row.recorded_on, row.retracted_on)):
            learned[row.account_id, day].append(row)
    return [_by_type(search, change, learned) for change in changes]


def _by_type(
    search: _Search, change: Change, learned: Mapping[tuple[int, date], Sequence[Any]]
) -> list[dict[str, Any]]:
    counts = Counter(
        (row.type, row.retracted_on == change.recorded_on)
        for account in change.accounts
        for row in learned.get((number_of(account), change.recorded_on), ())
        if _did_it(search, change, row)
    )
    return [
        {"type": type, "arrived": counts[type, False], "retracted": counts[type, True]}
        for type in sorted({type for type, _ in counts})
    ]


def _did_it(search: _Search, change: Change, row: Any) -> bool:
    """Whether an event of an account that changed a number may have to do with it."""
    if row.type == ACCOUNT_UPDATED:
        said = {*row.data.get("attributes", {}), *(["name"] if "name" in row.data else [])}
        return not said.isdisjoint(search.selection.shape.attribute_keys)
    origins, day = search.origins, day_of(row, search.calendar)
    days = Days(change.row.period.start, change.row.period.end)
    if origins.include_event(event_view(row, search.surveys), day, days, _side(search.selection, change.row.group)):
        return True
    kind = row.stream.partition(" ")[0] if row.stream else ""
    return kind in origins.stream_kinds and (kind in origins.flow_kinds or day < days.end)


def _side(selection: Selection, group: Group) -> DimensionFilter:
    """The subjects and channels of a group: its own, or else those that are asked for."""
    own = {by: (value,) for by, (_, value) in zip(selection.group_by, group, strict=True)}
    return DimensionFilter(own.get("subject", selection.subjects), own.get("channel", selection.channels))


# What came and was taken back on the same day has changed nothing. What accounts are is found by an index of its own.
_ON_THESE_DAYS = """
    AND (recorded_on = ANY(%(days)s) OR retracted_on = ANY(%(days)s)) AND recorded_on IS DISTINCT FROM retracted_on
    """
_LEARNED = f"""
    {events_where(AT_ONCE)} {_ON_THESE_DAYS} UNION ALL {events_where(TOGETHER)} {_ON_THESE_DAYS}
    UNION ALL {events_where(f"type = '{ACCOUNT_UPDATED}'")} {_ON_THESE_DAYS}
    LIMIT %(many)s
    """
