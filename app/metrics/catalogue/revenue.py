"""Recurring revenue: what it is, how it moved, and what an account or a user brings."""

from app.metrics.define import (
    Happens,
    Result,
    closing,
    count,
    metric,
    money,
    money_mean,
    money_ratio,
    opening,
)

NO_CUSTOMERS = "no_customers"
CHANGED, CANCELED = "subscription.changed", "subscription.canceled"

WON = Happens(1, CHANGED, {"subscription_id": "sub-1", "mrr": "100"})
BEFORE = Happens(1, CHANGED, {"subscription_id": "sub-1", "mrr": "100"}, on="2026-01-10")
GREW = Happens(1, CHANGED, {"subscription_id": "sub-1", "mrr": "130"}, on="2026-03-05")
SHRANK = Happens(1, CHANGED, {"subscription_id": "sub-1", "mrr": "80"}, on="2026-03-05")
LEFT = Happens(1, CANCELED, {"subscription_id": "sub-1", "reason": "price"}, on="2026-03-05")
LEFT_BEFORE = Happens(1, CANCELED, {"subscription_id": "sub-1"}, on="2026-02-10")


@metric(
    unit="money",
    better="up",
    adds_over=("groups",),
    example={"mrr": 1_300_000, "equals": 130},
    events=[BEFORE, GREW],
)
def mrr(mrr: int = closing("mrr")) -> Result:
    """Monthly recurring revenue: what subscriptions bring a month, at the period's end; by subject, each plan."""
    return money(mrr)


@metric(
    unit="money",
    better="up",
    adds_over=("groups",),
    example={"mrr": 1_000_000, "equals": 100},
    events=[BEFORE, GREW],
)
def mrr_opening(mrr: int = opening("mrr")) -> Result:
    """Opening MRR: monthly recurring revenue at the period's start."""
    return money(mrr)


@metric(
    unit="money",
    better="up",
    adds_over=("groups",),
    example={"mrr": 1_000_000, "equals": 1200},
    events=[BEFORE],
)
def arr(mrr: int = closing("mrr")) -> Result:
    """Annual recurring revenue: twelve times the MRR at the period's end."""
    return money(12 * mrr)


@metric(
    unit="money",
    better="up",
    adds_over=("groups", "time"),
    example={"mrr_new": 1_000_000, "equals": 100},
    events=[WON],
)
def mrr_new(mrr_new: int) -> Result:
    """New MRR: of accounts that pay for the first time."""
    return money(mrr_new)


@metric(
    unit="money",
    better="up",
    adds_over=("groups", "time"),
    example={"mrr_expansion": 300_000, "equals": 30},
    events=[BEFORE, GREW],
)
def mrr_expansion(mrr_expansion: int) -> Result:
    """Expansion MRR: what paying accounts added, each day's net."""
    return money(mrr_expansion)


@metric(
    unit="money",
    better="down",
    adds_over=("groups", "time"),
    example={"mrr_contraction": 200_000, "equals": 20},
    events=[BEFORE, SHRANK],
)
def mrr_contraction(mrr_contraction: int) -> Result:
    """Contraction MRR: by how much accounts that still pay shrank, each day's net."""
    return money(mrr_contraction)


@metric(
    unit="money",
    better="down",
    adds_over=("groups", "time"),
    example={"mrr_churned": 1_000_000, "equals": 100},
    events=[BEFORE, LEFT],
)
def mrr_churned(mrr_churned: int) -> Result:
    """Churned MRR: of accounts that stopped paying; by subject, each reason."""
    return money(mrr_churned)


@metric(
    unit="money",
    better="up",
    adds_over=("groups", "time"),
    example={"mrr_reactivated": 1_000_000, "equals": 100},
    events=[BEFORE, LEFT_BEFORE, WON],
)
def mrr_reactivated(mrr_reactivated: int) -> Result:
    """Reactivation MRR: of accounts that pay again after they had stopped."""
    return money(mrr_reactivated)


@metric(
    unit="money",
    better="up",
    range=(None, None),
    adds_over=("groups", "time"),
    example={
        "mrr_new": 1_000_000,
        "mrr_reactivated": 500_000,
        "mrr_expansion": 300_000,
        "mrr_contraction": 200_000,
        "mrr_churned": 1_000_000,
        "equals": 60,
    },
    events=[
        WON._replace(account="new"),
        *(happening._replace(account="grew") for happening in (BEFORE, GREW)),
        *(happening._replace(account="shrank") for happening in (BEFORE, SHRANK)),
        *(happening._replace(account="left") for happening in (BEFORE, LEFT)),
        *(happening._replace(account="back") for happening in (BEFORE, LEFT_BEFORE)),
        Happens(1, CHANGED, {"subscription_id": "sub-1", "mrr": "50"}, account="back"),
    ],
)
def mrr_net_change(
    mrr_new: int, mrr_reactivated: int, mrr_expansion: int, mrr_contraction: int, mrr_churned: int
) -> Result:
    """Net change of MRR: new, reactivated and expansion less contraction and churned; closing less opening MRR."""
    return money(mrr_new + mrr_reactivated + mrr_expansion - mrr_contraction - mrr_churned)


@metric(
    unit="ratio",
    better="up",
    example={
        "mrr_new": 1_000_000,
        "mrr_reactivated": 0,
        "mrr_expansion": 300_000,
        "mrr_contraction": 200_000,
        "mrr_churned": 0,
        "equals": 6.5,
    },
    events=[
        WON._replace(account="new"),
        *(happening._replace(account="grew") for happening in (BEFORE, GREW)),
        *(happening._replace(account="shrank") for happening in (BEFORE, SHRANK)),
    ],
)
def quick_ratio(
    mrr_new: int, mrr_reactivated: int, mrr_expansion: int, mrr_contraction: int, mrr_churned: int
) -> Result:
    """Quick ratio: MRR that was gained for each that was lost."""
    return money_ratio(mrr_new + mrr_reactivated + mrr_expansion, mrr_contraction + mrr_churned, none="nothing_lost")


@metric(
    unit="money",
    better="up",
    example={"mrr": 2_300_000, "customers": 2, "equals": 115},
    events=[BEFORE._replace(account="one"), *(h._replace(account="two") for h in (BEFORE, GREW))],
)
def arpa(mrr: int = closing("mrr"), customers: int = closing("customers")) -> Result:
    """Average revenue per account: MRR for each customer, at the period's end."""
    return money_mean(mrr, of=customers, none=NO_CUSTOMERS)


@metric(
    unit="money",
    better="up",
    example={"mrr": 1_000_000, "registered_users": 4, "equals": 25},
    events=[
        BEFORE,
        *(Happens(1, "user.registered", {}, on="2026-02-01", user=user) for user in ("ada", "bob", "eve", "joe")),
    ],
)
def arpu(mrr: int = closing("mrr"), registered_users: int = closing("registered_users")) -> Result:
    """Average revenue per user: MRR for each registered user, at the period's end."""
    return money_mean(mrr, of=registered_users, none="no_users")


@metric(
    unit="count",
    better="up",
    adds_over=("groups",),
    example={"customers": 2, "equals": 2},
    events=[BEFORE._replace(account="one"), WON._replace(account="two")],
)
def customers(customers: int = closing("customers")) -> Result:
    """Customers: accounts with MRR at the period's end."""
    return count(customers)


@metric(
    unit="count",
    better="up",
    adds_over=("groups",),
    example={"customers": 1, "equals": 1},
    events=[BEFORE._replace(account="one"), WON._replace(account="two")],
)
def customers_opening(customers: int = opening("customers")) -> Result:
    """Opening customers: accounts with MRR at the period's start."""
    return count(customers)


@metric(
    unit="count",
    better="up",
    adds_over=("groups", "time"),
    example={"customers_new": 1, "equals": 1},
    events=[WON],
)
def customers_new(customers_new: int) -> Result:
    """New customers: accounts that paid for the first time."""
    return count(customers_new)


@metric(
    unit="count",
    better="down",
    adds_over=("groups", "time"),
    example={"customers_churned": 1, "equals": 1},
    events=[BEFORE, LEFT],
)
def customers_churned(customers_churned: int) -> Result:
    """Churned customers: how often accounts stopped paying; by subject, each reason."""
    return count(customers_churned)


@metric(
    unit="count",
    better="up",
    adds_over=("groups", "time"),
    example={"customers_reactivated": 1, "equals": 1},
    events=[BEFORE, LEFT_BEFORE, WON],
)
def customers_reactivated(customers_reactivated: int) -> Result:
    """Reactivated customers: how often accounts paid again after they had stopped."""
    return count(customers_reactivated)
