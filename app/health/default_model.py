"""The model that holds until one is put: version 0. It is not stored, and answers as if it had been put before the first day.

Its weights are a hypothesis that the back-test can refute, and its anchors are argued, each in the model itself.
"""

from typing import Any

from app.health.model import HealthModel

_DOCUMENT: dict[str, Any] = {
    "description": "Half of the score is whether people use the product as they used to and lately, a fifth how many of the "
    "paid seats do, the rest support, the last survey response and revenue. A start: put your own and back-test it.",
    "window_days": 28,
    "min_coverage": 0.5,
    "bands": {"at_risk": 40, "healthy": 70},
    "categories": {
        "usage": {"cap": 0.6},
        "adoption": {"cap": 0.4},
        "support": {"cap": 0.3},
        "voice": {"cap": 0.25},
        "revenue": {"cap": 0.25},
    },
    "components": [
        {
            "id": "usage",
            "title": "Usage",
            "kind": "baseline",
            "metric": "active_user_days",
            "poor": 0,
            "good": 85,
            "weight": 30,
            "category": "usage",
            "argument": "Against the account's own past, since levels differ by size. A median of eight weeks is not moved by "
            "one busy week; 85% is the grace band of ordinary variation; nothing at all scores 0.",
        },
        {
            "id": "last_activity",
            "title": "Last activity",
            "kind": "days_since",
            "metric": "active_user_days",
            "poor": 30,
            "good": 7,
            "weight": 10,
            "category": "usage",
            "argument": "Up to a week is a weekend or a holiday. A month without anybody is silence, whatever was usual before.",
        },
        {
            "id": "engagement",
            "title": "Engagement of seats",
            "kind": "value",
            "metric": "product_usage_rate",
            "poor": 10,
            "good": 60,
            "weight": 20,
            "category": "adoption",
            "argument": "Seats that nobody uses are dropped at renewal. With under a tenth in use the product is not adopted; "
            "more than three of five in a month is as good as full, since people are away or seldom need it.",
        },
        {
            "id": "open_tickets",
            "title": "Open tickets",
            "kind": "value",
            "metric": "ticket_backlog",
            "requires": "support_tickets",
            "poor": 8,
            "good": 1,
            "weight": 10,
            "category": "support",
            "argument": "One open ticket is business as usual; eight at once are a problem that nobody solves.",
        },
        {
            "id": "first_response",
            "title": "First response",
            "kind": "value",
            "metric": "average_first_response_hours",
            "poor": 48,
            "good": 4,
            "weight": 10,
            "category": "support",
            "argument": "An answer in half a working day is good service; more than two days is what people complain about.",
        },
        {
            "id": "last_response",
            "title": "Last survey response",
            "kind": "last_response",
            "poor": 50,
            "good": 90,
            "weight": 10,
            "category": "voice",
            "fresh_days": 90,
            "stale_days": 365,
            "argument": "A 9 of 10 is a promoter, a 5 or the middle of a scale is no praise. Opinions age: after a quarter the "
            "answer loses weight, after a year it has none. Surveys predict churn weakly, so the weight is small.",
        },
        {
            "id": "revenue",
            "title": "MRR trend",
            "kind": "change",
            "metric": "mrr",
            "window_days": 90,
            "poor": -25,
            "good": 5,
            "weight": 10,
            "category": "revenue",
            "argument": "Over a quarter. Losing a quarter of the MRR is often followed by the rest; flat scores 83, since it is "
            "neither risk nor growth.",
        },
    ],
}

DEFAULT_MODEL = HealthModel.model_validate(_DOCUMENT)
