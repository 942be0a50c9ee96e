"""Pictures of specifications, made in a process of its own.

The JavaScript engine computes for as long as it takes and lets no other thread run meanwhile, so it is not in the process that
serves requests. There is one such process for each of those. It makes one picture at a time, and is ended when one takes too
long.

A thread starts the process and talks to it, so the event loop waits for nothing, whatever its kind.
"""

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any
from weakref import WeakValueDictionary
from xml.sax.saxutils import quoteattr

import structlog
from pydantic_core import to_json

from app.charts import renderer
from app.core.callers import current_caller
from app.core.errors import Invalid, Unavailable

log = structlog.get_logger(__name__)

# For a picture, with the start of the process.
MAX_SECONDS = 20.0
# Until it is its turn.
MAX_WAIT_SECONDS = 15.0
MAX_PICTURE_BYTES = 2**25
_RETRY_SECONDS = 5
_LETTERS = {name: letter for letter, name in renderer.FORMATS.items()}


class ProcessEnded(Exception):
    """The process ended before it has answered."""


class Renderer:
    """The process that makes pictures. It runs from the first picture until it is stopped, or has nothing to do."""

    def __init__(self, *, seconds: float = MAX_SECONDS, wait_seconds: float = MAX_WAIT_SECONDS) -> None:
        """seconds: that a picture may take. wait_seconds: for which it may wait for others."""
        self._seconds, self._wait_seconds = seconds, wait_seconds
        self._process: Popen[bytes] | None = None
        self._is_abandoned = False
        self._turn = asyncio.Lock()
        # The pictures of one caller wait for each other first, so that they take one place in the queue of all.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def render(self, specification: Mapping[str, Any], format: str, *, scale: float) -> bytes:
        """Return a picture. format: `svg` or `png`. It needs the extra `charts`. Raises Unavailable."""
        own_turn = self._turns.setdefault(current_caller.get(), asyncio.Lock())
        async with contextlib.AsyncExitStack() as turns:
            try:
                async with asyncio.timeout(self._wait_seconds):
                    await turns.enter_async_context(own_turn)
                    await turns.enter_async_context(self._turn)
            except TimeoutError:
                raise _busy("Too many charts are being drawn.") from None
            content = await self._render(_LETTERS[format], scale, to_json(specification))
        return label_svg(content, str(specification["description"])) if format == "svg" else content

    async def _render(self, letter: bytes, scale: float, specification: bytes) -> bytes:
        """Return what the process answers, in time."""
        self._is_abandoned = False
        thread = asyncio.ensure_future(asyncio.to_thread(self._draw, letter, scale, specification))
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.shield(thread)
        except TimeoutError:
            log.warning("a picture has taken too long", seconds=self._seconds, bytes=len(specification))
            raise _busy(f"The chart was not drawn within {self._seconds:g} seconds.") from None
        finally:
            if not thread.done():
                # Its answer would be taken for that of the next picture. Without its process, the thread ends at once.
                self._is_abandoned = True
                self._kill()
                await asyncio.wait([thread])
                thread.exception()

    def _draw(self, letter: bytes, scale: float, specification: bytes) -> bytes:
        """Return what the process answers. It may have ended since the last picture; then another one is started."""
        while True:
            is_new = self._process is None
            try:
                return self._exchange(letter, scale, specification)
            except (ProcessEnded, OSError):
                self._end()
                if self._is_abandoned:
                    raise ProcessEnded from None
                if is_new:
                    log.warning("a picture has ended the renderer", bytes=len(specification))
                    raise _too_large() from None

    def _exchange(self, letter: bytes, scale: float, specification: bytes) -> bytes:
        process = self._process = self._process or _start()
        if self._is_abandoned:
            raise ProcessEnded
        assert process.stdin and process.stdout
        process.stdin.write(renderer.REQUEST.pack(letter, scale, len(specification)) + specification)
        process.stdin.flush()
        if len(head := process.stdout.read(renderer.RESULT.size)) < renderer.RESULT.size:
            raise ProcessEnded
        is_picture, length = renderer.RESULT.unpack(head)
        if length > MAX_PICTURE_BYTES:
            self._end()
            raise _too_large()
        if len(content := process.stdout.read(length)) < length:
            raise ProcessEnded
        if not is_picture:
            log.error("a specification cannot be drawn", reason=content.decode(errors="replace"))
            raise RuntimeError("the renderer cannot draw a specification of ours")
        return content

    def _kill(self) -> None:
        if process := self._process:
            process.kill()

    def _end(self) -> None:
        """End the process. The next picture starts another one."""
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                # What was not sent yet is of no use.
                with contextlib.suppress(OSError):
                    assert pipe
                    pipe.close()

    async def stop(self) -> None:
        """End the process."""
        self._is_abandoned = True
        self._kill()
        async with self._turn:
            await asyncio.to_thread(self._end)


def _start() -> Popen[bytes]:
    """Start the process, without the environment of this one, which has secrets."""
    command = [sys.executable, "-I", str(Path(renderer.__file__)), *filter(None, sys.path)]
    return Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={}, cwd="/")


def _busy(reason: str) -> Unavailable:
    detail = f"{reason} Retry after {_RETRY_SECONDS} seconds, or ask for fewer periods or groups."
    return Unavailable(detail, code="busy", retry_after=_RETRY_SECONDS)


def _too_large() -> Invalid:
    detail = "The chart is too large to be drawn. Ask for fewer periods or groups, or for `format=vega`."
    return Invalid.at("/query/format", detail, code="chart_too_large")


def label_svg(svg: bytes, description: str) -> bytes:
    """Return an SVG that tells screen readers what it is; the names of its parts are inside already."""
    head = f'<svg role="graphics-document" aria-roledescription="chart" aria-label={quoteattr(description)} '
    return svg.replace(b"<svg ", head.encode(), 1)
