"""What it costs to win customers and to keep them, and whether that pays.

A cost that was recorded without an account is the whole business's. It cannot be told whose part of it is whose, so it
counts where all accounts are asked about as one; groups of accounts have an answer by their own costs only.
"""

from fractions import Fraction

from app.metrics.catalogue.retention import LEAVERS, ONE_LEFT, clv
from app.metrics.catalogue.revenue import BEFORE, NO_CUSTOMERS, WON
from app.metrics.define import (
    Happens,
    Result,
    closing,
    metric,
    money_mean,
    money_rate,
    of_period,
    of_question,
    opening,
)

ADVERTISING = Happens(1, "cost.recorded", {"category": "acquisition", "amount": "750"})
VISIT = Happens(1, "cost.recorded", {"category": "retention", "amount": "30"})
WON_FOR_750 = {
    "acquisition_cost": 7_500_000,
    "unallocated_acquisition_cost": 0,
    "customers_new": 1,
    "divided": 1,
}
KEPT_FOR_30 = {"retention_cost": 300_000, "unallocated_retention_cost": 0, "customers": 2, "divided": 1}
TWO = [BEFORE._replace(account="one"), BEFORE._replace(account="two"), VISIT._replace(account="one")]


def _if_known(result: Result, own: int, unallocated: int, *, divided: bool) -> Result:
    """The result, unless its costs are not known: none were recorded or, of some accounts, none or not all with them."""
    if divided and (unallocated or not own):
        reason = "unallocated"
    elif not (own or unallocated):
        reason = "no_costs"
    else:
        return result
    return result if result.value is None else result._replace(value=None, amount=None, reason=reason)


@metric(
    unit="money",
    better="down",
    example=WON_FOR_750 | {"equals": 750},
    events=[WON, ADVERTISING],
)
def cac(
    acquisition_cost: int,
    unallocated_acquisition_cost: int,
    customers_new: int,
    divided: bool = of_question("divided"),
) -> Result:
    """Customer acquisition cost: what was spent on winning customers, for each that paid for the first time. Costs that
    were recorded without an account count in the whole; a group of accounts without costs of its own is `unallocated`.
    """
    cost = acquisition_cost + unallocated_acquisition_cost
    result = money_mean(cost, of=customers_new, none="no_new_customers")
    return _if_known(result, acquisition_cost, unallocated_acquisition_cost, divided=divided)


@metric(
    unit="money",
    better="down",
    example=KEPT_FOR_30 | {"equals": 15},
    events=TWO,
    convention="customers",
    counted_by="Those who share the cost among all whom it was spent on.",
)
def customer_retention_cost(
    retention_cost: int,
    unallocated_retention_cost: int,
    customers: int = closing("customers"),
    divided: bool = of_question("divided"),
) -> Result:
    """Customer retention cost: what was spent on keeping customers, for each customer at the period's end. Costs that were
    recorded without an account count in the whole; a group of accounts without costs of its own is `unallocated`.
    """
    result = money_mean(retention_cost + unallocated_retention_cost, of=customers, none=NO_CUSTOMERS)
    return _if_known(result, retention_cost, unallocated_retention_cost, divided=divided)


@customer_retention_cost.also(
    "retained_customers",
    counted_by="Operately: the cost, by the customers that were retained.",
    example={
        "retention_cost": 300_000,
        "unallocated_retention_cost": 0,
        "customers": 4,
        "leavers": 1,
        "divided": 1,
        "equals": 10,
    },
    events=[*ONE_LEFT, VISIT._replace(account="one")],
)
def _(
    retention_cost: int,
    unallocated_retention_cost: int,
    customers: int = opening("customers"),
    leavers: int = LEAVERS,
    divided: bool = of_question("divided"),
) -> Result:
    """What was spent on keeping customers, for each customer of the period's start that still is one at its end."""
    cost = retention_cost + unallocated_retention_cost
    result = money_mean(cost, of=customers - leavers, none="no_retained_customers")
    return _if_known(result, retention_cost, unallocated_retention_cost, divided=divided)


@metric(
    unit="percent",
    better="down",
    example=KEPT_FOR_30 | {"mrr": 2_000_000, "months": 1, "equals": 15},
    events=TWO,
)
def retention_cost_ratio(
    retention_cost: int,
    unallocated_retention_cost: int,
    mrr: int = closing("mrr"),
    customers: int = closing("customers"),
    months: Fraction = of_period("months"),
    divided: bool = of_question("divided"),
) -> Result:
    """Retention cost ratio: what was spent on keeping customers, per hundred of what they bring in as many months at the
    MRR of the period's end.
    """
    cost = retention_cost + unallocated_retention_cost
    result = money_rate(cost, of=mrr * months, sample=customers, none=NO_CUSTOMERS)
    return _if_known(result, retention_cost, unallocated_retention_cost, divided=divided)


# Of four customers one goes, and one is won for 750.00.
WON_AND_LOST = [*ONE_LEFT, WON._replace(account="five"), ADVERTISING._replace(account="five")]


@metric(
    unit="ratio",
    better="up",
    example=WON_FOR_750
    | {
        "mrr": 4_000_000,
        "customers": 4,
        "customers_before": 4,
        "leavers": 1,
        "months": 1,
        "margin": 1,
        "equals": 400 / 750,
    },
    events=WON_AND_LOST,
)
def ltv_to_cac(
    acquisition_cost: int,
    unallocated_acquisition_cost: int,
    customers_new: int,
    mrr: int = closing("mrr"),
    customers: int = closing("customers"),
    customers_before: int = opening("customers"),
    leavers: int = LEAVERS,
    months: Fraction = of_period("months"),
    margin: Fraction = of_period("margin"),
    divided: bool = of_question("divided"),
) -> Result:
    """Lifetime value to acquisition cost: how many times a customer brings what it costs to win one; `clv` by `cac`."""
    worth = clv(mrr, customers, customers_before, leavers, months, margin)
    cost = cac(acquisition_cost, unallocated_acquisition_cost, customers_new, divided)
    result = Result(None, worth.value, cost.value, min(worth.sample_size or 0, cost.sample_size or 0))
    if worth.amount is None or cost.amount is None:
        return result._replace(reason=worth.reason or cost.reason)
    return result._replace(value=float(worth.amount / Fraction(cost.amount)))


@metric(
    unit="months",
    better="down",
    example=WON_FOR_750 | {"mrr": 1_000_000, "customers": 1, "margin": 1, "equals": 7.5},
    events=[WON, ADVERTISING],
)
def cac_payback_months(
    acquisition_cost: int,
    unallocated_acquisition_cost: int,
    customers_new: int,
    mrr: int = closing("mrr"),
    customers: int = closing("customers"),
    margin: Fraction = of_period("margin"),
    divided: bool = of_question("divided"),
) -> Result:
    """Months to pay back the acquisition cost: until the margin of what a customer pays on the average, `arpa`, has brought
    in what it costs to win one, `cac`.
    """
    cost = cac(acquisition_cost, unallocated_acquisition_cost, customers_new, divided)
    if not customers:
        return Result(None, cost.value, sample_size=cost.sample_size, reason=NO_CUSTOMERS)
    earned = Fraction(mrr, customers) * margin
    result = Result(None, cost.value, float(earned / 10_000), cost.sample_size, reason=cost.reason)
    return result if cost.amount is None else result._replace(value=float(Fraction(cost.amount) / earned))
