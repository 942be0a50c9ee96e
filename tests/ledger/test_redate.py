"""The repair after a clock that was ahead, `csmetrics clock repair`: what it changes, and what it leaves."""

from collections.abc import Callable
from datetime import date
from random import Random
from typing import Any

import pytest

from app.ledger.redate import redate
from tests.model.generators import random_question, random_step
from tests.model.pair import Pair
from tests.support.service import Service, account_update, event, session

Start = Callable[..., Service]
REAL, WRONG = "2026-03-20", "2028-01-04"


def checks_are_green(service: Service) -> bool:
    return service.get("/v1/checks")["ok"] is True and service.differences() == []


def repair(service: Service) -> None:
    """Do what `csmetrics clock repair --yes` does, on the day of the service's clock."""

    async def drain() -> None:
        async for _ in redate(service.books, day=service.books.clock_day()):
            pass

    service.run(drain())


def record_on_a_wrong_day(service: Service) -> None:
    """Record something with a clock that is right, with one that is 400 days ahead, and with the right one again."""
    service.on("2026-03-18").send(session("acme", id="early"), account_update("acme", plan="free"))
    service.put("/v1/segments/paying", {"filter": 'plan = "pro"'})
    service.on("2026-03-19").send(session("acme", id="retracted"))
    service.on(WRONG).send(
        session("acme"),
        session("globex", user="eve"),
        account_update("acme", plan="pro"),
        event("user.registered", user="bo"),
    )
    service.put("/v1/segments/paying", {"filter": 'plan != "free"'})
    service.retract("acme", "retracted")
    service.on(REAL).send(session("acme"), session("initech"))


def test_the_repair_records_on_today_what_was_recorded_on_days_that_have_not_come(service: Service) -> None:
    record_on_a_wrong_day(service)
    assert service.books.today() == date.fromisoformat(WRONG)
    known = {day: service.rows("sessions", period="2026-03", as_of=day) for day in ("2026-03-18", "2026-03-19")}
    repair(service)
    assert service.books.today() == date.fromisoformat(REAL)
    assert {day: service.rows("sessions", period="2026-03", as_of=day) for day in known} == known
    assert service.value("sessions") == service.value("sessions", as_of=REAL) == 5
    assert service.get("/v1/accounts/acme")["attributes"] == {"plan": "pro"}
    assert service.value("sessions", segment="paying") == 3
    assert checks_are_green(service)
    # The books go on from today.
    service.on("2026-03-21").send(session("globex"))
    assert service.value("sessions", as_of=REAL) == 5
    assert service.value("sessions", as_of="2026-03-21") == 6
    assert checks_are_green(service)


def test_the_repair_can_be_run_while_other_processes_go_on_and_run_again(start_service: Start) -> None:
    service, other = start_service(), start_service()
    record_on_a_wrong_day(service)
    other.on(REAL).send(session("acme"))
    repair(service)
    other.send(session("acme"), session("umbrella"))
    assert other.value("sessions", as_of=REAL) == other.value("sessions") == 8
    repair(service)
    assert checks_are_green(service) and checks_are_green(other)


def test_an_interrupted_repair_goes_on_where_it_was(service: Service) -> None:
    record_on_a_wrong_day(service)

    async def interrupt() -> None:
        async def stop_at_once(*_: Any) -> Any:
            raise KeyboardInterrupt
            yield

        with pytest.raises(KeyboardInterrupt):
            async for _ in redate(service.books, day=service.books.clock_day(), executor=stop_at_once):
                pass

    service.run(interrupt())
    service.send(session("hooli"))
    repair(service)
    assert service.value("sessions", as_of=REAL) == 6
    assert checks_are_green(service)


@pytest.mark.parametrize("seed", range(3))
def test_a_repaired_history_is_that_of_a_clock_that_was_never_wrong(service: Service, seed: int) -> None:
    random = Random(seed)
    pair = Pair(service).on(date(2026, 3, 12), hours=9)
    for hours in (9, 12):
        pair.on(date(2026, 3, 12), hours=hours)
        random_step(random, pair)
    # Only the service's clock is wrong.
    pair.on(date(2026, 3, 13), hours=9)
    service.on("2026-09-01")
    service.run(service.books.write(_do_nothing))
    service.now = pair.now
    for hours in (10, 12, 14):
        pair.on(date(2026, 3, 13), hours=hours)
        random_step(random, pair)
    assert service.books.today() == date(2026, 9, 1)
    repair(service)
    for question in (random_question(random, pair) for _ in range(3)):
        for day in (date(2026, 3, 12), date(2026, 3, 13)):
            pair.ask(**question, as_of=day)
        pair.ask(**question)
    assert pair.differences() == []


async def _do_nothing(*_: Any) -> None:
    pass
