"""Open the books: connect to the database or start the embedded one, migrate it, and check the settings."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import anyio.to_thread
import structlog

from app.books.books import Books, create_or_load_books, system_clock
from app.core.errors import ServiceError, Unavailable
from app.core.settings import Settings
from app.database.address import describe_url
from app.database.migrate import SchemaVersion, migrate, schema_version
from app.database.pool import Database, QuestionLimits, connect
from app.database.wait import wait_until_available
from app.embedded import server as embedded
from app.embedded.cluster import EmbeddedError, data_folder

log = structlog.get_logger()

_WATCH_SECONDS = 2
_MIGRATION_WATCH_SECONDS = 2
_CREATING_COMMANDS = "`csmetrics serve`, `demo`, `migrate` and `import --create`"


# What features bring up to date in a database whose tables are those of this version. It must not raise.
UPDATES: list[Callable[[Database], Awaitable[None]]] = []


class NotMigrated(Unavailable):
    """The tables of the database are missing or of another version than this code."""

    code = "not_migrated"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after=10)


@asynccontextmanager
async def open_books(
    settings: Settings, *, clock: Callable[[], datetime] = system_clock, adopt: bool = False, create: bool = True
) -> AsyncIterator[Books]:
    """Open the books for the duration of the context. Without DATABASE_URL, the embedded server runs as long, too.

    create: create what does not exist: the embedded server's folder, and the tables. adopt: see `create_or_load_books`.
    Raises EmbeddedError or Unavailable when there is no database, NotMigrated when its tables are not those of this version,
    Conflict when it was set up with other settings.
    """
    async with open_database(settings, create=create) as database:
        await prepare_tables(settings, database, create=create)
        yield await create_or_load_books(settings, database, clock=clock, adopt=adopt)


@asynccontextmanager
async def open_database(settings: Settings, *, create: bool = True) -> AsyncIterator[Database]:
    """Connect to the database of the settings, or start the embedded one, and wait until it answers.

    create: see `open_books`. Raises EmbeddedError, Unavailable or ServiceError.
    """
    server: embedded.EmbeddedServer | None = None
    if settings.database_url is None:
        if not create and not (data_folder(settings.data_dir) / "cluster").exists():
            raise ServiceError(_nothing_there(settings))
        server = await anyio.to_thread.run_sync(embedded.start_server, settings.data_dir)
        url = server.url
    else:
        url = settings.database_url.get_secret_value()
    try:
        limits = QuestionLimits(
            at_once=settings.questions_at_once,
            per_caller=min(settings.questions_per_key, settings.questions_at_once),
            seconds=settings.question_timeout,
            wait_seconds=settings.question_wait,
        )
        database = connect(url, pool_size=settings.pool_size, questions=limits)
        watch = asyncio.create_task(_watch_server(server)) if server is not None else None
        try:
            await wait_until_available(database, seconds=settings.database_wait_seconds)
            yield database
        finally:
            if watch is not None:
                watch.cancel()
                with suppress(asyncio.CancelledError):
                    await watch
            await database.dispose()
    finally:
        if server is not None:
            await anyio.to_thread.run_sync(server.stop)


def describe_database(settings: Settings) -> str:
    """Return which database the settings name, without its password."""
    if settings.database_url is None:
        return f"the embedded PostgreSQL in {data_folder(settings.data_dir)}"
    return f"the database {describe_url(settings.database_url.get_secret_value())}"


async def prepare_tables(settings: Settings, database: Database, *, create: bool) -> None:
    """Migrate the database, if the settings say so, and raise NotMigrated unless its tables are those of this version.

    create: also migrate a database without tables, and bring up to date what features have in it.
    """
    version = await database.read(schema_version)
    may_migrate = create if version is SchemaVersion.EMPTY else version is SchemaVersion.OLDER
    if may_migrate and settings.migrate_on_start:
        url = database.engine.url.render_as_string(hide_password=False)
        await anyio.to_thread.run_sync(migrate, url)
    elif version is SchemaVersion.EMPTY and not create:
        raise NotMigrated(_nothing_there(settings))
    elif version is not SchemaVersion.CURRENT:
        raise NotMigrated(migration_advice(version))
    if create and settings.migrate_on_start:
        for update in UPDATES:
            await update(database)


async def wait_until_migrated(database: Database) -> None:
    """Return when the tables are those of this version: for a service that leaves the migration to `csmetrics migrate`."""
    while True:
        with suppress(Unavailable):
            if await database.read(schema_version) is SchemaVersion.CURRENT:
                return
        await asyncio.sleep(_MIGRATION_WATCH_SECONDS)


def migration_advice(version: SchemaVersion) -> str:
    """Return what to do about a database whose tables are not those of this version."""
    if version is SchemaVersion.NEWER:
        return "The database belongs to a newer version of the service. Upgrade this installation."
    state = "has no tables yet" if version is SchemaVersion.EMPTY else "belongs to an older version of the service"
    return f"The database {state}. Run `csmetrics migrate`."


def _nothing_there(settings: Settings) -> str:
    setting = "DATA_DIR" if settings.database_url is None else "DATABASE_URL"
    return (
        f"There is no data in {describe_database(settings)}. If another one is meant, set {setting}. "
        f"To set up a new one: {_CREATING_COMMANDS} do that."
    )


async def _watch_server(server: embedded.EmbeddedServer) -> None:
    """Restart the embedded server when it has been killed: nothing else would."""
    while True:
        await asyncio.sleep(_WATCH_SECONDS)
        try:
            await anyio.to_thread.run_sync(server.restart_if_dead)
        except EmbeddedError as error:
            log.error("the embedded PostgreSQL cannot be restarted", reason=str(error))
