"""Changes: what has changed since a poller last asked."""
