"""Streams: events that mean something only together, such as the changes of an account's subscriptions.

A stream is a pure function of its events in the order in which they occurred. When an event is added, comes late or is
taken back, the function is asked about before and after, and the difference is posted: so arrival order never matters.
Importing this room fills the catalogue of streams.
"""

from app.ledger.streams import (
    feedback,
    goals,
    onboarding,
    purchases,
    registration,
    renewals,
    subscriptions,
    tickets,
    trials,
)

__all__ = [
    "feedback",
    "goals",
    "onboarding",
    "purchases",
    "registration",
    "renewals",
    "subscriptions",
    "tickets",
    "trials",
]
