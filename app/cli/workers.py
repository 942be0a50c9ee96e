"""Work on the books that several processes share: each takes some accounts at a time, with a connection of its own."""

import asyncio
import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from app.books.books import Books
from app.core.errors import Unavailable
from app.core.periods import Calendar
from app.database.pool import connect
from app.ledger.batches import AccountBatch, Executor, in_process
from app.main import load_catalogues

Work = Callable[[Books, AccountBatch], Awaitable[Any]]


def worker_pool(processes: int) -> Executor:
    """How to share work among so many processes."""
    if processes == 1:
        return in_process

    async def share(books: Books, work: Work, parts: AsyncIterator[AccountBatch]) -> AsyncIterator[Any]:
        others = set(multiprocessing.active_children())
        pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_begin)
        there = books.database.engine.url.render_as_string(hide_password=False), books.calendar, books.currency
        running: set[asyncio.Future[Any]] = set()
        done: set[asyncio.Future[Any]] = set()
        try:
            async for part in parts:
                running.add(asyncio.get_running_loop().run_in_executor(pool, _do, there, work, part))
                # One more than are at work, so that none waits for its next part.
                if len(running) > processes:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for one in done:
                        yield one.result()
            for ended in asyncio.as_completed(running):
                yield await ended
        except BaseException as error:
            # What they are at is rolled back; to wait for it may take as long as a part does.
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            await asyncio.gather(*running, *done, return_exceptions=True)
            if isinstance(error, BrokenProcessPool):
                raise Unavailable("One of the processes was ended from outside.", code="process_ended") from error
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    return share


def _begin() -> None:
    """What a new process does first."""
    load_catalogues()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of them; the first one ends the others
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    # What a part makes is much and has no cycles: looking through it again and again takes a fifth of the time.
    gc.freeze()
    gc.disable()


def _end_with_the_first() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _do(there: tuple[str, Calendar, str], work: Work, part: AccountBatch) -> Any:
    try:
        return asyncio.run(_do_there(*there, work, part))
    finally:
        gc.collect()


async def _do_there(url: str, calendar: Calendar, currency: str, work: Work, part: AccountBatch) -> Any:
    database = connect(url, pool_size=1)
    try:
        return await work(Books(database, calendar, currency), part)
    finally:
        await database.engine.dispose()
