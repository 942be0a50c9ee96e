"""The books written again from the kept events.

It goes through the accounts in the order of their keys, some at a time, so that the service can go on meanwhile: answers
are right before, between and after.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts import book
from app.ledger import presence, registrations
from app.ledger.post import post, words_of
from app.ledger.replay import Replay, replay
from app.store import tables
from app.store.books import Books, finish_rebuilding
from app.store.database import keys_within, send
from app.store.tables import BEGINNING, account, entry, total

_ACCOUNTS_AT_A_TIME = 100


class Progress(NamedTuple):
    accounts: int
    events: int


async def rebuild(books: Books) -> AsyncIterator[Progress]:
    """Write everything that is derived from the events again; yields how far it has come."""
    async for ids in some_accounts(books):

        async def write(connection: AsyncConnection, ids: dict[int, str] = ids) -> int:
            await book.touch(connection, {key: (id, BEGINNING) for key, id in ids.items()})
            made = await replay(connection, list(ids), books=books)
            await _write(connection, list(ids), made, books=books)
            return made.events

        yield Progress(len(ids), await books.database.write(write))
    await finish_rebuilding(books.database)


async def _write(connection: AsyncConnection, ids: Sequence[int], made: Replay, *, books: Books) -> None:
    words = words_of(made.entries) | {word for key in made.presence for word in (key.presence, key.subject)}
    labels = await keys_within(connection, books.database, words)
    for table in (entry, total, tables.presence, tables.registration):
        await connection.execute(sa.delete(table).where(table.c.account_id.in_(ids)))
    await post(connection, made.entries, labels=labels)
    rows = [presence.row_of(key, row, labels) for key, found in made.presence.items() for row in found]
    await presence.write(connection, rows)
    spells = [row for user, found in made.spells.items() for row in registrations.rows_of(user, found)]
    await registrations.write(connection, spells)
    moved = [{"account_id": key, "id": id, "stream": stream} for (key, id), stream in made.streams.items()]
    await send(connection, _STREAMS, moved)
    await book.rewrite(connection, ids, calendar=books.calendar)


_STREAMS = """
    UPDATE event SET stream = new.stream
    FROM json_to_recordset(CAST(%(rows)s AS json)) AS new(account_id bigint, id text, stream text)
    WHERE event.account_id = new.account_id AND event.id = new.id
    """


async def some_accounts(books: Books) -> AsyncIterator[dict[int, str]]:
    """All accounts, some at a time: number -> id."""
    last = None
    while True:
        query = sa.select(account.c.account_id, account.c.id).order_by(account.c.account_id).limit(_ACCOUNTS_AT_A_TIME)
        if last is not None:
            query = query.where(account.c.account_id > last)

        async def some(connection: AsyncConnection, query: sa.Select[Any] = query) -> dict[int, str]:
            return dict((await connection.execute(query)).all())

        ids = await books.database.read(some)
        if not ids:
            return
        yield ids
        last = max(ids)
