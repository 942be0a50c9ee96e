"""The service for tests: a client over HTTP, a clock that the test sets, and builders of events."""

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import httpx

from app.books.books import create_or_load_books
from app.books.last_day import load_last_day
from app.books.margins import record_margin
from app.catalogues import load_catalogues
from app.core.settings import Settings
from app.main import build_app
from app.server.middleware import wrap_app

ADMIN_KEY = "the-admin-key-of-the-tests"
NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
PATIENCE = 120  # seconds after which a test gives up
_numbers = count()

# Tests are parametrized over the entries of the catalogues, so these are loaded before tests are collected.
load_catalogues()


class Service:
    """A running service with a database of its own. `now` is its clock."""

    def __init__(self, url: str | None, **settings: Any) -> None:
        self.now, self.url = NOON, url
        values = {"database_url": url, "admin_key": ADMIN_KEY, "log_level": "error", "pool_size": 20}
        # Tests go through months in one step, and deliver webhooks when they want to.
        values |= {"max_clock_jump_days": 100_000, "webhook_worker": False} | settings
        self.settings = Settings(_env_file=None, **values)
        self.app = build_app(self.settings, clock=lambda: self.now)
        self.runner = asyncio.Runner()
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(wrap_app(self.app, settings=self.settings), raise_app_exceptions=False),
            base_url="http://service",
            headers={"Authorization": f"Bearer {ADMIN_KEY}"},
        )

    @contextmanager
    def open(self) -> Iterator["Service"]:
        """Start the service, and stop it at the end of the `with` block."""
        lifespan = self.app.router.lifespan_context(self.app)
        with self.runner:
            self.run(lifespan.__aenter__())
            try:
                yield self
            finally:
                self.run(self.client.aclose())
                self.run(lifespan.__aexit__(None, None, None))

    def reopen(self) -> "Service":
        """Open the books again after the database was emptied, with empty caches and the clock at noon."""

        async def open_again() -> None:
            database = self.books.database
            database.labels.clear()
            self.app.state.answers.clear()
            self.app.state.books = await create_or_load_books(self.settings, database, clock=lambda: self.now)
            await record_margin(self.books, self.settings)

        self.now = NOON
        self.run(open_again())
        return self

    def forget_last_day(self) -> "Service":
        """Let the clock go back to an earlier day, as if nothing had been recorded yet."""

        async def forget() -> None:
            books = self.books
            await books.database.write(lambda connection: connection.execute("UPDATE books SET last_day = NULL"))
            await load_last_day(books.database, books.last_day)

        self.run(forget())
        return self

    def forget_answers(self) -> "Service":
        """Empty the memory of answers, so that the next question is run."""
        self.app.state.answers.clear()
        return self

    def tasks(self) -> set[Any]:
        """Return the tasks of the event loop that have not ended."""
        return asyncio.all_tasks(self.runner.get_loop())

    def wait_for(self, tasks: set[Any]) -> None:
        """Give tasks the time to end that have nothing left to do."""
        if tasks:
            self.run(asyncio.wait(tasks, timeout=5))

    def run(self, work: Any) -> Any:
        """Return the result of a coroutine."""
        return self.runner.run(work)

    def gather(self, *work: Awaitable[Any]) -> list[Any]:
        """Return the results of awaitables that run at the same time."""

        async def gather() -> list[Any]:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.gather(*work)

        return self.run(gather())

    @property
    def books(self) -> Any:
        return self.app.state.books

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        return self.run(self.client.request(method, path, **arguments))

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the JSON answer of a GET that succeeds."""
        answer = self.request("GET", path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def put(self, path: str, body: Any) -> httpx.Response:
        """Send a PUT that succeeds."""
        answer = self.request("PUT", path, json=body)
        assert answer.is_success, answer.text
        return answer

    def send(self, *events: Any, **envelope: Any) -> dict[str, Any]:
        """Post events and return the answer. `envelope` sets fields of every event."""
        answer = self.request("POST", "/v1/events", json=[event | envelope for event in events])
        assert answer.status_code == 200, answer.text
        return answer.json()

    def retract(self, account: str, id: str) -> None:
        answer = self.request("DELETE", f"/v1/accounts/{account}/events/{id}")
        assert answer.status_code == 204, answer.text

    def rows(self, metric: str, **parameters: Any) -> list[dict[str, Any]]:
        return self.get(f"/v1/metrics/{metric}", **parameters)["rows"]

    def row(self, metric: str, **parameters: Any) -> dict[str, Any]:
        """Return the only row of a question about one period, March 2026 by default."""
        rows = self.rows(metric, **({"period": "2026-03"} | parameters))
        assert len(rows) == 1, rows
        return rows[0]

    def value(self, metric: str, **parameters: Any) -> Any:
        return self.row(metric, **parameters)["value"]

    def differences(self) -> list[Any]:
        """Return the differences that `verify` finds between the ledger and the stored events."""
        from app.ledger.verify import Difference, verify

        async def collect() -> list[Any]:
            return [result async for result in verify(self.books) if isinstance(result, Difference)]

        return self.run(collect())

    def on(self, day: date | str) -> "Service":
        """Set the clock to noon of a day."""
        day = date.fromisoformat(day) if isinstance(day, str) else day
        self.now = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        return self

    def later(self, **time: int) -> "Service":
        """Advance the clock."""
        self.now += timedelta(**time)
        return self


def event(
    type: str, account: str | None = "acme", *, at: str = "2026-03-10", user: str | None = None, **data: Any
) -> dict[str, Any]:
    """Return an event as a client sends it. at: a day (then noon) or a time. `id` and `recorded_on` may be in `data`."""
    envelope: dict[str, Any] = {
        "id": data.pop("id", None) or f"event-{next(_numbers)}",
        "type": type,
        "occurred_at": at if "T" in at else f"{at}T12:00:00Z",
    }
    for name, value in (("account_id", account), ("user_id", user), ("recorded_on", data.pop("recorded_on", None))):
        if value is not None:
            envelope[name] = value
    return envelope | {"data": data}


def session(account: str = "acme", *, seconds: int = 600, user: str = "ada", **rest: Any) -> dict[str, Any]:
    """Return a `session.ended` event."""
    return event("session.ended", account, user=user, duration_seconds=seconds, **rest)


def survey_responses(survey: str, scores: Sequence[int], account: str = "acme", **rest: Any) -> list[dict[str, Any]]:
    """Return a survey response for each score."""
    return [event("survey.responded", account, survey=survey, score=score, **rest) for score in scores]


def account_update(account: str = "acme", *, at: str = "2026-01-01T00:00:00Z", **attributes: Any) -> dict[str, Any]:
    """Return an event that sets attributes of an account, from the beginning of 2026 by default."""
    return event("account.updated", account, at=at, attributes=attributes)
