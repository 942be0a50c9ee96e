"""Several questions in one request: what a view of the page needs, each part sent as soon as it is there.

Each is a GET of the API, answered as if the browser had sent it by itself, with its key and from memory where it can be. So a
view is one round trip, and still each card shows a request that gives the same numbers.
"""

import asyncio
from collections.abc import AsyncIterator, MutableMapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from app.core.errors import Invalid
from app.core.names import build_fault
from app.http.paths import routable_path

MAX_QUESTIONS = 24
_HEADERS = frozenset({b"authorization", b"cookie", b"host", b"sec-fetch-site", b"x-api-key"})
_MEMBERS = ("type", "asgi", "http_version", "scheme", "server", "client", "root_path", "state")


class Questions(BaseModel):
    """The questions: paths of GET requests with their queries."""

    model_config = ConfigDict(extra="forbid", strict=True)

    paths: list[str] = Field(min_length=1, max_length=MAX_QUESTIONS)


def stream_answers(request: Request, questions: Questions) -> AsyncIterator[bytes]:
    """Return a line for each question, in the order of the answers: `{"number": N, "status": S, "body": …}`.

    number: that of the question, from 0. Raises Invalid for a path that is none of this API.
    """
    return _stream(request, _build_scopes(request, questions.paths))


async def _stream(request: Request, scopes: Sequence[MutableMapping[str, Any]]) -> AsyncIterator[bytes]:
    tasks = [asyncio.create_task(_answer(request, number, scope)) for number, scope in enumerate(scopes)]
    try:
        for task in asyncio.as_completed(tasks):
            yield await task
    finally:
        for own in tasks:
            own.cancel()


def _build_scopes(request: Request, paths: Sequence[str]) -> list[MutableMapping[str, Any]]:
    faults = [
        build_fault(f"/paths/{number}", "This is no path of the API.", code="invalid_path")
        for number, path in enumerate(paths)
        if not _is_path(path)
    ]
    if faults:
        raise Invalid.of(faults)
    return [_build_scope(request, path) for path in paths]


def _is_path(path: str) -> bool:
    """Return whether a text is a path of the API with its query, percent-encoded as UTF-8."""
    try:
        unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return False
    return path.startswith("/v1/") and path.isascii() and "#" not in path


def _build_scope(request: Request, path: str) -> MutableMapping[str, Any]:
    raw_path, _, query = path.partition("?")
    outer = request.scope
    members = {name: outer[name] for name in _MEMBERS if name in outer}
    route = routable_path({"raw_path": raw_path.encode()})
    headers = [header for header in outer["headers"] if header[0] in _HEADERS]
    return {
        **members,
        "method": "GET",
        "path": outer.get("root_path", "") + route,
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "headers": [*headers, (b"accept", b"application/json, application/vnd.vega.v6+json;q=0.9, */*;q=0.1")],
    }


async def _answer(request: Request, number: int, scope: MutableMapping[str, Any]) -> bytes:
    """Return the line of one question."""
    status, parts = 0, []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(bytes(message.get("body", b"")))

    await request.app(scope, receive, send)
    body = b"".join(parts).strip() or b"null"
    return b'{"number": %d, "status": %d, "body": %s}\n' % (number, status, body.replace(b"\n", b" "))
