"""Replay: everything that is derived from the stored events of some accounts, computed again from nothing.

Every event counts twice if it was retracted: once on the day it was recorded and once, with the opposite sign, on the day it
was retracted. `rebuild` writes the result, `verify` compares it with what is stored.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic_core import from_json

from app.accounts.intervals import VersionedInterval
from app.books.books import Books
from app.core.periods import Calendar
from app.database.connection import Connection
from app.database.tables import MAX_DATE, event
from app.ledger.entries import EntryKey, add_lines
from app.ledger.posting import EventPosting, build_posting
from app.ledger.presence.changes import DayChanges, PresenceRow, add_delta
from app.ledger.presence.day_bits import days_of_year
from app.ledger.presence.keys import PresenceKey
from app.ledger.presence.shortcuts import apply_changes_fast
from app.ledger.registrations import User, UserHistory, diff_registration, load_activity_events
from app.ledger.stream_diff import StoredEvent, StreamName, changes_of_events, repost_stream, stored_event
from app.ledger.surveys import load_surveys


@dataclass(slots=True)
class ReplayResult:
    """What is derived from the events of some accounts.

    presence_rows: all rows by key, ceased ones too. spells: the intervals of users' spells. stream_names: by account and id, of
    the events whose stored stream is not the one that they belong to.
    """

    event_count: int = 0
    entries: dict[EntryKey, int] = field(default_factory=dict)
    presence_rows: dict[PresenceKey, list[PresenceRow]] = field(default_factory=dict)
    spells: dict[User, list[VersionedInterval]] = field(default_factory=dict)
    stream_names: dict[tuple[int, str], str | None] = field(default_factory=dict)


# By the recorded day and the active day: by how much the number of events of a key changes.
_EventCounts = dict[date, dict[date, int]]


@dataclass(slots=True)
class _EventCollection:
    """What is collected from all events before presence, streams and registrations can be derived."""

    event_counts: dict[PresenceKey, _EventCounts] = field(default_factory=lambda: defaultdict(dict))
    streams: dict[StreamName, dict[str, StoredEvent]] = field(default_factory=lambda: defaultdict(dict))
    histories: dict[User, UserHistory] = field(default_factory=lambda: defaultdict(UserHistory))
    active_users: set[User] = field(default_factory=set)


class _EventRow(NamedTuple):
    """The columns of the event table that are used."""

    account_id: int
    id: str
    type: str
    user_id: str | None
    occurred_at: datetime
    recorded_on: date
    retracted_on: date | None
    rate: Decimal | None
    stream: str | None
    data: dict[str, Any]


async def replay(connection: Connection, account_ids: Sequence[int], *, books: Books) -> ReplayResult:
    """Derive everything from the events of some accounts: posting without looking at what is stored."""
    calendar, result, collection = books.calendar, ReplayResult(), _EventCollection()
    surveys = await load_surveys(connection)
    async for row in _load_events(connection, account_ids):
        result.event_count += 1
        survey = surveys.get(row.data["survey"]) if "survey" in row.data else None
        posting = build_posting(row, survey, row.rate, calendar=calendar)
        _replay_event(result, collection, row, posting)
    for (account_id, stream), events in collection.streams.items():
        changes = changes_of_events(events.values())
        repost_stream(result.entries, account_id, stream, events, changes, calendar=calendar)
    _replay_presence(result, collection, calendar)
    await _replay_registrations(connection, result, collection, calendar)
    return result


async def _load_events(connection: Connection, account_ids: Sequence[int]) -> AsyncIterator[_EventRow]:
    """Load all events of the accounts. Their data is parsed here, which is faster than in the driver."""
    *names, data_name = _EventRow._fields
    columns = [*(event.c[name] for name in names), sa.cast(event.c[data_name], sa.Text)]
    ids = sa.literal(list(account_ids), sa.ARRAY(sa.BigInteger))
    query = sa.select(*columns).where(event.c.account_id == sa.any_(ids))
    async for *row, data in connection.stream(query, batch_size=5_000):
        yield _EventRow._make((*row, from_json(data)))


def _replay_event(result: ReplayResult, collection: _EventCollection, row: _EventRow, posting: EventPosting) -> None:
    """Post what an event posts directly, and collect the rest."""
    for recorded_on, sign in ((row.recorded_on, 1), (row.retracted_on, -1)):
        if recorded_on is not None:
            add_lines(
                result.entries,
                posting.lines,
                effective_on=posting.effective_on,
                account_id=posting.account_id,
                recorded_on=recorded_on,
                sign=sign,
            )
            for key in posting.presence_keys:
                counts = collection.event_counts[key].setdefault(recorded_on, {})
                counts[posting.effective_on] = counts.get(posting.effective_on, 0) + sign
    if posting.presence_keys:
        collection.active_users.add(posting.user)
    if posting.is_registration:
        collection.histories[posting.user].events[posting.id] = stored_event(row)
    elif posting.stream is not None:
        collection.streams[posting.account_id, posting.stream][posting.id] = stored_event(row)
    if posting.sequence is not None:
        collection.streams[posting.account_id, posting.sequence][posting.id] = stored_event(row)
    if posting.stream != row.stream:
        result.stream_names[posting.account_id, posting.id] = posting.stream


def _replay_presence(result: ReplayResult, collection: _EventCollection, calendar: Calendar) -> None:
    """Derive presence, and give the users' histories their active days."""
    day_changes: dict[PresenceKey, Mapping[date, DayChanges]] = {}
    for key, event_counts in collection.event_counts.items():
        rows: dict[int, PresenceRow] = {}
        delta = apply_changes_fast(key, rows, _day_changes(event_counts), calendar)
        add_delta(result.entries, key, delta)
        result.presence_rows[key] = [*delta.ceased_rows, *rows.values()]
        day_changes[key] = delta.changes
    for user in collection.active_users:
        history = collection.histories[user]
        history.day_changes = day_changes[user.presence]
        for row in result.presence_rows[user.presence]:
            if row.ceased_on == MAX_DATE:
                history.days |= days_of_year(row.year, row.bits)


def _day_changes(event_counts: _EventCounts) -> dict[date, DayChanges]:
    """Return the days that got their first event on each recorded day, and those that lost their last one."""
    changes = {}
    totals: Counter[date] = Counter()
    for recorded_on in sorted(event_counts):
        days = event_counts[recorded_on]
        before = {day for day in days if totals[day]}
        totals.update(days)
        after = {day for day in days if totals[day]}
        changes[recorded_on] = DayChanges(after - before, before - after)
    return changes


async def _replay_registrations(
    connection: Connection, result: ReplayResult, collection: _EventCollection, calendar: Calendar
) -> None:
    """Derive the registrations of all users who have events of their own or were active."""
    histories = collection.histories
    removals = {(user, day) for user, history in histories.items() for day in history.removal_days(calendar)}
    for row in await load_activity_events(connection, removals, calendar=calendar):
        histories[User(row.account_id, row.user_id)].events[row.id] = stored_event(row)
    for user, history in histories.items():
        history.event_changes = changes_of_events(history.events.values())
        result.spells[user] = diff_registration(result.entries, user, history, calendar=calendar)
