"""Reads that requests share: what several of them need is read once for all that are waiting."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)
Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class SharedRead(Generic[Item, Result]):
    """A read that requests of one process share. load: reads what belongs to the items, in one statement.

    A request only ever gets what was read after it had come: while a read is running, those that come wait for the next.
    """

    load: Callable[[set[Item]], Awaitable[Result]]
    _next_items: set[Item] = field(default_factory=set)
    _next: "asyncio.Future[Result] | None" = None
    _task: "asyncio.Task[None] | None" = None

    async def read(self, item: Item | None) -> Result:
        """Return what was read for this item, among others, after this was called. Raises what `load` raises."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
            if self._task is None:
                self._task = asyncio.create_task(self._run())
        if item is not None:
            self._next_items.add(item)
        # Shielded: a request that is cancelled must not cancel the read of others.
        return await asyncio.shield(self._next)

    async def _run(self) -> None:
        try:
            while (future := self._next) is not None:
                items, self._next, self._next_items = self._next_items, None, set()
                try:
                    result = await self.load(items)
                except Exception as error:
                    future.set_exception(error)
                    future.exception()  # all requests that wait for it may have been cancelled
                else:
                    future.set_result(result)
        finally:
            self._task = None
