"""Kept deliveries over time, and from the command line."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.inbound import prune
from app.inbound.define import VENDORS
from tests.inbound.senders import put_source, send
from tests.support.command import CommandResult, run_command
from tests.support.service import Service

GENERIC = VENDORS["generic"]


def put_calls(service: Service, **changes: str) -> None:
    mapping = {**GENERIC.example_mapping, "events": [rule | changes for rule in GENERIC.example_mapping["events"]]}
    put_source(service, "calls", "generic", mapping=mapping)


def kept(service: Service) -> int:
    return len(service.get("/v1/sources/calls/deliveries")["deliveries"])


def test_deliveries_are_kept_for_some_days_also_by_a_service_that_nobody_calls(
    start_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "PAUSE_SECONDS", 0.001)
    service = start_service(inbound_retention_days=7)
    put_calls(service)
    send(service, "calls", GENERIC.example)
    service.now += timedelta(days=6)
    service.run(prune.prune_deliveries(service.books, days=7))
    assert kept(service) == 1
    service.now += timedelta(days=2)
    for _ in range(1_000):
        if not kept(service):
            break
    assert kept(service) == 0 and service.value("sessions") == 2


def test_old_deliveries_are_deleted_in_parts_beside_those_that_another_process_deletes(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "_AT_ONCE", 2)
    put_calls(service)
    for number in range(5):
        send(service, "calls", {"calls": [], "number": number})
    service.now += timedelta(days=8)
    service.gather(*(prune.prune_deliveries(service.books, days=7) for _ in range(3)))
    assert kept(service) == 0


@pytest.fixture
def csmetrics(database: str, tmp_path: Path) -> Callable[..., CommandResult]:
    """Run a command, whose clock is the real one, on the test's database."""
    settings = {"DATABASE_URL": database, "MAX_CLOCK_JUMP_DAYS": "100000"}
    return lambda *arguments: run_command(*arguments, folder=tmp_path, **settings)


def test_sources_and_deliveries_are_listed_and_replayed(
    csmetrics: Callable[..., CommandResult], start_service: Callable[..., Service]
) -> None:
    service = start_service()
    service.now = datetime.now(UTC)
    put_calls(service, occurred_at="item.finished")
    delivery = send(service, "calls", GENERIC.example)["delivery"]
    assert "calls" in csmetrics("sources", "list").stdout
    listed = csmetrics("sources", "deliveries", "calls", "--status", "rejected").stdout
    assert delivery in listed and "rejected, attempts: 1, events: 0\n    The expression at" in listed
    assert "finds no time" in listed
    assert csmetrics("sources", "replay", "calls").stdout.strip() == "accepted: 0, rejected: 1, ignored: 0"
    put_calls(service)
    assert csmetrics("sources", "replay", "calls").stdout.strip() == "accepted: 1, rejected: 0, ignored: 0"
    assert service.value("sessions") == 2
    assert csmetrics("sources", "replay", "calls", "--delivery", delivery).stdout.strip() == "accepted."
    assert delivery not in csmetrics("sources", "deliveries", "calls", "--status", "rejected").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("deliveries", "unheard"), 'Unknown source "unheard"'),
        (("replay", "unheard"), 'Unknown source "unheard"'),
        (("deliveries", "calls", "--status", "lost"), "accepted, rejected, ignored, erased"),
        (("replay", "calls", "--status", "erased"), "accepted, rejected, ignored."),
    ],
)
def test_a_command_says_what_is_wrong(
    arguments: tuple[str, ...], message: str, csmetrics: Callable[..., CommandResult], service: Service
) -> None:
    result = csmetrics("sources", *arguments)
    assert result.returncode != 0 and message in result.stderr and "Traceback" not in result.stderr
