"""Alerts: tell when a number crosses a threshold, and other news that data and time bring."""
