"""Metrics of contract renewals: how many contracts that were due were renewed, and how much of their value.

A renewal counts in the period in which the contract was due, whenever it was decided.
"""

from app.metrics.define import ExampleEvent, Result, metric, money_rate, proportion

NO_RENEWALS_DUE = "no_renewals_due"


def _contract(type: str, amount: str | None, number: int, on: str = "2026-03-10") -> ExampleEvent:
    """Return an event of the contract with this number."""
    data = {"contract_id": f"contract-{number}"} | ({} if amount is None else {"amount": amount})
    return ExampleEvent(1, type, data, on=on)


# Four contracts: renewed for more, renewed early for less, declined, and due without an amount.
FOUR_CONTRACTS = [
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
    events=FOUR_CONTRACTS,
    convention="at_any_time",
    counted_by="Who counts so: teams that count a contract as renewed even when the decision took months.",
)
def renewal_rate(contracts_renewed: int, contracts_due: int) -> Result:
    """Renewal rate: percentage of contracts due for renewal in the period that have been renewed so far.

    A contract counts in the period in which it was due, even if it was renewed earlier or later. Contracts without a
    decision count as not renewed. No value when no contract was due.
    """
    return proportion(contracts_renewed, of=contracts_due, if_empty=NO_RENEWALS_DUE)


@renewal_rate.also(
    "within_30_days",
    counted_by="Who counts so: teams that treat a contract as lost when it is not renewed a month after it was due.",
    example={"contracts_renewed_within_30_days": 1, "contracts_due": 2, "equals": 50},
    events=[
        _contract("renewal.due", None, 1, on="2026-03-01"),
        _contract("renewal.completed", None, 1, on="2026-03-12"),
        _contract("renewal.due", None, 2, on="2026-03-02"),
    ],
)
def _(contracts_renewed_within_30_days: int, contracts_due: int) -> Result:
    """Percentage of contracts due for renewal in the period that were renewed at most 30 days after the day they were due.

    A renewal before that day counts too. So the rate of a period is final 30 days after its end. No value when no contract was
    due.
    """
    return proportion(contracts_renewed_within_30_days, of=contracts_due, if_empty=NO_RENEWALS_DUE)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={
        "renewal_value_renewed": "1400.00 USD",
        "renewal_value_due": "2000.00 USD",
        "contracts_valued": 3,
        "equals": 70,
    },
    events=FOUR_CONTRACTS,
)
def renewal_value_rate(renewal_value_renewed: int, renewal_value_due: int, contracts_valued: int) -> Result:
    """Renewal value rate: value of renewed contracts as a percentage of the contract value due for renewal in the
    period.

    Each contract counts with at most the amount due, so an increase on one does not hide a loss on another. A renewal
    without an amount counts with the full amount due. Contracts due without an amount are left out. No value when no
    amount was due.
    """
    return money_rate(renewal_value_renewed, of=renewal_value_due, sample=contracts_valued, if_empty="no_amounts_due")
