"""The worker: delivers what is in the outbox. Several of them, in one process each, share the work through the database.

It goes round and round: record the attempts that have ended, make deliveries of new messages, take those that are due, and start
an attempt for each. An attempt waits for nothing but its own receiver, and each endpoint has its own few attempts at a time. So
one that is slow, or dead, or answers without end, delays no other.

Inside a process that serves requests the worker is a guest: it has a thread with an event loop of its own, and takes little of
the processor while the process is busy. What is delivered a little later costs less than a client that waits.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog

from app.books.books import Books
from app.core.cpu_times import RestAccount
from app.core.errors import Problem
from app.core.loop_thread import LoopThread
from app.core.settings import Settings
from app.database.connection import Connection
from app.database.pool import WEBHOOK_POOL, connect_beside
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.database.work_counts import WEBHOOK_DISABLED, WorkCount, add_counts
from app.webhooks.deliver import DELIVERED, WebhookSender
from app.webhooks.destination import rules_of
from app.webhooks.dispatch import (
    DueDelivery,
    disable_endpoints,
    dispatch_messages,
    note_endpoints,
    record_attempts,
    release_leases,
    take_due,
)
from app.webhooks.history import CLEANING_PAUSE, delete_history
from app.webhooks.verdicts import DeliveryAttempt, count_attempt, judge_attempts

log = structlog.get_logger(__name__)

_POLL_SECONDS = 1.0
# Attempts that end at about the same time are recorded together.
_COLLECT_SECONDS = 0.02
_OUTAGE_SECONDS = 2.0
# What a stop leaves to attempts that are being made.
_STOP_SECONDS = 1.5
# A guest goes round less often, so that a transaction records and takes more.
_GUEST_COLLECT_SECONDS = 0.25
_MAX_REST_SECONDS = 5.0


@dataclass(slots=True)
class DeliveryWorker:
    """A worker of one event loop. is_guest: whether it runs in a thread of a process that serves requests."""

    books: Books
    settings: Settings
    is_guest: bool = False
    lease: str = field(default_factory=lambda: secrets.token_hex(8))
    _sender: WebhookSender = field(init=False)
    _running: dict[asyncio.Task[None], str] = field(default_factory=dict)
    _results: list[DeliveryAttempt] = field(default_factory=list)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _clean_at: datetime | None = None
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _has_stopped: asyncio.Event | None = None
    _rests: RestAccount | None = None

    def __post_init__(self) -> None:
        self._sender = WebhookSender(rules_of(self.settings))

    async def run(self) -> None:
        """Deliver until `stop` is called."""
        self._has_stopped = asyncio.Event()
        if self.is_guest:
            self._rests = RestAccount()
        try:
            while not self._stop.is_set():
                await self._turn()
        finally:
            self._has_stopped.set()

    async def _turn(self) -> None:
        try:
            has_more = await self.step()
        except Problem as error:
            log.warning("webhooks wait for the database", reason=str(error))
            has_more = False
            await self._sleep(_OUTAGE_SECONDS)
        except Exception:
            # The next turn may succeed. What this one has taken is tried again when the leases end.
            log.exception("webhooks could not be delivered")
            has_more = False
            await self._sleep(_OUTAGE_SECONDS)
        if not has_more:
            await self._sleep(_POLL_SECONDS)
            await asyncio.sleep(_GUEST_COLLECT_SECONDS if self.is_guest else _COLLECT_SECONDS)
        if self._rests is not None:
            await _wait(self._stop, min(self._rests.seconds(), _MAX_REST_SECONDS))

    async def _sleep(self, seconds: float) -> None:
        """Return after so many seconds, or when an attempt has ended."""
        await _wait(self._wake, seconds)
        self._wake.clear()

    async def step(self) -> bool:
        """Record what has ended, and start what is due. Return whether there are more new messages than one step takes."""
        await self._record()
        await self._clean()
        if self._stop.is_set():
            return False
        now, busy = self.books.clock(), Counter(self._running.values())

        async def take(connection: Connection) -> list[Any]:
            plans: list[QueryPlan[Any]] = [dispatch_messages(now), take_due(self.lease, now=now, busy=busy)]
            return await run_plan(connection, merge_plans(plans))

        has_more, deliveries = await self.books.database.write_aside(take)
        for due in deliveries:
            self._start(due)
        return bool(has_more)

    def _start(self, due: DueDelivery) -> None:
        task = asyncio.create_task(self._attempt(due))
        self._running[task] = due.endpoint_id
        task.add_done_callback(lambda task: self._running.pop(task, None))

    async def _attempt(self, due: DueDelivery) -> None:
        at = self.books.clock()
        outcome = await self._sender.send(due, now=at)
        if outcome.result != DELIVERED:
            details = {"result": outcome.result, "status": outcome.status, "attempt": due.attempts + 1}
            log.info("a webhook was not delivered", endpoint=due.endpoint_id, message=due.message_id, **details)
        self._results.append(DeliveryAttempt(due, outcome, at))
        self._wake.set()

    async def _record(self) -> None:
        if not (results := self._results):
            return
        verdicts, now = judge_attempts(results), self.books.clock()

        async def write(connection: Connection) -> list[tuple[str, str]]:
            await record_attempts(connection, self.lease, verdicts.rows)
            await note_endpoints(connection, verdicts.notes)
            disabled_endpoints = await disable_endpoints(connection, verdicts.disable_reasons, now=now)
            counts = [count_attempt(attempt.outcome) for attempt in results]
            counts += [WorkCount(WEBHOOK_DISABLED, reason) for _, reason in disabled_endpoints]
            await connection.enqueue(add_counts(counts))
            return disabled_endpoints

        self._results = []
        try:
            disabled_endpoints = await self.books.database.write_aside(write)
        except Problem:
            # They are recorded when the database is back, unless their leases have ended by then.
            self._results = results + self._results
            raise
        for endpoint, reason in disabled_endpoints:
            log.error("a webhook endpoint was disabled", endpoint=endpoint, reason=reason)

    async def _clean(self) -> None:
        now = self.books.clock()
        if self._clean_at is None or now >= self._clean_at:
            self._clean_at = now + CLEANING_PAUSE
            while await delete_history(self.books, days=self.settings.webhook_history_days):
                pass

    async def finish(self) -> None:
        """Wait until the attempts that were started have ended, and record them: for tests, and for a stop."""
        while self._running:
            await asyncio.wait(list(self._running))
        await self._record()

    async def stop(self) -> None:
        """Stop taking deliveries, leave those that are being made a moment, and give back the rest."""
        self._stop.set()
        self._wake.set()
        if self._has_stopped is not None:
            await self._has_stopped.wait()
        if self._running:
            await asyncio.wait(list(self._running), timeout=_STOP_SECONDS)
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        with suppress(Problem):
            await self._record()
            await self.books.database.write_aside(lambda connection: release_leases(connection, self.lease))
        await self._sender.close()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


@asynccontextmanager
async def run_worker_aside(books: Books, settings: Settings) -> AsyncIterator[None]:
    """Run a worker in a thread for the duration of the context."""
    thread = LoopThread("webhooks")
    own_books = replace(books, database=connect_beside(books.database, pool_size=2, name=WEBHOOK_POOL))

    async def create() -> DeliveryWorker:
        return DeliveryWorker(own_books, settings, is_guest=True)

    async def end(worker: DeliveryWorker) -> None:
        await worker.stop()
        await own_books.database.dispose()

    worker = await thread.run(create())
    running = asyncio.ensure_future(thread.run(worker.run()))
    try:
        yield
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * _STOP_SECONDS):
                await thread.run(end(worker))
        await thread.stop()
        with suppress(asyncio.CancelledError):
            await running
