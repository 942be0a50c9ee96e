"""Periods: parse the names of date ranges, and split a range into days, weeks, months, quarters or years.

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
from app.core.names import name_fault, nearest_names

UNITS = ("day", "week", "month", "quarter", "year")
GRANULARITIES = (*UNITS, "total")
DAYS_PER_UNIT = {"day": 1, "week": 7}
MONTHS_PER_UNIT = {"month": 1, "quarter": 3, "year": 12}

# A year before the limit of `date`, so that the unit after the last one and any time zone's offset are still valid dates.
FIRST_DAY, LAST_END = date(1970, 1, 1), date(9999, 1, 1)
_MAX_PERIODS = 10_000
_MAX_LAST_UNITS = 1_200
_DAY = timedelta(days=1)
_DAYS_PER_MONTH = Fraction(487, 16)  # 30.4375 = 365.25 / 12

_DAY_NAME = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_CALENDAR_NAME = re.compile(r"([0-9]{4})(?:-Q([1-4])|-W([0-9]{2})|-([0-9]{2})(?:-([0-9]{2}))?)?")
_LAST_UNITS = re.compile(r"last_([1-9][0-9]{0,3})_(day|week|month|quarter|year)s")
_TO_DATE = {f"{unit}_to_date": unit for unit in UNITS[1:]}
# Name -> unit, first and stop, both relative to the current unit.
_RELATIVE = (
    {"today": ("day", 0, 1), "yesterday": ("day", -1, 0)}
    | {f"this_{unit}": (unit, 0, 1) for unit in UNITS[1:]}
    | {f"last_{unit}": (unit, -1, 0) for unit in UNITS[1:]}
)

_PERIOD_NAMES = (
    "Use a year, quarter, month, ISO week or day (2026, 2026-Q1, 2026-03, 2026-W07, 2026-03-14), or a name "
    "such as today, yesterday, this_month, last_month, month_to_date or last_12_months (at most 1200)."
)
_NO_SUCH_PERIOD = "This period does not exist, or it is not within the years 1970 to 9998."
_OUT_OF_RANGE = "The range must lie within the years 1970 to 9998."

Range = tuple[date, date]


def _parse_day(value: Any) -> date:
    if isinstance(value, str) and _DAY_NAME.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise PydanticCustomError("date", "Expected a date as YYYY-MM-DD.")


# A date as clients write it. Numbers and times are not accepted.
Day = Annotated[
    date, PlainValidator(_parse_day, json_schema_input_type=str), Field(json_schema_extra={"format": "date"})
]


@dataclass(frozen=True, slots=True)
class Calendar:
    """The calendar of a deployment: its reporting time zone and the first month (1 to 12) of its fiscal year.

    Instants and days must lie within the years 1970 to 9998: at the limits of `datetime` a zone's offset overflows.

    The days, weeks, months, quarters and years of a calendar are its units. Units of one kind are numbered consecutively, also
    across years, so that a named range is two numbers.
    """

    zone: ZoneInfo
    fiscal_year_start: int = 1

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
            return (day.toordinal() - 1) // DAYS_PER_UNIT[unit]  # 0001-01-01, the first day of `date`, is a Monday
        return (day.year * 12 + day.month - self.fiscal_year_start) // MONTHS_PER_UNIT[unit]

    def unit_start(self, number: int, unit: str) -> date:
        """Return the first day of a unit. Raises ValueError or OverflowError for a day that `date` cannot represent."""
        if unit in DAYS_PER_UNIT:
            return date.fromordinal(number * DAYS_PER_UNIT[unit] + 1)
        year, month = divmod(number * MONTHS_PER_UNIT[unit] + self.fiscal_year_start - 1, 12)
        return date(year, month + 1, 1)

    def unit_range(self, first: int, stop: int, unit: str) -> Range:
        """Return the range of the units from number `first` to before number `stop`."""
        return self.unit_start(first, unit), self.unit_start(stop, unit)

    def unit_name(self, start: date, unit: str) -> str:
        """Return the name of the unit that begins on a day, as `parse_period` reads it."""
        if unit == "day":
            return start.isoformat()
        if unit == "week":
            year, week, _ = start.isocalendar()
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


def default_range(*, calendar: Calendar, today: date) -> Range:
    """Return the range of a question without one: the last 12 whole months and the current month to its end."""
    start, _ = parse_period("last_12_months", calendar=calendar, today=today)
    _, end = parse_period("this_month", calendar=calendar, today=today)
    return start, end


def parse_range(
    period: str | None, start: date | None, end: date | None, *, calendar: Calendar, today: date
) -> tuple[date | None, date | None]:
    """Return the range that the parameters `period` or `start` and `end` name; None for what is left out. Raises Invalid."""
    if period is None:
        return start, end
    if start or end:
        detail = "Use either `period` or `start` and `end`, not both."
        raise Invalid.at("/query/period", detail, code="invalid_period")
    return parse_period(period, calendar=calendar, today=today)


def parse_period(text: str, *, calendar: Calendar, today: date) -> Range:
    """Return the range that the parameter `period` names. Raises Invalid for any other text.

    Quarters and years are fiscal; a fiscal year is named by the year in which it ends. `last_N_…` are the N whole units before
    the current one. `…_to_date` includes today.

    >>> parse_period("2026-Q1", calendar=Calendar(ZoneInfo("UTC"), fiscal_year_start=4), today=date(2026, 3, 14))
    (datetime.date(2025, 4, 1), datetime.date(2025, 7, 1))
    """
    try:
        days = _parse_calendar_name(text, calendar) or _parse_relative_name(text, calendar, today)
    except (ValueError, OverflowError) as error:
        raise Invalid.at("/query/period", _NO_SUCH_PERIOD, code="invalid_period") from error
    if days is None:
        # The text is not repeated: unlike a name, it may be anything.
        nearest = nearest_names(text, [*_RELATIVE, *_TO_DATE])
        fault = name_fault(
            "/query/period", "Unknown period.", None, nearest, code="invalid_period", advice=_PERIOD_NAMES
        )
        raise Invalid.of([fault])
    start, end = days
    if start < FIRST_DAY or end > LAST_END:
        raise Invalid.at("/query/period", _NO_SUCH_PERIOD, code="invalid_period")
    return start, end


def _parse_calendar_name(text: str, calendar: Calendar) -> Range | None:
    """Return the range of a name such as 2026-Q1, or None for any other text. Raises ValueError if it does not exist."""
    match = _CALENDAR_NAME.fullmatch(text)
    if not match:
        return None
    year = int(match[1])
    quarter, week, month, day = (int(part) if part else None for part in match.groups()[1:])
    fiscal_year = year - calendar.name_offset
    if quarter is not None:
        unit, number = "quarter", fiscal_year * 4 + quarter - 1
    elif week is not None:
        unit, number = "week", calendar.unit_number(date.fromisocalendar(year, week, 1), "week")
    elif month is not None:
        unit = "month" if day is None else "day"
        number = calendar.unit_number(date(year, month, 1 if day is None else day), unit)
    else:
        unit, number = "year", fiscal_year
    return calendar.unit_range(number, number + 1, unit)


def _parse_relative_name(text: str, calendar: Calendar, today: date) -> Range | None:
    """Return the range of a name that depends on today, or None for any other text.

    Raises ValueError or OverflowError for days that `date` cannot represent.
    """
    if unit := _TO_DATE.get(text):
        return calendar.unit_start(calendar.unit_number(today, unit), unit), today + _DAY
    if match := _LAST_UNITS.fullmatch(text):
        unit, first, stop = match[2], -int(match[1]), 0
    elif text in _RELATIVE:
        unit, first, stop = _RELATIVE[text]
    else:
        return None
    if first < -_MAX_LAST_UNITS:
        return None
    current = calendar.unit_number(today, unit)
    return calendar.unit_range(current + first, current + stop, unit)


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
        raise Invalid.at("/query/start", _OUT_OF_RANGE, code="invalid_period")
    if end > LAST_END:
        raise Invalid.at("/query/end", _OUT_OF_RANGE, code="invalid_period")


def months_before(day: date, months: int) -> date:
    """Return the same day so many months earlier, or the last day of that month if it is shorter."""
    year, month = divmod(12 * day.year + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def start_of_previous_range(start: date, end: date) -> date | None:
    """Return the first day of the range of equal length right before `[start, end)`, or None if it is before 1970.

    The length is counted in months if the range is whole months, else in days.

    >>> start_of_previous_range(date(2026, 3, 1), date(2026, 5, 1))
    datetime.date(2026, 1, 1)
    """
    try:
        whole_months = start.day == end.day == 1
        first = months_before(start, int(count_months(start, end))) if whole_months else start - (end - start)
    except (ValueError, OverflowError):
        return None
    return first if first >= FIRST_DAY else None


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
