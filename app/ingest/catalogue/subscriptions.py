"""Event types about subscriptions."""

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError
from typing_extensions import NotRequired

from app.ingest.define import Data, event
from app.ingest.fields import WHOLE, Currency, EndMoment, Id, LastDay, Moment, Money
from app.ledger.streams import subscriptions

MONEY = 'in `currency`: a decimal string such as "1250.50", at least 0, below 100 billion, at most 4 decimals'
CURRENCY = (
    "Currency as an ISO 4217 code, such as `EUR`. Default: the base currency. Others need an exchange rate for the day."
)


def _check_price(data: Any) -> Any:
    either = 'either "mrr", or "amount" with "interval"'
    if "mrr" in data and ("amount" in data or "interval" in data):
        raise PydanticCustomError("price", f"The price is there twice: send {either}.")
    if "mrr" not in data and "amount" not in data:
        raise PydanticCustomError("price", f"The price is required: {either}.")
    if "amount" in data and "interval" not in data:
        raise PydanticCustomError("price", '"amount" needs "interval": week, month, quarter or year.')
    if "interval_count" in data and "amount" not in data:
        raise PydanticCustomError("price", '"interval_count" needs "amount" and "interval".')
    return data


def _check_end(data: Any) -> Any:
    if "ends_at" in data and "paid_through" in data:
        raise PydanticCustomError("two_ends", 'Send either "ends_at" or "paid_through", not both.')
    return data


class Subscription(Data):
    subscription_id: Annotated[Id, Field(description="Your id of the subscription, unique within the account.")]


class SubscriptionTerms(Subscription):
    mrr: NotRequired[
        Annotated[Money, Field(description=f"Price per month, {MONEY}. Send either this or `amount` with `interval`.")]
    ]
    amount: NotRequired[
        Annotated[Money, Field(description=f"Price of one payment, {MONEY}. It is converted to a price per year.")]
    ]
    interval: NotRequired[
        Annotated[
            Literal["week", "month", "quarter", "year"],
            Field(description="Unit of the time that one payment covers: `week`, `month`, `quarter` or `year`."),
        ]
    ]
    interval_count: NotRequired[
        Annotated[
            int,
            Field(ge=1, le=120, description="How many units of `interval` one payment covers, 1–120. Default: 1."),
            WHOLE,
        ]
    ]
    currency: NotRequired[Annotated[Currency, Field(description=CURRENCY)]]
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
            WHOLE,
        ]
    ]

    effective_at: NotRequired[
        Annotated[
            Moment,
            Field(
                description="When the values begin to hold, RFC 3339 with an offset, 1970 or later and also far in the "
                "future. Default: `occurred_at`."
            ),
        ]
    ]


@event(
    "subscription.changed",
    stream=subscriptions.stream_name,
    check=_check_price,
    example={"subscription_id": "sub-1", "amount": "1188", "interval": "year", "plan": "pro", "seats": 10},
)
class SubscriptionChanged(SubscriptionTerms):
    """A subscription started, was upgraded or was downgraded: a new price, plan or number of seats.

    The values hold from `effective_at` on, by default from `occurred_at`. The price is always required. A plan or seats that
    are left out keep their values. MRR, customers and seats are computed from all subscriptions of the account. The net change
    of an account's MRR on one day is one movement: new, expansion, contraction, churn or reactivation. A price of 0 does not
    make the account a customer.

    A change with an `effective_at` in the future is scheduled. A later `subscription.changed` replaces it, even one with the
    same values; a later cancellation whose end is not after that time withdraws it. An `effective_at` in the past replaces the
    values from then on, also those of earlier events.

    A cancellation whose end is still ahead stays in force; only `subscription.resumed` withdraws it. A paused subscription
    stays paused, and continues with the new values when it is resumed. If the subscription has ended, even at the same
    instant, it starts again.

    A price in another currency is converted at the exchange rate of the day on which the price became positive or changed
    currency, so exchange rates alone never change MRR. A scheduled price takes the rate of the day of `occurred_at`. Events may
    arrive in any order.
    """


@event(
    "subscription.canceled",
    rank=3,
    stream=subscriptions.stream_name,
    check=_check_end,
    example={"subscription_id": "sub-1", "paid_through": "2026-03-31", "reason": "price"},
)
class SubscriptionCanceled(Subscription):
    """A subscription was canceled: it ends at `ends_at`, after the day `paid_through`, or at once.

    At its end the account loses the subscription's MRR and seats. If no MRR is left, the account churns on that day, with the
    `reason` of its last cancellation. Canceling again before the end moves the end. `subscription.resumed` before the end
    withdraws the cancellation; `subscription.changed` does not. A change that was scheduled before the
    cancellation, for its end or later, does not happen; one that is scheduled after it renews the subscription.

    An end in the past undoes everything that happened to the subscription after it. Canceling a subscription that is unknown
    or has ended changes nothing. If a subscription is changed and canceled at the same instant, the cancellation counts as the
    later event.
    """

    ends_at: NotRequired[
        Annotated[
            EndMoment,
            Field(
                description="First moment that is not paid for: RFC 3339 with an offset, often in the future. If your system "
                "has the last paid day instead, send `paid_through`. Default: `occurred_at`."
            ),
        ]
    ]
    paid_through: NotRequired[
        Annotated[
            LastDay,
            Field(
                description="Last day that is paid for, a date in the reporting time zone. The subscription ends when this "
                "day is over. Send either this or `ends_at`."
            ),
        ]
    ]
    reason: NotRequired[
        Annotated[
            Id,
            Field(description="Why it was canceled, such as `price`. Churn can be broken down by reason (`subject`)."),
        ]
    ]


@event(
    "subscription.paused",
    rank=2,
    stream=subscriptions.stream_name,
    example={"subscription_id": "sub-1"},
)
class SubscriptionPaused(Subscription):
    """A subscription was paused: it has no MRR and no seats until it is resumed.

    If no MRR is left, the account churns with the `reason` of the pause; otherwise the pause is contraction. A cancellation
    whose end is still ahead stays in force. Pausing a subscription that is unknown, paused already or has ended changes
    nothing.
    """

    reason: NotRequired[
        Annotated[
            Id,
            Field(description="Why it was paused. Churn can be broken down by reason (`subject`). Default: `paused`."),
        ]
    ]


@event(
    "subscription.resumed",
    rank=1,
    stream=subscriptions.stream_name,
    example={"subscription_id": "sub-1"},
)
class SubscriptionResumed(Subscription):
    """A subscription continues: its pause is over, its cancellation is withdrawn, or both.

    A subscription that has ended starts again with its last price, plan and seats; the account is reactivated if it has no
    other MRR. A price in another currency keeps its exchange rate. Resuming a subscription that is unknown, or that runs and is
    not canceled, changes nothing.
    """
