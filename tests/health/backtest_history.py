"""Histories for tests of the back-test: customers with a score that is easy to compute, some of whom leave.

The model has one component: the uses of a feature in the last 28 days, of which 0 scores 0 and 100 scores 100.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.service import Service, event

MODEL: dict[str, Any] = {
    "min_coverage": 0.5,
    "components": [
        {"id": "uses", "kind": "value", "metric": "feature_uses", "poor": 0, "good": 100, "weight": 1},
    ],
}


def put_model(service: Service, on: str = "2025-01-01", **changes: Any) -> None:
    """Put the model, or one that is changed, with the clock at a day; then set the clock to 15 March 2026 again."""
    now = service.now
    service.on(on).put("/v1/health-model", MODEL | changes)
    service.now = now


def customer(account: str, *, since: str = "2025-01-10", recorded_on: str | None = "2025-01-10") -> dict[str, Any]:
    """Return the event that makes a customer. recorded_on: None for the day on which it is sent, as below."""
    return event("subscription.changed", account, at=since, recorded_on=recorded_on, subscription_id="main", mrr="100")


def price(account: str, mrr: str, *, at: str) -> dict[str, Any]:
    return event("subscription.changed", account, at=at, recorded_on=at, subscription_id="main", mrr=mrr)


def uses(account: str, count: int, *, at: str, **more: Any) -> dict[str, Any]:
    return event(
        "feature.used", account, at=at, user="ada", feature="reports", count=count, **{"recorded_on": at} | more
    )


def leaves(account: str, *, at: str, **data: Any) -> dict[str, Any]:
    return event("subscription.canceled", account, at=at, subscription_id="main", **{"recorded_on": at} | data)


def send_history(
    service: Service,
    scores: Mapping[str, int],
    churn: Mapping[str, str],
    *,
    used_on: Sequence[str] = ("2025-05-20",),
) -> None:
    """Send customers since January 2025 with their score of 1 June 2025, and the days on which some of them leave.

    Somebody who is no customer is active today, so that data still comes.
    """
    events = [customer(account) for account in scores]
    events += [uses(account, score, at=day) for day in used_on for account, score in scores.items() if score]
    events += [leaves(account, at=day) for account, day in churn.items()]
    service.send(*events)
    visit(service)


def visit(service: Service) -> None:
    """Send the activity of somebody who is no customer, of today."""
    today = f"{service.now:%Y-%m-%d}"
    service.send(uses("visitor", 1, at=f"{today}T00:00:00Z", recorded_on=None))


def backtest(service: Service, **parameters: Any) -> dict[str, Any]:
    """Return the report; of the one cut-off 1 June 2025 unless there is another range."""
    span = {} if parameters.keys() & {"period", "start", "end"} else {"period": "2025-06"}
    report: dict[str, Any] = service.get("/v1/health-model/backtest", **span | parameters)
    return report


def score_rows(service: Service, **parameters: Any) -> list[dict[str, Any]]:
    """Return all scores that a back-test is made of."""
    rows: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = service.get("/v1/health-model/backtest/scores", **parameters, **({"cursor": cursor} if cursor else {}))
        rows, cursor = rows + page["rows"], page["next"]
    return rows
