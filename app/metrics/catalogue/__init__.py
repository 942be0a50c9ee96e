"""The catalogue of metrics, one module for each subject. Importing this package fills METRICS."""

from app.metrics.catalogue import (
    conversion,
    costs,
    purchases,
    renewals,
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
    "renewals",
    "retention",
    "revenue",
    "revenue_retention",
    "support",
    "trials",
    "usage",
    "voice",
]
