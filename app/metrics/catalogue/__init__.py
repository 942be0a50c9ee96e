"""The catalogue of metrics, one module a subject; importing this package fills it."""

from app.metrics.catalogue import conversion, retention, revenue, support, usage, voice

__all__ = ["conversion", "retention", "revenue", "support", "usage", "voice"]
