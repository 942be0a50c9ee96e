"""Everything that events which come, or are taken back, bring to the books: in a few statements, in one transaction."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from app.books.books import Books
from app.core.periods import Calendar
from app.database.connection import Connection
from app.database.labels import ensure_labels_within
from app.database.query_plan import QueryPlan, merge_plans
from app.database.tables import WHOLE_BUSINESS
from app.ledger import presence
from app.ledger.days import DayChanges, PresenceKey, user_key
from app.ledger.entries import EntryKey, add_lines, entry_label_texts, post_entries
from app.ledger.measures import MEASURES, PRESENCES, EventView, Line, activities_of, lines_of, stream_name_of
from app.ledger.registrations import (
    USER_STREAM_PREFIX,
    User,
    find_unsettled_users,
    load_activity_events,
    repost_registrations,
)
from app.ledger.surveys import Survey
from app.ledger.unfold import StreamChange, StreamChanges, StreamName, repost_streams


class EventPosting(NamedTuple):
    """What an event posts by itself, where it saw its user, and the stream it belongs to."""

    account_id: int
    id: str
    user_id: str | None
    on: date
    lines: Sequence[Line]
    seen: Sequence[PresenceKey]
    stream: str | None

    @property
    def is_of_user(self) -> bool:
        """Whether it is said of a user's registration."""
        return self.stream is not None and self.stream.startswith(USER_STREAM_PREFIX)

    @property
    def user(self) -> User:
        """The user of an event that has one."""
        assert self.user_id is not None
        return User(self.account_id, self.user_id)


def build_posting(
    event: Any, survey: Survey | None = None, rate: Decimal | None = None, *, calendar: Calendar
) -> EventPosting:
    """The record of an event, as it came or as it is kept, by the survey and at the rate that it was read by."""
    whole_business = event.account_id == WHOLE_BUSINESS
    fact = EventView(event.type, event.user_id, event.data, survey, rate, whole_business, event.id)
    account_id, user_id, on = event.account_id, event.user_id, calendar.day(event.occurred_at)
    user = user_key(account_id, user_id) if user_id is not None else 0
    seen = [PresenceKey(place.name, subject, account_id, user) for place, subject in activities_of(fact)]
    return EventPosting(account_id, event.id, user_id, on, lines_of(fact), seen, stream_name_of(fact))


def posting_label_texts(records: Iterable[EventPosting]) -> set[str]:
    """The words of records, so that they can get their numbers before the transaction."""
    lines = {word for one in records for line in one.lines for word in (line.subject, line.channel)}
    seen = {seen.subject for one in records for seen in one.seen}
    return {"", *MEASURES, *PRESENCES, *lines, *seen}


class PostingContext(NamedTuple):
    """What there is of the users of records before these are recorded.

    unsettled: those whose registration may change by their having been active.
    """

    presence: presence.CurrentRows
    unsettled: set[User]


def load_posting_context(records: Iterable[EventPosting], *, books: Books) -> QueryPlan[PostingContext]:
    """What has to be known to record them, and those of others, whether or not they are. Their accounts are locked."""
    days: dict[PresenceKey, set[date]] = {}
    active: dict[tuple[User, date], None] = {}
    for one in records:
        for key in one.seen:
            days.setdefault(key, set()).add(one.on)
        if one.seen:
            active[one.user, one.on] = None
    rows = presence.load_current_rows(days, labels=books.database.labels, calendar=books.calendar)
    parts: list[QueryPlan[Any]] = [rows, find_unsettled_users(list(active))]
    return PostingContext(*(yield from merge_plans(parts)))


async def post_events(
    connection: Connection,
    records: Sequence[tuple[EventPosting, date]],
    before: PostingContext,
    *,
    books: Books,
    back: bool = False,
) -> None:
    """Post what events bring or, when they are taken `back`, what is no more; each with the day it became known.

    They are stored, or retracted, in this very transaction, which holds the locks of their accounts; their words have
    numbers. before: what was `known` of them.
    """
    entries: dict[EntryKey, int] = {}
    for one, known in records:
        sign = -1 if back else 1
        add_lines(entries, one.lines, on=one.on, account_id=one.account_id, recorded_on=known, sign=sign)
    labels = books.database.labels
    changes = await _changes(connection, records, books.calendar, back=back)
    found = await presence.write_changes(connection, changes, before.presence, labels=labels, calendar=books.calendar)
    for key, development in found.items():
        presence.add_delta(entries, key, development)
    users = _users(records, before.unsettled, back=back)
    moved = {key: development.changes for key, development in found.items()}
    await repost_registrations(connection, entries, users, moved, labels=labels, calendar=books.calendar)
    streams: dict[StreamName, StreamChanges] = {}
    for one, known in records:
        if one.stream is not None and not one.is_of_user:
            _step(streams.setdefault((one.account_id, one.stream), {}), one, known, back=back)
    await repost_streams(connection, entries, streams, calendar=books.calendar)
    words = entry_label_texts(entries)
    await post_entries(connection, entries, labels=await ensure_labels_within(connection, books.database, words))


def _step(steps: StreamChanges, one: EventPosting, known: date, *, back: bool) -> None:
    step = steps.setdefault(known, StreamChange())
    (step.removed if back else step.added).add(one.id)


async def _changes(
    connection: Connection, records: Sequence[tuple[EventPosting, date]], calendar: Calendar, *, back: bool
) -> dict[PresenceKey, dict[date, DayChanges]]:
    """The days on which users were seen or, when events are taken back, on which they no longer are."""
    changes: dict[PresenceKey, dict[date, DayChanges]] = {}
    still = await _still_seen(connection, records, calendar) if back else set()
    for one, known in records:
        for key in one.seen:
            if (key, one.on) not in still:
                days = changes.setdefault(key, {}).setdefault(known, DayChanges())
                (days.lost if back else days.gained).add(one.on)
    return changes


async def _still_seen(
    connection: Connection, records: Iterable[tuple[EventPosting, date]], calendar: Calendar
) -> set[tuple[PresenceKey, date]]:
    """Where and when the users of events that were taken back are seen by other events."""
    users = {(one.user, one.on) for one, _ in records if one.seen}
    others = await load_activity_events(connection, users, calendar=calendar)
    live = (build_posting(row, calendar=calendar) for row in others if row.retracted_on is None)
    return {(key, one.on) for one in live for key in one.seen}


def _users(
    records: Sequence[tuple[EventPosting, date]], unsettled: Collection[User], *, back: bool
) -> dict[User, StreamChanges]:
    """The users whose registration may change, with what came and went of their events."""
    steps: dict[User, StreamChanges] = {}
    for one, _ in records:
        if one.is_of_user or (one.seen and (back or one.user in unsettled)):
            steps.setdefault(one.user, {})
    if steps:
        for one, known in records:
            if one.user_id is not None and one.user in steps:
                _step(steps[one.user], one, known, back=back)
    return steps
