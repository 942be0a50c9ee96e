"""The stream of one comment: the comment and its updates, which say whether it was acted upon (closed-loop feedback)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.core.ids import encode_token
from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.streams.define import DatedLine, StreamEvent, stream

KIND = "feedback"
UPDATED = "feedback.updated"
# A comment is open until an update gives it another status.
OPEN, RESOLVED = "open", "resolved"
# Replaces the text of a comment that was erased. The comment still counts.
ERASED = "[erased]"

comments_resolved = measure("comments_resolved", "Comments that have been resolved.", subject="survey", channel=True)


def stream_name(event: EventView) -> str | None:
    """Return the name of the stream of a comment or an update; None for an event without a comment."""
    if event.type == UPDATED:
        return f"{KIND} {event.data['feedback']}"
    return f"{KIND} {event.id}" if has_comment(event.data) else None


def has_comment(data: Mapping[str, Any]) -> bool:
    """Return whether event data has a comment. A text of nothing but spaces and line ends is none."""
    return bool(data.get("comment", "").strip())


def comment_id(account_id: str, event_id: str) -> str:
    """Return one id for account and event: an event's id is unique within its account only. No id has U+0000."""
    return encode_token(f"{account_id}\0{event_id}")


def status_of(updates: Iterable[Mapping[str, Any]]) -> str:
    """Return the status of a comment after the given data of its updates, in order. A note alone does not change it."""
    statuses = [str(data["status"]) for data in updates if "status" in data]
    return statuses[-1] if statuses else OPEN


@stream(KIND, posts=[comments_resolved])
def feedback(events: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """Yield a resolved comment on the day of the comment, whenever it was resolved.

    Updates count nothing while their comment has not arrived, or once it is retracted.
    """
    if status_of(event.data for event in events if event.type == UPDATED) == RESOLVED:
        for comment in events:
            if comment.type != UPDATED and has_comment(comment.data):
                survey, channel = comment.data.get("survey", ""), comment.data.get("channel", "")
                yield calendar.day(comment.at), Line(comments_resolved, 1, survey, channel)
