"""Attempts at something that has a start and a completion and may start again: a goal, an onboarding."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from app.ledger.streams.define import StreamEvent

_SECOND = timedelta(seconds=1)
# By how much the clock of the system that reports completions may be behind that of the system that reports starts.
_MAX_SKEW = timedelta(hours=1)


class Attempt(NamedTuple):
    """The events from one start until the next. completed_at: the first completion; None while there is none."""

    events: Sequence[StreamEvent]
    completed_at: datetime | None

    @property
    def started_at(self) -> datetime:
        return self.events[0].at

    @property
    def seconds(self) -> int:
        """Return the whole seconds from start to completion; 0 for an attempt that is not completed."""
        return (self.completed_at - self.started_at) // _SECOND if self.completed_at else 0


def split_attempts(events: Sequence[StreamEvent], *, start: str, completion: str) -> Iterator[Attempt]:
    """Yield the attempts in order. `start` and `completion` are the event types.

    The first event starts the first attempt, whatever its type. A start before the completion changes nothing; a start after
    it begins the next attempt. Other events after a completion belong to the attempt that was completed. A completion up to an
    hour before the first start belongs to the attempt of that start, and counts at its time.
    """
    attempt: list[StreamEvent] = []
    completed_at: datetime | None = None
    for event in _correct_clocks(events, start, completion):
        if event.type == start and completed_at is not None:
            yield Attempt(attempt, completed_at)
            attempt, completed_at = [], None
        elif event.type == completion and completed_at is None:
            completed_at = event.at
        attempt.append(event)
    if attempt:
        yield Attempt(attempt, completed_at)


def _correct_clocks(events: Sequence[StreamEvent], start: str, completion: str) -> Sequence[StreamEvent]:
    """Return the events with completions shortly before the first start moved to its time."""
    first_start = next((event.at for event in events if event.type == start), None)
    if first_start is None:
        return events

    def is_early(event: StreamEvent) -> bool:
        return event.type == completion and first_start - _MAX_SKEW <= event.at < first_start

    corrected_events = (event._replace(at=first_start) if is_early(event) else event for event in events)
    return sorted(corrected_events, key=lambda event: event[:3])
