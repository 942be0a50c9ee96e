"""The catalogue of metrics, one module a subject; importing this package fills it."""

from app.metrics.catalogue import (
    conversion,
    costs,
    purchases,
    retention,
    revenue,
    revenue_retention,
    support,
    trials,
    usage,
    voice,
)

__all__ = [
    "conversion",
    "costs",
    "purchases",
    "retention",
    "revenue",
    "revenue_retention",
    "support",
    "trials",
    "usage",
    "voice",
]
