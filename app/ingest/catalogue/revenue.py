"""Subscriptions, trials, renewals, purchases and costs."""

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError
from typing_extensions import NotRequired

from app.ingest.define import Data, event
from app.ingest.fields import Currency, Id, Moment, Money
from app.ledger.measures import EventView, Line, measure
from app.ledger.money import in_base_currency
from app.ledger.streams import purchases, renewals, subscriptions, trials


def _one_price(data: Any) -> Any:
    if ("mrr" in data) == ("amount" in data) or ("amount" in data) != ("interval" in data):
        raise PydanticCustomError("price", "Either `mrr`, or `amount` with `interval`, is needed.")
    if "interval_count" in data and "amount" not in data:
        raise PydanticCustomError("price", "`interval_count` belongs to `amount` and `interval`.")
    return data


class Subscription(Data):
    subscription_id: Id
    mrr: NotRequired[Annotated[Money, Field(description="What it brings per month.")]]
    amount: NotRequired[Annotated[Money, Field(description="The price of `interval_count` intervals.")]]
    interval: NotRequired[Literal["week", "month", "quarter", "year"]]
    interval_count: NotRequired[Annotated[int, Field(ge=1, le=120)]]
    currency: NotRequired[Currency]
    plan: NotRequired[Id]
    seats: NotRequired[Annotated[int, Field(ge=0, le=1_000_000_000)]]


@event(
    "subscription.changed",
    stream=subscriptions.stream_name,
    check=_one_price,
    example={"subscription_id": "sub-1", "amount": "1188", "interval": "year", "plan": "pro", "seats": 10},
)
class SubscriptionChanged(Subscription):
    """A subscription began, or has another price, plan or number of seats from this moment on."""


@event(
    "subscription.canceled",
    rank=1,
    stream=subscriptions.stream_name,
    example={"subscription_id": "sub-1", "ends_at": "2026-03-31T00:00:00Z", "reason": "price"},
)
class SubscriptionCanceled(Data):
    """A subscription was cancelled; it ends with the paid period, or now."""

    subscription_id: Id
    ends_at: NotRequired[Annotated[Moment, Field(description="When the paid period ends.")]]
    reason: NotRequired[Id]


class Trial(Data):
    trial_id: Id
    plan: NotRequired[Id]


@event("trial.started", stream=trials.stream_name, example={"trial_id": "trial-1", "plan": "pro"})
class TrialStarted(Trial):
    """A trial began."""


@event("trial.converted", rank=1, stream=trials.stream_name, example={"trial_id": "trial-1", "plan": "pro"})
class TrialConverted(Trial):
    """A trial became a paid subscription."""


@event("trial.expired", rank=2, stream=trials.stream_name, example={"trial_id": "trial-1"})
class TrialExpired(Trial):
    """A trial ended without a subscription."""


class Renewal(Data):
    contract_id: Id
    amount: NotRequired[Annotated[Money, Field(description="What is due; of a renewal, by default that.")]]
    currency: NotRequired[Currency]


@event("renewal.due", stream=renewals.stream_name, example={"contract_id": "contract-1", "amount": "12000"})
class RenewalDue(Renewal):
    """A contract is up for renewal."""


@event(
    "renewal.completed",
    rank=1,
    stream=renewals.stream_name,
    example={"contract_id": "contract-1", "amount": "12600"},
)
class RenewalCompleted(Renewal):
    """A contract was renewed."""


@event("renewal.declined", rank=2, stream=renewals.stream_name, example={"contract_id": "contract-1"})
class RenewalDeclined(Renewal):
    """A contract was not renewed."""


class Purchase(Data):
    order_id: Id
    amount: Money
    currency: NotRequired[Currency]


@event(
    "purchase.completed",
    stream=purchases.stream_name,
    example={"order_id": "order-1", "amount": "49.90", "currency": "USD"},
)
class PurchaseCompleted(Purchase):
    """Something was bought."""


@event("purchase.refunded", rank=1, stream=purchases.stream_name, example={"order_id": "order-1", "amount": "49.90"})
class PurchaseRefunded(Purchase):
    """Money for a purchase was given back."""


acquisition_cost = measure("acquisition_cost", "Money spent on winning these accounts, in ten-thousandths.")
retention_cost = measure("retention_cost", "Money spent on keeping these accounts, in ten-thousandths.")
# What no account is named for is counted apart: it is the whole business's, and in no group of accounts.
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


def _cost(e: EventView) -> list[Line]:
    return [Line(_COSTS[e.data["category"]][e.whole_business], in_base_currency(e.data["amount"], e.rate))]


@event(
    "cost.recorded",
    account=False,
    example={"category": "acquisition", "amount": "2400"},
    more_examples=[{"category": "retention", "amount": "300"}],
    posts=_cost,
)
class CostRecorded(Data):
    """Money was spent to win or to keep customers; without an account, for the whole business."""

    category: Literal["acquisition", "retention"]
    amount: Money
    currency: NotRequired[Currency]
