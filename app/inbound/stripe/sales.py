"""Customers, one-off invoices and credit notes of Stripe."""

from collections.abc import Iterator
from typing import Any

from app.inbound.define import Context, Part
from app.inbound.stripe.terms import digits_of, find_customer, format_amount
from app.ingest.payload import Fields, Ignored


def translate_customer(event: Fields, item: Fields, context: Context) -> Iterator[Part]:
    country = item.find_text("address", "country")
    data: dict[str, Any] = {"name": item.find_text("name")} | ({"attributes": {"country": country}} if country else {})
    if data["name"] is None and country is None:
        yield Ignored("The customer has neither name nor country.")
        return
    account = context.account(event, item, item.text("id"))
    yield context.event("account.updated", id=event.text("id"), account=account, at=event.time("created"), data=data)


def translate_invoice(event: Fields, item: Fields, context: Context) -> Iterator[Part]:
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
    data = {"order_id": item.text("id"), "amount": format_amount(amount), "currency": currency}
    paid_at = item.find_time("status_transitions", "paid_at") or event.time("created")
    account = context.account(event, item, find_customer(item))
    yield context.event("purchase.completed", id=event.text("id"), account=account, at=paid_at, data=data)


def translate_credit_note(event: Fields, item: Fields, context: Context) -> Iterator[Part]:
    """Yield a refund. One of an invoice that is no purchase counts nothing."""
    invoice = item.find_text("invoice") or item.text("invoice", "id")
    currency = item.text("currency").upper()
    total = item.find_number("total_excluding_tax")
    amount = (item.number("amount") if total is None else total).scaleb(-digits_of(currency))
    account = context.account(event, item, find_customer(item))
    data = {"order_id": invoice, "amount": format_amount(amount), "currency": currency}
    at = event.time("created")
    yield context.event("purchase.refunded", id=event.text("id"), account=account, at=at, data=data)
