"""Comparison: the earlier period that a period is held against, and whether what changed is more than chance."""

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
_WEEKS_OF_A_YEAR = 52
PREVIOUS = ("previous", "change", "change_percent", "significant")


def earlier(period: Period, question: Question) -> tuple[date, date] | None:
    """The days `[start, end)` that a period is compared with; None where they begin before 1970, when nothing is known.

    `previous_period` is a unit of the granularity earlier and, of a total, as long as that is: in months if it is whole
    ones; `previous_year` is twelve months earlier, or 52 weeks if weeks are asked for. A day of the month that the earlier
    month has not is its last. Of a period that has not ended, as many days of the earlier one count as have passed of it.
    """
    unit = "total" if period.name == "total" else question.granularity
    start: date | None
    if unit == "total" and question.compare == "previous_period":
        start, end = start_of_previous_range(period.start, period.end), period.start
    else:
        start, end = (_moved(day, unit, question.compare) for day in (period.start, period.end))
    if start is None or start < FIRST_DAY:
        return None
    # The last days of March alone are no days of February: its last one is what there is. A day stays one.
    end = start + _DAY if unit == "day" else max(end, start + _DAY)
    if not period.complete:
        end = min(end, start + (counted_end(period, question.today) - period.start))
    return start, end


def _moved(day: date, unit: str, compare: str | None) -> date:
    if compare == "previous_year":
        return day - timedelta(weeks=_WEEKS_OF_A_YEAR) if unit == "week" else months_before(day, 12)
    return (
        months_before(day, MONTHS_PER_UNIT[unit])
        if unit in MONTHS_PER_UNIT
        else day - timedelta(days=DAYS_PER_UNIT[unit])
    )


def compared(now: Result, before: Result | None) -> dict[str, Any]:
    """What a row says of its earlier value; nulls where either is missing. A change is of the earlier value's size."""
    said: dict[str, Any] = dict.fromkeys(PREVIOUS)
    if before is None or before.value is None:
        return said
    said["previous"] = before.value
    if now.value is not None:
        said["change"] = change = now.value - before.value
        said["change_percent"] = 100 * change / abs(before.value) if before.value else None
        said["significant"] = significant(now, before)
    return said


def significant(now: Result, before: Result) -> bool | None:
    """Whether two proportions or two scores differ by more than chance at 95 %; None for all else."""
    if not (now.interval and before.interval):
        return None
    if now.spread and before.spread:
        return scores_differ(now.spread, before.spread)
    return proportions_differ(*_counts(now), *_counts(before))


def _counts(result: Result) -> tuple[int, int]:
    return int(result.numerator or 0), int(result.denominator or 0)


def withheld(result: Result, *, min_sample: int) -> Result:
    """The result or, of a smaller sample, only that it is too small: neither the value nor what it is made of.

    The size of the sample is still said, except where it is the value. What has no sample, a sum of money, is not withheld.
    It is there against noise, not for secrecy: sums, totals and other ways to count may tell what one row does not.
    """
    if result.sample_size is None or result.sample_size >= min_sample:
        return result
    is_value = result.value is not None and result.denominator is None and result.amount is None
    return Result(None, sample_size=None if is_value else result.sample_size, reason="sample_too_small")
