"""Stripe: subscriptions, trials, customers and one-off invoices."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from app.inbound.define import Completion, Context, Ordering, Part, vendor
from app.inbound.mapping import PersonMapping
from app.inbound.schemes import StripeSignature
from app.inbound.stripe.complete import SNAPSHOT, THIN, complete
from app.inbound.stripe.order import PREFIX, compare, find_moment
from app.inbound.stripe.sales import translate_credit_note, translate_customer, translate_invoice
from app.inbound.stripe.subscription import repeat_subscription, translate_subscription
from app.ingest.payload import Fields, Ignored, Untranslatable

if TYPE_CHECKING:
    from app.inbound.fetch import VendorApi

_EXAMPLE = {
    "id": "evt_1QkTestUpgrade",
    "object": "event",
    "type": "customer.subscription.updated",
    "created": 1773480600,
    "livemode": True,
    "data": {
        "object": {
            "id": "sub_1QkTest",
            "object": "subscription",
            "customer": "cus_acme",
            "status": "active",
            "cancel_at_period_end": False,
            "cancel_at": None,
            "pause_collection": None,
            "trial_start": None,
            "trial_end": None,
            "items": {
                "object": "list",
                "has_more": False,
                "data": [
                    {
                        "id": "si_1",
                        "quantity": 10,
                        "current_period_end": 1776158999,
                        "price": {
                            "id": "price_pro",
                            "nickname": "Pro",
                            "currency": "usd",
                            "unit_amount": 4900,
                            "billing_scheme": "per_unit",
                            "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
                        },
                    }
                ],
            },
        },
        "previous_attributes": {"items": {"data": [{"id": "si_1", "quantity": 5}]}},
    },
}
_TRANSLATIONS: dict[str, Callable[[Fields, Fields, Context], Iterator[Part]]] = {
    "customer.created": translate_customer,
    "customer.updated": translate_customer,
    "invoice.paid": translate_invoice,
    "credit_note.created": translate_credit_note,
}


async def _complete(payload: Any, api: "VendorApi", options: Any) -> Any:
    return await complete(payload, api, types=frozenset(_TRANSLATIONS))


@vendor(
    title="Stripe",
    scheme=StripeSignature(),
    documentation="https://docs.stripe.com/webhooks",
    mapping=PersonMapping,
    example=_EXAMPLE,
    becomes=(
        (
            "`customer.subscription.*`, status `active` or `past_due`",
            "`subscription.changed` with the yearly amount of all items; `subscription.resumed`, which withdraws a pause or a "
            "cancellation that is no longer said",
        ),
        (
            "… with `cancel_at` or `cancel_at_period_end`",
            "also `subscription.canceled` for that time, or for the end of the last period of its items; the reason is the "
            "feedback of the customer, else Stripe's",
        ),
        (
            "… status `paused`, `unpaid` or `trialing`, or a pause of collection with the behavior `void` or "
            "`mark_uncollectible`",
            "`subscription.paused` with the reason `paused`, `unpaid` or `trial`",
        ),
        ("… status `canceled`", "`subscription.canceled` at `ended_at`"),
        (
            "… with a trial",
            "`trial.started`; `trial.converted` when it becomes active with a price above zero; `trial.expired` when it ends in "
            "another way",
        ),
        ("`customer.created`, `customer.updated`", "`account.updated` with name and country"),
        ("`invoice.paid` without a subscription", "`purchase.completed`"),
        ("`credit_note.created` for such an invoice", "`purchase.refunded`"),
    ),
    ordering=Ordering(find_moment, compare, identify=lambda payload: str(payload.get("id"))),
    completion=Completion("https://api.stripe.com", _complete),
    example_mapping={"account_id": "item.metadata.account_id || item.customer"},
)
def stripe(payload: Any, context: Context) -> Iterator[Part]:
    """Each event of a subscription has the whole subscription, and says all of it: price, pause, cancellation. So deliveries may
    come in any order, and a repeated or missing one does no harm.

    The account is the id of the customer, unless the mapping has `account_id`. The plan is the lookup key of the price, else its
    nickname, else its id; of several items, that of the one with the largest amount. Taxes are not deducted from prices that
    include them. Discounts that last for ever are deducted; those that end, and metered items, do not count. Amounts in another
    currency need an exchange rate.

    Updates within one second are ordered by what they replace (`previous_attributes`), or by their ids where that does not tell
    it.

    Thin events, prices with tiers, and subscriptions with more items than an event holds do not carry what is needed. With an
    `api_key` of the source that may read subscriptions, events, prices and the events of API v2, it is read from Stripe; a thin
    event is then the same event as its snapshot. Without one they are listed as rejected. What a schedule will change is recorded
    when it takes effect.
    """
    event = Fields(payload)
    type = event.text("type")
    if event.find("object") == THIN:
        type = type.removeprefix("v1.")
        is_thin_only = SNAPSHOT in event.raw and SNAPSHOT not in event
        if not is_thin_only and (type.startswith(PREFIX) or type in _TRANSLATIONS):
            raise Untranslatable(
                "This is a thin event, which only names the object. Give the source an `api_key` and replay it, or let the event "
                "destination send snapshots."
            )
        yield Ignored("An event that has no snapshot counts nothing: another one has the change.")
        return
    item = event.object("data", "object")
    if type.startswith(PREFIX):
        yield from translate_subscription(event, item, context)
        if context.successor is not None:
            yield from repeat_subscription(event, Fields(context.successor), context)
    elif translate := _TRANSLATIONS.get(type):
        yield from translate(event, item, context)
    elif type.startswith("subscription_schedule."):
        yield Ignored("What a schedule changes is recorded when it takes effect.")
    else:
        yield Ignored("Events of this type count nothing.")
