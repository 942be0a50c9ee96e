"""Periods: how a deployment's time is cut into days, weeks, months, quarters and years.

A range is two dates `[start, end)`, its end excluded, within the years 1970 to 9998. Units of one kind are numbered
through (the next month is + 1 across years, the next week + 1 across ISO years), so that a named range is two numbers.
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

# A year short of what `date` can hold, so that the unit after the last one and any time zone's shift are still dates.
FIRST_DAY, LAST_END = date(1970, 1, 1), date(9999, 1, 1)
_MOST_PERIODS = 10_000
_MOST_UNITS = 1_200
_DAY = timedelta(days=1)
_DAYS_PER_MONTH = Fraction(487, 16)  # 30.4375 = 365.25 / 12

DAYS_OF = {"day": 1, "week": 7}
MONTHS_OF = {"month": 1, "quarter": 3, "year": 12}

_RELATIVE = (
    {"today": ("day", 0, 1), "yesterday": ("day", -1, 0)}
    | {f"this_{unit}": (unit, 0, 1) for unit in UNITS[1:]}
    | {f"last_{unit}": (unit, -1, 0) for unit in UNITS[1:]}
)
_TO_DATE = {f"{unit}_to_date": unit for unit in UNITS[1:]}
_LAST_UNITS = re.compile(r"last_([1-9][0-9]{0,3})_(day|week|month|quarter|year)s")
_YEAR_OR_PART = re.compile(r"([0-9]{4})(?:-Q([1-4])|-W([0-9]{2})|-([0-9]{2})(?:-([0-9]{2}))?)?")

_SPELLED_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

_SPELLINGS = (
    "A period is a year, quarter, month, ISO week or day (2026, 2026-Q1, 2026-03, 2026-W07, 2026-03-14), or a name "
    "such as today, yesterday, this_month, last_month, month_to_date or last_12_months (at most 1200)."
)
_NO_SUCH = "There is no such period in the years 1970 to 9998."
_OUTSIDE = "A range lies in the years 1970 to 9998."


def _day(given: Any) -> date:
    if isinstance(given, str) and _SPELLED_DAY.fullmatch(given):
        try:
            return date.fromisoformat(given)
        except ValueError:
            pass
    raise PydanticCustomError("date", "A date is spelled YYYY-MM-DD.")


# A date as clients spell it; numbers and times are none.
Day = Annotated[date, PlainValidator(_day, json_schema_input_type=str), Field(json_schema_extra={"format": "date"})]


@dataclass(frozen=True, slots=True)
class Calendar:
    """One deployment's: the time zone in which a day begins, and the month (1 to 12) in which the fiscal year does.

    Instants and days must be of the years 1970 to 9998: at the ends of what `datetime` holds a zone's shift overflows.
    """

    zone: ZoneInfo
    fiscal_year_start: int = 1

    def day(self, at: datetime) -> date:
        """The reporting day of an aware instant. ValueError: it is naive, so nobody knows when it was."""
        if at.utcoffset() is None:
            raise ValueError("an instant needs its offset from UTC")
        # By way of UTC, or a time of this very zone that its clocks skipped would keep a day that it loses when stored.
        return at.astimezone(UTC).astimezone(self.zone).date()

    def midnight(self, on: date) -> datetime:
        """The first instant of the day, in UTC: Python compares two times of one zone by the wall clock.

        Where the clocks skip midnight it is the moment they do (no zone's gap has begun before midnight and passed it
        since 1970), so a day that a zone left out begins, empty, with the next.
        """
        return datetime.combine(on, time.min, self.zone).astimezone(UTC)


@lru_cache(maxsize=20_000)
def units_containing(on: date, calendar: Calendar) -> tuple[tuple[date, date], ...]:
    """The day, week, month, quarter and year that hold a day, in the order of `UNITS`, each `[start, end)`."""
    numbers = ((unit, _number(on, unit=unit, calendar=calendar)) for unit in UNITS)
    return tuple(_days(unit, number, number + 1, calendar=calendar) for unit, number in numbers)


class Period(NamedTuple):
    """`[start, end)` under its name. complete: all of its days have passed; until then see `counted_end`."""

    name: str
    start: date
    end: date
    complete: bool


def default_range(*, calendar: Calendar, today: date) -> tuple[date, date]:
    """The range of a question that names none: the last 12 whole months, and the running one to its end."""
    start, _ = parse_period("last_12_months", calendar=calendar, today=today)
    _, end = parse_period("this_month", calendar=calendar, today=today)
    return start, end


def parse_period(text: str, *, calendar: Calendar, today: date) -> tuple[date, date]:
    """The `[start, end)` that the parameter `period` names; Invalid for any other text.

    Quarters and years are fiscal and named by the year in which the fiscal year ends. `last_N_...` are the N whole
    units before the running one; `..._to_date` ends tomorrow, so that today counts.

    >>> range_of("2026-Q1", calendar=Calendar(ZoneInfo("UTC"), fiscal_year_start=4), today=date(2026, 3, 14))
    (datetime.date(2025, 4, 1), datetime.date(2025, 7, 1))
    """
    try:
        named = _absolute(text, calendar=calendar) or _relative(text, calendar=calendar, today=today)
    except (ValueError, OverflowError) as error:
        raise Invalid.at("/query/period", _NO_SUCH, code="invalid_period") from error
    if named is None:
        raise Invalid.at("/query/period", _SPELLINGS, code="invalid_period")
    start, end = named
    if start < FIRST_DAY or end > LAST_END:
        raise Invalid.at("/query/period", _NO_SUCH, code="invalid_period")
    return start, end


def parse_range(
    period: str | None, start: date | None, end: date | None, *, calendar: Calendar, today: date
) -> tuple[date | None, date | None]:
    """The range that is asked for, by its name or by its days, which may be left out. Raises Invalid."""
    if period is None:
        return start, end
    if start or end:
        raise Invalid.at("/query/period", "Either `period`, or `start` and `end`.", code="invalid_period")
    return parse_period(period, calendar=calendar, today=today)


def _absolute(text: str, *, calendar: Calendar) -> tuple[date, date] | None:
    """The days of a name such as 2026-Q1; None: not such a name. ValueError: the calendar has no such unit."""
    found = _YEAR_OR_PART.fullmatch(text)
    if not found:
        return None
    year, quarter, week, month, day = (int(part) if part else None for part in found.groups())
    assert year is not None
    fiscal = year - _named_ahead(calendar)
    if quarter is not None:
        unit, number = "quarter", fiscal * 4 + quarter - 1
    elif week is not None:
        unit, number = "week", _number(date.fromisocalendar(year, week, 1), unit="week", calendar=calendar)
    elif day is not None and month is not None:
        unit, number = "day", _number(date(year, month, day), unit="day", calendar=calendar)
    elif month is not None:
        unit, number = "month", _number(date(year, month, 1), unit="month", calendar=calendar)
    else:
        unit, number = "year", fiscal
    return _days(unit, number, number + 1, calendar=calendar)


def _relative(text: str, *, calendar: Calendar, today: date) -> tuple[date, date] | None:
    """The days of a name that depends on today; None: not such a name. ValueError, OverflowError: no such days."""
    if unit := _TO_DATE.get(text):
        return _first_day(_number(today, unit=unit, calendar=calendar), unit=unit, calendar=calendar), today + _DAY
    if found := _LAST_UNITS.fullmatch(text):
        unit, first, past = found[2], -int(found[1]), 0
    elif text in _RELATIVE:
        unit, first, past = _RELATIVE[text]
    else:
        return None
    if first < -_MOST_UNITS:
        return None
    running = _number(today, unit=unit, calendar=calendar)
    return _days(unit, running + first, running + past, calendar=calendar)


def _days(unit: str, first: int, past: int, *, calendar: Calendar) -> tuple[date, date]:
    return _first_day(first, unit=unit, calendar=calendar), _first_day(past, unit=unit, calendar=calendar)


def split_range(start: date, end: date, *, granularity: str, calendar: Calendar, today: date) -> list[Period]:
    """The periods of `[start, end)` in order, without gap or overlap; clipped at its edges, where they keep their name.

    A period is complete when its (clipped) end is today or earlier.
    Invalid: an empty range, one outside the years 1970 to 9998, one of more than 10,000 periods, another granularity.
    """
    _check(start, end, granularity=granularity)
    if granularity == "total":
        return [Period("total", start, end, end <= today)]
    first = _number(start, unit=granularity, calendar=calendar)
    past = _number(end - _DAY, unit=granularity, calendar=calendar) + 1
    if past - first > _MOST_PERIODS:
        detail = "The range has more than 10,000 periods of this granularity; ask for a coarser one or a shorter range."
        raise Invalid.at("/query/granularity", detail, code="too_many_periods")
    begins = [_first_day(number, unit=granularity, calendar=calendar) for number in range(first, past)]
    names = [_name(number, on, unit=granularity, calendar=calendar) for number, on in enumerate(begins, first)]
    edges = [start, *begins[1:], end]
    return [Period(name, edges[i], edges[i + 1], edges[i + 1] <= today) for i, name in enumerate(names)]


def _check(start: date, end: date, *, granularity: str) -> None:
    if granularity not in GRANULARITIES:
        raise Invalid.at("/query/granularity", f"One of {', '.join(GRANULARITIES)}.", code="invalid_granularity")
    if start >= end:
        detail = "The end is excluded, so it must be later than the start."
        raise Invalid.at("/query/end", detail, code="invalid_period")
    if start < FIRST_DAY:
        raise Invalid.at("/query/start", _OUTSIDE, code="invalid_period")
    if end > LAST_END:
        raise Invalid.at("/query/end", _OUTSIDE, code="invalid_period")


def _number(on: date, *, unit: str, calendar: Calendar) -> int:
    """The running number of the unit that holds the day."""
    if unit in DAYS_OF:
        return (on.toordinal() - 1) // DAYS_OF[unit]  # day 1 of the calendar, 0001-01-01, is a Monday
    return (on.year * 12 + on.month - calendar.fiscal_year_start) // MONTHS_OF[unit]


def _first_day(number: int, *, unit: str, calendar: Calendar) -> date:
    """The first day of the unit of that number. ValueError: `date` does not reach that far."""
    if unit in DAYS_OF:
        return date.fromordinal(number * DAYS_OF[unit] + 1)
    year, month = divmod(number * MONTHS_OF[unit] + calendar.fiscal_year_start - 1, 12)
    return date(year, month + 1, 1)


def _name(number: int, first_day: date, *, unit: str, calendar: Calendar) -> str:
    """What `parse_period` reads as this very unit."""
    if unit == "day":
        return first_day.isoformat()
    if unit == "week":
        year, week, _ = first_day.isocalendar()
        return f"{year}-W{week:02}"
    if unit == "month":
        return first_day.isoformat()[:7]
    if unit == "quarter":
        year, quarter = divmod(number, 4)
        return f"{year + _named_ahead(calendar)}-Q{quarter + 1}"
    return f"{number + _named_ahead(calendar)}"


def _named_ahead(calendar: Calendar) -> int:
    """How many years a fiscal year's name is ahead of the year in which it begins."""
    return int(calendar.fiscal_year_start > 1)


def months_before(day: date, months: int) -> date:
    """The same day so many months earlier; one that the month there has not is its last."""
    year, month = divmod(12 * day.year + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def start_of_previous_range(start: date, end: date) -> date | None:
    """The first day of the range right before `[start, end)` that is as long: in months if it is whole ones, else in days.

    None: it is before 1970, when nothing is known.

    >>> as_long_before(date(2026, 3, 1), date(2026, 5, 1))
    datetime.date(2026, 1, 1)
    """
    try:
        whole = start.day == end.day == 1
        first = months_before(start, int(count_months(start, end))) if whole else start - (end - start)
    except (ValueError, OverflowError):
        return None
    return first if first >= FIRST_DAY else None


def counted_end(period: Period, today: date) -> date:
    """The end up to which entries count: tomorrow while the period runs, so that what is dated later waits for its day.

    Never before `start`: a period wholly in the future is empty, and its closing balance is its opening one (of which
    entries dated before `start` are a part, also those to come).
    """
    if period.end <= today:
        return period.end
    return max(period.start, min(period.end, today + _DAY))


@lru_cache(maxsize=10_000)
def count_months(start: date, end: date) -> Fraction:
    """How many months `[start, end)` is: exact for whole calendar months, else its days / 30.4375; 0 when it is empty.

    Of a period that runs, ask with its counted end.
    """
    if start.day == end.day == 1:
        return Fraction((end.year - start.year) * 12 + end.month - start.month)
    return (end - start).days / _DAYS_PER_MONTH
