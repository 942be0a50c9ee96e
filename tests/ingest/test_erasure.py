"""Erasure: no trace of the person is left, and every number stays the same."""

from collections.abc import Callable, Collection, Iterator
from datetime import date
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.accounts.accounts import account_key
from app.core import logs
from app.database.all_tables import metadata
from app.database.connection import Connection
from app.feedback.comments import comment_id as id_of
from app.ingest.define import EVENT_TYPES
from app.ingest.schemas import example_event
from app.ledger.presence.keys import user_key
from tests.model.calendar import DAY
from tests.model.formulas import METRICS
from tests.model.generators import random_question, random_step
from tests.model.pair import Pair
from tests.support.campaign import examples
from tests.support.service import Service, event, session

ADA = "ada@acme.example"
TRACES = (ADA, "Lovelace", "wonderful", "engine", "rang her", str(user_key(account_key("acme"), ADA)))


def erase(service: Service, user: str = ADA, account: str = "acme") -> int:
    return service.request("DELETE", f"/v1/accounts/{account}/users/{user}/personal-data").status_code


def dump_tables(service: Service, *, without: Collection[str] = ()) -> str:
    """Return all tables as text, but for those `without`."""

    async def dump(connection: Connection) -> str:
        lines = []
        for table in sorted({own.name for own in metadata.sorted_tables} - {*without}):
            rows = await connection.execute(f"SELECT t::text FROM {table} t ORDER BY 1")
            lines += [table, *(line for (line,) in rows)]
        return "\n".join(lines)

    return service.run(service.books.database.read(dump))


def load_numbers(service: Service) -> list[Any]:
    """Return the rows of every metric, with current knowledge and as of earlier days."""
    questions: list[dict[str, Any]] = [
        {"start": "2026-01-01", "end": "2026-04-01", "group_by": "account", "totals": "true"},
        {"start": "2026-03-02", "end": "2026-03-20", "granularity": "day"},
        {"start": "2026-01-01", "end": "2026-04-01", "as_of": "2026-03-12"},
        {"start": "2026-02-20", "end": "2026-03-16", "as_of": "2026-03-15", "granularity": "week"},
    ]
    catalogue = service.get("/v1/metrics")["metrics"]
    metrics = ",".join(metric["name"] for metric in catalogue)
    return [service.get("/v1/query", metrics=metrics, **question)["rows"] for question in questions]


def ada(type: str, **rest: Any) -> dict[str, Any]:
    return event(type, user=ADA, extra={"name": "Ada Lovelace"}, **rest)


EVENTS = [
    ada("user.registered", at="2026-02-01", id="joined"),
    ada("session.ended", at="2026-03-02", id="visit", duration_seconds=60),
    ada("feature.used", at="2026-03-03", id="use", feature="export"),
    ada("session.ended", at="2026-03-05", id="gone", duration_seconds=60),
    ada("user.removed", at="2026-03-10", id="left"),
    ada(
        "survey.responded",
        at="2026-03-04",
        id="answer",
        survey="nps",
        score=9,
        comment="A wonderful tool.",
        tags=["ui"],
    ),
    ada("feedback.received", at="2026-03-06", id="free", comment="More engines, please."),
    ada("goal.entered", at="2026-03-02", id="entered", goal="upgrade"),
    event("goal.completed", at="2026-03-04", id="completed", goal="upgrade", who=ADA),
    ada("onboarding.started", at="2026-02-01", id="began"),
    ada("onboarding.completed", at="2026-02-04", id="done"),
    event(
        "feedback.updated",
        at="2026-03-07",
        id="u1",
        user="bob",
        feedback="answer",
        status="resolved",
        note="I rang her.",
    ),
    session(user="bob", at="2026-03-02", id="bobs"),
    session(account="globex", user="eve", at="2026-03-02"),
]


@pytest.fixture
def history(service: Service) -> Service:
    """Record what Ada did and wrote on two days, with a retraction; return the service on the day after."""
    service.on("2026-03-11").send(*EVENTS[::2])
    service.on("2026-03-13").send(*EVENTS[1::2])
    service.on("2026-03-14").retract("acme", "gone")
    return service.on("2026-03-15")


def test_nothing_is_left_of_the_person_and_all_numbers_stay(history: Service) -> None:
    assert all(trace in dump_tables(history) for trace in TRACES)
    before = load_numbers(history.on("2026-03-16"))
    assert history.value("active_users") == 3
    assert erase(history) == 204
    left = dump_tables(history)
    assert [trace for trace in TRACES if trace in left] == []
    assert load_numbers(history) == before
    assert history.differences() == []


def test_an_erased_comment_is_listed_without_its_text(history: Service) -> None:
    erase(history)
    free, answer = history.get("/v1/feedback")["feedback"]
    assert [item["comment"] for item in (free, answer)] == [None, None]
    assert (answer["score"], answer["class"], answer["tags"], answer["status"]) == (9, "promoter", ["ui"], "resolved")
    assert (answer["note"], answer["user_id"]) == (None, free["user_id"])
    assert answer["user_id"].startswith("erased-")
    assert history.get("/v1/feedback", q="wonderful")["feedback"] == []


def test_erasing_a_user_again_or_an_unknown_user_changes_nothing(history: Service) -> None:
    assert erase(history) == 204
    # For pollers it is a change all the same: whether a transaction has changed anything is not examined.
    polls = ("data_state", "data_change")
    before = dump_tables(history, without=polls)
    assert [erase(history), erase(history, "nobody"), erase(history, ADA, "globex")] == [204, 204, 204]
    assert erase(history, ADA, "unheard") == 404
    assert dump_tables(history, without=polls) == before


def test_the_data_of_other_users_stays(history: Service) -> None:
    erase(history, "bob")
    left = dump_tables(history)
    assert [trace for trace in TRACES if trace not in left] == ["rang her"]
    assert "bob" not in left.replace("bobs", "")
    assert history.differences() == []


def test_events_sent_again_are_duplicates_and_new_events_are_of_a_new_user(history: Service) -> None:
    erase(history)
    before = load_numbers(history)
    again = [sent for sent in EVENTS if sent["account_id"] == "acme"]
    assert history.send(*again) == {"accepted": 0, "duplicates": len(again), "rejected": []}
    assert load_numbers(history) == before
    assert ADA not in dump_tables(history)
    history.send(session(user=ADA, at="2026-03-14"))
    assert history.value("active_users") == 4
    assert history.differences() == []


def test_erased_events_can_be_retracted(history: Service) -> None:
    erase(history)
    for id in ("visit", "use", "answer", "completed", "joined"):
        history.retract("acme", id)
    assert history.value("active_users") == 2
    assert (history.value("nps"), history.value("feedback_closed_rate")) == (None, 0)
    assert history.differences() == []


def test_every_type_of_event_loses_the_person(service: Service) -> None:
    named = {"user_id": ADA}
    service.send(*(example_event(type) | named | {"data": dict(EVENT_TYPES[type].example)} for type in EVENT_TYPES))
    before = load_numbers(service)
    assert erase(service) == 204
    assert ADA not in dump_tables(service)
    assert load_numbers(service) == before
    assert service.differences() == []


def test_concurrent_erasure_and_retraction_leave_a_consistent_ledger(service: Service) -> None:
    for number in range(6):
        account = f"account-{number}"
        service.send(*(session(account, user="ada", at=f"2026-03-0{n}", id=f"visit-{n}") for n in range(1, 5)))
        calls = [("DELETE", f"/v1/accounts/{account}/events/visit-{n}") for n in range(1, 4)]
        calls.insert(number % 4, ("DELETE", f"/v1/accounts/{account}/users/ada/personal-data"))
        replies = service.gather(*(service.client.request(*call) for call in calls))
        assert [answer.status_code for answer in replies] == [204] * 4
    assert service.value("active_users", period="2026-03") == 6
    assert service.differences() == []


def test_erasure_requires_scope_admin(history: Service) -> None:
    key = history.request("POST", "/v1/keys", json={"name": "crm", "scopes": ["ingest", "read"]}).json()
    path = f"/v1/accounts/acme/users/{ADA}/personal-data"
    answer = history.request("DELETE", path, headers={"Authorization": f"Bearer {key['key']}"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "application/problem+json")
    assert ADA in dump_tables(history)


def test_erasure_changes_no_answer_about_any_history(service: Service) -> None:
    @settings(deadline=None, max_examples=examples(5), suppress_health_check=list(HealthCheck))
    @given(st.builds(Random, st.integers(0, 2**32)))
    def check(random: Random) -> None:
        pair = Pair(service).on(date(2026, 3, 1))
        days = []
        for _ in range(random.randint(4, 10)):
            days.append(pair.on(pair.today + DAY * random.randrange(3), hours=12).today)
            random_step(random, pair)
        for account in pair.accounts:
            user = random.choice(["ada", "grace", "linus"])
            # An account exists as soon as an event names it.
            assert erase(service, user, account) in (204, 404)
        for _ in range(3):
            parameters = random_question(random, pair)
            pair.ask(**parameters)
        as_of = random.choice(days)
        pair.ask(",".join(METRICS), start=as_of - 30 * DAY, end=as_of + DAY, as_of=as_of)
        assert pair.differences() == []

    check()


@pytest.fixture
def read_log(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Return a function that reads what has been logged since its last call."""
    logs.configure("info")
    yield lambda: capsys.readouterr().err
    logs.configure("error")


def test_the_log_does_not_say_who_was_erased(service: Service, read_log: Callable[[], str]) -> None:
    service.send(session())
    assert erase(service, "ada%20lovelace") == 204
    lines = read_log()
    assert "personal-data" in lines
    assert "lovelace" not in lines


def test_a_comment_whose_text_is_the_erasure_mark_is_not_an_erased_comment(history: Service) -> None:
    history.send(event("feedback.received", id="pun", comment="[erased]"))
    erase(history)
    comments = {item["event_id"]: item["comment"] for item in history.get("/v1/feedback")["feedback"]}
    assert (comments["pun"], comments["free"]) == ("[erased]", None)
    assert [item["event_id"] for item in history.get("/v1/feedback", q="erased")["feedback"]] == ["pun"]
    assert [item["comment"] for item in history.get("/v1/accounts/acme/overview")["answers"]] == [
        "[erased]",
        None,
        None,
    ]


# --- One comment --------------------------------------------------------------------------------------------------------

COMMENTS = [
    event("feedback.received", at="2026-03-06", id="free", comment="Ada Lovelace rang her.", extra={"by": "Lovelace"}),
    event("survey.responded", at="2026-03-04", id="answer", survey="nps", score=9, comment="wonderful", tags=["ui"]),
    ada("survey.responded", at="2026-03-05", id="with a user", survey="nps", score=2, comment="No engine."),
    event("feedback.received", at="2026-03-07", id="other", comment="Fine."),
    event("survey.responded", at="2026-03-08", id="without", survey="nps", score=7),
]


def comment_id(service: Service, event_id: str) -> str:
    [id] = [c["id"] for c in service.get("/v1/feedback")["feedback"] if c["event_id"] == event_id]
    return id


@pytest.mark.parametrize("event_id", ["free", "answer", "with a user"])
def test_the_text_of_one_comment_is_erased_and_every_number_stays(event_id: str, service: Service) -> None:
    [sent] = [comment for comment in COMMENTS if comment["id"] == event_id]
    service.send(*COMMENTS)
    id = comment_id(service, event_id)
    service.request("PATCH", f"/v1/feedback/{id}", json={"status": "resolved", "note": "a private note"})
    service.on("2026-03-20")
    numbers, before = load_numbers(service), service.get(f"/v1/feedback/{id}")
    found = service.get("/v1/feedback", q="Lovelace or wonderful or engine")["feedback"]
    response = service.request("DELETE", f"/v1/feedback/{id}")
    assert (response.status_code, response.content) == (204, b"")
    text = dump_tables(service)
    for trace in (sent["data"]["comment"], "a private note", *sent["data"].get("extra", {})):
        assert f'""{trace}""' not in text
    assert service.get(f"/v1/feedback/{id}") == before | {"comment": None, "note": None}
    others = [comment for comment in found if comment["id"] != id]
    assert service.get("/v1/feedback", q="Lovelace or wonderful or engine")["feedback"] == others != found
    assert load_numbers(service) == numbers
    assert service.differences() == []
    # Sent again, it is a duplicate, and the text does not come back.
    assert service.send(sent) == {"accepted": 0, "duplicates": 1, "rejected": []}
    assert sent["data"]["comment"] not in dump_tables(service)


def test_the_text_of_a_retracted_comment_is_erased_too(service: Service) -> None:
    service.send(*COMMENTS)
    id = comment_id(service, "free")
    service.retract("acme", "free")
    assert service.request("DELETE", f"/v1/feedback/{id}").status_code == 204
    assert "rang her" not in dump_tables(service)
    assert service.differences() == []


def test_a_comment_may_be_erased_again_and_an_unknown_one_is_not_found(service: Service) -> None:
    service.send(*COMMENTS)
    id = comment_id(service, "answer")
    before = len(service.get("/v1/accounts")["accounts"])
    assert [service.request("DELETE", f"/v1/feedback/{id}").status_code for _ in range(2)] == [204, 204]
    for unknown in ("none", id_of("acme", "without"), id_of("acme", "none"), id_of("nobody", "free")):
        response = service.request("DELETE", f"/v1/feedback/{unknown}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert len(service.get("/v1/accounts")["accounts"]) == before
    assert [c["comment"] for c in service.get("/v1/feedback")["feedback"]] == [
        "Fine.",
        "Ada Lovelace rang her.",
        "No engine.",
        None,
    ]
