"""Support tickets: how many, through which channel, how long they take; and the CSAT surveys after them."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random

from app.demo.events import DemoEvent, make_event
from app.demo.lifecycle import Lifecycle
from app.demo.surveys import mood, response_event
from app.demo.timeline import Timeline, activity_level, interpolate, random_round, working_time
from app.demo.users import DemoUser, count_users, users_on

# Tickets per user and working day.
TICKET_RATE = 0.0027
# By position: the factor of all accounts, that of accounts hit by the bad release, and the hours until a resolution.
TICKET_LEVELS = ((8.05, 1.0), (8.15, 3.6), (9.0, 3.2), (10.5, 1.5), (11.5, 1.0), (18.0, 0.8))
BROKEN_SYNC_LEVELS = ((8.05, 1.0), (8.15, 2.0), (10.8, 1.8), (13.0, 2.4))
WHALE_LEVELS = ((8.05, 1.0), (8.15, 2.0), (10.8, 1.5), (11.5, 1.0))
HOURS = ((8.05, 14.0), (8.2, 55.0), (9.5, 60.0), (11.0, 22.0), (13.0, 12.0), (20.0, 9.0))
FIRST_CONTACT_CHANCES = ((8.0, 0.62), (8.3, 0.34), (11.0, 0.55), (16.0, 0.72))
CHANNELS, CHANNEL_SHARES = ("email", "chat", "phone"), (50, 35, 15)
PRIORITIES, PRIORITY_SHARES = ("low", "normal", "high", "urgent"), (20, 55, 19, 6)


def ticket_events(
    lifecycle: Lifecycle, users: list[DemoUser], *, timeline: Timeline, rng: Random
) -> Iterator[DemoEvent]:
    """Yield `ticket.*` of an account, each ticket up to its last resolution, and the CSAT survey after it."""
    account, number = lifecycle.account, 0
    is_hit_by_release = account.is_hit_by_sync or account.role == "whale"
    for start, end in lifecycle.access_periods(timeline.last_day):
        for day, count in count_users(users, max(start, timeline.first_day), end):
            position = timeline.position(day)
            rate = TICKET_RATE * count * interpolate(TICKET_LEVELS, position)
            rate *= activity_level(day, account.region)
            if is_hit_by_release:
                rate *= interpolate(BROKEN_SYNC_LEVELS if account.is_hit_by_sync else WHALE_LEVELS, position)
            if lifecycle.is_silent_on(day):
                rate = 0.0
            for _ in range(random_round(rate, rng)):
                number += 1
                user = rng.choice(users_on(users, day))
                yield from _ticket(f"ticket-{account.number:04}-{number}", lifecycle, user, day, timeline, rng)


def _ticket(
    ticket: str, lifecycle: Lifecycle, user: DemoUser, day: date, timeline: Timeline, rng: Random
) -> Iterator[DemoEvent]:
    position, region = timeline.position(day), lifecycle.account.region
    channel = rng.choices(CHANNELS, CHANNEL_SHARES)[0]
    priority = rng.choices(PRIORITIES, PRIORITY_SHARES)[0]
    opened_at = working_time(day, region, rng)
    hours = interpolate(HOURS, position) * (0.15 + 1.7 * rng.random()) * (0.5 if priority == "urgent" else 1.0)
    hours *= 0.4 if channel != "email" else 1.0
    resolved_at = opened_at + timedelta(seconds=900 + int(hours * 3600))
    is_first_contact = rng.random() < interpolate(FIRST_CONTACT_CHANCES, position)
    yield make_event("ticket.opened", opened_at, user=user.id, ticket_id=ticket, channel=channel, priority=priority)
    yield from _replies(ticket, user, opened_at, resolved_at, 1 if is_first_contact else rng.randint(2, 5), rng)
    # Phone and chat systems report whether the first contact was enough; for email it is counted.
    first_contact = is_first_contact if channel != "email" and rng.random() < 0.7 else None
    yield make_event("ticket.resolved", resolved_at, user=user.id, ticket_id=ticket, first_contact=first_contact)
    if rng.random() < (0.05 if is_first_contact else 0.09):
        reopened_at = resolved_at + timedelta(seconds=7200 + int(rng.random() * 200000))
        resolved_at = reopened_at + timedelta(seconds=3600 + int(hours * 1800))
        replied_at = reopened_at + (resolved_at - reopened_at) / 2
        yield make_event("ticket.reopened", reopened_at, user=user.id, ticket_id=ticket, by="customer")
        yield make_event("ticket.replied", replied_at, user=user.id, ticket_id=ticket, by="agent")
        yield make_event("ticket.resolved", resolved_at, user=user.id, ticket_id=ticket)
        hours *= 2
    yield from _csat_events(lifecycle, user, channel, hours, resolved_at, timeline, rng)


def _replies(
    ticket: str, user: DemoUser, opened_at: datetime, resolved_at: datetime, count: int, rng: Random
) -> Iterator[DemoEvent]:
    """Yield replies by agent and customer in turn, the agent first, evenly between opening and resolution."""
    for number in range(count):
        at = opened_at + (resolved_at - opened_at) * (number + 1) / (count + 1)
        yield make_event("ticket.replied", at, user=user.id, ticket_id=ticket, by=("agent", "customer")[number % 2])


def _csat_events(
    lifecycle: Lifecycle,
    user: DemoUser,
    channel: str,
    hours: float,
    resolved_at: datetime,
    timeline: Timeline,
    rng: Random,
) -> Iterator[DemoEvent]:
    """Yield a survey after seven of ten tickets, with a response to a third of them; long waits lower the score."""
    if rng.random() > 0.7:
        return
    sent_at = resolved_at + timedelta(minutes=30)
    yield make_event("survey.sent", sent_at, user=user.id, survey="csat", channel=channel)
    if rng.random() < 0.36:
        position = timeline.position(resolved_at.date())
        wait = min(2.2, hours / 50)
        score = (
            4.55
            + 0.4 * mood(lifecycle, position, resolved_at.date())
            + 0.3 * user.score_bias
            - wait
            + rng.gauss(-0.05, 0.75)
        )
        at = sent_at + timedelta(seconds=300 + int(rng.random() * 150000))
        yield response_event("csat", at, user, score, lifecycle, position, channel=channel, rng=rng)
