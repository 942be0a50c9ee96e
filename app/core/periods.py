"""Periods: the calendar of a deployment, and how it splits a range into days, weeks, months, quarters or years.

A range is two dates `[start, end)`: the end is excluded. Ranges lie within the years 1970 to 9998.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError

from app.core.errors import Invalid

UNITS = ("day", "week", "month", "quarter", "year")
GRANULARITIES = (*UNITS, "total")
DAYS_PER_UNIT = {"day": 1, "week": 7}
WEEK_STARTS = ("monday", "sunday")
MONTHS_PER_UNIT = {"month": 1, "quarter": 3, "year": 12}

# A year before the limit of `date`, so that the unit after the last one and any time zone's offset are still valid dates.
FIRST_DAY, LAST_END = date(1970, 1, 1), date(9999, 1, 1)
_MAX_PERIODS = 10_000
_DAY = timedelta(days=1)
_DAYS_PER_MONTH = Fraction(487, 16)  # 30.4375 = 365.25 / 12

_DAY_NAME = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
OUT_OF_RANGE = "The range must lie within the years 1970 to 9998."

Range = tuple[date, date]


def _parse_day(value: Any) -> date:
    if isinstance(value, str) and _DAY_NAME.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError("date", "This day does not exist.") from None
    raise PydanticCustomError("date", "Expected a date as YYYY-MM-DD, such as 2026-03-14.")


# A date as clients write it. Numbers and times are not accepted.
Day = Annotated[
    date, PlainValidator(_parse_day, json_schema_input_type=str), Field(json_schema_extra={"format": "date"})
]


@dataclass(frozen=True, slots=True)
class Calendar:
    """The calendar of a deployment: its reporting time zone, the first month (1 to 12) of its fiscal year, and the first day
    of its weeks, one of `WEEK_STARTS`.

    Instants and days must lie within the years 1970 to 9998: at the limits of `datetime` a zone's offset overflows.

    The days, weeks, months, quarters and years of a calendar are its units. Units of one kind are numbered consecutively, also
    across years, so that a named range is two numbers.
    """

    zone: ZoneInfo
    fiscal_year_start: int = 1
    week_start: str = "monday"

    def day(self, instant: datetime) -> date:
        """Return the reporting day of an instant. Raises ValueError for one without an offset from UTC."""
        if instant.utcoffset() is None:
            raise ValueError("an instant needs its offset from UTC")
        # Via UTC: a time of this zone that its clocks skipped would otherwise be on another day than after it is stored.
        return instant.astimezone(UTC).astimezone(self.zone).date()

    def midnight(self, day: date) -> datetime:
        """Return the first instant of a day, in UTC, since Python compares two times of one zone by their wall clock.

        If the clocks skip midnight, the day begins when they do (since 1970 no zone has had a gap that began before midnight and
        ended after it). A day that a zone left out is empty: it begins at the same instant as the next day.
        """
        return datetime.combine(day, time.min, self.zone).astimezone(UTC)

    def unit_number(self, day: date, unit: str) -> int:
        """Return the number of the unit that contains a day."""
        if unit in DAYS_PER_UNIT:
            return (day.toordinal() - self._first_ordinal(unit)) // DAYS_PER_UNIT[unit]
        return (day.year * 12 + day.month - self.fiscal_year_start) // MONTHS_PER_UNIT[unit]

    def unit_start(self, number: int, unit: str) -> date:
        """Return the first day of a unit. Raises ValueError or OverflowError for a day that `date` cannot represent."""
        if unit in DAYS_PER_UNIT:
            return date.fromordinal(number * DAYS_PER_UNIT[unit] + self._first_ordinal(unit))
        year, month = divmod(number * MONTHS_PER_UNIT[unit] + self.fiscal_year_start - 1, 12)
        return date(year, month + 1, 1)

    def _first_ordinal(self, unit: str) -> int:
        """Return the ordinal of the first day of day or week 0: 0001-01-01, a Monday with ordinal 1, or the day before it."""
        return 0 if unit == "week" and self.week_start == "sunday" else 1

    def unit_range(self, first: int, stop: int, unit: str) -> Range:
        """Return the range of the units from number `first` to before number `stop`."""
        return self.unit_start(first, unit), self.unit_start(stop, unit)

    def unit_name(self, start: date, unit: str) -> str:
        """Return the name of the unit that begins on a day, as `parse_period` reads it.

        A week has the name of the ISO week that contains its Monday; of a week from Sunday, that is all but its first day.
        """
        if unit == "day":
            return start.isoformat()
        if unit == "week":
            monday = start + _DAY if self.week_start == "sunday" else start
            year, week, _ = monday.isocalendar()
            return f"{year}-W{week:02}"
        if unit == "month":
            return start.isoformat()[:7]
        if unit == "quarter":
            year, quarter = divmod(self.unit_number(start, unit), 4)
            return f"{year + self.name_offset}-Q{quarter + 1}"
        return f"{self.unit_number(start, unit) + self.name_offset}"

    @property
    def name_offset(self) -> int:
        """Return how many years the name of a fiscal year is ahead of the calendar year in which it begins."""
        return int(self.fiscal_year_start > 1)


@lru_cache(maxsize=20_000)
def units_containing(day: date, calendar: Calendar) -> tuple[Range, ...]:
    """Return the ranges of the day, week, month, quarter and year that contain a day, in the order of `UNITS`."""
    numbers = ((calendar.unit_number(day, unit), unit) for unit in UNITS)
    return tuple(calendar.unit_range(number, number + 1, unit) for number, unit in numbers)


class Period(NamedTuple):
    """A range with a name. complete: all of its days have passed. While it is not complete, see `counted_end`."""

    name: str
    start: date
    end: date
    complete: bool


def split_range(start: date, end: date, *, granularity: str, calendar: Calendar, today: date) -> list[Period]:
    """Return the periods of `[start, end)` in order, without gaps or overlaps.

    The first and the last period are clipped to the range and keep their names. A period is complete when its (clipped) end is
    today or earlier. Raises Invalid for an empty range, one outside the years 1970 to 9998, one of more than 10,000 periods, and
    an unknown granularity.
    """
    _check_range(start, end, granularity=granularity)
    if granularity == "total":
        return [Period("total", start, end, end <= today)]
    first = calendar.unit_number(start, granularity)
    stop = calendar.unit_number(end - _DAY, granularity) + 1
    if stop - first > _MAX_PERIODS:
        detail = "The range has more than 10,000 periods. Choose a coarser granularity or a shorter range."
        raise Invalid.at("/query/granularity", detail, code="too_many_periods")
    starts = [calendar.unit_start(number, granularity) for number in range(first, stop)]
    names = [calendar.unit_name(unit_start, granularity) for unit_start in starts]
    edges = [start, *starts[1:], end]
    return [Period(name, edges[i], edges[i + 1], edges[i + 1] <= today) for i, name in enumerate(names)]


def _check_range(start: date, end: date, *, granularity: str) -> None:
    """Raise Invalid for a range or a granularity that cannot be split."""
    if granularity not in GRANULARITIES:
        detail = f"Unknown granularity. Use one of: {', '.join(GRANULARITIES)}."
        raise Invalid.at("/query/granularity", detail, code="invalid_granularity")
    if start >= end:
        detail = "`end` must be later than `start`, because the end is excluded."
        raise Invalid.at("/query/end", detail, code="invalid_period")
    if start < FIRST_DAY:
        raise Invalid.at("/query/start", OUT_OF_RANGE, code="invalid_period")
    if end > LAST_END:
        raise Invalid.at("/query/end", OUT_OF_RANGE, code="invalid_period")


def months_before(day: date, months: int) -> date:
    """Return the same day so many months earlier, or the last day of that month if it is shorter."""
    year, month = divmod(12 * day.year + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def counted_end(period: Period, today: date) -> date:
    """Return the end up to which entries of a period count: tomorrow while it runs, so that later entries wait for their day.

    Never before the period's start. So a period in the future is empty, and its closing balance is its opening balance (which
    includes all entries dated before the start, also those of days to come).
    """
    if period.end <= today:
        return period.end
    return max(period.start, min(period.end, today + _DAY))


@lru_cache(maxsize=10_000)
def count_months(start: date, end: date) -> Fraction:
    """Return the length of `[start, end)` in months: exact for whole calendar months, else its days / 30.4375.

    For a period that is not complete, pass its counted end.
    """
    if start.day == end.day == 1:
        return Fraction((end.year - start.year) * 12 + end.month - start.month)
    return (end - start).days / _DAYS_PER_MONTH
