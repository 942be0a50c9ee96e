"""Shortcuts: the two most frequent changes of presence, computed faster than `apply_changes` does it.

They return and update the same as the definition; `tests/ledger/test_presence_shortcuts.py` compares the two.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from app.core.periods import UNITS, Calendar
from app.ledger.measures import LONGER_UNIT, PRESENCES, Line
from app.ledger.presence.changes import (
    DatedPresenceLine,
    DayChanges,
    PresenceDelta,
    PresenceRow,
    apply_changes,
    days_of_rows,
    first_ordinal,
    set_year,
)
from app.ledger.presence.day_bits import unit_spans, year_start
from app.ledger.presence.keys import PresenceKey


def apply_changes_fast(
    key: PresenceKey, rows: dict[int, PresenceRow], changes: Mapping[date, DayChanges], calendar: Calendar
) -> PresenceDelta:
    """Return what `apply_changes` returns, by a shortcut where there is one."""
    if len(changes) == 1:
        [(recorded_on, day_changes)] = changes.items()
        if not day_changes.lost:
            if len(day_changes.gained) == 1:
                delta = add_later_day(key, rows, recorded_on, day_changes, calendar)
                if delta is not None:
                    return delta
            elif not rows and day_changes.gained:
                return add_first_days(key, rows, recorded_on, day_changes, calendar)
    return apply_changes(key, rows, changes, calendar)


def add_later_day(
    key: PresenceKey, rows: dict[int, PresenceRow], recorded_on: date, day_changes: DayChanges, calendar: Calendar
) -> PresenceDelta | None:
    """Add the only gained day if it is not before the first day of any of its units; else return None.

    Nearly every event brings such a day: no user moves, and only units without a day so far get a line.
    """
    [day] = day_changes.gained
    ordinal = day.toordinal()
    bit = 1 << ordinal - year_start(day.year)
    bits = rows[day.year].bits if day.year in rows else 0
    if bits & bit:
        return PresenceDelta([], {}, [])
    days = days_of_rows(rows, first_ordinal(rows, day, calendar))
    measures = PRESENCES[key.presence].units
    new_units = []
    for span in unit_spans(day, calendar):
        if span.unit in measures:
            first = days.first_in(span)
            if first is None:
                new_units.append(span.unit)
            elif ordinal < first:
                return None
    lines = [
        DatedPresenceLine(recorded_on, day, Line(measures[unit], 1, key.subject))
        for unit in new_units
        if LONGER_UNIT.get(unit) not in new_units
    ]
    ceased_rows = set_year(rows, day.year, bits | bit, recorded_on, is_late=day < recorded_on)
    return PresenceDelta(lines, {recorded_on: day_changes}, ceased_rows)


def add_first_days(
    key: PresenceKey, rows: dict[int, PresenceRow], recorded_on: date, day_changes: DayChanges, calendar: Calendar
) -> PresenceDelta:
    """Add days to a key that has no rows: a day is the first in a unit when the unit is not that of the day before it."""
    measures = PRESENCES[key.presence].units
    numbers = {unit: number for number, unit in enumerate(UNITS)}
    units = [(numbers[unit], numbers.get(LONGER_UNIT.get(unit, "")), measure) for unit, measure in measures.items()]
    lines = []
    bits_by_year: dict[int, int] = {}
    previous: Sequence[int | None] = [None] * len(UNITS)
    for day in sorted(day_changes.gained):
        bits_by_year[day.year] = bits_by_year.get(day.year, 0) | 1 << day.toordinal() - year_start(day.year)
        starts = [span.first for span in unit_spans(day, calendar)]
        for number, longer, measure in units:
            is_first = starts[number] != previous[number]
            if is_first and (longer is None or starts[longer] == previous[longer]):
                lines.append(DatedPresenceLine(recorded_on, day, Line(measure, 1, key.subject)))
        previous = starts
    rows |= {year: PresenceRow(year, bits, recorded_on) for year, bits in bits_by_year.items()}
    return PresenceDelta(lines, {recorded_on: day_changes}, [])
