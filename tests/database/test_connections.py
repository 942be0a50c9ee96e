"""Connections of the pool come back whole, whatever became of what was asked on them."""

import asyncio
import logging
from random import Random
from typing import Any

import psycopg
import pytest

from app.core.errors import Invalid, Unavailable
from app.database.connection import Connection
from app.database.pool import _CONNECTION_OPTIONS, Database, connect
from app.database.statements import BoundStatement, Statement
from tests.support.service import PATIENCE


def asks(text: str, **parameters: Any) -> BoundStatement:
    return BoundStatement(Statement(text, {}), parameters)


# Each with what it returns: more than the driver keeps prepared at a time, and one that takes long enough to be given up.
SOUND = [(asks(f"SELECT {number} + %(more)s::integer", more=1), number + 1) for number in range(150)]
SLOW = asks("SELECT 1 FROM pg_sleep(%(long)s)", long=0.1), 1
FAULTY = asks("SELECT 1 / %(of)s::integer", of=0), None


def run(work: Any) -> Any:
    async def patiently() -> Any:
        async with asyncio.timeout(PATIENCE):
            return await work

    return asyncio.run(patiently())


def test_what_fails_or_is_given_up_among_statements_sent_together_harms_no_other(database: str) -> None:
    random = Random(1)

    async def one(pool: Database, *, faulty: bool, given_up: bool) -> None:
        chosen = random.choices(SOUND, k=5) + [FAULTY] * faulty + [SLOW] * given_up
        random.shuffle(chosen)
        asked = [statement for statement, _ in chosen]
        task = asyncio.create_task(
            random.choice([pool.read, pool.write])(lambda connection: connection.fetch_batch(*asked))
        )
        if given_up:
            await asyncio.sleep(random.random() / 10)
            task.cancel()
        try:
            assert [rows for ((rows,),) in await task] == [result for _, result in chosen]
        except asyncio.CancelledError:
            assert given_up
        except psycopg.errors.DivisionByZero:
            assert faulty

    async def many() -> None:
        pool = connect(database, pool_size=3)
        for _ in range(40):
            await asyncio.gather(*(one(pool, faulty=way % 3 == 0, given_up=way % 2 == 0) for way in range(6)))
        assert pool.engine.pool.status().endswith("Current Checked out connections: 0")
        for _ in range(3):
            await pool.read(lambda connection: connection.fetch_batch(*(statement for statement, _ in SOUND)))
        await pool.engine.dispose()

    run(many())


def test_what_a_transaction_is_told_is_there_as_a_whole_or_not_at_all(database: str) -> None:
    random = Random(2)
    tell = [asks(f"INSERT INTO told SELECT {way}, %(number)s::integer", number=0).statement for way in range(3)]

    async def one(pool: Database, number: int) -> None:
        faults = random.choice([[], [], [FAULTY[0]], ["given up"]])

        async def work(connection: Connection) -> None:
            for way in random.sample(range(3), k=3):
                await connection.enqueue([BoundStatement(tell[way], {"number": number})])
                if random.random() < 0.3:
                    rows = await connection.fetch_batch(*(statement for statement, _ in SOUND[: random.randint(0, 3)]))
                    assert all(len(found) == 1 for found in rows)
                if random.random() < 0.3:
                    assert await connection.execute("SELECT count(*) FROM told")
            if faults == ["given up"]:
                await connection.enqueue([SLOW[0]])
            elif faults:
                await connection.enqueue(faults)

        task = asyncio.create_task(pool.write(work))
        if faults == ["given up"]:
            await asyncio.sleep(random.random() / 20)
            task.cancel()
        try:
            await task
            kept.add(number)
        except asyncio.CancelledError:
            # It may come when all is committed but its answer.
            given_up.add(number)
            assert faults == ["given up"]
        except psycopg.errors.DivisionByZero:
            assert faults

    async def many() -> None:
        pool = connect(database, pool_size=3)
        await pool.write(lambda connection: connection.execute("CREATE TABLE told (way integer, number integer)"))
        for first in range(0, 240, 6):
            await asyncio.gather(*(one(pool, first + number) for number in range(6)))
        assert pool.engine.pool.status().endswith("Current Checked out connections: 0")
        found = dict(await pool.read(lambda c: c.execute("SELECT number, count(*) FROM told GROUP BY number")))
        assert kept <= found.keys() <= kept | given_up
        assert set(found.values()) == {3}
        assert 40 < len(kept) < 200
        await pool.engine.dispose()

    kept: set[int] = set()
    given_up: set[int] = set()
    run(many())


def test_however_much_a_transaction_is_told_all_of_it_is_sent_before_its_end(database: str) -> None:
    async def tell() -> None:
        pool = connect(database, pool_size=1)
        # More than what lies between two processes can hold, while PostgreSQL is busy with something else.
        large = [asks("SELECT length(%(long)s), pg_sleep(0.2)", long="x" * 8_000_000) for _ in range(3)]
        await pool.write(lambda connection: connection.enqueue(large))
        await pool.engine.dispose()

    run(tell())


def test_a_write_that_waits_too_long_is_to_be_sent_again_and_a_question_that_takes_too_long_is_not(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_CONNECTION_OPTIONS, "options", "-c statement_timeout=100ms")

    async def wait() -> None:
        pool = connect(database, pool_size=2)
        with psycopg.connect(database.replace("+psycopg", "")) as others:
            others.execute("LOCK TABLE survey")
            with pytest.raises(Unavailable, match="Other requests"):
                await pool.write(lambda connection: connection.execute("DELETE FROM survey"))
        with pytest.raises(Invalid, match="Ask for less"):
            await pool.read(lambda connection: connection.fetch_batch(asks("SELECT pg_sleep(10)")))
        await pool.engine.dispose()

    run(wait())


def test_what_becomes_of_statements_sent_together_is_told_by_its_error_and_not_by_the_driver(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        pool = connect(database, pool_size=1)
        # The error is there before all has been sent.
        asked = [FAULTY[0], SLOW[0], *(asks("SELECT %(long)s", long="x" * 1_000_000) for _ in range(20))]
        with pytest.raises(psycopg.errors.DivisionByZero):
            await pool.read(lambda connection: connection.fetch_batch(*asked))
        await pool.engine.dispose()

    with caplog.at_level(logging.WARNING):
        run(fail())
    assert caplog.messages == []
