"""The targets of Lantern: those of its plan for the year, which began six months ago, and those of before it."""

from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

from app.demo.timeline import ROUTE_PLANNER, Timeline, add_months

_PLAN_MONTHS = 12
_MONTHS_SO_FAR = 6


class DemoTarget(NamedTuple):
    """A body for `PUT /v1/targets/{id}`, and the day on which it was put."""

    id: str
    recorded_on: date
    body: dict[str, Any]


def targets(timeline: Timeline) -> list[DemoTarget]:
    """Return the targets that Lantern has put so far, in the order of their days."""
    by_day = sorted(_all_targets(timeline), key=lambda target: target.recorded_on)
    return [target for target in by_day if target.recorded_on <= timeline.yesterday]


def _all_targets(timeline: Timeline) -> Iterator[DemoTarget]:
    plan_start = timeline.first_of_month(max(1, timeline.months + 1 - _MONTHS_SO_FAR))
    plan_end = add_months(plan_start, _PLAN_MONTHS)
    plan = {"from": plan_start.isoformat(), "until": plan_end.isoformat()}
    for id, body in _PLAN.items():
        yield DemoTarget(id, plan_start, body | plan)
    launch = timeline.day_at(ROUTE_PLANNER).replace(day=1)
    yield DemoTarget("route-planner", launch, _ROUTE_PLANNER | {"from": launch.isoformat()})


# By id, without their days.
_PLAN: dict[str, dict[str, Any]] = {
    "mrr": {"metric": "mrr", "granularity": "month", "baseline": "245000", "value": "300000", "path": "linear"},
    "customers-won": {"metric": "customers_new", "granularity": "total", "value": 18},
    "customers-lost": {"metric": "customers_churned", "granularity": "total", "value": 12},
    "starter-emea-churn": {
        "metric": "customer_churn_rate",
        "granularity": "total",
        "value": 12,
        "segment": "starter_emea",
    },
    "net-retention": {"metric": "nrr", "granularity": "month", "value": 100},
    "churn": {"metric": "customer_churn_rate", "granularity": "month", "value": 2},
    "nps": {"metric": "nps", "granularity": "quarter", "value": 45},
    "health": {"metric": "health_score", "granularity": "month", "value": 76},
    "first-response": {"metric": "average_first_response_hours", "granularity": "month", "value": 4},
    "trial-conversion": {"metric": "trial_conversion_rate", "granularity": "quarter", "value": 30},
}
_ROUTE_PLANNER: dict[str, Any] = {
    "metric": "feature_adoption_rate",
    "subject": "route_planner",
    "granularity": "month",
    "value": 30,
}
