"""Alerts: messages when a number crosses a threshold, and news of targets, health and restatements."""
