"""One event of the demo in the form of the API, before it has an id, an account and a recorded day."""

from datetime import datetime
from random import Random
from typing import Any

DemoEvent = dict[str, Any]

# Events about money are often recorded late; all others seldom.
LATE_SHARE, LATE_SHARE_OF_MONEY = 0.03, 0.2
OFTEN_LATE_TYPES = ("cost.recorded", "subscription.canceled", "purchase.refunded", "renewal.declined")


def make_event(type: str, at: datetime, *, user: str | None = None, **data: Any) -> DemoEvent:
    """Return `{"type", "user_id"?, "occurred_at", "data"}`. Data that is None is left out. at: in UTC."""
    fields = {name: value for name, value in data.items() if value is not None}
    if user is None:
        return {"type": type, "occurred_at": at.isoformat(timespec="seconds"), "data": fields}
    return {"type": type, "user_id": user, "occurred_at": at.isoformat(timespec="seconds"), "data": fields}


def recording_delay(type: str, rng: Random) -> int:
    """Return how many days after it happened an event is recorded: mostly 0, else 1 to 20, with fewer days more likely."""
    if rng.random() < (LATE_SHARE_OF_MONEY if type in OFTEN_LATE_TYPES else LATE_SHARE):
        return 1 + int(20 * rng.random() * rng.random())
    return 0
