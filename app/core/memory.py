"""Memory of a process: what its C library keeps, and how many bytes the large things that clients send may take at once."""

import asyncio
import ctypes
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

# Of glibc's malloc.h.
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3
_LARGE_BYTES = 2**20


def share_freed_memory() -> None:
    """Let all threads take memory from one place, so that what a large answer has freed is there for the next.

    By default, glibc keeps a place for each thread, and a worker grows to the sum of the largest answers of its threads. Large
    blocks are not taken from that place, but given back when they are freed: by default, glibc keeps them from the first one on,
    and small ones that come to lie between them keep all of it in use.
    """
    _call_c_library("mallopt", _M_ARENA_MAX, 1)
    _call_c_library("mallopt", _M_MMAP_THRESHOLD, _LARGE_BYTES)


def release_memory() -> None:
    """Give memory that is free in this process back to the system: glibc keeps much."""
    _call_c_library("malloc_trim", 0)


def _call_c_library(name: str, *arguments: int) -> None:
    """Call a function of glibc; do nothing where there is another C library without it."""
    with suppress(AttributeError, OSError, TypeError):
        getattr(ctypes.CDLL(None), name)(*arguments)


@dataclass(slots=True)
class MemoryBudget:
    """A number of bytes that tasks of one event loop share. Those for whom not enough is left wait, first come, first served."""

    left: int
    _waiting: deque[tuple[int, asyncio.Future[None]]] = field(default_factory=deque)

    @asynccontextmanager
    async def hold(self, size: int, *, seconds: float) -> AsyncIterator[None]:
        """Hold so many bytes. Raises TimeoutError when they are not free within `seconds`."""
        if self._waiting or size > self.left:
            await self._wait(size, seconds)
        else:
            self.left -= size
        try:
            yield
        finally:
            self._free(size)

    async def _wait(self, size: int, seconds: float) -> None:
        turn = asyncio.get_running_loop().create_future()
        entry = size, turn
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException:
            if entry in self._waiting:
                self._waiting.remove(entry)
                self._free(0)  # it may have been in the way of smaller ones
            elif not turn.cancelled():
                self._free(size)
            raise

    def _free(self, size: int) -> None:
        self.left += size
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= self.left):
            size, turn = self._waiting.popleft()
            if not turn.done():
                self.left -= size
                turn.set_result(None)
