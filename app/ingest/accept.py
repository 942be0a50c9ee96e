"""Accept a batch of events: read, resolve and store them, each exactly once.

A batch passes through immutable stages (`stages`): raw JSON is read, references are resolved, and one transaction stores and
posts the events (`write`). Small batches that come at the same time share a transaction.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from functools import partial
from itertools import islice
from typing import Any

from app.books.books import Books
from app.core import meters
from app.core.errors import Unavailable
from app.database.connection import Connection
from app.database.labels import ensure_labels
from app.ingest.outcome import BatchOutcome, Rejection, Verdict, build_outcome
from app.ingest.read import read_events
from app.ingest.references import ReferenceChanged, load_references, reject_invalid, resolve_events
from app.ingest.stages import ResolvedEvent
from app.ingest.write import write_batch
from app.ledger.posting import posting_label_texts

_MAX_ATTEMPTS = 5
# Batches of more events have a transaction of their own.
_MAX_SHARED_EVENTS = 100

# Writes what has to be stored together with a batch, when it is known what becomes of the batch.
WriteBeside = Callable[[Connection, BatchOutcome], Awaitable[None]]


async def accept_events(
    books: Books,
    raws: Sequence[Any],
    *,
    may_backdate: bool = False,
    may_use_reserved_ids: bool = False,
    write_beside: WriteBeside | None = None,
) -> BatchOutcome:
    """Store and post a batch of raw events; return what became of them.

    raws: JSON values, `UndecodableEvent` or `CorrectedEvent`. may_backdate: whether the sender may set `recorded_on`.
    may_use_reserved_ids: whether these are updates by PUT /v1/accounts/{id}, where a later one for the same moment replaces an
    earlier one. write_beside: writes something else in the transaction of the batch, also if none of its events can be stored.

    An accepted event is durable and in the next answer. Raises Unavailable when the database is unavailable; sending the
    same batch again is always safe.
    """
    incoming, invalid = read_events(
        raws, books=books, may_backdate=may_backdate, may_use_reserved_ids=may_use_reserved_ids
    )
    for _ in range(_MAX_ATTEMPTS):
        references = await load_references(books, incoming, invalid)
        events, resolve_rejections = resolve_events(incoming, references, books=books)
        rejections = [*reject_invalid(invalid, references, books=books), *resolve_rejections]
        try:
            if write_beside is None:
                outcome = build_outcome(events, await _store(books, events), rejections)
            else:
                outcome = await _store_beside(books, events, rejections, write_beside)
        except ReferenceChanged:
            continue
        _count(outcome)
        return outcome
    detail = "A survey or an exchange rate of this batch keeps changing. Send the batch again."
    raise Unavailable(detail, code="busy")


def _count(outcome: BatchOutcome) -> None:
    meters.EVENTS_ACCEPTED.inc(outcome.accepted)
    meters.EVENTS_DUPLICATE.inc(outcome.duplicates)
    for code, count in Counter(rejection["code"] for rejection in outcome.rejected).items():
        meters.EVENTS_REJECTED.labels(code).inc(count)


async def _store(books: Books, events: Sequence[ResolvedEvent]) -> Sequence[Verdict]:
    """Store a batch, a small one in a transaction that it shares with others; return the verdicts."""
    if not events:
        return ()
    await ensure_labels(books.database, posting_label_texts([event.posting for event in events]))
    if len(events) <= _MAX_SHARED_EVENTS:
        return await books.group_commit.run(events, partial(_store_batches, books), weight=len(events))
    [verdicts] = await _store_batches(books, [events])
    return verdicts


async def _store_beside(
    books: Books, events: Sequence[ResolvedEvent], rejections: Sequence[Rejection], write_beside: WriteBeside
) -> BatchOutcome:
    """Store a batch and what belongs to it in a transaction of their own; return the outcome."""
    await ensure_labels(books.database, posting_label_texts([event.posting for event in events]))

    async def write(connection: Connection, today: date) -> BatchOutcome:
        connection.note_changes((), ())  # without events, nothing that is answered changes
        verdicts = await write_batch(connection, events, books=books, today=today) if events else []
        outcome = build_outcome(events, verdicts, rejections)
        await write_beside(connection, outcome)
        return outcome

    return await books.write(write)


async def _store_batches(books: Books, batches: Sequence[Sequence[ResolvedEvent]]) -> list[list[Verdict]]:
    """Store several batches in one transaction; return the verdicts of each."""
    events = [event for batch in batches for event in batch]

    async def write(connection: Connection, today: date) -> list[Verdict]:
        return await write_batch(connection, events, books=books, today=today)

    verdicts = iter(await books.write(write))
    return [list(islice(verdicts, len(batch))) for batch in batches]
