"""Retraction: an event is taken back, from today on; what was known before today stays as it was."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import sqlalchemy as sa

from app.accounts import book
from app.books.books import Books
from app.core.errors import NotFound
from app.database.connection import Connection
from app.database.labels import keys_of
from app.database.query_plan import answered
from app.database.tables import BEGINNING, WHOLE_BUSINESS, event
from app.ingest.define import Event
from app.ledger import surveys
from app.ledger.posting import Record, known, record, record_of, words_of


async def retract(books: Books, *, account: str | None, id: str) -> None:
    """Take an event back: what it posted is posted again with the opposite sign. Doing it twice does nothing more.

    account: the client's id; None for an event of the whole business. Raises NotFound.
    """
    account_id = WHOLE_BUSINESS if account is None else book.key_of(account)
    this = sa.and_(event.c.account_id == account_id, event.c.id == id)
    _, said = await books.database.read(lambda connection: _posted(connection, this, books=books))
    await keys_of(books.database, words_of([said]))

    async def write(connection: Connection, today: date) -> None:
        touched = await book.touch(connection, {account_id: (account or "", BEGINNING)})
        today = max(today, touched[account_id].last_recorded_on)
        taken = sa.update(event).where(this, event.c.retracted_on.is_(None)).values(retracted_on=today)
        if not (await connection.execute(taken)).changed:
            return
        await book.touch(connection, {account_id: (account or "", today)})
        # Once more under the lock: its user may have been erased meanwhile.
        found, posted = await _posted(connection, this, books=books)
        if found.type == book.UPDATED:
            await book.record(connection, {account_id: {today}}, calendar=books.calendar)
        before = await answered(connection, known([posted], books=books))
        await record(connection, [(posted, today)], before, books=books, back=True)

    await books.write(write)


async def _posted(connection: Connection, this: sa.ColumnElement[bool], *, books: Books) -> tuple[Any, Record]:
    """The event, which never changes but by erasure, and what it posted."""
    found = next(iter(await connection.execute(sa.select(event).where(this))), None)
    if found is None:
        raise NotFound("There is no such event.")
    survey = found.data.get("survey")
    known = await surveys.find(connection, [survey]) if survey else {}
    return found, record_of(found, known.get(survey), found.rate, calendar=books.calendar)


async def replace(connection: Connection, accepted: Iterable[Event]) -> None:
    """Take back what events take the place of, in the transaction that brings them, under their accounts' locks.

    Only updates of accounts are replaced: they post nothing, and the caller derives the attributes of the day again. Of
    several that come together, the last takes the place of the others.
    """
    replacing = (new for new in accepted if new.replaces and new.type == book.UPDATED)
    for new in {(new.account_id, new.occurred_at): new for new in replacing}.values():
        others = sa.and_(
            event.c.account_id == new.account_id,
            event.c.type == new.type,
            event.c.occurred_at == new.occurred_at,
            event.c.id.startswith(new.replaces, autoescape=True),
            event.c.id != new.id,
            event.c.retracted_on.is_(None),
        )
        await connection.execute(sa.update(event).where(others).values(retracted_on=new.recorded_on))
