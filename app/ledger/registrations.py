"""When users were registered: derived from what was said of them and from their presence, and kept by both clocks.

The kept spells tell whether a user who is active is registered already, which nearly every one is, and they count users
who were registered at any time of an odd range.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, NamedTuple

from app.accounts.intervals import VersionedInterval, revise_intervals
from app.core.periods import Calendar
from app.database.connection import Connection
from app.database.query_plan import QueryPlan
from app.database.statements import bind_json_rows
from app.database.tables import MAX_DATE, MONTH_NAMES
from app.ledger.days import DayChanges, PresenceKey, days_in_bits, user_key
from app.ledger.entries import EntryKey, add_dated_lines
from app.ledger.measures import POSTING_RULES
from app.ledger.presence import join_months
from app.ledger.streams.define import StreamEvent
from app.ledger.streams.registration import KIND, REMOVED, Spell, registration, spells
from app.ledger.unfold import StoredEvent, StreamChanges, live_before, load_streams, stored_event

ACTIVE_USERS = "active_users"
USER_STREAM_PREFIX = f"{KIND} "
_DAY = timedelta(days=1)


class User(NamedTuple):
    """A user of an account."""

    account_id: int
    user_id: str

    @property
    def key(self) -> int:
        """Its number."""
        return user_key(self.account_id, self.user_id)

    @property
    def presence(self) -> PresenceKey:
        """Where it is seen to be active."""
        return PresenceKey(ACTIVE_USERS, "", self.account_id, self.key)


@dataclass(slots=True)
class UserHistory:
    """All that is known of a user: what was said, what it did on days of a removal, and on which other days it was there.

    steps: which events came and went, in the order of knowledge; changes: which days of presence did.
    """

    events: dict[str, StoredEvent] = field(default_factory=dict)
    days: set[date] = field(default_factory=set)
    rows: list[VersionedInterval] = field(default_factory=list)
    steps: StreamChanges = field(default_factory=dict)
    changes: Mapping[date, DayChanges] = field(default_factory=dict)

    def removals(self, calendar: Calendar) -> set[date]:
        """The days on which it matters what came first."""
        return {calendar.day(e.happening.at) for e in self.events.values() if e.happening.type == REMOVED}


def diff_registration(
    entries: dict[EntryKey, int], user: User, told: UserHistory, *, calendar: Calendar
) -> list[VersionedInterval]:
    """Enter what the steps and changes of a user bring; the rows of its spells after them."""
    live, days, rows = live_before(told.events, told.steps), set(told.days), told.rows
    for on in sorted(told.changes, reverse=True):
        days = (days | told.changes[on].lost) - told.changes[on].gained
    removals = told.removals(calendar)
    now = _spells(told.events, live, days - removals, calendar)
    for on in sorted(told.steps.keys() | told.changes.keys()):
        if step := told.steps.get(on):
            live = (live | step.added) - step.removed
        if change := told.changes.get(on):
            days = (days | change.gained) - change.lost
        was, now = now, _spells(told.events, live, days - removals, calendar)
        if was != now:
            place: dict[str, Any] = {"account_id": user.account_id, "recorded_on": on}
            add_dated_lines(entries, registration(was, calendar), **place, sign=-1)
            add_dated_lines(entries, registration(now, calendar), **place)
            rows = revise_intervals(rows, ((since, until, True) for since, until in now), on=on)
    return rows


def _spells(
    events: Mapping[str, StoredEvent], live: Iterable[str], days: Iterable[date], calendar: Calendar
) -> list[Spell]:
    happenings = [events[id].happening for id in live if id in events]
    happenings += [StreamEvent(calendar.midnight(day), 0, "", ACTIVE_USERS, {}) for day in days]
    return spells(sorted(happenings, key=lambda happening: happening[:3]), calendar)


async def repost_registrations(
    connection: Connection,
    entries: dict[EntryKey, int],
    steps: Mapping[User, StreamChanges],
    changes: Mapping[PresenceKey, Mapping[date, DayChanges]],
    *,
    labels: Mapping[str, int],
    calendar: Calendar,
) -> None:
    """Enter what events and changes of presence bring to the registration of users, and keep their spells.

    steps: of the users to look at, the events that came and went. Events and presence are stored already, under the locks
    of their accounts.
    """
    if not steps:
        return
    gone: list[dict[str, Any]] = []
    written: list[dict[str, Any]] = []
    for user, told in (await load_user_history(connection, list(steps), labels=labels, calendar=calendar)).items():
        told.steps, told.changes = steps[user], changes.get(user.presence, {})
        rows = diff_registration(entries, user, told, calendar=calendar)
        if rows != told.rows:
            written += rows_of(user, rows)
            gone += [{"account_id": user.account_id, "user_key": user.key}] if told.rows else []
    await connection.execute_rows(_FORGET, gone)
    await write(connection, written)


def rows_of(user: User, rows: Iterable[VersionedInterval]) -> list[dict[str, Any]]:
    """Rows as the table has them."""
    return [
        {"account_id": user.account_id, "user_key": user.key, "since": row.valid_from, "until": row.valid_to}
        | {"recorded_on": row.recorded_on, "ceased_on": row.ceased_on}
        for row in rows
    ]


async def write(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Add rows."""
    await connection.execute_rows(_WRITE, rows)


def find_unsettled_users(active: Sequence[tuple[User, date]]) -> QueryPlan[set[User]]:
    """The users whose registration may change by their having been active on a day.

    They are those who are not known to be registered on it and the next: on the day of a removal it matters what came first.
    """
    rows = [
        {"number": number, "account_id": user.account_id, "user_key": user.key, "day": day}
        for number, (user, day) in enumerate(active)
    ]
    settled = {number for part in (yield [*bind_json_rows(_SETTLED, rows)]) for (number,) in part} if rows else ()
    return {user for number, (user, _) in enumerate(active) if number not in settled}


async def load_user_history(
    connection: Connection, users: Sequence[User], *, labels: Mapping[str, int], calendar: Calendar
) -> dict[User, UserHistory]:
    told = {user: UserHistory() for user in users}
    streams = {(user.account_id, USER_STREAM_PREFIX + user.user_id): user for user in users}
    for name, events in (await load_streams(connection, streams)).items():
        told[streams[name]].events = events
    by_key = {(user.account_id, user.key): user for user in users}
    rows = [{"account_id": account_id, "user_key": key} for account_id, key in by_key]
    for row in await connection.execute_rows(_SPELLS, rows):
        interval = VersionedInterval(row.since, row.until, True, row.recorded_on, row.ceased_on)
        told[by_key[row.account_id, row.user_key]].rows.append(interval)
    place = {"presence": labels[ACTIVE_USERS], "subject": labels[""]}
    for account_id, key, year, *months in await connection.execute_rows(_DAYS, rows, **place):
        told[by_key[account_id, key]].days |= days_in_bits(year, join_months(year, months))
    removals = {(user, day) for user in users for day in told[user].removals(calendar)}
    for row in await load_activity_events(connection, removals, calendar=calendar):
        told[User(row.account_id, row.user_id)].events[row.id] = stored_event(row)
    return told


async def load_activity_events(
    connection: Connection, days: Iterable[tuple[User, date]], *, calendar: Calendar
) -> Sequence[Any]:
    """The events that saw users on some days, as they are kept; those that were taken back, too."""
    rows = [
        {"account_id": user.account_id, "user_id": user.user_id}
        | {"since": calendar.midnight(day), "until": calendar.midnight(day + _DAY)}
        for user, day in days
    ]
    types = [type for type, posting in POSTING_RULES.items() if posting.sees]
    return await connection.execute_rows(_USES, rows, types=types)


_SETTLED = f"""
    SELECT number FROM json_to_recordset(CAST(%(rows)s AS json))
        AS wanted(number integer, account_id bigint, user_key bigint, day date)
    CROSS JOIN LATERAL (
        SELECT FROM registration
        WHERE (registration.account_id, registration.user_key) = (wanted.account_id, wanted.user_key)
            AND ceased_on = '{MAX_DATE}' AND since <= day AND until > day + 1
        OFFSET 0) AS settled
    """
_SPELLS = """
    SELECT found.* FROM json_to_recordset(CAST(%(rows)s AS json)) AS wanted(account_id bigint, user_key bigint)
    CROSS JOIN LATERAL (
        SELECT * FROM registration
        WHERE (registration.account_id, registration.user_key) = (wanted.account_id, wanted.user_key)
        OFFSET 0) AS found
    """
_DAYS = f"""
    SELECT found.* FROM json_to_recordset(CAST(%(rows)s AS json)) AS wanted(account_id bigint, user_key bigint)
    CROSS JOIN LATERAL (
        SELECT account_id, user_key, year, {", ".join(MONTH_NAMES)} FROM presence
        WHERE presence = %(presence)s AND subject = %(subject)s
            AND (presence.account_id, presence.user_key) = (wanted.account_id, wanted.user_key)
            AND ceased_on = '{MAX_DATE}'
        OFFSET 0) AS found
    """
_USES = """
    SELECT found.* FROM json_to_recordset(CAST(%(rows)s AS json))
        AS wanted(account_id bigint, user_id text, since timestamptz, until timestamptz)
    CROSS JOIN LATERAL (
        SELECT account_id, id, type, user_id, occurred_at, recorded_on, retracted_on, rate, data FROM event
        WHERE event.account_id = wanted.account_id AND event.user_id = wanted.user_id
            AND occurred_at >= since AND occurred_at < until AND type = ANY(%(types)s)
        OFFSET 0) AS found
    """
_FORGET = """
    DELETE FROM registration USING json_to_recordset(CAST(%(rows)s AS json)) AS gone(account_id bigint, user_key bigint)
    WHERE (registration.account_id, registration.user_key) = (gone.account_id, gone.user_key)
    """
_WRITE = """
    INSERT INTO registration (account_id, user_key, since, until, recorded_on, ceased_on)
    SELECT account_id, user_key, since, until, recorded_on, ceased_on FROM json_to_recordset(CAST(%(rows)s AS json))
        AS new(account_id bigint, user_key bigint, since date, until date, recorded_on date, ceased_on date)
    ORDER BY 1, 2, 3, 5
    """
