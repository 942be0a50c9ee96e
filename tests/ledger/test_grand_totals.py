"""The totals of all accounts together are the sums of those of each, whoever writes them, and nobody waits for long."""

import asyncio
from collections.abc import Callable
from random import Random

import psycopg
import pytest
from alembic import command

from app.database import connection
from app.ingest import accept
from app.ledger.rebuild import rebuild
from tests.database.test_migrations import ask, go
from tests.ingest.test_concurrency import count_deadlocks, mixed_events
from tests.support.service import PATIENCE, Service, session

pytestmark = pytest.mark.own_database


def rebuilt(service: Service) -> None:
    async def drain() -> None:
        async with asyncio.timeout(PATIENCE):
            async for _ in rebuild(service.books):
                pass

    service.run(drain())


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE grand_total SET m03 = m03 + 1",
        "DELETE FROM grand_total",
        "INSERT INTO grand_total SELECT measure, year + 1, subject, channel, 1,0,0,0,0,0,0,0,0,0,0,0 FROM grand_total",
    ],
)
def test_a_rebuild_makes_them_right_again(service: Service, execute_in: Callable[[str], None], tampering: str) -> None:
    service.send(*mixed_events(Random(5)))
    execute_in(tampering)
    assert service.differences() != []
    rebuilt(service)
    assert service.differences() == []


def test_a_rebuild_adds_them_up_while_somebody_is_writing_them(service: Service, database: str) -> None:
    service.send(session("acme"), session("globex"))
    with psycopg.connect(database.replace("+psycopg", "")) as writing:
        # As far as posting has come when a rebuild finds it; it may hold this for as long as a batch takes.
        writing.execute("LOCK TABLE grand_total IN ROW EXCLUSIVE MODE")
        rebuilt(service)
    assert service.differences() == []


def test_large_batches_that_are_posted_in_parts_never_wait_in_a_circle(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_MOST_ROWS", 4)
    monkeypatch.setattr(accept, "_MAX_SHARED_EVENTS", 0)
    days = [f"{year}-0{month}-10" for year in (2023, 2024, 2025) for month in (1, 2)]

    async def client(number: int) -> None:
        for _ in range(10):
            batch = [session(f"account-{number}", at=day, user=f"u{n}") for n, day in enumerate(days)]
            Random(number).shuffle(batch)
            answer = await service.client.post("/v1/events", json=batch)
            assert answer.json()["accepted"] == len(batch), answer.text

    service.together(*(client(number) for number in range(8)))
    assert count_deadlocks(service) == 0
    assert service.differences() == []


def test_an_upgrade_adds_up_what_the_books_have(service: Service, database: str) -> None:
    service.send(*mixed_events(Random(5)), *mixed_events(Random(6)))
    go(database, command.downgrade, "0004")
    go(database, command.upgrade, "head")
    assert service.differences() == []


def test_an_upgrade_takes_off_what_first_days_were_entered_more_than_once(service: Service, database: str) -> None:
    service.send(
        *(session("acme", user=user, at=f"2025-{month}-10") for user in ("ada", "bo") for month in ("01", "02", "05"))
    )
    users = {
        name: service.value("active_users", period=name, granularity="total") for name in ("2025-02", "2025-Q2", "2025")
    }
    go(database, command.downgrade, "0005")
    # As it was: each measure by itself, in entries and in both kinds of totals.
    kept = [
        ask(
            database,
            f"SELECT sum({what}) FROM {table} JOIN label ON key = measure WHERE text = 'active_users_{unit}' {where}",
        )
        for unit, month, where in (
            ("month", "m02", "2025-02"),
            ("quarter", "m05", "2025-05"),
            ("year", "m01", "2025-01"),
        )
        for table, what, where in (
            ("entry", "value", f"AND to_char(effective_on, 'YYYY-MM') = '{where}'"),
            ("total", month, "AND year = 2025"),
            ("grand_total", month, "AND year = 2025"),
        )
    ]
    assert kept == [[(users[name],)] for name in users for _ in range(3)] == [[(2,)]] * 9
    go(database, command.upgrade, "head")
    assert {name: service.value("active_users", period=name, granularity="total") for name in users} == users
    assert service.differences() == []
