"""The independent model: every metric computed from the stored events in plain Python, by docs/metrics.md alone.

Tests compare it with the service. It shares no code with the service.
"""
