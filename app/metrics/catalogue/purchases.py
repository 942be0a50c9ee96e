"""What is bought in orders, once or again, besides subscriptions."""

from fractions import Fraction

from app.metrics.define import (
    Happens,
    Result,
    accounts,
    closing,
    metric,
    money,
    of_period,
    over_accounts,
    own_closing,
    own_flow,
    proportion,
)

# Accounts that made an order in the period and, of them, those with two or more by its end.
PURCHASERS = own_flow("orders") > 0
COMING_BACK = PURCHASERS & (own_closing("orders") > 1)
# 30.4375 days.
SECONDS_A_MONTH = 2_629_800


def _order(amount: str, number: int, on: str = "2026-03-10", account: str = "acme") -> Happens:
    """Something bought."""
    return Happens(1, "purchase.completed", {"order_id": f"order-{number}", "amount": amount}, on=on, account=account)


@metric(
    unit="money",
    better="up",
    range=(None, None),
    adds_over=("groups", "time"),
    example={"purchases": 1_000_000, "refunds": 300_000, "equals": 70},
    events=[
        _order("60", 1),
        _order("40", 2),
        Happens(1, "purchase.refunded", {"order_id": "order-1", "amount": "30"}, on="2026-03-12"),
    ],
)
def revenue(purchases: int, refunds: int) -> Result:
    """Revenue of purchases: what was paid for orders less what was given back, each on its day; subscriptions have no part
    in it. An order counts once; what is given back for it is never more than was paid.
    """
    return money(purchases - refunds)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"coming_back": 1, "purchasers": 2, "equals": 50},
    events=[_order("60", 1, on="2026-01-10"), _order("40", 2), _order("10", 1, account="globex")],
    convention="orders",
    counted_by="Shops that count orders, two of one day among them.",
)
def repeat_purchase_rate(
    coming_back: int = accounts(where=COMING_BACK), purchasers: int = accounts(where=PURCHASERS)
) -> Result:
    """Repeat purchase rate: of the accounts that made an order in the period, those with at least two by its end, per
    hundred. An order that was given back stays one.
    """
    return proportion(coming_back, of=purchasers, none="no_purchases")


@repeat_purchase_rate.also(
    "purchase_days",
    counted_by="Shops for which an order of the same day is an afterthought and no return.",
    example={"coming_back": 1, "purchasers": 3, "equals": 100 / 3},
    events=[
        _order("60", 1, on="2026-01-10"),
        _order("40", 2),
        _order("10", 1, account="globex"),
        _order("10", 1, account="initech"),
        _order("20", 2, account="initech"),
    ],
)
def _(
    coming_back: int = accounts(where=PURCHASERS & (own_closing("purchase_days") > 1)),
    purchasers: int = accounts(where=PURCHASERS),
) -> Result:
    """Of the accounts that made an order in the period, those with orders on at least two days by its end, per hundred."""
    return proportion(coming_back, of=purchasers, none="no_purchases")


@repeat_purchase_rate.also(
    "all_customers",
    counted_by="Reports on a whole customer base: of all who ever purchased, who did so again?",
    example={"repeat_purchasers": 1, "purchasers": 2, "equals": 50},
    events=[
        _order("60", 1, on="2026-01-10"),
        _order("40", 2, on="2026-01-20"),
        _order("10", 1, account="globex"),
    ],
)
def _(repeat_purchasers: int = closing("repeat_purchasers"), purchasers: int = closing("purchasers")) -> Result:
    """Accounts with at least two orders by the period's end, per hundred with any by then, whenever they made them."""
    return proportion(repeat_purchasers, of=purchasers, none="no_purchases")


@metric(
    unit="money",
    better="up",
    example={
        "purchases": 1_500_000,
        "coming_back": 1,
        "purchase_seconds": 60 * 86_400,
        "months": 1,
        "equals": 150 * 60 / 30.4375,
    },
    events=[_order("70", 1, on="2026-01-10"), _order("50", 2), _order("100", 3, on="2026-03-11")],
)
def clv_purchases(
    purchases: int = over_accounts(own_flow("purchases"), where=COMING_BACK),
    coming_back: int = accounts(where=COMING_BACK),
    purchase_seconds: int = over_accounts(own_closing("purchase_seconds"), where=COMING_BACK),
    months: Fraction = of_period("months"),
) -> Result:
    """Customer lifetime value by purchases: average order value, times orders for each purchaser and month of the period,
    times the months of 30.4375 days from a purchaser's first order to its last by the period's end. All three are of the
    accounts that made an order in the period and have two or more by its end. What was given back is not taken off.
    """
    if not coming_back:
        return Result(None, sample_size=0, reason="no_repeat_purchases")
    # The number of orders cancels out: their average value times their number is what was paid for them.
    a_month = Fraction(purchases, coming_back) / months
    stay = Fraction(purchase_seconds, coming_back * SECONDS_A_MONTH)
    return money(a_month * stay)._replace(sample_size=coming_back)
