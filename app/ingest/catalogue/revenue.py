"""Event types about subscriptions, trials, renewals, purchases and costs."""

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError
from typing_extensions import NotRequired

from app.ingest.define import Data, event
from app.ingest.fields import Currency, Id, Moment, Money
from app.ledger.measures import EventView, Line, measure
from app.ledger.money import in_base_currency
from app.ledger.streams import purchases, renewals, subscriptions, trials

_MONEY = 'in `currency`: a decimal string such as "1250.50", at least 0, below 100 billion, at most 4 decimals'
_CURRENCY = (
    "Currency as an ISO 4217 code, such as `EUR`. Default: the base currency. Others need an exchange rate for the day."
)


def _check_price(data: Any) -> Any:
    if ("mrr" in data) == ("amount" in data) or ("amount" in data) != ("interval" in data):
        raise PydanticCustomError("price", 'The price is required: either "mrr", or "amount" with "interval".')
    if "interval_count" in data and "amount" not in data:
        raise PydanticCustomError("price", '"interval_count" needs "amount" and "interval".')
    return data


class Subscription(Data):
    subscription_id: Annotated[Id, Field(description="Your id of the subscription, unique within the account.")]
    mrr: NotRequired[
        Annotated[Money, Field(description=f"Price per month, {_MONEY}. Send either this or `amount` with `interval`.")]
    ]
    amount: NotRequired[
        Annotated[Money, Field(description=f"Price of one payment, {_MONEY}. It is converted to a price per month.")]
    ]
    interval: NotRequired[
        Annotated[
            Literal["week", "month", "quarter", "year"],
            Field(description="Unit of the time that one payment covers: `week`, `month`, `quarter` or `year`."),
        ]
    ]
    interval_count: NotRequired[
        Annotated[
            int, Field(ge=1, le=120, description="How many units of `interval` one payment covers, 1–120. Default: 1.")
        ]
    ]
    currency: NotRequired[Annotated[Currency, Field(description=_CURRENCY)]]
    plan: NotRequired[
        Annotated[
            Id,
            Field(
                description="Plan of the subscription. MRR can be broken down by plan (`subject`). Default: the plan it had."
            ),
        ]
    ]
    seats: NotRequired[
        Annotated[
            int,
            Field(
                ge=0,
                le=1_000_000_000,
                description="Number of licensed seats, 0–1,000,000,000. Default: the number it had, at first 0.",
            ),
        ]
    ]


@event(
    "subscription.changed",
    stream=subscriptions.stream_name,
    check=_check_price,
    example={"subscription_id": "sub-1", "amount": "1188", "interval": "year", "plan": "pro", "seats": 10},
)
class SubscriptionChanged(Subscription):
    """A subscription started, was upgraded or was downgraded: a new price, plan or number of seats.

    The values hold from `occurred_at` on. The price is always required. A plan or seats that are left out keep their values.
    MRR, customers and seats are computed from all subscriptions of the account. The net change of an account's MRR on one day
    is one movement: new, expansion, contraction, churn or reactivation. A price of 0 does not make the account a customer.

    If the subscription was canceled but ends at this instant or later, the cancellation no longer applies. If it has ended
    already, it starts again. A price in another currency is converted at the exchange rate of the day on which the price
    became positive or changed currency, so exchange rates alone never change MRR. Events may arrive in any order.
    """


@event(
    "subscription.canceled",
    rank=1,
    stream=subscriptions.stream_name,
    example={"subscription_id": "sub-1", "ends_at": "2026-03-31T00:00:00Z", "reason": "price"},
)
class SubscriptionCanceled(Data):
    """A subscription was canceled: it ends at `ends_at`, or at once.

    At its end the account loses the subscription's MRR and seats. If no MRR is left, the account churns on that day, with the
    `reason` of its last cancellation. Canceling again before the end moves the end. If a `subscription.changed` comes before
    the end, the cancellation no longer applies. Canceling a subscription that is unknown or has ended changes nothing. If a
    subscription is changed and canceled at the same instant, the cancellation counts as the later event.
    """

    subscription_id: Annotated[Id, Field(description="Your id of the subscription, unique within the account.")]
    ends_at: NotRequired[
        Annotated[
            Moment,
            Field(
                description="When the paid period ends: RFC 3339 with an offset, often in the future. Default: `occurred_at`."
            ),
        ]
    ]
    reason: NotRequired[
        Annotated[
            Id,
            Field(description="Why it was canceled, such as `price`. Churn can be broken down by reason (`subject`)."),
        ]
    ]


class Trial(Data):
    trial_id: Annotated[Id, Field(description="Your id of the trial, unique within the account.")]
    plan: NotRequired[Annotated[Id, Field(description="Plan that is tried. Stored, not counted.")]]


@event("trial.started", stream=trials.stream_name, example={"trial_id": "trial-1", "plan": "pro"})
class TrialStarted(Trial):
    """A trial started.

    Counts one trial in `trial_conversion_rate`; a trial has no MRR. Starting a running trial again changes nothing. A start
    after the end of the same `trial_id` is another trial. Events may arrive in any order.
    """


@event("trial.converted", rank=1, stream=trials.stream_name, example={"trial_id": "trial-1", "plan": "pro"})
class TrialConverted(Trial):
    """A trial became a paid subscription.

    The conversion counts on the day on which the trial was started, so the rate of a past period can still rise. Send the
    subscription itself as `subscription.changed`. A trial that expired can still convert. Without a `trial.started` before it,
    the trial counts as started at the same time.
    """


@event("trial.expired", rank=2, stream=trials.stream_name, example={"trial_id": "trial-1"})
class TrialExpired(Trial):
    """A trial ended without a subscription: it ran out or was canceled.

    A trial that has ended already stays as it is. Without a `trial.started` before it, the trial counts as started at the same
    time. A trial that converts and expires at the same instant counts as converted.
    """


class Renewal(Data):
    contract_id: Annotated[Id, Field(description="Your id of the contract, unique within the account.")]


@event("renewal.due", stream=renewals.stream_name, example={"contract_id": "contract-1", "amount": "12000"})
class RenewalDue(Renewal):
    """A contract is due for renewal on the day of `occurred_at`.

    Counts the contract in `renewal_rate` and, with an amount, also in `renewal_value_rate`. If there are two such events on one
    day, the contract is due once, with the last amount.

    A `renewal.completed` or `renewal.declined` may come before this event. It then counts for this day, unless it counts for an
    earlier day on which the contract was due.
    """

    amount: NotRequired[Annotated[Money, Field(description=f"Amount that is due, {_MONEY}. Default: unknown.")]]
    currency: NotRequired[Annotated[Currency, Field(description=_CURRENCY)]]


@event(
    "renewal.completed",
    rank=1,
    stream=renewals.stream_name,
    example={"contract_id": "contract-1", "amount": "12600"},
)
class RenewalCompleted(Renewal):
    """A contract was renewed.

    Counts on the latest day on which the contract was due, whenever the renewal happens, so the rate of a past period can
    still rise. The renewed amount counts up to the amount that was due. A contract that was declined can still be renewed.

    If the contract was not due yet, or has been renewed already since it was last due, the renewal counts on the next day on
    which the contract is due.
    """

    amount: NotRequired[
        Annotated[
            Money, Field(description=f"Amount of the renewed contract, {_MONEY}. Default: the amount that was due.")
        ]
    ]
    currency: NotRequired[Annotated[Currency, Field(description=_CURRENCY)]]


@event("renewal.declined", rank=2, stream=renewals.stream_name, example={"contract_id": "contract-1"})
class RenewalDeclined(Renewal):
    """A contract was not renewed.

    In `renewal_rate` the contract counts as due and not renewed, just as without this event. A later `renewal.completed`
    replaces this decision.
    """

    amount: NotRequired[
        Annotated[Money, Field(description=f"Amount that was declined, {_MONEY}. Stored, not counted.")]
    ]
    currency: NotRequired[Annotated[Currency, Field(description=_CURRENCY)]]


class Order(Data):
    order_id: Annotated[Id, Field(description="Your id of the order, unique within the account.")]


@event(
    "purchase.completed",
    stream=purchases.stream_name,
    example={"order_id": "order-1", "amount": "49.90", "currency": "USD"},
)
class PurchaseCompleted(Order):
    """An order was paid.

    Adds the amount to `revenue`, and the order to the account's orders (`repeat_purchase_rate`, `clv_purchases`). Only the
    first event of an order counts. Payments of subscriptions are no orders.
    """

    amount: Annotated[Money, Field(description=f"Amount that was paid, {_MONEY}.")]
    currency: NotRequired[Annotated[Currency, Field(description=_CURRENCY)]]


@event(
    "purchase.refunded",
    rank=1,
    stream=purchases.stream_name,
    example={"order_id": "order-1", "amount": "49.90"},
)
class PurchaseRefunded(Order):
    """Money for an order was refunded, all of it or a part.

    Subtracts the amount from `revenue`, on its day or on the day of the order if that is later. The refunds of an order never
    subtract more than was paid. The order still counts as an order. A refund of an order that is not known counts once the order
    arrives. A refund in the currency of the order has the exchange rate of the order.
    """

    amount: Annotated[Money, Field(description=f"Amount that was refunded, {_MONEY}.")]
    currency: NotRequired[Annotated[Currency, Field(description=_CURRENCY)]]


acquisition_cost = measure("acquisition_cost", "Money spent on winning accounts, recorded with an account.")
retention_cost = measure("retention_cost", "Money spent on keeping accounts, recorded with an account.")
# Costs without an account have measures of their own: they belong to the whole business and to no group of accounts.
unallocated_acquisition_cost = measure(
    "unallocated_acquisition_cost", "Money spent on winning customers, recorded without an account."
)
unallocated_retention_cost = measure(
    "unallocated_retention_cost", "Money spent on keeping customers, recorded without an account."
)
_COSTS = {
    "acquisition": (acquisition_cost, unallocated_acquisition_cost),
    "retention": (retention_cost, unallocated_retention_cost),
}


def _cost_lines(e: EventView) -> list[Line]:
    return [Line(_COSTS[e.data["category"]][e.whole_business], in_base_currency(e.data["amount"], e.rate))]


@event(
    "cost.recorded",
    account=False,
    example={"category": "acquisition", "amount": "2400"},
    more_examples=[{"category": "retention", "amount": "300"}],
    posts=_cost_lines,
)
class CostRecorded(Data):
    """Money was spent to win customers or to keep them.

    Acquisition costs count in `cac`, retention costs in `customer_retention_cost` and `retention_cost_ratio`. With `account_id`,
    the cost belongs to that account. Without it, the cost belongs to the whole company and counts only in questions about all
    accounts together.
    """

    category: Annotated[
        Literal["acquisition", "retention"],
        Field(description="`acquisition` for winning customers, `retention` for keeping them."),
    ]
    amount: Annotated[Money, Field(description=f"Amount that was spent, {_MONEY}.")]
    currency: NotRequired[Annotated[Currency, Field(description=_CURRENCY)]]
