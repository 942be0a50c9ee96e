"""Describe an account by PUT: each call is stored as an `account.updated` event and replaces the one for the same moment."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from app.accounts.accounts import account_key
from app.accounts.attributes import ACCOUNT_UPDATED
from app.books.books import Books
from app.core.errors import Invalid
from app.database.connection import Connection
from app.database.tables import event
from app.ingest.accept import accept_events
from app.ingest.stages import RESERVED_ID_PREFIX


async def put_account_update(books: Books, account_id: str, data: dict[str, Any], *, effective_at: datetime) -> None:
    """Store what is true of an account from a moment on; do nothing where exactly this is stored already.

    data: the event data, `name` and `attributes`. Raises Invalid with a pointer into the body of the PUT.
    """
    if await _is_current(books, account_id, data, effective_at=effective_at):
        return
    raw = {
        "id": f"{RESERVED_ID_PREFIX}{uuid4().hex}",
        "type": ACCOUNT_UPDATED,
        "account_id": account_id,
        "occurred_at": effective_at.isoformat(),
        "data": data,
    }
    outcome = await accept_events(books, [raw], may_use_reserved_ids=True)
    if outcome.rejected:
        faults = outcome.rejected[0]["errors"]
        for fault in faults:
            fault["pointer"] = fault["pointer"].removeprefix("/data").replace("/occurred_at", "/effective_at")
        raise Invalid.of(faults)


async def _is_current(books: Books, account_id: str, data: dict[str, Any], *, effective_at: datetime) -> bool:
    """Return whether the update that stands for this moment has the same data."""
    is_same = sa.exists().where(
        event.c.account_id == account_key(account_id),
        event.c.type == ACCOUNT_UPDATED,
        event.c.occurred_at == effective_at,
        event.c.id.startswith(RESERVED_ID_PREFIX, autoescape=True),
        event.c.retracted_on.is_(None),
        # Compared by PostgreSQL, to which true and 1 are different.
        event.c.data == data,
    )

    async def load(connection: Connection) -> bool:
        return bool(await connection.scalar(sa.select(is_same)))

    return await books.database.read(load)
