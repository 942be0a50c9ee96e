"""The middleware around every request, with minimal apps inside, and the lines of the log."""

import asyncio
import doctest
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
from app.server import headers, middleware
from app.server.headers import Headers
from app.server.middleware import App, Message, Receive, Scope, Send, wrap_app
from tests.support.tiny_app import read_body, respond, tiny_app

HOST = (b"host", b"localhost")


@pytest.fixture(autouse=True)
def read_log(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Return the lines that were logged since the last call. A line that is not a JSON object fails the test."""
    level = logging.getLevelName(logging.getLogger().level)
    logs.configure("info")
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    logs.configure(level)


def wrap(app: App = tiny_app, **settings: Any) -> App:
    return wrap_app(app, settings=Settings(_env_file=None, **settings))


def request(app: App, path: str = "/", *, method: str = "GET", **options: Any) -> httpx.Response:
    """Return the response to a request of an ordinary client."""

    async def send_request() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
            return await client.request(method, path, **options)

    return asyncio.run(send_request())


def raw_request(app: App, headers: Headers, *, body: Sequence[bytes | float] = (), **scope: Any) -> httpx.Response:
    """Return the response to a request that no ordinary client sends. A number in `body` is a pause in seconds."""
    parts = list(body)
    sent: list[Message] = []

    async def receive() -> Message:
        part = parts.pop(0) if parts else b""
        if isinstance(part, float):
            await asyncio.sleep(part)
            part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: Message) -> None:
        sent.append(message)

    defaults = {"type": "http", "method": "POST", "path": "/echo", "query_string": b"", "http_version": "1.1"}
    asyncio.run(app(defaults | {"headers": headers} | scope, receive, send))
    assert [message["type"] for message in sent[:2]] == ["http.response.start", "http.response.body"]
    return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=sent[1]["body"])


async def receive_nothing() -> Message:
    """Wait for ever, as for a client that sends nothing more."""
    await asyncio.Event().wait()
    raise AssertionError


def is_problem(response: httpx.Response, status: int, code: str) -> bool:
    """Return whether a response is a complete problem with this status and code."""
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["connection"] == "close"
    assert response.headers["x-request-id"]
    assert response.json()["status"] == response.status_code
    return (response.status_code, response.json()["code"]) == (status, code)


@pytest.mark.parametrize("id", ["a", "order-7/3", "~" * 128])
def test_the_response_has_the_request_id_of_the_client(id: str) -> None:
    assert request(wrap(), headers={"X-Request-Id": id}).headers["x-request-id"] == id


@pytest.mark.parametrize("value", ["", "a b", "a\tb", "é", "~" * 129, None])
def test_a_request_without_a_valid_id_gets_a_new_one(value: str | None) -> None:
    headers = {} if value is None else {"X-Request-Id": value.encode()}
    ids = [request(wrap(), headers=headers).headers["x-request-id"] for _ in range(2)]
    assert ids[0] != ids[1]
    assert all(len(id) == 32 and id.isalnum() for id in ids)


def test_every_response_has_protective_headers() -> None:
    headers = request(wrap()).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_a_response_may_set_its_own_cache_control() -> None:
    async def cached(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 304, "headers": [(b"cache-control", b"max-age=60")]})
        await send({"type": "http.response.body"})

    assert request(wrap(cached)).headers.get_list("cache-control") == ["max-age=60"]


def test_a_request_is_logged_as_one_line(read_log: Any) -> None:
    request(wrap(), "/echo?a=1", method="POST", content=b"four", headers={"X-Request-Id": "r1"})
    (line,) = read_log()
    assert line["event"] == "request"
    assert (line["method"], line["path"], line["query"], line["status"]) == ("POST", "/echo", "a=1", 200)
    assert (line["bytes_in"], line["bytes_out"], line["request_id"], line["remote"]) == (4, 4, "r1", "127.0.0.1")
    assert 0 <= line["duration_ms"] < 60_000


@pytest.mark.parametrize("name", ["api_key", "api%5Fkey", "%61pi_key", "API_KEY"])
def test_the_log_does_not_contain_a_key_of_the_query(name: str, read_log: Any) -> None:
    raw_request(wrap(), [HOST], query_string=f"a=1&{name}=csm_secret&b=csm".encode())
    (line,) = read_log()
    assert line["query"] == f"a=1&{name}=***&b=csm"


def test_the_request_id_is_in_the_lines_of_the_app_until_the_request_ends(read_log: Any) -> None:
    async def logging_app(scope: Scope, receive: Receive, send: Send) -> None:
        structlog.get_logger("inner").info("hello")
        await respond(send, b"")

    request(wrap(logging_app), headers={"X-Request-Id": "r2"})
    structlog.get_logger("outer").info("bye")
    hello, line, bye = read_log()
    assert hello["request_id"] == line["request_id"] == "r2"
    assert "request_id" not in bye


def failing_app() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def fail() -> None:
        raise RuntimeError("canary")

    @app.get("/while-responding")
    async def fail_while_responding() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"begin"
            raise RuntimeError("canary")

        return StreamingResponse(pieces())

    @app.post("/read")
    async def read(request: Request) -> int:
        return len(await request.body())

    @app.post("/parsed")
    async def parsed(body: dict[str, int]) -> int:
        return len(body)

    return app


def test_the_response_to_an_exception_lacks_its_text_and_the_log_has_its_traceback(read_log: Any) -> None:
    response = request(wrap(failing_app()), headers={"X-Request-Id": "r3"})
    assert is_problem(response, 500, "internal_error")
    assert response.json()["request_id"] == "r3"
    assert "canary" not in response.text
    failure, line = read_log()
    assert failure["level"] == "error"
    assert "RuntimeError: canary" in failure["exception"]
    assert failure["request_id"] == line["request_id"] == "r3"
    assert line["status"] == 500


def test_an_exception_during_the_response_is_logged_and_not_answered(read_log: Any) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/while-responding", "query_string": b"", "headers": [HOST]}
    asyncio.run(wrap(failing_app())(scope, receive_nothing, send))
    assert [message.get("body") for message in sent] == [None, b"begin"]
    assert [line["event"] for line in read_log()] == ["the request failed", "request"]


def test_an_app_that_does_not_respond_is_an_internal_error() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    assert is_problem(request(wrap(silent)), 500, "internal_error")


def test_an_app_may_respond_with_500_itself() -> None:
    async def sorry(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"sorry", status=500)

    assert request(wrap(sorry)).text == "sorry"


def test_a_canceled_request_is_answered_that_the_service_is_stopping(read_log: Any) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def cancel_request() -> None:
        scope = {"type": "http", "method": "GET", "path": "/slow/60", "query_string": b"", "headers": [HOST]}
        task = asyncio.create_task(wrap()(scope, receive_nothing, send))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(cancel_request())
    assert sent[0]["status"] == 503
    assert (b"retry-after", b"2") in sent[0]["headers"]
    assert [line["status"] for line in read_log()] == [503]


@pytest.mark.parametrize("path", ["/read", "/parsed"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_an_error(path: str, chunked: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 500

    response = request(
        wrap(failing_app(), max_body_bytes=1024),
        path,
        method="POST",
        content=pieces() if chunked else b"x" * 1025,
        headers={"Content-Type": "application/json"},
    )
    assert is_problem(response, 413, "too_large")


def test_a_body_up_to_the_limit_is_accepted() -> None:
    assert request(wrap(max_body_bytes=1024), "/echo", method="POST", content=b"x" * 1024).text == "x" * 1024


def test_a_body_that_is_announced_as_too_large_is_not_read() -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    assert is_problem(raw_request(wrap(never), [HOST, (b"content-length", b"9" * 30)]), 413, "too_large")


def test_a_body_that_does_not_arrive_in_time_is_an_error(read_log: Any) -> None:
    response = raw_request(wrap(request_seconds=0.1), [HOST], body=[b"a", 0.06, b"b", 60.0, b"c"])
    assert is_problem(response, 408, "request_timeout")
    assert [(line["event"], line["bytes_in"]) for line in read_log()] == [("request", 2)]


def test_the_time_of_the_app_does_not_count_for_the_body() -> None:
    async def slow_app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.sleep(0.2)
        await respond(send, await read_body(receive))

    assert raw_request(wrap(slow_app, request_seconds=0.1), [HOST], body=[b"a", 0.01, b"b"]).text == "b"


def test_a_client_that_disconnects_is_not_an_error(read_log: Any) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError

    scope = {"type": "http", "method": "POST", "path": "/echo", "query_string": b"", "headers": [HOST]}
    asyncio.run(wrap()(scope, receive, send))
    assert [(line["level"], line["status"]) for line in read_log()] == [("info", 499)]


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
def test_ambiguous_headers_are_an_error(case: str) -> None:
    headers, status, code = FAULTS[case]
    assert is_problem(raw_request(wrap(), headers), status, code)


def test_the_url_counts_towards_the_size_of_the_headers() -> None:
    assert is_problem(raw_request(wrap(), [HOST], query_string=b"a" * 2**15), 431, "headers_too_large")


def test_http_1_0_has_no_chunks() -> None:
    response = raw_request(wrap(), [HOST, (b"transfer-encoding", b"chunked")], http_version="1.0")
    assert is_problem(response, 400, "malformed_length")


@pytest.mark.parametrize("host", ["localhost", "a.example:8000", "[::1]:8000", "10.0.0.1"])
def test_a_hundred_headers_and_any_valid_host_are_accepted(host: str) -> None:
    assert raw_request(wrap(), [(b"host", host.encode()), *[(b"a", b"b")] * 99], body=[b"x"]).text == "x"


def test_a_failed_start_is_one_line_with_the_reason(read_log: Any) -> None:
    async def unstartable(scope: Scope, receive: Receive, send: Send) -> None:
        message = "Traceback (most recent call last):\n  ...\nBooksError: the books are kept in EUR\n"
        await send({"type": "lifespan.startup.failed", "message": message})

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(wrap(unstartable)({"type": "lifespan"}, receive_nothing, send))
    (line,) = read_log()
    assert (line["level"], line["reason"]) == ("critical", "BooksError: the books are kept in EUR")
    assert sent == [{"type": "lifespan.startup.failed"}]


def test_the_lines_of_libraries_are_json_too(read_log: Any) -> None:
    logging.getLogger("sqlalchemy.pool").warning("%s of %s", 1, 2)
    logging.getLogger("uvicorn.error").info("Application startup complete.")
    logging.getLogger("uvicorn.access").info("hidden")
    logging.getLogger("httpx").info("hidden")
    lines = read_log()
    assert [(line["logger"], line["event"]) for line in lines] == [
        ("sqlalchemy.pool", "1 of 2"),
        ("uvicorn.error", "Application startup complete."),
    ]
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_no_logged_text_can_forge_a_line_or_control_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
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


def test_a_log_call_that_cannot_be_rendered_is_logged_as_such(read_log: Any) -> None:
    structlog.get_logger("t").warning("keys", value={(1, 2): 3})
    assert [line["event"] for line in read_log()] == ["unloggable: TypeError"]


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(middleware).failed == doctest.testmod(headers).failed == 0
