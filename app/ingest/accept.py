"""The door of the ledger: a batch of events is validated, stored and posted in one transaction, each event exactly once.

A batch is a few set-based statements: lock the accounts, insert the events (those that are there already stay as they
are), then attributes and postings of the ones that are new. What is under the locks waits for nobody: the first of them are
sent at once, with all that has to be known, and the last with the commit. Small batches that come at the same time share them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import islice
from typing import Any

from app.accounts.accounts import LockedAccount, lock_accounts, lock_accounts_plan
from app.accounts.attributes import ACCOUNT_UPDATED, derive_attributes
from app.books.books import Books
from app.core.errors import EventRejected, Invalid, Unavailable
from app.core.ids import MAX_ID_LENGTH
from app.database.connection import Connection
from app.database.labels import ensure_labels
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.database.statements import bind_json_rows
from app.database.tables import MIN_DATE
from app.ingest.decode import UndecodableEvent
from app.ingest.define import RESERVED_ID_PREFIX, IncomingEvent, read_event
from app.ingest.references import freeze_on_first_use, load_references, resolve_events
from app.ingest.retract import retract_replaced
from app.ingest.schemas import Rejection
from app.ledger.posting import EventPosting, load_posting_context, post_events, posting_label_texts

_ATTEMPTS = 5
# More events than these have a transaction of their own.
_FEW = 100

# Why an event was not taken, or whether it is new.
Verdict = EventRejected | bool


@dataclass(slots=True)
class BatchOutcome:
    """What became of a batch. `rejected`: one `{index, id, code, detail, pointer}` for each event that was not taken."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[Rejection] = field(default_factory=list)

    def reject(self, index: int, id: Any, problem: EventRejected) -> None:
        self.rejected.append(
            {
                "index": index,
                "id": id if isinstance(id, str) and len(id) <= MAX_ID_LENGTH else None,
                "code": problem.code,
                "detail": problem.detail,
                "pointer": problem.pointer,
            }
        )

    def note(self, event: IncomingEvent, verdict: Verdict) -> None:
        if isinstance(verdict, EventRejected):
            self.reject(event.index, event.id, verdict)
        elif verdict:
            self.accepted += 1
        else:
            self.duplicates += 1


class _ChangedMeanwhile(Exception):
    """A survey or a rate that the batch was read by was changed before the batch came to post."""


async def accept_events(
    books: Books, raws: Sequence[Any], *, may_backdate: bool = False, replaces: str = ""
) -> BatchOutcome:
    """Take a batch of raw events. `may_backdate`: whether the sender may say when an event became known.

    replaces: updates of an account whose ids begin so are taken back by one that is accepted for the same moment.

    An event that is counted as accepted is durable and in the next answer. Raises Unavailable when the database is away;
    sending the same batch again is always safe.
    """
    unread = BatchOutcome()
    events = list(_readable(raws, unread, books=books, may_backdate=may_backdate, replaces=replaces))
    for _ in range(_ATTEMPTS):
        outcome = BatchOutcome(rejected=list(unread.rejected))
        sound = list(resolve_events(events, await load_references(books, events), books=books, reject=outcome.reject))
        try:
            verdicts = await _store(books, sound)
        except _ChangedMeanwhile:
            continue
        for event, verdict in zip(sound, verdicts, strict=True):
            outcome.note(event, verdict)
        outcome.rejected.sort(key=lambda rejected: rejected["index"])
        return outcome
    raise Unavailable("A survey or an exchange rate keeps changing; send the batch again.", code="busy")


def _readable(
    raws: Sequence[Any], outcome: BatchOutcome, *, books: Books, may_backdate: bool, replaces: str
) -> Iterator[IncomingEvent]:
    now = books.clock()
    today = books.calendar.day(now)
    for index, raw in enumerate(raws):
        try:
            if isinstance(raw, UndecodableEvent):
                raise EventRejected("malformed", raw.detail)
            event = read_event(raw, index=index, now=now)
            if event.id.startswith(RESERVED_ID_PREFIX) and event.type == ACCOUNT_UPDATED and not replaces:
                raise EventRejected(
                    "reserved", f"Ids that begin with {RESERVED_ID_PREFIX!r} are the service's own.", "/id"
                )
            if event.backdated_to is not None and not may_backdate:
                raise EventRejected(
                    "forbidden", "Only a key with scope admin may say when an event became known.", "/recorded_on"
                )
            if event.backdated_to is not None and event.backdated_to > today:
                raise EventRejected("in_the_future", "An event cannot become known after today.", "/recorded_on")
            event.replaces = replaces
            yield event
        except EventRejected as problem:
            outcome.reject(index, raw.get("id") if isinstance(raw, dict) else None, problem)


async def _store(books: Books, events: Sequence[IncomingEvent]) -> Sequence[Verdict]:
    """What became of each event; those of small batches share a transaction with others that come at the time."""
    if not events:
        return ()
    await ensure_labels(books.database, posting_label_texts(map(_record, events)))
    if len(events) <= _FEW:
        return await books.group_commit.run(events, partial(_store_all, books))
    (verdicts,) = await _store_all(books, [events])
    return verdicts


async def _store_all(books: Books, batches: Sequence[Sequence[IncomingEvent]]) -> list[list[Verdict]]:
    events = [event for batch in batches for event in batch]

    async def write(connection: Connection, today: date) -> list[Verdict]:
        return await _write(connection, events, books=books, today=today)

    verdicts = iter(await books.write(write))
    return [list(islice(verdicts, len(batch))) for batch in batches]


async def _write(
    connection: Connection, events: Sequence[IncomingEvent], *, books: Books, today: date
) -> list[Verdict]:
    """Everything that happens under the accounts' locks. It may be run again."""
    locked = lock_accounts_plan({event.account_id: (event.account, MIN_DATE) for event in events})
    parts: list[QueryPlan[Any]] = [
        locked,
        _stored(events, today=today),
        load_posting_context(map(_record, events), books=books),
    ]
    accounts, inserted, before = await run_plan(connection, merge_plans(parts))
    if any(accounts[event.account_id].id != event.account for event in events):
        raise Invalid("Two account ids have the same number inside; one of them cannot be used.", code="id_collision")
    first: dict[tuple[int, str], IncomingEvent] = {}
    for event in events:
        event.recorded_on = _recorded_on(event, accounts[event.account_id].last_recorded_on, today=today)
        if event.recorded_on is not None:
            first.setdefault((event.account_id, event.id), event)
    accepted = [event for key, event in first.items() if key in inserted]
    kept = await _fingerprints(connection, {(event.account_id, event.id) for event in events} - inserted)
    kept |= {(event.account_id, event.id): event.fingerprint for event in accepted}
    await retract_replaced(connection, accepted)
    if not await freeze_on_first_use(connection, accepted):
        raise _ChangedMeanwhile
    await _close_days(connection, accepted, accounts)
    await _learn(connection, accepted, books=books)
    await post_events(connection, [(_record(event), _day(event)) for event in accepted], before, books=books)
    new = set(map(id, accepted))
    return [True if id(event) in new else _verdict(event, kept, accounts) for event in events]


def _verdict(
    event: IncomingEvent, kept: Mapping[tuple[int, str], int | None], accounts: Mapping[int, LockedAccount]
) -> Verdict:
    """Of an event that is not new."""
    key = event.account_id, event.id
    if key not in kept:
        last = accounts[event.account_id].last_recorded_on
        detail = (
            f"The account's books are written up to {last}; nothing becomes known before that. History is sent first: an "
            "event without recorded_on, or a PUT of the account, is known today."
        )
        return EventRejected("recorded_before_last", detail, "/recorded_on")
    if kept[key] not in (event.fingerprint, None):
        detail = "The account has another event with this id; a correction comes under a new id."
        return EventRejected("conflict", detail, "/id")
    return False


def _record(event: IncomingEvent) -> EventPosting:
    assert event.record is not None
    return event.record


def _day(event: IncomingEvent) -> date:
    assert event.recorded_on is not None
    return event.recorded_on


def _recorded_on(event: IncomingEvent, last: date, *, today: date) -> date | None:
    """The day on which an event became known; none for one that would be known before its account's last."""
    if event.backdated_to is None:
        return max(today, last)
    return event.backdated_to if event.backdated_to >= last else None


# Of an account's last day as it is under the lock, as `_recorded_on` says. Of events with one id the first that can be known
# is taken.
_INSERT = """
    INSERT INTO event (account_id, id, type, user_id, occurred_at, recorded_on, rate, fingerprint, data, stream)
    SELECT account_id, row.id, type, user_id, occurred_at,
        coalesce(backdated_to, greatest(CAST(%(today)s AS date), last_recorded_on)), rate, fingerprint, data, stream
    FROM json_to_recordset(CAST(%(rows)s AS json)) AS row(number integer, account_id bigint, id text, type text,
        user_id text, occurred_at timestamptz, backdated_to date, rate numeric, fingerprint bigint, data jsonb, stream text)
    CROSS JOIN LATERAL (
        SELECT last_recorded_on FROM account WHERE account.account_id = row.account_id OFFSET 0) AS account
    WHERE backdated_to IS NULL OR backdated_to >= last_recorded_on
    ORDER BY account_id, row.id COLLATE "C", number
    ON CONFLICT (account_id, id) DO NOTHING
    RETURNING account_id, id
    """


def _stored(events: Iterable[IncomingEvent], *, today: date) -> QueryPlan[set[tuple[int, str]]]:
    """Store those events that can be known and are not there; their accounts and ids."""
    rows = [
        {
            "number": number,
            "account_id": event.account_id,
            "id": event.id,
            "type": event.type,
            "user_id": event.user_id,
            "occurred_at": event.occurred_at,
            "backdated_to": event.backdated_to,
            "rate": None if event.rate is None else str(event.rate.rate),
            "fingerprint": event.fingerprint,
            "data": event.data,
            "stream": _record(event).stream,
        }
        for number, event in enumerate(events)
    ]
    inserted = yield [*bind_json_rows(_INSERT, rows, today=today)]
    return {key for part in inserted for key in part}


async def _fingerprints(connection: Connection, keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int | None]:
    """Of events that are kept; None of those that were erased."""
    rows = [{"account_id": account_id, "id": id} for account_id, id in keys]
    found = await connection.execute_rows(_FINGERPRINTS, rows)
    return {(row.account_id, row.id): row.fingerprint for row in found}


_FINGERPRINTS = """
    SELECT found.* FROM json_to_recordset(CAST(%(rows)s AS json)) AS wanted(account_id bigint, id text)
    CROSS JOIN LATERAL (
        SELECT account_id, id, fingerprint FROM event
        WHERE event.account_id = wanted.account_id AND event.id = wanted.id
        OFFSET 0) AS found
    """


async def _close_days(
    connection: Connection, accepted: Iterable[IncomingEvent], accounts: Mapping[int, LockedAccount]
) -> None:
    """Move on the last day of accounts to which something was written, as once a day is enough."""
    days: dict[int, tuple[str, date]] = {}
    for event in accepted:
        _, last = days.get(event.account_id, ("", accounts[event.account_id].last_recorded_on))
        if _day(event) > last:
            days[event.account_id] = (event.account, _day(event))
    if days:
        await lock_accounts(connection, days)


async def _learn(connection: Connection, accepted: Iterable[IncomingEvent], *, books: Books) -> None:
    days: dict[int, set[date]] = defaultdict(set)
    for event in accepted:
        if event.type == ACCOUNT_UPDATED:
            days[event.account_id].add(_day(event))
    if days:
        await derive_attributes(connection, days, calendar=books.calendar)
