"""Answer polls without running their question: with 304, or from memory. See decision 23.

A poll is a GET for an endpoint that is `pollable`. What it needs of the database is one statement, which it shares with all polls
that wait at the same time: its key, and the state of the data. Everything that is not plain goes on to the endpoint: a key
that is unknown, has expired or lacks the scope, one that asks too often, a database that is away.
"""

import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.auth import CALLER, Caller, count_question, read_poll_key, recognize_caller
from app.access.poll_keys import PollReading, load_reading
from app.books.books import Books
from app.core import meters
from app.core.errors import Problem, Unavailable
from app.core.settings import Settings
from app.database.shared_read import SharedRead
from app.http.answer_memory import AnswerMemory
from app.http.compression import choose_coding
from app.http.conditional import parse_if_none_match
from app.http.polls import Poll, known_tag, not_modified_headers, set_poll
from app.http.problems import problem_response
from app.http.routing import find_pollable

# Settings that say where a process runs and not what it answers.
_LOCAL_SETTINGS = {
    *("admin_key", "admin_key_file", "data_dir", "database_url", "database_url_file", "host", "log_level", "port"),
    *("prometheus_key", "prometheus_key_file", "workers"),
}
_NOT_MODIFIED, _FROM_MEMORY, _COMPUTED = map(meters.POLLS.labels, ("not_modified", "memory", "computed"))


class PollingMiddleware:
    """The middleware around the endpoints of an application."""

    def __init__(self, app: ASGIApp, *, service: FastAPI, memory: AnswerMemory) -> None:
        self._app, self._service, self._memory = app, service, memory
        self._find_pollable = find_pollable(service)
        settings: Settings = service.state.settings
        answering = settings.model_dump(mode="json", exclude=_LOCAL_SETTINGS)
        self._version = repr((service.version, sorted(answering.items()))).encode()
        self._reads: SharedRead[bytes, PollReading] = SharedRead(self._load)

    def _find_books(self) -> Books | None:
        """Return the books of the application; None while they are not open."""
        books: Books | None = self._service.state.books
        return books

    async def _load(self, hashes: set[bytes]) -> PollReading:
        books = self._find_books()
        assert books is not None
        reading = await load_reading(books.database, hashes)
        books.last_day.note(reading.last_day)
        return reading

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        books = self._find_books()
        if scope["type"] != "http" or scope["method"] != "GET" or books is None:
            return await self._app(scope, receive, send)
        endpoint = self._find_pollable(scope["path"].removeprefix(scope.get("root_path", "")))
        if endpoint is None:
            return await self._app(scope, receive, send)
        request = Request(scope)
        try:
            poll = await self._recognize(request, books)
            if poll is not None and await self._answer(request, poll, endpoint, send):
                return None
        except Unavailable as problem:
            return await problem_response(problem)(scope, receive, send)
        except Problem:
            # The endpoint meets it, too, and says so.
            pass
        return await self._app(scope, receive, send)

    async def _recognize(self, request: Request, books: Books) -> Poll | None:
        """Return the poll that a request is; None where the endpoint has to authenticate its caller. Raises Problem."""
        key = read_poll_key(request)
        reading = await self._reads.read(key.hash)
        caller = recognize_caller(request, key, reading.keys.get(key.hash or b""))
        if caller is None:
            return None
        headers = dict(request.scope["headers"])
        question = self._hash_question(request.scope, headers.get(b"accept", b""), caller)
        state = hashlib.blake2b(question, digest_size=12)
        state.update(f"{reading.state} {books.today()}".encode())
        return Poll(
            question,
            state.hexdigest(),
            parse_if_none_match(headers.get(b"if-none-match", b"").decode("latin-1")),
            choose_coding(headers.get(b"accept-encoding", b"").decode("latin-1")),
            self._memory,
        )

    def _hash_question(self, scope: Scope, accept: bytes, caller: Caller) -> bytes:
        """Return a hash of all that an answer depends on besides the data and the day."""
        query: bytes = scope.get("query_string", b"")
        if b"%" in query or b"api_key" in query:
            # The key itself is no part of the question, however its name is written.
            parts = query.split(b"&")
            query = b"&".join(part for part in parts if unquote_plus(part.partition(b"=")[0].decode()) != "api_key")
        members = (self._version, scope["path"].encode(), query, accept, ",".join(sorted(caller.scopes)).encode())
        return hashlib.blake2b(b"\0".join(members), digest_size=16).digest()

    async def _answer(self, request: Request, poll: Poll, endpoint: Callable[..., Any], send: Send) -> bool:
        """Answer a poll if that needs no question; return whether it was answered. Otherwise the endpoint knows of it."""
        scope = request.scope
        tag, answer = poll.current_tag(), None
        if tag is None:
            answer = self._memory.find(poll.question, poll.state)
            if answer is None:
                _COMPUTED.inc()
                set_poll(scope, poll)
                return False
            tag = known_tag(poll.client_tags, answer.tag)
        count_question(request, scope[CALLER])
        # For the meters of requests.
        scope["endpoint"] = endpoint
        if tag is not None:
            _NOT_MODIFIED.inc()
            await send({"type": "http.response.start", "status": 304, "headers": not_modified_headers(tag)})
            await send({"type": "http.response.body", "body": b""})
        elif answer is not None:
            _FROM_MEMORY.inc()
            await answer.send(send, poll.coding)
            self._memory.keep(answer)
        return True
