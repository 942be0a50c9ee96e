"""Tickets, goals and onboardings by docs/metrics.md: what was begun, and what became of it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

# Of one instant, in this order; then ids decide.
ORDER = ("opened", "replied", "reopened", "resolved", "entered", "started", "step_completed", "completed")


def split_streams(events: Iterable[Any], kind: str, of: Callable[[Any], Any]) -> list[list[Any]]:
    """The events of a kind, apart by what they are of, in the order in which they occurred."""
    found = defaultdict(list)
    for kept in events:
        if kept.type.startswith(f"{kind}."):
            found[of(kept)].append(kept)
    return [sorted(some, key=lambda kept: (kept.at, ORDER.index(verb(kept)), kept.id)) for some in found.values()]


def verb(kept: Any) -> str:
    return kept.type.partition(".")[2]


class Ticket:
    """One ticket. `open_books`: its first opening; `turns`: when it became open (True) or resolved."""

    def __init__(self, events: Sequence[Any]) -> None:
        self.events = events
        self.opened: datetime = events[0].at
        self.channel = ([kept.data["channel"] for kept in events if "channel" in kept.data] or [None])[0]
        self.turns = [(self.opened, True)]
        self.was_reopened = verb(events[0]) == "reopened"
        for kept in events:
            is_open = self.turns[-1][1]
            if verb(kept) == "resolved" and is_open:
                self.turns.append((kept.at, False))
            if verb(kept) in ("opened", "reopened") and not is_open:
                self.turns.append((kept.at, True))
                self.was_reopened = True

    @property
    def resolved(self) -> datetime | None:
        """When it was last; None while it is open."""
        at, is_open = self.turns[-1]
        return None if is_open else at

    @property
    def at_first_contact(self) -> bool:
        if self.resolved is None or self.was_reopened:
            return False
        resolutions = [number for number, kept in enumerate(self.events) if verb(kept) == "resolved"]
        for number in reversed(resolutions):
            if "first_contact" in self.events[number].data:
                return self.events[number].data["first_contact"]
        writers = [kept.data.get("by", "agent") for kept in self.events[: resolutions[0]] if verb(kept) == "replied"]
        return writers.count("agent") < 2


class Attempt(NamedTuple):
    """A goal from its entry on, or an onboarding from its start on."""

    subject: str | None
    began: datetime
    completed: datetime | None = None


def tickets(events: Iterable[Any]) -> list[Ticket]:
    return [Ticket(story) for story in split_streams(events, "ticket", lambda kept: kept.data["ticket_id"])]


def goals(events: Iterable[Any]) -> list[Attempt]:
    """One who is named is the user of that name; the account is nobody of its name."""

    def of(kept: Any) -> Any:
        return kept.data["goal"], kept.data.get("who") or kept.user

    return [journey for story in split_streams(events, "goal", of) for journey in _journeys(story)]


def onboardings(events: Iterable[Any]) -> list[Attempt]:
    return [
        journey for story in split_streams(events, "onboarding", lambda kept: kept.user) for journey in _journeys(story)
    ]


def _journeys(story: Sequence[Any]) -> list[Attempt]:
    """Of one who completes and begins again, each time."""
    found: list[Attempt] = []
    for kept in story:
        if not found or (found[-1].completed and verb(kept) in ("entered", "started")):
            found.append(Attempt(kept.data.get("goal"), kept.at))
        if verb(kept) == "completed" and not found[-1].completed:
            found[-1] = found[-1]._replace(completed=kept.at)
    return found
