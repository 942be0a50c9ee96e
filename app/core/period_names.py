"""Names of periods: parse the parameters that name a range, such as `2026-Q1`, `last_12_months` or `month_to_date`."""

import re
from datetime import date, timedelta

from app.core.errors import Invalid
from app.core.names import name_fault, nearest_names
from app.core.periods import FIRST_DAY, LAST_END, OUT_OF_RANGE, UNITS, Calendar, Range

_DAY = timedelta(days=1)
_MAX_LAST_UNITS = 1_200

_CALENDAR_NAME = re.compile(r"([0-9]{4})(?:-Q([1-4])|-W([0-9]{2})|-([0-9]{2})(?:-([0-9]{2}))?)?")
# The unit of a name by the last group of `_CALENDAR_NAME` that it has.
_CALENDAR_UNITS = {1: "year", 2: "quarter", 3: "week", 4: "month", 5: "day"}
_LAST_UNITS = re.compile(r"last_([1-9][0-9]{0,3})_(day|week|month|quarter|year)s")
_TO_DATE = {f"{unit}_to_date": unit for unit in UNITS[1:]}
# Name -> unit, first and stop, both relative to the current unit.
_RELATIVE = (
    {"today": ("day", 0, 1), "yesterday": ("day", -1, 0)}
    | {f"this_{unit}": (unit, 0, 1) for unit in UNITS[1:]}
    | {f"last_{unit}": (unit, -1, 0) for unit in UNITS[1:]}
)

_PERIOD_NAMES = (
    "Use a year, quarter, month, week or day (2026, 2026-Q1, 2026-03, 2026-W07, 2026-03-14), or a name "
    "such as today, yesterday, this_month, last_month, month_to_date or last_12_months (at most 1200)."
)
_NO_SUCH_PERIOD = "This period does not exist, or it is not within the years 1970 to 9998."


def default_range(granularity: str = "month", *, calendar: Calendar, today: date) -> Range:
    """Return the range of a question without one: the last 12 whole months and the current month to its end.

    It is extended to whole periods of the granularity: otherwise a part of a quarter would have the name of the whole.
    """
    start, _ = parse_period("last_12_months", calendar=calendar, today=today)
    _, end = parse_period("this_month", calendar=calendar, today=today)
    if granularity not in UNITS:
        return start, end
    first, last = (calendar.unit_number(day, granularity) for day in (start, end - _DAY))
    return calendar.unit_range(first, last + 1, granularity)


def parse_range(
    period: str | None, start: date | None, end: date | None, *, calendar: Calendar, today: date
) -> tuple[date | None, date | None]:
    """Return the range that the parameters `period` or `start` and `end` name; None for what is left out. Raises Invalid."""
    if period is None:
        for name, day in {"start": start, "end": end}.items():
            if day is not None and not FIRST_DAY <= day <= LAST_END:
                raise Invalid.at(f"/query/{name}", OUT_OF_RANGE, code="invalid_period")
        return start, end
    if start or end:
        detail = "Use either `period` or `start` and `end`, not both."
        raise Invalid.at("/query/period", detail, code="invalid_period")
    return parse_period(period, calendar=calendar, today=today)


def parse_period(text: str, *, calendar: Calendar, today: date) -> Range:
    """Return the range that the parameter `period` names. Raises Invalid for any other text.

    Quarters and years are fiscal; a fiscal year is named by the year in which it ends. `last_N_…` are the N whole units before
    the current one. `…_to_date` includes today.

    >>> from zoneinfo import ZoneInfo
    >>> parse_period("2026-Q1", calendar=Calendar(ZoneInfo("UTC"), fiscal_year_start=4), today=date(2026, 3, 14))
    (datetime.date(2025, 4, 1), datetime.date(2025, 7, 1))
    """
    try:
        days = _parse_calendar_name(text, calendar) or _parse_relative_name(text, calendar, today)
    except (ValueError, OverflowError) as error:
        raise Invalid.at("/query/period", _NO_SUCH_PERIOD, code="invalid_period") from error
    if days is None:
        # The text is not repeated: unlike a name, it may be anything.
        nearest = nearest_names(text, [*_names_with_numbers_of(text), *_RELATIVE, *_TO_DATE])
        fault = name_fault(
            "/query/period", "Unknown period.", None, nearest, code="invalid_period", advice=_PERIOD_NAMES
        )
        raise Invalid.of([fault])
    start, end = days
    if start < FIRST_DAY or end > LAST_END:
        raise Invalid.at("/query/period", _NO_SUCH_PERIOD, code="invalid_period")
    return start, end


def _names_with_numbers_of(text: str) -> list[str]:
    """Return names that have the numbers of a text, for "Did you mean".

    >>> _names_with_numbers_of("last_12_month")
    ['last_12_days', 'last_12_weeks', 'last_12_months', 'last_12_quarters', 'last_12_years']
    >>> _names_with_numbers_of("2026Q1")
    ['2026-Q1']
    """
    if match := re.fullmatch(r"([0-9]{4})\W?[qQ]([1-4])", text):
        return [f"{match[1]}-Q{match[2]}"]
    number = re.search(r"[1-9][0-9]{0,3}", text)
    return [f"last_{number[0]}_{unit}s" for unit in UNITS] if number else []


def parse_as_of(as_of: date | None, *, today: date, first: date = FIRST_DAY) -> date:
    """Return the last day that counts: `as_of`, or the running day. Raises Invalid for a day before the first one or to come."""
    if as_of is not None and not first <= as_of <= today:
        raise Invalid.at("/query/as_of", f"as_of must be a day from {first} to today, {today}.", code="invalid_as_of")
    return as_of or today


def unit_of_name(text: str | None) -> str | None:
    """Return the unit that the name of a period is about; None for None and for any other text.

    >>> [unit_of_name(text) for text in ("2026-Q1", "month_to_date", "last_7_days")]
    ['quarter', 'month', 'day']
    """
    if text is None:
        return None
    if match := _CALENDAR_NAME.fullmatch(text):
        return _CALENDAR_UNITS[match.lastindex or 1]
    if match := _LAST_UNITS.fullmatch(text):
        return match[2]
    return _RELATIVE[text][0] if text in _RELATIVE else _TO_DATE.get(text)


def _parse_calendar_name(text: str, calendar: Calendar) -> Range | None:
    """Return the range of a name such as 2026-Q1, or None for any other text. Raises ValueError if it does not exist."""
    match = _CALENDAR_NAME.fullmatch(text)
    if not match:
        return None
    unit, year = _CALENDAR_UNITS[match.lastindex or 1], int(match[1])
    fiscal_year = year - calendar.name_offset
    if unit == "year":
        number = fiscal_year
    elif unit == "quarter":
        number = fiscal_year * 4 + int(match[2]) - 1
    elif unit == "week":
        number = calendar.unit_number(date.fromisocalendar(year, int(match[3]), 1), unit)
    else:
        number = calendar.unit_number(date(year, int(match[4]), int(match[5] or 1)), unit)
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
