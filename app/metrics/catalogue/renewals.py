"""Metrics of contract renewals: how many contracts that were due were renewed, and how much of their value.

A renewal counts in the period in which the contract was due, whenever it was decided.
"""

from app.metrics.define import ExampleEvent, Result, metric, money_rate, proportion


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
)
def renewal_rate(contracts_renewed: int, contracts_due: int) -> Result:
    """Renewal rate: percentage of contracts due for renewal in the period that have been renewed so far.

    A contract counts in the period in which it was due, even if it was renewed earlier or later. Contracts without a
    decision count as not renewed. No value when no contract was due.
    """
    return proportion(contracts_renewed, of=contracts_due, if_empty="no_renewals_due")


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
