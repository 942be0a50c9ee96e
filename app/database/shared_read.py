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
    _items: set[Item] = field(default_factory=set)
    # A future for each request that waits for the next read: one that is cancelled concerns no other.
    _waiting: "list[asyncio.Future[Result]]" = field(default_factory=list)
    _task: "asyncio.Task[None] | None" = None

    async def read(self, item: Item | None) -> Result:
        """Return what was read for this item, among others, after this was called. Raises what `load` raises."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        if item is not None:
            self._items.add(item)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                waiting, items, self._waiting, self._items = self._waiting, self._items, [], set()
                try:
                    result = await self.load(items)
                except Exception as error:
                    for future in waiting:
                        if not future.done():
                            future.set_exception(error)
                else:
                    for future in waiting:
                        if not future.done():
                            future.set_result(result)
        finally:
            self._task = None
