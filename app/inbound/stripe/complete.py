"""Complete the events of Stripe: what a thin event names, tiers of prices, and items beyond the first are read from its API.

Sources: docs.stripe.com, changelog 2026-09-30.endive (thin events of API v1: `related_object`, and `snapshot_event` of the v2
event), "How events work", and the price object (`tiers` only if they are expanded).
"""

import re
from typing import Any

from app.inbound.fetch import VendorApi
from app.inbound.stripe.order import PREFIX
from app.ingest.payload import Fields, Untranslatable, text_of

THIN = "v2.core.event"
# The member of a thin event that names its snapshot; null: it exists as a thin one only.
SNAPSHOT = "snapshot_event"
# Events of API v2 need a version; from this one on, they name their snapshots.
_VERSION = "2026-09-30.endive"
# Of a hundred items; no subscription has so many.
_MAX_PAGES = 5
_ID = re.compile(r"[A-Za-z0-9_]{1,255}", re.ASCII)


async def complete(payload: Any, api: VendorApi, *, types: frozenset[str]) -> Any:
    """Return the payload with what it only names; None where nothing is missing.

    types: those that count, besides those of subscriptions. Raises Untranslatable and Unavailable.
    """
    if not isinstance(payload, dict):
        return None
    if payload.get("object") != THIN:
        has_items, has_tiers = await _add_items(payload, api), await _add_tiers(payload, api)
        return payload if has_items or has_tiers else None
    type = str(payload.get("type")).removeprefix("v1.")
    if type not in types and not type.startswith(PREFIX):
        return None
    if (snapshot_id := await _find_snapshot(payload, api)) is None:
        return {**payload, SNAPSHOT: None}
    snapshot = await api.get(f"/v1/events/{_check_id(snapshot_id)}", headers=_find_context(payload))
    await _add_items(snapshot, api)
    await _add_tiers(snapshot, api)
    return snapshot


async def _find_snapshot(payload: dict[str, Any], api: VendorApi) -> str | None:
    """Return the id of the snapshot of a thin event; None for an event that exists as a thin one only."""
    if SNAPSHOT not in payload:
        headers = {"Stripe-Version": _VERSION, **_find_context(payload)}
        payload = await api.get(f"/v2/core/events/{_check_id(text_of(payload.get('id')))}", headers=headers)
    return text_of(payload.get(SNAPSHOT)) if isinstance(payload, dict) else None


def _find_context(payload: dict[str, Any]) -> dict[str, str]:
    """Return the header that says of which connected account an event is."""
    context = text_of(payload.get("context"))
    return {"Stripe-Context": context} if context and context.isascii() and context.isprintable() else {}


def _check_id(id: str | None) -> str:
    if id is None or not _ID.fullmatch(id):
        raise Untranslatable("The id of the event is not one of Stripe.")
    return id


async def _add_items(event: Any, api: VendorApi) -> bool:
    """Add to a subscription the items that an event does not hold; return whether there are any.

    The API has the items of now. They count only if those that the event holds are still among them.
    """
    try:
        subscription = event["data"]["object"]
        items = subscription["items"]
        if items["has_more"] is not True or subscription["object"] != "subscription":
            return False
        held = [(text_of(row["id"]), row["price"]["id"], row.get("quantity")) for row in items["data"]]
    except (KeyError, TypeError, AttributeError):
        return False
    rows: list[Any] = []
    page: dict[str, Any] = {"has_more": True}
    for _ in range(_MAX_PAGES):
        if page.get("has_more") is not True:
            break
        parameters = {"subscription": _check_id(text_of(subscription.get("id"))), "limit": "100"}
        if rows:
            parameters["starting_after"] = Fields(rows[-1]).text("id")
        page = await api.get("/v1/subscription_items", parameters=parameters)
        new_rows = [own.raw for own in Fields(page).objects("data")]
        rows += new_rows
    terms = {own.find_text("id"): (own.find_text("price", "id"), own.find("quantity")) for own in map(Fields, rows)}
    if any(terms.get(id) != (price, quantity) for id, price, quantity in held):
        raise Untranslatable(
            "The subscription has more items than Stripe puts into an event, and has changed since. A later event has its state."
        )
    subscription["items"] = {**items, "data": rows, "has_more": page.get("has_more") is True}
    return True


async def _add_tiers(event: Any, api: VendorApi) -> bool:
    """Add the tiers to the prices of an event, since Stripe puts them into no event; return whether there are any.

    Stripe does not let the tiers of a price change.
    """
    try:
        rows = event["data"]["object"]["items"]["data"]
        prices = [row["price"] for row in rows]
    except (KeyError, TypeError):
        return False
    has_tiers = False
    for row, price in zip(rows, prices, strict=True):
        if isinstance(price, dict) and price.get("billing_scheme") == "tiered" and not price.get("tiers"):
            path = f"/v1/prices/{_check_id(text_of(price.get('id')))}"
            row["price"] = await api.get(path, parameters={"expand[]": "tiers"})
            has_tiers = True
    return has_tiers
