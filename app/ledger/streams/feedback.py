"""One comment and what was done about it: the closed loop. It counts on the comment's day, whenever it was resolved."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.streams.define import DatedLine, StreamEvent, stream

KIND = "feedback"
UPDATED = "feedback.updated"
# A comment is open until something else is said of it.
OPEN, RESOLVED = "open", "resolved"
# What stands in the place of a comment that was erased: it still counts.
ERASED = "[erased]"

comments_resolved = measure("comments_resolved", "Comments that are resolved.", subject="survey", channel=True)


def name(fact: EventView) -> str | None:
    """The name of the stream that a comment or an update of it belongs to; None: an answer without a comment."""
    if fact.type == UPDATED:
        return f"{KIND} {fact.data['feedback']}"
    return f"{KIND} {fact.id}" if fact.data.get("comment") else None


def status_of(updates: Iterable[Mapping[str, Any]]) -> str:
    """What the data of a comment's updates come to, in their order; one that is only a note changes nothing."""
    said = [str(data["status"]) for data in updates if "status" in data]
    return said[-1] if said else OPEN


@stream(KIND)
def feedback(happenings: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """What is said of a comment that has not come yet, or was taken back, counts nowhere."""
    if status_of(each.data for each in happenings if each.type == UPDATED) == RESOLVED:
        for comment in happenings:
            if comment.type != UPDATED:
                survey, channel = comment.data.get("survey", ""), comment.data.get("channel", "")
                yield calendar.day(comment.at), Line(comments_resolved, 1, survey, channel)
