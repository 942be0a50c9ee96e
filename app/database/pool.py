"""The connection pool, its transactions, and their retries.

A request is one transaction. `Database.write` and `Database.read` run a function inside one and run it again when PostgreSQL
asks for it (a deadlock, a pooled connection that had died), so the function must be safe to repeat: it must not keep state
outside the transaction.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
import structlog
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.core import meters
from app.core.errors import ServiceError, Unavailable
from app.database.connection import Connection
from app.database.errors import concerns_writes_only, is_retryable, to_problem, unavailable
from app.database.observe import observe_pool
from app.database.outage import Outages, failure_text

log = structlog.get_logger(__name__)

T = TypeVar("T")
Transaction = Callable[[Connection], Awaitable[T]]

APPLICATION_NAME = "csmetrics"
MIN_SERVER_VERSION = 16
MAIN_POOL = "main"
_MAX_ATTEMPTS = 5
_REPORT_SECONDS = 5  # between two lines in the log while a start waits for the database
_CONNECTION_OPTIONS = {
    "application_name": APPLICATION_NAME,
    "options": "-c timezone=utc -c jit=off -c statement_timeout=120s",
    "connect_timeout": 5,
    # A host that has vanished is noticed within half a minute.
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_BEGIN_WRITE = "BEGIN"
# Parts of the messages of a server that answered, and will answer the same next time.
_CONFIGURATION_ERRORS = ("does not exist", "authentication failed", "no pg_hba.conf entry")


@dataclass(frozen=True, slots=True)
class Database:
    """One process's access to the database.

    labels: the labels that the process has read (see `labels`). pool_name: in meters.
    """

    engine: AsyncEngine
    labels: dict[str, int] = field(default_factory=dict)
    outages: Outages = field(default_factory=Outages)
    pool_name: str = MAIN_POOL

    async def write(self, work: Transaction[T]) -> T:
        """Run `work` in one READ COMMITTED transaction. Raises Unavailable when the database is unavailable."""
        return await self._run(work, _BEGIN_WRITE)

    async def read(self, work: Transaction[T]) -> T:
        """Run `work` on one snapshot, so that all numbers of an answer are of the same moment."""
        return await self._run(work, _BEGIN_READ)

    async def read_statement(self, work: Transaction[T]) -> T:
        """Run `work`, which reads with one statement, without a transaction around it."""
        return await self._run(work, None)

    async def _run(self, work: Transaction[T], begin: str | None) -> T:
        attempts, is_write = 0, begin == _BEGIN_WRITE
        while True:
            try:
                result = await self._attempt(work, begin)
                self.outages.end(is_write=is_write)
                return result
            except _ConnectionLost as lost:
                # An idle connection that had died does not count: the next may live, and the pool holds only a few of them.
                attempts += lost.was_new
                if attempts == _MAX_ATTEMPTS:
                    self.outages.begin(connection_failure(failure_text(lost.__cause__)), is_write_only=False)
                    raise unavailable() from lost.__cause__
            except PoolTimeout as error:
                meters.POOL_TIMEOUTS.labels(self.pool_name).inc()
                raise Unavailable("All database connections are busy. Retry after 2 seconds.", code="busy") from error
            except (psycopg.Error, DBAPIError) as error:
                attempts += 1
                if not is_retryable(error) or attempts == _MAX_ATTEMPTS:
                    problem = to_problem(error, is_write=is_write)
                    if isinstance(problem, Unavailable) and problem.code == Unavailable.code:
                        reason = connection_failure(failure_text(error))
                        self.outages.begin(reason, is_write_only=concerns_writes_only(error))
                    raise problem from error
            await asyncio.sleep(0.01 * 2**attempts)

    async def _attempt(self, work: Transaction[T], begin: str | None) -> T:
        """Run `work` on a connection of the pool; commit, or roll back when it raises."""
        started_at = perf_counter()
        pooled_connection = await self.engine.raw_connection()
        meters.POOL_WAIT.labels(self.pool_name).observe(perf_counter() - started_at)
        driver: Any = pooled_connection.driver_connection
        connection = Connection(driver, begin)
        try:
            if not driver.autocommit:
                await driver.set_autocommit(True)  # `Connection` begins transactions itself
            result = await work(connection)
            await connection.commit()
            return result
        except BaseException as error:
            await connection.rollback()
            if isinstance(error, psycopg.Error) and driver.closed:
                raise _ConnectionLost(was_new="used" not in pooled_connection.info) from error
            raise
        finally:
            if driver.info.transaction_status == TransactionStatus.IDLE:
                pooled_connection.info["used"] = True
                pooled_connection.close()  # returns it to the pool
            else:
                pooled_connection.detach()
                await driver.close()


class _ConnectionLost(Exception):
    """The connection was cut while it was in use. was_new: the pool had not lent it before."""

    def __init__(self, *, was_new: bool) -> None:
        self.was_new = was_new


def connect(url: str, *, pool_size: int) -> Database:
    """Return a database with a pool of at most `pool_size` connections. Connects only when a connection is needed."""
    engine = create_async_engine(
        driver_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_reset_on_return=None,  # `Database` has committed or rolled back
        connect_args=_CONNECTION_OPTIONS,
    )
    observe_pool(engine, name=MAIN_POOL, size=pool_size)
    return Database(engine)


def driver_url(url: str) -> sa.URL:
    """Return a database URL as SQLAlchemy needs it, with the name of the driver. Raises ServiceError."""
    try:
        return sa.make_url(url).set(drivername="postgresql+psycopg")
    except (sa.exc.ArgumentError, ValueError):
        # The message does not repeat the URL, which may contain a password.
        raise ServiceError(
            "DATABASE_URL is not a URL. It has the form postgresql://USER:PASSWORD@HOST:PORT/DATABASE; special characters "
            "in the password must be percent-encoded."
        ) from None


def describe_url(url: str) -> str:
    """Return the database that a URL names, without user and password, such as `metrics on db.example:5432`."""
    parts = driver_url(url)
    host = parts.host or parts.query.get("host") or "the local socket"
    return f"{parts.database or parts.username or 'postgres'} on {host}:{parts.port or 5432}"


async def wait_until_available(database: Database, *, seconds: float) -> None:
    """Return as soon as the database answers. Every few seconds the log says what it is waiting for.

    Raises Unavailable when it does not answer within `seconds`, or says that it never will; ServiceError when it is too old.
    """
    where = describe_url(database.engine.url.render_as_string(hide_password=False))
    loop = asyncio.get_running_loop()
    deadline, next_report = loop.time() + seconds, loop.time() + 1
    while True:
        try:
            return await database.read(_check_server_version)
        except Unavailable as error:
            message = str(getattr(error.__cause__, "orig", error.__cause__)).strip()
            reason = connection_failure(message)
            # All other messages may come from a server that is starting or recovering: they are many, and localized.
            is_final = any(part in message for part in _CONFIGURATION_ERRORS)
            now = loop.time()
            if is_final or now >= deadline:
                raise Unavailable(f"Cannot use the database {where}: {reason}") from error
            if now >= next_report:
                log.warning("waiting for the database", database=where, reason=reason)
                next_report += _REPORT_SECONDS
            await asyncio.sleep(0.5)


def connection_failure(message: str) -> str:
    """Return the reason in a message of libpq or psycopg about a connection that was not made, as one short line.

    >>> connection_failure('connection to server at "db", port 5432 failed: Connection refused\\n\\tIs the server running?')
    'Connection refused'
    """
    message = re.sub(r"\[Errno -?\d+\] ", "", message)
    reasons = re.findall(r" failed: (?:FATAL: +)?((?!.* failed: ).+)", message)
    return "; ".join(dict.fromkeys(reasons)) if reasons else (message.splitlines() or [""])[0]


async def _check_server_version(connection: Connection) -> None:
    """Raise ServiceError for a PostgreSQL that is too old."""
    number = int(await connection.scalar(sa.text("SHOW server_version_num")))
    if number // 10_000 < MIN_SERVER_VERSION:
        raise ServiceError(
            f"The database is PostgreSQL {number // 10_000}.{number % 10_000}. "
            f"This service needs version {MIN_SERVER_VERSION} or later."
        )
