"""Customer Success Metrics: turns product, billing, survey and support events into metrics, over HTTP."""

__version__ = "0.2.0"
