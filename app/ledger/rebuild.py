"""The books written again from the kept events.

It goes through the accounts in the order of their keys, some at a time, so that the service can go on meanwhile: answers
are right before, between and after. What an account owns is written under its lock and by nobody else, so several
processes can share the accounts.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from itertools import accumulate
from operator import itemgetter, sub
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.accounts.accounts import lock_accounts
from app.accounts.attributes import rebuild_attributes
from app.books.books import Books, finish_rebuilding
from app.database import tables
from app.database.connection import Connection
from app.database.labels import ensure_labels_within
from app.database.tables import MIN_DATE, MONTH_COLUMNS, account, entry, event, grand_total, total
from app.ledger import presence, registrations
from app.ledger.entries import EntryKey, add_to_grand_totals, entry_label_texts, recompute_grand_totals
from app.ledger.measures import MEASURES
from app.ledger.replay import ReplayResult, replay
from app.ledger.unfold import move_events

_ACCOUNTS_AT_A_TIME = 300
# As many as are held in memory at a time, by each process, unless one account has more: some hundred MB.
_EVENTS_AT_A_TIME = 200_000

# What grand totals are made of: the sums of the totals of each account.
_PLACE = tuple(total.c[column.name] for column in grand_total.primary_key)
SUMS = sa.select(*_PLACE, *(sa.func.sum(month).label(month.name) for month in MONTH_COLUMNS)).group_by(*_PLACE)

# Some accounts: number -> id.
AccountBatch = dict[int, str]
# How work on some accounts after the others is done and what it came to; see `app.processes` for another way.
Executor = Callable[
    [Books, Callable[[Books, AccountBatch], Awaitable[Any]], AsyncIterator[AccountBatch]], AsyncIterator[Any]
]


class Progress(NamedTuple):
    """How many accounts, and events of theirs, were gone through."""

    accounts: int
    events: int


async def in_process(
    books: Books, work: Callable[[Books, AccountBatch], Awaitable[Any]], parts: AsyncIterator[AccountBatch]
) -> AsyncIterator[Any]:
    """In this process, one part after the other."""
    async for part in parts:
        yield await work(books, part)


async def rebuild(books: Books, *, share: Executor = in_process) -> AsyncIterator[Progress]:
    """Write everything that is derived from the events again; yields how far it has come."""
    async for progress in share(books, rebuild_accounts, account_batches(books)):
        yield progress
    await books.database.write(recompute_grand_totals)
    await finish_rebuilding(books.database)


async def rebuild_accounts(books: Books, ids: AccountBatch) -> Progress:
    """Write everything of these accounts again."""

    async def write(connection: Connection) -> int:
        await lock_accounts(connection, {key: (id, MIN_DATE) for key, id in ids.items()})
        made = await replay(connection, list(ids), books=books)
        await _write(connection, list(ids), made, books=books)
        return made.events

    return Progress(len(ids), await books.database.write(write))


async def _write(connection: Connection, ids: Sequence[int], made: ReplayResult, *, books: Books) -> None:
    words = entry_label_texts(made.entries) | {word for key in made.presence for word in (key.presence, key.subject)}
    labels = await ensure_labels_within(connection, books.database, words)
    seen = (presence.row_of(key, row, labels) for key, rows in made.presence.items() for row in rows)
    spells = (row for user, found in made.spells.items() for row in registrations.rows_of(user, found))
    before = await _sums(connection, ids)
    await _replace(connection, entry, ids, _entries(made.entries, labels))
    await _replace(connection, total, ids, _totals(made.entries, labels))
    await _replace(connection, tables.presence, ids, seen)
    await _replace(connection, tables.registration, ids, map(itemgetter(*tables.registration.c.keys()), spells))
    await move_events(connection, made.streams)
    await rebuild_attributes(connection, ids, calendar=books.calendar)
    after, nothing = await _sums(connection, ids), (0,) * len(MONTH_COLUMNS)
    moves = {p: tuple(map(sub, after.get(p, nothing), before.get(p, nothing))) for p in after.keys() | before.keys()}
    await add_to_grand_totals(connection, moves)


async def _sums(connection: Connection, ids: Sequence[int]) -> dict[tuple[int, ...], tuple[int, ...]]:
    """What is in the totals of all accounts of these ones."""
    return await months_of(connection, SUMS.where(total.c.account_id.in_(ids)))


async def months_of(connection: Connection, query: sa.Select[Any]) -> dict[tuple[int, ...], tuple[int, ...]]:
    """The months by measure, year, subject and channel, of `SUMS` or of the grand totals themselves."""
    return {tuple(row[: len(_PLACE)]): tuple(map(int, row[len(_PLACE) :])) for row in await connection.execute(query)}


async def _replace(
    connection: Connection, table: sa.Table, ids: Sequence[int], rows: Iterable[tuple[Any, ...]]
) -> None:
    await connection.execute(sa.delete(table).where(table.c.account_id.in_(ids)))
    await connection.copy_rows(table, rows)


def _entries(entries: Mapping[EntryKey, int], labels: Mapping[str, int]) -> Iterator[tuple[int | str, ...]]:
    spelled = cache(date.isoformat)
    for (measure, on, account_id, subject, channel, known), value in entries.items():
        if value:
            place = labels[measure], spelled(on), account_id, labels[subject], labels[channel], spelled(known)
            yield *place, value


def _totals(entries: Mapping[EntryKey, int], labels: Mapping[str, int]) -> Iterator[tuple[int, ...]]:
    """The sums of entries by months; a stock's are cumulated within the year."""
    years: dict[tuple[str, int, int, str, str], list[int]] = {}
    for (measure, on, account_id, subject, channel, _), value in entries.items():
        if value and MEASURES[measure].by_month:
            place = measure, on.year, account_id, subject, channel
            months = years.get(place) or years.setdefault(place, [0] * 12)
            months[on.month - 1] += value
    for (measure, year, account_id, subject, channel), months in years.items():
        sums = accumulate(months) if MEASURES[measure].stock else months
        yield labels[measure], year, account_id, labels[subject], labels[channel], *sums


async def account_batches(books: Books) -> AsyncIterator[AccountBatch]:
    """All accounts, so many at a time as have not too many events together."""
    last = None
    while True:
        query = sa.select(account.c.account_id, account.c.id).order_by(account.c.account_id).limit(_ACCOUNTS_AT_A_TIME)
        if last is not None:
            query = query.where(account.c.account_id > last)

        async def some(connection: Connection, query: sa.Select[Any] = query) -> Sequence[Any]:
            page = query.subquery()
            found = (
                sa.select(event.c.id).where(event.c.account_id == page.c.account_id).limit(_EVENTS_AT_A_TIME).lateral()
            )
            counted = sa.select(page, sa.func.count(found.c.id)).select_from(page.outerjoin(found, sa.true()))
            counted = counted.group_by(page.c.account_id, page.c.id).order_by(page.c.account_id)
            return await connection.execute(counted)

        page = await books.database.read(some)
        if not page:
            return
        for part in _parts(page):
            yield part
        last = page[-1].account_id


def _parts(page: Iterable[tuple[int, str, int]]) -> Iterator[AccountBatch]:
    part: AccountBatch = {}
    together = 0
    for account_id, id, events in page:
        if part and together + events > _EVENTS_AT_A_TIME:
            yield part
            part, together = {}, 0
        part[account_id] = id
        together += events
    yield part
