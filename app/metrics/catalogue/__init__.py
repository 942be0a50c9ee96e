"""The catalogue of metrics, one module a subject; importing this package fills it."""

from app.metrics.catalogue import retention, revenue, support, usage, voice

__all__ = ["retention", "revenue", "support", "usage", "voice"]
