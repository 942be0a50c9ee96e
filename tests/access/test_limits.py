"""Limits for a single key: questions a minute, questions at once, and the time that a question may take."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest

from app.access.rate_limits import RateLimits
from app.core.errors import Busy
from tests.support.service import Service, session

SESSIONS = "/v1/metrics/sessions"


def new_key(service: Service, *scopes: str) -> dict[str, str]:
    """Create a key and return the header that carries it."""
    answer = service.request("POST", "/v1/keys", json={"name": "limited", "scopes": scopes or ["read"]})
    return {"Authorization": f"Bearer {answer.json()['key']}"}


def ask(service: Service, key: dict[str, str], path: str = SESSIONS) -> Awaitable[httpx.Response]:
    return service.client.get(path, headers=key)


@contextmanager
def locked_totals(service: Service) -> Iterator[None]:
    """Lock what questions about sessions read, so that they wait."""
    service.send(session())
    assert service.url is not None
    with psycopg.connect(service.url.replace("+psycopg", "")) as connection:
        connection.execute("LOCK TABLE grand_total, total")
        yield


def test_a_key_may_ask_so_many_questions_a_minute(start_service: Callable[..., Service]) -> None:
    service = start_service(questions_per_minute=3)
    key, other_key = new_key(service), new_key(service)
    answers = [service.request("GET", SESSIONS, headers=key) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["RateLimit"].partition(";t=")[0] for answer in answers] == [
        '"questions";r=2', '"questions";r=1', '"questions";r=0', '"questions";r=0',
    ]  # fmt: skip
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"questions";q=3;w=60'}
    problem = answers[-1].json()
    assert problem["code"] == "too_many_requests"
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert service.request("GET", SESSIONS, headers=other_key).status_code == 200
    # Other requests are not questions.
    assert [service.send(session(id=str(number)))["accepted"] for number in range(5)] == [1] * 5


def test_every_path_that_reads_counts_one_question_and_says_so_once(start_service: Callable[..., Service]) -> None:
    service = start_service(questions_per_minute=60)
    service.send(session())
    paths = service.get("/openapi.json")["paths"].items()
    # What changes who may do what, and who sends and receives, is no question.
    not_a_question = ("/v1/keys", "/v1/sources", "/v1/webhook-endpoints")
    named = [path for path, methods in paths if path.startswith("/v1/") and "get" in methods]
    named = [path for path in named if not path.startswith(not_a_question)]
    assert "/v1/checks" in named
    for number, path in enumerate(named, start=1):
        answer = service.request("GET", path.replace("{metric}", "sessions").replace("{account_id}", "acme"))
        assert answer.headers.get_list("RateLimit-Policy") == ['"questions";q=60;w=60'], path
        assert answer.headers["RateLimit"].startswith(f'"questions";r={60 - number};'), path


def test_errors_and_unchanged_answers_say_what_is_left_as_well(start_service: Callable[..., Service]) -> None:
    service = start_service(questions_per_minute=9)
    tag = service.request("GET", SESSIONS).headers["ETag"]
    unchanged = service.request("GET", SESSIONS, headers={"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.headers["RateLimit"][:15]) == (304, '"questions";r=7')
    invalid = service.request("GET", "/v1/metrics/sessions?period=soon")
    assert (invalid.status_code, invalid.headers["RateLimit"][:15]) == (422, '"questions";r=6')


def test_the_minute_of_a_key_begins_anew() -> None:
    now = 100.0
    limits = RateLimits(1, clock=lambda: now)
    assert limits.count("ada")["RateLimit"] == '"questions";r=0;t=60'
    now += 59.5
    with pytest.raises(Busy) as refused:
        limits.count("ada")
    assert refused.value.headers["Retry-After"] == "1"
    now += 0.5
    assert limits.count("ada")["RateLimit"] == '"questions";r=0;t=60'


def test_a_question_that_takes_too_long_is_stopped_and_says_what_to_do(
    start_service: Callable[..., Service],
) -> None:
    service = start_service(question_timeout=0.2)
    with locked_totals(service):
        answer = service.request("GET", SESSIONS)
    assert (answer.status_code, answer.json()["code"]) == (422, "too_complex")
    assert "longer than 0.2 seconds" in answer.json()["detail"]
    assert "QUESTION_TIMEOUT" in answer.json()["detail"]
    assert service.request("GET", SESSIONS).status_code == 200


def test_the_questions_of_one_key_wait_for_each_other_and_not_those_of_others(
    start_service: Callable[..., Service],
) -> None:
    service = start_service(questions_at_once=2, questions_per_key=1, question_wait=0.3, question_timeout=2)
    key, other_key, third_key = (new_key(service) for _ in range(3))

    with locked_totals(service):
        answers = service.gather(*(ask(service, sender) for sender in (key, key, other_key, third_key)))
        # Writes have connections of their own, and so do requests that only need a key.
        assert service.request("PUT", "/v1/accounts/acme", json={"attributes": {"plan": "pro"}}).status_code == 200
        assert service.request("GET", "/readyz").status_code == 200
    (stopped, busy), (_, unavailable) = (
        sorted(pair, key=lambda answer: answer.status_code) for pair in (answers[:2], answers[2:])
    )
    assert [answer.status_code for answer in (stopped, busy, unavailable)] == [422, 429, 503]
    assert busy.json()["code"] == "too_many_questions"
    assert "answers 1 of a key at the same time" in busy.json()["detail"]
    assert unavailable.json()["code"] == "busy"
    assert (busy.headers["Retry-After"], unavailable.headers["Retry-After"]) == ("2", "2")
    assert service.gather(*(ask(service, key) for _ in range(5)))[-1].status_code == 200


def test_only_some_questions_of_a_key_may_wait(start_service: Callable[..., Service]) -> None:
    service = start_service(questions_per_key=1, question_wait=0.2, question_timeout=2)
    key = new_key(service)
    with locked_totals(service):
        answers: list[Any] = service.gather(*(ask(service, key) for _ in range(30)))
    assert sorted({answer.status_code for answer in answers}) == [422, 429]
    assert [answer.status_code for answer in answers].count(422) == 1
