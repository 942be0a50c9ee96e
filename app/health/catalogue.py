"""Metrics of health: the scores of current customers.

A score is computed for the last day of the period that has come, from what was known on the day of the question.
"""

from app.health.operand import HealthScores
from app.metrics.define import ExampleEvent, Result, count, mean, metric

NO_SCORES = "no_scores"
_SUBSCRIPTION = ExampleEvent(
    1, "subscription.changed", {"subscription_id": "sub-1", "mrr": "100", "seats": 2}, on="2025-09-01"
)
_SESSIONS = [
    ExampleEvent(1, "session.ended", {"duration_seconds": 600}, on=f"{month}-{day:02}", user=user)
    for month in ("2026-01", "2026-02", "2026-03")
    for day in (2, 9, 16, 23, 30)
    for user in ("ada", "bob")
    if (month, day) != ("2026-02", 30)
]


@metric(
    unit="score",
    better="up",
    range=(0, 100),
    example={"scores": 9_762, "accounts": 1, "equals": 97.62},
    events=[_SUBSCRIPTION, *_SESSIONS],
)
def health_score(
    scores: int = HealthScores(adds_scores=True),  # type: ignore[assignment]
    accounts: int = HealthScores(adds_scores=False),  # type: ignore[assignment]
) -> Result:
    """Health score: average health of current customers, from 0 to 100.

    The health of an account is computed from the components of the health model that holds on the last day of the period, or
    today while it runs; see `GET /v1/accounts/{id}/health`. Customers without enough data have no score and are left out. No
    value when no customer has a score.
    """
    return mean(scores, of=accounts, unit=100, if_empty=NO_SCORES)


@metric(
    unit="count",
    better="neither",
    adds_over=("groups",),
    example={"accounts": 1, "equals": 1},
    events=[_SUBSCRIPTION, *_SESSIONS],
)
def accounts_by_band(
    accounts: int = HealthScores(adds_scores=False, by_band=True),  # type: ignore[assignment]
) -> Result:
    """Accounts by band: number of current customers with a health score. Can be broken down by band (`subject`).

    The bands are `critical`, `at_risk` and `healthy`, as the health model divides them. Customers without enough data have no
    score and are in no band.
    """
    return count(accounts)
