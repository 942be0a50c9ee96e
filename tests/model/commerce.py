"""What docs/metrics.md says of trials, renewals, purchases and costs, worked out from what each account did."""

from collections.abc import Iterable
from fractions import Fraction

from tests.model.events import History
from tests.model.facts import Fact, Facts, FactsByName, Formula, ModelMetric, Row, Span, combine, ratio, wilson
from tests.model.revenue import arpa, closing, clv, money, months, movement, opening, with_amount
from tests.model.subscriptions import amount

SECONDS_A_MONTH = Fraction(304375, 10000) * 24 * 60 * 60


def _trials(history: History, span: Span) -> Iterable[Fact]:
    return (Fact("all", (t.converted,)) for t in history.deals.trials if span.start <= t.day < span.end)


def _dues(history: History, span: Span) -> Iterable[Fact]:
    return (Fact("all", (due.renewed,)) for due in history.deals.dues if span.start <= due.day < span.end)


def _amounts_due(history: History, span: Span) -> Iterable[Fact]:
    for due in history.deals.dues:
        if span.start <= due.day < span.end and due.amount is not None:
            yield Fact("amounts", (due.amount, due.kept))


def _money_moved(history: History, span: Span) -> Iterable[Fact]:
    paid = ((order.event.day, order.amount) for order in history.deals.orders)
    back = ((day, -amount) for day, amount in history.deals.refunds)
    return (Fact("money", amount) for day, amount in (*paid, *back) if span.start <= day < span.end)


def purchasers(history: History, span: Span) -> Iterable[Fact]:
    """Who ordered in the period: whether it had two orders or more by the end."""
    orders = history.deals.orders_before(span.end)
    if any(order.event.day >= span.start for order in orders):
        yield Fact("all", (len(orders) > 1,))


def _coming_back(history: History, span: Span) -> Iterable[Fact]:
    """Of who ordered in the period, and not for the first time by its end: for how much, and seconds since the first order."""
    orders = history.deals.orders_before(span.end)
    within = [order for order in orders if order.event.day >= span.start]
    if within and len(orders) > 1:
        seconds = int((orders[-1].event.at - orders[0].event.at).total_seconds())
        yield Fact("coming back", (len(within), sum(order.amount for order in within), seconds))


def costs(category: str) -> Facts:
    def facts(history: History, span: Span) -> Iterable[Fact]:
        for day, of, spent in history.deals.costs:
            if of == category and span.start <= day < span.end:
                yield Fact("cost", spent)

    return facts


def share(nothing: str) -> Formula:
    """The part of all of which it is true."""

    def formula(cell: FactsByName, span: Span) -> Row:
        return ratio(
            sum(is_so for (is_so,) in cell["all"]), len(cell["all"]), per=100, nothing=nothing, interval=wilson
        )

    return formula


def _value_rate(cell: FactsByName, span: Span) -> Row:
    due, kept = (sum(amounts) for amounts in zip(*cell["amounts"], strict=True)) if cell["amounts"] else (0, 0)
    return ratio(kept, due, per=100, nothing="no_amounts_due") | {"sample_size": len(cell["amounts"])}


def _revenue(cell: FactsByName, span: Span) -> Row:
    return money(Fraction(sum(cell["money"])))


def _clv_purchases(cell: FactsByName, span: Span) -> Row:
    purchasers = len(cell["coming back"])
    row = {"value": None, "numerator": None, "denominator": None, "sample_size": purchasers, "interval": None}
    if not purchasers:
        return row | {"amount": None, "reason": "no_repeat_purchases"}
    orders, paid, seconds = (Fraction(sum(values)) for values in zip(*cell["coming back"], strict=True))
    value = (paid / orders) * (orders / (purchasers * months(span))) * (seconds / purchasers / SECONDS_A_MONTH)
    return row | {"value": value, "amount": amount(value)}


def if_any(row: Row, cell: FactsByName) -> Row:
    """Costs of the whole business are no account's: of accounts without costs of their own nothing is known."""
    if sum(cell["cost"]) or row["value"] is None:
        return row
    return row | {"value": None, "reason": "unallocated"}


def _cac(cell: FactsByName, span: Span) -> Row:
    return with_amount(if_any(ratio(sum(cell["cost"]), len(cell["new"]), nothing="no_new_customers"), cell))


def _retention_cost(cell: FactsByName, span: Span) -> Row:
    return with_amount(if_any(ratio(sum(cell["cost"]), len(cell["mrr"]), nothing="no_customers"), cell))


def _retention_cost_ratio(cell: FactsByName, span: Span) -> Row:
    row = ratio(sum(cell["cost"]), sum(cell["mrr"]) * months(span), per=100, nothing="no_customers")
    return if_any(row | {"sample_size": len(cell["mrr"])}, cell)


def _ltv_to_cac(cell: FactsByName, span: Span) -> Row:
    worth, cost = clv(cell, span), _cac(cell, span)
    row = {"value": None, "numerator": worth["value"], "denominator": cost["value"], "interval": None}
    row["sample_size"] = min(worth["sample_size"], cost["sample_size"])
    if worth["value"] is None or cost["value"] is None:
        return row | {"reason": worth.get("reason") or cost["reason"]}
    return row | {"value": worth["value"] / cost["value"]}


def _payback(cell: FactsByName, span: Span) -> Row:
    cost, earned = _cac(cell, span), arpa(cell, span)
    row = {"value": None, "numerator": cost["value"], "denominator": earned["value"], "interval": None}
    row["sample_size"] = cost["sample_size"]
    if cost["value"] is None or earned["value"] is None:
        return row | {"reason": earned.get("reason") or cost["reason"]}
    return row | {"value": cost["value"] / earned["value"]}


_acquisition = combine(costs("acquisition"), movement("new"))
_retention = combine(costs("retention"), closing)
COMMERCE = {
    "trial_conversion_rate": ModelMetric(_trials, share("no_trials")),
    "renewal_rate": ModelMetric(_dues, share("no_renewals_due")),
    "renewal_value_rate": ModelMetric(_amounts_due, _value_rate),
    "revenue": ModelMetric(_money_moved, _revenue),
    "repeat_purchase_rate": ModelMetric(purchasers, share("no_purchases")),
    "clv_purchases": ModelMetric(_coming_back, _clv_purchases),
    "cac": ModelMetric(_acquisition, _cac),
    "customer_retention_cost": ModelMetric(_retention, _retention_cost),
    "retention_cost_ratio": ModelMetric(_retention, _retention_cost_ratio),
    "ltv_to_cac": ModelMetric(combine(_acquisition, opening, closing), _ltv_to_cac),
    "cac_payback_months": ModelMetric(combine(_acquisition, closing), _payback),
}
