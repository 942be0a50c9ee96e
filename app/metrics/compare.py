"""Comparison: the earlier period of a period, the change from it, and whether the change is significant."""

from typing import Any

from app.core.earlier_days import earlier_days_of_range, earlier_days_of_unit
from app.core.periods import Period, Range
from app.metrics.question import Question
from app.metrics.results import Result
from app.metrics.statistics import proportions_differ, scores_differ

# The members that a comparison adds to a row.
COMPARISON = ("previous", "change", "change_percent", "significant", "is_new")


def previous_days(period: Period, question: Question) -> Range | None:
    """Return the days `[start, end)` that a period of a question is compared with; None where there are none.

    A total with the same days as the only row beside it is compared with the same days as that row.
    """
    if question.compare is None:
        return None
    calendar, today, unit = question.calendar, question.today, question.granularity
    if period.name != "total" or (unit != "total" and len(question.periods) == 1):
        return earlier_days_of_unit(period, unit, compare=question.compare, calendar=calendar, today=today)
    return earlier_days_of_range(period, question.unit, compare=question.compare, calendar=calendar, today=today)


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
        # There is no percentage of nothing.
        members["is_new"] = bool(current.value) and not previous.value
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
