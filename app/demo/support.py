"""Tickets: how many, through which channel, how long they take; and the customers' word on them (csat)."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random

from app.demo.events import DemoEvent, event
from app.demo.lifecycle import Life
from app.demo.people import User, present
from app.demo.timeline import Timeline, along, at_work, days, season, whole
from app.demo.voice import answer, mood

# Tickets of one user on one working day, and what the bad release does to them and to the hours they take.
RATE = 0.0032
TICKETS = ((8.05, 1.0), (8.15, 3.6), (9.0, 3.2), (10.5, 1.5), (11.5, 1.0), (18.0, 0.8))
TICKETS_OF_THE_LET_DOWN = ((8.05, 1.0), (8.15, 2.0), (10.8, 1.5), (11.5, 1.0))
HOURS = ((8.05, 14.0), (8.2, 55.0), (9.5, 60.0), (11.0, 22.0), (13.0, 12.0), (20.0, 9.0))
CHANNELS, CHANNEL_SHARES = ("email", "chat", "phone"), (50, 35, 15)
PRIORITIES, PRIORITY_SHARES = ("low", "normal", "high", "urgent"), (20, 55, 19, 6)


def tickets(life: Life, users: list[User], *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """`ticket.*` of an account, each from its opening to its last resolution, and the csat survey after it."""
    account, number = life.account, 0
    let_down = (account.plan, account.region) == ("starter", "emea") or account.part == "whale"
    for first, until in life.spells(timeline.end):
        for day in days(first, until):
            here, position = present(users, day), timeline.position(day)
            rate = RATE * len(here) * along(TICKETS, position) * season(day, account.region)
            if let_down:
                rate *= along(TICKETS_OF_THE_LET_DOWN, position)
            if life.silent_on(day):
                rate = 0.0
            for _ in range(whole(rate, rng)):
                number += 1
                user = rng.choice(here)
                yield from _ticket(f"ticket-{account.number:04}-{number}", life, user, day, timeline, rng)


def _ticket(ticket: str, life: Life, user: User, day: date, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    position, region = timeline.position(day), life.account.region
    channel = rng.choices(CHANNELS, CHANNEL_SHARES)[0]
    priority = rng.choices(PRIORITIES, PRIORITY_SHARES)[0]
    opened = at_work(day, region, rng)
    hours = along(HOURS, position) * (0.15 + 1.7 * rng.random()) * (0.5 if priority == "urgent" else 1.0)
    hours *= 0.4 if channel != "email" else 1.0
    resolved = opened + timedelta(seconds=900 + int(hours * 3600))
    at_once = rng.random() < along(((8.0, 0.62), (8.3, 0.34), (11.0, 0.55), (16.0, 0.72)), position)
    yield event("ticket.opened", opened, user=user.id, ticket_id=ticket, channel=channel, priority=priority)
    yield from _talk(ticket, user, opened, resolved, 1 if at_once else rng.randint(3, 6), rng)
    # Phone and chat systems say themselves whether the first contact was enough; for mails it is counted.
    said = at_once if channel != "email" and rng.random() < 0.7 else None
    yield event("ticket.resolved", resolved, user=user.id, ticket_id=ticket, first_contact=said)
    if rng.random() < (0.05 if at_once else 0.09):
        again = resolved + timedelta(seconds=7200 + int(rng.random() * 200000))
        resolved = again + timedelta(seconds=3600 + int(hours * 1800))
        yield event("ticket.reopened", again, user=user.id, ticket_id=ticket, by="customer")
        yield event("ticket.replied", again + (resolved - again) / 2, user=user.id, ticket_id=ticket, by="agent")
        yield event("ticket.resolved", resolved, user=user.id, ticket_id=ticket)
        hours *= 2
    yield from _rating(life, user, channel, hours, resolved, timeline, rng)


def _talk(
    ticket: str, user: User, opened: datetime, resolved: datetime, replies: int, rng: Random
) -> Iterator[DemoEvent]:
    """Replies in turn, the agent's first, evenly between opening and resolution."""
    for number in range(replies):
        at = opened + (resolved - opened) * (number + 1) / (replies + 1)
        yield event("ticket.replied", at, user=user.id, ticket_id=ticket, by=("agent", "customer")[number % 2])


def _rating(
    life: Life, user: User, channel: str, hours: float, resolved: datetime, timeline: Timeline, rng: Random
) -> Iterator[DemoEvent]:
    """Seven of ten customers are asked, a third of them answer, and long waits cost stars."""
    if rng.random() > 0.7:
        return
    asked = resolved + timedelta(minutes=30)
    yield event("survey.sent", asked, user=user.id, survey="csat", channel=channel)
    if rng.random() < 0.36:
        position = timeline.position(resolved.date())
        wait = min(2.2, hours / 40)
        score = 4.75 + 0.3 * mood(life, position) + 0.3 * user.temper - wait + 1.2 * (rng.random() - 0.6)
        at = asked + timedelta(seconds=300 + int(rng.random() * 150000))
        yield answer("csat", at, user, score=score, scale=(1, 5), position=position, channel=channel, rng=rng)
