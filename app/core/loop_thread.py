"""A thread with an event loop of its own, for coroutines that compute for long between what they wait for.

Python's threads take turns every few milliseconds, so whatever such a coroutine does, the event loop of the process goes on.
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_STOP_SECONDS = 2.0


class LoopThread:
    """A running thread with an event loop. It does not keep the process from ending."""

    def __init__(self, name: str) -> None:
        # The running loop may be of a faster kind than asyncio's own.
        self._loop: asyncio.AbstractEventLoop = type(asyncio.get_running_loop())()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of `work`, which runs in the thread, in the context of the caller. Cancellation reaches it."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def stop(self) -> None:
        """Cancel what still runs, and end the thread; after a few seconds leave it to itself."""
        self._loop.call_soon_threadsafe(lambda: asyncio.ensure_future(self._end()))
        await asyncio.to_thread(self._thread.join, _STOP_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    async def _end(self) -> None:
        own = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not own]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_default_executor()
        self._loop.stop()
