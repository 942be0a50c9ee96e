"""Comparison by docs/metrics.md: the days with which a period is compared, what changed, and what is withheld."""

import re
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from math import sqrt
from typing import Any, NamedTuple

from tests.model.calendar import DAY, Calendar
from tests.model.facts import Row, Span, Z

FIRST_DAY = date(1970, 1, 1)


class Period(NamedTuple):
    name: str
    start: date
    end: date


def days_before_row(period: Period, unit: str, *, compare: str, calendar: Calendar, as_of: date) -> Span | None:
    """Return the days with which a row is compared: of the unit before, or of the same unit a year before.

    They are the days at the same place in their unit, as many as the row has up to today; for a whole unit that has ended, all
    days. None if there are none, or if they begin before 1970.
    """
    if unit == "day":
        return days_before_total(period, [], compare=compare, calendar=calendar, as_of=as_of)
    return days_before_total(period, [unit], compare=compare, calendar=calendar, as_of=as_of)


def days_before_total(
    period: Period, units: Sequence[str], *, compare: str, calendar: Calendar, as_of: date
) -> Span | None:
    """Return the days with which all days of a period are compared, which are parts of these units or mere days.

    units: the kind of units for as many of them as the period has; none for mere days.
    """
    days = [period.start + DAY * n for n in range((period.end - period.start).days) if period.start + DAY * n <= as_of]
    if not days:
        return None
    if not units and compare == "previous_year":
        earlier = [_a_year_before(days[0]), _a_year_before(days[-1])]
    elif not units:
        earlier = [day - DAY * len(days) for day in days]
    else:
        earlier = _days_at_the_same_place(period, days, units[0], compare=compare, calendar=calendar, as_of=as_of)
    return Span(earlier[0], earlier[-1] + DAY) if earlier and earlier[0] >= FIRST_DAY else None


def _days_at_the_same_place(
    period: Period, days: list[date], unit: str, *, compare: str, calendar: Calendar, as_of: date
) -> list[date]:
    units = [calendar.days_of_unit(period.start, unit)]
    while units[-1][-1] < period.end - DAY:
        units.append(calendar.days_of_unit(units[-1][-1] + DAY, unit))
    back = len(units) if compare == "previous_period" else {"week": 52, "month": 12, "quarter": 4, "year": 1}[unit]
    own = [day for days_of_unit in units for day in days_of_unit]
    earlier = [day for first, *_ in units for day in _unit_before(first, back, unit, calendar)]
    if (own[0], own[-1]) == (period.start, period.end - DAY) and own[-1] < as_of:
        return earlier
    first = own.index(days[0])
    return earlier[first : first + len(days)]


def _unit_before(day: date, back: int, unit: str, calendar: Calendar) -> list[date]:
    """Return the days of the unit that is so many units before that of a day."""
    for _ in range(back):
        day = calendar.unit_start(day, unit) - DAY
    return calendar.days_of_unit(day, unit)


def _a_year_before(day: date) -> date:
    return date(day.year - 1, day.month, 28 if (day.month, day.day) == (2, 29) else day.day)


def units_of_total(period: Period, name: str | None, *, calendar: Calendar, as_of: date) -> list[str]:
    """Return the kind of units of a range, none if it is mere days: by its name or else by its days."""
    if name is not None:
        units = [unit for unit in ("day", "week", "month", "quarter", "year") if unit in name]
        if not units:
            patterns = {r"....": "year", r"....-Q.": "quarter", r"....-W..": "week", r"....-..": "month"}
            units = [unit for pattern, unit in patterns.items() if re.fullmatch(pattern, name)]
        return [unit for unit in units if unit != "day"]
    last = period.end - DAY
    for unit in ("month", "quarter", "year", "week"):
        is_one = calendar.unit(period.start, unit) == calendar.unit(last, unit)
        if calendar.unit_start(period.start, unit) == period.start and (
            calendar.unit_end(last, unit) == period.end or (is_one and last == as_of)
        ):
            return [unit]
    return []


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
    return fields | {"significant": _is_significant(row, before), "is_new": previous == 0 and value != 0}


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
