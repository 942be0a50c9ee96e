"""Targets of metrics, and how near each of them is."""
