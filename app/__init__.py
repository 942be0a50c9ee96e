"""Customer Success Metrics: a service that keeps the books of customer success."""

__version__ = "0.1.0"
