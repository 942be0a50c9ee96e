"""Webhooks: messages about what happened, delivered to the endpoints that subscribe to their topics."""
