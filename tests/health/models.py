"""Builders of health models."""

from typing import Any


def component(id: str, metric: str, poor: float, good: float, **fields: Any) -> dict[str, Any]:
    """Return a component, of the kind `value` and the weight 1 by default."""
    return {"id": id, "kind": "value", "metric": metric, "poor": poor, "good": good, "weight": 1} | fields


def model(*components: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a model that has held from the beginning of 2025, for which any coverage is enough."""
    return {"effective_from": "2025-01-01", "min_coverage": 0, "components": list(components)} | fields


# Its anchors are the ends of what is counted, so that values are scores.
SESSIONS = component("sessions", "sessions", 0, 100)
TICKETS = component("tickets", "support_tickets", 10, 0)
