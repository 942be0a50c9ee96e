"""One connection in its transaction: SQLAlchemy puts queries into words, the driver itself is given them.

Between a request and PostgreSQL, SQLAlchemy's own connections took as long as PostgreSQL did; its pool costs next to nothing.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg
import sqlalchemy as sa
from psycopg.rows import namedtuple_row
from psycopg.types.json import set_json_loads
from pydantic_core import from_json, to_json
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

# In a quarter of the time of Python's own.
set_json_loads(from_json)
_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]
_MOST_ROWS = 50_000


class Statement(NamedTuple):
    """A query as the driver is given it, with the values of its literals."""

    text: str
    literals: Mapping[str, Any]


class BoundStatement(NamedTuple):
    """A statement, and what it is given; lists are of numbers, dates or words."""

    statement: Statement
    parameters: Mapping[str, Any]


class ResultRows(list[Any]):
    """The rows that a statement returned, with names. changed: how many it changed, or found."""

    row_count: int = 0


def compile_query(query: sa.Executable) -> Statement:
    """The words of a query. Those of one that is asked often are kept: to find them takes longer than to send them."""
    said: Any = query.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})  # type: ignore[attr-defined]
    literals = dict(said.params)
    for bind, name in said.bind_names.items():
        if bind.required:
            literals.pop(name, None)
        elif name in literals and (process := bind.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)):
            literals[name] = process(literals[name])
    return Statement(str(said), literals)


class Connection:
    """A connection of the pool, for as long as a request has it.

    It begins its transaction with its first statement, by `begin`, the driver's words; without these each statement is by itself.
    """

    __slots__ = ("_begin", "_pipeline", "driver")

    def __init__(self, driver: psycopg.AsyncConnection[Any], begin: str | None) -> None:
        self.driver = driver
        self._begin = begin
        self._pipeline: AsyncExitStack | None = None

    async def commit(self) -> None:
        """End the transaction, together with what it was told last."""
        if self._pipeline is None:
            await self.driver.commit()
        else:
            # The driver's own commit would not send all that is left to be sent, and wait for its answer.
            await self.driver.execute("COMMIT", prepare=False)
            await self.flush()

    async def rollback(self) -> None:
        """End the transaction as if it had never been, as far as there still is a connection."""
        for undo in (self.flush, self.driver.rollback):
            with suppress(psycopg.Error):
                await undo()

    async def flush(self) -> None:
        """Wait until what it was told is done. Raises what became of it."""
        told, self._pipeline = self._pipeline, None
        if told is not None:
            await told.aclose()

    async def _start(self) -> None:
        await self.flush()
        begin, self._begin = self._begin, None
        if begin is not None:
            await self.driver.execute(begin, prepare=True)

    async def execute(self, query: sa.Executable | str, parameters: Mapping[str, Any] | None = None) -> ResultRows:
        """Run a query, or words that the driver understands and that come again and again."""
        await self._start()
        statement = Statement(query, {}) if isinstance(query, str) else compile_query(query)
        cursor = self.driver.cursor(row_factory=namedtuple_row)
        given = {**statement.literals, **(parameters or {})}
        await cursor.execute(statement.text, given, prepare=isinstance(query, str) or None)
        rows = ResultRows(await cursor.fetchall() if cursor.description else ())
        rows.row_count = cursor.rowcount
        return rows

    async def scalar(self, query: sa.Executable) -> Any:
        """The first value of the first row; None when there is none."""
        rows = await self.execute(query)
        return rows[0][0] if rows else None

    async def fetch_batch(self, *asked: BoundStatement) -> list[list[tuple[Any, ...]]]:
        """The rows of statements, which are sent together."""
        if len(asked) <= 1:
            await self._start()
            return [await (await self._send(one)).fetchall() for one in asked]
        await self.flush()
        async with self.driver.pipeline():
            await self._start()
            cursors = [await self._send(one) for one in asked]
        return [await cursor.fetchall() for cursor in cursors]

    async def enqueue(self, asked: Iterable[BoundStatement]) -> None:
        """Send statements of which nobody needs an answer, and go on: if one fails, the next that is asked or the commit says so.

        PostgreSQL works on them meanwhile.
        """
        for one in asked:
            if self._pipeline is None:
                await self._start()
                self._pipeline = AsyncExitStack()
                await self._pipeline.enter_async_context(self.driver.pipeline())
            await self._send(one)

    async def _send(self, one: BoundStatement) -> psycopg.AsyncCursor[Any]:
        arrays = {name: array_literal(value) for name, value in one.parameters.items() if _is_plain(value)}
        cursor = self.driver.cursor()
        return await cursor.execute(
            one.statement.text, {**one.statement.literals, **one.parameters, **arrays}, prepare=True
        )

    async def execute_rows(self, statement: str, rows: Sequence[Mapping[str, Any]], **others: Any) -> Sequence[Any]:
        """Run a statement for many rows at once, as `bind_json_rows` says. What it returns, rows with names."""
        found: list[Any] = []
        for one in bind_json_rows(statement, rows, **others):
            found += await self.execute(statement, one.parameters)
        return found

    async def copy_rows(self, table: sa.Table, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add rows to a table that has none of their keys: by COPY, in the order of the keys.

        rows: numbers and days, in the order of the table's columns, those of the primary key first.
        """
        await self._start()
        statement = f"COPY {table.name} ({', '.join(table.columns.keys())}) FROM STDIN"
        for part in _parts(sorted(rows)):  # since there is a limit to the time of a statement
            text = "".join(["\t".join(map(str, row)) + "\n" for row in part])
            async with self.driver.cursor().copy(statement) as copy:
                await copy.write(text)

    async def stream(self, query: sa.Executable, *, many: int) -> AsyncIterator[tuple[Any, ...]]:
        """The rows of a query that are too many to be held, read `many` at a time."""
        await self._start()
        statement = compile_query(query)
        async with self.driver.cursor("stream") as cursor:
            cursor.itersize = many
            await cursor.execute(statement.text, statement.literals)
            async for row in cursor:
                yield row


def bind_json_rows(statement: str, rows: Sequence[Mapping[str, Any]], **others: Any) -> Iterator[BoundStatement]:
    """A statement for many rows at once; they are its parameter `rows`, as JSON.

    Of very many rows it is run for some after the others, since a JSON text has a limit; for none not at all.

    PostgreSQL cannot know how many rows the text has, and might read a whole table for one of them: look-ups are written
    as LATERAL subqueries that cannot be flattened (OFFSET 0), so that each row is looked up by the key.
    """
    for part in _parts(rows):
        yield BoundStatement(Statement(statement, {}), {"rows": to_json(part).decode(), **others})


def bind_column_arrays(
    statement: str,
    names: Iterable[str],
    rows: Sequence[Sequence[Any]],
    *,
    order: Callable[[Any], Any] | None = None,
) -> Iterator[BoundStatement]:
    """Like `bind_json_rows`, of rows of numbers and dates: each column is a parameter of its name, the text of an array.

    PostgreSQL reads that in half the time, and a database adapter's own arrays take five times as long to make. order: a key
    by which very many are sorted, so that what one part has locked no later one comes back to.
    """
    names = list(names)
    if order is not None and len(rows) > _MOST_ROWS:
        rows = sorted(rows, key=order)
    for part in _parts(rows):
        columns = zip(names, zip(*part, strict=True), strict=True)
        yield BoundStatement(Statement(statement, {}), {name: array_literal(column) for name, column in columns})


def _parts(rows: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (rows[first : first + _MOST_ROWS] for first in range(0, len(rows), _MOST_ROWS))


# There are few different ones in a batch.
_spelled = lru_cache(maxsize=10_000)(str)


def array_literal(values: Sequence[Any]) -> str:
    """Numbers or dates as the text of an array."""
    return "{" + ",".join(map(str if values and isinstance(values[0], int) else _spelled, values)) + "}"


def _is_plain(value: Any) -> bool:
    return isinstance(value, list) and not (value and isinstance(value[0], str))


def array_table(columns: Mapping[str, str]) -> str:
    """The rows of `bind_column_arrays` as a table in SQL; the columns with their types."""
    arrays = ", ".join(f"CAST(%({name})s AS {kind}[])" for name, kind in columns.items())
    return f"unnest({arrays}) AS row({', '.join(columns)})"
