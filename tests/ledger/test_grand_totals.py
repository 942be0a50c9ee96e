"""Grand totals are the sums of the totals of all accounts, whoever writes them, and nobody waits for long."""

import asyncio
from collections.abc import Callable
from random import Random

import psycopg
import pytest
from alembic import command

from app.database import statements
from app.ingest import accept
from app.ledger.rebuild import rebuild
from tests.database.test_migrations import fetch, run_alembic
from tests.ingest.test_concurrency import count_deadlocks, mixed_events
from tests.support.service import PATIENCE, Service, session

pytestmark = pytest.mark.own_database


def run_rebuild(service: Service) -> None:
    async def drain() -> None:
        async with asyncio.timeout(PATIENCE):
            async for _ in rebuild(service.books):
                pass

    service.run(drain())


def test_grand_totals_are_written_after_entries_and_totals(
    service: Service, database: str, execute_in: Callable[[str], None]
) -> None:
    """All transactions write the same few rows of `grand_total`, so each locks them only at its end."""
    execute_in("CREATE TABLE written (number integer GENERATED ALWAYS AS IDENTITY, name text)")
    execute_in(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN INSERT INTO written (name) VALUES (TG_TABLE_NAME); RETURN NEW; END$$"
    )
    for table in ("entry", "total", "grand_total"):
        execute_in(f"CREATE TRIGGER note BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION note()")
    order = ["total", "entry", "grand_total"]
    for _ in range(2):  # the rows of the first batch are new, those of the second exist
        service.send(session("acme"), session("globex"))
        names = [name for (name,) in fetch(database, "SELECT name FROM written ORDER BY number")]
        assert set(names) == set(order)
        assert names == sorted(names, key=order.index)
        execute_in("DELETE FROM written")


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE grand_total SET m03 = m03 + 1",
        "DELETE FROM grand_total",
        "INSERT INTO grand_total SELECT measure, year + 1, subject, channel, 1,0,0,0,0,0,0,0,0,0,0,0 FROM grand_total",
    ],
)
def test_a_rebuild_corrects_grand_totals(service: Service, execute_in: Callable[[str], None], tampering: str) -> None:
    service.send(*mixed_events(Random(5)))
    execute_in(tampering)
    assert service.differences() != []
    run_rebuild(service)
    assert service.differences() == []


def test_a_rebuild_computes_grand_totals_while_another_transaction_writes_them(service: Service, database: str) -> None:
    service.send(session("acme"), session("globex"))
    with psycopg.connect(database.replace("+psycopg", "")) as writer:
        # The lock that posting takes; it may hold it for as long as a batch takes.
        writer.execute("LOCK TABLE grand_total IN ROW EXCLUSIVE MODE")
        run_rebuild(service)
    assert service.differences() == []


def test_large_batches_that_are_posted_by_several_statements_do_not_deadlock(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "_MAX_ROWS", 4)
    monkeypatch.setattr(accept, "_MAX_SHARED_EVENTS", 0)
    days = [f"{year}-0{month}-10" for year in (2023, 2024, 2025) for month in (1, 2)]

    async def client(number: int) -> None:
        for _ in range(10):
            batch = [session(f"account-{number}", at=day, user=f"u{n}") for n, day in enumerate(days)]
            Random(number).shuffle(batch)
            answer = await service.client.post("/v1/events", json=batch)
            assert answer.json()["accepted"] == len(batch), answer.text

    service.gather(*(client(number) for number in range(8)))
    assert count_deadlocks(service) == 0
    assert service.differences() == []


def test_an_upgrade_computes_grand_totals_from_stored_totals(service: Service, database: str) -> None:
    service.send(*mixed_events(Random(5)), *mixed_events(Random(6)))
    run_alembic(database, command.downgrade, "0004")
    run_alembic(database, command.upgrade, "head")
    assert service.differences() == []


def test_an_upgrade_subtracts_first_days_that_were_entered_for_several_units(service: Service, database: str) -> None:
    service.send(
        *(session("acme", user=user, at=f"2025-{month}-10") for user in ("ada", "bo") for month in ("01", "02", "05"))
    )
    users = {
        name: service.value("active_users", period=name, granularity="total") for name in ("2025-02", "2025-Q2", "2025")
    }
    run_alembic(database, command.downgrade, "0005")
    # As it was before: each measure by itself, in entries and in both kinds of totals.
    stored = [
        fetch(
            database,
            f"SELECT sum({column}) FROM {table} JOIN label ON key = measure "
            f"WHERE text = 'active_users_{unit}' {condition}",
        )
        for unit, month, in_month in (
            ("month", "m02", "2025-02"),
            ("quarter", "m05", "2025-05"),
            ("year", "m01", "2025-01"),
        )
        for table, column, condition in (
            ("entry", "value", f"AND to_char(effective_on, 'YYYY-MM') = '{in_month}'"),
            ("total", month, "AND year = 2025"),
            ("grand_total", month, "AND year = 2025"),
        )
    ]
    assert stored == [[(users[name],)] for name in users for _ in range(3)] == [[(2,)]] * 9
    run_alembic(database, command.upgrade, "head")
    assert {name: service.value("active_users", period=name, granularity="total") for name in users} == users
    assert service.differences() == []
