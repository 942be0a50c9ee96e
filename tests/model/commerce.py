"""The metrics of trials, renewals, purchases and costs by docs/metrics.md, computed from the deals of each account."""

from collections.abc import Iterable
from fractions import Fraction

from tests.model.events import History
from tests.model.facts import Fact, Facts, FactsByName, Formula, ModelMetric, Row, Span, combine, ratio, wilson
from tests.model.revenue import arpa, closing, clv, money, months, movement, opening, with_amount
from tests.model.subscriptions import amount

SECONDS_PER_MONTH = Fraction(304375, 10000) * 24 * 60 * 60


def _trials(history: History, span: Span) -> Iterable[Fact]:
    return (Fact("all", (t.converted,)) for t in history.deals.trials if span.start <= t.day < span.end)


def _dues(history: History, span: Span) -> Iterable[Fact]:
    return (
        Fact("all", (due.renewed_on is not None,)) for due in history.deals.dues if span.start <= due.day < span.end
    )


def _amounts_due(history: History, span: Span) -> Iterable[Fact]:
    for due in history.deals.dues:
        if span.start <= due.day < span.end and due.amount is not None:
            yield Fact("amounts", (due.amount, due.renewed_amount))


def _payments_and_refunds(history: History, span: Span) -> Iterable[Fact]:
    payments = ((order.event.day, order.amount) for order in history.deals.orders)
    refunds = ((day, -amount) for day, amount in history.deals.refunds)
    return (Fact("money", amount) for day, amount in (*payments, *refunds) if span.start <= day < span.end)


def purchasers(history: History, span: Span) -> Iterable[Fact]:
    """Yield an account that ordered in the period: whether it has two orders or more by the end."""
    orders = history.deals.orders_before(span.end)
    if any(order.event.day >= span.start for order in orders):
        yield Fact("all", (len(orders) > 1,))


def _repeat_purchasers(history: History, span: Span) -> Iterable[Fact]:
    """Yield an account that ordered in the period and has two orders or more by its end.

    The values are the number and the sum of the period's orders, and the seconds from the first order ever to the last.
    """
    orders = history.deals.orders_before(span.end)
    within = [order for order in orders if order.event.day >= span.start]
    if within and len(orders) > 1:
        seconds = int((orders[-1].event.at - orders[0].event.at).total_seconds())
        yield Fact("repeat purchasers", (len(within), sum(order.amount for order in within), seconds))


def costs(category: str) -> Facts:
    def facts(history: History, span: Span) -> Iterable[Fact]:
        for day, its_category, cost in history.deals.costs:
            if its_category == category and span.start <= day < span.end:
                yield Fact("cost", cost)

    return facts


def share(if_empty: str) -> Formula:
    """Return the formula of the percentage of all facts `all` that are true."""

    def formula(facts: FactsByName, span: Span) -> Row:
        part = sum(is_true for (is_true,) in facts["all"])
        return ratio(part, len(facts["all"]), per=100, if_empty=if_empty, interval=wilson)

    return formula


def _value_rate(facts: FactsByName, span: Span) -> Row:
    due, renewed = (sum(amounts) for amounts in zip(*facts["amounts"], strict=True)) if facts["amounts"] else (0, 0)
    return ratio(renewed, due, per=100, if_empty="no_amounts_due") | {"sample_size": len(facts["amounts"])}


def _revenue(facts: FactsByName, span: Span) -> Row:
    return money(Fraction(sum(facts["money"])))


def _clv_purchases(facts: FactsByName, span: Span) -> Row:
    purchasers = len(facts["repeat purchasers"])
    row = {"value": None, "numerator": None, "denominator": None, "sample_size": purchasers, "interval": None}
    if not purchasers:
        return row | {"amount": None, "reason": "no_repeat_purchases"}
    orders, paid, seconds = (Fraction(sum(values)) for values in zip(*facts["repeat purchasers"], strict=True))
    value = (paid / orders) * (orders / (purchasers * months(span))) * (seconds / purchasers / SECONDS_PER_MONTH)
    return row | {"value": value, "amount": amount(value)}


def keepers(history: History, span: Span) -> Iterable[Fact]:
    """Yield an account as `_repeat_purchasers` does, by the orders that were not given back in full, at what was kept.

    An account that ordered again and got everything back is a fact of its own.
    """
    orders = history.deals.orders_before(span.end)
    kept = [order for order in orders if order.kept is not None]
    within = [order for order in kept if order.event.day >= span.start]
    if within and len(kept) > 1:
        seconds = int((kept[-1].event.at - kept[0].event.at).total_seconds())
        yield Fact("repeat purchasers", (len(within), sum(order.kept for order in within), seconds))
    if orders and orders[-1].event.day >= span.start and len(orders) > 1 and not kept:
        yield Fact("worthless", history.account)


def clv_of_keepers(facts: FactsByName, span: Span) -> Row:
    if facts["worthless"] and not facts["repeat purchasers"]:
        return money(Fraction(0)) | {"sample_size": len(facts["worthless"])}
    return _clv_purchases(facts, span)


def unallocated_without_costs(row: Row, facts: FactsByName) -> Row:
    """Return the row without its value where the accounts have no costs: costs of the whole business are not theirs."""
    if sum(facts["cost"]) or row["value"] is None:
        return row
    return row | {"value": None, "reason": "unallocated"}


def _cac(facts: FactsByName, span: Span) -> Row:
    row = ratio(sum(facts["cost"]), len(facts["new"]), if_empty="no_new_customers")
    return with_amount(unallocated_without_costs(row, facts))


def _retention_cost(facts: FactsByName, span: Span) -> Row:
    row = ratio(sum(facts["cost"]), len(facts["mrr"]), if_empty="no_customers")
    return with_amount(unallocated_without_costs(row, facts))


def _retention_cost_ratio(facts: FactsByName, span: Span) -> Row:
    row = ratio(sum(facts["cost"]), sum(facts["mrr"]) * months(span), per=100, if_empty="no_customers")
    return unallocated_without_costs(row | {"sample_size": len(facts["mrr"])}, facts)


def _ltv_to_cac(facts: FactsByName, span: Span) -> Row:
    worth, cost = clv(facts, span), _cac(facts, span)
    row = {"value": None, "numerator": worth["value"], "denominator": cost["value"], "interval": None}
    row["sample_size"] = min(worth["sample_size"], cost["sample_size"])
    if worth["value"] is None or cost["value"] is None:
        return row | {"reason": worth.get("reason") or cost["reason"]}
    return row | {"value": worth["value"] / cost["value"]}


def _payback(facts: FactsByName, span: Span) -> Row:
    cost, revenue = _cac(facts, span), arpa(facts, span)
    row = {"value": None, "numerator": cost["value"], "denominator": revenue["value"], "interval": None}
    row["sample_size"] = cost["sample_size"]
    if cost["value"] is None or revenue["value"] is None:
        return row | {"reason": revenue.get("reason") or cost["reason"]}
    return row | {"value": cost["value"] / revenue["value"]}


_acquisition = combine(costs("acquisition"), movement("new"))
_retention = combine(costs("retention"), closing)
COMMERCE = {
    "trial_conversion_rate": ModelMetric(_trials, share("no_trials")),
    "renewal_rate": ModelMetric(_dues, share("no_renewals_due")),
    "renewal_value_rate": ModelMetric(_amounts_due, _value_rate),
    "revenue": ModelMetric(_payments_and_refunds, _revenue),
    "repeat_purchase_rate": ModelMetric(purchasers, share("no_purchases")),
    "clv_purchases": ModelMetric(_repeat_purchasers, _clv_purchases),
    "cac": ModelMetric(_acquisition, _cac),
    "customer_retention_cost": ModelMetric(_retention, _retention_cost),
    "retention_cost_ratio": ModelMetric(_retention, _retention_cost_ratio),
    "ltv_to_cac": ModelMetric(combine(_acquisition, opening, closing), _ltv_to_cac),
    "cac_payback_months": ModelMetric(combine(_acquisition, closing), _payback),
}
