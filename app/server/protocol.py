"""HttpProtocol: uvicorn's protocol of one HTTP connection, with deadlines, limits and error responses of this service.

uvicorn 0.54 and httptools 0.9 do the following, which this class corrects:
- They wait without limit, in time and in bytes, for headers that never end; and they append trailers to the headers.
- They lose the body of a request with an `Upgrade` header (Java's client asks for h2c), and read it as the next request.
- A response that is complete before the request body closes the connection with a reset, which discards the response.
- Data that is not HTTP gets a plain-text response, even in the middle of another response.

`tests/server/test_uvicorn_assumptions.py` lists what this class assumes about them.
"""

import asyncio
import uuid
from typing import Any

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.core import meters
from app.core.errors import HeadersTooLarge, Malformed, Problem
from app.core.settings import Settings
from app.server.headers import MAX_HEADER_BYTES
from app.server.middleware import ON_DISCONNECT, problem_response

_MAX_UNPARSED_BYTES = 2 * MAX_HEADER_BYTES  # only protects the memory; the middleware counts exactly
_LINGER_SECONDS = 5.0  # in which a client that is still sending can read the response
_SHUTDOWN_GRACE_SECONDS = 0.25  # in which a request that was sent before the shutdown may still arrive

log = structlog.get_logger(__name__)


class HttpProtocol(HttpToolsProtocol):
    """One HTTP/1.1 connection of a client.

    deadline: loop time at which the connection is closed unless a response is in progress.
    write_paused_at: loop time since which the client has not read; None while it reads.
    unparsed_bytes: bytes received since the last complete headers or part of a body.
    has_headers: the headers of the current message are complete.
    is_complete: the current message is complete.
    is_upgrade: the current message asks for another protocol.
    ignores_input: whatever the client still sends is dropped.
    is_shutting_down: no further request is accepted.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.settings: Settings = self.config.settings  # type: ignore[attr-defined]
        self.write_paused_at: float | None = None
        self.unparsed_bytes = 0
        self.has_headers = self.is_upgrade = self.ignores_input = self.is_shutting_down = False
        self.is_complete = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.deadline = self.loop.time() + self.settings.header_seconds

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.drop_body()
        scope: dict[str, Any] = self.cycle.scope if self.cycle is not None else {}  # type: ignore[assignment]
        if ON_DISCONNECT in scope and not self.cycle.response_complete:
            scope[ON_DISCONNECT]()

    def is_responding(self) -> bool:
        """Return whether a response is in progress."""
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and not cycle.disconnected

    def data_received(self, data: bytes) -> None:
        if self.ignores_input:
            return
        self._unset_keepalive_if_required()
        self.unparsed_bytes += len(data)
        try:
            rest = memoryview(data)
            while rest:
                rest = self.parse(rest)
        except httptools.HttpParserError:
            self.send_problem(Malformed("The request is not well-formed HTTP/1.1.", code="malformed_http"))
        if self.unparsed_bytes > _MAX_UNPARSED_BYTES and not self.ignores_input:
            self.send_problem(HeadersTooLarge(f"At most {MAX_HEADER_BYTES} bytes of headers are accepted."))

    def parse(self, data: memoryview) -> memoryview:
        """Parse `data` and return the rest, which the parser has not consumed."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.parse_without_upgrade()
            return data[upgrade.args[0] :]
        return data[:0]

    def parse_without_upgrade(self) -> None:
        """Parse the current headers again without `Upgrade`, which a server may ignore."""
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [b"%s: %s" % (name, value) for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.parser.feed_data(b"\r\n".join(lines) + b"\r\n\r\n")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.has_headers = self.is_complete = False
        if not self.is_responding():
            self.deadline = self.loop.time() + self.settings.header_seconds

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.has_headers:  # a trailer would come after the checks that headers must pass
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self.has_headers, self.unparsed_bytes = True, 0
        self.is_upgrade = self.parser.should_upgrade()
        if not self.is_upgrade:
            super().on_headers_complete()
            self.cycle.transport = ResponseTransport(self)  # type: ignore[assignment]
            self.cycle.keep_alive &= not self.is_shutting_down
        elif self.parser.get_method() == b"CONNECT":
            raise ValueError("this is not a proxy")

    def on_body(self, body: bytes) -> None:
        self.unparsed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.is_upgrade:
            self.unparsed_bytes, self.is_complete = 0, True
            super().on_message_complete()

    def drop_body(self) -> None:
        """Free what was received of a body that nobody reads any more: the request stays in memory until garbage is collected."""
        if self.cycle is not None and (self.cycle.response_complete or self.cycle.disconnected):
            self.cycle.body = bytearray()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.drop_body()
        if not self.ignores_input:
            is_receiving = self.has_headers and not self.is_complete
            is_sending = self.transport.get_write_buffer_size() > 0
            seconds = self.settings.request_seconds if is_receiving or is_sending else self.timeout_keep_alive
            self.deadline = self.loop.time() + seconds

    def send_problem(self, problem: Problem) -> None:
        """Respond to data that cannot become a request, and close. A response in progress is not disturbed."""
        request_id = uuid.uuid4().hex
        remote = self.client[0] if self.client else None
        meters.INVALID_REQUESTS.labels(str(problem.status)).inc()
        log.info("invalid request", status=problem.status, code=problem.code, remote=remote, request_id=request_id)
        self.ignores_input = True
        if self.is_responding():
            if self.is_complete or not self.has_headers:  # the fault comes after the request of that response
                self.cycle.keep_alive = False
                return
            if self.pipeline or self.cycle.response_started:
                self.transport.abort()
                return
        headers, body = problem_response(problem, request_id=request_id)
        lines = [b"%s: %s\r\n" % header for header in [*self.server_state.default_headers, *headers]]
        self.transport.write(b"".join([STATUS_LINE[problem.status], *lines, b"\r\n", body]))
        self.linger_close()

    def linger_close(self) -> None:
        """Close the connection. While a body arrives, close only the sending side, as a reset would discard the response."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.deadline = self.loop.time() + _LINGER_SECONDS
        if self.is_complete or not self.transport.can_write_eof():
            self.transport.close()
        elif not self.transport.is_closing():
            self.ignores_input = True
            self.transport.write_eof()

    def pause_writing(self) -> None:
        self.write_paused_at = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self.write_paused_at = None
        super().resume_writing()

    def abort_if_overdue(self, now: float) -> None:
        """Abort the connection past its deadline. `Worker` calls this for all of them, which is cheaper than timers."""
        is_stalled = self.write_paused_at is not None and now - self.write_paused_at > self.settings.request_seconds
        if is_stalled or (now > self.deadline and not self.is_responding()):
            self.transport.abort()

    def shutdown(self) -> None:
        """Finish the response in progress, or wait a moment for a request that is on its way; then close."""
        self.is_shutting_down = True
        if self.is_responding():
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(_SHUTDOWN_GRACE_SECONDS, self.close_if_idle)

    def close_if_idle(self) -> None:
        if not self.is_responding():
            self.transport.close()


class ResponseTransport:
    """Stands for the transport in the cycle of one response: sends its head together with the body, and lingers when closed.

    uvicorn writes one after the other, which is two system calls and two segments. A head whose body does not follow at once is
    sent in the next turn of the event loop.
    """

    __slots__ = ("_head", "_protocol")

    def __init__(self, protocol: HttpProtocol) -> None:
        self._protocol = protocol
        # None before it was written, empty when it was sent.
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        if self._head is None:
            self._head = data
            self._protocol.loop.call_soon(self.send_head)
        elif self._head:
            head, self._head = self._head, b""
            self._protocol.transport.writelines([head, data])
        else:
            self._protocol.transport.write(data)

    def send_head(self) -> None:
        """Send the head if nothing has followed it yet."""
        if self._head and not self.is_closing():
            self.write(b"")

    def is_closing(self) -> bool:
        return self._protocol.transport.is_closing()

    def close(self) -> None:
        self.send_head()
        self._protocol.linger_close()
