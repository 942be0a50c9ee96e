"""Find the events that changed a number: those recorded or retracted on that day in the accounts whose part of it changed."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from heapq import nsmallest
from typing import Any, NamedTuple

from app.accounts.attributes import ACCOUNT_UPDATED
from app.audit.candidate_events import (
    IS_DIRECT,
    IS_IN_STREAM,
    condition_parameters,
    day_of,
    key_of_account,
    kind_of_stream,
    select_events,
    select_sequence_events,
    to_event_view,
)
from app.audit.changes import Change
from app.audit.origins import Days, DimensionFilter, Origins, origins_of
from app.core.aside import run_aside
from app.core.periods import Calendar
from app.database.connection import Connection
from app.ledger.sums.selection import Group, Selection
from app.ledger.surveys import Survey, load_surveys
from app.metrics.question import Question

# More events than this are an imported history rather than late events; their causes are not counted.
_MAX_EVENTS = 20_000
_MAX_IDS = 20

# By account and recorded or retracted day.
_EventsByDay = Mapping[tuple[int, date], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class _CauseSearch:
    selection: Selection
    origins: Origins
    calendar: Calendar
    surveys: Mapping[str, Survey]


class Causes(NamedTuple):
    """How many events of each type were recorded and retracted, and the ids of some of them."""

    events: list[dict[str, Any]]
    event_ids: list[str]


async def count_causes(
    connection: Connection, question: Question, changes: Sequence[Change], *, calendar: Calendar
) -> list[Causes | None]:
    """Return the causes of each change; None when there are too many."""
    if not changes:
        return []
    (metric,) = question.metrics
    surveys = await load_surveys(connection)
    search = _CauseSearch(question.selection, origins_of(metric.operands), calendar, surveys)
    # A change may be one of all accounts.
    size = sum(len(change.accounts) for change in changes)
    accounts = await run_aside(
        lambda: {key_of_account(account) for change in changes for account in change.accounts}, items=size
    )
    start, end = min(change.row.period.start for change in changes), max(change.row.period.end for change in changes)
    parameters = condition_parameters(search.origins, accounts, start=start, end=end, calendar=calendar)
    parameters |= {"days": sorted({change.recorded_on for change in changes}), "limit": _MAX_EVENTS + 1}
    rows = await connection.execute(_select_changed_events(search.origins), parameters)
    if len(rows) > _MAX_EVENTS:
        return [None] * len(changes)
    return await run_aside(partial(_count_each, search, changes, rows), items=size + len(rows))


def _count_each(search: _CauseSearch, changes: Sequence[Change], rows: Sequence[Any]) -> list[Any]:
    events_by_day: dict[tuple[int, date], list[Any]] = defaultdict(list)
    for row in rows:
        for day in filter(None, (row.recorded_on, row.retracted_on)):
            events_by_day[row.account_id, day].append(row)
    return [_count_by_type(search, change, events_by_day) for change in changes]


def _count_by_type(search: _CauseSearch, change: Change, events_by_day: _EventsByDay) -> Causes:
    rows = [
        row
        for account in change.accounts
        for row in events_by_day.get((key_of_account(account), change.recorded_on), ())
        if _may_have_caused(search, change, row)
    ]
    counts = Counter((row.type, row.retracted_on == change.recorded_on) for row in rows)
    events = [
        {"type": type, "arrived": counts[type, False], "retracted": counts[type, True]}
        for type in sorted({type for type, _ in counts})
    ]
    return Causes(events, nsmallest(_MAX_IDS, {row.id for row in rows}))


def _may_have_caused(search: _CauseSearch, change: Change, row: Any) -> bool:
    """Return whether an event of an account whose part of a number changed can have changed it."""
    if row.type == ACCOUNT_UPDATED:
        keys = {*row.data.get("attributes", {}), *(["name"] if "name" in row.data else [])}
        return not keys.isdisjoint(search.selection.shape.attribute_keys)
    origins, day = search.origins, day_of(row, search.calendar)
    days = Days(change.row.period.start, change.row.period.end)
    dimensions = _dimensions_of(change.row.group, search.selection)
    if origins.include_event(to_event_view(row, search.surveys), day, days, dimensions):
        return True
    if row.type in origins.sequence_types and day >= days.start and dimensions.includes_subject(row.data["survey"]):
        return True
    kind = kind_of_stream(row.stream) if row.stream else ""
    counts_later = kind in origins.flow_kinds or kind in origins.backdating_kinds
    return kind in origins.stream_kinds and (counts_later or day < days.end)


def _dimensions_of(group: Group, selection: Selection) -> DimensionFilter:
    """Return the subject and channel of a group, or those of the question where it is not grouped by them."""
    values = {name: (value,) for name, (_, value) in zip(selection.group_by, group, strict=True)}
    return DimensionFilter(values.get("subject", selection.subjects), values.get("channel", selection.channels))


# An event that was recorded and retracted on the same day has changed nothing. `account.updated` has a part of its own, because
# PostgreSQL finds these events by another index.
_ON_DAYS = """
    AND (recorded_on = ANY(%(days)s) OR retracted_on = ANY(%(days)s)) AND recorded_on IS DISTINCT FROM retracted_on
    """


def _select_changed_events(origins: Origins) -> str:
    """Return the SQL that selects the events that were recorded or retracted on some days and may be behind a number."""
    conditions = (IS_DIRECT, IS_IN_STREAM, f"type = '{ACCOUNT_UPDATED}'")
    parts = [select_events(condition) + _ON_DAYS for condition in conditions]
    return " UNION ALL ".join([*parts, *select_sequence_events(origins, _ON_DAYS)]) + " LIMIT %(limit)s"
