"""Connections, transactions and migrations.

A request is one transaction. `Database.write` and `Database.read` run a function in one and run it again when PostgreSQL
asks for that (a deadlock, a connection that died in the pool), so the function must be safe to repeat: every write of
this service is.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.rows import namedtuple_row
from pydantic_core import to_json
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

import migrations as chain
from app.errors import Invalid, Unavailable
from app.store.tables import label

T = TypeVar("T")

APPLICATION = "csmetrics"
# serialization_failure, deadlock_detected
_RUN_AGAIN = {"40001", "40P01"}
_CUT = "terminating connection due to administrator command"
_ATTEMPTS = 5
_CONNECTION = {
    "application_name": APPLICATION,
    "options": "-c timezone=utc -c jit=off -c statement_timeout=120s",
    "connect_timeout": 5,
    # A host that has vanished is noticed in half a minute.
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_MOST_ROWS = 50_000
_MIGRATION_LOCK = 4_711_235_813


@dataclass(frozen=True, slots=True)
class Database:
    """One process's way to the database; `labels` are the words it has met, which never change their numbers.

    snapshots, glances: the same pool, with what a read of several statements or of one needs.
    """

    engine: AsyncEngine
    snapshots: AsyncEngine
    glances: AsyncEngine
    labels: dict[str, int] = field(default_factory=dict)

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in one READ COMMITTED transaction. Raises Unavailable when the database is away."""
        return await _run(self.engine, work)

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` on one snapshot, so that two numbers of an answer never come from different moments."""
        return await _run(self.snapshots, work)

    async def glance(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work`, which is one statement that reads, without a transaction around it."""
        return await _run(self.glances, work)


def connect(url: str, *, pool_size: int) -> Database:
    """A pool of at most `pool_size` connections; nothing is contacted yet."""
    engine = create_async_engine(
        _with_driver(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        hide_parameters=True,  # an error's text goes to the log, which must not repeat what people wrote
        connect_args=_CONNECTION,
    )
    return Database(
        engine,
        snapshots=engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True),
        glances=engine.execution_options(isolation_level="AUTOCOMMIT"),
    )


def _with_driver(url: str) -> sa.URL:
    parsed = sa.make_url(url)
    return parsed.set(drivername="postgresql+psycopg")


async def _run(engine: AsyncEngine, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            async with engine.begin() as connection:
                return await work(connection)
        except PoolTimeout as error:
            raise Unavailable("All database connections are busy; come again in a moment.", code="busy") from error
        except DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None)
            if state == "22003":
                raise Invalid("A sum would exceed what the books can hold.", code="out_of_range") from error
            if state is not None and (state.startswith("54") or state == "57014"):
                raise Invalid("That is more than one statement can hold; ask for less.", code="too_complex") from error
            # A connection that was cut is no sign that the next one fails; when the database is away, that one does.
            # Nor is one that was cut while it was being made, of which there is only the message.
            again = state in _RUN_AGAIN or error.connection_invalidated or _CUT in str(error.orig)
            if not again and not _is_away(error):
                raise
            if not again or attempt == _ATTEMPTS:
                raise Unavailable("The database is away; come again in a moment.") from error
            await asyncio.sleep(0.01 * 2**attempt)
    raise AssertionError("unreachable")


def _is_away(error: DBAPIError) -> bool:
    """Whether the database cannot do its work at the moment.

    No SQLSTATE, class 08 (connection), 53 (full, such as its disk), 57P (shut down) or 25006 (read-only after a failover).
    """
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
    return bool(state.startswith(("08", "53", "57P")) or state == "25006")


async def send(
    connection: AsyncConnection, statement: str, rows: Sequence[Mapping[str, Any]], **others: Any
) -> Sequence[Any]:
    """Run a statement for many rows at once; they are its parameter `rows`, as JSON. What it returns, rows with names.

    Of very many rows it is run for some after the others, since a JSON text has a limit; for none not at all. By the driver
    itself: for the few statements through which every event goes, SQLAlchemy takes as long as PostgreSQL.

    PostgreSQL cannot know how many rows the text has, and might read a whole table for one of them: look-ups are written
    as LATERAL subqueries that cannot be flattened (OFFSET 0), so that each row is looked up by the key.
    """
    if not rows:
        return ()
    if len(rows) > _MOST_ROWS:
        parts = (rows[first : first + _MOST_ROWS] for first in range(0, len(rows), _MOST_ROWS))
        return [found for part in parts for found in await send(connection, statement, part, **others)]
    return await execute(connection, statement, {"rows": to_json(rows).decode(), **others})


async def send_columns(
    connection: AsyncConnection, statement: str, names: Iterable[str], rows: Sequence[Sequence[Any]], **others: Any
) -> Sequence[Any]:
    """Like `send`, of rows of numbers and dates: each column is a parameter of its name, the text of an array.

    PostgreSQL reads that in half the time, and a database adapter's own arrays take five times as long to make.
    """
    if len(rows) > _MOST_ROWS:
        parts = (rows[first : first + _MOST_ROWS] for first in range(0, len(rows), _MOST_ROWS))
        return [found for part in parts for found in await send_columns(connection, statement, names, part, **others)]
    if not rows:
        return ()
    columns = zip(names, zip(*rows, strict=True), strict=True)
    arrays = {name: array_of(column) for name, column in columns}
    return await execute(connection, statement, arrays | others)


# There are few different ones in a batch.
_spelled = lru_cache(maxsize=10_000)(str)


def table_of(columns: Mapping[str, str]) -> str:
    """The rows of `send_columns` as a table in SQL; the columns with their types."""
    arrays = ", ".join(f"CAST(%({name})s AS {kind}[])" for name, kind in columns.items())
    return f"unnest({arrays}) AS row({', '.join(columns)})"


def array_of(values: Sequence[Any]) -> str:
    """Numbers or dates as the text of an array."""
    return "{" + ",".join(map(str if values and isinstance(values[0], int) else _spelled, values)) + "}"


async def execute(connection: AsyncConnection, statement: str, parameters: Mapping[str, Any]) -> Sequence[Any]:
    """What a statement returns, rows with names; by the driver itself, and prepared."""
    async with _by_the_driver(connection, statement) as driver:
        cursor = driver.cursor(row_factory=namedtuple_row)
        await cursor.execute(statement, parameters, prepare=True)
        return await cursor.fetchall() if cursor.description else ()


async def fill(connection: AsyncConnection, table: sa.Table, rows: Iterable[tuple[Any, ...]]) -> None:
    """Add rows to a table that has none of their keys: by COPY, in the order of the keys.

    rows: numbers and days, in the order of the table's columns, those of the primary key first.
    """
    ordered = sorted(rows)
    statement = f"COPY {table.name} ({', '.join(table.columns.keys())}) FROM STDIN"
    async with _by_the_driver(connection, statement) as driver:
        for first in range(0, len(ordered), _MOST_ROWS):  # in parts, since there is a limit to the time of a statement
            text = "".join(["\t".join(map(str, row)) + "\n" for row in ordered[first : first + _MOST_ROWS]])
            async with driver.cursor().copy(statement) as copy:
                await copy.write(text)


@asynccontextmanager
async def _by_the_driver(connection: AsyncConnection, statement: str) -> AsyncIterator[Any]:
    """The driver's connection; its errors come as SQLAlchemy would have said them, so that they are handled as its own."""
    assert connection.sync_connection is not None
    driver: Any = connection.sync_connection.connection.driver_connection
    try:
        yield driver
    except psycopg.Error as error:
        if driver.closed:
            # Raises; and having seen it itself, SQLAlchemy gives up all connections that may have died with this one.
            await connection.exec_driver_sql("SELECT 1")
        raise DBAPIError.instance(statement, None, error, psycopg.Error, hide_parameters=True) from error


async def keys_of(database: Database, words: Collection[str]) -> dict[str, int]:
    """The numbers of `words`; a new word gets one, in a transaction of its own (a word that is left over harms nobody)."""
    known = database.labels
    missing = sorted({word for word in words if word not in known})
    if missing:
        await database.write(lambda connection: _learn(connection, missing))
        # Read outside the writing transaction: another process may have inserted the word in between.
        await database.read(lambda connection: recall(connection, database, missing))
    return known


async def recall(connection: AsyncConnection, database: Database, words: Collection[str]) -> dict[str, int]:
    """The numbers of those `words` that have one, as this transaction sees it."""
    known = database.labels
    missing = [word for word in words if word not in known]
    if missing:
        known.update(await _look_up(connection, missing))
    return {word: known[word] for word in words if word in known}


async def keys_within(connection: AsyncConnection, database: Database, words: Collection[str]) -> dict[str, int]:
    """The numbers of `words`, in a transaction that has begun and should not wait for another connection.

    Once in a transaction: it locks new words in their order.
    """
    known = {word: database.labels[word] for word in words if word in database.labels}
    if missing := set(words) - known.keys():
        # Not remembered: what this transaction has learned itself may yet be rolled back.
        known |= await _look_up(connection, missing)
        if missing := set(words) - known.keys():
            await _learn(connection, sorted(missing))
            known |= await _look_up(connection, missing)
    return known


async def _look_up(connection: AsyncConnection, words: Collection[str]) -> dict[str, int]:
    query = sa.select(label.c.text, label.c.key).where(label.c.text.in_(list(words)))
    return dict((await connection.execute(query)).all())


async def _learn(connection: AsyncConnection, words: Sequence[str]) -> None:
    """Number new words, in their order, so that two transactions never wait for each other for ever."""
    rows = [{"text": word} for word in words]
    await connection.execute(insert(label).values(rows).on_conflict_do_nothing())


async def wait_until_up(database: Database, *, seconds: float) -> None:
    """Return when the database answers; raise Unavailable when it has not within `seconds`."""

    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await database.read(ping)
        except Unavailable as error:
            said = str(getattr(error.__cause__, "orig", error)).strip()
            # The server answered, and will say the same next time. What else it may say while it starts or repairs itself
            # is many things, and not in every language.
            refused = any(
                words in said for words in ("does not exist", "authentication failed", "no pg_hba.conf entry")
            )
            if refused or asyncio.get_running_loop().time() >= deadline:
                raise Unavailable(f"The database cannot be used: {said}") from error
            await asyncio.sleep(0.5)


async def ping(connection: AsyncConnection) -> None:
    await connection.execute(sa.text("SELECT 1"))


async def is_current(connection: AsyncConnection) -> bool:
    """Whether every migration of this version has been run."""

    def run(sync: sa.Connection) -> set[str]:
        return set(MigrationContext.configure(sync).get_current_heads())

    current: set[str] = await connection.run_sync(run)
    return current == _heads()


@cache
def _heads() -> frozenset[str]:
    # They do not change while a process lives, and every probe of readiness asks.
    return frozenset(ScriptDirectory.from_config(migrations()).get_heads())


def migrations() -> Config:
    """Alembic's configuration, wherever the package is installed."""
    config = Config()
    config.set_main_option("script_location", str(Path(chain.__path__[0])))
    return config


def migrate(url: str, *, revision: str = "head") -> None:
    """Bring the database to `revision`; processes that start together do it one after the other."""
    engine = sa.create_engine(_with_driver(url))
    config = migrations()
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.commit()
        try:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
        finally:
            connection.rollback()
            connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
            connection.commit()
    engine.dispose()
