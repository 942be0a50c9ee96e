"""Connections return to the pool usable, whatever happened to the statements that were sent on them."""

import asyncio
import logging
from collections.abc import Coroutine
from random import Random
from typing import Any

import psycopg
import pytest

from app.core.errors import Invalid, Unavailable
from app.database import pool as pool_module
from app.database.connection import Connection
from app.database.pool import Database, connect
from app.database.statements import BoundStatement, Statement
from tests.support.service import PATIENCE


def bind(sql: str, **parameters: Any) -> BoundStatement:
    return BoundStatement(Statement(sql), parameters)


# Statements with the value that each returns. There are more than the driver keeps prepared at a time.
VALID = [(bind(f"SELECT {number} + %(more)s::integer", more=1), number + 1) for number in range(150)]
# Takes long enough to be canceled.
SLOW = bind("SELECT 1 FROM pg_sleep(%(seconds)s)", seconds=0.1), 1
INVALID = bind("SELECT 1 / %(divisor)s::integer", divisor=0), None


def run(work: Coroutine[Any, Any, Any]) -> Any:
    async def within_timeout() -> Any:
        async with asyncio.timeout(PATIENCE):
            return await work

    return asyncio.run(within_timeout())


def test_a_failed_or_canceled_batch_does_not_harm_other_batches(database: str) -> None:
    random = Random(1)

    async def fetch_one_batch(pool: Database, *, fails: bool, is_canceled: bool) -> None:
        batch = random.choices(VALID, k=5) + [INVALID] * fails + [SLOW] * is_canceled
        random.shuffle(batch)
        statements = [statement for statement, _ in batch]
        task = asyncio.create_task(
            random.choice([pool.read, pool.write])(lambda connection: connection.fetch_batch(*statements))
        )
        if is_canceled:
            await asyncio.sleep(random.random() / 10)
            task.cancel()
        try:
            assert [value for ((value,),) in await task] == [value for _, value in batch]
        except asyncio.CancelledError:
            assert is_canceled
        except psycopg.errors.DivisionByZero:
            assert fails

    async def fetch_many_batches() -> None:
        pool = connect(database, pool_size=3)
        for _ in range(40):
            batches = [fetch_one_batch(pool, fails=n % 3 == 0, is_canceled=n % 2 == 0) for n in range(6)]
            await asyncio.gather(*batches)
        assert pool.engine.pool.status().endswith("Current Checked out connections: 0")
        for _ in range(3):
            await pool.read(lambda connection: connection.fetch_batch(*(statement for statement, _ in VALID)))
        await pool.engine.dispose()

    run(fetch_many_batches())


def test_enqueued_statements_are_committed_completely_or_not_at_all(database: str) -> None:
    random = Random(2)
    inserts = [Statement(f"INSERT INTO written SELECT {part}, %(number)s::integer") for part in range(3)]
    committed: set[int] = set()
    canceled: set[int] = set()

    async def write_one(pool: Database, number: int) -> None:
        ending = random.choice(["commit", "commit", "failure", "cancellation"])

        async def work(connection: Connection) -> None:
            for part in random.sample(range(3), k=3):
                await connection.enqueue([BoundStatement(inserts[part], {"number": number})])
                if random.random() < 0.3:
                    batch = VALID[: random.randint(0, 3)]
                    results = await connection.fetch_batch(*(statement for statement, _ in batch))
                    assert all(len(rows) == 1 for rows in results)
                if random.random() < 0.3:
                    assert await connection.execute("SELECT count(*) FROM written")
            if ending == "cancellation":
                await connection.enqueue([SLOW[0]])
            elif ending == "failure":
                await connection.enqueue([INVALID[0]])

        task = asyncio.create_task(pool.write(work))
        if ending == "cancellation":
            await asyncio.sleep(random.random() / 20)
            task.cancel()
        try:
            await task
            committed.add(number)
        except asyncio.CancelledError:
            # The transaction may be committed already, and only its answer be missing.
            canceled.add(number)
            assert ending == "cancellation"
        except psycopg.errors.DivisionByZero:
            assert ending == "failure"

    async def write_many() -> None:
        pool = connect(database, pool_size=3)
        await pool.write(lambda connection: connection.execute("CREATE TABLE written (part integer, number integer)"))
        for first in range(0, 240, 6):
            await asyncio.gather(*(write_one(pool, first + number) for number in range(6)))
        assert pool.engine.pool.status().endswith("Current Checked out connections: 0")
        counts = dict(await pool.read(lambda c: c.execute("SELECT number, count(*) FROM written GROUP BY number")))
        assert committed <= counts.keys() <= committed | canceled
        assert set(counts.values()) == {3}
        assert 40 < len(committed) < 200
        await pool.engine.dispose()

    run(write_many())


@pytest.mark.parametrize("verb", ["enqueue", "fetch_batch"])
def test_a_connection_whose_task_was_canceled_as_it_entered_a_pipeline_is_not_used_again(
    verb: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = [statement for statement, _ in VALID[:2]]
    own_enter = psycopg.AsyncPipeline.__aenter__

    async def enter(pipeline: psycopg.AsyncPipeline) -> psycopg.AsyncPipeline:
        await own_enter(pipeline)
        # psycopg lets other tasks go on here when it has kept them waiting, and then a task may be canceled.
        if task := asyncio.current_task():
            task.cancel()
        await asyncio.sleep(0)
        return pipeline

    async def work(connection: Connection) -> None:
        await (connection.enqueue(statements) if verb == "enqueue" else connection.fetch_batch(*statements))

    async def cancel_and_read() -> Any:
        pool = connect(database, pool_size=1)
        with monkeypatch.context() as patches:
            patches.setattr(psycopg.AsyncPipeline, "__aenter__", enter)
            with pytest.raises(asyncio.CancelledError):
                await asyncio.create_task(pool.write(work))
        # With psycopg's own way to enter, in the only connection of the pool.
        row = await pool.read(lambda connection: connection.execute("SELECT 7 AS number"))
        batch = await pool.read(lambda connection: connection.fetch_batch(*statements))
        await pool.dispose()
        return [*map(tuple, row)], batch

    assert run(cancel_and_read()) == ([(7,)], [[(1,)], [(2,)]])


def test_all_enqueued_statements_are_sent_before_the_commit_however_large_they_are(database: str) -> None:
    async def write() -> None:
        pool = connect(database, pool_size=1)
        # More than the socket's buffers hold while PostgreSQL is busy with something else.
        large = [bind("SELECT length(%(text)s), pg_sleep(0.2)", text="x" * 8_000_000) for _ in range(3)]
        await pool.write(lambda connection: connection.enqueue(large))
        await pool.engine.dispose()

    run(write())


def test_a_write_that_times_out_may_be_retried_and_a_read_that_times_out_may_not(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "_STATEMENT_SECONDS", 0.1)

    async def wait() -> None:
        pool = connect(database, pool_size=2)
        with psycopg.connect(database.replace("+psycopg", "")) as other:
            other.execute("LOCK TABLE survey")
            with pytest.raises(Unavailable, match="Other requests"):
                await pool.write(lambda connection: connection.execute("DELETE FROM survey"))
        with pytest.raises(Invalid, match="Ask for less"):
            await pool.read(lambda connection: connection.fetch_batch(bind("SELECT pg_sleep(10)")))
        await pool.engine.dispose()

    run(wait())


def test_a_failure_in_a_batch_raises_its_error_and_the_driver_logs_nothing(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        pool = connect(database, pool_size=1)
        # The error arrives before everything has been sent.
        statements = [INVALID[0], SLOW[0], *(bind("SELECT %(text)s", text="x" * 1_000_000) for _ in range(20))]
        with pytest.raises(psycopg.errors.DivisionByZero):
            await pool.read(lambda connection: connection.fetch_batch(*statements))
        await pool.engine.dispose()

    with caplog.at_level(logging.WARNING):
        run(fail())
    assert caplog.messages == []
