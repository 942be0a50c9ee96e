"""The catalogue of metrics, one module a subject; importing this package fills it."""

from app.metrics.catalogue import support, usage, voice

__all__ = ["support", "usage", "voice"]
