"""The door of the ledger: a batch of events is validated, stored and posted in one transaction, each event exactly once.

A batch is a few set-based statements: lock the accounts, insert the events (those that are there already stay as they
are), then attributes and postings of the ones that are new.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts import book
from app.accounts.ids import LONGEST_ID
from app.errors import Invalid, Rejected, Unavailable
from app.ingest.define import RESERVED, Event, read
from app.ingest.formats import Broken
from app.ingest.reading import Reading, fix, look_up, sensible
from app.ingest.retract import replace
from app.ingest.schemas import Rejection
from app.ledger.record import record, words_of
from app.store.books import Books
from app.store.database import keys_of, send
from app.store.tables import BEGINNING

_ATTEMPTS = 5


@dataclass(slots=True)
class Outcome:
    """What became of a batch. `rejected`: one `{index, id, code, detail, pointer}` for each event that was not taken."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[Rejection] = field(default_factory=list)

    def reject(self, index: int, id: Any, problem: Rejected) -> None:
        self.rejected.append(
            {
                "index": index,
                "id": id if isinstance(id, str) and len(id) <= LONGEST_ID else None,
                "code": problem.code,
                "detail": problem.detail,
                "pointer": problem.pointer,
            }
        )


class _ChangedMeanwhile(Exception):
    """A survey or a rate that the batch was read by was changed before the batch came to post."""


async def accept(books: Books, raws: Sequence[Any], *, may_backdate: bool = False, replaces: str = "") -> Outcome:
    """Take a batch of raw events. `may_backdate`: whether the sender may say when an event became known.

    replaces: updates of an account whose ids begin so are taken back by one that is accepted for the same moment.

    An event that is counted as accepted is durable and in the next answer. Raises Unavailable when the database is away;
    sending the same batch again is always safe.
    """
    outcome = Outcome()
    events = list(_readable(raws, outcome, books=books, may_backdate=may_backdate, replaces=replaces))
    for _ in range(_ATTEMPTS):
        try:
            await _store(books, events, outcome)
            outcome.rejected.sort(key=lambda rejected: rejected["index"])
            return outcome
        except _ChangedMeanwhile:
            continue
    raise Unavailable("A survey or an exchange rate keeps changing; send the batch again.", code="busy")


def _readable(
    raws: Sequence[Any], outcome: Outcome, *, books: Books, may_backdate: bool, replaces: str
) -> Iterable[Event]:
    now = books.clock()
    today = books.calendar.day(now)
    for index, raw in enumerate(raws):
        try:
            if isinstance(raw, Broken):
                raise Rejected("malformed", raw.detail)
            event = read(raw, index=index, now=now)
            if event.id.startswith(RESERVED) and event.type == book.UPDATED and not replaces:
                raise Rejected("reserved", f"Ids that begin with {RESERVED!r} are the service's own.", "/id")
            if event.known_at is not None and not may_backdate:
                raise Rejected(
                    "forbidden", "Only a key with scope admin may say when an event became known.", "/known_at"
                )
            if event.known_at is not None and event.known_at > today:
                raise Rejected("in_the_future", "An event cannot become known after today.", "/known_at")
            event.replaces = replaces
            yield event
        except Rejected as problem:
            outcome.reject(index, raw.get("id") if isinstance(raw, dict) else None, problem)


async def _store(books: Books, events: Sequence[Event], outcome: Outcome) -> None:
    before = len(outcome.rejected)
    reading = await look_up(books, events)
    sound = list(sensible(events, reading, books=books, reject=outcome.reject))
    await keys_of(books.database, words_of(reading.records.values()))

    async def write(connection: AsyncConnection, today: date) -> Outcome:
        # Begun anew when the transaction is run again.
        result = Outcome(rejected=list(outcome.rejected))
        if sound:
            await _write(connection, sound, reading, result, books=books, today=today)
        return result

    try:
        result = await books.write(write)
    except _ChangedMeanwhile:
        del outcome.rejected[before:]
        raise
    outcome.accepted, outcome.duplicates, outcome.rejected = result.accepted, result.duplicates, result.rejected


async def _write(
    connection: AsyncConnection,
    events: Sequence[Event],
    reading: Reading,
    result: Outcome,
    *,
    books: Books,
    today: date,
) -> None:
    """Everything that happens under the accounts' locks; `result` says what became of each event."""
    accounts = await _lock(connection, events)
    recorded = _recorded_on(events, accounts, today=today)
    first: dict[tuple[int, str], Event] = {}
    for event in events:
        if event.index in recorded:
            first.setdefault((event.account_id, event.id), event)
    inserted = await _insert(connection, list(first.values()), recorded, reading)
    kept = await _fingerprints(connection, {(event.account_id, event.id) for event in events} - inserted)
    accepted = [event for key, event in first.items() if key in inserted]
    result.accepted = len(accepted)
    for event in events:
        key = (event.account_id, event.id)
        if key in inserted and first[key] is event:
            continue
        if key not in inserted and key not in kept:
            result.reject(event.index, event.id, _closed(accounts[event.account_id]))
        elif event.fingerprint == (first[key].fingerprint if key in inserted else kept[key]):
            result.duplicates += 1
        else:
            detail = "The account has another event with this id; a correction comes under a new id."
            result.reject(event.index, event.id, Rejected("conflict", detail, "/id"))
    await replace(connection, accepted, recorded)
    if not await fix(connection, accepted, reading):
        raise _ChangedMeanwhile
    await _close_days(connection, accepted, recorded, accounts)
    await _learn(connection, accepted, recorded, books=books)
    records = [(reading.records[event.index], recorded[event.index]) for event in accepted]
    await record(connection, records, books=books)


def _closed(account: book.Account) -> Rejected:
    detail = f"The account's books are written up to {account.last_recorded_on}; nothing becomes known before that."
    return Rejected("known_before_last", detail, "/known_at")


async def _lock(connection: AsyncConnection, events: Sequence[Event]) -> dict[int, book.Account]:
    """Lock the accounts, which keep their last day until something is written."""
    touched = await book.touch(connection, {event.account_id: (event.account, BEGINNING) for event in events})
    if any(touched[event.account_id].id != event.account for event in events):
        raise Invalid("Two account ids have the same number inside; one of them cannot be used.", code="id_collision")
    return touched


def _recorded_on(events: Iterable[Event], accounts: dict[int, book.Account], *, today: date) -> dict[int, date]:
    """The day on which each event became known, by index; none for one that would be known before its account's last."""
    recorded = {}
    for event in events:
        last = accounts[event.account_id].last_recorded_on
        if event.known_at is None:
            recorded[event.index] = max(today, last)
        elif event.known_at >= last:
            recorded[event.index] = event.known_at
    return recorded


_INSERT = """
    INSERT INTO event (account_id, id, type, user_id, occurred_at, recorded_on, rate, fingerprint, data, stream)
    SELECT account_id, id, type, user_id, occurred_at, recorded_on, rate, fingerprint, data, stream
    FROM json_to_recordset(CAST(%(rows)s AS json)) AS row(account_id bigint, id text, type text, user_id text,
        occurred_at timestamptz, recorded_on date, rate numeric, fingerprint bigint, data jsonb, stream text)
    ORDER BY account_id, id COLLATE "C"
    ON CONFLICT (account_id, id) DO NOTHING
    RETURNING account_id, id
    """


async def _insert(
    connection: AsyncConnection, events: Sequence[Event], recorded: dict[int, date], reading: Reading
) -> set[tuple[int, str]]:
    rows = [
        {
            "account_id": event.account_id,
            "id": event.id,
            "type": event.type,
            "user_id": event.user_id,
            "occurred_at": event.occurred_at,
            "recorded_on": recorded[event.index],
            "rate": None if event.rate is None else str(event.rate.rate),
            "fingerprint": event.fingerprint,
            "data": event.data,
            "stream": reading.records[event.index].stream,
        }
        for event in events
    ]
    inserted = await send(connection, _INSERT, rows)
    return {(row.account_id, row.id) for row in inserted}


async def _fingerprints(connection: AsyncConnection, keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    rows = [{"account_id": account_id, "id": id} for account_id, id in keys]
    found = await send(connection, _FINGERPRINTS, rows)
    return {(row.account_id, row.id): row.fingerprint for row in found}


_FINGERPRINTS = """
    SELECT found.* FROM json_to_recordset(CAST(%(rows)s AS json)) AS wanted(account_id bigint, id text)
    CROSS JOIN LATERAL (
        SELECT account_id, id, fingerprint FROM event
        WHERE event.account_id = wanted.account_id AND event.id = wanted.id
        OFFSET 0) AS found
    """


async def _close_days(
    connection: AsyncConnection,
    accepted: Sequence[Event],
    recorded: dict[int, date],
    accounts: Mapping[int, book.Account],
) -> None:
    """Move on the last day of accounts to which something was written, as once a day is enough."""
    days: dict[int, tuple[str, date]] = {}
    for event in accepted:
        _, last = days.get(event.account_id, ("", accounts[event.account_id].last_recorded_on))
        if recorded[event.index] > last:
            days[event.account_id] = (event.account, recorded[event.index])
    if days:
        await book.touch(connection, days)


async def _learn(
    connection: AsyncConnection, accepted: Sequence[Event], recorded: dict[int, date], *, books: Books
) -> None:
    days: dict[int, set[date]] = defaultdict(set)
    for event in accepted:
        if event.type == book.UPDATED:
            days[event.account_id].add(recorded[event.index])
    if days:
        await book.record(connection, days, calendar=books.calendar)
