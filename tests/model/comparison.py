"""Comparison by docs/metrics.md: the days with which a period is compared, what changed, and what is withheld."""

from datetime import date
from fractions import Fraction
from math import sqrt
from typing import Any, NamedTuple

from tests.model.calendar import DAY
from tests.model.facts import Row, Span, Z

FIRST_DAY = date(1970, 1, 1)


class Period(NamedTuple):
    name: str
    start: date
    end: date


def days_before(period: Period, compare: str | None, granularity: str, as_of: date) -> Span | None:
    """Return the days with which a period is compared; None if they begin before 1970.

    For `previous_period` that is the unit before; for a total, the range before of the same length. For `previous_year` it is
    the same days a year before; for weeks, 52 weeks before.
    """
    unit = "total" if period.name == "total" else granularity
    has_whole_months = period.start.day == period.end.day == 1
    months = {"month": 1, "quarter": 3, "year": 12}.get(unit)
    days = {"day": 1, "week": 7}.get(unit)
    if compare == "previous_year":
        months, days = (None, 364) if unit == "week" else (12, None)
    elif unit == "total":
        length = 12 * (period.end.year - period.start.year) + period.end.month - period.start.month
        months, days = (length, None) if has_whole_months else (None, (period.end - period.start).days)
    start, end = (day - DAY * days if days else _months_before(day, months or 0) for day in period[1:])
    end = max(end, start + DAY)
    if unit == "day":
        end = start + DAY
    if period.end > as_of:
        # A period that has not ended is compared with as many days as have passed of it; one in the future, with none.
        end = min(end, start + DAY * max(0, (as_of - period.start).days + 1))
    return Span(start, end) if start >= FIRST_DAY else None


def _months_before(day: date, months: int) -> date:
    first = day.replace(day=1)
    for _ in range(months):
        first = (first - DAY).replace(day=1)
    last = (first + DAY * 31).replace(day=1) - DAY
    return min(first + DAY * (day.day - 1), last)


def withhold(row: Row, min_sample: int) -> Row:
    """Return a row without everything that tells the value if its sample is too small; a count is its own sample."""
    sample = row["sample_size"]
    if sample is None or sample >= min_sample:
        return row
    is_count = row["denominator"] is None and row["value"] is not None and "amount" not in row
    bare = dict.fromkeys([name for name in row if name not in ("sample_size", "promoters", "detractors")])
    return bare | {"sample_size": None if is_count else sample, "reason": "sample_too_small"}


def comparison_fields(row: Row, before: Row) -> Row:
    """Return the fields that `compare` adds to a row."""
    value, previous = row["value"], before["value"]
    if previous is None:
        return {}
    if value is None:
        return {"previous": previous}
    change = value - previous
    percent = Fraction(100 * change) / abs(Fraction(previous)) if previous else None
    fields = {"previous": previous, "change": change, "change_percent": percent}
    return fields | {"significant": _is_significant(row, before)}


def _is_significant(row: Row, before: Row) -> bool | None:
    """Return whether two shares, or two means of scores 1, 0 and -1, differ by more than 1.96 standard errors."""
    if not (row["interval"] and before["interval"]):
        return None
    if "promoters" in row:
        (mean, variance), (other_mean, other_variance) = (_score_mean(r) for r in (row, before))
        return abs(mean - other_mean) > Z * sqrt(variance + other_variance)
    shares = [Fraction(r["numerator"], r["denominator"]) for r in (row, before)]
    sizes = [r["denominator"] for r in (row, before)]
    pooled = Fraction(row["numerator"] + before["numerator"], sum(sizes))
    error: Any = pooled * (1 - pooled) * (Fraction(1, sizes[0]) + Fraction(1, sizes[1]))
    return float(abs(shares[0] - shares[1])) > Z * sqrt(error)


def _score_mean(row: Row) -> tuple[float, float]:
    """Return the mean of scores 1, 0 and -1 and its variance, with three scores added: ¾ of 1, 1½ of 0, ¾ of -1."""
    passives = row["denominator"] - row["promoters"] - row["detractors"]
    weights = {1: row["promoters"] + 0.75, 0: passives + 1.5, -1: row["detractors"] + 0.75}
    n = sum(weights.values())
    mean = sum(score * weight for score, weight in weights.items()) / n
    return mean, sum(weight * (score - mean) ** 2 for score, weight in weights.items()) / n / n
