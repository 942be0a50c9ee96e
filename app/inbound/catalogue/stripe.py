"""Stripe: subscriptions, trials, customers and one-off invoices."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from app.inbound.define import Context, Ignored, Part, Remark, vendor
from app.inbound.mapping import PersonMapping
from app.inbound.payload import Fields, Untranslatable, format_moment
from app.inbound.schemes import StripeSignature
from app.inbound.stripe_terms import digits_of, read_terms

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
_SUBSCRIPTION = "customer.subscription."
_CREATED, _DELETED = f"{_SUBSCRIPTION}created", f"{_SUBSCRIPTION}deleted"
_RUNNING = ("active", "past_due")
# Without a first payment there is no subscription yet.
_NOT_BEGUN = ("incomplete", "incomplete_expired")
# Why a subscription that is not canceled has no MRR.
_PAUSE_REASONS = {"trialing": "trial", "unpaid": "unpaid", "paused": "paused"}
_STEP = timedelta(milliseconds=1)


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
    example_mapping={"account_id": "item.metadata.account_id || item.customer"},
)
def stripe(payload: Any, context: Context) -> Iterator[Part]:
    """Each event of a subscription has the whole subscription, and says all of it: price, pause, cancellation. So deliveries may
    come in any order, and a repeated or missing one does no harm.

    The account is the id of the customer, unless the mapping has `account_id`. The plan is the lookup key of the price, else its
    nickname, else its id; of several items, that of the one with the largest amount. Taxes are not deducted from prices that
    include them. Discounts that last for ever are deducted; those that end, and metered items, do not count. Amounts in another
    currency need an exchange rate.

    Prices with tiers and thin events do not carry what is needed, and are listed as rejected: let the event destination send
    snapshots. What a schedule will change is recorded when it takes effect.
    """
    event = Fields(payload)
    if event.find("object") == "v2.core.event":
        raise Untranslatable(
            "This is a thin event, which names the object only. Set the payload style of the event destination to snapshot."
        )
    type, item = event.text("type"), event.object("data", "object")
    if type.startswith(_SUBSCRIPTION):
        yield from _translate_subscription(event, item, context)
    elif translate := _TRANSLATIONS.get(type):
        yield from translate(event, item, context)
    elif type.startswith("subscription_schedule."):
        yield Ignored("What a schedule changes is recorded when it takes effect.")
    else:
        yield Ignored("Events of this type count nothing.")


def _translate_subscription(event: Fields, item: Fields, context: Context) -> Iterator[Part]:
    """Yield the whole state of a subscription from the time of the event on."""
    status = item.text("status")
    if status in _NOT_BEGUN:
        yield Ignored("The first payment is outstanding, so the subscription has not begun.")
        return
    customer = item.find_text("customer") or item.find_text("customer", "id")
    write = _Writer(event, context, context.account(event, item, customer), item.text("id"))
    is_paying = status in _RUNNING and not _is_pause(item)
    terms = read_terms(item) if status in _RUNNING else None
    yield from _translate_trial(event, item, write, is_paying=is_paying and terms is not None and terms.amount > 0)
    if status == "canceled":
        ended_at = item.find_time("ended_at") or item.find_time("canceled_at") or write.at
        yield write("subscription.canceled", ends_at=format_moment(ended_at), reason=_reason(item))
        return
    if terms is not None:
        yield write(
            "subscription.changed",
            amount=f"{terms.amount.normalize():f}",
            interval="year",
            currency=terms.currency,
            plan=terms.plan,
            seats=terms.seats,
        )
        yield from map(Remark, terms.remarks)
    yield write("subscription.resumed")
    if not is_paying:
        yield write("subscription.paused", reason=_PAUSE_REASONS.get(status, "paused"))
    if (ends_at := _find_end(item)) is not None:
        yield write("subscription.canceled", ends_at=format_moment(ends_at), reason=_reason(item))


class _Writer:
    """Makes the events of one event about a subscription. at: when it happened.

    Stripe's times are whole seconds. Within one, a creation comes before a change and a deletion after it.
    """

    def __init__(self, event: Fields, context: Context, account: str, subscription: str) -> None:
        type = event.text("type")
        self._context, self._account, self._subscription = context, account, subscription
        self._id = event.text("id")
        self.at = event.time("created") + _STEP * (0 if type == _CREATED else 2 if type == _DELETED else 1)

    def __call__(self, type: str, *, at: datetime | None = None, **data: Any) -> Part:
        subject = "trial_id" if type.startswith("trial.") else "subscription_id"
        return self._context.event(
            type,
            id=f"{self._id}:{type}",
            account=self._account,
            at=at or self.at,
            data={subject: self._subscription, **data},
        )


def _is_pause(item: Fields) -> bool:
    """Return whether nothing is to be paid for the time of a pause. Drafts are to be paid later."""
    return item.find("pause_collection", "behavior") in ("void", "mark_uncollectible")


def _reason(item: Fields) -> str | None:
    return item.find_text("cancellation_details", "feedback") or item.find_text("cancellation_details", "reason")


def _find_end(item: Fields) -> datetime | None:
    """Return the end of a subscription that is canceled for later. Each item has its own period."""
    if (cancel_at := item.find_time("cancel_at")) is not None:
        return cancel_at
    if item.find("cancel_at_period_end") is not True:
        return None
    ends = [row.find_time("current_period_end") for row in item.objects("items", "data")]
    known_ends = [end for end in [*ends, item.find_time("current_period_end")] if end is not None]
    if not known_ends:
        raise Untranslatable("The subscription is canceled for the end of its period, which the payload does not say.")
    return max(known_ends)


def _translate_trial(event: Fields, item: Fields, write: _Writer, *, is_paying: bool) -> Iterator[Part]:
    """Yield what a subscription says about its trial: while it lasts, and when its status changes."""
    started_at, ends_at = item.find_time("trial_start"), item.find_time("trial_end")
    if started_at is None or ends_at is None:
        return
    status = item.text("status")
    changes_status = isinstance(event.find("data", "previous_attributes", "status"), str)
    if status == "trialing":
        yield write("trial.started", at=started_at)
    elif status == "active" and is_paying and changes_status:
        yield write("trial.started", at=started_at)
        yield write("trial.converted")
    elif status == "canceled" and (item.find_time("ended_at") or write.at) <= ends_at:
        yield write("trial.started", at=started_at)
        yield write("trial.expired")
    elif status in ("past_due", "unpaid", "paused") and changes_status:
        # It may still convert: then the conversion counts.
        yield write("trial.started", at=started_at)
        yield write("trial.expired", at=min(ends_at, write.at))


def _translate_customer(event: Fields, item: Fields, context: Context) -> Iterator[Part]:
    country = item.find_text("address", "country")
    data: dict[str, Any] = {"name": item.find_text("name")} | ({"attributes": {"country": country}} if country else {})
    if data["name"] is None and country is None:
        yield Ignored("The customer has neither name nor country.")
        return
    account = context.account(event, item, item.text("id"))
    yield context.event("account.updated", id=event.text("id"), account=account, at=event.time("created"), data=data)


def _translate_invoice(event: Fields, item: Fields, context: Context) -> Iterator[Part]:
    """Yield a purchase for an invoice of its own. Of those of subscriptions, the subscription's own events say all."""
    if item.find("subscription") or item.find("parent", "subscription_details"):
        yield Ignored("The invoice belongs to a subscription, whose own events say its price.")
        return
    currency = item.text("currency").upper()
    paid = item.find_number("total_excluding_tax")
    amount = (item.number("amount_paid") if paid is None else paid).scaleb(-digits_of(currency))
    if amount <= 0:
        yield Ignored("Nothing was to be paid.")
        return
    customer = item.find_text("customer") or item.find_text("customer", "id")
    data = {"order_id": item.text("id"), "amount": f"{Decimal(amount).normalize():f}", "currency": currency}
    paid_at = item.find_time("status_transitions", "paid_at") or event.time("created")
    account = context.account(event, item, customer)
    yield context.event("purchase.completed", id=event.text("id"), account=account, at=paid_at, data=data)


def _translate_credit_note(event: Fields, item: Fields, context: Context) -> Iterator[Part]:
    """Yield a refund. One of an invoice that is no purchase counts nothing."""
    invoice = item.find_text("invoice") or item.text("invoice", "id")
    currency = item.text("currency").upper()
    total = item.find_number("total_excluding_tax")
    amount = (item.number("amount") if total is None else total).scaleb(-digits_of(currency))
    customer = item.find_text("customer") or item.find_text("customer", "id")
    account = context.account(event, item, customer)
    data = {"order_id": invoice, "amount": f"{amount.normalize():f}", "currency": currency}
    at = event.time("created")
    yield context.event("purchase.refunded", id=event.text("id"), account=account, at=at, data=data)


_TRANSLATIONS: dict[str, Callable[[Fields, Fields, Context], Iterator[Part]]] = {
    "customer.created": _translate_customer,
    "customer.updated": _translate_customer,
    "invoice.paid": _translate_invoice,
    "credit_note.created": _translate_credit_note,
}
