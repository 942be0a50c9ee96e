"""The metrics of revenue and customers by docs/metrics.md, computed from what each account pays."""

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
from tests.model.usage import registered_users


def _closing_by_plan(history: History, span: Span) -> Iterable[Fact]:
    return (Fact("mrr", mrr, plan) for plan, mrr in history.money.by_plan(span.end).items())


def _opening_by_plan(history: History, span: Span) -> Iterable[Fact]:
    return (Fact("mrr", mrr, plan) for plan, mrr in history.money.by_plan(span.start).items())


def movements(history: History, span: Span) -> Iterable[Fact]:
    for movement in history.money.movements:
        if span.start <= movement.day < span.end:
            yield Fact(movement.kind, movement.amount, movement.reason)


def movement(kind: str) -> Facts:
    return lambda history, span: (fact for fact in movements(history, span) if fact.name == kind)


def opening(history: History, span: Span) -> Iterable[Fact]:
    """Yield the MRR of an opening customer at the start and at the end."""
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
    return lambda facts, span: money(Fraction(sum(facts[name]) * times))


def _net_change(facts: FactsByName, span: Span) -> Row:
    return money(Fraction(_gain(facts) - _loss(facts)))


def _gain(facts: FactsByName) -> Any:
    return sum(facts["new"]) + sum(facts["reactivated"]) + sum(facts["expansion"])


def _loss(facts: FactsByName) -> Any:
    return sum(facts["contraction"]) + sum(facts["churned"])


def _quick_ratio(facts: FactsByName, span: Span) -> Row:
    return ratio(_gain(facts), _loss(facts), if_empty="nothing_lost") | {"sample_size": None}


def count_lost(facts: FactsByName) -> int:
    """Return how many opening customers pay nothing at the end."""
    return sum(1 for _, after in facts["opening"] if after == 0)


def _churn_rate(facts: FactsByName, span: Span) -> Row:
    return ratio(count_lost(facts), len(facts["opening"]), per=100, if_empty="no_customers", interval=wilson)


def _retention_rate(facts: FactsByName, span: Span) -> Row:
    opening = len(facts["opening"])
    return ratio(opening - count_lost(facts), opening, per=100, if_empty="no_customers", interval=wilson)


def _of_opening(part: Callable[[Fraction, Fraction], Fraction | int]) -> Formula:
    """Return the formula of a part, by each opening customer's MRR before and after, as a percentage of all MRR before."""

    def formula(facts: FactsByName, span: Span) -> Row:
        parts = sum(part(before, after) for before, after in facts["opening"])
        row = ratio(parts, sum(before for before, _ in facts["opening"]), per=100, if_empty="no_customers")
        return row | {"sample_size": len(facts["opening"])}

    return formula


def arpa(facts: FactsByName, span: Span) -> Row:
    return with_amount(ratio(sum(facts["mrr"]), len(facts["mrr"]), if_empty="no_customers"))


def _arpu(facts: FactsByName, span: Span) -> Row:
    return with_amount(ratio(sum(facts["mrr"]), len(facts["registered"]), if_empty="no_users"))


def clv(facts: FactsByName, span: Span) -> Row:
    opening, lost, closing = len(facts["opening"]), count_lost(facts), len(facts["mrr"])
    row = {"value": None, "numerator": None, "denominator": None, "sample_size": opening, "interval": None}
    if not (opening and closing and lost):
        return row | {"amount": None, "reason": "no_churn" if opening and closing else "no_customers"}
    arpa, churn = Fraction(sum(facts["mrr"])) / closing, Fraction(lost, opening) / months(span)
    return with_amount(row | {"value": arpa / churn, "numerator": arpa, "denominator": churn})


def months(span: Span) -> Fraction:
    """Return the number of whole calendar months, or else the days / 30.4375."""
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
    "arpu": ModelMetric(combine(closing, registered_users), _arpu),
    "clv": ModelMetric(combine(opening, closing), clv),
}
