"""The stream of one support ticket: opened, resolved, perhaps reopened. Its outcome counts on the day of its opening."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import takewhile

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.streams.define import DatedLine, StreamEvent, stream

KIND = "ticket"
OPENED, REPLIED, REOPENED, RESOLVED = "ticket.opened", "ticket.replied", "ticket.reopened", "ticket.resolved"
TYPES = (OPENED, REPLIED, REOPENED, RESOLVED)
_SECOND = timedelta(seconds=1)

# A ticket is open from its first event on. The last of its later events that is no reply says whether it is still open.
# IS_OPEN_SQL is the same rule for the rows of one ticket in the table `event`; a test compares the two on random tickets.
OPEN_AFTER = {OPENED: True, REOPENED: True, RESOLVED: False}
IS_OPEN_SQL = "(array_agg(type ORDER BY type = %(reply)s, occurred_at DESC, rank DESC, id DESC))[1] <> %(resolved)s"
IS_OPEN_PARAMETERS = {"reply": REPLIED, "resolved": RESOLVED}

tickets_opened = measure("tickets_opened", "Support tickets that were opened.", channel=True)
tickets_open = measure("tickets_open", "Support tickets that are open.", channel=True, stock=True)
tickets_opened_resolved = measure(
    "tickets_opened_resolved",
    "Support tickets that have been resolved, counted on the day they were opened.",
    channel=True,
)
tickets_opened_first_contact = measure(
    "tickets_opened_first_contact",
    "Support tickets resolved at first contact and not reopened, counted on the day they were opened.",
    channel=True,
)
ticket_resolution_seconds = measure(
    "ticket_resolution_seconds",
    "Seconds from opening to last resolution of resolved support tickets, counted on the day they were opened.",
    channel=True,
)
tickets_resolved = measure(
    "tickets_resolved",
    "Support tickets that have been resolved, counted on the day of their last resolution.",
    channel=True,
)
tickets_resolved_first_contact = measure(
    "tickets_resolved_first_contact",
    "Support tickets resolved at first contact and not reopened, counted on the day of their resolution.",
    channel=True,
)


def stream_name(event: EventView) -> str:
    """Return the name of the stream of a ticket's event."""
    return f"{KIND} {event.data['ticket_id']}"


@stream(
    KIND,
    posts=[
        tickets_opened,
        tickets_open,
        tickets_opened_resolved,
        tickets_opened_first_contact,
        ticket_resolution_seconds,
        tickets_resolved,
        tickets_resolved_first_contact,
    ],
)
def ticket(events: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """Yield what one ticket posts, all under the first channel that an event names, so that the entries add up by channel."""
    if not events:
        return
    channel = next((event.data["channel"] for event in events if "channel" in event.data), "")
    changes = _state_changes(events)
    opened_on, last_change_on = calendar.day(changes[0]), calendar.day(changes[-1])
    yield opened_on, Line(tickets_opened, 1, channel=channel)
    for number, at in enumerate(changes):
        yield calendar.day(at), Line(tickets_open, -1 if number % 2 else 1, channel=channel)
    if len(changes) % 2:
        return
    yield opened_on, Line(tickets_opened_resolved, 1, channel=channel)
    yield opened_on, Line(ticket_resolution_seconds, (changes[-1] - changes[0]) // _SECOND, channel=channel)
    yield last_change_on, Line(tickets_resolved, 1, channel=channel)
    if len(changes) == 2 and _is_first_contact(events):
        yield opened_on, Line(tickets_opened_first_contact, 1, channel=channel)
        yield last_change_on, Line(tickets_resolved_first_contact, 1, channel=channel)


def _state_changes(events: Sequence[StreamEvent]) -> list[datetime]:
    """Return when the ticket was opened, resolved, reopened and so on, in turn.

    The first event opens the ticket, even if it is a reply or a resolution.
    """
    changes, is_open = [events[0].at], True
    for event in events:
        if OPEN_AFTER.get(event.type, is_open) != is_open:
            changes.append(event.at)
            is_open = not is_open
    return changes


def _is_first_contact(events: Sequence[StreamEvent]) -> bool:
    """Return whether a ticket that was resolved once was resolved at first contact.

    The last `first_contact` of a resolution decides. Without one, the ticket had at most one agent reply before the
    resolution. A reply that does not say whose it is counts as an agent's, so that missing data does not flatter the rate. A
    ticket whose first event is a reopening was resolved before, so this was not the first contact.
    """
    flags = [
        event.data["first_contact"] for event in events if event.type == RESOLVED and "first_contact" in event.data
    ]
    before_resolution = takewhile(lambda event: event.type != RESOLVED, events)
    agent_replies = sum(event.type == REPLIED and event.data.get("by") != "customer" for event in before_resolution)
    return events[0].type != REOPENED and (flags[-1] if flags else agent_replies <= 1)
