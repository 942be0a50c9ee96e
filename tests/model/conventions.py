"""Other ways to count, by their names: what docs/metrics.md calls conventions, worked out like the metrics of the model."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from tests.model.calendar import DAY
from tests.model.commerce import costs, if_any, purchasers, share
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
from tests.model.formulas import BOTH, answers_to, easy
from tests.model.revenue import closing, clv, gone, movement, opening, with_amount
from tests.model.usage import adopters, registered_in


def _moved(history: History, span: Span, *kinds: str) -> bool:
    return any(m.kind in kinds for m in history.money.movements if span.start <= m.day < span.end)


def _lost(history: History, span: Span) -> Iterable[Fact]:
    """Of each customer of the start, whether it was lost at any time."""
    if history.money.mrr(span.start):
        yield Fact("all", (_moved(history, span, "churned"),))


def _joined(history: History, span: Span) -> Iterable[Fact]:
    if not history.money.mrr(span.start) and _moved(history, span, "new", "reactivated"):
        yield Fact("joined", history.account)


def _kept(history: History, span: Span) -> Iterable[Fact]:
    """Of each that paid and had not cancelled at the start, whether that is over at the end."""
    if history.money.keeps(span.start):
        yield Fact("all", (not history.money.keeps(span.end),))
    elif history.money.mrr(span.start):
        # Not counted, but it is there: its group has a row.
        yield Fact("cancelled", history.account)


def _churn_events(cell: FactsByName, span: Span) -> Row:
    active = len(cell["opening"]) + len(cell["joined"])
    return ratio(len(cell["churned"]), active, per=100, nothing="no_customers")


def _of_start(part: Callable[[FactsByName, Any], Any]) -> Formula:
    """A part of what the customers of the start paid then; the part is worked out of the cell and of that."""

    def formula(cell: FactsByName, span: Span) -> Row:
        paid = sum(before for before, _ in cell["opening"])
        row = ratio(part(cell, paid), paid, per=100, nothing="no_customers")
        return row | {"sample_size": len(cell["opening"])}

    return formula


def _left(cell: FactsByName) -> Any:
    return sum(cell["churned"]) + sum(cell["contraction"])


def _net(cell: FactsByName) -> Any:
    return _left(cell) - sum(cell["expansion"]) - sum(cell["reactivated"])


def _less_on_the_whole(cell: FactsByName, paid: Any) -> Any:
    return max(0, paid - sum(after for _, after in cell["opening"]))


def _over_range(cell: FactsByName, span: Span) -> Row:
    said: list[AcceptedEvent] = cell["events"]
    scales = {(a.survey.low, a.survey.high) for a in said}
    if len(scales) > 1:
        row = ratio(0, len(said), nothing="no_responses")
        return row | {"value": None, "numerator": None, "reason": "mixed_scales"}
    way = sum(Fraction(a.data["score"] - a.survey.low, a.survey.high - a.survey.low) for a in said)
    return ratio(way, len(said), per=100, nothing="no_responses")


def _adopters_of_registered(history: History, span: Span) -> Iterable[Fact]:
    yield from (fact for fact in adopters(history, span) if fact.name == "adopters")
    yield from (fact._replace(subject=EVERY_SUBJECT) for fact in registered_in(history, span))


def _adoption(cell: FactsByName, span: Span) -> Row:
    used = len(set(cell["adopters"]))
    return ratio(used, len(cell["registered"]), per=100, nothing="no_users", interval=wilson)


def _adopting(history: History, span: Span) -> Iterable[Fact]:
    if history.money.mrr(span.end):
        yield Fact("all", (any(True for fact in adopters(history, span) if fact.name == "adopters"),))


def _resolved(history: History, span: Span) -> Iterable[Fact]:
    for ticket in history.tickets:
        if ticket.resolved and span.start <= history.calendar.day(ticket.resolved) < span.end:
            yield Fact("all", (bool(ticket.at_first_contact),), channel=ticket.channel)


def _trials_ended(history: History, span: Span) -> Iterable[Fact]:
    for trial in history.deals.trials:
        if trial.ended and span.start <= trial.ended < span.end:
            yield Fact("all", (trial.converted,))


def _purchased_on_days(history: History, span: Span) -> Iterable[Fact]:
    if any(True for _ in purchasers(history, span)):
        days = {order.event.day for order in history.deals.orders_before(span.end)}
        yield Fact("all", (len(days) > 1,))


def _purchased_ever(history: History, span: Span) -> Iterable[Fact]:
    if orders := history.deals.orders_before(span.end):
        yield Fact("all", (len(orders) > 1,))


def _cost_of_retained(cell: FactsByName, span: Span) -> Row:
    retained = len(cell["opening"]) - gone(cell)
    return with_amount(if_any(ratio(sum(cell["cost"]), retained, nothing="no_retained_customers"), cell))


def _of_six_months(history: History, span: Span) -> Iterable[Fact]:
    """Of each of the six whole months before the end that began with the customer, whether it ended without."""
    end = span.end.replace(day=1)
    for _ in range(6):
        start = (end - DAY).replace(day=1)
        if history.money.mrr(start):
            yield Fact("all", (not history.money.mrr(end),))
        end = start


def _clv_by_trailing_churn(cell: FactsByName, span: Span) -> Row:
    began, lost, closing = len(cell["all"]), sum(gone for (gone,) in cell["all"]), len(cell["mrr"])
    row = {"value": None, "numerator": None, "denominator": None, "sample_size": began, "interval": None}
    if not (began and closing and lost):
        return row | {"amount": None, "reason": "no_churn" if began and closing else "no_customers"}
    arpa, churn = Fraction(sum(cell["mrr"])) / closing, Fraction(lost, began)
    return with_amount(row | {"value": arpa / churn, "numerator": arpa, "denominator": churn})


_churned = combine(opening, movement("churned"))
_lost_money = combine(_churned, movement("contraction"))
_moved_money = combine(_lost_money, movement("expansion"))
_with_back = combine(_moved_money, movement("reactivated"))
CONVENTIONS: dict[str, dict[str, ModelMetric]] = {
    "customer_churn_rate": {
        "all_churn_events": ModelMetric(_churned, _churn_events),
        "lost_at_any_time": ModelMetric(_lost, share("no_customers")),
        "ever_active": ModelMetric(combine(_churned, _joined), _churn_events),
        "cancellation_click": ModelMetric(_kept, share("no_customers")),
    },
    "gross_mrr_churn_rate": {
        "movements": ModelMetric(_lost_money, _of_start(lambda cell, paid: _left(cell))),
        "capped_on_totals": ModelMetric(opening, _of_start(_less_on_the_whole)),
    },
    "grr": {
        "movements": ModelMetric(_lost_money, _of_start(lambda cell, paid: paid - _left(cell))),
        "capped_on_totals": ModelMetric(opening, _of_start(lambda cell, paid: paid - _less_on_the_whole(cell, paid))),
    },
    "net_mrr_churn_rate": {
        "with_reactivation": ModelMetric(_with_back, _of_start(lambda cell, paid: _net(cell))),
        "without_reactivation": ModelMetric(_moved_money, _of_start(lambda cell, paid: _net(cell))),
    },
    "nrr": {
        "with_reactivation": ModelMetric(_with_back, _of_start(lambda cell, paid: paid - _net(cell))),
        "without_reactivation": ModelMetric(_moved_money, _of_start(lambda cell, paid: paid - _net(cell))),
    },
    "clv": {
        "without_margin": ModelMetric(combine(opening, closing), clv),
        "trailing_churn": ModelMetric(combine(_of_six_months, closing), _clv_by_trailing_churn),
    },
    "csat": {"mean_over_range": ModelMetric(events_where(answers_to("csat")), _over_range, BOTH)},
    "ces": {"easy_rate": ModelMetric(events_where(answers_to("ces")), easy, BOTH)},
    "feature_adoption_rate": {
        "registered_users": ModelMetric(_adopters_of_registered, _adoption, ("subject",)),
        "accounts": ModelMetric(_adopting, share("no_customers")),
    },
    "first_contact_resolution_rate": {"resolved": ModelMetric(_resolved, share("no_tickets_resolved"), ("channel",))},
    "trial_conversion_rate": {"ended": ModelMetric(_trials_ended, share("no_trials_ended"))},
    "repeat_purchase_rate": {
        "purchase_days": ModelMetric(_purchased_on_days, share("no_purchases")),
        "all_customers": ModelMetric(_purchased_ever, share("no_purchases")),
    },
    "customer_retention_cost": {
        "retained_customers": ModelMetric(combine(costs("retention"), opening), _cost_of_retained),
    },
}
