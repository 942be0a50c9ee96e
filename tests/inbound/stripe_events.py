"""Events of Stripe, in the shape of its API: stories of subscriptions as its test clocks tell them."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

_numbers = itertools.count()
MONTHLY, YEARLY = "month", "year"


def at(day: str, hour: int = 12) -> int:
    """Return a time of a day of 2026, written `03-31`, in seconds since 1970."""
    month, number = map(int, day.split("-"))
    return int(datetime(2026, month, number, hour, tzinfo=UTC).timestamp())


def item(
    amount: int | None, interval: str = MONTHLY, *, quantity: int = 1, period_end: str = "12-31", **price: Any
) -> dict[str, Any]:
    """Return an item of a subscription. amount: of one payment, in the smallest unit."""
    recurring = {"interval": interval, "interval_count": price.pop("interval_count", 1)}
    recurring["usage_type"] = price.pop("usage_type", "licensed")
    own_price = {
        "id": f"price_{amount}_{interval}",
        "object": "price",
        "currency": "usd",
        "unit_amount": amount,
        "billing_scheme": "per_unit",
        "recurring": recurring,
        **price,
    }
    return {"id": f"si_{amount}", "quantity": quantity, "current_period_end": at(period_end), "price": own_price}


def subscription(
    items: Sequence[dict[str, Any]] | dict[str, Any], status: str = "active", **fields: Any
) -> dict[str, Any]:
    items = [items] if isinstance(items, dict) else list(items)
    return {
        "id": "sub_1",
        "object": "subscription",
        "customer": "cus_1",
        "status": status,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "ended_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "pause_collection": None,
        "trial_start": None,
        "trial_end": None,
        "discounts": [],
        "metadata": {},
        "items": {"object": "list", "has_more": False, "data": items},
        **fields,
    }


def event(day: str, type: str, object: dict[str, Any], hour: int = 12, **previous_attributes: Any) -> dict[str, Any]:
    data: dict[str, Any] = {"object": object}
    if previous_attributes:
        data["previous_attributes"] = previous_attributes
    return {
        "id": f"evt_{next(_numbers)}",
        "object": "event",
        "api_version": "2026-06-24.dahlia",
        "created": at(day, hour),
        "livemode": False,
        "type": type,
        "data": data,
    }


def created(day: str, *arguments: Any, **fields: Any) -> dict[str, Any]:
    return event(day, "customer.subscription.created", subscription(*arguments, **fields))


def updated(day: str, *arguments: Any, previous: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return event(day, "customer.subscription.updated", subscription(*arguments, **fields), **(previous or {}))


def deleted(day: str, *arguments: Any, **fields: Any) -> dict[str, Any]:
    fields = {"ended_at": at(day)} | fields
    return event(day, "customer.subscription.deleted", subscription(*arguments, status="canceled", **fields))


def rename(payload: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an event of another customer with the same story."""
    object = payload["data"]["object"]
    own_object = {**object, "customer": f"cus_{name}", "id": f"{object['id']}_{name}"}
    return {**payload, "id": f"{payload['id']}_{name}", "data": {**payload["data"], "object": own_object}}
