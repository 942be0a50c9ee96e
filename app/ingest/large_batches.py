"""Large batches: accepted in a thread, so that the process answers everything else meanwhile, and only a few at a time.

All that a batch costs grows with its events and bytes: to decode and validate it, what it posts, and to list its rejections. So
everything of a large one is done aside, with connections to the database of its own: those of the pool belong to the event loop
of the process.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from app.books.books import Books
from app.core.errors import Unavailable
from app.core.loop_thread import LoopThread
from app.core.memory import MemoryBudget, release_memory
from app.database.group_commit import GroupCommit
from app.database.pool import Database, connect_beside
from app.http.encoding import IncomingBody, decompress, decompress_within

T = TypeVar("T")
D = TypeVar("D")

# How many are accepted at the same time: while one waits for the database, another one computes.
AT_ONCE = 3
# A decompressed body of more bytes is large: some hundred events.
LARGE_BYTES = 2**16
# So is one of more values, about: the smallest of these are rejections of two hundred bytes each.
_MANY_VALUES = 3_000
# A decompressed body of more bytes takes up to some 200 MB altogether, so it is accepted alone.
HUGE_BYTES = 2**22
# All bodies of large batches together, while they are read and accepted.
_BODY_BYTES = 2**26
_WAIT_SECONDS = 10
_RETRY_SECONDS = 2


@dataclass(slots=True)
class LargeBatches:
    """Where a process accepts its large batches."""

    thread: LoopThread
    database: Database
    _bodies: MemoryBudget = field(default_factory=lambda: MemoryBudget(_BODY_BYTES))
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _huge_slot: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    async def accept(
        self,
        books: Books,
        incoming: IncomingBody,
        *,
        decode: Callable[[bytes], D],
        store: Callable[[Books, D], Awaitable[T]],
    ) -> T:
        """Return what `store` makes of the batch in a body; a large one is decoded and stored in the thread.

        decode: returns the batch of a decompressed body. Raises what both do, Malformed, Unsupported, TooLarge, and Unavailable.
        """
        encoding, limit = incoming.encoding, incoming.max_inflated_bytes

        async def store_large(books: Books) -> T:
            # No name for the content: it would stay in memory until all of it is stored.
            batch = decode(decompress(body, encoding, max_bytes=limit))
            return await store(books, batch)

        async with AsyncExitStack() as memory:
            body = await self._read(incoming, memory)
            content = decompress_within(body, encoding, limit=min(LARGE_BYTES, limit))
            if content is not None and not has_many_values(content):
                return await store(books, decode(content))
            is_huge = len(body) > HUGE_BYTES
            if encoding:
                is_huge = await asyncio.to_thread(decompress_within, body, encoding, limit=HUGE_BYTES) is None
            return await self.run(books, store_large, is_huge=is_huge)

    async def _read(self, incoming: IncomingBody, memory: AsyncExitStack) -> bytes:
        """Return a body. The memory of a large one is held in `memory`; before there is enough it is not read."""
        content = bytearray()
        is_held = False
        async for part in incoming.parts:
            content += part
            if len(content) > LARGE_BYTES and not is_held:
                is_held = True
                size = incoming.max_bytes if incoming.length is None else incoming.length
                await memory.enter_async_context(self.hold_body(size))
        return bytes(content)

    @asynccontextmanager
    async def hold_body(self, size: int) -> AsyncIterator[None]:
        """Hold the memory of a body of so many bytes, before it is read. Raises Unavailable after too long a wait."""
        async with AsyncExitStack() as memory:
            try:
                await memory.enter_async_context(self._bodies.hold(min(size, _BODY_BYTES), seconds=_WAIT_SECONDS))
            except TimeoutError:
                raise _busy() from None
            yield

    async def run(self, books: Books, accept: Callable[[Books], Awaitable[T]], *, is_huge: bool) -> T:
        """Return the result of `accept` for the books, called in the thread. Raises Unavailable after too long a wait."""
        # Small batches share transactions by what belongs to the event loop of the process; these do not.
        own_books = replace(books, database=self.database, group_commit=GroupCommit())

        async def call() -> T:
            return await accept(own_books)

        async with AsyncExitStack() as slots:
            try:
                async with asyncio.timeout(_WAIT_SECONDS):
                    own_slots = [self._huge_slot, *[self._slots] * AT_ONCE] if is_huge else [self._slots]
                    for slot in own_slots:
                        await slots.enter_async_context(slot)
            except TimeoutError:
                raise _busy() from None
            if is_huge:  # what large answers have left would add to it
                await asyncio.to_thread(release_memory)
            try:
                return await self.thread.run(call())
            finally:
                if is_huge:
                    await asyncio.to_thread(release_memory)


def has_many_values(body: bytes) -> bool:
    """Return whether a small body has so many values that to look at all of them takes long."""
    return body.count(b",") + body.count(b"\n") > _MANY_VALUES


def _busy() -> Unavailable:
    detail = f"Too many large batches at once. Retry after {_RETRY_SECONDS} seconds."
    return Unavailable(detail, code="busy", retry_after=_RETRY_SECONDS)


@asynccontextmanager
async def open_large_batches(database: Database) -> AsyncIterator[LargeBatches]:
    """Keep the thread for large batches running. database: the one of the process."""
    thread = LoopThread("large batches")
    own_database = connect_beside(database, pool_size=AT_ONCE)
    try:
        yield LargeBatches(thread, own_database)
    finally:
        try:
            async with asyncio.timeout(_RETRY_SECONDS):
                await thread.run(own_database.dispose())
        except TimeoutError:
            pass
        await thread.stop()
