"""An account's attributes by two clocks, derived from its `account.updated` events. Pure functions.

For each key there is a row of intervals without gap, each a `VersionedInterval` that says from which day on it is known. A row
is never changed but for `ceased_on`, the day on which other knowledge took its place; so what was known on a day can be read
again. The order in which events of one day arrived never matters.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from app.core.periods import Calendar
from app.database.tables import MAX_DATE, MIN_DATE


class Update(Protocol):
    """An `account.updated` event as it is kept."""

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


class Change(NamedTuple):
    """What one `account.updated` event says of one attribute, and when that was known. `value` is JSON; None ends it."""

    valid_from: date
    occurred_at: datetime
    event_id: str
    value: Any
    recorded_on: date
    retracted_on: date | None


class VersionedInterval(NamedTuple):
    """An attribute's value over `[valid_from, valid_to)`, known from `recorded_on` until `ceased_on`."""

    valid_from: date
    valid_to: date
    value: Any
    recorded_on: date
    ceased_on: date = MAX_DATE


def attribute_history(updates: Sequence[Update], *, calendar: Calendar) -> dict[str, list[VersionedInterval]]:
    """All rows of an account, by attribute key, from all its updates, the retracted ones too."""
    days = {u.recorded_on for u in updates} | {u.retracted_on for u in updates if u.retracted_on is not None}
    changes = changes_by_key(updates, calendar=calendar)
    rows: dict[str, list[VersionedInterval]] = {}
    for day in sorted(days):
        apply_day(rows, changes, on=day)
    return {key: found for key, found in rows.items() if found}


def apply_day(rows: dict[str, list[VersionedInterval]], changes: Mapping[str, Sequence[Change]], *, on: date) -> None:
    """Take an account's `rows` from before the day `on` to after it; only keys of which that day says something change."""
    for key, found in changes.items():
        if any(on in (change.recorded_on, change.retracted_on) for change in found):
            live = [c for c in found if c.recorded_on <= on and (c.retracted_on is None or c.retracted_on > on)]
            rows[key] = revise_intervals(rows.get(key, ()), intervals(live), on=on)


def changes_by_key(updates: Iterable[Update], *, calendar: Calendar) -> dict[str, list[Change]]:
    """What updates say, by attribute key; the account's name is its attribute `name`."""
    found: dict[str, list[Change]] = defaultdict(list)
    for update in updates:
        valid_from = first_day(update.occurred_at, calendar=calendar)
        attributes = dict(update.data.get("attributes", {}))
        if "name" in update.data:
            attributes["name"] = update.data["name"]
        for key, value in attributes.items():
            change = Change(valid_from, update.occurred_at, update.id, value, update.recorded_on, update.retracted_on)
            found[key].append(change)
    return found


def first_day(occurred_at: datetime, *, calendar: Calendar) -> date:
    """The first day at whose start a change made at that instant holds."""
    day = calendar.day(occurred_at)
    return day if calendar.midnight(day) == occurred_at else day + timedelta(days=1)


def revise_intervals(
    known: Sequence[VersionedInterval], now: Iterable[tuple[date, date, Any]], *, on: date
) -> list[VersionedInterval]:
    """All rows of one thing after the day `on`, given those before it and what is true `now`, at the end of that day."""
    wanted = {(start, end, _exact(value)): (start, end, value) for start, end, value in now}
    rows: list[VersionedInterval] = []
    for row in known:
        if row.ceased_on not in (MAX_DATE, on):
            rows.append(row)
        # What the day itself has brought so far is worked out anew, and what it has ended may stay after all.
        elif row.recorded_on < on:
            stays = wanted.pop((row.valid_from, row.valid_to, _exact(row.value)), None)
            rows.append(row._replace(ceased_on=on if stays is None else MAX_DATE))
    return rows + [VersionedInterval(*w, recorded_on=on) for w in wanted.values()]


def intervals(changes: Iterable[Change]) -> list[tuple[date, date, Any]]:
    """The history that the changes of one attribute make: `(valid_from, valid_to, value)` without gap or overlap.

    Before its first value the attribute has that value, because history is often older than the attribute.
    """
    ordered = sorted(changes, key=lambda c: (c.valid_from, c.occurred_at, c.event_id))
    if not ordered:
        return []
    # The first one, though others of its day may leave it no day's start of its own; of one instant the last decides.
    first = [change for change in ordered if change.occurred_at == ordered[0].occurred_at][-1]
    starts = [(MIN_DATE, first.value)]
    for change in ordered:
        if starts[-1][0] == change.valid_from:
            starts.pop()
        if _exact(starts[-1][1]) != _exact(change.value):
            starts.append((change.valid_from, change.value))
    ends = [start for start, _ in starts[1:]] + [MAX_DATE]
    return [(start, end, value) for (start, value), end in zip(starts, ends, strict=True)]


def with_value_types(rows: Iterable[VersionedInterval]) -> list[tuple[VersionedInterval, type]]:
    """Rows so that no two are equal that are not the same."""
    return [(row, _exact(row.value)[0]) for row in rows]


def _exact(value: Any) -> tuple[type, Any]:
    # True == 1 in Python, but not in JSON.
    return type(value), value
