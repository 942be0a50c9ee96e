"""Question slots: how many questions one process answers at the same time, altogether and for one caller.

A question takes a connection, memory and a share of the processors for seconds, so a client that asks many at once would stop
all others. Its questions wait for each other instead, and those that wait too long are refused.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from app.core.callers import current_caller
from app.core.errors import Busy, Unavailable

# How many questions of one caller may wait, for each one that may run.
_MAX_WAITING = 32
_RETRY_SECONDS = 2
# An answer of more sums takes more than some 25 MB, and up to 250.
LARGE_SUMS = 100_000


@dataclass(slots=True)
class _CallerSlots:
    """The slots of one caller. users: how many of its questions run or wait."""

    semaphore: asyncio.Semaphore
    users: int = 0


@dataclass(slots=True)
class QuestionSlots:
    """The slots of one process.

    size: how many questions run at the same time. per_caller: of one caller. wait_seconds: how long a question may wait.
    """

    size: int
    per_caller: int
    wait_seconds: float
    _all: asyncio.Semaphore = field(init=False)
    _large: asyncio.Semaphore = field(init=False)
    _large_task: asyncio.Task[Any] | None = field(init=False, default=None)
    _by_caller: dict[str, _CallerSlots] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._all = asyncio.Semaphore(self.size)
        self._large = asyncio.Semaphore(1)

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Hold a slot for the caller of this request.

        Raises Busy when the caller has too many questions at once, Unavailable when all callers together have.
        """
        caller = current_caller.get()
        own = self._by_caller.setdefault(caller, _CallerSlots(asyncio.Semaphore(self.per_caller)))
        if own.users >= self.per_caller * (1 + _MAX_WAITING):
            raise self._too_many()
        own.users += 1
        try:
            deadline = asyncio.get_running_loop().time() + self.wait_seconds
            if not await _acquire(own.semaphore, until=deadline):
                raise self._too_many()
            try:
                if not await _acquire(self._all, until=deadline):
                    detail = f"Too many questions at once. Retry after {_RETRY_SECONDS} seconds."
                    raise Unavailable(detail, code="busy", retry_after=_RETRY_SECONDS)
                try:
                    yield
                finally:
                    self._all.release()
            finally:
                own.semaphore.release()
        finally:
            own.users -= 1
            if not own.users:
                self._by_caller.pop(caller, None)

    async def reserve_memory(self, sums: int) -> None:
        """Wait until no other large answer is in memory. sums: of the answer, see `metrics.answer_size`.

        The memory is free again when the task of the request has ended. Raises Unavailable.
        """
        task = asyncio.current_task()
        if sums <= LARGE_SUMS or task is None or task is self._large_task:
            return
        if not await _acquire(self._large, until=asyncio.get_running_loop().time() + self.wait_seconds):
            detail = (
                f"Another very large question is being answered. Retry after {_RETRY_SECONDS} seconds, or ask for less."
            )
            raise Unavailable(detail, code="busy", retry_after=_RETRY_SECONDS)
        self._large_task = task
        task.add_done_callback(self._free_memory)

    def _free_memory(self, _: asyncio.Task[Any]) -> None:
        self._large_task = None
        self._large.release()

    def _too_many(self) -> Busy:
        detail = (
            f"This key has too many questions at once. The service answers {self.per_caller} of a key at the same time; "
            f"the others wait up to {self.wait_seconds:g} seconds. Ask one after the other. Retry after {_RETRY_SECONDS} seconds."
        )
        return Busy(detail, code="too_many_questions", headers={"Retry-After": str(_RETRY_SECONDS)})


async def _acquire(semaphore: asyncio.Semaphore, *, until: float) -> bool:
    """Acquire a semaphore; return whether that succeeded in time."""
    if not semaphore.locked():
        return await semaphore.acquire()
    try:
        async with asyncio.timeout_at(until):
            return await semaphore.acquire()
    except TimeoutError:
        return False
