"""Ingest: the catalogue of event types, and accepting, retracting, erasing and importing events."""
