"""Polls: 304 and answers from memory, which are those that the question would have, whatever has been written."""

import gzip
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import zstandard
from fastapi.routing import iter_route_contexts

from app.books.last_day import move_last_day, move_last_day_back
from app.core import meters
from app.http.polls import POLLABLE
from tests.access.test_access import REQUIRED_SCOPES
from tests.support.service import Service, account_update, event, session, survey_responses

PATH = "/v1/metrics/sessions?period=2026-03"
Start = Callable[..., Service]
# GET endpoints whose answers depend on more than the data of the books, and are compared by their bytes.
NOT_POLLABLE = (
    "/v1/keys",
    "/v1/inbound",
    "/v1/alerts",
    "/v1/webhook",
    "/v1/sources",
    "/v1/vendors",
    "/v1/books",
    "/v1/checks",
    "/v1/event-types",
    "/v1/changes",
    "/odata/",
)


def polls(answer: str) -> float:
    return meters.POLLS.labels(answer)._value.get()


def get(service: Service, path: str = PATH, tag: str | None = None, **headers: str) -> httpx.Response:
    own = headers | ({} if tag is None else {"If-None-Match": tag})
    return service.request("GET", path, headers={name.replace("_", "-"): value for name, value in own.items()})


@pytest.fixture
def two(database: str, start_service: Start) -> Iterator[tuple[Service, Service]]:
    """Two server processes on one database, as far as memory is concerned."""
    yield start_service(), start_service()


def test_the_same_question_again_is_answered_with_304_without_running_it(service: Service) -> None:
    service.send(session())
    first = get(service)
    computed, known = polls("computed"), polls("not_modified")
    again = get(service, tag=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    for name in ("etag", "cache-control", "vary", "ratelimit", "ratelimit-policy", "x-request-id"):
        assert name in again.headers
    assert [again.headers[name] == first.headers[name] for name in ("etag", "cache-control", "vary")] == [True] * 3
    assert (polls("computed"), polls("not_modified")) == (computed, known + 1)


def test_another_process_knows_the_tag_without_having_answered(two: tuple[Service, Service]) -> None:
    one, other = two
    one.send(session())
    tag = get(one).headers["etag"]
    computed = polls("computed")
    assert get(other, tag=tag).status_code == 304
    assert polls("computed") == computed


def test_a_question_whose_data_has_not_changed_is_answered_from_memory(service: Service) -> None:
    service.send(session())
    first = get(service)
    from_memory = polls("memory")
    again = get(service)
    assert again.content == first.content and polls("memory") == from_memory + 1
    ignored = {"x-request-id", "ratelimit", "date"}
    assert {k: v for k, v in again.headers.items() if k not in ignored} == {
        k: v for k, v in first.headers.items() if k not in ignored
    }


def test_a_star_is_any_answer_and_a_list_has_several(service: Service) -> None:
    tag = get(service).headers["etag"]
    strong = tag.removeprefix("W/")
    for header in ("*", strong, f'"other", {tag}', f'{tag},W/"x"'):
        assert get(service, tag=header).status_code == 304, header
    for header in ('"other"', "", strong.strip('"'), f"{tag} {tag}"):
        assert get(service, tag=header).status_code == 200, header


def test_a_star_does_not_hide_an_error(service: Service) -> None:
    assert get(service, "/v1/metrics/no_such_metric", tag="*").status_code == 404
    assert get(service, "/v1/metrics/sessions?nothing=1", tag="*").status_code == 422


def test_an_error_is_not_kept(service: Service) -> None:
    path = "/v1/accounts/acme"
    assert get(service, path).status_code == 404
    service.send(session())
    assert get(service, path).status_code == 200


def test_an_answer_that_is_the_same_after_a_write_is_not_sent_again(service: Service) -> None:
    service.send(session())
    tag = get(service).headers["etag"]
    service.send(*survey_responses("nps", [9]))
    again = get(service, tag=tag)
    assert (again.status_code, again.headers["etag"]) == (304, tag)


WRITES: dict[str, Callable[[Service], Any]] = {
    "event": lambda s: s.send(session()),
    "late event": lambda s: s.send(session(at="2026-01-10")),
    "retraction": lambda s: s.retract("acme", "first"),
    "attribute": lambda s: s.send(account_update(plan="pro")),
    "segment": lambda s: s.put("/v1/segments/big", {"filter": 'plan = "basic"'}),
    "rate": lambda s: s.put("/v1/exchange-rates", {"currency": "EUR", "rates": {"2026-02-01": "1.5"}}),
    "survey": lambda s: s.put("/v1/surveys/effort", {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": "high"}),
    "target": lambda s: s.put("/v1/targets/t", {"metric": "sessions", "granularity": "month", "value": 10}),
    "erasure": lambda s: s.request("DELETE", "/v1/accounts/acme/users/ada/personal-data").raise_for_status(),
    "midnight": lambda s: s.later(days=1),
    "a month": lambda s: s.later(days=40),
    "feedback": lambda s: s.send(event("feedback.received", comment="Slow")),
}
QUESTIONS = (
    PATH,
    "/v1/query?metrics=sessions,nps&group_by=plan",
    "/v1/query?metrics=sessions&segment=big&strict=false&period=2026",
    "/v1/metrics/sessions?group_by=account&format=csv",
    "/v1/accounts",
    "/v1/accounts/acme/overview",
    "/v1/segments",
    "/v1/surveys",
    "/v1/exchange-rates",
    "/v1/scorecard",
    "/v1/targets",
    "/v1/feedback",
    "/v1/metrics/sessions/events?period=2026-03",
    "/v1/insights",
    "/v1/health",
)


@pytest.mark.parametrize("write", WRITES)
def test_no_answer_is_stale_after_a_write_by_another_process(write: str, two: tuple[Service, Service]) -> None:
    one, other = two
    one.send(session(id="first"), account_update(plan="basic"), event("feedback.received", comment="Good", user="ada"))
    one.put("/v1/segments/big", {"filter": 'plan = "pro"'})
    before = {path: get(other, path) for path in QUESTIONS}
    assert {path: answer.status_code for path, answer in before.items()} == dict.fromkeys(QUESTIONS, 200)
    WRITES[write](one)
    other.now = one.now
    for path, old in before.items():
        polled = get(other, path, tag=old.headers["etag"])
        right = get(other.forget_answers(), path, tag='"another"')
        if polled.status_code == 304:
            assert right.content == old.content, path
        else:
            assert polled.content == right.content, path


def test_a_direct_write_of_the_command_line_changes_the_state(service: Service) -> None:
    from app.ledger.rebuild import rebuild

    service.send(session())
    tag = get(service).headers["etag"]

    async def run() -> None:
        async for _ in rebuild(service.books):
            pass

    service.run(run())
    computed = polls("computed")
    # The numbers are the same, but that has to be found out.
    assert get(service, tag=tag).status_code == 304
    assert polls("computed") == computed + 1


def test_a_key_without_rights_gets_no_answer_of_another(service: Service) -> None:
    def new_key(*scopes: str) -> tuple[str, str]:
        body = service.request("POST", "/v1/keys", json={"name": "k", "scopes": scopes}).json()
        return body["id"], f"Bearer {body['key']}"

    tag = get(service).headers["etag"]
    (id, reader), (_, sender) = new_key("read"), new_key("ingest")
    assert get(service, Authorization=sender).status_code == 403
    assert get(service, tag=tag, Authorization=sender).status_code == 403
    assert get(service, Authorization=reader).content == get(service).content
    own_tag = get(service, Authorization=reader).headers["etag"]
    assert get(service, tag=own_tag, Authorization=reader).status_code == 304
    assert service.request("DELETE", f"/v1/keys/{id}").status_code == 204
    assert get(service, tag=own_tag, Authorization=reader).status_code == 401
    assert get(service, tag=tag, Authorization="Bearer csm_unknown").status_code == 401


def test_a_key_in_the_url_is_no_part_of_the_question(service: Service) -> None:
    keys = [service.request("POST", "/v1/keys", json={"name": "k", "scopes": ["read"]}).json()["key"] for _ in "12"]
    without = {"headers": {"Authorization": ""}}
    answers = [service.request("GET", f"{PATH}&api_key={key}", **without) for key in keys for _ in "123"]
    assert {answer.status_code for answer in answers} == {200}
    # The first use of a key on a day is noted, which takes another way.
    assert len({answer.headers["etag"] for answer in (*answers[1:3], *answers[4:])}) == 1
    assert (
        service.request(
            "GET",
            f"{PATH}&api_key={keys[0]}",
            headers={"Authorization": "", "If-None-Match": answers[1].headers["etag"]},
        ).status_code
        == 304
    )


def test_questions_formats_and_accepted_types_have_tags_of_their_own(service: Service) -> None:
    service.send(session())
    paths = [PATH, f"{PATH}&granularity=day", f"{PATH}&format=csv", PATH.replace("sessions", "nps")]
    tags = [get(service, path).headers["etag"] for path in paths] + [get(service, accept="text/csv").headers["etag"]]
    assert len(set(tags)) == len(tags)


def test_a_list_in_several_lines_is_one_list_for_the_answer_and_for_the_memory(service: Service) -> None:
    service.send(session())

    def ask(*headers: tuple[str, str]) -> httpx.Response:
        return service.request("GET", PATH, headers=headers)

    for accepted in (["text/csv", "application/json"], ["application/json", "text/csv"]):
        for lines in ([("Accept", own) for own in accepted], [("Accept", accepted[0])], [("Accept", accepted[1])]):
            expected = lines[0][1]
            assert ask(*lines).headers["content-type"].startswith(expected), lines
    tag = ask().headers["etag"]
    for tags in ([tag, '"x"'], ['"x"', tag]):
        assert ask(*(("If-None-Match", own) for own in tags)).status_code == 304


def test_a_body_is_compressed_once_and_each_client_gets_what_it_accepts(service: Service, monkeypatch: Any) -> None:
    service.send(*(session(f"account-{number}") for number in range(60)))
    path = "/v1/metrics/sessions?group_by=account&granularity=day&period=2026-03"
    plain = get(service, path, accept_encoding="identity")
    runs = []
    own = gzip.compress
    monkeypatch.setattr(gzip, "compress", lambda *a, **k: runs.append(1) or own(*a, **k))

    def raw(coding: str) -> tuple[str | None, bytes]:
        request = service.client.build_request("GET", path, headers={"Accept-Encoding": coding})
        answer = service.run(service.client.send(request, stream=True))

        async def read() -> bytes:
            return b"".join([part async for part in answer.aiter_raw()])

        return answer.headers.get("content-encoding"), service.run(read())

    for _ in range(3):
        coding, body = raw("gzip")
        assert coding == "gzip" and gzip.decompress(body) == plain.content
    coding, body = raw("zstd, gzip;q=0.5")
    assert coding == "zstd" and zstandard.decompress(body) == plain.content
    assert raw("identity") == (None, plain.content)
    assert runs == [1]
    etags = {get(service, path, accept_encoding=coding).headers["etag"] for coding in ("identity", "gzip", "zstd")}
    assert etags == {plain.headers["etag"]}


@pytest.mark.own_database
def test_the_memory_has_a_limit_in_bytes(start_service: Start) -> None:
    service = start_service(answer_memory_bytes=40_000)
    service.send(session())
    for day in range(1, 29):
        get(service, f"/v1/metrics/sessions?period=2025-03-{day:02}")
    answers = service.app.state.answers
    assert 30_000 < answers.size <= 40_000
    get(service, "/v1/metrics")
    assert answers.size <= 40_000, "an answer that is larger than an eighth is not kept"


@pytest.mark.own_database
def test_nothing_is_kept_without_memory(start_service: Start) -> None:
    service = start_service(answer_memory_bytes=0)
    tag = [get(service) for _ in "12"][1].headers["etag"]
    assert service.app.state.answers.size == 0
    assert get(service, tag=tag).status_code == 304


def test_head_is_answered_from_memory_without_a_body(service: Service) -> None:
    first = get(service)
    head = service.request("HEAD", PATH)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", first.headers["etag"])
    assert int(head.headers["content-length"]) == len(first.content)


def test_too_many_polls_get_429_also_for_what_they_know(start_service: Start) -> None:
    service = start_service(questions_per_minute=3)
    tag = get(service).headers["etag"]
    statuses = [get(service, tag=tag).status_code for _ in range(4)]
    assert statuses == [304, 304, 429, 429]
    last = get(service, tag=tag)
    assert last.headers["content-type"] == "application/problem+json"
    assert last.headers["ratelimit-policy"] == '"questions";q=3;w=60'
    assert int(last.headers["retry-after"]) <= 60


def test_a_stream_is_known_by_the_state_and_not_kept(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.http.responses.MAX_WHOLE_ROWS", 10)
    service.send(*(session(f"account-{number}") for number in range(5)))
    path = "/v1/metrics/sessions?group_by=account&granularity=day&period=2026-03&format=csv"
    tag = get(service, path).headers["etag"]
    computed = polls("computed")
    assert get(service, path, tag=tag).status_code == 304
    assert polls("computed") == computed and service.app.state.answers.size == 0
    service.send(session("account-0"))
    assert get(service, path, tag=tag).status_code == 200


def test_every_get_endpoint_of_numbers_and_lists_is_pollable(service: Service) -> None:
    for route in iter_route_contexts(service.app.routes):
        if route.path.startswith(("/v1/", "/odata/")) and "GET" in (route.methods or ()):
            is_pollable = not route.path.startswith(NOT_POLLABLE)
            assert (route.endpoint in POLLABLE) == is_pollable, route.path
            if is_pollable:
                assert REQUIRED_SCOPES["GET", route.path] == "read"


def test_a_slow_transaction_that_commits_after_a_later_one_changes_the_state(service: Service) -> None:
    import asyncio

    service.send(session("slow"), session("fast"))
    path = "/v1/metrics/sessions?period=2026-03&group_by=account"
    started, may_commit = asyncio.Event(), asyncio.Event()

    async def slow(connection: Any) -> None:
        await connection.execute("UPDATE account SET id = 'slower' WHERE id = 'slow'")
        started.set()
        await may_commit.wait()

    async def run() -> list[httpx.Response]:
        async def poll(tag: str) -> httpx.Response:
            return await service.client.get(path, headers={"If-None-Match": tag})

        writing = asyncio.create_task(service.books.database.write(slow))
        await started.wait()
        await service.client.post("/v1/events", json=session("fast"))
        first = await poll('""')
        second = await poll(first.headers["etag"])
        may_commit.set()
        await writing
        return [first, second, await poll(first.headers["etag"])]

    first, second, third = service.run(run())
    assert (second.status_code, third.status_code) == (304, 200)
    assert "slower" in third.text and "slower" not in first.text


def test_a_day_that_has_passed_ends_what_was_known(service: Service) -> None:
    service.send(session(at="2026-03-15"))
    path = "/v1/metrics/sessions?period=2026-03-15&granularity=day"
    service.now = service.now.replace(hour=23, minute=59)
    first = get(service, path)
    assert first.json()["rows"][0]["complete"] is False
    service.now += timedelta(minutes=2)
    again = get(service, path, tag=first.headers["etag"])
    assert (again.status_code, again.json()["rows"][0]["complete"]) == (200, True)


def test_a_day_that_comes_back_is_another_state(service: Service) -> None:
    service.send(session())
    tag = get(service).headers["etag"]
    books, today = service.books, service.now.date()
    service.run(move_last_day(books.database, books.last_day, today + timedelta(days=1), max_jump_days=None))
    service.run(move_last_day_back(books.database, books.last_day, today))
    computed = polls("computed")
    assert get(service, tag=tag).status_code == 304
    assert polls("computed") == computed + 1
