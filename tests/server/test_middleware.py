"""The shell around every request, tried with the smallest apps inside it; and the lines of the log."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from app.core import logs
from app.core.settings import Settings
from app.server.middleware import App, Headers, Message, Receive, Scope, Send, wrap_app
from tests.support.tiny_app import answer, body_of, tiny

HOST = (b"host", b"localhost")


@pytest.fixture(autouse=True)
def lines_of_the_log(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Reads what has been logged since the last reading; anything but one JSON object a line fails the test."""
    before = logging.getLevelName(logging.getLogger().level)
    logs.configure("info")
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    logs.configure(before)


def shell(app: App = tiny, **settings: Any) -> App:
    return wrap_app(app, settings=Settings(_env_file=None, **settings))


def ask(app: App, path: str = "/", *, method: str = "GET", **request: Any) -> httpx.Response:
    """The answer to a request of an ordinary client."""

    async def go() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
            return await client.request(method, path, **request)

    return asyncio.run(go())


def put(app: App, headers: Headers, *, body: Sequence[bytes | float] = (), **scope: Any) -> httpx.Response:
    """The answer to a request that no ordinary client sends; a number in `body` is a pause in seconds."""
    pieces = list(body)
    sent: list[Message] = []

    async def receive() -> Message:
        piece = pieces.pop(0) if pieces else b""
        if isinstance(piece, float):
            await asyncio.sleep(piece)
            piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Message) -> None:
        sent.append(message)

    whole = {"type": "http", "method": "POST", "path": "/echo", "query_string": b"", "http_version": "1.1"}
    asyncio.run(app(whole | {"headers": headers} | scope, receive, send))
    assert [message["type"] for message in sent[:2]] == ["http.response.start", "http.response.body"]
    return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=sent[1]["body"])


async def nothing() -> Message:
    """What a client sends that sends nothing more."""
    await asyncio.Event().wait()
    raise AssertionError


def refused(response: httpx.Response, status: int, code: str) -> bool:
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["connection"] == "close"
    assert response.headers["x-request-id"]
    assert response.json()["status"] == response.status_code
    return (response.status_code, response.json()["code"]) == (status, code)


@pytest.mark.parametrize("given", ["a", "order-7/3", "~" * 128])
def test_a_request_keeps_the_id_that_it_comes_with(given: str) -> None:
    assert ask(shell(), headers={"X-Request-Id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "a\tb", "é", "~" * 129, None])
def test_a_request_without_a_sound_id_gets_a_new_one(given: str | None) -> None:
    headers = {} if given is None else {"X-Request-Id": given.encode()}
    ids = [ask(shell(), headers=headers).headers["x-request-id"] for _ in range(2)]
    assert ids[0] != ids[1]
    assert all(len(id) == 32 and id.isalnum() for id in ids)


def test_every_answer_carries_the_headers_that_protect_it() -> None:
    headers = ask(shell()).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_an_answer_may_say_itself_how_it_is_cached() -> None:
    async def cached(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 304, "headers": [(b"cache-control", b"max-age=60")]})
        await send({"type": "http.response.body"})

    assert ask(shell(cached)).headers.get_list("cache-control") == ["max-age=60"]


def test_a_request_is_one_line_of_the_log(lines_of_the_log: Any) -> None:
    ask(shell(), "/echo?a=1", method="POST", content=b"four", headers={"X-Request-Id": "r1"})
    (line,) = lines_of_the_log()
    assert line["event"] == "request"
    assert (line["method"], line["path"], line["query"], line["status"]) == ("POST", "/echo", "a=1", 200)
    assert (line["bytes_in"], line["bytes_out"], line["request_id"], line["remote"]) == (4, 4, "r1", "127.0.0.1")
    assert 0 <= line["duration_ms"] < 60_000


@pytest.mark.parametrize("name", ["api_key", "api%5Fkey", "%61pi_key", "API_KEY"])
def test_the_log_does_not_know_a_key_of_the_query(name: str, lines_of_the_log: Any) -> None:
    put(shell(), [HOST], query_string=f"a=1&{name}=csm_secret&b=csm".encode())
    (line,) = lines_of_the_log()
    assert line["query"] == f"a=1&{name}=***&b=csm"


def test_what_the_app_binds_is_in_its_lines_and_gone_with_the_request(lines_of_the_log: Any) -> None:
    async def talkative(scope: Scope, receive: Receive, send: Send) -> None:
        structlog.get_logger("inner").info("hello")
        await answer(send, b"")

    ask(shell(talkative), headers={"X-Request-Id": "r2"})
    structlog.get_logger("outer").info("bye")
    hello, request, bye = lines_of_the_log()
    assert hello["request_id"] == request["request_id"] == "r2"
    assert "request_id" not in bye


def failing() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def fail() -> None:
        raise RuntimeError("the canary sings")

    @app.get("/later")
    async def fail_later() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"so far"
            raise RuntimeError("the canary sings")

        return StreamingResponse(pieces())

    @app.post("/read")
    async def read(request: Request) -> int:
        return len(await request.body())

    @app.post("/parsed")
    async def parsed(body: dict[str, int]) -> int:
        return len(body)

    return app


def test_an_exception_is_answered_without_its_text_and_logged_with_its_traceback(lines_of_the_log: Any) -> None:
    response = ask(shell(failing()), headers={"X-Request-Id": "r3"})
    assert refused(response, 500, "internal_error")
    assert response.json()["request_id"] == "r3"
    assert "canary" not in response.text
    failure, request = lines_of_the_log()
    assert failure["level"] == "error"
    assert "RuntimeError: the canary sings" in failure["exception"]
    assert failure["request_id"] == request["request_id"] == "r3"
    assert request["status"] == 500


def test_an_answer_that_breaks_off_is_logged_and_not_answered_twice(lines_of_the_log: Any) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/later", "query_string": b"", "headers": [HOST]}
    asyncio.run(shell(failing())(scope, nothing, send))
    assert [message.get("body") for message in sent] == [None, b"so far"]
    assert [line["event"] for line in lines_of_the_log()] == ["the request failed", "request"]


def test_an_app_that_does_not_answer_is_answered_for() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    assert refused(ask(shell(silent)), 500, "internal_error")


def test_an_app_may_answer_500_itself() -> None:
    async def sorry(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"sorry", status=500)

    assert ask(shell(sorry)).text == "sorry"


def test_a_request_that_is_cancelled_is_told_that_the_service_is_stopping(lines_of_the_log: Any) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def go() -> None:
        scope = {"type": "http", "method": "GET", "path": "/slow/60", "query_string": b"", "headers": [HOST]}
        task = asyncio.create_task(shell()(scope, nothing, send))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(go())
    assert sent[0]["status"] == 503
    assert (b"retry-after", b"2") in sent[0]["headers"]
    assert [line["status"] for line in lines_of_the_log()] == [503]


@pytest.mark.parametrize("path", ["/read", "/parsed"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(path: str, chunked: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 500

    response = ask(
        shell(failing(), max_body_bytes=1024),
        path,
        method="POST",
        content=pieces() if chunked else b"x" * 1025,
        headers={"Content-Type": "application/json"},
    )
    assert refused(response, 413, "too_large")


def test_a_body_up_to_the_limit_is_accepted() -> None:
    assert ask(shell(max_body_bytes=1024), "/echo", method="POST", content=b"x" * 1024).text == "x" * 1024


def test_a_body_that_is_announced_too_large_is_not_even_read() -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    assert refused(put(shell(never), [HOST, (b"content-length", b"9" * 30)]), 413, "too_large")


def test_a_body_that_does_not_arrive_in_time_is_refused(lines_of_the_log: Any) -> None:
    response = put(shell(request_seconds=0.1), [HOST], body=[b"a", 0.06, b"b", 60.0, b"c"])
    assert refused(response, 408, "request_timeout")
    assert [(line["event"], line["bytes_in"]) for line in lines_of_the_log()] == [("request", 2)]


def test_an_app_may_take_longer_than_a_body() -> None:
    async def thoughtful(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.sleep(0.2)
        await answer(send, await body_of(receive))

    assert put(shell(thoughtful, request_seconds=0.1), [HOST], body=[b"a", 0.01, b"b"]).text == "b"


def test_a_client_that_leaves_is_not_an_error(lines_of_the_log: Any) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError

    scope = {"type": "http", "method": "POST", "path": "/echo", "query_string": b"", "headers": [HOST]}
    asyncio.run(shell()(scope, receive, send))
    assert [(line["level"], line["status"]) for line in lines_of_the_log()] == [("info", 499)]


FAULTS = {
    "no host": ([], 400, "malformed_host"),
    "two hosts": ([HOST, HOST], 400, "malformed_host"),
    "an empty host": ([(b"host", b"")], 400, "malformed_host"),
    "a path in the host": ([(b"host", b"a/?x=")], 400, "malformed_host"),
    "a space in the host": ([(b"host", b"a b")], 400, "malformed_host"),
    "two authorizations": ([HOST, *[(b"authorization", b"Bearer a")] * 2], 400, "repeated_header"),
    "two keys": ([HOST, (b"x-api-key", b"a"), (b"x-api-key", b"b")], 400, "repeated_header"),
    "two lengths": ([HOST, (b"content-length", b"1"), (b"content-length", b"1")], 400, "repeated_header"),
    "no length": ([HOST, (b"content-length", b"+1")], 400, "malformed_length"),
    "chunks and a length": (
        [HOST, (b"content-length", b"1"), (b"transfer-encoding", b"chunked")],
        400,
        "malformed_length",
    ),
    "101 headers": ([HOST, *[(b"a", b"b")] * 100], 431, "headers_too_large"),
    "a large header": ([HOST, (b"a", b"b" * 2**15)], 431, "headers_too_large"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_headers_that_can_be_read_in_two_ways_are_refused(case: str) -> None:
    headers, status, code = FAULTS[case]
    assert refused(put(shell(), headers), status, code)


def test_an_address_counts_like_headers() -> None:
    assert refused(put(shell(), [HOST], query_string=b"a" * 2**15), 431, "headers_too_large")


def test_http_1_0_knows_no_chunks() -> None:
    response = put(shell(), [HOST, (b"transfer-encoding", b"chunked")], http_version="1.0")
    assert refused(response, 400, "malformed_length")


@pytest.mark.parametrize("host", ["localhost", "a.example:8000", "[::1]:8000", "10.0.0.1"])
def test_a_hundred_headers_and_any_host_are_welcome(host: str) -> None:
    assert put(shell(), [(b"host", host.encode()), *[(b"a", b"b")] * 99], body=[b"x"]).text == "x"


def test_a_start_that_fails_is_one_line_that_says_why(lines_of_the_log: Any) -> None:
    async def unstartable(scope: Scope, receive: Receive, send: Send) -> None:
        message = "Traceback (most recent call last):\n  ...\nBooksError: the books are kept in EUR\n"
        await send({"type": "lifespan.startup.failed", "message": message})

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(shell(unstartable)({"type": "lifespan"}, nothing, send))
    (line,) = lines_of_the_log()
    assert (line["level"], line["reason"]) == ("critical", "BooksError: the books are kept in EUR")
    assert sent == [{"type": "lifespan.startup.failed"}]


def test_lines_of_libraries_are_json_too(lines_of_the_log: Any) -> None:
    logging.getLogger("sqlalchemy.pool").warning("%s of %s", 1, 2)
    logging.getLogger("uvicorn.error").info("Application startup complete.")
    logging.getLogger("uvicorn.access").info("left out")
    logging.getLogger("httpx").info("left out")
    lines = lines_of_the_log()
    assert [(line["logger"], line["event"]) for line in lines] == [
        ("sqlalchemy.pool", "1 of 2"),
        ("uvicorn.error", "Application startup complete."),
    ]
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_nothing_that_is_logged_can_forge_a_line_or_paint_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "a\nb\r\x1b[31m\x7f\x85\u2028\u202e\ud800\x00"
    structlog.get_logger("t").info(hostile, value=hostile, number=float("nan"), thing=object(), **{"k\n": b"\n"})
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert text.strip().isascii()
    assert text.strip().isprintable()
    assert json.loads(text)["event"] == hostile


@pytest.mark.parametrize(
    "text",
    [
        "GET /v1/metrics?api_key=csm_secret&a=1",
        "GET /v1/metrics?api%5Fkey=csm_secret",
        "Authorization: Bearer csm_secret",
        "authorization=Basic csm_secret",
        "[(b'authorization', b'Bearer csm_secret')]",
        '{"X-Api-Key": "csm_secret"}',
        "token was Bearer csm_secret",
        "postgresql://app:csm_secret@db/books",
    ],
)
def test_secrets_are_masked_wherever_they_are_logged(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        structlog.get_logger("t").exception(text, nested={"list": [text]}, authorization="csm_secret")
    logging.getLogger("uvicorn.error").error("%s", text)
    captured = capsys.readouterr().err
    assert captured.count("\n") == 2
    assert "csm_secret" not in captured
    assert "***" in captured


def test_a_log_call_that_cannot_be_rendered_does_no_harm(lines_of_the_log: Any) -> None:
    structlog.get_logger("t").warning("keys", value={(1, 2): 3})
    assert [line["event"] for line in lines_of_the_log()] == ["unloggable: TypeError"]
