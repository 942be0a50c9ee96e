"""The last day of the books: whatever the clocks say, nothing is recorded on an earlier day, and no answer as of one changes."""

import asyncio
from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.settings import Settings
from app.database.connection import Connection
from app.database.data_state import end_writing
from tests.support.campaign import examples
from tests.support.service import Service, account_update, session

Start = Callable[..., Service]
DAY = timedelta(days=1)
without_deadline = settings(deadline=None, max_examples=examples(15), suppress_health_check=list(HealthCheck))
random_generators = st.builds(Random, st.integers(0, 2**32))


def last_day(query_database: Callable[[str], list[Any]]) -> str | None:
    [(day,)] = query_database("SELECT last_day FROM books")
    return day and str(day)


def as_of_days(service: Service, *days: int) -> list[Any]:
    """Return the number of sessions in March as of days of March."""
    return [service.value("sessions", as_of=f"2026-03-{day}") for day in days]


def checks_are_green(service: Service) -> bool:
    return service.get("/v1/checks")["ok"] is True and service.differences() == []


# --- A clock that is behind ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [timedelta(hours=1), timedelta(days=1), timedelta(days=5), timedelta(days=900)])
def test_a_clock_that_was_set_back_is_followed_by_the_books(service: Service, back: timedelta) -> None:
    service.on("2026-03-19").send(session("acme"))
    service.on("2026-03-20").later(hours=-11, minutes=-30)
    before = as_of_days(service, 19)
    service.now -= back
    service.send(session("acme"), session("globex"), account_update("initech", at="2026-03-01T00:00:00Z", plan="pro"))
    service.put("/v1/accounts/umbrella", {"attributes": {"plan": "pro"}})
    assert as_of_days(service, 19) == before == [1]
    assert service.value("sessions") == service.value("sessions", as_of="2026-03-20") == 3
    assert service.get("/v1/accounts/umbrella")["attributes"] == {"plan": "pro"}
    assert checks_are_green(service)


def test_retractions_and_segments_follow_the_books_too(service: Service) -> None:
    service.on("2026-03-19").send(session("acme", id="one"), account_update("acme", plan="pro"))
    service.put("/v1/segments/pro", {"filter": 'plan = "pro"'})
    service.on("2026-03-21").send(session("globex"))
    question = {"segment": "pro", "as_of": "2026-03-20"}
    before = service.rows("sessions", period="2026-03", **question)
    service.on("2026-03-18").retract("acme", "one")
    service.put("/v1/segments/pro", {"filter": 'plan = "free"'})
    assert service.rows("sessions", period="2026-03", **question) == before
    assert as_of_days(service, 20, 21) == [1, 1]
    assert checks_are_green(service)


def test_events_of_the_books_last_day_are_accepted_by_a_clock_that_is_behind(service: Service) -> None:
    service.on("2026-03-19").send(session("acme"))
    service.on("2024-01-01")
    assert service.send(session("globex", at="2026-03-19"))["accepted"] == 1
    ahead = service.request("POST", "/v1/events", json=session("globex", at="2026-03-21"))
    assert ahead.json()["rejected"][0]["code"] == "in_the_future"


def test_an_answer_as_of_yesterday_ends_yesterday_for_all_processes(start_service: Start) -> None:
    ahead, behind = start_service(), start_service()
    behind.on("2026-03-14").send(session("acme"))
    # Shortly after midnight by one clock, shortly before it by the other. Nothing has been recorded on the new day yet.
    ahead.on("2026-03-15").later(hours=-11, minutes=-50)
    behind.on("2026-03-15").later(hours=-12, minutes=-10)
    assert as_of_days(ahead, 14) == [1]
    behind.send(session("globex"), session("acme"))
    behind.put("/v1/accounts/initech", {"attributes": {"plan": "pro"}})
    assert as_of_days(ahead, 14, 15) == as_of_days(behind, 14, 15) == [1, 3]
    assert checks_are_green(ahead) and checks_are_green(behind)


def test_a_question_without_as_of_moves_nothing(service: Service, query_database: Callable[[str], list[Any]]) -> None:
    service.send(session())
    service.on("2026-03-20").value("sessions")
    service.value("sessions", as_of="2026-03-14")
    assert last_day(query_database) == "2026-03-15"
    service.value("sessions", as_of="2026-03-17")
    assert last_day(query_database) == "2026-03-18"


def test_what_one_process_has_recorded_is_in_the_next_answer_of_another_whose_clock_is_behind(
    start_service: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.books.last_day.MAX_AGE_SECONDS", 0)
    ahead, behind = start_service(), start_service()
    behind.on("2026-03-14").send(session("acme", at="2026-03-14"))
    ahead.on("2026-03-15").send(session("acme", at="2026-03-15"))
    assert behind.value("sessions") == 2
    assert behind.get("/v1/checks")["ok"]


def test_history_is_imported_with_its_own_days(service: Service) -> None:
    service.on("2026-03-15").send(session("acme"))
    service.send(session("globex", at="2026-01-05", recorded_on="2026-01-07"))
    assert service.value("sessions", period="2026-01", as_of="2026-01-07") == 1
    assert checks_are_green(service)


def test_writers_that_wait_while_the_books_move_on_are_recorded_on_the_new_day(
    start_service: Start, database: str
) -> None:
    ahead, behind = start_service(), start_service()
    behind.on("2026-03-14").send(session("acme"))
    ahead.on("2026-03-15")

    async def send_while_the_account_is_locked() -> None:
        async with await psycopg.AsyncConnection.connect(database.replace("+psycopg", "")) as holder:
            await holder.execute("SELECT FROM account FOR UPDATE")
            sending = asyncio.create_task(behind.client.post("/v1/events", json=session("acme")))
            await asyncio.sleep(0.3)
            assert await asyncio.to_thread(as_of_days, ahead, 14) == [1]
            await holder.rollback()
        assert (await sending).json()["accepted"] == 1

    behind.run(send_while_the_account_is_locked())
    assert as_of_days(ahead, 14, 15) == [1, 2]


def test_the_books_move_on_only_after_what_is_being_committed(
    service: Service, query_database: Callable[[str], list[Any]]
) -> None:
    service.send(session())
    today = service.books.today()
    committing, may_commit = asyncio.Event(), asyncio.Event()

    async def commit_slowly(connection: Connection) -> None:
        await connection.fetch_batch(end_writing(today, None))
        committing.set()
        await may_commit.wait()

    async def run() -> None:
        writing = asyncio.create_task(service.books.database.write(commit_slowly))
        await committing.wait()
        service.on(today + DAY)
        moving = asyncio.create_task(service.books.write(no_work))
        await asyncio.wait({moving}, timeout=0.3)
        assert not moving.done()
        may_commit.set()
        await writing
        assert await moving == today + DAY

    async def no_work(_: Connection, day: date) -> date:
        return day

    service.run(run())
    assert last_day(query_database) == str(today + DAY)


# --- A clock that is ahead ----------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_ahead_is_refused_and_questions_go_on(start_service: Start) -> None:
    service = start_service(max_clock_jump_days=31)
    service.on("2026-03-15").send(session("acme", id="one"))
    before = service.rows("sessions", period="2026")
    service.on("2027-04-19")
    for method, path, body in (
        ("POST", "/v1/events", session("acme")),
        ("POST", "/v1/events", [session(f"new-{n}") for n in range(200)]),
        ("PUT", "/v1/accounts/globex", {"attributes": {"plan": "pro"}}),
        ("PUT", "/v1/segments/pro?strict=false", {"filter": 'plan = "pro"'}),
        ("DELETE", "/v1/accounts/acme/events/one", None),
    ):
        answer = service.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (503, "clock_ahead"), answer.text
        assert int(answer.headers["retry-after"]) > 0
        for word in ("2027-04-19", "2026-03-15", "31", "csmetrics clock accept"):
            assert word in answer.json()["detail"]
    assert service.rows("sessions", period="2026") == before
    assert service.request("GET", "/v1/metrics/sessions", params={"as_of": "2026-03-16"}).status_code == 422
    assert service.get("/readyz") == {"status": "ok"}
    assert checks_are_green(service)
    service.on("2026-03-16").send(session("acme"))
    assert as_of_days(service, 15, 16) == [1, 2]


@pytest.mark.parametrize(("days", "status"), [(0, 200), (1, 200), (31, 200), (32, 503), (400, 503), (9_000, 503)])
def test_the_clock_may_be_ahead_by_as_many_days_as_the_setting_says(
    start_service: Start, days: int, status: int
) -> None:
    service = start_service(max_clock_jump_days=31)
    service.send(session())
    service.later(days=days)
    assert service.request("POST", "/v1/events", json=session("globex")).status_code == status


def test_a_service_that_nobody_has_used_for_weeks_or_a_quarter_records_again(start_service: Start) -> None:
    default = Settings.model_fields["max_clock_jump_days"].default
    service = start_service(max_clock_jump_days=default)
    service.send(session())
    service.later(days=42)
    assert service.get("/v1/metrics/sessions")["rows"][-1]["period"] == "2026-04"
    assert service.send(session("globex"))["accepted"] == 1
    # A quarter is not too long either.
    service.later(days=92)
    assert service.send(session("initech"))["accepted"] == 1


def test_a_service_whose_clock_is_ahead_starts_and_answers(start_service: Start, database: str) -> None:
    start_service(max_clock_jump_days=31).send(session())
    service = Service(database, max_clock_jump_days=31, gross_margin=0.8).on("2027-04-19")
    with service.open():
        assert service.value("sessions") == 1
        assert service.request("POST", "/v1/events", json=session()).status_code == 503


# --- Random clocks ------------------------------------------------------------------------------------------------------


def test_no_answer_as_of_an_earlier_day_changes_whatever_the_clocks_of_two_processes_do(start_service: Start) -> None:
    services = [start_service(max_clock_jump_days=31), start_service(max_clock_jump_days=31)]
    services[0].send(session())

    @without_deadline
    @given(random_generators)
    def check(random: Random) -> None:
        for service in services:
            service.on(services[0].run(services[0].books.load_today()))
        answers: dict[tuple[str, str], Any] = {}
        for step in range(random.randint(5, 12)):
            service = random.choice(services)
            service.later(**random.choice(CLOCK_STEPS))
            take_step(random, service, step)
            day = str(service.books.today() - random.randint(1, 3) * DAY)
            for metric in ("sessions", "active_users"):
                rows = service.rows(metric, **ALL_DAYS, as_of=day)
                assert answers.setdefault((metric, day), rows) == rows, (metric, day)
        for (metric, day), rows in answers.items():
            for service in services:
                if service.books.today() > date.fromisoformat(day):
                    assert service.rows(metric, **ALL_DAYS, as_of=day) == rows, (metric, day)

    check()
    for service in services:
        assert checks_are_green(service)


ALL_DAYS = {"start": "2026-01-01", "end": "2036-01-01", "granularity": "total", "group_by": "account"}
CLOCK_STEPS = [
    {},
    {"minutes": 20},
    {"hours": 7},
    {"days": 1},
    {"hours": -1},
    {"hours": -13},
    {"days": -2},
    {"days": 3},
    {"days": 400},
    {"days": -400},
]


def take_step(random: Random, service: Service, step: int) -> None:
    """Send an event of a known or a new account, or retract one. A refused clock changes nothing."""
    account, id = random.choice(["acme", "globex", f"new-{step}"]), f"{random.random()}"
    at = str(service.books.today() - random.randint(0, 3) * DAY)
    answer = service.request("POST", "/v1/events", json=session(account, id=id, at=at, user=random.choice("ab")))
    assert answer.status_code in (200, 503), answer.text
    if answer.status_code == 200 and random.random() < 0.3:
        assert service.request("DELETE", f"/v1/accounts/{account}/events/{id}").status_code in (204, 503)
