"""The first day on which anything was recorded: stored with the events, whatever becomes of a transaction."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from app.books.first_day import FirstDay, is_recorded_by, note_recorded_days
from app.database.connection import Connection
from app.ledger.rebuild import rebuild
from tests.support.service import Service, session


def stored_day(query_database: Callable[[str], list[Any]]) -> date | None:
    [(day,)] = query_database("SELECT first_recorded_on FROM books")
    return day


def test_a_transaction_that_is_rolled_back_leaves_nothing_known(
    service: Service, query_database: Callable[[str], list[Any]]
) -> None:
    books, day = service.books, date(2026, 3, 15)

    async def fail(connection: Connection, today: date) -> None:
        await note_recorded_days(connection, books.first_day, [today])
        await note_recorded_days(connection, books.first_day, [])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        service.run(books.write(fail))
    assert stored_day(query_database) is None
    assert not service.run(is_recorded_by(books.database, books.first_day, day))
    service.send(session())
    assert stored_day(query_database) == day
    assert service.run(is_recorded_by(books.database, books.first_day, day))


def test_a_process_that_has_read_nothing_yet_asks_the_database(service: Service) -> None:
    service.send(session())
    for day, expected in ((date(2026, 3, 14), False), (date(2026, 3, 15), True), (date(2026, 3, 16), True)):
        assert service.run(is_recorded_by(service.books.database, FirstDay(), day)) is expected


def test_the_first_day_moves_back_only(service: Service, query_database: Callable[[str], list[Any]]) -> None:
    days = []
    for number, recorded_on in enumerate(("2026-03-10", "2026-03-12", "2026-02-01", "2026-03-15", "2026-01-31")):
        service.send(session(f"a{number}", recorded_on=recorded_on, at="2026-01-01"))
        days.append(str(stored_day(query_database)))
    assert days == ["2026-03-10", "2026-03-10", "2026-02-01", "2026-02-01", "2026-01-31"]


def test_another_first_day_than_that_of_the_events_is_found_and_repaired(
    service: Service, execute_in: Callable[[str], None], query_database: Callable[[str], list[Any]]
) -> None:
    service.send(session())
    assert service.differences() == []
    execute_in("UPDATE books SET first_recorded_on = '2026-03-20'")
    [difference] = service.differences()
    assert (difference.item, difference.stored, difference.computed) == (
        "first recorded day",
        date(2026, 3, 20),
        date(2026, 3, 15),
    )

    async def drain() -> None:
        async for _ in rebuild(service.books):
            pass

    service.run(drain())
    assert service.differences() == []
    assert stored_day(query_database) == date(2026, 3, 15)
