"""What surrounds every request: its id, its line in the log, what may arrive at most, and what every answer carries.

Pure ASGI: it knows nothing of the framework inside. How long headers may take to arrive, and what is not HTTP at all,
is seen to before, in `serve`.
"""

import asyncio
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from time import perf_counter
from typing import Any
from urllib.parse import unquote, unquote_plus, unquote_to_bytes

import structlog
from structlog.contextvars import bind_contextvars, reset_contextvars

from app.core.errors import HeadersTooLarge, Malformed, Problem, TooLarge, TooSlow, Unavailable
from app.core.settings import Settings
from app.http.problems import PROBLEM_JSON, problem_body

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]
Headers = list[tuple[bytes, bytes]]

MAX_HEADERS = 100
MAX_HEADER_BYTES = 32 * 2**10
_WATCHED = frozenset(
    {b"host", b"x-request-id", b"transfer-encoding"}
    | {b"authorization", b"x-api-key", b"content-length", b"content-type", b"content-encoding"}
)
_HOST = re.compile(rb"[\w.~%!$&'()*+,;=:\[\]-]+")
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_ON_EVERY_ANSWER: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
_LONGEST = 2000  # characters of a path or a query that the log repeats

log = structlog.get_logger(__name__)


def wrap_app(app: App, *, settings: Settings) -> App:
    """`app` as the world may meet it. Every refusal is a problem+json that closes the connection."""

    async def shell(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await RequestLifecycle(scope, receive, send, settings=settings).run(app)
        elif scope["type"] == "lifespan":
            await _live(app, scope, receive, send)
        else:
            await app(scope, receive, send)

    return shell


async def _live(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Start and stop `app`; a failure is one line that says why, where frameworks hand out a traceback as text."""

    async def tell(message: Message) -> None:
        if message["type"].endswith(".failed"):
            text = message.get("message", "").strip()
            reason = text.rpartition("\n")[2]
            if "CancelledError" not in reason:  # that is a stop before the start was complete
                # A refusal of ours says all there is to say; anything else is worth its traceback.
                if reason.startswith("app."):
                    said = {"reason": reason.partition(": ")[2]}
                else:
                    said = {"reason": reason, "exception": text}
                log.critical(message["type"].replace(".", " "), **said)
            message = {"type": message["type"]}
        await send(message)

    await app(scope, receive, tell)


class RequestLifecycle:
    """One request and its answer.

    status: None until an answer has begun.  held: an answer of 500 that waits for the end of the app, because
    frameworks send one of their own before they let an exception out.  over: nothing more is sent.  patience: seconds
    that are left for the body to arrive.  cut: the app was told that the client has gone before all of the body came.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, settings: Settings) -> None:
        self.began = perf_counter()
        self.scope, self._receive, self._send = scope, receive, send
        self.seen, self.header_bytes = _read_head(scope["headers"])
        self.id = _request_id(self.seen)
        self.max_body_bytes, self.patience = settings.max_body_bytes, settings.request_seconds
        self.status: int | None = None
        self.held: list[Message] = []
        self.arrived = self.over = self.cut = False
        self.bytes_in = self.bytes_out = 0

    async def run(self, app: App) -> None:
        tokens = bind_contextvars(request_id=self.id)
        try:
            if fault := self.fault():
                await self.refuse(fault)
            else:
                await self.pass_on(app)
        finally:
            self.record()
            reset_contextvars(**tokens)

    def fault(self) -> Problem | None:
        """What is wrong with the headers: above all, what two programs could read in two ways."""
        seen = self.seen
        size = self.header_bytes + len(self.scope["path"]) + len(self.scope.get("query_string", b""))
        if len(self.scope["headers"]) > MAX_HEADERS or size > MAX_HEADER_BYTES:
            most = f"At most {MAX_HEADERS} headers are accepted, and {MAX_HEADER_BYTES} bytes of them and the address."
            return HeadersTooLarge(most)
        hosts = seen.get(b"host", ())
        if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
            return Malformed("A request names its host, exactly once.", code="malformed_host")
        for name in (b"authorization", b"x-api-key", b"content-length", b"content-type", b"content-encoding"):
            if len(seen.get(name, ())) > 1:
                return Malformed(f"The header {name.decode()} is given more than once.", code="repeated_header")
        chunked = b"transfer-encoding" in seen
        lengths = seen.get(b"content-length", ())
        if chunked and (lengths or self.scope.get("http_version") == "1.0"):
            return Malformed("The length of the body is ambiguous.", code="malformed_length")
        if lengths and not lengths[0].isdigit():
            return Malformed("Content-Length is a number of bytes.", code="malformed_length")
        if lengths and (len(lengths[0]) > 18 or int(lengths[0]) > self.max_body_bytes):
            return self.too_large()
        try:
            self.scope = {**self.scope, "path": _routable(self.scope)}
            unquote_to_bytes(self.scope.get("query_string", b"").decode("ascii")).decode()
        except UnicodeDecodeError:  # else U+FFFD would stand for whatever was meant
            return Malformed("An address is percent-encoded UTF-8.", code="malformed_address")
        return None

    async def pass_on(self, app: App) -> None:
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            await self.refuse(Unavailable("The service is stopping."))
            raise
        except Exception:
            if not self.cut:  # else it only says that the client has gone, as it was told
                log.exception("the request failed")
                await self.refuse(self.internal_error())
            return
        if self.held:
            held, self.held = self.held, []
            for message in held:
                await self.forward(message)
        elif self.status is None and not self.cut:
            log.error("the request was not answered")
            await self.refuse(self.internal_error())

    async def receive(self) -> Message:
        """What the app receives: the body while it keeps to the limits, then that the client has gone."""
        if self.arrived:
            return await self._receive()
        if self.over:
            return {"type": "http.disconnect"}
        waits_since = perf_counter()
        try:
            async with asyncio.timeout(self.patience):
                message = await self._receive()
        except TimeoutError:
            return await self.refuse(TooSlow("The request took too long to arrive."))
        # Only the waiting counts: an app that takes its time between two pieces is not the client's fault.
        self.patience -= perf_counter() - waits_since
        if message["type"] != "http.request":
            self.cut = True
            return message
        self.bytes_in += len(message.get("body", b""))
        if self.bytes_in > self.max_body_bytes:
            return await self.refuse(self.too_large())
        self.arrived = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if self.over:
            return
        if self.held or (message["type"] == "http.response.start" and message["status"] == 500):
            self.held.append(message)
        else:
            await self.forward(message)

    async def forward(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": _dressed(message.get("headers", ()), request_id=self.id)}
        elif message["type"] == "http.response.body":
            self.bytes_out += len(message.get("body", b""))
        await self._send(message)

    async def refuse(self, problem: Problem) -> Message:
        """Answer with `problem`, unless an answer has begun; returns what the app is told instead of a body."""
        self.cut = not self.arrived
        if self.status is None and not self.over:
            self.over = True
            self.status = problem.status
            headers, body = problem_response(problem, request_id=self.id)
            await self._send({"type": "http.response.start", "status": problem.status, "headers": headers})
            await self._send({"type": "http.response.body", "body": body})
            self.bytes_out = len(body)
        return {"type": "http.disconnect"}

    def too_large(self) -> Problem:
        return TooLarge(f"A body has at most {self.max_body_bytes} bytes.")

    def internal_error(self) -> Problem:
        return Problem("Something went wrong here; it is logged.", code="internal_error", request_id=self.id)

    def record(self) -> None:
        """The request's line in the log; 499: the client left before it was answered."""
        scope, client = self.scope, self.scope.get("client")
        log.info(
            "request",
            method=scope["method"],
            path=scope["path"][:_LONGEST],
            query=_loggable(scope.get("query_string", b"")),
            status=self.status or 499,
            duration_ms=round((perf_counter() - self.began) * 1000, 2),
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            remote=client[0] if client else None,
        )


def _read_head(headers: Iterable[tuple[bytes, bytes]]) -> tuple[dict[bytes, list[bytes]], int]:
    """The values of the headers that matter here, and the size of all headers in bytes."""
    seen: dict[bytes, list[bytes]] = {}
    size = 0
    for name, value in headers:
        size += len(name) + len(value)
        if name in _WATCHED:
            seen.setdefault(name, []).append(value)
    return seen, size


def _routable(scope: Scope) -> str:
    """The path in which %2F and %25 stay as they are: a slash inside an id does not part it. See `accounts.ids.InPath`.

    >>> _routable({"raw_path": b"/v1/accounts/a%2Fb%20c%25"})
    '/v1/accounts/a%2Fb c%25'
    """
    raw = scope.get("raw_path")
    if raw is None:
        return str(scope["path"]).replace("%", "%25")
    parts = (unquote(part, errors="strict") for part in raw.decode("ascii").split("/"))
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


def _request_id(seen: dict[bytes, list[bytes]]) -> str:
    given = seen.get(b"x-request-id")
    return given[0].decode() if given and _REQUEST_ID.fullmatch(given[0]) else uuid.uuid4().hex


def problem_response(problem: Problem, *, request_id: str) -> tuple[Headers, bytes]:
    """The headers and the body of a refusal that closes the connection."""
    body = json.dumps(problem_body(problem)).encode()
    headers = [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    headers += [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", b"%d" % len(body))]
    headers += [(b"connection", b"close")]
    return _dressed(headers, request_id=request_id), body


def _dressed(headers: Iterable[tuple[bytes, bytes]], *, request_id: str) -> Headers:
    """`headers` and those that every answer carries, where the answer has not chosen its own."""
    dressed = list(headers)
    given = dict(dressed)
    dressed += [header for header in _ON_EVERY_ANSWER if header[0] not in given]
    if b"x-request-id" not in given:
        dressed.append((b"x-request-id", request_id.encode()))
    return dressed


def _loggable(query: bytes) -> str:
    """The query string without the key that it may carry, however its name is spelt.

    >>> _loggable(b"period=2026-01&api%5Fkey=csm_secret")
    'period=2026-01&api%5Fkey=***'
    """
    text = query.decode("latin-1")[:_LONGEST]
    if "%" not in text and "api_key" not in text.lower():
        return text
    pieces = [piece.partition("=") for piece in text.split("&")]
    return "&".join(f"{n}{is_}{'***' if unquote_plus(n).lower() == 'api_key' else v}" for n, is_, v in pieces)
