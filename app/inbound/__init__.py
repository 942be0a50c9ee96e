"""Deliveries from other systems: verified, kept as received, translated to events, and accepted like all others."""
