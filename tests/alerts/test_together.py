"""Several processes evaluate the same alerts."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from app.alerts.evaluate import evaluate_alerts
from app.alerts.watch import Watch, watch_aside
from app.core.errors import Unavailable
from tests.alerts.alert_service import AlertService
from tests.alerts.test_alerts import subscription
from tests.support.service import PATIENCE, Service, session


def test_several_processes_publish_a_crossing_once(service: Service, alerts: AlertService) -> None:
    for number in range(3):
        alerts.put(id=f"own-{number}", metric="mrr", granularity="month", below="100")
    service.send(subscription("80", at="2026-03-10"))
    service.later(minutes=2)
    counts = service.gather(*(evaluate_alerts(service.books) for _ in range(4)))
    assert sum(counts) == 3
    assert len(alerts.transitions()) == 3


def test_what_is_not_committed_is_seen_in_the_next_evaluation(
    service: Service, alerts: AlertService, query_database: Callable[[str], list[Any]]
) -> None:
    alerts.put(metric="mrr", granularity="month", below="100")
    service.send(subscription("150", at="2026-03-01"))
    alerts.evaluate()
    service.send(subscription("80", at="2026-03-10"))
    # Within the minute it is not evaluated, and not forgotten.
    alerts.evaluate(minutes=0)
    assert query_database("SELECT count(*) FROM alert_change") == [(0,)]
    assert alerts.transitions() == []
    alerts.evaluate()
    assert len(alerts.transitions()) == 1


def test_a_watch_searches_for_all_news(service: Service, alerts: AlertService) -> None:
    alerts.put(metric="mrr", granularity="month", below="100")
    service.put("/v1/targets/mrr", {"metric": "mrr", "granularity": "month", "value": "200"})
    service.send(subscription("80", at="2026-03-10"))
    watch = Watch(service.books, service.settings)
    service.run(watch.step())
    service.on("2026-04-02")
    service.run(watch.step())
    assert [own["type"] for own in alerts.messages()] == ["alert.triggered", "target.missed"]


def test_nothing_is_noted_without_alerts(service: Service, query_database: Callable[[str], list[Any]]) -> None:
    service.send(subscription("80", at="2026-03-10"))
    assert query_database("SELECT count(*) FROM alert_change") == [(0,)]


def test_a_watch_runs_in_a_thread_beside_the_requests(service: Service, alerts: AlertService) -> None:
    alerts.put(metric="mrr", granularity="month", below="100")
    service.send(subscription("80", at="2026-03-10"))

    async def watch() -> None:
        async with asyncio.timeout(PATIENCE), watch_aside(service.books, service.settings):
            while (await service.client.get("/v1/alerts/own")).json()["state"] == "new":  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    service.run(watch())
    assert len(alerts.transitions()) == 1


def test_a_watch_that_fails_goes_on(service: Service, alerts: AlertService, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(service.books, service.settings)
    failures = iter([RuntimeError("first"), Unavailable("second")])

    async def fail(_: Any) -> int:
        if error := next(failures, None):
            raise error
        watch.stop()
        return 0

    monkeypatch.setattr("app.alerts.watch.evaluate_alerts", fail)
    monkeypatch.setattr("app.alerts.watch._OUTAGE_SECONDS", 0)
    service.run(watch.run())
    assert next(failures, None) is None


def test_a_clock_that_goes_over_midnight_and_back_makes_no_message_twice(
    service: Service, alerts: AlertService
) -> None:
    """Each step is one of a service whose clock was moved."""
    alerts.put(metric="sessions", granularity="day", below="1", margin=0)
    service.send(session(at="2026-03-14"), session(at="2026-03-15T01:00:00Z"))
    watch = Watch(service.books, service.settings)
    for day in ("2026-03-15T23:59:00", "2026-03-16T00:00:30", "2026-03-15T23:59:30", "2026-03-17T00:00:10"):
        service.now = datetime.fromisoformat(day).replace(tzinfo=UTC)
        for _ in range(2):
            service.run(watch.step())
    # The 15th had a session, the 16th had none.
    assert alerts.transitions() == [("triggered", "2026-03-16", 0)]
    service.send(session(at="2026-03-17T00:00:05Z"))
    service.on("2026-03-18")
    for _ in range(2):
        service.run(watch.step())
    assert alerts.transitions()[1:] == [("resolved", "2026-03-17", 1)]
