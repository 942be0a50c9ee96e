"""The pool and its transactions.

A request is one transaction. `Database.write` and `Database.read` run a function in one and run it again when PostgreSQL
asks for that (a deadlock, a connection that died in the pool), so the function must be safe to repeat: every write of
this service is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.core.errors import Invalid, Unavailable
from app.database.connection import Connection

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
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = "BEGIN"


@dataclass(frozen=True, slots=True)
class Database:
    """One process's way to the database; `labels` are the words it has met, which never change their numbers."""

    engine: AsyncEngine
    labels: dict[str, int] = field(default_factory=dict)

    async def write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `work` in one READ COMMITTED transaction. Raises Unavailable when the database is away."""
        return await self._run(work, _WRITE)

    async def read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `work` on one snapshot, so that two numbers of an answer never come from different moments."""
        return await self._run(work, _SNAPSHOT)

    async def read_statement(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `work`, which is one statement that reads, without a transaction around it."""
        return await self._run(work, None)

    async def _run(self, work: Callable[[Connection], Awaitable[T]], begin: str | None) -> T:
        attempts = 0
        while True:
            try:
                return await self._once(work, begin)
            except _Cut as cut:
                # One that lay idle tells nothing of the next one, and of such there are no more than the pool holds.
                attempts += cut.was_new
                if attempts == _ATTEMPTS:
                    raise Unavailable("The database is away; come again in a moment.") from cut.__cause__
            except PoolTimeout as error:
                raise Unavailable("All database connections are busy; come again in a moment.", code="busy") from error
            except (psycopg.Error, DBAPIError) as error:
                attempts += 1
                if not _again(error) or attempts == _ATTEMPTS:
                    raise _said(error, writing=begin == _WRITE) from error
            await asyncio.sleep(0.01 * 2**attempts)

    async def _once(self, work: Callable[[Connection], Awaitable[T]], begin: str | None) -> T:
        """Run `work` with a connection of the pool, which is committed, or rolled back."""
        lent = await self.engine.raw_connection()
        driver: Any = lent.driver_connection
        connection = Connection(driver, begin)
        try:
            if not driver.autocommit:
                await driver.set_autocommit(True)  # a transaction begins where we say so
            result = await work(connection)
            await connection.commit()
            return result
        except BaseException as error:
            await connection.rollback()
            if isinstance(error, psycopg.Error) and driver.closed:
                raise _Cut(was_new="used" not in lent.info) from error
            raise
        finally:
            if driver.info.transaction_status == TransactionStatus.IDLE:
                lent.info["used"] = True
                lent.close()
            else:
                lent.detach()
                await driver.close()


class _Cut(Exception):
    """The connection was cut. was_new: it was the first time that the pool lent it."""

    def __init__(self, *, was_new: bool) -> None:
        self.was_new = was_new


def connect(url: str, *, pool_size: int) -> Database:
    """A pool of at most `pool_size` connections; nothing is contacted yet."""
    engine = create_async_engine(
        driver_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_reset_on_return=None,  # `Database` has committed or rolled back
        connect_args=_CONNECTION,
    )
    return Database(engine)


def driver_url(url: str) -> sa.URL:
    """The URL of a database as SQLAlchemy needs it."""
    parsed = sa.make_url(url)
    return parsed.set(drivername="postgresql+psycopg")


def _of_driver(error: psycopg.Error | DBAPIError) -> Any:
    """What the driver said; while it connects, SQLAlchemy puts it into an error of its own."""
    return error.orig if isinstance(error, DBAPIError) else error


def _again(error: psycopg.Error | DBAPIError) -> bool:
    """Whether the same may succeed at once: after a deadlock, or when the server cut the connection that was being made."""
    said = _of_driver(error)
    return getattr(said, "sqlstate", None) in _RUN_AGAIN or _CUT in str(said)


def _said(error: psycopg.Error | DBAPIError, *, writing: bool) -> Exception:
    """An error of the database as it is answered. writing: what took too long has waited for others, and is to be sent again."""
    state = getattr(_of_driver(error), "sqlstate", None)
    if state == "57014" and writing:
        return Unavailable("Others are writing there for too long; send it again in a moment.", code="busy")
    if state == "22003":
        return Invalid("A sum would exceed what the books can hold.", code="out_of_range")
    if state is not None and (state.startswith("54") or state == "57014"):
        return Invalid("That is more than one statement can hold; ask for less.", code="too_complex")
    if _again(error) or _is_away(_of_driver(error)):
        return Unavailable("The database is away; come again in a moment.")
    return error


def _is_away(said: Any) -> bool:
    """Whether the database cannot do its work at the moment.

    No SQLSTATE, class 08 (connection), 53 (full, such as its disk), 57P (shut down) or 25006 (read-only after a failover).
    """
    state = getattr(said, "sqlstate", None)
    if state is None:
        return isinstance(said, psycopg.OperationalError | psycopg.InterfaceError)
    return bool(state.startswith(("08", "53", "57P")) or state == "25006")


async def wait_until_up(database: Database, *, seconds: float) -> None:
    """Return when the database answers; raise Unavailable when it has not within `seconds`."""

    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await database.read(ping)
        except Unavailable as error:
            said = str(getattr(error.__cause__, "orig", error.__cause__)).strip()
            # The server answered, and will say the same next time. What else it may say while it starts or repairs itself
            # is many things, and not in every language.
            refused = any(
                words in said for words in ("does not exist", "authentication failed", "no pg_hba.conf entry")
            )
            if refused or asyncio.get_running_loop().time() >= deadline:
                raise Unavailable(f"The database cannot be used: {said}") from error
            await asyncio.sleep(0.5)


async def ping(connection: Connection) -> None:
    """Ask for nothing, to see whether somebody answers."""
    await connection.execute("SELECT 1")
