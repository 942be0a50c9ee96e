"""Share work on the accounts among several processes: each takes a batch of accounts at a time, on its own connection."""

import asyncio
import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from app.books.books import Books
from app.catalogues import load_catalogues
from app.core.errors import Unavailable
from app.ledger.batches import AccountBatch, BatchWork, BooksAddress, Executor, in_process, run_alone


def worker_pool(processes: int) -> Executor:
    """Return an executor that shares work among so many processes."""
    if processes == 1:
        return in_process

    async def run_in_pool(books: Books, work: BatchWork, batches: AsyncIterator[AccountBatch]) -> AsyncIterator[Any]:
        other_processes = set(multiprocessing.active_children())
        pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_start_process)
        address = books.database.engine.url.render_as_string(hide_password=False), books.calendar, books.currency
        running: set[asyncio.Future[Any]] = set()
        done: set[asyncio.Future[Any]] = set()
        try:
            async for batch in batches:
                running.add(asyncio.get_running_loop().run_in_executor(pool, _run_batch, address, work, batch))
                # One more than there are processes, so that none has to wait for its next batch.
                if len(running) > processes:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            for result in asyncio.as_completed(running):
                yield await result
        except BaseException as error:
            # Their transactions are rolled back. Waiting for them could take as long as a batch takes.
            for process in set(multiprocessing.active_children()) - other_processes:
                process.terminate()
            await asyncio.gather(*running, *done, return_exceptions=True)
            if isinstance(error, BrokenProcessPool):
                detail = "One of the worker processes was killed. Run the command again."
                raise Unavailable(detail, code="process_ended") from error
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    return run_in_pool


def _start_process() -> None:
    """Prepare a new process of the pool."""
    load_catalogues()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of them, and the parent ends the others
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # A batch creates many objects and no cycles: collecting garbage again and again takes a fifth of the time.
    gc.freeze()
    gc.disable()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _run_batch(address: BooksAddress, work: BatchWork, batch: AccountBatch) -> Any:
    try:
        return asyncio.run(run_alone(address, work, batch))
    finally:
        gc.collect()
