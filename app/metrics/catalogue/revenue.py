"""Metrics of recurring revenue: MRR and its movements, averages per account and user, and numbers of customers.

A movement is the net change of one account's MRR on one day, so days add up to months.
"""

from app.metrics.define import (
    Amount,
    ExampleEvent,
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

# Events of one subscription at 100.00 a month, for the examples.
NEW_SUBSCRIPTION = ExampleEvent(1, CHANGED, {"subscription_id": "sub-1", "mrr": "100"})
EARLIER_SUBSCRIPTION = ExampleEvent(1, CHANGED, {"subscription_id": "sub-1", "mrr": "100"}, on="2026-01-10")
UPGRADE = ExampleEvent(1, CHANGED, {"subscription_id": "sub-1", "mrr": "130"}, on="2026-03-05")
DOWNGRADE = ExampleEvent(1, CHANGED, {"subscription_id": "sub-1", "mrr": "80"}, on="2026-03-05")
CANCELLATION = ExampleEvent(1, CANCELED, {"subscription_id": "sub-1", "reason": "price"}, on="2026-03-05")
EARLIER_CANCELLATION = ExampleEvent(1, CANCELED, {"subscription_id": "sub-1"}, on="2026-02-10")


@metric(
    unit="money",
    better="up",
    adds_over=("groups",),
    example={"mrr": "130.00 USD", "equals": 130},
    events=[EARLIER_SUBSCRIPTION, UPGRADE],
)
def mrr(mrr: Amount = closing("mrr")) -> Result:
    """Monthly recurring revenue (MRR): monthly revenue from all active subscriptions at the end of the period.

    Yearly, quarterly and weekly prices are converted to a monthly price. Trials and one-time purchases are excluded. A canceled
    subscription counts until it ends, a paused one does not count. Can be broken down by plan.
    """
    return money(mrr)


@metric(
    unit="money",
    better="up",
    adds_over=("groups",),
    example={"mrr": "100.00 USD", "equals": 100},
    events=[EARLIER_SUBSCRIPTION, UPGRADE],
)
def mrr_opening(mrr: Amount = opening("mrr")) -> Result:
    """Opening MRR: monthly recurring revenue at the start of the period. Can be broken down by plan."""
    return money(mrr)


@metric(
    unit="money",
    better="up",
    adds_over=("groups",),
    example={"mrr": "100.00 USD", "equals": 1200},
    events=[EARLIER_SUBSCRIPTION],
)
def arr(mrr: Amount = closing("mrr")) -> Result:
    """Annual recurring revenue (ARR): twelve times the MRR at the end of the period. Can be broken down by plan."""
    return money(12 * mrr)


@metric(
    unit="money",
    better="up",
    adds_over=("groups", "time"),
    example={"mrr_new": "100.00 USD", "equals": 100},
    events=[NEW_SUBSCRIPTION],
)
def mrr_new(mrr_new: Amount) -> Result:
    """New MRR: MRR from accounts that became customers for the first time during the period.

    Only their first day with MRR counts; later changes are expansion or contraction. Former customers who start paying
    again count as reactivation.
    """
    return money(mrr_new)


@metric(
    unit="money",
    better="up",
    adds_over=("groups", "time"),
    example={"mrr_expansion": "30.00 USD", "equals": 30},
    events=[EARLIER_SUBSCRIPTION, UPGRADE],
)
def mrr_expansion(mrr_expansion: Amount) -> Result:
    """Expansion MRR: MRR added by customers who were already paying: upgrades, more seats, higher prices.

    Changes of one customer on one day are netted, so moving an amount from one subscription to another is not
    expansion.
    """
    return money(mrr_expansion)


@metric(
    unit="money",
    better="down",
    adds_over=("groups", "time"),
    example={"mrr_contraction": "20.00 USD", "equals": 20},
    events=[EARLIER_SUBSCRIPTION, DOWNGRADE],
)
def mrr_contraction(mrr_contraction: Amount) -> Result:
    """Contraction MRR: MRR lost to downgrades by customers who stayed.

    A customer who cancels one of several subscriptions stays and counts here. Changes of one customer on one day are
    netted.
    """
    return money(mrr_contraction)


@metric(
    unit="money",
    better="down",
    adds_over=("groups", "time"),
    example={"mrr_churned": "100.00 USD", "equals": 100},
    events=[EARLIER_SUBSCRIPTION, CANCELLATION],
)
def mrr_churned(mrr_churned: Amount) -> Result:
    """Churned MRR: MRR lost from customers who stopped paying altogether.

    The loss counts on the day the subscription ends, which may be later than the cancellation, or is paused. Customers
    who keep another subscription count as contraction. Can be broken down by reason.
    """
    return money(mrr_churned)


@metric(
    unit="money",
    better="up",
    adds_over=("groups", "time"),
    example={"mrr_reactivated": "100.00 USD", "equals": 100},
    events=[EARLIER_SUBSCRIPTION, EARLIER_CANCELLATION, NEW_SUBSCRIPTION],
)
def mrr_reactivated(mrr_reactivated: Amount) -> Result:
    """Reactivation MRR: MRR from former customers who started paying again, however long they were away."""
    return money(mrr_reactivated)


@metric(
    unit="money",
    better="up",
    range=(None, None),
    adds_over=("groups", "time"),
    example={
        "mrr_new": "100.00 USD",
        "mrr_reactivated": "50.00 USD",
        "mrr_expansion": "30.00 USD",
        "mrr_contraction": "20.00 USD",
        "mrr_churned": "100.00 USD",
        "equals": 60,
    },
    events=[
        NEW_SUBSCRIPTION._replace(account="new"),
        *(event._replace(account="grew") for event in (EARLIER_SUBSCRIPTION, UPGRADE)),
        *(event._replace(account="shrank") for event in (EARLIER_SUBSCRIPTION, DOWNGRADE)),
        *(event._replace(account="left") for event in (EARLIER_SUBSCRIPTION, CANCELLATION)),
        *(event._replace(account="back") for event in (EARLIER_SUBSCRIPTION, EARLIER_CANCELLATION)),
        ExampleEvent(1, CHANGED, {"subscription_id": "sub-1", "mrr": "50"}, account="back"),
    ],
)
def mrr_net_change(
    mrr_new: Amount, mrr_reactivated: Amount, mrr_expansion: Amount, mrr_contraction: Amount, mrr_churned: Amount
) -> Result:
    """Net MRR change: MRR gained (new, reactivation, expansion) minus MRR lost (contraction, churn) in the period.

    Equals MRR at the end of the period minus MRR at its start.
    """
    return money(mrr_new + mrr_reactivated + mrr_expansion - mrr_contraction - mrr_churned)


@metric(
    unit="ratio",
    better="up",
    example={
        "mrr_new": "100.00 USD",
        "mrr_reactivated": "0.00 USD",
        "mrr_expansion": "30.00 USD",
        "mrr_contraction": "20.00 USD",
        "mrr_churned": "0.00 USD",
        "equals": 6.5,
    },
    events=[
        NEW_SUBSCRIPTION._replace(account="new"),
        *(event._replace(account="grew") for event in (EARLIER_SUBSCRIPTION, UPGRADE)),
        *(event._replace(account="shrank") for event in (EARLIER_SUBSCRIPTION, DOWNGRADE)),
    ],
)
def quick_ratio(
    mrr_new: Amount, mrr_reactivated: Amount, mrr_expansion: Amount, mrr_contraction: Amount, mrr_churned: Amount
) -> Result:
    """Quick ratio: MRR gained (new, reactivation, expansion) divided by MRR lost (contraction, churn) in the period.

    Above 1 when MRR grew. No value when no MRR was lost.
    """
    return money_ratio(
        mrr_new + mrr_reactivated + mrr_expansion, to=mrr_contraction + mrr_churned, if_empty="nothing_lost"
    )


@metric(
    unit="money",
    better="up",
    example={"mrr": "230.00 USD", "customers": 2, "equals": 115},
    events=[
        EARLIER_SUBSCRIPTION._replace(account="one"),
        *(event._replace(account="two") for event in (EARLIER_SUBSCRIPTION, UPGRADE)),
    ],
)
def arpa(mrr: Amount = closing("mrr"), customers: int = closing("customers")) -> Result:
    """Average revenue per account (ARPA): average MRR per customer at the end of the period.

    No value when there are no customers.
    """
    return money_mean(mrr, of=customers, if_empty=NO_CUSTOMERS)


@metric(
    unit="money",
    better="up",
    example={"mrr": "100.00 USD", "registered_users": 4, "equals": 25},
    events=[
        EARLIER_SUBSCRIPTION,
        *(ExampleEvent(1, "user.registered", {}, on="2026-02-01", user=user) for user in ("ada", "bob", "eve", "joe")),
    ],
)
def arpu(mrr: Amount = closing("mrr"), registered_users: int = closing("registered_users")) -> Result:
    """Average revenue per user (ARPU): MRR divided by registered users, both at the end of the period.

    Registered users of accounts that do not pay are included. No value when there are no registered users.
    """
    return money_mean(mrr, of=registered_users, if_empty="no_users")


@metric(
    unit="count",
    better="up",
    adds_over=("groups",),
    example={"customers": 2, "equals": 2},
    events=[EARLIER_SUBSCRIPTION._replace(account="one"), NEW_SUBSCRIPTION._replace(account="two")],
)
def customers(customers: int = closing("customers")) -> Result:
    """Customers: number of accounts with MRR above zero at the end of the period.

    A trial alone does not make an account a customer. An account that canceled is a customer until its subscription
    ends.
    """
    return count(customers)


@metric(
    unit="count",
    better="up",
    adds_over=("groups",),
    example={"customers": 1, "equals": 1},
    events=[EARLIER_SUBSCRIPTION._replace(account="one"), NEW_SUBSCRIPTION._replace(account="two")],
)
def customers_opening(customers: int = opening("customers")) -> Result:
    """Opening customers: number of accounts with MRR above zero at the start of the period."""
    return count(customers)


@metric(
    unit="count",
    better="up",
    adds_over=("groups", "time"),
    example={"customers_new": 1, "equals": 1},
    events=[NEW_SUBSCRIPTION],
)
def customers_new(customers_new: int) -> Result:
    """New customers: number of accounts that became customers for the first time during the period.

    Former customers who start paying again count as reactivated customers.
    """
    return count(customers_new)


@metric(
    unit="count",
    better="down",
    adds_over=("groups", "time"),
    example={"customers_churned": 1, "equals": 1},
    events=[EARLIER_SUBSCRIPTION, CANCELLATION],
)
def customers_churned(customers_churned: int) -> Result:
    """Churned customers: number of times a customer stopped paying in the period.

    Includes customers won in the same period. A customer lost twice counts twice. Can be broken down by reason.
    """
    return count(customers_churned)


@metric(
    unit="count",
    better="up",
    adds_over=("groups", "time"),
    example={"customers_reactivated": 1, "equals": 1},
    events=[EARLIER_SUBSCRIPTION, EARLIER_CANCELLATION, NEW_SUBSCRIPTION],
)
def customers_reactivated(customers_reactivated: int) -> Result:
    """Reactivated customers: number of times a former customer started paying again in the period.

    A customer who returns twice counts twice.
    """
    return count(customers_reactivated)
