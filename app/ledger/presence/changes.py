"""Changes of presence: the entries and rows that follow from days that a user has gained and lost. It stores nothing.

Within each day, week, month, quarter and year a user counts on the first of the user's days. So the sum from the start of
a unit to any day within it is the number of distinct users so far, as recorded up to any day. The first day in a year is
also the first in its quarter and its month: it is entered once, under the longest unit.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from app.core.periods import Calendar
from app.database.tables import MAX_DATE
from app.ledger.entries import EntryKey
from app.ledger.measures import LONGER_UNIT, PRESENCES, Line
from app.ledger.presence.day_bits import DayBits, unit_spans, year_start, years_around
from app.ledger.presence.keys import PresenceKey

_SHORTER_UNIT = {longer: unit for unit, longer in LONGER_UNIT.items()}


@dataclass(slots=True)
class DayChanges:
    """The days of a key that were gained and lost on one recorded day."""

    gained: set[date] = field(default_factory=set)
    lost: set[date] = field(default_factory=set)

    @property
    def days(self) -> set[date]:
        """Return the days that were gained or lost."""
        return self.gained | self.lost

    def apply_to(self, days: set[date]) -> set[date]:
        """Return a set of days after these changes."""
        return (days | self.gained) - self.lost

    def undo_in(self, days: set[date]) -> set[date]:
        """Return a set of days before these changes."""
        return (days | self.lost) - self.gained


class PresenceRow(NamedTuple):
    """A user's days of a year, as recorded from one day until another. The year's first day is the lowest bit."""

    year: int
    bits: int
    recorded_on: date
    ceased_on: date = MAX_DATE


class DatedPresenceLine(NamedTuple):
    """A line that a change of presence posts, with its two days."""

    recorded_on: date
    effective_on: date
    line: Line


class PresenceDelta(NamedTuple):
    """The result of changes of one key: its new lines, days and rows.

    changes: the days that really changed. ceased_rows: the rows that are not current any more.
    """

    lines: list[DatedPresenceLine]
    changes: dict[date, DayChanges]
    ceased_rows: list[PresenceRow]


def apply_changes(
    key: PresenceKey, rows: dict[int, PresenceRow], changes: Mapping[date, DayChanges], calendar: Calendar
) -> PresenceDelta:
    """Apply changes, by the day on which they were recorded, to the current rows of a key, by year.

    Return the lines to post and the rows that ceased; `rows` is updated. It has to contain all years in `years_around` the
    changed days, as far as there are such rows.
    """
    delta = PresenceDelta([], {}, [])
    changed_days = [day for day_changes in changes.values() for day in day_changes.days]
    if not changed_days:
        return delta
    origin = first_ordinal(rows, min(changed_days), calendar)
    before = days_of_rows(rows, origin)
    for recorded_on in sorted(changes):
        gained, lost = changes[recorded_on].gained, changes[recorded_on].lost
        after = before.add(gained).remove(lost)
        real_changes = before.differences_from(after, gained | lost)
        if real_changes:
            delta.changes[recorded_on] = DayChanges(gained & real_changes, lost & real_changes)
            delta.lines.extend(_derive_lines(key, before, after, real_changes, recorded_on, calendar))
            delta.ceased_rows.extend(_update_rows(rows, after, real_changes, recorded_on))
        before = after
    return delta


def add_delta(entries: dict[EntryKey, int], key: PresenceKey, delta: PresenceDelta) -> None:
    """Add the lines of a delta to entries."""
    for recorded_on, effective_on, (measure, value, subject, channel) in delta.lines:
        entry_key = EntryKey(measure.name, effective_on, key.account_id, subject, channel, recorded_on)
        entries[entry_key] = entries.get(entry_key, 0) + value


def first_ordinal(rows: Iterable[int], day: date, calendar: Calendar) -> int:
    """Return the ordinal of the first day that can matter: of the years of the rows, and of the units that contain a day."""
    return year_start(min([years_around(day, calendar).start, *rows]))


def days_of_rows(rows: Mapping[int, PresenceRow], origin: int) -> DayBits:
    """Return the days of a key's rows."""
    bits = 0
    for year, row in rows.items():
        bits |= row.bits << year_start(year) - origin
    return DayBits(origin, bits)


def _derive_lines(
    key: PresenceKey, before: DayBits, after: DayBits, days: set[date], recorded_on: date, calendar: Calendar
) -> Iterator[DatedPresenceLine]:
    """Yield -1 on the day that was the first in a unit before, and +1 on the day that is the first in it after.

    An entry for a unit counts for the shorter unit within it as well, so the same amount is subtracted from the shorter one.
    """
    measures = PRESENCES[key.presence].units
    values: dict[tuple[int, str], int] = {}
    for span in {span for day in days for span in unit_spans(day, calendar) if span.unit in measures}:
        first_before, first_after = before.first_in(span), after.first_in(span)
        if first_before != first_after:
            for ordinal, sign in ((first_before, -1), (first_after, 1)):
                if ordinal is not None:
                    values[ordinal, span.unit] = values.get((ordinal, span.unit), 0) + sign
                    if shorter := _SHORTER_UNIT.get(span.unit):
                        values[ordinal, shorter] = values.get((ordinal, shorter), 0) - sign
    for (ordinal, unit), value in values.items():
        if value:
            line = Line(measures[unit], value, key.subject)
            yield DatedPresenceLine(recorded_on, date.fromordinal(ordinal), line)


def _update_rows(
    rows: dict[int, PresenceRow], days: DayBits, changed_days: Iterable[date], recorded_on: date
) -> Iterator[PresenceRow]:
    """Bring the rows of the changed days' years up to date. Yields the rows that ceased."""
    for year in {day.year for day in changed_days}:
        is_late = any(day.year == year and day < recorded_on for day in changed_days)
        yield from set_year(rows, year, days.of_year(year), recorded_on, is_late=is_late)


def set_year(
    rows: dict[int, PresenceRow], year: int, bits: int, recorded_on: date, *, is_late: bool
) -> list[PresenceRow]:
    """Set the days of a year from a recorded day on. Return the row that ceased, if any.

    is_late: whether a changed day is before the recorded day. Only then is another row needed, since no question as of a
    day is about later days.
    """
    row = rows.get(year)
    if row is not None and (not is_late or row.recorded_on == recorded_on):
        rows[year] = PresenceRow(year, bits, row.recorded_on)
        return []
    rows[year] = PresenceRow(year, bits, recorded_on)
    return [] if row is None else [row._replace(ceased_on=recorded_on)]
