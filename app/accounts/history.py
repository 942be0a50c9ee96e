"""The history of an account's attributes, derived from its `account.updated` events. Pure functions.

Each attribute has intervals without gap or overlap on two time axes (see `intervals`). The order in which the events of one day
arrived makes no difference.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from app.accounts.intervals import VersionedInterval, json_identity, revise_intervals
from app.core.periods import Calendar
from app.database.tables import MAX_DATE, MIN_DATE


class Update(Protocol):
    """A stored `account.updated` event."""

    @property
    def id(self) -> str: ...
    @property
    def occurred_at(self) -> datetime: ...
    @property
    def recorded_on(self) -> date: ...
    @property
    def retracted_on(self) -> date | None: ...
    @property
    def data(self) -> Any: ...


class AttributeChange(NamedTuple):
    """The value that one update gives to one attribute, and the days on which the update was known. None ends the attribute."""

    valid_from: date
    occurred_at: datetime
    event_id: str
    value: Any
    recorded_on: date
    retracted_on: date | None


def derive_history(updates: Sequence[Update], *, calendar: Calendar) -> dict[str, list[VersionedInterval]]:
    """Return all rows of an account by attribute key. updates: all its updates, also the retracted ones."""
    days = {u.recorded_on for u in updates} | {u.retracted_on for u in updates if u.retracted_on is not None}
    changes = group_changes(updates, calendar=calendar)
    rows: dict[str, list[VersionedInterval]] = {}
    for day in sorted(days):
        revise_attributes(rows, changes, on=day)
    return {key: intervals for key, intervals in rows.items() if intervals}


def group_changes(updates: Iterable[Update], *, calendar: Calendar) -> dict[str, list[AttributeChange]]:
    """Return the changes of updates by attribute key. The name of the account is its attribute `name`."""
    changes: dict[str, list[AttributeChange]] = defaultdict(list)
    for update in updates:
        valid_from = first_effective_day(update.occurred_at, calendar=calendar)
        attributes = dict(update.data.get("attributes", {}))
        if "name" in update.data:
            attributes["name"] = update.data["name"]
        for key, value in attributes.items():
            change = AttributeChange(
                valid_from, update.occurred_at, update.id, value, update.recorded_on, update.retracted_on
            )
            changes[key].append(change)
    return changes


def first_effective_day(occurred_at: datetime, *, calendar: Calendar) -> date:
    """Return the first day at whose start a change of that instant holds."""
    day = calendar.day(occurred_at)
    return day if calendar.midnight(day) == occurred_at else day + timedelta(days=1)


def revise_attributes(
    rows: dict[str, list[VersionedInterval]], changes: Mapping[str, Sequence[AttributeChange]], *, on: date
) -> None:
    """Bring an account's rows, in place, from before the day `on` to after it.

    rows: by attribute key; changes: all changes by attribute key. Only attributes with a change that was recorded or retracted
    on that day are derived again.
    """
    for key, changes_of_key in changes.items():
        if any(on in (change.recorded_on, change.retracted_on) for change in changes_of_key):
            live = [
                change
                for change in changes_of_key
                if change.recorded_on <= on and (change.retracted_on is None or change.retracted_on > on)
            ]
            rows[key] = revise_intervals(rows.get(key, ()), derive_intervals(live), on=on)


def derive_intervals(changes: Iterable[AttributeChange]) -> list[tuple[date, date, Any]]:
    """Return the intervals `(valid_from, valid_to, value)` that the changes of one attribute make, without gap or overlap.

    Before its first value an attribute has that value as well, because history is often older than the attribute.
    """
    ordered_changes = sorted(changes, key=lambda change: (change.valid_from, change.occurred_at, change.event_id))
    if not ordered_changes:
        return []
    # The earliest change sets the first value, even if later changes of its day replace it before any day starts with it.
    # Of changes with the same instant, the last by event id counts.
    first = [change for change in ordered_changes if change.occurred_at == ordered_changes[0].occurred_at][-1]
    starts = [(MIN_DATE, first.value)]
    for change in ordered_changes:
        if starts[-1][0] == change.valid_from:
            starts.pop()
        if json_identity(starts[-1][1]) != json_identity(change.value):
            starts.append((change.valid_from, change.value))
    ends = [start for start, _ in starts[1:]] + [MAX_DATE]
    return [(start, end, value) for (start, value), end in zip(starts, ends, strict=True)]
