"""The watch: evaluates alerts and searches for news again and again, in a thread beside the requests or in a process alone.

Several of them share the work: what one has done in this minute, no other does.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from app.alerts.evaluate import evaluate_alerts
from app.alerts.health import publish_health_news
from app.alerts.history import CLEANING_PAUSE, delete_transitions
from app.alerts.restatements import publish_restatements
from app.alerts.targets import publish_target_news
from app.books.books import Books
from app.core.cpu_times import CpuTimes
from app.core.errors import Problem
from app.core.loop_thread import LoopThread
from app.core.settings import Settings
from app.database.pool import ALERT_POOL, connect_beside
from app.metrics.offers import OFFERS

log = structlog.get_logger(__name__)

# A change is evaluated a minute later at most, if the last evaluation was longer ago than that.
_POLL_SECONDS = 5.0
_OUTAGE_SECONDS = 10.0
_MAX_REST_SECONDS = 60.0
_STOP_SECONDS = 3.0


@dataclass(slots=True)
class Watch:
    """A watch of one event loop. is_guest: whether it runs in a thread of a process that serves requests."""

    books: Books
    settings: Settings
    is_guest: bool = False
    _clean_at: datetime | None = None
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Evaluate and search until `stop` is called."""
        while not self._stop.is_set():
            before = CpuTimes.now()
            pause = _POLL_SECONDS
            try:
                await self.step()
            except Problem as error:
                log.warning("alerts wait for the database", reason=str(error))
                pause = _OUTAGE_SECONDS
            except Exception:
                # The next step may succeed, and webhooks go on.
                log.exception("alerts could not be evaluated")
                pause = _OUTAGE_SECONDS
            if self.is_guest:
                pause = max(pause, min(before.rest_after(CpuTimes.now()), _MAX_REST_SECONDS))
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stop.wait()

    async def step(self) -> None:
        """Evaluate the alerts that are due, search for news if it is time to, and delete old history.

        In between, take the steps of other features.
        """
        await evaluate_alerts(self.books)
        await publish_target_news(self.books)
        await publish_health_news(self.books)
        await publish_restatements(self.books, closing_days=self.settings.closing_days)
        for take_step in OFFERS.watch_steps:
            await take_step(self.books)
        now = self.books.clock()
        if self._clean_at is None or now >= self._clean_at:
            self._clean_at = now + CLEANING_PAUSE
            await delete_transitions(self.books, days=self.settings.alert_history_days)

    def stop(self) -> None:
        """Let `run` end after the step that it takes."""
        self._stop.set()


@asynccontextmanager
async def watch_aside(books: Books, settings: Settings) -> AsyncIterator[None]:
    """Run a watch in a thread for the duration of the context."""
    thread = LoopThread("alerts")
    own_books = replace(books, database=connect_beside(books.database, pool_size=2, name=ALERT_POOL))

    async def create() -> Watch:
        return Watch(own_books, settings, is_guest=True)

    async def end(watch: Watch) -> None:
        watch.stop()
        with suppress(asyncio.CancelledError, TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await running_here
        await own_books.database.dispose()

    async def start(watch: Watch) -> "asyncio.Task[None]":
        return asyncio.create_task(watch.run())

    watch = await thread.run(create())
    running_here = await thread.run(start(watch))
    try:
        yield
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * _STOP_SECONDS):
                await thread.run(end(watch))
        await thread.stop()
