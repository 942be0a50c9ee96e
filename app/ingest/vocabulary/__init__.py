"""The vocabulary: every event type the service understands. One block says what an event needs, means and posts.

One module a subject; importing this package fills the catalogues of event types and measures.
"""

from app.ingest.vocabulary import accounts, journey, revenue, support, usage, voice

__all__ = ["accounts", "journey", "revenue", "support", "usage", "voice"]
