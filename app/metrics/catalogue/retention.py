"""Who stays: churn, retention and expansion of the opening customers, those with MRR at the period's start; and renewals.

Accounts that are won inside a period are not among them: whether they stay is asked of the next one.
"""

from fractions import Fraction

from app.metrics.catalogue.revenue import BEFORE, GREW, LEFT, NO_CUSTOMERS, SHRANK
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
    over_accounts,
    own_closing,
    own_opening,
    proportion,
)

# An opening customer's own MRR at the start and at the end.
M0, M1 = own_opening("mrr"), own_closing("mrr")
LEAVERS = accounts(where=(M0 > 0) & ~(M1 > 0))
MRR_LOST = over_accounts(M0 - M1, where=(M0 > 0) & (M0 > M1))
MRR_GAINED = over_accounts(M1 - M0, where=(M0 > 0) & (M1 > M0))

STAYED = [BEFORE._replace(account=account) for account in ("one", "two", "three")]
# Of 400.00 of four customers, one goes with 100.00.
ONE_LEFT = [*STAYED, BEFORE._replace(account="four"), LEFT._replace(account="four")]
# Of 300.00 of three customers, one shrinks by 20.00 and one grows by 30.00.
SOME_MOVED = [*STAYED, SHRANK._replace(account="one"), GREW._replace(account="two")]
MOVED = {"mrr_lost": 200_000, "mrr_gained": 300_000, "mrr": 3_000_000, "customers": 3}


@metric(
    unit="percent",
    better="down",
    range=(0, 100),
    example={"leavers": 1, "customers": 4, "equals": 25},
    events=ONE_LEFT,
)
def customer_churn_rate(leavers: int = LEAVERS, customers: int = opening("customers")) -> Result:
    """Customer churn rate: opening customers that are none at the end, per hundred."""
    return proportion(leavers, of=customers, none=NO_CUSTOMERS)


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
    unit="percent",
    better="down",
    range=(0, 100),
    example={"mrr_lost": 200_000, "mrr": 3_000_000, "customers": 3, "equals": 20 / 3},
    events=SOME_MOVED,
)
def gross_mrr_churn_rate(
    mrr_lost: int = MRR_LOST, mrr: int = opening("mrr"), customers: int = opening("customers")
) -> Result:
    """Gross MRR churn rate: what opening customers lost or were downgraded by, each by its net, per hundred of their MRR."""
    return money_rate(mrr_lost, of=mrr, sample=customers, none=NO_CUSTOMERS)


@metric(
    unit="percent",
    better="up",
    example={"mrr_gained": 300_000, "mrr": 3_000_000, "customers": 3, "equals": 10},
    events=SOME_MOVED,
)
def expansion_mrr_rate(
    mrr_gained: int = MRR_GAINED, mrr: int = opening("mrr"), customers: int = opening("customers")
) -> Result:
    """Expansion MRR rate: what opening customers added, each by its net, per hundred of their MRR."""
    return money_rate(mrr_gained, of=mrr, sample=customers, none=NO_CUSTOMERS)


@metric(
    unit="percent",
    better="down",
    range=(None, 100),
    example=MOVED | {"equals": -10 / 3},
    events=SOME_MOVED,
)
def net_mrr_churn_rate(
    mrr_lost: int = MRR_LOST,
    mrr_gained: int = MRR_GAINED,
    mrr: int = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """Net MRR churn rate: gross churn less expansion of the opening customers; negative where they grew on the whole."""
    return money_rate(mrr_lost - mrr_gained, of=mrr, sample=customers, none=NO_CUSTOMERS)


@metric(
    unit="percent",
    better="up",
    example=MOVED | {"equals": 310 / 3},
    events=SOME_MOVED,
)
def nrr(
    mrr_lost: int = MRR_LOST,
    mrr_gained: int = MRR_GAINED,
    mrr: int = opening("mrr"),
    customers: int = opening("customers"),
) -> Result:
    """Net revenue retention: what the opening customers bring at the end, per hundred of what they brought at the start."""
    return money_rate(mrr + mrr_gained - mrr_lost, of=mrr, sample=customers, none=NO_CUSTOMERS)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"mrr_lost": 200_000, "mrr": 3_000_000, "customers": 3, "equals": 280 / 3},
    events=SOME_MOVED,
)
def grr(mrr_lost: int = MRR_LOST, mrr: int = opening("mrr"), customers: int = opening("customers")) -> Result:
    """Gross revenue retention: the same without what they added: at most 100."""
    return money_rate(mrr - mrr_lost, of=mrr, sample=customers, none=NO_CUSTOMERS)


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
    if not customers or not customers_before:
        return Result(None, sample_size=customers_before, reason=NO_CUSTOMERS)
    if not leavers:
        return Result(None, sample_size=customers_before, reason="no_churn")
    worth = Fraction(mrr, customers) * margin
    churn = Fraction(leavers, customers_before) / months
    return money(worth / churn)._replace(
        numerator=float(worth / 10_000), denominator=float(churn), sample_size=customers_before
    )


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
