"""Posting: turning accepted or retracted events into entries, presence and registrations, within one transaction."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from app.books.books import Books
from app.core.periods import Calendar
from app.database.connection import Connection
from app.database.labels import ensure_labels_within
from app.database.query_plan import QueryPlan, merge_plans
from app.database.tables import WHOLE_BUSINESS
from app.ledger.entries import EntryKey, add_lines, entry_label_texts, post_entries
from app.ledger.measures import (
    MEASURES,
    PRESENCES,
    EventView,
    Line,
    activities_of,
    lines_of,
    sequence_name_of,
    stream_name_of,
)
from app.ledger.presence.changes import DayChanges, add_delta
from app.ledger.presence.keys import PresenceKey, user_key
from app.ledger.presence.rows import CurrentRows, load_current_rows, write_changes
from app.ledger.registrations import (
    USER_STREAM_PREFIX,
    User,
    find_unsettled_users,
    load_activity_events,
    repost_registrations,
)
from app.ledger.sequences import load_neighbors
from app.ledger.stream_diff import StreamChange, StreamChanges, StreamName, load_streams, repost_streams
from app.ledger.surveys import Survey


class EventPosting(NamedTuple):
    """What an event posts: lines, days of presence, and a change of its stream.

    effective_on: the day of the event. presence_keys: of its user's activity. stream, sequence: the names of its stream and its
    sequence, if any.
    """

    account_id: int
    id: str
    user_id: str | None
    effective_on: date
    lines: Sequence[Line]
    presence_keys: Sequence[PresenceKey]
    stream: str | None
    sequence: str | None

    @property
    def is_registration(self) -> bool:
        """Return whether the event belongs to the stream of a user's registration."""
        return self.stream is not None and self.stream.startswith(USER_STREAM_PREFIX)

    @property
    def user(self) -> User:
        """Return the user of an event that has one."""
        assert self.user_id is not None
        return User(self.account_id, self.user_id)


# A posting with the day on which its event was recorded or retracted.
DatedPosting = tuple[EventPosting, date]


def build_posting(
    event: Any, survey: Survey | None = None, rate: Decimal | None = None, *, calendar: Calendar
) -> EventPosting:
    """Return what an event posts, by the posting rule of its type.

    event: one that came in, or a row of the event table. survey, rate: see `EventView`.
    """
    account_id, user_id = event.account_id, event.user_id
    whole_business = account_id == WHOLE_BUSINESS
    view = EventView(event.type, user_id, event.data, survey, rate, whole_business, event.id)
    key = user_key(account_id, user_id) if user_id is not None else 0
    presence_keys = [PresenceKey(presence.name, subject, account_id, key) for presence, subject in activities_of(view)]
    effective_on = calendar.day(event.occurred_at)
    return EventPosting(
        account_id,
        event.id,
        user_id,
        effective_on,
        lines_of(view),
        presence_keys,
        stream_name_of(view),
        sequence_name_of(view),
    )


def posting_label_texts(postings: Iterable[EventPosting]) -> set[str]:
    """Return the texts of postings that need labels, so that these can exist before the transaction."""
    texts = {"", *MEASURES, *PRESENCES}
    for posting in postings:
        for _, _, subject, channel in posting.lines:
            texts.add(subject)
            texts.add(channel)
        for key in posting.presence_keys:
            texts.add(key.subject)
    return texts


class PostingContext(NamedTuple):
    """What is stored of the users of some postings before these are posted.

    unsettled_users: those whose registration may change because they were active.
    """

    current_rows: CurrentRows
    unsettled_users: set[User]


def load_posting_context(postings: Iterable[EventPosting], *, books: Books) -> QueryPlan[PostingContext]:
    """Load what is stored of the users of some postings. The caller holds the locks of their accounts.

    There may be more of these than are posted in the end: duplicates are found out at the same time.
    """
    days: dict[PresenceKey, set[date]] = {}
    active: dict[tuple[User, date], None] = {}
    for posting in postings:
        for key in posting.presence_keys:
            days.setdefault(key, set()).add(posting.effective_on)
        if posting.presence_keys:
            active[posting.user, posting.effective_on] = None
    rows = load_current_rows(days, labels=books.database.labels, calendar=books.calendar)
    plans: list[QueryPlan[Any]] = [rows, find_unsettled_users(list(active))]
    return PostingContext(*(yield from merge_plans(plans)))


async def post_events(
    connection: Connection,
    postings: Sequence[DatedPosting],
    context: PostingContext,
    *,
    books: Books,
    is_retraction: bool = False,
    before_posting: Callable[[Mapping[EntryKey, int]], Awaitable[None]] | None = None,
) -> None:
    """Post events that were accepted or, with `is_retraction`, take back what they posted.

    The events are stored, or marked as retracted, in this transaction, which holds the locks of their accounts. The texts in
    `posting_label_texts` have labels. context: what `load_posting_context` returned. before_posting: is called with the entries
    before they are written.
    """
    entries: dict[EntryKey, int] = {}
    labels, calendar = books.database.labels, books.calendar
    # 1. What the events post directly.
    for posting, recorded_on in postings:
        add_lines(
            entries,
            posting.lines,
            effective_on=posting.effective_on,
            account_id=posting.account_id,
            recorded_on=recorded_on,
            sign=-1 if is_retraction else 1,
        )
    # 2. Presence.
    changes = await _presence_changes(connection, postings, calendar, is_retraction=is_retraction)
    deltas = await write_changes(connection, changes, context.current_rows, labels=labels, calendar=calendar)
    for key, delta in deltas.items():
        add_delta(entries, key, delta)
    # 3. Registrations, which depend on presence.
    event_changes = _registration_changes(postings, context.unsettled_users, is_retraction=is_retraction)
    day_changes = {key: delta.changes for key, delta in deltas.items()}
    await repost_registrations(connection, entries, event_changes, day_changes, labels=labels, calendar=calendar)
    # 4. The other streams, and the sequences.
    stream_changes, sequence_changes = _stream_changes(postings, is_retraction=is_retraction)
    events_by_stream = await load_streams(connection, stream_changes) | await load_neighbors(
        connection, sequence_changes
    )
    repost_streams(entries, events_by_stream, stream_changes | sequence_changes, calendar=calendar)
    # 5. What others do about it.
    if before_posting is not None:
        await before_posting(entries)
    # 6. All of it in one statement, last, since it locks rows that all transactions write.
    texts = entry_label_texts(entries)
    await post_entries(connection, entries, labels=await ensure_labels_within(connection, books.database, texts))


async def _presence_changes(
    connection: Connection, postings: Sequence[DatedPosting], calendar: Calendar, *, is_retraction: bool
) -> dict[PresenceKey, dict[date, DayChanges]]:
    """Return the days that the events add to presence or, when they are retracted, remove from it."""
    changes: dict[PresenceKey, dict[date, DayChanges]] = {}
    still_active = await _find_other_activity(connection, postings, calendar) if is_retraction else set()
    for posting, recorded_on in postings:
        for key in posting.presence_keys:
            if (key, posting.effective_on) not in still_active:
                day_changes = changes.setdefault(key, {}).setdefault(recorded_on, DayChanges())
                (day_changes.lost if is_retraction else day_changes.gained).add(posting.effective_on)
    return changes


async def _find_other_activity(
    connection: Connection, postings: Iterable[DatedPosting], calendar: Calendar
) -> set[tuple[PresenceKey, date]]:
    """Return where and when the users of retracted events are active by other events."""
    user_days = {(posting.user, posting.effective_on) for posting, _ in postings if posting.presence_keys}
    rows = await load_activity_events(connection, user_days, calendar=calendar)
    live = (build_posting(row, calendar=calendar) for row in rows if row.retracted_on is None)
    return {(key, posting.effective_on) for posting in live for key in posting.presence_keys}


def _registration_changes(
    postings: Sequence[DatedPosting], unsettled_users: Collection[User], *, is_retraction: bool
) -> dict[User, StreamChanges]:
    """Return the users whose registration may change, with the events of theirs that were added or removed."""
    changes: dict[User, StreamChanges] = {}
    for posting, _ in postings:
        may_change = posting.presence_keys and (is_retraction or posting.user in unsettled_users)
        if posting.is_registration or may_change:
            changes.setdefault(posting.user, {})
    if changes:
        for posting, recorded_on in postings:
            if posting.user_id is not None and posting.user in changes:
                _note_change(changes[posting.user], posting, recorded_on, is_retraction=is_retraction)
    return changes


def _stream_changes(
    postings: Sequence[DatedPosting], *, is_retraction: bool
) -> tuple[dict[StreamName, StreamChanges], dict[StreamName, StreamChanges]]:
    """Return the streams other than registrations, and the sequences, with the events that were added or removed."""
    streams: dict[StreamName, StreamChanges] = {}
    sequences: dict[StreamName, StreamChanges] = {}
    for posting, recorded_on in postings:
        stream = None if posting.is_registration else posting.stream
        for changes, name in ((streams, stream), (sequences, posting.sequence)):
            if name is not None:
                changes_of_stream = changes.setdefault((posting.account_id, name), {})
                _note_change(changes_of_stream, posting, recorded_on, is_retraction=is_retraction)
    return streams, sequences


def _note_change(changes: StreamChanges, posting: EventPosting, recorded_on: date, *, is_retraction: bool) -> None:
    change = changes.setdefault(recorded_on, StreamChange())
    (change.removed if is_retraction else change.added).add(posting.id)
