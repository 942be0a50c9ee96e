"""The view of tickets follows the rules by which tickets are posted, on random tickets."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from app.ledger.measures import rank_of
from app.ledger.streams.define import StreamEvent
from app.ledger.streams.tickets import ticket
from tests.bi.company import query
from tests.support.service import Service, event

VERBS = ["opened", "opened", "replied", "replied", "replied", "reopened", "resolved", "resolved"]
DETAILS: dict[str, list[Any]] = {
    "by": [None, None, "agent", "customer"],
    "first_contact": [None, None, True, False],
    "channel": [None, None, "email", "chät"],
    "priority": [None, None, "high", "low"],
}
TICKETS = 250
Sums = Counter[tuple[str, date, str]]


def random_ticket(random: Random, name: str) -> list[dict[str, Any]]:
    """Return some events of a ticket at few instants, so that many coincide."""
    events = []
    for _ in range(random.randint(1, 8)):
        details = {key: random.choice(values) for key, values in DETAILS.items()}
        at = datetime(2026, 2, 26, tzinfo=UTC) + timedelta(hours=9 * random.randrange(14), seconds=random.randrange(2))
        data = {key: value for key, value in details.items() if value is not None}
        type = f"ticket.{random.choice(VERBS)}"
        events.append(event(type, id=f"{random.random()}", at=at.isoformat(), ticket_id=name, **data))
    return events


def test_each_ticket_counts_as_the_ledger_posts_it(service: Service) -> None:
    random = Random(5)
    tickets = {f"Ticket {number} ü": random_ticket(random, f"Ticket {number} ü") for number in range(TICKETS)}
    sent = [own for events in tickets.values() for own in events]
    random.shuffle(sent)
    service.send(*sent)
    for own in random.sample(sent, 60):
        service.retract("acme", own["id"])
        tickets[own["data"]["ticket_id"]].remove(own)
    rows = query(
        service,
        "SELECT ticket_id, opened_on, channel, is_open, resolved_on, resolution_seconds, first_response_seconds, "
        "is_first_contact, reopenings, first_reply_at IS NOT NULL FROM bi.tickets WHERE account_id = 'acme'",
    )
    by_name = {row[0]: row[1:] for row in rows}
    assert len(rows) == len(by_name) and by_name.keys() == {name for name, events in tickets.items() if events}
    for name, own in by_name.items():
        assert sums_of_row(*own) == sums_of_ledger(service, tickets[name]), tickets[name]


def sums_of_row(
    opened_on: date,
    channel: str | None,
    is_open: bool,
    resolved_on: date | None,
    resolution_seconds: int | None,
    first_response_seconds: int | None,
    is_first_contact: bool,
    reopenings: int,
    has_reply: bool,
) -> Sums:
    """Return what the row of a ticket says, as the measures that are posted; the backlog as its sum."""
    sums: Sums = Counter({("tickets_opened", opened_on, channel or ""): 1})
    assert has_reply == (first_response_seconds is not None)
    if first_response_seconds is not None:
        sums["tickets_opened_responded", opened_on, channel or ""] = 1
        sums["ticket_first_response_seconds", opened_on, channel or ""] = first_response_seconds
    if is_open:
        assert (resolved_on, resolution_seconds, is_first_contact) == (None, None, False)
        return sums
    assert resolved_on is not None and resolution_seconds is not None
    for name, day, value in (
        ("tickets_opened_resolved", opened_on, 1),
        ("ticket_resolution_seconds", opened_on, resolution_seconds),
        ("tickets_resolved", resolved_on, 1),
        ("tickets_resolved_seconds", resolved_on, resolution_seconds),
        ("tickets_opened_first_contact", opened_on, int(is_first_contact)),
        ("tickets_resolved_first_contact", resolved_on, int(is_first_contact)),
    ):
        sums[name, day, channel or ""] = value
    assert not (is_first_contact and reopenings)
    return Counter({key: value for key, value in sums.items() if value})


def sums_of_ledger(service: Service, events: list[dict[str, Any]]) -> Sums:
    in_order = sorted(
        StreamEvent(
            datetime.fromisoformat(own["occurred_at"]), rank_of(own["type"]), own["id"], own["type"], own["data"]
        )
        for own in events
    )
    sums: Sums = Counter()
    for day, line in ticket(in_order, service.books.calendar):
        if line.measure.name != "tickets_open":
            sums[line.measure.name, day, line.channel] += line.value
    return Counter({key: value for key, value in sums.items() if value})
