"""Work that takes long, done aside of the event loop, so that all other requests go on meanwhile."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Up to so many items, which take a few milliseconds, to change to a thread would take longer than it is worth.
MAX_ITEMS = 500


async def run_aside(work: Callable[[], T], *, items: int) -> T:
    """Return the result of `work`, which runs in a thread if it has many items to look at.

    Python's threads take turns, so the event loop waits for milliseconds only. The work must not touch what other requests
    use, and nobody stops it: its items must be bounded.
    """
    return work() if items <= MAX_ITEMS else await asyncio.to_thread(work)
