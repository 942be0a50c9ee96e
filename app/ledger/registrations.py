"""Registrations: from when to when users were registered, derived from their events and their presence.

A user is registered from the first `user.registered` event or the first active day until a `user.removed` event. The spells
are stored with both time axes: they say whether an active user is registered already, as nearly all are, and they count
the users who were registered at any time of a range that is no unit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, NamedTuple

from app.accounts.intervals import VersionedInterval, revise_intervals
from app.core.periods import Calendar
from app.database.connection import Connection
from app.database.query_plan import QueryPlan
from app.database.statements import bind_json_rows, json_table
from app.database.tables import MAX_DATE, MONTH_NAMES
from app.ledger.entries import EntryKey, add_dated_lines
from app.ledger.measures import POSTING_RULES
from app.ledger.presence.changes import DayChanges
from app.ledger.presence.day_bits import days_of_year
from app.ledger.presence.keys import PresenceKey, user_key
from app.ledger.presence.rows import join_months
from app.ledger.stream_diff import StoredEvent, StreamChanges, live_before, load_streams, stored_event
from app.ledger.streams.define import StreamEvent
from app.ledger.streams.registration import KIND, REMOVED, Spell, registration, spells

ACTIVE_USERS = "active_users"
USER_STREAM_PREFIX = f"{KIND} "
_DAY = timedelta(days=1)


class User(NamedTuple):
    """A user of an account."""

    account_id: int
    user_id: str

    @property
    def key(self) -> int:
        """Return the hash that stands for the user."""
        return user_key(self.account_id, self.user_id)

    @property
    def presence(self) -> PresenceKey:
        """Return the key of the user's presence in the product."""
        return PresenceKey(ACTIVE_USERS, "", self.account_id, self.key)


@dataclass(slots=True)
class UserHistory:
    """Everything that a user's registration is derived from, and what it was before some changes.

    events: by id, the events of the user's stream, and those of its activity on days of a removal, also retracted ones.
    days: the days on which the user was active, after the changes. intervals: the stored spells, before the changes.
    event_changes, day_changes: what changed of the events and of the days, by recorded day.
    """

    events: dict[str, StoredEvent] = field(default_factory=dict)
    days: set[date] = field(default_factory=set)
    intervals: list[VersionedInterval] = field(default_factory=list)
    event_changes: StreamChanges = field(default_factory=dict)
    day_changes: Mapping[date, DayChanges] = field(default_factory=dict)

    def removal_days(self, calendar: Calendar) -> set[date]:
        """Return the days of a removal. On these the order of events matters, so a day of presence is not enough."""
        return {calendar.day(stored.event.at) for stored in self.events.values() if stored.event.type == REMOVED}


def find_unsettled_users(active: Sequence[tuple[User, date]]) -> QueryPlan[set[User]]:
    """Return the users whose registration may change because they were active on a day.

    These are the users of whom no current spell contains that day and the next. A spell that ends with that day ends by a
    removal, and then the order of events matters.
    """
    rows = [
        {"number": number, "account_id": user.account_id, "user_key": user.key, "day": day}
        for number, (user, day) in enumerate(active)
    ]
    settled_numbers = (
        {number for batch in (yield [*bind_json_rows(_SETTLED, rows)]) for (number,) in batch} if rows else ()
    )
    return {user for number, (user, _) in enumerate(active) if number not in settled_numbers}


async def repost_registrations(
    connection: Connection,
    entries: dict[EntryKey, int],
    event_changes: Mapping[User, StreamChanges],
    day_changes: Mapping[PresenceKey, Mapping[date, DayChanges]],
    *,
    labels: Mapping[str, int],
    calendar: Calendar,
) -> None:
    """Add to `entries` the lines that follow from changes of events and of presence, and rewrite the spells.

    event_changes: by user; the users that are not in it are not looked at. Events and presence are stored already, under the
    locks of their accounts.
    """
    if not event_changes:
        return
    outdated_rows: list[dict[str, Any]] = []
    new: list[dict[str, Any]] = []
    histories = await load_user_history(connection, list(event_changes), labels=labels, calendar=calendar)
    for user, history in histories.items():
        history.event_changes, history.day_changes = event_changes[user], day_changes.get(user.presence, {})
        intervals = diff_registration(entries, user, history, calendar=calendar)
        if intervals != history.intervals:
            new += table_rows(user, intervals)
            outdated_rows += [{"account_id": user.account_id, "user_key": user.key}] if history.intervals else []
    await connection.execute_rows(_DELETE, outdated_rows)
    await connection.execute_rows(_WRITE, new)


def diff_registration(
    entries: dict[EntryKey, int], user: User, history: UserHistory, *, calendar: Calendar
) -> list[VersionedInterval]:
    """Add to `entries`, for each recorded day, the lines of the registration after its changes, less those before.

    Return the intervals of the user's spells after all changes.
    """
    removal_days = history.removal_days(calendar)
    live, days, intervals = live_before(history.events, history.event_changes), set(history.days), history.intervals
    for recorded_on in sorted(history.day_changes, reverse=True):
        days = history.day_changes[recorded_on].undo_in(days)
    after = _derive_spells(history.events, live, days - removal_days, calendar)
    for recorded_on in sorted(history.event_changes.keys() | history.day_changes.keys()):
        if event_change := history.event_changes.get(recorded_on):
            live = event_change.apply_to(live)
        if day_change := history.day_changes.get(recorded_on):
            days = day_change.apply_to(days)
        before, after = after, _derive_spells(history.events, live, days - removal_days, calendar)
        if before != after:
            key: dict[str, Any] = {"account_id": user.account_id, "recorded_on": recorded_on}
            add_dated_lines(entries, registration(before, calendar), **key, sign=-1)
            add_dated_lines(entries, registration(after, calendar), **key)
            intervals = revise_intervals(intervals, ((since, until, True) for since, until in after), on=recorded_on)
    return intervals


def _derive_spells(
    events: Mapping[str, StoredEvent], live: Iterable[str], days: Iterable[date], calendar: Calendar
) -> list[Spell]:
    """Return the spells that follow from the live events and the days of presence, as an event at the start of each."""
    stream = [events[id].event for id in live if id in events]
    stream += [StreamEvent(calendar.midnight(day), 0, "", ACTIVE_USERS, {}) for day in days]
    return spells(sorted(stream, key=lambda event: event[:3]), calendar)


async def load_user_history(
    connection: Connection, users: Sequence[User], *, labels: Mapping[str, int], calendar: Calendar
) -> dict[User, UserHistory]:
    """Load what the registrations of users are derived from, without what changes of it."""
    histories = {user: UserHistory() for user in users}
    # 1. The events of their streams: registered, removed.
    user_by_stream = {(user.account_id, USER_STREAM_PREFIX + user.user_id): user for user in users}
    for name, events in (await load_streams(connection, user_by_stream)).items():
        histories[user_by_stream[name]].events = events
    # 2. The spells that are stored.
    user_by_key = {(user.account_id, user.key): user for user in users}
    keys = [{"account_id": account_id, "user_key": key} for account_id, key in user_by_key]
    for row in await connection.execute_rows(_SPELLS, keys):
        interval = VersionedInterval(row.since, row.until, True, row.recorded_on, row.ceased_on)
        histories[user_by_key[row.account_id, row.user_key]].intervals.append(interval)
    # 3. The days on which they were active.
    label_columns = {"presence": labels[ACTIVE_USERS], "subject": labels[""]}
    for account_id, key, year, *months in await connection.execute_rows(_DAYS, keys, **label_columns):
        histories[user_by_key[account_id, key]].days |= days_of_year(year, join_months(year, months))
    # 4. The events of their activity on days of a removal.
    removals = {(user, day) for user in users for day in histories[user].removal_days(calendar)}
    for row in await load_activity_events(connection, removals, calendar=calendar):
        histories[User(row.account_id, row.user_id)].events[row.id] = stored_event(row)
    return histories


async def load_activity_events(
    connection: Connection, days: Iterable[tuple[User, date]], *, calendar: Calendar
) -> Sequence[Any]:
    """Load the events by which users were active on some days, also the retracted ones, as rows of the event table."""
    rows = [
        {"account_id": user.account_id, "user_id": user.user_id}
        | {"since": calendar.midnight(day), "until": calendar.midnight(day + _DAY)}
        for user, day in days
    ]
    types = [type for type, rule in POSTING_RULES.items() if rule.activities]
    return await connection.execute_rows(_ACTIVITY, rows, types=types)


def table_rows(user: User, intervals: Iterable[VersionedInterval]) -> list[dict[str, Any]]:
    """Return the intervals of a user's spells with the table's columns."""
    return [
        {"account_id": user.account_id, "user_key": user.key, "since": interval.valid_from, "until": interval.valid_to}
        | {"recorded_on": interval.recorded_on, "ceased_on": interval.ceased_on}
        for interval in intervals
    ]


_SETTLED = f"""
    SELECT number FROM {json_table("lookup(number integer, account_id bigint, user_key bigint, day date)")}
    CROSS JOIN LATERAL (
        SELECT FROM registration
        WHERE (registration.account_id, registration.user_key) = (lookup.account_id, lookup.user_key)
            AND ceased_on = '{MAX_DATE}' AND since <= day AND until > day + 1
        OFFSET 0) AS settled
    """
_SPELLS = f"""
    SELECT stored.* FROM {json_table("lookup(account_id bigint, user_key bigint)")}
    CROSS JOIN LATERAL (
        SELECT * FROM registration
        WHERE (registration.account_id, registration.user_key) = (lookup.account_id, lookup.user_key)
        OFFSET 0) AS stored
    """
_DAYS = f"""
    SELECT stored.* FROM {json_table("lookup(account_id bigint, user_key bigint)")}
    CROSS JOIN LATERAL (
        SELECT account_id, user_key, year, {", ".join(MONTH_NAMES)} FROM presence
        WHERE presence = %(presence)s AND subject = %(subject)s
            AND (presence.account_id, presence.user_key) = (lookup.account_id, lookup.user_key)
            AND ceased_on = '{MAX_DATE}'
        OFFSET 0) AS stored
    """
_ACTIVITY = f"""
    SELECT stored.* FROM {json_table("lookup(account_id bigint, user_id text, since timestamptz, until timestamptz)")}
    CROSS JOIN LATERAL (
        SELECT account_id, id, type, user_id, occurred_at, recorded_on, retracted_on, rate, data FROM event
        WHERE event.account_id = lookup.account_id AND event.user_id = lookup.user_id
            AND occurred_at >= since AND occurred_at < until AND type = ANY(%(types)s)
        OFFSET 0) AS stored
    """
_DELETE = f"""
    DELETE FROM registration USING {json_table("outdated(account_id bigint, user_key bigint)")}
    WHERE (registration.account_id, registration.user_key) = (outdated.account_id, outdated.user_key)
    """
_ROW = "row(account_id bigint, user_key bigint, since date, until date, recorded_on date, ceased_on date)"
_WRITE = f"""
    INSERT INTO registration (account_id, user_key, since, until, recorded_on, ceased_on)
    SELECT account_id, user_key, since, until, recorded_on, ceased_on FROM {json_table(_ROW)}
    ORDER BY 1, 2, 3, 5
    """
