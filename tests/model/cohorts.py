"""Cohorts by docs/metrics.md, worked out by going through all accounts; shares nothing with the service."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from itertools import groupby
from typing import Any

from tests.model.calendar import DAY
from tests.model.events import History
from tests.model.oracle import Filter, Model, Period


def split_range(model: Model, start: date, end: date, by: str) -> list[Period]:
    days = [start + DAY * n for n in range((end - start).days)]
    cut = [(name, list(found)) for name, found in groupby(days, lambda day: model.calendar.unit(day, by))]
    return [Period(name, found[0], found[-1] + DAY) for name, found in cut]


def cohort_rows(
    model: Model,
    measure: str,
    *,
    by: str,
    start: date,
    end: date,
    accounts: Sequence[str],
    as_of: date | None = None,
    group_by: Sequence[str] = (),
    where: Filter | None = None,
    now: bool = False,
) -> dict[Any, tuple[int, Fraction, Fraction]]:
    """By cohort, period and group: how many are in the cohort, what it began with, and what it is in the period."""
    known = as_of or model.today
    periods = [period for period in split_range(model, start, end, by) if period.start <= known]
    found: dict[Any, list[Fraction]] = defaultdict(lambda: [Fraction(0)] * 3)
    for history in model._histories(known):
        if history.account not in accounts:
            continue
        for came, member in _members(history, measure, known):
            cohorts = [n for n, period in enumerate(periods) if period.start <= came < period.end]
            for cohort in cohorts:
                day = known + DAY if now else periods[cohort].start
                if where is not None and not where.holds(lambda key, h=history, on=day: h.attribute(key, on)):
                    continue
                group = tuple(history.attribute(key, day) for key in group_by)
                for period in periods[cohort:]:
                    row = found[periods[cohort].name, period.name, repr(group)]
                    row[0] += 1
                    row[1] += _initial(history, measure)
                    row[2] += _value(history, measure, member, period, known)
    return {place: (int(size), initial, value) for place, (size, initial, value) in found.items()}


def _members(history: History, measure: str, known: date) -> list[tuple[date, str]]:
    """Who is in a cohort, the account itself or its users, and the day on which each came."""
    if measure != "users":
        news = [movement.day for movement in history.money.movements if movement.kind == "new"]
        return [(day, history.account) for day in news if day <= known]
    first: dict[str, date] = {}
    for kept in history.people.uses:
        if kept.day <= known:
            first[kept.user] = min(kept.day, first.get(kept.user, kept.day))
    return [(day, user) for user, day in first.items()]


def _initial(history: History, measure: str) -> Fraction:
    if measure != "mrr":
        return Fraction(1)
    return next(movement.amount for movement in history.money.movements if movement.kind == "new")


def _value(history: History, measure: str, member: str, period: Period, known: date) -> Fraction:
    end = min(period.end, known + DAY)
    if measure == "users":
        return Fraction(member in history.people.active(period.start, end))
    mrr = history.money.mrr(end)
    return mrr if measure == "mrr" else Fraction(mrr > 0)
