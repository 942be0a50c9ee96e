"""Who stays: churn, retention and worth of the opening customers, those with MRR at the period's start; and renewals.

Accounts that are won inside a period are not among them: whether they stay is asked of the next one.
"""

from fractions import Fraction

from app.metrics.catalogue.revenue import BEFORE, CANCELED, LEFT, LEFT_BEFORE, NO_CUSTOMERS, WON
from app.metrics.define import (
    Happens,
    Result,
    accounts,
    closing,
    metric,
    money,
    money_rate,
    of_period,
    opening,
    own_closing,
    own_flow,
    own_opening,
    percentage,
    proportion,
    trailing,
)

# An opening customer's own MRR at the start and at the end.
M0, M1 = own_opening("mrr"), own_closing("mrr")
LEAVERS = accounts(where=(M0 > 0) & ~(M1 > 0))
# Of the opening customers those who were lost at any time; and accounts that were none and became customers.
LOST_AT_ALL = accounts(where=(M0 > 0) & (own_flow("customers_churned") > 0))
JOINED = accounts(where=~(M0 > 0) & ((own_flow("customers_new") > 0) | (own_flow("customers_reactivated") > 0)))
# One if the account pays and has not cancelled.
KEPT0 = own_opening("customers") - own_opening("customers_leaving")
KEPT1 = own_closing("customers") - own_closing("customers_leaving")

STAYED = [BEFORE._replace(account=account) for account in ("one", "two", "three")]
# Of 400.00 of four customers, one goes with 100.00.
ONE_LEFT = [*STAYED, BEFORE._replace(account="four"), LEFT._replace(account="four")]
# Of five customers two go, and one of them comes back; one is won and lost, and one is won.
CAME_AND_WENT = [
    *ONE_LEFT,
    BEFORE._replace(account="five"),
    LEFT._replace(account="five"),
    WON._replace(account="five"),
    WON._replace(account="six"),
    LEFT._replace(account="six", on="2026-03-12"),
    WON._replace(account="seven"),
]
ENDS_LATER = Happens(1, CANCELED, {"subscription_id": "sub-1", "ends_at": "2026-04-10T00:00:00Z"}, on="2026-03-05")


@metric(
    unit="percent",
    better="down",
    range=(0, 100),
    example={"leavers": 1, "customers": 4, "equals": 25},
    events=ONE_LEFT,
    convention="opening_customers",
    counted_by="ChartMogul: who joined in the period, or came back in it, is not lost.",
)
def customer_churn_rate(leavers: int = LEAVERS, customers: int = opening("customers")) -> Result:
    """Customer churn rate: opening customers that are none at the end, per hundred."""
    return proportion(leavers, of=customers, none=NO_CUSTOMERS)


@customer_churn_rate.also(
    "all_churn_events",
    counted_by="Baremetrics: cancellations of a period, by the customers before it.",
    range=(0, None),
    example={"customers_churned": 3, "customers": 5, "equals": 60},
    events=CAME_AND_WENT,
)
def _(customers_churned: int, customers: int = opening("customers")) -> Result:
    """Every loss of a customer in the period, also of those who joined in it and those who came back, per hundred opening
    customers; may exceed 100.
    """
    return percentage(customers_churned, to=customers, none=NO_CUSTOMERS)


@customer_churn_rate.also(
    "lost_at_any_time",
    counted_by="Reports that leave out who joined in the period, as ChartMogul does, but not who came back in it.",
    example={"lost": 2, "customers": 5, "equals": 40},
    events=CAME_AND_WENT,
)
def _(lost: int = LOST_AT_ALL, customers: int = opening("customers")) -> Result:
    """Opening customers that were lost at any time of the period, even if they came back in it, per hundred."""
    return proportion(lost, of=customers, none=NO_CUSTOMERS)


@customer_churn_rate.also(
    "ever_active",
    counted_by="Reports that divide by all customers of the period, also those who joined in it.",
    range=(0, None),
    example={"customers_churned": 3, "customers": 5, "joined": 2, "equals": 300 / 7},
    events=CAME_AND_WENT,
)
def _(customers_churned: int, customers: int = opening("customers"), joined: int = JOINED) -> Result:
    """Every loss of a customer in the period, per hundred accounts that were customers at any time of it."""
    return percentage(customers_churned, to=customers + joined, none=NO_CUSTOMERS)


@customer_churn_rate.also(
    "cancellation_click",
    counted_by="Stripe and Maxio, for which a customer is lost on the day of the cancellation; Polar in its churn rate.",
    example={"leavers": 1, "customers": 4, "leaving": 0, "equals": 25},
    events=[*STAYED, BEFORE._replace(account="four"), ENDS_LATER._replace(account="four")],
)
def _(
    leavers: int = accounts(where=(KEPT0 > 0) & ~(KEPT1 > 0)),
    customers: int = opening("customers"),
    leaving: int = opening("customers_leaving"),
) -> Result:
    """Opening customers that have cancelled or left by the end, per hundred; those who had cancelled before are not among
    them. The default waits for the end of what they paid for.
    """
    return proportion(leavers, of=customers - leaving, none=NO_CUSTOMERS)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"leavers": 1, "customers": 4, "equals": 75},
    events=ONE_LEFT,
)
def customer_retention_rate(leavers: int = LEAVERS, customers: int = opening("customers")) -> Result:
    """Customer retention rate: opening customers that still are at the end, per hundred."""
    return proportion(customers - leavers, of=customers, none=NO_CUSTOMERS)


@metric(
    unit="money",
    better="up",
    example={
        "mrr": 3_000_000,
        "customers": 3,
        "customers_before": 4,
        "leavers": 1,
        "months": 1,
        "margin": 1,
        "equals": 400,
    },
    events=ONE_LEFT,
    convention="with_margin",
    counted_by="Finmark, and those who count what a customer earns and not what it pays.",
)
def clv(
    mrr: int = closing("mrr"),
    customers: int = closing("customers"),
    customers_before: int = opening("customers"),
    leavers: int = LEAVERS,
    months: Fraction = of_period("months"),
    margin: Fraction = of_period("margin"),
) -> Result:
    """Customer lifetime value: average revenue per account, times the gross margin, by the churn rate of a month."""
    return _lifetime_value(mrr * margin, customers, customers_before, leavers, months)


@clv.also(
    "without_margin",
    counted_by="ChartMogul, Baremetrics and most others: revenue, not earnings, by churn.",
    example={
        "mrr": 3_000_000,
        "customers": 3,
        "customers_before": 4,
        "leavers": 1,
        "months": 1,
        "equals": 400,
    },
    events=ONE_LEFT,
)
def _(
    mrr: int = closing("mrr"),
    customers: int = closing("customers"),
    customers_before: int = opening("customers"),
    leavers: int = LEAVERS,
    months: Fraction = of_period("months"),
) -> Result:
    """Average revenue per account, whatever it costs to serve it, by the churn rate of a month."""
    return _lifetime_value(mrr, customers, customers_before, leavers, months)


@clv.also(
    "trailing_churn",
    counted_by="ChartMogul, which averages the churn rates of six months and leaves out the running one.",
    example={
        "mrr": 3_000_000,
        "customers": 3,
        "customers_before": 4,
        "leavers": 1,
        "margin": 1,
        "equals": 400,
    },
    events=[*STAYED, *(happening._replace(account="four") for happening in (BEFORE, LEFT_BEFORE))],
)
def _(
    mrr: int = closing("mrr"),
    customers: int = closing("customers"),
    customers_before: int = trailing(opening("customers"), months=6),
    leavers: int = trailing(LEAVERS, months=6),
    margin: Fraction = of_period("margin"),
) -> Result:
    """Average revenue per account, times the gross margin, by the mean churn rate of the last six whole months up to the
    period's end: all that left in these months, of all with whom they began.
    """
    return _lifetime_value(mrr * margin, customers, customers_before, leavers, Fraction(1))


def _lifetime_value(earned: int | Fraction, customers: int, opening: int, leavers: int, months: Fraction) -> Result:
    """What one of the customers earns in a month, by the share of the opening ones that leaves in a month."""
    if not customers or not opening:
        return Result(None, sample_size=opening, reason=NO_CUSTOMERS)
    if not leavers:
        return Result(None, sample_size=opening, reason="no_churn")
    # In whole numbers, since a division of fractions takes as long as all else of a row.
    worth = Fraction(earned.numerator, earned.denominator * customers)
    churn = Fraction(leavers * months.denominator, opening * months.numerator)
    return money(worth / churn)._replace(numerator=float(worth / 10_000), denominator=float(churn), sample_size=opening)


def _contract(type: str, amount: str | None, number: int, on: str = "2026-03-10") -> Happens:
    """Something about a contract of its own."""
    data = {"contract_id": f"contract-{number}"} | ({} if amount is None else {"amount": amount})
    return Happens(1, type, data, on=on)


# Four contracts: renewed for more, early for less, declined, and due without an amount.
DUE = [
    _contract("renewal.due", "1000", 1),
    _contract("renewal.completed", "1200", 1, on="2026-03-12"),
    _contract("renewal.completed", "400", 2, on="2026-02-20"),
    _contract("renewal.due", "500", 2),
    _contract("renewal.due", "500", 3),
    _contract("renewal.declined", None, 3),
    _contract("renewal.due", None, 4),
    _contract("renewal.completed", None, 4),
]


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"contracts_renewed": 3, "contracts_due": 4, "equals": 75},
    events=DUE,
)
def renewal_rate(contracts_renewed: int, contracts_due: int) -> Result:
    """Renewal rate: contracts that were renewed, whenever that was decided, per hundred that were due in the period."""
    return proportion(contracts_renewed, of=contracts_due, none="no_renewals_due")


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={
        "renewal_value_renewed": 14_000_000,
        "renewal_value_due": 20_000_000,
        "contracts_valued": 3,
        "equals": 70,
    },
    events=DUE,
)
def renewal_value_rate(renewal_value_renewed: int, renewal_value_due: int, contracts_valued: int) -> Result:
    """Renewal value rate: what was renewed of the amounts that were due in the period, per hundred of them; of each
    contract at most its own, so that what one adds does not hide what another takes away. A renewal that names no amount
    is for all that was due; what was due without an amount takes no part.
    """
    return money_rate(renewal_value_renewed, of=renewal_value_due, sample=contracts_valued, none="no_amounts_due")
