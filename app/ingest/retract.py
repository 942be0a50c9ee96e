"""Retraction: an event is taken back, from today on; what was known before today stays as it was."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import sqlalchemy as sa

from app.accounts.accounts import account_key, lock_accounts
from app.accounts.attributes import ACCOUNT_UPDATED, derive_attributes
from app.books.books import Books
from app.core.errors import NotFound
from app.database.connection import Connection
from app.database.labels import ensure_labels
from app.database.query_plan import run_plan
from app.database.tables import MIN_DATE, WHOLE_BUSINESS, event
from app.ingest.define import IncomingEvent
from app.ledger import surveys
from app.ledger.posting import EventPosting, build_posting, load_posting_context, post_events, posting_label_texts


async def retract_event(books: Books, *, account: str | None, id: str) -> None:
    """Take an event back: what it posted is posted again with the opposite sign. Doing it twice does nothing more.

    account: the client's id; None for an event of the whole business. Raises NotFound.
    """
    account_id = WHOLE_BUSINESS if account is None else account_key(account)
    this = sa.and_(event.c.account_id == account_id, event.c.id == id)
    _, said = await books.database.read(lambda connection: _posted(connection, this, books=books))
    await ensure_labels(books.database, posting_label_texts([said]))

    async def write(connection: Connection, today: date) -> None:
        touched = await lock_accounts(connection, {account_id: (account or "", MIN_DATE)})
        today = max(today, touched[account_id].last_recorded_on)
        taken = sa.update(event).where(this, event.c.retracted_on.is_(None)).values(retracted_on=today)
        if not (await connection.execute(taken)).row_count:
            return
        await lock_accounts(connection, {account_id: (account or "", today)})
        # Once more under the lock: its user may have been erased meanwhile.
        found, posted = await _posted(connection, this, books=books)
        if found.type == ACCOUNT_UPDATED:
            await derive_attributes(connection, {account_id: {today}}, calendar=books.calendar)
        before = await run_plan(connection, load_posting_context([posted], books=books))
        await post_events(connection, [(posted, today)], before, books=books, is_retraction=True)

    await books.write(write)


async def _posted(connection: Connection, this: sa.ColumnElement[bool], *, books: Books) -> tuple[Any, EventPosting]:
    """The event, which never changes but by erasure, and what it posted."""
    found = next(iter(await connection.execute(sa.select(event).where(this))), None)
    if found is None:
        raise NotFound("There is no such event.")
    survey = found.data.get("survey")
    known = await surveys.load_surveys(connection, [survey]) if survey else {}
    return found, build_posting(found, known.get(survey), found.rate, calendar=books.calendar)


async def retract_replaced(connection: Connection, accepted: Iterable[IncomingEvent]) -> None:
    """Take back what events take the place of, in the transaction that brings them, under their accounts' locks.

    Only updates of accounts are replaced: they post nothing, and the caller derives the attributes of the day again. Of
    several that come together, the last takes the place of the others.
    """
    replacing = (new for new in accepted if new.replaces and new.type == ACCOUNT_UPDATED)
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
