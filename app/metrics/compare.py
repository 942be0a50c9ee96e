"""Comparison: the earlier period of a period, the change from it, and whether the change is significant."""

from datetime import date, timedelta
from typing import Any

from app.core.periods import (
    DAYS_PER_UNIT,
    FIRST_DAY,
    MONTHS_PER_UNIT,
    Period,
    counted_end,
    months_before,
    start_of_previous_range,
)
from app.metrics.question import Question
from app.metrics.results import Result
from app.metrics.statistics import proportions_differ, scores_differ

_DAY = timedelta(days=1)
_WEEKS_PER_YEAR = 52
# The members that a comparison adds to a row.
COMPARISON = ("previous", "change", "change_percent", "significant")


def previous_days(period: Period, question: Question) -> tuple[date, date] | None:
    """Return the days `[start, end)` that a period is compared with; None where they begin before 1970.

    `previous_period` is the unit of the granularity before; for a total, the range before of the same length: in months
    if it consists of whole months. `previous_year` is twelve months earlier; for weeks, 52 weeks. A day of the month that
    the earlier month does not have becomes its last day. A period that has not ended is compared with as many days of the
    earlier one as have passed of it.
    """
    unit = "total" if period.name == "total" else question.granularity
    start: date | None
    if unit == "total" and question.compare == "previous_period":
        start, end = start_of_previous_range(period.start, period.end), period.start
    else:
        start, end = (_shift(day, unit, question.compare) for day in (period.start, period.end))
    if start is None or start < FIRST_DAY:
        return None
    # 29 to 31 March have no days in February: its last day stands for them. A day stays one day.
    end = start + _DAY if unit == "day" else max(end, start + _DAY)
    if not period.complete:
        end = min(end, start + (counted_end(period, question.today) - period.start))
    return start, end


def _shift(day: date, unit: str, compare: str | None) -> date:
    if compare == "previous_year":
        return day - timedelta(weeks=_WEEKS_PER_YEAR) if unit == "week" else months_before(day, 12)
    return (
        months_before(day, MONTHS_PER_UNIT[unit])
        if unit in MONTHS_PER_UNIT
        else day - timedelta(days=DAYS_PER_UNIT[unit])
    )


def compare_results(current: Result, previous: Result | None) -> dict[str, Any]:
    """Return what a row has about its earlier value; None where either value is missing.

    `change_percent` is relative to the absolute earlier value, so its sign is that of the change.
    """
    members: dict[str, Any] = dict.fromkeys(COMPARISON)
    if previous is None or previous.value is None:
        return members
    members["previous"] = previous.value
    if current.value is not None:
        members["change"] = change = current.value - previous.value
        members["change_percent"] = 100 * change / abs(previous.value) if previous.value else None
        members["significant"] = is_significant(current, previous)
    return members


def is_significant(current: Result, previous: Result) -> bool | None:
    """Return whether two proportions or scores differ by more than chance, at 95%; None for all other results."""
    if not (current.interval and previous.interval):
        return None
    if current.spread and previous.spread:
        return scores_differ(current.spread, previous.spread)
    return proportions_differ(*_counts(current), *_counts(previous))


def _counts(result: Result) -> tuple[int, int]:
    return int(result.numerator or 0), int(result.denominator or 0)


def withhold_small_sample(result: Result, *, min_sample: int) -> Result:
    """Return the result or, if its sample is smaller, one without value, numerator and denominator.

    The sample size stays, unless it is the value itself. Results without a sample, such as sums of money, are not withheld.
    This is against noise, not for secrecy: sums, totals and other conventions may reveal what one row does not.
    """
    if result.sample_size is None or result.sample_size >= min_sample:
        return result
    is_value = result.value is not None and result.denominator is None and result.amount is None
    return Result(None, sample_size=None if is_value else result.sample_size, reason="sample_too_small")
