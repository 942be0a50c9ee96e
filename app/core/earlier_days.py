"""Earlier days: the days with which a row or a total is compared. docs/metrics.md defines them (Comparison).

They are chosen by whole days, never by shifting an end, which is excluded: 29 March is no day of its range, and 28 February is
not its day of the month before.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

from app.core.periods import FIRST_DAY, Calendar, Period, Range, counted_end

PREVIOUS_PERIOD, PREVIOUS_YEAR = "previous_period", "previous_year"
_DAY = timedelta(days=1)
# A year before is 52 weeks before, so that the weekdays are the same.
_UNITS_PER_YEAR = {"week": 52, "month": 12, "quarter": 4, "year": 1}
# The units of which a range is, if it has no name, in the order in which they are tried. Other ranges are mere days.
_UNITS_OF_RANGES = ("month", "quarter", "year", "week")


class _Units(NamedTuple):
    """Consecutive units of a calendar, from number `first` to before number `stop`."""

    unit: str
    first: int
    stop: int


def earlier_days_of_unit(period: Period, unit: str, *, compare: str, calendar: Calendar, today: date) -> Range | None:
    """Return the days with which a unit of the calendar or a part of one is compared; None where there are none.

    None as well for days before 1970, and for a period none of whose days has come.
    """
    number = calendar.unit_number(period.start, unit)
    units = _Units(unit, number, number + 1) if unit in _UNITS_PER_YEAR else None
    return _earlier_days(period, units, compare=compare, calendar=calendar, today=today)


def earlier_days_of_range(
    period: Period, unit: str | None = None, *, compare: str, calendar: Calendar, today: date
) -> Range | None:
    """Return the days with which a whole range is compared; None as in `earlier_days_of_unit`.

    unit: that of the range's name, if it has one: the quarter to date may be one month. Without a name its days decide.
    """
    units = _units_of_range(period, [unit] if unit else _UNITS_OF_RANGES, calendar=calendar, today=today)
    return _earlier_days(period, units, compare=compare, calendar=calendar, today=today)


def _units_of_range(period: Period, units: Iterable[str], *, calendar: Calendar, today: date) -> _Units | None:
    """Return the units of the first kind of which a range is one or several, or one up to today; None for any other range."""
    for unit in units:
        if unit not in _UNITS_PER_YEAR:
            continue
        first = calendar.unit_number(period.start, unit)
        stop = calendar.unit_number(period.end - _DAY, unit) + 1
        is_whole = calendar.unit_start(stop, unit) == period.end
        is_to_date = stop == first + 1 and period.end == today + _DAY
        if calendar.unit_start(first, unit) == period.start and (is_whole or is_to_date):
            return _Units(unit, first, stop)
    return None


def _earlier_days(
    period: Period, units: _Units | None, *, compare: str, calendar: Calendar, today: date
) -> Range | None:
    end = counted_end(period, today)
    if period.start == end:
        return None
    try:
        if units is not None:
            start, end = _days_at_offset(period, end, units, _earlier_units(units, compare), calendar)
        elif compare == PREVIOUS_PERIOD:
            start, end = period.start - (end - period.start), period.start
        else:
            start, end = _year_before(period.start), _year_before(end - _DAY) + _DAY
    except (ValueError, OverflowError):
        # Before the first day that `date` can represent.
        return None
    return (start, end) if FIRST_DAY <= start < end else None


def _earlier_units(units: _Units, compare: str) -> _Units:
    """Return as many units directly before, or the same units a year before."""
    distance = units.stop - units.first if compare == PREVIOUS_PERIOD else _UNITS_PER_YEAR[units.unit]
    return units._replace(first=units.first - distance, stop=units.stop - distance)


def _days_at_offset(period: Period, end: date, units: _Units, earlier: _Units, calendar: Calendar) -> Range:
    """Return the days of the earlier units at the offset of the period in its own: as many as it has, up to `end`.

    Where the earlier units have fewer days, their end is the end; the result has no days if it would begin there. Whole units
    that are complete are compared with whole units.
    """
    own_start, own_end = calendar.unit_range(units.first, units.stop, units.unit)
    earlier_start, earlier_end = calendar.unit_range(earlier.first, earlier.stop, earlier.unit)
    if period.complete and (period.start, period.end) == (own_start, own_end):
        return earlier_start, earlier_end
    start = earlier_start + (period.start - own_start)
    return start, min(start + (end - period.start), earlier_end)


def _year_before(day: date) -> date:
    """Return the same day of the year before; for 29 February, 28 February."""
    is_leap_day = (day.month, day.day) == (2, 29)
    return day.replace(year=day.year - 1, day=28 if is_leap_day else day.day)
