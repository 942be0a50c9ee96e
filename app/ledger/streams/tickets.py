"""The stream of one support ticket: opened, resolved, perhaps reopened. Its outcome counts on the day of its opening.

The opening comes first, whatever its time: clocks of two systems differ, and nothing happens to a ticket that is not there.
"""

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

# A ticket is open from its opening on. The last resolution or reopening after that says whether it is still open.
# BEGINNING_SQL and IS_OPEN_SQL are the same rules for the rows of one ticket in the table `event`; a test compares them on
# random tickets. The beginning is the first row in the order of BEGINNING_SQL.
OPEN_AFTER = {REOPENED: True, RESOLVED: False}
BEGINNING_SQL = "type <> %(opened)s, occurred_at, rank, id"
IS_OPEN_SQL = """
    (array_agg(type ORDER BY occurred_at DESC, rank DESC, id DESC) FILTER (WHERE type IN (%(reopened)s, %(resolved)s)))[1]
        IS DISTINCT FROM %(resolved)s"""
STATE_PARAMETERS = {"opened": OPENED, "reopened": REOPENED, "resolved": RESOLVED}

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
tickets_opened_responded = measure(
    "tickets_opened_responded",
    "Support tickets to which an agent has replied, counted on the day they were opened.",
    channel=True,
)
ticket_first_response_seconds = measure(
    "ticket_first_response_seconds",
    "Seconds from opening or reopening of support tickets to the first agent reply, counted on the day they were opened.",
    channel=True,
)
tickets_resolved = measure(
    "tickets_resolved",
    "Support tickets that have been resolved, counted on the day of their last resolution.",
    channel=True,
)
tickets_resolved_seconds = measure(
    "tickets_resolved_seconds",
    "Seconds from opening to last resolution of resolved support tickets, counted on the day of their last resolution.",
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
        tickets_opened_responded,
        ticket_first_response_seconds,
        tickets_resolved,
        tickets_resolved_seconds,
        tickets_resolved_first_contact,
    ],
)
def ticket(events: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """Yield what one ticket posts, all under the first channel that an event names, so that the entries add up by channel."""
    if not events:
        return
    events = _put_opening_first(events)
    channel = next((event.data["channel"] for event in events if "channel" in event.data), "")
    for day, line in _lines(events, calendar):
        yield day, line._replace(channel=channel)


def _put_opening_first(events: Sequence[StreamEvent]) -> list[StreamEvent]:
    """Return the events with the first opening before all others, and those dated before it at its time, in their order.

    Without an opening, the first event opens the ticket, even if it is a reply or a resolution. Further openings remain; they
    change nothing.
    """
    opening = next((event for event in events if event.type == OPENED), events[0])
    later_events = (event for event in events if event is not opening)
    return [opening, *(event._replace(at=max(event.at, opening.at)) for event in later_events)]


def _lines(events: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    changes = _state_changes(events)
    opened_on, last_change_on = calendar.day(changes[0]), calendar.day(changes[-1])
    yield opened_on, Line(tickets_opened, 1)
    for number, at in enumerate(changes):
        yield calendar.day(at), Line(tickets_open, -1 if number % 2 else 1)
    if (seconds := _first_response_seconds(events)) is not None:
        yield opened_on, Line(tickets_opened_responded, 1)
        yield opened_on, Line(ticket_first_response_seconds, seconds)
    if len(changes) % 2:
        return
    seconds = (changes[-1] - changes[0]) // _SECOND
    yield opened_on, Line(tickets_opened_resolved, 1)
    yield opened_on, Line(ticket_resolution_seconds, seconds)
    yield last_change_on, Line(tickets_resolved, 1)
    yield last_change_on, Line(tickets_resolved_seconds, seconds)
    if len(changes) == 2 and _is_first_contact(events):
        yield opened_on, Line(tickets_opened_first_contact, 1)
        yield last_change_on, Line(tickets_resolved_first_contact, 1)


def _state_changes(events: Sequence[StreamEvent]) -> list[datetime]:
    """Return when the ticket was opened, resolved, reopened and so on, in turn. The first event opens it."""
    changes, is_open = [events[0].at], True
    for event in events:
        if OPEN_AFTER.get(event.type, is_open) != is_open:
            changes.append(event.at)
            is_open = not is_open
    return changes


def _first_response_seconds(events: Sequence[StreamEvent]) -> int | None:
    """Return the seconds to the first agent reply from the last time before it that the ticket became open; None without one.

    A ticket that was resolved without a reply, say by a bot, and reopened days later has waited since the reopening.
    """
    number = next((number for number, event in enumerate(events) if _is_agent_reply(event)), None)
    if number is None:
        return None
    # Every second change makes the ticket open, and the first event opens it even if it is the reply itself.
    return (events[number].at - _state_changes(events[: number + 1])[::2][-1]) // _SECOND


def _is_agent_reply(event: StreamEvent) -> bool:
    """Return whether an event is a reply of an agent. A reply that does not say whose it is counts as one."""
    return event.type == REPLIED and event.data.get("by") != "customer"


def _is_first_contact(events: Sequence[StreamEvent]) -> bool:
    """Return whether a ticket that was resolved once was resolved at first contact.

    The last `first_contact` of a resolution decides. Without one, the ticket had at most one agent reply before the
    resolution; replies that do not say whose they are count, so that missing data does not flatter the rate. A ticket whose
    first event is a reopening was resolved before, so this was not the first contact.
    """
    flags = [
        event.data["first_contact"] for event in events if event.type == RESOLVED and "first_contact" in event.data
    ]
    agent_replies = sum(map(_is_agent_reply, takewhile(lambda event: event.type != RESOLVED, events)))
    return events[0].type != REOPENED and (flags[-1] if flags else agent_replies <= 1)
