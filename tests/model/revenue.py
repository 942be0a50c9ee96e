"""What docs/metrics.md says of money and customers, worked out from what each account pays."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from tests.model.events import History
from tests.model.facts import (
    Fact,
    Facts,
    FactsByName,
    Formula,
    ModelMetric,
    Row,
    Span,
    combine,
    count_facts,
    ratio,
    wilson,
)
from tests.model.subscriptions import amount
from tests.model.usage import registered


def _closing_by_plan(history: History, span: Span) -> Iterable[Fact]:
    return (Fact("mrr", paid, plan) for plan, paid in history.money.by_plan(span.end).items())


def _opening_by_plan(history: History, span: Span) -> Iterable[Fact]:
    return (Fact("mrr", paid, plan) for plan, paid in history.money.by_plan(span.start).items())


def movements(history: History, span: Span) -> Iterable[Fact]:
    for movement in history.money.movements:
        if span.start <= movement.day < span.end:
            yield Fact(movement.kind, movement.amount, movement.reason)


def movement(kind: str) -> Facts:
    return lambda history, span: (fact for fact in movements(history, span) if fact.name == kind)


def opening(history: History, span: Span) -> Iterable[Fact]:
    """What a customer paid at the start, and what it pays at the end."""
    if before := history.money.mrr(span.start):
        yield Fact("opening", (before, history.money.mrr(span.end)))


def closing(history: History, span: Span) -> Iterable[Fact]:
    yield Fact("mrr", history.money.mrr(span.end))


def money(value: Fraction) -> Row:
    row = {"value": value, "numerator": None, "denominator": None, "sample_size": None, "interval": None}
    return row | {"amount": amount(value)}


def with_amount(row: Row) -> Row:
    return row | {"amount": None if row["value"] is None else amount(row["value"])}


def _sum(name: str, times: int = 1) -> Formula:
    return lambda cell, span: money(Fraction(sum(cell[name]) * times))


def _net_change(cell: FactsByName, span: Span) -> Row:
    return money(Fraction(_gained(cell) - _lost(cell)))


def _gained(cell: FactsByName) -> Any:
    return sum(cell["new"]) + sum(cell["reactivated"]) + sum(cell["expansion"])


def _lost(cell: FactsByName) -> Any:
    return sum(cell["contraction"]) + sum(cell["churned"])


def _quick_ratio(cell: FactsByName, span: Span) -> Row:
    return ratio(_gained(cell), _lost(cell), nothing="nothing_lost") | {"sample_size": None}


def gone(cell: FactsByName) -> int:
    return sum(1 for _, after in cell["opening"] if after == 0)


def _churn_rate(cell: FactsByName, span: Span) -> Row:
    return ratio(gone(cell), len(cell["opening"]), per=100, nothing="no_customers", interval=wilson)


def _retention_rate(cell: FactsByName, span: Span) -> Row:
    opening = len(cell["opening"])
    return ratio(opening - gone(cell), opening, per=100, nothing="no_customers", interval=wilson)


def _of_opening(part: Callable[[Fraction, Fraction], Fraction | int]) -> Formula:
    """A part of what each opening customer pays before and after, of what all of them paid before."""

    def formula(cell: FactsByName, span: Span) -> Row:
        parts = sum(part(before, after) for before, after in cell["opening"])
        row = ratio(parts, sum(before for before, _ in cell["opening"]), per=100, nothing="no_customers")
        return row | {"sample_size": len(cell["opening"])}

    return formula


def arpa(cell: FactsByName, span: Span) -> Row:
    return with_amount(ratio(sum(cell["mrr"]), len(cell["mrr"]), nothing="no_customers"))


def _arpu(cell: FactsByName, span: Span) -> Row:
    return with_amount(ratio(sum(cell["mrr"]), len(cell["registered"]), nothing="no_users"))


def clv(cell: FactsByName, span: Span) -> Row:
    opening, lost, closing = len(cell["opening"]), gone(cell), len(cell["mrr"])
    row = {"value": None, "numerator": None, "denominator": None, "sample_size": opening, "interval": None}
    if not (opening and closing and lost):
        return row | {"amount": None, "reason": "no_churn" if opening and closing else "no_customers"}
    arpa, churn = Fraction(sum(cell["mrr"])) / closing, Fraction(lost, opening) / months(span)
    return with_amount(row | {"value": arpa / churn, "numerator": arpa, "denominator": churn})


def months(span: Span) -> Fraction:
    """Whole calendar months, or else days of which 30.4375 make one."""
    if span.start.day == span.end.day == 1:
        return Fraction(12 * (span.end.year - span.start.year) + span.end.month - span.start.month)
    return (span.end - span.start).days / Fraction(304375, 10000)


REVENUE = {
    "mrr": ModelMetric(_closing_by_plan, _sum("mrr"), ("subject",)),
    "mrr_opening": ModelMetric(_opening_by_plan, _sum("mrr"), ("subject",)),
    "arr": ModelMetric(_closing_by_plan, _sum("mrr", times=12), ("subject",)),
    "mrr_new": ModelMetric(movement("new"), _sum("new")),
    "mrr_expansion": ModelMetric(movement("expansion"), _sum("expansion")),
    "mrr_contraction": ModelMetric(movement("contraction"), _sum("contraction")),
    "mrr_churned": ModelMetric(movement("churned"), _sum("churned"), ("subject",)),
    "mrr_reactivated": ModelMetric(movement("reactivated"), _sum("reactivated")),
    "mrr_net_change": ModelMetric(movements, _net_change),
    "customers": ModelMetric(closing, count_facts("mrr")),
    "customers_opening": ModelMetric(opening, count_facts("opening")),
    "customers_new": ModelMetric(movement("new"), count_facts("new")),
    "customers_churned": ModelMetric(movement("churned"), count_facts("churned"), ("subject",)),
    "customers_reactivated": ModelMetric(movement("reactivated"), count_facts("reactivated")),
    "customer_churn_rate": ModelMetric(opening, _churn_rate),
    "customer_retention_rate": ModelMetric(opening, _retention_rate),
    "gross_mrr_churn_rate": ModelMetric(opening, _of_opening(lambda before, after: max(0, before - after))),
    "expansion_mrr_rate": ModelMetric(opening, _of_opening(lambda before, after: max(0, after - before))),
    "net_mrr_churn_rate": ModelMetric(opening, _of_opening(lambda before, after: before - after)),
    "nrr": ModelMetric(opening, _of_opening(lambda before, after: after)),
    "grr": ModelMetric(opening, _of_opening(min)),
    "quick_ratio": ModelMetric(movements, _quick_ratio),
    "arpa": ModelMetric(closing, arpa),
    "arpu": ModelMetric(combine(closing, registered), _arpu),
    "clv": ModelMetric(combine(opening, closing), clv),
}
