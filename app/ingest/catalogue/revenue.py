"""Event types about trials, renewals, purchases and costs."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import NotRequired

from app.ingest.catalogue.subscriptions import CURRENCY, MONEY
from app.ingest.define import Data, event
from app.ingest.fields import Currency, Id, Money
from app.ledger.measures import EventView, Line, measure
from app.ledger.money import in_base_currency
from app.ledger.streams import purchases, renewals, trials


class Trial(Data):
    trial_id: Annotated[Id, Field(description="Your id of the trial, unique within the account.")]
    plan: NotRequired[Annotated[Id, Field(description="Plan that is tried. Stored, not counted.")]]


@event("trial.started", stream=trials.stream_name, example={"trial_id": "trial-1", "plan": "pro"})
class TrialStarted(Trial):
    """A trial started.

    Counts one trial in `trial_conversion_rate`; a trial has no MRR. A `trial_id` is one trial: starting it again changes
    nothing, whether it is running or has ended. Send another trial of the same account under another id. Events may arrive in
    any order.
    """


@event("trial.converted", rank=1, stream=trials.stream_name, example={"trial_id": "trial-1", "plan": "pro"})
class TrialConverted(Trial):
    """A trial became a paid subscription.

    The conversion counts on the day on which the trial was started, so the rate of a past period can still rise. Send the
    subscription itself as `subscription.changed`. A trial that expired can still convert. A conversion that is dated before the
    start of its trial counts at the time of the start. Without a `trial.started`, the trial counts as started at the same time.
    """


@event("trial.expired", rank=2, stream=trials.stream_name, example={"trial_id": "trial-1"})
class TrialExpired(Trial):
    """A trial ended without a subscription: it ran out or was canceled.

    A trial that has ended already stays as it is. An expiry that is dated before the start of its trial counts at the time of
    the start. Without a `trial.started`, the trial counts as started at the same time. A trial that converts and expires at the
    same instant counts as converted.
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

    amount: NotRequired[Annotated[Money, Field(description=f"Amount that is due, {MONEY}. Default: unknown.")]]
    currency: NotRequired[Annotated[Currency, Field(description=CURRENCY)]]


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
            Money, Field(description=f"Amount of the renewed contract, {MONEY}. Default: the amount that was due.")
        ]
    ]
    currency: NotRequired[Annotated[Currency, Field(description=CURRENCY)]]


@event("renewal.declined", rank=2, stream=renewals.stream_name, example={"contract_id": "contract-1"})
class RenewalDeclined(Renewal):
    """A contract was not renewed.

    In `renewal_rate` the contract counts as due and not renewed, just as without this event. A later `renewal.completed`
    replaces this decision.
    """

    amount: NotRequired[Annotated[Money, Field(description=f"Amount that was declined, {MONEY}. Stored, not counted.")]]
    currency: NotRequired[Annotated[Currency, Field(description=CURRENCY)]]


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

    amount: Annotated[Money, Field(description=f"Amount that was paid, {MONEY}.")]
    currency: NotRequired[Annotated[Currency, Field(description=CURRENCY)]]


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

    amount: Annotated[Money, Field(description=f"Amount that was refunded, {MONEY}.")]
    currency: NotRequired[Annotated[Currency, Field(description=CURRENCY)]]


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
    amount: Annotated[Money, Field(description=f"Amount that was spent, {MONEY}.")]
    currency: NotRequired[Annotated[Currency, Field(description=CURRENCY)]]
