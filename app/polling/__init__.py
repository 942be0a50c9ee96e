"""Polling: the same questions again and again, answered with 304 or from memory while the data has not changed."""
