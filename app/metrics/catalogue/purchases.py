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
# The same by the orders that were not refunded in full.
IS_REPEAT_KEEPER = (own_flow("orders_kept") > 0) & (own_closing("orders_kept") > 1)
# A month of 30.4375 days: a twelfth of 365.25.
SECONDS_PER_MONTH = 2_629_800


def _order(amount: str, number: int, on: str = "2026-03-10", account: str = "acme") -> ExampleEvent:
    """Return the event of an order with this number."""
    return ExampleEvent(
        1, "purchase.completed", {"order_id": f"order-{number}", "amount": amount}, on=on, account=account
    )


def _refund(amount: str, number: int, account: str = "acme") -> ExampleEvent:
    """Return the event of a refund of the order with this number."""
    data = {"order_id": f"order-{number}", "amount": amount}
    return ExampleEvent(1, "purchase.refunded", data, on="2026-03-12", account=account)


@metric(
    unit="money",
    better="up",
    range=(None, None),
    adds_over=("groups", "time"),
    example={"purchases": "100.00 USD", "refunds": "30.00 USD", "equals": 70},
    events=[
        _order("60", 1),
        _order("40", 2),
        _refund("30", 1),
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
    convention="gross_of_refunds",
    counted_by="Who counts so: shops where returns are rare, or are looked at on their own.",
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
    return _value_of_orders(purchases, coming_back, purchase_seconds, months)


@clv_purchases.also(
    "net_of_refunds",
    counted_by="Who counts so: shops that look at what remains after returns.",
    example={
        "purchases_kept": "90.00 USD",
        "coming_back": 1,
        "kept_purchase_seconds": 59 * 86_400,
        "giving_all_back": 1,
        "months": 1,
        "equals": 90 * 59 / 30.4375,
    },
    events=[
        _order("70", 1, on="2026-01-10"),
        _order("120", 2),
        _refund("30", 2),
        _order("100", 3, on="2026-03-11"),
        _refund("100", 3),
        _order("10", 1, account="globex"),
        _refund("10", 1, account="globex"),
        _order("20", 2, account="globex"),
        _refund("20", 2, account="globex"),
    ],
)
def _(
    purchases_kept: int = over_accounts(
        "Money paid for orders in the {period} and not refunded, by accounts with at least two orders not refunded in full by "
        "its end.",
        own_flow("purchases_kept"),
        where=IS_REPEAT_KEEPER,
    ),
    coming_back: int = accounts(
        "Accounts with an order in the {period}, and at least two by its end, that were not refunded in full.",
        where=IS_REPEAT_KEEPER,
    ),
    kept_purchase_seconds: int = over_accounts(
        "Seconds from the first to the last order by the end of the {period} that was not refunded in full, added up over these "
        "accounts.",
        own_closing("kept_purchase_seconds"),
        where=IS_REPEAT_KEEPER,
    ),
    giving_all_back: int = accounts(
        "Accounts that ordered in the {period}, and at least twice by its end, and got all their money back.",
        where=IS_REPEAT_PURCHASER & ~(own_closing("orders_kept") > 0),
    ),
    months: Fraction = context("months"),
) -> Result:
    """Average order value × orders per month × months from first to last order, with each order at what was kept of it.

    An order that was refunded in full is no order. What was kept counts on the day of the order, so the value of a past period
    falls with a later refund. 0 when all accounts that order again got all their money back; no value when no
    account orders again.
    """
    return _value_of_orders(purchases_kept, coming_back, kept_purchase_seconds, months, worthless=giving_all_back)


def _value_of_orders(purchases: int, coming_back: int, seconds: int, months: Fraction, *, worthless: int = 0) -> Result:
    """Return the lifetime value of the accounts that come back, from the sums of what they paid and of their seconds.

    worthless: how many accounts came back but kept nothing. They count only where there are no others.
    """
    if not coming_back:
        if worthless:
            return money(0)._replace(sample_size=worthless)
        return Result(None, sample_size=0, reason="no_repeat_purchases")
    # The number of orders cancels out: average order value times number of orders is what was paid for them.
    monthly_value = Fraction(purchases, coming_back) / months
    lifetime_months = Fraction(seconds, coming_back * SECONDS_PER_MONTH)
    return money(monthly_value * lifetime_months)._replace(sample_size=coming_back)
