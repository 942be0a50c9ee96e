"""One thing that happened, as the API wants it, before it has an id and is known."""

from datetime import datetime
from random import Random
from typing import Any

DemoEvent = dict[str, Any]

# Money matters and paper are reported late more often than clicks.
SELDOM_LATE, OFTEN_LATE = 0.03, 0.2
SLOW = ("cost.recorded", "subscription.canceled", "purchase.refunded", "renewal.declined")


def event(kind: str, at: datetime, *, user: str | None = None, **data: Any) -> DemoEvent:
    """`{"type", "user_id"?, "occurred_at", "data"}`; data that is None is left out. `at` is in UTC."""
    said = {name: value for name, value in data.items() if value is not None}
    if user is None:
        return {"type": kind, "occurred_at": at.isoformat(timespec="seconds"), "data": said}
    return {"type": kind, "user_id": user, "occurred_at": at.isoformat(timespec="seconds"), "data": said}


def delay(kind: str, rng: Random) -> int:
    """How many days later than it happened an event became known: mostly 0, else 1 to 20, rather few than many."""
    if rng.random() < (OFTEN_LATE if kind in SLOW else SELDOM_LATE):
        return 1 + int(20 * rng.random() * rng.random())
    return 0
