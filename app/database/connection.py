"""A connection in its transaction, with few verbs: execute, fetch, enqueue, copy, stream.

Queries are composed with SQLAlchemy and executed with psycopg directly: SQLAlchemy's own connections took as long as
PostgreSQL itself did, while its connection pool costs next to nothing.

| verb            | what is sent                                         | when it returns                                    |
|-----------------|------------------------------------------------------|----------------------------------------------------|
| `execute`       | one query                                            | with its rows                                      |
| `scalar`        | one query                                            | with the first value of its first row              |
| `execute_rows`  | one statement for many rows (see `statements`)       | with its rows                                      |
| `fetch_batch`   | several statements in one round trip                 | with the rows of each                              |
| `enqueue`       | statements whose results nobody needs                | at once; a later verb or the commit raises errors  |
| `copy_rows`     | new rows of a table, by COPY                         | when they are stored                               |
| `stream`        | one query with more rows than memory should hold     | row by row                                         |
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import namedtuple_row
from psycopg.types.json import set_json_loads
from pydantic_core import from_json

from app.database.data_state import DataChanges
from app.database.observe import RoundTrip
from app.database.statements import BoundStatement, Statement, bind_json_rows, compile_query, split_rows

# It takes a quarter of the time of the standard library's parser.
set_json_loads(from_json)


# Their conversion to Python takes some milliseconds.
_SLICE_ROWS = 2_000
# The member of a connection of the driver that holds its cursor for look-ups.
_LOOKUP_CURSOR = "csmetrics_lookup_cursor"


class ResultRows(list[Any]):
    """The rows that a statement returned, as named tuples. row_count: how many rows it returned or changed."""

    row_count: int = 0


class Connection:
    """A connection of the pool, lent for one transaction.

    begin: the statement that begins the transaction, sent before the first other statement; with None, each statement is a
    transaction of its own.
    """

    __slots__ = ("_begin", "_is_lookup", "_pipeline", "_pipeline_texts", "changes", "driver")

    def __init__(self, driver: psycopg.AsyncConnection[Any], begin: str | None) -> None:
        self.driver = driver
        # What the transaction has changed; None: it has not said so.
        self.changes: DataChanges | None = None
        self._begin = begin
        self._is_lookup = begin is None
        # Open while enqueued statements may still be running.
        self._pipeline: AsyncExitStack | None = None
        self._pipeline_texts: list[str] = []

    @property
    def has_begun(self) -> bool:
        """Whether the transaction has sent a statement."""
        return self._begin is None

    @property
    def is_usable(self) -> bool:
        """Whether the next transaction may use what this one used.

        A task that is canceled right after psycopg has entered a pipeline never leaves it: the next transaction would get
        empty results.
        """
        info = self.driver.info
        return info.transaction_status == TransactionStatus.IDLE and info.pipeline_status == PipelineStatus.OFF

    def note_changes(self, measures: Iterable[str], account_ids: Iterable[int]) -> None:
        """Note what the transaction changes, for `data_state`. One that notes nothing may have changed anything."""
        self.changes = self.changes or DataChanges()
        self.changes.add(measures, account_ids)

    async def execute(self, query: sa.Executable | str, parameters: Mapping[str, Any] | None = None) -> ResultRows:
        """Execute a SQLAlchemy query, or SQL in psycopg's notation, and return its rows as named tuples.

        SQL text is prepared the first time, since the same text is executed again and again; a SQLAlchemy query only after
        the number of executions that is psycopg's default.
        """
        await self._start()
        statement = Statement(query) if isinstance(query, str) else compile_query(query)
        cursor = self.driver.cursor(row_factory=namedtuple_row)
        values = {**statement.literals, **(parameters or {})}
        with RoundTrip("execute", [statement.text]):
            await cursor.execute(statement.text, values, prepare=isinstance(query, str) or None)
            row_count = cursor.rowcount
            rows = ResultRows(await _fetch_rows(cursor) if cursor.description else ())
        rows.row_count = row_count
        return rows

    async def scalar(self, query: sa.Executable) -> Any:
        """Execute a query and return the first value of its first row, or None without rows."""
        rows = await self.execute(query)
        return rows[0][0] if rows else None

    async def execute_rows(self, sql: str, rows: Sequence[Mapping[str, Any]], **parameters: Any) -> Sequence[Any]:
        """Execute a statement once for many rows, bound by `bind_json_rows`, and return its rows as named tuples."""
        result: list[Any] = []
        for bound in bind_json_rows(sql, rows, **parameters):
            result += await self.execute(sql, bound.parameters)
        return result

    async def fetch_batch(self, *statements: BoundStatement) -> list[list[tuple[Any, ...]]]:
        """Execute statements in one round trip and return the rows of each, as plain tuples."""
        if len(statements) <= 1:
            await self._start()
            return [await self._fetch(bound) for bound in statements]
        await self.flush()
        with RoundTrip("batch", [bound.statement.text for bound in statements]):
            async with self.driver.pipeline():
                await self._start()
                cursors = [await self._send(bound) for bound in statements]
            return [await _fetch_rows(cursor) for cursor in cursors]

    async def _fetch(self, bound: BoundStatement) -> list[tuple[Any, ...]]:
        with RoundTrip("execute", [bound.statement.text]):
            if not self._is_lookup:
                return await _fetch_rows(await self._send(bound))
            cursor = _lookup_cursor(self.driver)
            await cursor.execute(bound.statement.text, bound.driver_values(), prepare=True)
            return await cursor.fetchall()

    async def enqueue(self, statements: Iterable[BoundStatement]) -> None:
        """Send statements without waiting for their results, while PostgreSQL works on them.

        If one of them fails, its error is raised by the next verb that waits, at the latest by `commit`.
        """
        for bound in statements:
            if self._pipeline is None:
                await self._start()
                self._pipeline = AsyncExitStack()
                await self._pipeline.enter_async_context(self.driver.pipeline())
            self._pipeline_texts.append(bound.statement.text)
            await self._send(bound)

    async def copy_rows(self, table: sa.Table, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add rows to a table by COPY, sorted by primary key; the table must not contain their keys.

        rows: integers and dates, in the order of the table's columns, those of the primary key first.
        """
        await self._start()
        sql = f"COPY {table.name} ({', '.join(table.columns.keys())}) FROM STDIN"
        for batch in split_rows(sorted(rows)):
            text = "".join(["\t".join(map(str, row)) + "\n" for row in batch])
            with RoundTrip("copy", [sql]):
                async with self.driver.cursor().copy(sql) as copy:
                    await copy.write(text)

    async def stream(self, query: sa.Executable, *, batch_size: int) -> AsyncIterator[tuple[Any, ...]]:
        """Execute a query and yield its rows, which are fetched `batch_size` at a time."""
        await self._start()
        statement = compile_query(query)
        async with self.driver.cursor("stream") as cursor:
            cursor.itersize = batch_size
            await cursor.execute(statement.text, statement.literals)
            async for row in cursor:
                yield row

    async def flush(self) -> None:
        """Wait until all enqueued statements are done, and raise the error of the first that failed."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            texts, self._pipeline_texts = self._pipeline_texts, []
            with RoundTrip("flush", texts):
                await pipeline.aclose()

    async def commit(self) -> None:
        """Wait for the enqueued statements and commit, in one round trip."""
        if self._pipeline is not None:
            # psycopg's commit() neither sends all that is buffered in the pipeline nor waits for its results.
            await self.driver.execute("COMMIT", prepare=False)
            self._pipeline_texts.append("COMMIT")
            await self.flush()
        elif self.driver.info.transaction_status != TransactionStatus.IDLE:
            with RoundTrip("commit", ["COMMIT"]):
                await self.driver.commit()

    async def rollback(self) -> None:
        """Roll the transaction back; does nothing where the connection is lost."""
        for undo in (self.flush, self.driver.rollback):
            with suppress(psycopg.Error):
                await undo()

    async def _start(self) -> None:
        """Wait for enqueued statements, and begin the transaction if this is its first statement."""
        await self.flush()
        if (begin := self._take_begin()) is not None:
            with RoundTrip("begin", [begin]):
                await self.driver.execute(begin, prepare=True)

    def _take_begin(self) -> str | None:
        """Return the statement that begins the transaction, the first time."""
        begin, self._begin = self._begin, None
        return begin

    async def _send(self, bound: BoundStatement) -> psycopg.AsyncCursor[Any]:
        """Execute a statement as a prepared one; in a pipeline, this returns before the result has come."""
        return await self.driver.cursor().execute(bound.statement.text, bound.driver_values(), prepare=True)


def _lookup_cursor(driver: psycopg.AsyncConnection[Any]) -> psycopg.AsyncCursor[Any]:
    """Return the cursor for all look-ups of a connection. To make one takes a fifth of the time of a look-up by its key."""
    members = vars(driver)
    if (cursor := members.get(_LOOKUP_CURSOR)) is None:
        cursor = members[_LOOKUP_CURSOR] = driver.cursor()
    return cast(psycopg.AsyncCursor[Any], cursor)


async def _fetch_rows(cursor: psycopg.AsyncCursor[Any]) -> list[tuple[Any, ...]]:
    """Return all rows of a result that has arrived; many of them in slices, between which other requests go on."""
    if cursor.rowcount <= _SLICE_ROWS:
        return await cursor.fetchall()
    rows: list[tuple[Any, ...]] = []
    while part := await cursor.fetchmany(_SLICE_ROWS):
        rows += part
        await asyncio.sleep(0)
    # The result as it was received takes about as much memory as the rows.
    await cursor.close()
    return rows
