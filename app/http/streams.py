"""Responses of many rows, which are encoded part by part, as fast as the client reads them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.core.callers import current_caller
from app.core.errors import Busy, Problem, Unavailable
from app.http.encoded_stream import EncodedStream
from app.http.response_headers import IS_HEAD

_RETRY_SECONDS = 5

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class StreamSlots:
    """How many streams one process has at the same time: altogether, and for one caller.

    seconds: how long one may wait for its client altogether. wait_seconds: how long one may wait before it begins.
    """

    size: int
    per_caller: int
    seconds: float
    wait_seconds: float
    _all: asyncio.Semaphore = field(init=False)
    _count_by_caller: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._all = asyncio.Semaphore(self.size)

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Hold a slot for the caller of this request. Raises Busy and Unavailable."""
        caller = current_caller.get()
        count = self._count_by_caller.get(caller, 0)
        headers = {"Retry-After": str(_RETRY_SECONDS)}
        if count >= self.per_caller:
            detail = (
                f"This key is already reading {count} large answers. Read them one after the other. "
                f"Retry after {_RETRY_SECONDS} seconds."
            )
            raise Busy(detail, code="too_many_questions", headers=headers)
        self._count_by_caller[caller] = count + 1
        try:
            try:
                async with asyncio.timeout(self.wait_seconds):
                    await self._all.acquire()
            except TimeoutError:
                detail = f"Too many large answers at once. Retry after {_RETRY_SECONDS} seconds."
                raise Unavailable(detail, code="busy", retry_after=_RETRY_SECONDS) from None
            try:
                yield
            finally:
                self._all.release()
        finally:
            self._count_by_caller[caller] -= 1
            if not self._count_by_caller[caller]:
                del self._count_by_caller[caller]


class _NotRead(Exception):
    """The client has not read its answer in time."""


class StreamResponse(Response):
    """A response that is sent while it is encoded.

    An error before the first part becomes an error response. After it, the connection is cut, so that the client knows that the
    answer is not complete.
    """

    def __init__(self, stream: EncodedStream, slots: StreamSlots, *, headers: Mapping[str, str]) -> None:
        self.status_code, self.background = 200, None
        self.media_type = stream.entry.content_type
        self._stream, self._slots, self._has_begun = stream, slots, False
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get(IS_HEAD):
            await self._begin(send)
            await send({"type": "http.response.body", "body": b""})
            return
        async with self._slots.hold():
            try:
                await self._send_parts(send)
            except _NotRead:
                log.warning("a large answer was not read in time", seconds=self._slots.seconds)
            except Problem as problem:
                if not self._has_begun:
                    raise
                log.warning("a large answer is not complete", reason=problem.detail)

    async def _send_parts(self, send: Send) -> None:
        seconds_left = self._slots.seconds
        async for part in self._stream.parts():
            if not self._has_begun:
                await self._begin(send)
            # Only waiting for the client counts: it is not to blame for the time that encoding takes.
            waiting_since = perf_counter()
            try:
                async with asyncio.timeout(seconds_left):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            except TimeoutError:
                raise _NotRead from None
            seconds_left -= perf_counter() - waiting_since
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _begin(self, send: Send) -> None:
        self._has_begun = True
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
