"""Batches of accounts: how rebuild and verify go through all accounts, and who does the work.

They take the accounts in the order of their keys, some at a time, so that the service goes on meanwhile. The work on a batch
is a function of the books and the batch. An executor runs it for all batches: `in_process` here, or the worker processes of
`app.cli.workers`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import date
from itertools import accumulate
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.books.books import Books
from app.core.periods import Calendar
from app.database.connection import Connection
from app.database.pool import connect
from app.database.tables import account, event

_MAX_ACCOUNTS = 300
# A batch is held in memory by its process: some hundred MB. Only an account that has more events by itself exceeds this.
_MAX_EVENTS = 200_000

# The accounts of a batch: account_id -> the client's id.
AccountBatch = dict[int, str]
# What another thread or process needs to open the books: URL of the database, calendar, currency.
BooksAddress = tuple[str, Calendar, str]
# Work on one batch, and what it returns.
BatchWork = Callable[[Books, AccountBatch], Awaitable[Any]]
# Runs work for each batch; yields the results in the order in which they are done.
Executor = Callable[[Books, BatchWork, AsyncIterator[AccountBatch]], AsyncIterator[Any]]


class Progress(NamedTuple):
    """The numbers of accounts and of their events in one batch that is done."""

    accounts: int
    events: int


async def in_process(books: Books, work: BatchWork, batches: AsyncIterator[AccountBatch]) -> AsyncIterator[Any]:
    """Run the work in this process, one batch after the other: the default executor."""
    async for batch in batches:
        yield await work(books, batch)


async def in_thread(books: Books, work: BatchWork, batches: AsyncIterator[AccountBatch]) -> AsyncIterator[Any]:
    """Run the work in a thread, one batch after the other: an executor for a process that serves requests meanwhile."""
    async for batch in batches:
        yield await run_in_thread(books, work, batch)


async def run_in_thread(books: Books, work: BatchWork, batch: AccountBatch) -> Any:
    """Return the result of work on one batch, in a thread with an event loop and a connection of its own."""
    url = books.database.engine.url.render_as_string(hide_password=False)
    return await asyncio.to_thread(asyncio.run, run_alone((url, books.calendar, books.currency), work, batch))


async def run_alone(address: BooksAddress, work: BatchWork, batch: AccountBatch) -> Any:
    """Return the result of work on the books at this address, on a connection of its own."""
    url, calendar, currency = address
    database = connect(url, pool_size=1)
    try:
        return await work(Books(database, calendar, currency), batch)
    finally:
        await database.dispose()


async def take_accounts(books: Books, accounts: AccountBatch, *, most_events: int) -> AccountBatch:
    """Return the first of some accounts whose events together are not too many; at least one account."""
    events = sa.select(event.c.id).where(event.c.account_id == account.c.account_id).limit(most_events).lateral()
    query = sa.select(account.c.account_id, sa.func.count(events.c.id))
    query = query.select_from(account.outerjoin(events, sa.true())).where(account.c.account_id.in_(list(accounts)))

    async def load(connection: Connection) -> dict[int, int]:
        return dict(await connection.execute(query.group_by(account.c.account_id)))

    counts = await books.database.read(load)
    sums = accumulate(counts.get(account_id, 0) for account_id in accounts)
    chosen = [account_id for account_id, events in zip(accounts, sums, strict=True) if events <= most_events]
    return {account_id: accounts[account_id] for account_id in chosen or [*accounts][:1]}


async def account_batches(books: Books, *, recorded_after: date | None = None) -> AsyncIterator[AccountBatch]:
    """Yield all accounts, in batches of at most 300 accounts and about 200,000 events.

    recorded_after: only accounts of which something is recorded on a later day.
    """
    last_account = None
    while page := await _load_page(books, last_account, recorded_after):
        for batch in _split_by_events(page):
            yield batch
        last_account = page[-1].account_id


async def _load_page(books: Books, after: int | None, recorded_after: date | None) -> Sequence[Any]:
    """Load the next accounts in the order of their keys, with the numbers of their events, at most `_MAX_EVENTS` each."""
    accounts = sa.select(account.c.account_id, account.c.id).order_by(account.c.account_id).limit(_MAX_ACCOUNTS)
    if after is not None:
        accounts = accounts.where(account.c.account_id > after)
    if recorded_after is not None:
        accounts = accounts.where(account.c.last_recorded_on > recorded_after)
    page = accounts.subquery()
    events = sa.select(event.c.id).where(event.c.account_id == page.c.account_id).limit(_MAX_EVENTS).lateral()
    query = sa.select(page, sa.func.count(events.c.id)).select_from(page.outerjoin(events, sa.true()))
    query = query.group_by(page.c.account_id, page.c.id).order_by(page.c.account_id)

    async def load(connection: Connection) -> Sequence[Any]:
        return await connection.execute(query)

    return await books.database.read(load)


def _split_by_events(page: Iterable[tuple[int, str, int]]) -> Iterator[AccountBatch]:
    batch: AccountBatch = {}
    batch_events = 0
    for account_id, id, events in page:
        if batch and batch_events + events > _MAX_EVENTS:
            yield batch
            batch, batch_events = {}, 0
        batch[account_id] = id
        batch_events += events
    yield batch
