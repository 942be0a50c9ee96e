"""Tickets, goals and onboardings by docs/metrics.md: when each was started, and how it ended."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

# The order of events at one instant. After it, ids decide.
ORDER = ("opened", "replied", "reopened", "resolved", "entered", "started", "step_completed", "completed")


def split_streams(events: Iterable[Any], kind: str, key_of: Callable[[Any], Any]) -> list[list[Any]]:
    """Return the events of a kind by what they belong to, each list in the order in which the events occurred."""
    streams = defaultdict(list)
    for event in events:
        if event.type.startswith(f"{kind}."):
            streams[key_of(event)].append(event)
    return [sorted(stream, key=lambda e: (e.at, ORDER.index(verb(e)), e.id)) for stream in streams.values()]


def verb(event: Any) -> str:
    """Return the second part of an event type: `opened` of `ticket.opened`."""
    return event.type.partition(".")[2]


class Ticket:
    """One ticket. opened: when it was opened; changes: when it became open (True) or resolved (False).

    Its first opening begins it, without one its first event. Nothing of it happened earlier, whatever the events say.
    """

    def __init__(self, events: Sequence[Any]) -> None:
        beginning = ([event for event in events if verb(event) == "opened"] or [*events])[0]
        self.opened: datetime = beginning.at
        self.events = [beginning] + [event for event in events if event is not beginning]
        self.times = [max(self.opened, event.at) for event in self.events]
        self.channel = ([event.data["channel"] for event in self.events if "channel" in event.data] or [None])[0]
        self.changes = [(self.opened, True)]
        self.was_reopened = verb(beginning) == "reopened"
        for event, at in zip(self.events, self.times, strict=True):
            is_open = self.changes[-1][1]
            if verb(event) == "resolved" and is_open:
                self.changes.append((at, False))
            if verb(event) == "reopened" and not is_open:
                self.changes.append((at, True))
                self.was_reopened = True

    @property
    def resolved(self) -> datetime | None:
        """Return when the ticket was last resolved; None while it is open."""
        at, is_open = self.changes[-1]
        return None if is_open else at

    @property
    def response(self) -> tuple[datetime, datetime] | None:
        """Return since when the ticket waited for its first agent reply, and when that came; None without one."""
        waiting_since, is_open = self.opened, True
        for event, at in zip(self.events, self.times, strict=True):
            if verb(event) == "reopened" and not is_open:
                waiting_since = at
            if verb(event) in ("reopened", "resolved"):
                is_open = verb(event) == "reopened"
            if verb(event) == "replied" and event.data.get("by", "agent") == "agent":
                return waiting_since, at
        return None

    @property
    def at_first_contact(self) -> bool:
        if self.resolved is None or self.was_reopened:
            return False
        resolutions = [number for number, event in enumerate(self.events) if verb(event) == "resolved"]
        for number in reversed(resolutions):
            if "first_contact" in self.events[number].data:
                return self.events[number].data["first_contact"]
        before = self.events[: resolutions[0]]
        writers = [event.data.get("by", "agent") for event in before if verb(event) == "replied"]
        return writers.count("agent") < 2


class Attempt(NamedTuple):
    """An attempt at a goal, or an onboarding; completed: None while it is not."""

    subject: str | None
    started: datetime
    completed: datetime | None = None


def tickets(events: Iterable[Any]) -> list[Ticket]:
    return [Ticket(stream) for stream in split_streams(events, "ticket", lambda event: event.data["ticket_id"])]


def goals(events: Iterable[Any]) -> list[Attempt]:
    """Return the attempts at goals. `who` is the user with that id; without both it is the account, whatever its id."""

    def key_of(event: Any) -> Any:
        return event.data["goal"], event.data.get("who") or event.user

    return [attempt for stream in split_streams(events, "goal", key_of) for attempt in _attempts(stream)]


def onboardings(events: Iterable[Any]) -> list[Attempt]:
    streams = split_streams(events, "onboarding", lambda event: event.user)
    return [attempt for stream in streams for attempt in _attempts(stream)]


def _attempts(stream: Sequence[Any]) -> list[Attempt]:
    """Return the attempts of one stream: a start after a completion is another attempt."""
    attempts: list[Attempt] = []
    for event in correct_clocks(stream):
        if not attempts or (attempts[-1].completed and verb(event) in ("entered", "started")):
            attempts.append(Attempt(event.data.get("goal"), event.at))
        if verb(event) == "completed" and not attempts[-1].completed:
            attempts[-1] = attempts[-1]._replace(completed=event.at)
    return attempts


def correct_clocks(stream: Sequence[Any]) -> list[Any]:
    """Return the events of a stream in their order.

    A completion up to an hour before the first start is one of another clock, and counts at the time of that start.
    """
    starts = [event.at for event in stream if verb(event) in ("entered", "started")]

    def is_early(event: Any) -> bool:
        return verb(event) == "completed" and bool(starts) and timedelta(0) < starts[0] - event.at <= timedelta(hours=1)

    events = [replace(event, at=starts[0]) if is_early(event) else event for event in stream]
    return sorted(events, key=lambda e: (e.at, ORDER.index(verb(e)), e.id))
