"""Open the books: connect to the database or start the embedded one, migrate it, and check the settings."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import anyio.to_thread
import structlog

from app.books.books import Books, create_or_load_books, system_clock
from app.core.settings import Settings
from app.database.migrate import migrate
from app.database.pool import connect, wait_until_available
from app.embedded import server as embedded
from app.embedded.cluster import EmbeddedError

log = structlog.get_logger()

_WATCH_SECONDS = 2


@asynccontextmanager
async def open_books(
    settings: Settings, *, clock: Callable[[], datetime] = system_clock, adopt: bool = False
) -> AsyncIterator[Books]:
    """Open the books for the duration of the context. Without DATABASE_URL, the embedded server runs as long, too.

    adopt: see `create_or_load_books`. Raises EmbeddedError or Unavailable when there is no database, Conflict when it was set
    up with other settings.
    """
    server: embedded.EmbeddedServer | None = None
    if settings.database_url is None:
        server = await anyio.to_thread.run_sync(embedded.start_server, settings.data_dir)
        url = server.url
    else:
        url = settings.database_url.get_secret_value()
    database = connect(url, pool_size=settings.pool_size)
    watch = asyncio.create_task(_watch_server(server)) if server is not None else None
    try:
        await wait_until_available(database, seconds=settings.database_wait_seconds)
        if settings.migrate_on_start:
            await anyio.to_thread.run_sync(migrate, url)
        yield await create_or_load_books(settings, database, clock=clock, adopt=adopt)
    finally:
        if watch is not None:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
        await database.engine.dispose()
        if server is not None:
            await anyio.to_thread.run_sync(server.stop)


async def _watch_server(server: embedded.EmbeddedServer) -> None:
    """Restart the embedded server when it has been killed: nothing else would."""
    while True:
        await asyncio.sleep(_WATCH_SECONDS)
        try:
            await anyio.to_thread.run_sync(server.restart_if_dead)
        except EmbeddedError as error:
            log.error("the embedded PostgreSQL cannot be restarted", reason=str(error))
