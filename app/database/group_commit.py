"""Group commit: small writes that arrive while another one is being written share the next transaction.

A transaction costs about as much for ten events as for one, so under load each write waits less than with a transaction of its
own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from app.core.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

# A group waits this long for the transaction before it. That one may be waiting for the lock of an account, which
# must not delay writes to other accounts.
_MAX_WAIT_SECONDS = 0.02
_MAX_ITEMS = 100
# Whoever writes a group prepares all of it at once, while nothing else in this process goes on.
_MAX_WEIGHT = 500


@dataclass(slots=True, eq=False)
class _Group:
    """Items that are written in one transaction, by `task`, and their weight."""

    items: list[Any] = field(default_factory=list)
    weight: int = 0
    task: asyncio.Task[list[Any]] | None = None


class GroupCommit:
    """The grouped writes of one process. An item that arrives while nothing is being written is written at once."""

    def __init__(self) -> None:
        self._open_group: _Group | None = None
        self._latest_task: asyncio.Task[list[Any]] | None = None

    async def run(
        self, item: Item, write: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], *, weight: int = 1
    ) -> Result:
        """Write an item in one transaction with others, and return its result.

        write: writes items in one transaction and returns the result of each; it must be the same function for all items.
        When it fails for a group, each item is written in a transaction of its own, so that an error reaches only the item
        that causes it. weight: how much there is to write; a group has a limited sum of it.
        """
        group = self._open_group
        if group is None or len(group.items) == _MAX_ITEMS or group.weight + weight > _MAX_WEIGHT:
            group = self._open_group = _Group()
            self._latest_task = group.task = asyncio.create_task(self._write(group, write, after=self._latest_task))
        index = len(group.items)
        group.items.append(item)
        group.weight += weight
        assert group.task is not None
        # Shielded: a request that is cancelled must not cancel the writes of others.
        result = (await asyncio.shield(group.task))[index]
        if isinstance(result, BaseException):
            raise result
        return result  # type: ignore[no-any-return]

    async def _write(
        self,
        group: _Group,
        write: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]],
        *,
        after: asyncio.Task[Any] | None,
    ) -> list[Any]:
        """Write a group after the transaction before it, and return a result or an error for each item."""
        if after is not None:
            await asyncio.wait({after}, timeout=_MAX_WAIT_SECONDS)
        if self._open_group is group:
            self._open_group = None
        try:
            return list(await write(group.items))
        except Unavailable:
            raise
        except Exception:
            if len(group.items) == 1:
                raise
            results = await asyncio.gather(*(write([item]) for item in group.items), return_exceptions=True)
            return [result if isinstance(result, BaseException) else result[0] for result in results]
