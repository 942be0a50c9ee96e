"""Delete the deliveries, and the notes of changes, that are older than they are kept.

That is done at the start and every hour, also in a service that nobody calls.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import sqlalchemy as sa
import structlog

from app.books.books import Books
from app.core.errors import ServiceError, Unavailable
from app.database.data_state import delete_old_changes
from app.database.inbound_tables import delivery

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 3600.0
_OUTAGE_SECONDS = 60.0
_AT_ONCE = 10_000


async def prune_deliveries(books: Books, *, days: int) -> None:
    """Delete the deliveries that were received more than some days ago. Their events stay."""
    is_old = delivery.c.received_at < books.clock() - timedelta(days=days)
    # Every process does this, so none waits for what another one deletes.
    keys = sa.select(delivery.c.source, delivery.c.id).where(is_old).order_by(delivery.c.received_at).limit(_AT_ONCE)
    old = keys.with_for_update(skip_locked=True).cte("old")
    query = sa.delete(delivery).where(delivery.c.source == old.c.source, delivery.c.id == old.c.id)
    while (await books.database.write_aside(lambda connection: connection.execute(query))).row_count == _AT_ONCE:
        pass


@asynccontextmanager
async def prune_aside(books: Books, *, days: int) -> AsyncIterator[None]:
    """Delete old deliveries in the background, now and every hour inside the `with` block: there may be many."""
    task = asyncio.create_task(_prune_again_and_again(books, days=days))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _prune_again_and_again(books: Books, *, days: int) -> None:
    while True:
        pause = PAUSE_SECONDS
        try:
            await prune_deliveries(books, days=days)
            await books.database.write_aside(lambda connection: connection.enqueue([delete_old_changes()]))
        except Unavailable:
            # The outage itself is reported, once.
            pause = _OUTAGE_SECONDS
        except ServiceError as error:
            log.warning("cannot delete old deliveries", reason=str(error))
        except Exception:
            # The next time it may succeed.
            log.exception("cannot delete old deliveries")
        await asyncio.sleep(pause)
