"""Cohorts by docs/metrics.md, computed by going through all accounts."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from typing import Any

from tests.model.calendar import DAY
from tests.model.events import History
from tests.model.oracle import Filter, Model, Period


def split_range(model: Model, start: date, end: date, by: str) -> list[Period]:
    return [Period(*unit) for unit in model.calendar.split(start, end, by)]


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
    """Return size, initial value and value of each cohort, by the cohort, the period and the group.

    now: whether attributes are those of today, and not those of the start of the cohort.
    """
    as_of = as_of or model.today
    periods = [period for period in split_range(model, start, end, by) if period.start <= as_of]
    rows: dict[Any, list[Fraction]] = defaultdict(lambda: [Fraction(0)] * 3)
    for history in model.histories(as_of):
        if history.account not in accounts:
            continue
        for joined_on, member in _members(history, measure, as_of):
            cohorts = [n for n, period in enumerate(periods) if period.start <= joined_on < period.end]
            for cohort in cohorts:
                day = as_of + DAY if now else periods[cohort].start
                if where is not None and not where.holds(lambda key, h=history, on=day: h.attribute(key, on)):
                    continue
                group = tuple(history.attribute(key, day) for key in group_by)
                for period in periods[cohort:]:
                    row = rows[periods[cohort].name, period.name, repr(group)]
                    row[0] += 1
                    row[1] += _initial_value(history, measure)
                    row[2] += _value(history, measure, member, period, as_of)
    return {key: (int(size), initial, value) for key, (size, initial, value) in rows.items()}


def _members(history: History, measure: str, as_of: date) -> list[tuple[date, str]]:
    """Return the members of cohorts, the account itself or its users, with the day on which each joined."""
    if measure != "users":
        days = [movement.day for movement in history.money.movements if movement.kind == "new"]
        return [(day, history.account) for day in days if day <= as_of]
    first_days: dict[str, date] = {}
    for event in history.people.uses:
        if event.day <= as_of:
            first_days[event.user] = min(event.day, first_days.get(event.user, event.day))
    return [(day, user) for user, day in first_days.items()]


def _initial_value(history: History, measure: str) -> Fraction:
    if measure != "mrr":
        return Fraction(1)
    return next(movement.amount for movement in history.money.movements if movement.kind == "new")


def _value(history: History, measure: str, member: str, period: Period, as_of: date) -> Fraction:
    end = min(period.end, as_of + DAY)
    if measure == "users":
        return Fraction(member in history.people.active(period.start, end))
    mrr = history.money.mrr(end)
    return mrr if measure == "mrr" else Fraction(mrr > 0)
