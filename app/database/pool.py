"""The connection pool, its transactions, and their retries.

A request is one transaction. `Database.write`, `Database.read` and `Database.ask` run a function inside one and run it again
when PostgreSQL asks for it (a deadlock, a pooled connection that had died), so the function must be safe to repeat: it must not
keep state outside the transaction.

Questions have connections of their own, so that they do not keep writes waiting, and a time limit. What every request needs
first, such as its key, is looked up on a third set of connections: neither writes nor questions keep the other one from being
authenticated. A transaction whose task is cancelled cancels its statement on the server, too: psycopg does that.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import date
from math import ceil
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.core import meters
from app.core.errors import Unavailable
from app.database.address import driver_url
from app.database.connection import Connection
from app.database.data_state import end_writing
from app.database.errors import concerns_writes_only, is_retryable, question_timeout, to_problem, unavailable
from app.database.observe import observe_pool
from app.database.outage import Outages, connection_failure, failure_text
from app.database.question_slots import QuestionSlots

T = TypeVar("T")
Transaction = Callable[[Connection], Awaitable[T]]

APPLICATION_NAME = "csmetrics"
MAIN_POOL, QUESTION_POOL, LOOKUP_POOL, BATCH_POOL = "main", "questions", "lookups", "batches"
WEBHOOK_POOL, ALERT_POOL = "webhooks", "alerts"
# Each of them is used for less than a millisecond.
LOOKUP_CONNECTIONS = 4
_MAX_ATTEMPTS = 5
_CONNECTION_OPTIONS = {
    "application_name": APPLICATION_NAME,
    "options": "-c timezone=utc -c jit=off",
    "connect_timeout": 5,
    # A host that has vanished is noticed within half a minute.
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_STATEMENT_SECONDS = 120
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_BEGIN_WRITE = "BEGIN"


class _Pool(NamedTuple):
    """A pool of connections, and its name in meters."""

    name: str
    engine: AsyncEngine


class QuestionLimits(NamedTuple):
    """The limits of the questions of a process.

    at_once: how many run at the same time, and so how many connections they have. per_caller: how many of one caller.
    seconds: how long one may take. wait_seconds: how long one may wait before it runs.
    """

    at_once: int
    per_caller: int
    seconds: float
    wait_seconds: float


class QuestionConnections(NamedTuple):
    """The connections for questions, the slots in which they run, and how many seconds each of them may take."""

    engine: AsyncEngine
    slots: QuestionSlots
    seconds: float


@dataclass(frozen=True, slots=True)
class Database:
    """One process's access to the database.

    questions, lookups: the connections for questions and for look-ups, None where they take those of `engine`. labels: the
    labels that the process has read (see `labels`). sizes: bounds of tables' rows, and when they were read. pool_name: of
    `engine`, in meters.
    """

    engine: AsyncEngine
    questions: QuestionConnections | None = None
    lookups: AsyncEngine | None = None
    labels: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, tuple[float, int]] = field(default_factory=dict)
    outages: Outages = field(default_factory=Outages)
    pool_name: str = MAIN_POOL

    async def write(self, work: Transaction[T], *, today: date | None = None) -> T:
        """Run `work` in one READ COMMITTED transaction, and note what it has changed for `data_state`.

        today: the day on which it records; the transaction fails unless that is the last day of the books. Raises Unavailable
        when the database is unavailable.
        """

        async def write_and_note(connection: Connection) -> T:
            result = await work(connection)
            if connection.has_begun:
                await connection.enqueue([end_writing(today, connection.changes)])
            return result

        return await self._run(write_and_note, _BEGIN_WRITE)

    async def write_aside(self, work: Transaction[T]) -> T:
        """Run `work` as `write` does, where it changes no answer of a pollable endpoint, so that nothing is noted."""
        return await self._run(work, _BEGIN_WRITE)

    async def read(self, work: Transaction[T]) -> T:
        """Run `work` on one snapshot, so that all numbers of an answer are of the same moment."""
        return await self._run(work, _BEGIN_READ)

    async def ask(self, work: Transaction[T]) -> T:
        """Run `work` as `read` does, within the limits for questions: how many at once, and for how long.

        Raises Invalid when the time is over, Busy or Unavailable when there are too many at once.
        """
        if (questions := self.questions) is None:
            return await self.read(work)
        async with questions.slots.hold():
            try:
                async with asyncio.timeout(questions.seconds):
                    return await self._run(work, _BEGIN_READ, pool=_Pool(QUESTION_POOL, questions.engine))
            except TimeoutError:
                raise question_timeout(questions.seconds) from None

    async def reserve_memory(self, sums: int) -> None:
        """Wait until an answer of so many sums may take its memory. Raises Unavailable."""
        if self.questions is not None:
            await self.questions.slots.reserve_memory(sums)

    async def look_up(self, work: Transaction[T]) -> T:
        """Run `work`, which reads a few rows by their keys, without a transaction around its statements."""
        return await self._run(work, None, pool=self._lookup_pool())

    async def note(self, work: Transaction[T]) -> T:
        """Run `work`, which changes one row that nothing keeps locked, as `write_aside` does, on a connection for look-ups."""
        return await self._run(work, _BEGIN_WRITE, pool=self._lookup_pool())

    def _lookup_pool(self) -> _Pool | None:
        return _Pool(LOOKUP_POOL, self.lookups) if self.lookups is not None else None

    async def dispose(self) -> None:
        """Close all connections."""
        for engine in (self.engine, self.lookups, self.questions and self.questions.engine):
            if engine is not None:
                await engine.dispose()

    async def _run(self, work: Transaction[T], begin: str | None, *, pool: _Pool | None = None) -> T:
        attempts, is_write = 0, begin == _BEGIN_WRITE
        pool = pool or _Pool(self.pool_name, self.engine)
        while True:
            try:
                result = await self._attempt(work, begin, pool)
                self.outages.end(is_write=is_write)
                return result
            except _ConnectionLost as lost:
                # An idle connection that had died does not count: the next may live, and the pool holds only a few of them.
                attempts += lost.was_new
                if attempts == _MAX_ATTEMPTS:
                    self.outages.begin(connection_failure(failure_text(lost.__cause__)), is_write_only=False)
                    raise unavailable() from lost.__cause__
            except PoolTimeout as error:
                meters.POOL_TIMEOUTS.labels(pool.name).inc()
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

    async def _attempt(self, work: Transaction[T], begin: str | None, pool: _Pool) -> T:
        """Run `work` on a connection of the pool; commit, or roll back when it raises."""
        started_at = perf_counter()
        pooled_connection = await pool.engine.raw_connection()
        meters.POOL_WAIT.labels(pool.name).observe(perf_counter() - started_at)
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
            if connection.is_usable:
                pooled_connection.info["used"] = True
                pooled_connection.close()  # returns it to the pool
            else:
                pooled_connection.detach()
                await driver.close()


class _ConnectionLost(Exception):
    """The connection was cut while it was in use. was_new: the pool had not lent it before."""

    def __init__(self, *, was_new: bool) -> None:
        self.was_new = was_new


def connect(url: str, *, pool_size: int, questions: QuestionLimits | None = None) -> Database:
    """Return a database with a pool of at most `pool_size` connections. Connects only when a connection is needed.

    questions: the limits of questions, which then have connections of their own, as look-ups have; None: they are unlimited.
    """
    engine = _create_engine(url, name=MAIN_POOL, pool_size=pool_size, statement_seconds=_STATEMENT_SECONDS)
    if questions is None:
        return Database(engine)
    lookups = _create_engine(url, name=LOOKUP_POOL, pool_size=LOOKUP_CONNECTIONS, statement_seconds=_STATEMENT_SECONDS)
    # PostgreSQL's own limit is for the case that this process no longer cares for its question.
    own_engine = _create_engine(
        url, name=QUESTION_POOL, pool_size=questions.at_once, statement_seconds=ceil(questions.seconds) + 1
    )
    slots = QuestionSlots(questions.at_once, questions.per_caller, questions.wait_seconds)
    return Database(engine, QuestionConnections(own_engine, slots, questions.seconds), lookups)


def connect_beside(database: Database, *, pool_size: int, name: str = BATCH_POOL) -> Database:
    """Return the same database with a pool of its own, for the event loop of another thread. What was read of it is shared.

    name: of the pool, in meters.
    """
    url = database.engine.url.render_as_string(hide_password=False)
    engine = _create_engine(url, name=name, pool_size=pool_size, statement_seconds=_STATEMENT_SECONDS)
    return replace(database, engine=engine, questions=None, lookups=None, pool_name=name)


def _create_engine(url: str, *, name: str, pool_size: int, statement_seconds: int) -> AsyncEngine:
    options = f"{_CONNECTION_OPTIONS['options']} -c statement_timeout={statement_seconds}s"
    engine = create_async_engine(
        driver_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_reset_on_return=None,  # `Database` has committed or rolled back
        connect_args=_CONNECTION_OPTIONS | {"options": options},
    )
    observe_pool(engine, name=name, size=pool_size)
    return engine
