"""Metrics of purchases: orders outside subscriptions, their revenue and how many accounts order again."""

from fractions import Fraction

from app.metrics.define import (
    ExampleEvent,
    Result,
    accounts,
    closing,
    context,
    metric,
    money,
    over_accounts,
    own_closing,
    own_flow,
    proportion,
)

# An account that ordered in the period; and one of these with at least two orders by the end of the period.
IS_PURCHASER = own_flow("orders") > 0
IS_REPEAT_PURCHASER = IS_PURCHASER & (own_closing("orders") > 1)
PURCHASERS = accounts("Accounts that ordered in the {period}.", where=IS_PURCHASER)
REPEAT_PURCHASERS = accounts(
    "Accounts that ordered in the {period} and had placed at least two orders by its end.", where=IS_REPEAT_PURCHASER
)
# A month of 30.4375 days: a twelfth of 365.25.
SECONDS_PER_MONTH = 2_629_800


def _order(amount: str, number: int, on: str = "2026-03-10", account: str = "acme") -> ExampleEvent:
    """Return the event of an order with this number."""
    return ExampleEvent(
        1, "purchase.completed", {"order_id": f"order-{number}", "amount": amount}, on=on, account=account
    )


@metric(
    unit="money",
    better="up",
    range=(None, None),
    adds_over=("groups", "time"),
    example={"purchases": "100.00 USD", "refunds": "30.00 USD", "equals": 70},
    events=[
        _order("60", 1),
        _order("40", 2),
        ExampleEvent(1, "purchase.refunded", {"order_id": "order-1", "amount": "30"}, on="2026-03-12"),
    ],
)
def revenue(purchases: int, refunds: int) -> Result:
    """Revenue from purchases: payments for orders minus refunds in the period, excluding subscriptions.

    An order counts on the day it was placed, a refund on the day it was paid back. An order counts once, however often
    it is sent, and its refunds never exceed what was paid for it.
    """
    return money(purchases - refunds)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"coming_back": 1, "purchasers": 2, "equals": 50},
    events=[_order("60", 1, on="2026-01-10"), _order("40", 2), _order("10", 1, account="globex")],
    convention="orders",
    counted_by="Shops that count every order, even two on the same day.",
)
def repeat_purchase_rate(coming_back: int = REPEAT_PURCHASERS, purchasers: int = PURCHASERS) -> Result:
    """Repeat purchase rate: percentage of purchasers in the period who had placed at least two orders by its end.

    A purchaser is an account that ordered in the period; its earlier orders count too. A refunded order still counts as
    an order. No value when nobody ordered.
    """
    return proportion(coming_back, of=purchasers, if_empty="no_purchases")


@repeat_purchase_rate.also(
    "purchase_days",
    counted_by="Shops that treat a second order on the same day as part of the first.",
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
    coming_back: int = accounts(
        "Accounts that ordered in the {period} and had ordered on at least two different days by its end.",
        where=IS_PURCHASER & (own_closing("purchase_days") > 1),
    ),
    purchasers: int = PURCHASERS,
) -> Result:
    """Percentage of purchasers in the period who had ordered on at least two different days by its end.

    Orders of one account on the same day count as one order.
    """
    return proportion(coming_back, of=purchasers, if_empty="no_purchases")


@repeat_purchase_rate.also(
    "all_customers",
    counted_by="Reports on all past purchasers, which show how many of them ever ordered again.",
    example={"repeat_purchasers": 1, "purchasers": 2, "equals": 50},
    events=[
        _order("60", 1, on="2026-01-10"),
        _order("40", 2, on="2026-01-20"),
        _order("10", 1, account="globex"),
    ],
)
def _(repeat_purchasers: int = closing("repeat_purchasers"), purchasers: int = closing("purchasers")) -> Result:
    """Percentage of all purchasers to date who had placed at least two orders by the end of the period.

    Everyone who ever ordered counts, with or without an order in the period. No value when nobody has ordered yet.
    """
    return proportion(repeat_purchasers, of=purchasers, if_empty="no_purchases")


@metric(
    unit="money",
    better="up",
    example={
        "purchases": "150.00 USD",
        "coming_back": 1,
        "purchase_seconds": 60 * 86_400,
        "months": 1,
        "equals": 150 * 60 / 30.4375,
    },
    events=[_order("70", 1, on="2026-01-10"), _order("50", 2), _order("100", 3, on="2026-03-11")],
)
def clv_purchases(
    purchases: int = over_accounts(
        "Money paid for orders in the {period} by accounts that had placed at least two orders by its end.",
        own_flow("purchases"),
        where=IS_REPEAT_PURCHASER,
    ),
    coming_back: int = REPEAT_PURCHASERS,
    purchase_seconds: int = over_accounts(
        "Seconds from first to last order by the end of the {period}, added up over these accounts.",
        own_closing("purchase_seconds"),
        where=IS_REPEAT_PURCHASER,
    ),
    months: Fraction = context("months"),
) -> Result:
    """Customer lifetime value from purchases: average order value × orders per month × months from first to last order,
    for accounts that order again.

    Covers accounts that ordered in the period and had placed at least two orders by its end. Order value and orders per
    month are averages of their orders in the period. The months, of 30.4375 days, run from an account's very first
    order to its last order by the end of the period. Refunds are not deducted. No value when there is no such account.
    """
    if not coming_back:
        return Result(None, sample_size=0, reason="no_repeat_purchases")
    # The number of orders cancels out: average order value times number of orders is what was paid for them.
    monthly_value = Fraction(purchases, coming_back) / months
    lifetime_months = Fraction(purchase_seconds, coming_back * SECONDS_PER_MONTH)
    return money(monthly_value * lifetime_months)._replace(sample_size=coming_back)
