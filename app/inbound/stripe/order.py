"""Which of two updates of a subscription within one second came first: Stripe's times are whole seconds.

Each update has the whole subscription and, under `previous_attributes`, the values that it replaced. What was true before the
later one is what the earlier one says.
"""

from collections.abc import Mapping
from typing import Any

from app.ingest.payload import text_of

PREFIX = "customer.subscription."
CREATED, DELETED = f"{PREFIX}created", f"{PREFIX}deleted"


def find_moment(payload: Any) -> str | None:
    """Return the subscription and the second of an update; None for all that needs no order within its second."""
    if not isinstance(payload, dict) or payload.get("object") == "v2.core.event":
        return None
    type, second, data = (payload.get(name) for name in ("type", "created", "data"))
    subscription = data.get("object") if isinstance(data, dict) else None
    id = text_of(subscription.get("id")) if isinstance(subscription, dict) else None
    if not isinstance(type, str) or not type.startswith(PREFIX) or type in (CREATED, DELETED):
        return None
    return f"{id} {second}" if id and isinstance(second, int) and not isinstance(second, bool) else None


def compare(first: Any, second: Any) -> int:
    """Return -1 if the first of two updates of a moment came before the second, 1 if it came after it; 0: they do not say."""
    forward, backward = _count_matches(first, second), _count_matches(second, first)
    return (forward < backward) - (forward > backward)


def _count_matches(first: Any, second: Any) -> int:
    """Return of how many values that either update changed the first one leaves what the second one finds."""
    before, after = _replaced_values(second), first["data"]["object"]
    state = second["data"]["object"]
    names = before.keys() | _replaced_values(first).keys()
    return sum(_covers(after.get(name), before.get(name, state.get(name))) for name in names)


def _replaced_values(update: Any) -> Mapping[str, Any]:
    values = update["data"].get("previous_attributes")
    return values if isinstance(values, dict) else {}


def _covers(state: Any, previous: Any) -> bool:
    """Return whether a state has previous values. Of an object, `previous_attributes` have only the members that changed."""
    if isinstance(previous, dict) and isinstance(state, dict):
        return all(_covers(state.get(name), value) for name, value in previous.items())
    if isinstance(previous, list) and isinstance(state, list):
        return len(previous) == len(state) and all(map(_covers, state, previous))
    return bool(state == previous)
