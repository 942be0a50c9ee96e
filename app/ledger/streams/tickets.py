"""One ticket: opened, resolved, perhaps opened again; and what became of it, told of the day on which it was opened."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import takewhile

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.streams.define import DatedLine, StreamEvent, stream

KIND = "ticket"
OPENED, REPLIED, REOPENED, RESOLVED = "ticket.opened", "ticket.replied", "ticket.reopened", "ticket.resolved"
_SECOND = timedelta(seconds=1)

tickets_opened = measure("tickets_opened", "Support tickets that were opened.", channel=True)
tickets_open = measure("tickets_open", "Support tickets that are open.", channel=True, stock=True)
tickets_opened_resolved = measure(
    "tickets_opened_resolved", "Support tickets that are resolved, by the day of their opening.", channel=True
)
tickets_opened_first_contact = measure(
    "tickets_opened_first_contact",
    "Support tickets resolved at the first contact and not reopened, by the day of their opening.",
    channel=True,
)
ticket_resolution_seconds = measure(
    "ticket_resolution_seconds",
    "Seconds from opening to the last resolution of tickets that are resolved, by the day of their opening.",
    channel=True,
)
tickets_resolved = measure(
    "tickets_resolved", "Support tickets that are resolved, by the day of their last resolution.", channel=True
)
tickets_resolved_first_contact = measure(
    "tickets_resolved_first_contact",
    "Support tickets resolved at the first contact and not reopened, by the day of their resolution.",
    channel=True,
)


def name(fact: EventView) -> str:
    """The name of the stream that an event of a ticket belongs to."""
    return f"{KIND} {fact.data['ticket_id']}"


@stream(KIND)
def ticket(happenings: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """What one ticket posts, all of it under the channel that was named first, so that its entries share it."""
    if not happenings:
        return
    channel = next((happening.data["channel"] for happening in happenings if "channel" in happening.data), "")
    turns = _turns(happenings)
    opened, last = calendar.day(turns[0]), calendar.day(turns[-1])
    yield opened, Line(tickets_opened, 1, channel=channel)
    for number, at in enumerate(turns):
        yield calendar.day(at), Line(tickets_open, -1 if number % 2 else 1, channel=channel)
    if len(turns) % 2:
        return
    yield opened, Line(tickets_opened_resolved, 1, channel=channel)
    yield opened, Line(ticket_resolution_seconds, (turns[-1] - turns[0]) // _SECOND, channel=channel)
    yield last, Line(tickets_resolved, 1, channel=channel)
    if len(turns) == 2 and _at_first_contact(happenings):
        yield opened, Line(tickets_opened_first_contact, 1, channel=channel)
        yield last, Line(tickets_resolved_first_contact, 1, channel=channel)


def _turns(happenings: Sequence[StreamEvent]) -> list[datetime]:
    """When it was opened, resolved, opened again and so on, in turn.

    Whatever is heard of it first opens it, be it a reply or its resolution; an opening of a resolved one opens it again.
    """
    turns = [happenings[0].at]
    for happening in happenings:
        closes, opens = happening.type == RESOLVED, happening.type in (OPENED, REOPENED)
        if closes if len(turns) % 2 else opens:
            turns.append(happening.at)
    return turns


def _at_first_contact(happenings: Sequence[StreamEvent]) -> bool:
    """Of a ticket that was resolved once: what the helpdesk said last, else whether one reply of an agent was enough.

    A reply that does not say whose it is counts as an agent's, so that the rate is not flattered by what nobody tells. A
    ticket whose history begins with its reopening was resolved before, so that contact was not the first.
    """
    said = [h.data["first_contact"] for h in happenings if h.type == RESOLVED and "first_contact" in h.data]
    until_resolved = takewhile(lambda happening: happening.type != RESOLVED, happenings)
    replies = sum(h.type == REPLIED and h.data.get("by") != "customer" for h in until_resolved)
    return happenings[0].type != REOPENED and (said[-1] if said else replies <= 1)
