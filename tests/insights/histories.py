"""Builders of histories in which something needs attention. The clock of the tests is at noon of 15 March 2026."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from tests.support.service import Service, event, session

Events = list[dict[str, Any]]
TODAY = date(2026, 3, 15)


def customers(*accounts: str, at: str = "2025-06-10", mrr: str = "100", **more: Any) -> Events:
    """Return the beginning of a subscription of each account."""
    return [event("subscription.changed", own, at=at, subscription_id="s", mrr=mrr, **more) for own in accounts]


def names(count: int, prefix: str = "customer") -> list[str]:
    return [f"{prefix}-{number:03}" for number in range(count)]


def cancellations(accounts: Iterable[str], at: str) -> Events:
    return [event("subscription.canceled", own, at=at, subscription_id="s") for own in accounts]


def activity(account: str, *, first: int, last: int, every: int = 1, users: int = 1) -> Events:
    """Return a session of each user on days that are counted back from today, `first` days ago to `last` days ago."""
    days = [TODAY - timedelta(days=number) for number in range(first, last - 1, -every)]
    return [session(account, at=str(day), user=f"user-{user}") for day in days for user in range(users)]


def insights(service: Service, **parameters: Any) -> dict[str, dict[str, Any]]:
    """Return the insights by id."""
    rows: list[dict[str, Any]] = service.get("/v1/insights", **parameters)["rows"]
    return {row["id"]: row for row in rows}


def follow(service: Service, path: str) -> Any:
    """Return the answer at a path with its query, as an answer links to it."""
    response = service.request("GET", path)
    assert response.status_code == 200, response.text
    return response.json()
