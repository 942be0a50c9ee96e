"""One connection of a client: uvicorn's, with deadlines, and with care for what httptools drops or lets pass.

Seen with uvicorn 0.54 and httptools 0.9, and put right here:
- a head that never ends is waited for without limit, in time and in bytes; trailers count as headers;
- a body behind an `Upgrade` header (Java's client asks for h2c) is lost, and read as the next request;
- an answer that comes before all of the body closes the connection with a reset, which takes the answer along;
- what is no HTTP gets an answer as text, even in the middle of another answer.
"""

import asyncio
import uuid
from types import SimpleNamespace
from typing import Any

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.core.errors import HeadersTooLarge, Malformed, Problem
from app.core.settings import Settings
from app.server.middleware import MAX_HEADER_BYTES, problem_response

_MOST_LOOSE_BYTES = 2 * MAX_HEADER_BYTES  # the shell counts exactly; this only keeps the memory
_LINGER = 5.0  # seconds in which a client that is still sending can read the answer that it has already
_LAST_MOMENT = 0.25  # seconds in which a request that is on its way at a stop is still taken

log = structlog.get_logger(__name__)


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol for HTTP/1.1.

    due: when the connection is cut, unless a request is being answered.  stalled: since when the client does not read.
    loose: bytes since the last complete head or piece of a body.  headed, whole: the head, and all of the present
    message has arrived.  upgrading: the present head asks for another protocol.  leaving: what still comes is ignored.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.settings: Settings = self.config.settings  # type: ignore[attr-defined]
        self.stalled: float | None = None
        self.loose = 0
        self.headed = self.upgrading = self.leaving = self.stopping = False
        self.whole = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.due = self.loop.time() + self.settings.header_seconds
        self.door: Any = SimpleNamespace(write=transport.write, is_closing=transport.is_closing, close=self.leave)

    def busy(self) -> bool:
        """Whether a request is being answered."""
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and not cycle.disconnected

    def data_received(self, data: bytes) -> None:
        if self.leaving:
            return
        self._unset_keepalive_if_required()
        self.loose += len(data)
        try:
            rest = memoryview(data)
            while rest:
                rest = self.read(rest)
        except httptools.HttpParserError:
            self.refuse(Malformed("This is not a well-formed HTTP request.", code="malformed_http"))
        if self.loose > _MOST_LOOSE_BYTES and not self.leaving:
            self.refuse(HeadersTooLarge(f"At most {MAX_HEADER_BYTES} bytes of headers are accepted."))

    def read(self, data: memoryview) -> memoryview:
        """Parse `data`; returns what is left of it."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.read_without_upgrade()
            return data[upgrade.args[0] :]
        return data[:0]

    def read_without_upgrade(self) -> None:
        """Read the present head again without its wish for another protocol, which a server may ignore."""
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [b"%s: %s" % (name, value) for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self.parser.feed_data(b"\r\n".join(lines) + b"\r\n\r\n")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.headed = self.whole = False
        if not self.busy():
            self.due = self.loop.time() + self.settings.header_seconds

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.headed:  # trailers come after the checks that headers must pass
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self.headed, self.loose = True, 0
        self.upgrading = self.parser.should_upgrade()
        if not self.upgrading:
            super().on_headers_complete()
            self.cycle.transport = self.door
            self.cycle.keep_alive &= not self.stopping
        elif self.parser.get_method() == b"CONNECT":
            raise ValueError("this is no proxy")

    def on_body(self, body: bytes) -> None:
        self.loose = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.upgrading:
            self.loose, self.whole = 0, True
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.leaving:
            slow = (self.headed and not self.whole) or self.transport.get_write_buffer_size() > 0
            self.due = self.loop.time() + (self.settings.request_seconds if slow else self.timeout_keep_alive)

    def refuse(self, problem: Problem) -> None:
        """Answer what never becomes a request, and leave; an answer that is under way is not disturbed."""
        request_id = uuid.uuid4().hex
        remote = self.client[0] if self.client else None
        log.info("refused", status=problem.status, code=problem.code, remote=remote, request_id=request_id)
        self.leaving = True
        if self.busy():
            if self.whole or not self.headed:  # the fault is in what follows the request that is being answered
                self.cycle.keep_alive = False
                return
            if self.pipeline or self.cycle.response_started:
                self.transport.abort()
                return
        headers, body = problem_response(problem, request_id=request_id)
        lines = [b"%s: %s\r\n" % header for header in [*self.server_state.default_headers, *headers]]
        self.transport.write(b"".join([STATUS_LINE[problem.status], *lines, b"\r\n", body]))
        self.leave()

    def leave(self) -> None:
        """Close; while a body is still coming only our side of it, or a reset would overtake the answer."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.due = self.loop.time() + _LINGER
        if self.whole or not self.transport.can_write_eof():
            self.transport.close()
        elif not self.transport.is_closing():
            self.leaving = True
            self.transport.write_eof()

    def pause_writing(self) -> None:
        self.stalled = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self.stalled = None
        super().resume_writing()

    def cut_if_overdue(self, now: float) -> None:
        """To be called now and then; one clock for all connections is cheaper than a timer for each request."""
        stalled = self.stalled is not None and now - self.stalled > self.settings.request_seconds
        if stalled or (now > self.due and not self.busy()):
            self.transport.abort()

    def shutdown(self) -> None:
        """At a stop: what is being answered ends, what is on its way may still come, and that was all."""
        self.stopping = True
        if self.busy():
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(_LAST_MOMENT, self.close_unless_busy)

    def close_unless_busy(self) -> None:
        if not self.busy():
            self.transport.close()
