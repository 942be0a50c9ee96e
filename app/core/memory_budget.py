"""Memory budget: how many bytes the large things that clients send may take at the same time."""

import asyncio
import ctypes
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


def release_memory() -> None:
    """Give memory that is free in this process back to the system, where its C library can do that: glibc keeps much."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


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
