"""Metrics of costs: what it costs to acquire and to retain customers, and whether that pays off.

A cost recorded without an account belongs to the whole company and cannot be divided among accounts. It counts only in
company-wide totals; groups and segments of accounts are answered from their own costs.
"""

from fractions import Fraction

from app.metrics.catalogue.retention import FOUR_CUSTOMERS_ONE_LOST, LOST_CUSTOMERS, clv
from app.metrics.catalogue.revenue import EARLIER_SUBSCRIPTION, NEW_SUBSCRIPTION, NO_CUSTOMERS
from app.metrics.define import (
    MONEY_SCALE,
    Amount,
    ExampleEvent,
    Result,
    closing,
    context,
    metric,
    money_mean,
    money_rate,
    opening,
)

ADVERTISING_COST = ExampleEvent(1, "cost.recorded", {"category": "acquisition", "amount": "750"})
VISIT_COST = ExampleEvent(1, "cost.recorded", {"category": "retention", "amount": "30"})
ACQUISITION_EXAMPLE: dict[str, float | str] = {
    "acquisition_cost": "750.00 USD",
    "unallocated_acquisition_cost": "0.00 USD",
    "customers_new": 1,
    "divided": 1,
}
RETENTION_EXAMPLE: dict[str, float | str] = {
    "retention_cost": "30.00 USD",
    "unallocated_retention_cost": "0.00 USD",
    "customers": 2,
    "divided": 1,
}
TWO_CUSTOMERS_ONE_VISIT = [
    EARLIER_SUBSCRIPTION._replace(account="one"),
    EARLIER_SUBSCRIPTION._replace(account="two"),
    VISIT_COST._replace(account="one"),
]


def _require_costs(result: Result, own: int, unallocated: int, *, divided: bool) -> Result:
    """Return the result, or an empty one with a reason when its costs are unknown.

    own, unallocated: the costs recorded with and without an account. divided: whether the question is about groups of
    accounts or only some accounts; these need costs of their own, and none without an account.
    """
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
    example=ACQUISITION_EXAMPLE | {"equals": 750},
    events=[NEW_SUBSCRIPTION, ADVERTISING_COST],
)
def cac(
    acquisition_cost: int,
    unallocated_acquisition_cost: int,
    customers_new: int,
    divided: bool = context("divided"),
) -> Result:
    """Customer acquisition cost (CAC): acquisition costs of the period divided by the number of new customers in it.

    New customers are accounts that became customers for the first time. Costs recorded without an account count only in
    company-wide totals; a group or segment without costs of its own has no value (`unallocated`). No value when there
    were no new customers or no costs.
    """
    cost = acquisition_cost + unallocated_acquisition_cost
    result = money_mean(cost, of=customers_new, if_empty="no_new_customers")
    return _require_costs(result, acquisition_cost, unallocated_acquisition_cost, divided=divided)


@metric(
    unit="money",
    better="down",
    example=RETENTION_EXAMPLE | {"equals": 15},
    events=TWO_CUSTOMERS_ONE_VISIT,
    convention="customers",
    counted_by="Companies that divide the cost by all current customers, including those just won.",
)
def customer_retention_cost(
    retention_cost: int,
    unallocated_retention_cost: int,
    customers: int = closing("customers"),
    divided: bool = context("divided"),
) -> Result:
    """Customer retention cost: retention costs of the period divided by the number of customers at its end.

    Costs recorded without an account count only in company-wide totals; a group or segment without costs of its own has
    no value (`unallocated`). No value when there are no customers or no costs.
    """
    result = money_mean(retention_cost + unallocated_retention_cost, of=customers, if_empty=NO_CUSTOMERS)
    return _require_costs(result, retention_cost, unallocated_retention_cost, divided=divided)


@customer_retention_cost.also(
    "retained_customers",
    counted_by="Operately and CalculatorsHub, which divide by the customers who were retained.",
    example={
        "retention_cost": "30.00 USD",
        "unallocated_retention_cost": "0.00 USD",
        "customers": 4,
        "leavers": 1,
        "divided": 1,
        "equals": 10,
    },
    events=[*FOUR_CUSTOMERS_ONE_LOST, VISIT_COST._replace(account="one")],
)
def _(
    retention_cost: int,
    unallocated_retention_cost: int,
    customers: int = opening("customers"),
    leavers: int = LOST_CUSTOMERS,
    divided: bool = context("divided"),
) -> Result:
    """Retention costs of the period divided by the number of retained customers: those at its start who were still
    customers at its end.

    Costs recorded without an account are treated as in the default convention. No value when no customer was retained
    or no costs were recorded.
    """
    cost = retention_cost + unallocated_retention_cost
    result = money_mean(cost, of=customers - leavers, if_empty="no_retained_customers")
    return _require_costs(result, retention_cost, unallocated_retention_cost, divided=divided)


@metric(
    unit="percent",
    better="down",
    example=RETENTION_EXAMPLE | {"mrr": "200.00 USD", "months": 1, "equals": 15},
    events=TWO_CUSTOMERS_ONE_VISIT,
)
def retention_cost_ratio(
    retention_cost: int,
    unallocated_retention_cost: int,
    mrr: Amount = closing("mrr"),
    customers: int = closing("customers"),
    months: Fraction = context("months"),
    divided: bool = context("divided"),
) -> Result:
    """Retention cost ratio: retention costs as a percentage of recurring revenue in the period.

    Recurring revenue is the MRR at the end of the period times the months in the period. Costs recorded without an
    account count only in company-wide totals; a group or segment without costs of its own has no value (`unallocated`).
    No value when there are no customers or no costs.
    """
    cost = retention_cost + unallocated_retention_cost
    result = money_rate(cost, of=mrr * months, sample=customers, if_empty=NO_CUSTOMERS)
    return _require_costs(result, retention_cost, unallocated_retention_cost, divided=divided)


# One of four customers is lost, and another one is acquired for 750.00.
ONE_CUSTOMER_LOST_ONE_NEW = [
    *FOUR_CUSTOMERS_ONE_LOST,
    NEW_SUBSCRIPTION._replace(account="five"),
    ADVERTISING_COST._replace(account="five"),
]


@metric(
    unit="ratio",
    better="up",
    example=ACQUISITION_EXAMPLE
    | {
        "mrr": "400.00 USD",
        "customers": 4,
        "customers_before": 4,
        "leavers": 1,
        "months": 1,
        "margin": 1,
        "equals": 400 / 750,
    },
    events=ONE_CUSTOMER_LOST_ONE_NEW,
)
def ltv_to_cac(
    acquisition_cost: int,
    unallocated_acquisition_cost: int,
    customers_new: int,
    mrr: Amount = closing("mrr"),
    customers: int = closing("customers"),
    customers_before: int = opening("customers"),
    leavers: int = LOST_CUSTOMERS,
    months: Fraction = context("months"),
    margin: Fraction = context("margin"),
    divided: bool = context("divided"),
) -> Result:
    """LTV to CAC ratio: customer lifetime value divided by customer acquisition cost.

    It says how many times over a customer pays back its acquisition cost. Computed as `clv` / `cac`, each by its
    default convention. No value when one of the two has none.
    """
    ltv = clv(mrr, customers, customers_before, leavers, months, margin)
    cost = cac(acquisition_cost, unallocated_acquisition_cost, customers_new, divided)
    result = Result(None, ltv.value, cost.value, min(ltv.sample_size or 0, cost.sample_size or 0))
    if ltv.amount is None or cost.amount is None:
        return result._replace(reason=ltv.reason or cost.reason)
    return result._replace(value=float(ltv.amount / Fraction(cost.amount)))


@metric(
    unit="months",
    better="down",
    example=ACQUISITION_EXAMPLE | {"mrr": "100.00 USD", "customers": 1, "margin": 1, "equals": 7.5},
    events=[NEW_SUBSCRIPTION, ADVERTISING_COST],
)
def cac_payback_months(
    acquisition_cost: int,
    unallocated_acquisition_cost: int,
    customers_new: int,
    mrr: Amount = closing("mrr"),
    customers: int = closing("customers"),
    margin: Fraction = context("margin"),
    divided: bool = context("divided"),
) -> Result:
    """CAC payback period: months until the gross margin on an average customer's MRR has paid back its acquisition
    cost.

    Computed as `cac` / (`arpa` × gross margin). No value when `cac` has none or there are no customers at the end of
    the period.
    """
    cost = cac(acquisition_cost, unallocated_acquisition_cost, customers_new, divided)
    if not customers:
        return Result(None, cost.value, sample_size=cost.sample_size, reason=NO_CUSTOMERS)
    monthly_margin = Fraction(mrr, customers) * margin
    result = Result(None, cost.value, float(monthly_margin / MONEY_SCALE), cost.sample_size, reason=cost.reason)
    return result if cost.amount is None else result._replace(value=float(Fraction(cost.amount) / monthly_margin))
