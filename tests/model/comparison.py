"""Comparison by docs/metrics.md: the days with which a period is compared, what changed, and what is withheld."""

from datetime import date
from fractions import Fraction
from math import sqrt
from typing import Any, NamedTuple

from tests.model.calendar import DAY
from tests.model.facts import Row, Span, Z

FIRST = date(1970, 1, 1)


class Period(NamedTuple):
    name: str
    start: date
    end: date


def days_before(period: Period, compare: str | None, granularity: str, known: date) -> Span | None:
    """The unit before, of a total the range before that is as long; or a year before, in weeks 52 of them."""
    unit = "total" if period.name == "total" else granularity
    whole = period.start.day == period.end.day == 1
    months = {"month": 1, "quarter": 3, "year": 12}.get(unit)
    days = {"day": 1, "week": 7}.get(unit)
    if compare == "previous_year":
        months, days = (None, 364) if unit == "week" else (12, None)
    elif unit == "total":
        length = 12 * (period.end.year - period.start.year) + period.end.month - period.start.month
        months, days = (length, None) if whole else (None, (period.end - period.start).days)
    start, end = (day - DAY * days if days else _months_before(day, months or 0) for day in period[1:])
    end = max(end, start + DAY)
    if unit == "day":
        end = start + DAY
    if period.end > known:
        # As many days as have passed of a period that runs; of one that is to come, none.
        end = min(end, start + DAY * max(0, (known - period.start).days + 1))
    return Span(start, end) if start >= FIRST else None


def _months_before(day: date, months: int) -> date:
    first = day.replace(day=1)
    for _ in range(months):
        first = (first - DAY).replace(day=1)
    last = (first + DAY * 31).replace(day=1) - DAY
    return min(first + DAY * (day.day - 1), last)


def withheld(row: Row, min_sample: int) -> Row:
    """Without all that tells the value; a count is its own sample."""
    sample = row["sample_size"]
    if sample is None or sample >= min_sample:
        return row
    counted = row["denominator"] is None and row["value"] is not None and "amount" not in row
    bare = dict.fromkeys([name for name in row if name not in ("sample_size", "promoters", "detractors")])
    return bare | {"sample_size": None if counted else sample, "reason": "sample_too_small"}


def compared(row: Row, before: Row) -> Row:
    value, previous = row["value"], before["value"]
    if previous is None:
        return {}
    if value is None:
        return {"previous": previous}
    change = value - previous
    percent = Fraction(100 * change) / abs(Fraction(previous)) if previous else None
    said = {"previous": previous, "change": change, "change_percent": percent}
    return said | {"significant": _significant(row, before)}


def _significant(row: Row, before: Row) -> bool | None:
    """Whether the shares, or the means of scores of 1, 0 and -1, are more than 1.96 standard errors of their gap apart."""
    if not (row["interval"] and before["interval"]):
        return None
    if "promoters" in row:
        (mean, variance), (other_mean, other_variance) = (_of_scores(one) for one in (row, before))
        return abs(mean - other_mean) > Z * sqrt(variance + other_variance)
    shares = [Fraction(one["numerator"], one["denominator"]) for one in (row, before)]
    sizes = [one["denominator"] for one in (row, before)]
    together = Fraction(row["numerator"] + before["numerator"], sum(sizes))
    error: Any = together * (1 - together) * (Fraction(1, sizes[0]) + Fraction(1, sizes[1]))
    return float(abs(shares[0] - shares[1])) > Z * sqrt(error)


def _of_scores(row: Row) -> tuple[float, float]:
    """Mean, and variance of that mean, of scores of 1, 0 and -1, three more than there are (¾, 1½, ¾)."""
    others = row["denominator"] - row["promoters"] - row["detractors"]
    weights = {1: row["promoters"] + 0.75, 0: others + 1.5, -1: row["detractors"] + 0.75}
    n = sum(weights.values())
    mean = sum(score * weight for score, weight in weights.items()) / n
    return mean, sum(weight * (score - mean) ** 2 for score, weight in weights.items()) / n / n
