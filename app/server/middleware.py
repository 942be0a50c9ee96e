"""The ASGI middleware around every request: request id, limits on headers and body, error responses, and the request log.

It does not depend on the framework inside. Deadlines for headers, and data that is not HTTP, are handled before it, in
`protocol`.
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
_MAX_LOGGED_CHARACTERS = 2000  # of a path or a query string
_UNREPEATABLE_HEADERS = (b"authorization", b"x-api-key", b"content-length", b"content-type", b"content-encoding")
_CHECKED_HEADERS = frozenset({b"host", b"x-request-id", b"transfer-encoding", *_UNREPEATABLE_HEADERS})
_HOST = re.compile(rb"[\w.~%!$&'()*+,;=:\[\]-]+")
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_RESPONSE_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]

log = structlog.get_logger(__name__)


def wrap_app(app: App, *, settings: Settings) -> App:
    """Return `app` with this middleware around it. Its error responses are problem+json and close the HTTP connection."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await RequestLifecycle(scope, receive, send, settings=settings).run(app)
        elif scope["type"] == "lifespan":
            await _run_lifespan(app, scope, receive, send)
        else:
            await app(scope, receive, send)

    return middleware


async def _run_lifespan(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Start and stop `app`. A failure is logged as one line with its reason; frameworks report it as a traceback in a text."""

    async def send_logged(message: Message) -> None:
        if message["type"].endswith(".failed"):
            text = message.get("message", "").strip()
            reason = text.rpartition("\n")[2]
            if "CancelledError" not in reason:  # canceled: the service was stopped before it had started
                # The text of an error of this application is enough; any other one needs its traceback.
                if reason.startswith("app."):
                    fields = {"reason": reason.partition(": ")[2]}
                else:
                    fields = {"reason": reason, "exception": text}
                log.critical(message["type"].replace(".", " "), **fields)
            message = {"type": message["type"]}
        await send(message)

    await app(scope, receive, send_logged)


class RequestLifecycle:
    """One request and its response.

    checked_headers: values by name of the headers that this middleware reads.
    body_seconds_left: how long it may still wait for the body.
    is_body_complete: the app has received all of the body.
    is_disconnected: the app was told that the client disconnected before the body was complete.
    status: the response's status; None before the response has started.
    held_messages: a response of status 500, held back until the app has returned: if it raises instead, an error response of
        this middleware replaces it (frameworks send one of their own before they let an exception through).
    is_closed: this middleware has sent an error response, and the app's messages are dropped.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, settings: Settings) -> None:
        self.started_at = perf_counter()
        self.scope, self._receive, self._send = scope, receive, send
        self.settings = settings
        self.checked_headers, self.header_bytes = _read_headers(scope["headers"])
        self.id = _request_id(self.checked_headers)
        self.body_seconds_left = settings.request_seconds
        self.is_body_complete = self.is_disconnected = self.is_closed = False
        self.status: int | None = None
        self.held_messages: list[Message] = []
        self.bytes_in = self.bytes_out = 0

    async def run(self, app: App) -> None:
        """Check the headers, call the app, and log the request."""
        tokens = bind_contextvars(request_id=self.id)
        try:
            if fault := self.find_fault():
                await self.send_problem(fault)
            else:
                await self.call_app(app)
        finally:
            self.log_request()
            reset_contextvars(**tokens)

    def find_fault(self) -> Problem | None:
        """Return what is wrong with the headers or the URL, above all what two programs could read in two ways."""
        headers = self.checked_headers
        size = self.header_bytes + len(self.scope["path"]) + len(self.scope.get("query_string", b""))
        if len(self.scope["headers"]) > MAX_HEADERS or size > MAX_HEADER_BYTES:
            limits = f"{MAX_HEADERS} headers, and {MAX_HEADER_BYTES} bytes of headers and URL"
            return HeadersTooLarge(f"The request has too many or too large headers. At most {limits} are accepted.")
        hosts = headers.get(b"host", ())
        if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
            return Malformed("The request needs exactly one valid Host header.", code="malformed_host")
        for name in _UNREPEATABLE_HEADERS:
            if len(headers.get(name, ())) > 1:
                return Malformed(f'Header "{name.decode()}" is given more than once.', code="repeated_header")
        is_chunked = b"transfer-encoding" in headers
        lengths = headers.get(b"content-length", ())
        if is_chunked and (lengths or self.scope.get("http_version") == "1.0"):
            detail = "The length of the body is ambiguous. Send Content-Length or, with HTTP/1.1, Transfer-Encoding: chunked."
            return Malformed(detail, code="malformed_length")
        if lengths and not lengths[0].isdigit():
            return Malformed("Content-Length must be a number of bytes.", code="malformed_length")
        if lengths and (len(lengths[0]) > 18 or int(lengths[0]) > self.settings.max_body_bytes):
            return self.too_large()
        try:
            self.scope = {**self.scope, "path": _routable_path(self.scope)}
            unquote_to_bytes(self.scope.get("query_string", b"").decode("ascii")).decode()
        except UnicodeDecodeError:  # decoding with U+FFFD instead could turn two ids into one
            return Malformed("The URL must be percent-encoded UTF-8.", code="malformed_address")
        return None

    async def call_app(self, app: App) -> None:
        """Call the app, and send an error response if it raises or does not respond."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            await self.send_problem(Unavailable("The service is stopping. Retry after 2 seconds."))
            raise
        except Exception:
            if not self.is_disconnected:  # otherwise the exception only reports the disconnection
                log.exception("the request failed")
                await self.send_problem(self.internal_error())
            return
        if self.held_messages:
            messages, self.held_messages = self.held_messages, []
            for message in messages:
                await self.forward(message)
        elif self.status is None and not self.is_disconnected:
            log.error("the request was not answered")
            await self.send_problem(self.internal_error())

    async def receive(self) -> Message:
        """Return the next message for the app: parts of the body while they keep to the limits, then the disconnection."""
        if self.is_body_complete:
            return await self._receive()
        if self.is_closed:
            return {"type": "http.disconnect"}
        waiting_since = perf_counter()
        try:
            async with asyncio.timeout(self.body_seconds_left):
                message = await self._receive()
        except TimeoutError:
            return await self.send_problem(
                TooSlow(f"The request body did not arrive within {self.settings.request_seconds:g} seconds.")
            )
        # Only waiting counts: the client is not to blame for the time that the app takes between two parts.
        self.body_seconds_left -= perf_counter() - waiting_since
        if message["type"] != "http.request":
            self.is_disconnected = True
            return message
        self.bytes_in += len(message.get("body", b""))
        if self.bytes_in > self.settings.max_body_bytes:
            return await self.send_problem(self.too_large())
        self.is_body_complete = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Take a message of the app: forward it, hold it back, or drop it."""
        if self.is_closed:
            return
        if self.held_messages or (message["type"] == "http.response.start" and message["status"] == 500):
            self.held_messages.append(message)
        else:
            await self.forward(message)

    async def forward(self, message: Message) -> None:
        """Send a message to the client."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": _add_headers(message.get("headers", ()), request_id=self.id)}
        elif message["type"] == "http.response.body":
            self.bytes_out += len(message.get("body", b""))
        await self._send(message)

    async def send_problem(self, problem: Problem) -> Message:
        """Send `problem` unless a response has started. Return the message that the app receives instead of a body."""
        self.is_disconnected = not self.is_body_complete
        if self.status is None and not self.is_closed:
            self.is_closed = True
            self.status = problem.status
            headers, body = problem_response(problem, request_id=self.id)
            await self._send({"type": "http.response.start", "status": problem.status, "headers": headers})
            await self._send({"type": "http.response.body", "body": body})
            self.bytes_out = len(body)
        return {"type": "http.disconnect"}

    def too_large(self) -> Problem:
        return TooLarge(f"The body is larger than {self.settings.max_body_bytes} bytes. Send smaller requests.")

    def internal_error(self) -> Problem:
        detail = "Internal error. The log of the service has the details under this request_id."
        return Problem(detail, code="internal_error", request_id=self.id)

    def log_request(self) -> None:
        """Log the request. Status 499: the client disconnected before a response started."""
        scope, client = self.scope, self.scope.get("client")
        log.info(
            "request",
            method=scope["method"],
            path=scope["path"][:_MAX_LOGGED_CHARACTERS],
            query=_loggable_query(scope.get("query_string", b"")),
            status=self.status or 499,
            duration_ms=round((perf_counter() - self.started_at) * 1000, 2),
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            remote=client[0] if client else None,
        )


def _read_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[dict[bytes, list[bytes]], int]:
    """Return the values of the headers that this middleware checks, and the size of all headers in bytes."""
    checked: dict[bytes, list[bytes]] = {}
    size = 0
    for name, value in headers:
        size += len(name) + len(value)
        if name in _CHECKED_HEADERS:
            checked.setdefault(name, []).append(value)
    return checked, size


def _routable_path(scope: Scope) -> str:
    """Return the decoded path, with %2F and %25 left as they are, so that a slash within an id does not split it.

    The type `core.ids.PathId` decodes the rest.

    >>> _routable_path({"raw_path": b"/v1/accounts/a%2Fb%20c%25"})
    '/v1/accounts/a%2Fb c%25'
    """
    raw = scope.get("raw_path")
    if raw is None:
        return str(scope["path"]).replace("%", "%25")
    parts = (unquote(part, errors="strict") for part in raw.decode("ascii").split("/"))
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


def _request_id(headers: dict[bytes, list[bytes]]) -> str:
    """Return the request id that the client sent, or a new one."""
    values = headers.get(b"x-request-id")
    return values[0].decode() if values and _REQUEST_ID.fullmatch(values[0]) else uuid.uuid4().hex


def problem_response(problem: Problem, *, request_id: str) -> tuple[Headers, bytes]:
    """Return the headers and the body of an error response that closes the HTTP connection."""
    body = json.dumps(problem_body(problem)).encode()
    headers = [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    headers += [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", b"%d" % len(body))]
    headers += [(b"connection", b"close")]
    return _add_headers(headers, request_id=request_id), body


def _add_headers(headers: Iterable[tuple[bytes, bytes]], *, request_id: str) -> Headers:
    """Return the headers of a response with those that every response has, unless the app has set its own."""
    complete = list(headers)
    names = dict(complete)
    complete += [header for header in _RESPONSE_HEADERS if header[0] not in names]
    if b"x-request-id" not in names:
        complete.append((b"x-request-id", request_id.encode()))
    return complete


def _loggable_query(query: bytes) -> str:
    """Return the query string with the value of `api_key` masked, however the name is encoded.

    >>> _loggable_query(b"period=2026-01&api%5Fkey=csm_secret")
    'period=2026-01&api%5Fkey=***'
    """
    text = query.decode("latin-1")[:_MAX_LOGGED_CHARACTERS]
    if "%" not in text and "api_key" not in text.lower():
        return text
    params = [param.partition("=") for param in text.split("&")]
    return "&".join(
        f"{name}{sign}{'***' if unquote_plus(name).lower() == 'api_key' else value}" for name, sign, value in params
    )
