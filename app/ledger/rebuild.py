"""Rebuild: write everything that is derived from the stored events again.

Answers are right before, between and after: each batch of accounts is replaced in one transaction. The rows of an account are
written under its lock and by nobody else, so several processes can share the accounts.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from itertools import accumulate
from operator import itemgetter, sub
from typing import Any

import sqlalchemy as sa

from app.accounts.accounts import lock_accounts
from app.accounts.attributes import rebuild_attributes
from app.books.books import Books, finish_rebuilding
from app.database.connection import Connection
from app.database.labels import ensure_labels_within
from app.database.tables import MIN_DATE, entry, presence, registration, total
from app.ledger import registrations
from app.ledger.batches import AccountBatch, Executor, Progress, account_batches, in_process
from app.ledger.entries import EntryKey, entry_label_texts
from app.ledger.grand_totals import NO_MONTHS, add_to_grand_totals, recompute_grand_totals, sum_totals
from app.ledger.measures import MEASURES
from app.ledger.presence.rows import table_row
from app.ledger.replay import ReplayResult, replay
from app.ledger.stream_diff import write_stream_names


async def rebuild(books: Books, *, executor: Executor = in_process) -> AsyncIterator[Progress]:
    """Write everything that is derived from the events again. Yields the progress of each batch of accounts."""
    async for progress in executor(books, rebuild_accounts, account_batches(books)):
        yield progress
    await books.database.write(recompute_grand_totals)
    await finish_rebuilding(books.database)


async def rebuild_accounts(books: Books, batch: AccountBatch) -> Progress:
    """Write everything that is derived from the events of these accounts again."""

    async def write(connection: Connection) -> int:
        await lock_accounts(connection, {account_id: (id, MIN_DATE) for account_id, id in batch.items()})
        return await replace_derived_rows(connection, list(batch), books=books)

    return Progress(len(batch), await books.database.write(write))


async def replace_derived_rows(connection: Connection, ids: Sequence[int], *, books: Books) -> int:
    """Write everything that is derived from the events of locked accounts again; return the number of these events."""
    result = await replay(connection, ids, books=books)
    await _replace_rows(connection, ids, result, books=books)
    return result.event_count


async def _replace_rows(connection: Connection, ids: Sequence[int], result: ReplayResult, *, books: Books) -> None:
    """Replace the rows of these accounts by the result of a replay."""
    texts = {text for key in result.presence_rows for text in (key.presence, key.subject)}
    labels = await ensure_labels_within(connection, books.database, entry_label_texts(result.entries) | texts)
    sums_before = await sum_totals(connection, ids)
    await _replace(connection, entry, ids, _entry_rows(result.entries, labels))
    await _replace(connection, total, ids, _total_rows(result.entries, labels))
    await _replace(connection, presence, ids, _presence_rows(result, labels))
    await _replace(connection, registration, ids, _registration_rows(result))
    await write_stream_names(connection, result.stream_names)
    await rebuild_attributes(connection, ids, calendar=books.calendar)
    sums_after = await sum_totals(connection, ids)
    differences = {
        key: tuple(map(sub, sums_after.get(key, NO_MONTHS), sums_before.get(key, NO_MONTHS)))
        for key in sums_after.keys() | sums_before.keys()
    }
    await add_to_grand_totals(connection, differences)


async def _replace(
    connection: Connection, table: sa.Table, ids: Sequence[int], rows: Iterable[tuple[Any, ...]]
) -> None:
    await connection.execute(sa.delete(table).where(table.c.account_id.in_(ids)))
    await connection.copy_rows(table, rows)


def _entry_rows(entries: Mapping[EntryKey, int], labels: Mapping[str, int]) -> Iterator[tuple[int | str, ...]]:
    iso = cache(date.isoformat)
    for (measure, on, account_id, subject, channel, recorded_on), value in entries.items():
        if value:
            key = labels[measure], iso(on), account_id, labels[subject], labels[channel], iso(recorded_on)
            yield *key, value


def _total_rows(entries: Mapping[EntryKey, int], labels: Mapping[str, int]) -> Iterator[tuple[int, ...]]:
    """Yield the sums of entries by month; those of a stock are cumulated within the year."""
    months_by_key: dict[tuple[str, int, int, str, str], list[int]] = {}
    for (measure, on, account_id, subject, channel, _), value in entries.items():
        if value and MEASURES[measure].by_month:
            key = measure, on.year, account_id, subject, channel
            months = months_by_key.get(key) or months_by_key.setdefault(key, [0] * 12)
            months[on.month - 1] += value
    for (measure, year, account_id, subject, channel), months in months_by_key.items():
        sums = accumulate(months) if MEASURES[measure].stock else months
        yield labels[measure], year, account_id, labels[subject], labels[channel], *sums


def _presence_rows(result: ReplayResult, labels: Mapping[str, int]) -> Iterator[tuple[Any, ...]]:
    return (table_row(key, row, labels) for key, rows in result.presence_rows.items() for row in rows)


def _registration_rows(result: ReplayResult) -> Iterator[tuple[Any, ...]]:
    in_column_order = itemgetter(*registration.c.keys())
    for user, intervals in result.spells.items():
        yield from map(in_column_order, registrations.table_rows(user, intervals))
