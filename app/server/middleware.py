"""The ASGI middleware around every request: request id, limits on headers and body, error responses, and the request log.

It does not depend on the framework inside. Deadlines for headers, and data that is not HTTP, are handled before it, in
`protocol`.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from time import perf_counter
from typing import Any
from urllib.parse import unquote_plus

import structlog
from structlog.contextvars import bind_contextvars, reset_contextvars, unbind_contextvars

from app.core import logs, meters, traces
from app.core.errors import Malformed, Problem, ServiceError, TooSlow, Unavailable
from app.core.settings import Settings
from app.http.encoding import PROBLEM_JSON
from app.http.paths import routable_path
from app.http.problems import problem_body
from app.http.response_headers import IS_HEAD, collect_response_headers
from app.http.routing import path_template
from app.server.headers import (
    Headers,
    body_too_large,
    check_query,
    complete_headers,
    find_header_fault,
    join_lists,
    read_headers,
    request_id,
    trace_context,
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]

# The member of a request's scope that the protocol calls when the client has disconnected before the response was complete.
ON_DISCONNECT = "csmetrics.on_disconnect"
# Requests that change nothing, besides GET and HEAD.
_READING_PATHS = ("/v1/query", "/mcp")
_MAX_LOGGED_CHARACTERS = 2000  # of a path or a query string

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
    """Start and stop `app`. A failure is logged as one line with its reason.

    Frameworks report a failure as a text with a traceback, and raise it afterwards. The report is therefore held back until
    the exception itself is there: the text of an expected error is enough, only any other one needs its traceback.
    """
    failure: Message | None = None

    async def send_unless_failed(message: Message) -> None:
        nonlocal failure
        if message["type"].endswith(".failed"):
            failure = message
        else:
            await send(message)

    try:
        await app(scope, receive, send_unless_failed)
    except asyncio.CancelledError:  # the service was stopped before it had started
        if failure is not None:
            await send({"type": failure["type"]})
        raise
    except Exception as error:
        if isinstance(error, ServiceError):
            _log_failure(failure, reason=str(error))
        else:
            text = str((failure or {}).get("message", "")).strip()
            _log_failure(failure, reason=text.rpartition("\n")[2] or f"{type(error).__name__}: {error}", exc_info=True)
        if failure is not None:
            await send({"type": failure["type"]})
        raise
    if failure is not None:
        text = str(failure.get("message", "")).strip()
        _log_failure(failure, reason=text.rpartition("\n")[2], exception=text)
        await send({"type": failure["type"]})


def _log_failure(failure: Message | None, **fields: Any) -> None:
    is_stop = failure is not None and "shutdown" in failure["type"]
    log.critical("the service did not stop cleanly" if is_stop else "the service cannot start", **fields)


class RequestLifecycle:
    """One request and its response.

    app_scope: the scope for the app, with a path that can be routed, and GET for HEAD: see `forward`.
    path: without the prefix of `PUBLIC_URL`.
    headers: values by name of the headers that this middleware reads.
    body_seconds_left: how long it may still wait for the body.
    is_body_complete: the app has received all of the body.
    is_disconnected: the app has received that the client disconnected before the body was complete.
    is_abandoned: the client disconnected before the response was complete, and the app was stopped.
    status: the response's status; None before the response has started.
    response_headers: what the app adds to its response, whatever that is.
    held_messages: a response of status 500, held back until the app has returned: if it raises instead, an error response of
        this middleware replaces it (frameworks send one of their own before they let an exception through).
    is_closed: this middleware has sent an error response, and the app's messages are dropped.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, settings: Settings) -> None:
        self.started_at = perf_counter()
        self.scope, self._receive, self._send = scope, receive, send
        self.app_scope, self.path = scope, scope["path"]
        self.task = asyncio.current_task()
        self.settings = settings
        self.headers, self.header_bytes = read_headers(scope["headers"])
        self.id = request_id(self.headers)
        self.trace_context = trace_context(self.headers)
        self.body_seconds_left = settings.request_seconds
        self.is_body_complete = self.is_disconnected = self.is_closed = self.is_abandoned = False
        self.status: int | None = None
        self.held_messages: list[Message] = []
        self.response_headers: Headers = []
        self.bytes_in = self.bytes_out = 0

    async def run(self, app: App) -> None:
        """Check the headers, call the app, and log the request."""
        tokens = bind_contextvars(request_id=self.id, **self.trace_context)
        try:
            if fault := self.find_fault():
                await self.send_problem(fault)
                return
            if self.scope["method"] in ("GET", "HEAD") or self.path in _READING_PATHS:
                self.scope[ON_DISCONNECT] = self.abandon
            self.response_headers = collect_response_headers(self.app_scope)
            await self.call_app(app)
        finally:
            seconds = perf_counter() - self.started_at
            self.log_request(seconds)
            meters.count_request(self.scope["method"], path_template(self.app_scope), self.status or 499, seconds)
            unbind_contextvars("key_id")
            reset_contextvars(**tokens)

    def find_fault(self) -> Problem | None:
        """Return what is wrong with the headers or the URL, None if nothing is. Decodes the path."""
        max_body_bytes = self.settings.max_body_bytes
        fault = find_header_fault(
            self.scope, self.headers, header_bytes=self.header_bytes, max_body_bytes=max_body_bytes
        )
        if fault:
            return fault
        try:
            path = routable_path(self.scope)
            check_query(self.scope.get("query_string", b""))
        except UnicodeDecodeError:
            return Malformed("The URL must be percent-encoded UTF-8.", code="malformed_address")
        # A proxy may or may not have removed the prefix. By the rules of ASGI the path has it.
        prefix = self.settings.path_prefix
        self.path = path.removeprefix(prefix) or "/" if path == prefix or path.startswith(f"{prefix}/") else path
        is_head = self.scope["method"] == "HEAD"
        method = "GET" if is_head else self.scope["method"]
        path_members = {"path": prefix + self.path, "root_path": prefix}
        headers = join_lists(self.scope["headers"], self.headers)
        self.app_scope = {**self.scope, **path_members, "headers": headers, "method": method, IS_HEAD: is_head}
        return None

    async def call_app(self, app: App) -> None:
        """Call the app, and send an error response if it raises or does not respond."""
        try:
            await app(self.app_scope, self.receive, self.send)
        except asyncio.CancelledError:
            if self.is_abandoned:
                return
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

    def abandon(self) -> None:
        """Stop the app, since nobody waits for its response any more: a question would go on for as long as it may take.

        A request that changes something is not stopped: the client may have meant to send it and not to wait.
        """
        if self.task is not None and not self.is_abandoned:
            self.is_abandoned = True
            self.task.cancel()

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
            return await self.send_problem(body_too_large(self.settings.max_body_bytes))
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
        """Send a message to the client. The response to HEAD is that to GET without its body."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if trace_id := traces.current_trace_id():
                self.trace_context |= {"trace_id": trace_id}
            headers = [*message.get("headers", ()), *self.response_headers]
            message = {**message, "headers": complete_headers(headers, request_id=self.id)}
        elif message["type"] == "http.response.body":
            if self.scope["method"] == "HEAD":
                message = {**message, "body": b""}
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

    def internal_error(self) -> Problem:
        detail = "Internal error. The log of the service has the details under this request_id."
        return Problem(detail, code="internal_error", request_id=self.id)

    def log_request(self, seconds: float) -> None:
        """Log the request. Status 499: the client disconnected before a response started."""
        scope, client = self.scope, self.scope.get("client")
        logs.write_request_line(
            __name__,
            method=scope["method"],
            path=logs.mask(self.path)[:_MAX_LOGGED_CHARACTERS],
            query=_loggable_query(scope.get("query_string", b"")),
            status=self.status or 499,
            duration_ms=round(seconds * 1000, 2),
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            remote=client[0] if client else None,
            **self.trace_context,
        )


def problem_response(problem: Problem, *, request_id: str) -> tuple[Headers, bytes]:
    """Return the headers and the body of an error response that closes the HTTP connection."""
    body = json.dumps(problem_body(problem)).encode()
    headers = [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    headers += [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", b"%d" % len(body))]
    headers += [(b"connection", b"close")]
    return complete_headers(headers, request_id=request_id), body


def _loggable_query(query: bytes) -> str:
    """Return the query string with the value of `api_key` masked, however the name is encoded.

    >>> _loggable_query(b"period=2026-01&api%5Fkey=csm_secret")
    'period=2026-01&api%5Fkey=***'
    """
    text = logs.mask(query.decode("latin-1"))
    if "%" in text or "api_key" in text.lower():
        params = [param.partition("=") for param in text.split("&")]
        text = "&".join(
            f"{name}{sign}{'***' if unquote_plus(name).lower() == 'api_key' else value}" for name, sign, value in params
        )
    # Not before: half a key would not look like one.
    return text[:_MAX_LOGGED_CHARACTERS]
