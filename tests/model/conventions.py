"""Conventions by docs/metrics.md: other ways to compute metrics, by metric and name, computed like the model's metrics."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from tests.model.calendar import DAY
from tests.model.commerce import costs, purchasers, share, unallocated_without_costs
from tests.model.events import AcceptedEvent, History
from tests.model.facts import (
    EVERY_SUBJECT,
    Fact,
    FactsByName,
    Formula,
    ModelMetric,
    Row,
    Span,
    combine,
    events_where,
    ratio,
    wilson,
)
from tests.model.formulas import BOTH, easy_rate, is_response_to
from tests.model.revenue import closing, clv, count_lost, movement, opening, with_amount
from tests.model.usage import adopters, registered_users_in


def _has_movement(history: History, span: Span, *kinds: str) -> bool:
    return any(m.kind in kinds for m in history.money.movements if span.start <= m.day < span.end)


def _opening_customers(history: History, span: Span) -> Iterable[Fact]:
    """Yield an opening customer: whether it churned at any time in the period."""
    if history.money.mrr(span.start):
        yield Fact("all", (_has_movement(history, span, "churned"),))


def _new_customers(history: History, span: Span) -> Iterable[Fact]:
    if not history.money.mrr(span.start) and _has_movement(history, span, "new", "reactivated"):
        yield Fact("joined", history.account)


def _staying_customers(history: History, span: Span) -> Iterable[Fact]:
    """Yield a customer that had not canceled at the start: whether it has canceled, or left, by the end."""
    if history.money.is_staying(span.start):
        yield Fact("all", (not history.money.is_staying(span.end),))
    elif history.money.mrr(span.start):
        # It does not count, but its group has a row.
        yield Fact("leaving", history.account)


def _churn_events(facts: FactsByName, span: Span) -> Row:
    active = len(facts["opening"]) + len(facts["joined"])
    return ratio(len(facts["churned"]), active, per=100, if_empty="no_customers")


def _of_opening_mrr(part: Callable[[FactsByName, Any], Any]) -> Formula:
    """Return the formula of a part as a percentage of the opening MRR; the part is computed from the facts and that MRR."""

    def formula(facts: FactsByName, span: Span) -> Row:
        mrr = sum(before for before, _ in facts["opening"])
        row = ratio(part(facts, mrr), mrr, per=100, if_empty="no_customers")
        return row | {"sample_size": len(facts["opening"])}

    return formula


def _loss(facts: FactsByName) -> Any:
    return sum(facts["churned"]) + sum(facts["contraction"])


def _net_loss(facts: FactsByName) -> Any:
    return _loss(facts) - sum(facts["expansion"]) - sum(facts["reactivated"])


def _loss_in_total(facts: FactsByName, mrr: Any) -> Any:
    return max(0, mrr - sum(after for _, after in facts["opening"]))


def _mean_over_range(facts: FactsByName, span: Span) -> Row:
    responses: list[AcceptedEvent] = facts["events"]
    scales = {(r.survey.low, r.survey.high) for r in responses}
    if len(scales) > 1:
        row = ratio(0, len(responses), if_empty="no_responses")
        return row | {"value": None, "numerator": None, "reason": "mixed_scales"}
    positions = sum(Fraction(r.data["score"] - r.survey.low, r.survey.high - r.survey.low) for r in responses)
    return ratio(positions, len(responses), per=100, if_empty="no_responses")


def _adopters_and_registered(history: History, span: Span) -> Iterable[Fact]:
    yield from (fact for fact in adopters(history, span) if fact.name == "adopters")
    yield from (fact._replace(subject=EVERY_SUBJECT) for fact in registered_users_in(history, span))


def _adoption(facts: FactsByName, span: Span) -> Row:
    users = len(set(facts["adopters"]))
    return ratio(users, len(facts["registered"]), per=100, if_empty="no_users", interval=wilson)


def _adopting_customers(history: History, span: Span) -> Iterable[Fact]:
    if history.money.mrr(span.end):
        yield Fact("all", (any(True for fact in adopters(history, span) if fact.name == "adopters"),))


def _resolved_tickets(history: History, span: Span) -> Iterable[Fact]:
    for ticket in history.tickets:
        if ticket.resolved and span.start <= history.calendar.day(ticket.resolved) < span.end:
            yield Fact("all", (bool(ticket.at_first_contact),), channel=ticket.channel)


def _ended_trials(history: History, span: Span) -> Iterable[Fact]:
    for trial in history.deals.trials:
        if trial.ended and span.start <= trial.ended < span.end:
            yield Fact("all", (trial.converted,))


def _purchasers_by_days(history: History, span: Span) -> Iterable[Fact]:
    if any(True for _ in purchasers(history, span)):
        days = {order.event.day for order in history.deals.orders_before(span.end)}
        yield Fact("all", (len(days) > 1,))


def _purchasers_ever(history: History, span: Span) -> Iterable[Fact]:
    if orders := history.deals.orders_before(span.end):
        yield Fact("all", (len(orders) > 1,))


def _cost_of_retained(facts: FactsByName, span: Span) -> Row:
    retained = len(facts["opening"]) - count_lost(facts)
    row = ratio(sum(facts["cost"]), retained, if_empty="no_retained_customers")
    return with_amount(unallocated_without_costs(row, facts))


def _customers_of_six_months(history: History, span: Span) -> Iterable[Fact]:
    """Yield a customer of the start of each of the six whole months before the end: whether it was lost in that month."""
    end = span.end.replace(day=1)
    for _ in range(6):
        start = (end - DAY).replace(day=1)
        if history.money.mrr(start):
            yield Fact("all", (not history.money.mrr(end),))
        end = start


def _clv_by_trailing_churn(facts: FactsByName, span: Span) -> Row:
    opening, lost, closing = len(facts["all"]), sum(is_lost for (is_lost,) in facts["all"]), len(facts["mrr"])
    row = {"value": None, "numerator": None, "denominator": None, "sample_size": opening, "interval": None}
    if not (opening and closing and lost):
        return row | {"amount": None, "reason": "no_churn" if opening and closing else "no_customers"}
    arpa, churn = Fraction(sum(facts["mrr"])) / closing, Fraction(lost, opening)
    return with_amount(row | {"value": arpa / churn, "numerator": arpa, "denominator": churn})


_opening_and_churn = combine(opening, movement("churned"))
_losses = combine(_opening_and_churn, movement("contraction"))
_without_reactivation = combine(_losses, movement("expansion"))
_with_reactivation = combine(_without_reactivation, movement("reactivated"))
CONVENTIONS: dict[str, dict[str, ModelMetric]] = {
    "customer_churn_rate": {
        "all_churn_events": ModelMetric(_opening_and_churn, _churn_events),
        "lost_at_any_time": ModelMetric(_opening_customers, share("no_customers")),
        "ever_active": ModelMetric(combine(_opening_and_churn, _new_customers), _churn_events),
        "cancellation_click": ModelMetric(_staying_customers, share("no_customers")),
    },
    "gross_mrr_churn_rate": {
        "movements": ModelMetric(_losses, _of_opening_mrr(lambda facts, mrr: _loss(facts))),
        "capped_on_totals": ModelMetric(opening, _of_opening_mrr(_loss_in_total)),
    },
    "grr": {
        "movements": ModelMetric(_losses, _of_opening_mrr(lambda facts, mrr: mrr - _loss(facts))),
        "capped_on_totals": ModelMetric(opening, _of_opening_mrr(lambda facts, mrr: mrr - _loss_in_total(facts, mrr))),
    },
    "net_mrr_churn_rate": {
        "with_reactivation": ModelMetric(_with_reactivation, _of_opening_mrr(lambda facts, mrr: _net_loss(facts))),
        "without_reactivation": ModelMetric(
            _without_reactivation, _of_opening_mrr(lambda facts, mrr: _net_loss(facts))
        ),
    },
    "nrr": {
        "with_reactivation": ModelMetric(
            _with_reactivation, _of_opening_mrr(lambda facts, mrr: mrr - _net_loss(facts))
        ),
        "without_reactivation": ModelMetric(
            _without_reactivation, _of_opening_mrr(lambda facts, mrr: mrr - _net_loss(facts))
        ),
    },
    "clv": {
        "without_margin": ModelMetric(combine(opening, closing), clv),
        "trailing_churn": ModelMetric(combine(_customers_of_six_months, closing), _clv_by_trailing_churn),
    },
    "csat": {"mean_over_range": ModelMetric(events_where(is_response_to("csat")), _mean_over_range, BOTH)},
    "ces": {"easy_rate": ModelMetric(events_where(is_response_to("ces")), easy_rate, BOTH)},
    "feature_adoption_rate": {
        "registered_users": ModelMetric(_adopters_and_registered, _adoption, ("subject",)),
        "accounts": ModelMetric(_adopting_customers, share("no_customers")),
    },
    "first_contact_resolution_rate": {
        "resolved": ModelMetric(_resolved_tickets, share("no_tickets_resolved"), ("channel",))
    },
    "trial_conversion_rate": {"ended": ModelMetric(_ended_trials, share("no_trials_ended"))},
    "repeat_purchase_rate": {
        "purchase_days": ModelMetric(_purchasers_by_days, share("no_purchases")),
        "all_customers": ModelMetric(_purchasers_ever, share("no_purchases")),
    },
    "customer_retention_cost": {
        "retained_customers": ModelMetric(combine(costs("retention"), opening), _cost_of_retained),
    },
}
