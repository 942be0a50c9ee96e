"""What several attempts say of an endpoint together, and those that end after it was changed."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from app.webhooks.deliver import DELIVERED, GONE, STATUS, Outcome, WebhookSender
from app.webhooks.dispatch import DueDelivery
from app.webhooks.schedule import MAX_ATTEMPTS
from app.webhooks.worker import DeliveryWorker
from tests.support.service import Service
from tests.webhooks.hooks import Hooks
from tests.webhooks.test_delivery import detractor

URL = "http://127.0.0.1:1025/scripted"
ARRIVED = Outcome(DELIVERED, 0.1, 200)
REFUSED = Outcome(STATUS, 0.1, 400)
BUSY = Outcome(STATUS, 0.1, 429, timedelta(hours=1))
AWAY = Outcome(STATUS, 0.1, 410)

# Ends the attempts that are being made at the same time, in this order; those of a sequence are recorded together.
Deliver = Callable[..., None]


@pytest.fixture
def deliver(service: Service, hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> Deliver:
    """Let a worker take all deliveries that are due, and end its attempts as a test says."""

    def run(*batches: Sequence[Outcome], meanwhile: Callable[[], Any] | None = None) -> None:
        waiting: list[asyncio.Future[Outcome]] = []

        async def send(self: WebhookSender, due: DueDelivery, *, now: Any) -> Outcome:
            waiting.append(asyncio.get_running_loop().create_future())
            return await waiting[-1]

        async def take(worker: DeliveryWorker) -> None:
            await worker.step()
            await asyncio.sleep(0)

        async def end(worker: DeliveryWorker, batch: Sequence[Outcome]) -> None:
            for outcome in batch:
                waiting.pop(0).set_result(outcome)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            await worker._record()

        monkeypatch.setattr(WebhookSender, "send", send)
        worker = DeliveryWorker(service.books, service.settings)
        service.run(take(worker))
        assert len(waiting) == sum(map(len, batches))
        if meanwhile is not None:
            meanwhile()
        for batch in batches:
            service.run(end(worker, batch))
        service.run(worker.stop())

    return run


def test_a_success_that_was_sent_before_a_failure_ends_it(service: Service, hooks: Hooks, deliver: Deliver) -> None:
    endpoint = hooks.create(URL)
    service.send(detractor(), detractor(account="other"))
    deliver([REFUSED], [ARRIVED])
    assert hooks.endpoint(endpoint["id"])["failing_since"] is None


def test_a_message_that_is_always_refused_disables_nothing_where_others_arrive(
    service: Service, hooks: Hooks, deliver: Deliver
) -> None:
    endpoint = hooks.create(URL)
    service.send(detractor(), detractor(account="other"))
    deliver([REFUSED], [ARRIVED])
    for _ in range(MAX_ATTEMPTS - 1):
        service.later(hours=14)
        deliver([REFUSED])
        service.send(detractor())
        deliver([ARRIVED])
    assert hooks.endpoint(endpoint["id"])["state"] == "enabled"


def test_the_last_failure_disables_nothing_if_another_one_has_arrived_meanwhile(
    service: Service, hooks: Hooks, deliver: Deliver, execute_in: Callable[[str], None]
) -> None:
    endpoint = hooks.create(URL)
    service.send(detractor())
    deliver([REFUSED])
    execute_in(f"UPDATE webhook_delivery SET attempts = {MAX_ATTEMPTS - 1}")
    service.later(hours=29)
    deliver([REFUSED], meanwhile=lambda: execute_in("UPDATE webhook_endpoint SET failing_since = NULL"))
    state = hooks.endpoint(endpoint["id"])
    assert (state["state"], state["pending"]) == ("enabled", 0)
    assert state["failing_since"] is not None


@pytest.mark.parametrize("batches", [[[BUSY, ARRIVED]], [[BUSY], [ARRIVED]], [[BUSY, REFUSED]], [[BUSY], [REFUSED]]])
def test_a_pause_that_was_asked_for_is_kept_whatever_else_ends(
    service: Service, hooks: Hooks, deliver: Deliver, batches: list[list[Outcome]]
) -> None:
    endpoint = hooks.create(URL)
    service.send(detractor(), detractor(account="other"))
    deliver(*batches)
    assert hooks.endpoint(endpoint["id"])["paused_until"] == "2026-03-15T13:00:00Z"
    service.send(detractor())
    service.later(minutes=59)
    deliver()
    service.later(minutes=2)
    deliver([ARRIVED] * (2 if [ARRIVED] in batches or ARRIVED in batches[0] else 1))
    assert hooks.endpoint(endpoint["id"])["paused_until"] is None


def test_an_answer_of_a_former_url_says_nothing_of_the_new_one(
    service: Service, hooks: Hooks, deliver: Deliver
) -> None:
    endpoint = hooks.create(URL)
    service.send(detractor(), detractor(account="other"))
    deliver([AWAY, BUSY], meanwhile=lambda: hooks.patch(endpoint["id"], url=f"{URL}/new"))
    state = hooks.endpoint(endpoint["id"])
    assert (state["state"], state["failing_since"], state["paused_until"]) == ("enabled", None, None)
    assert GONE in [row["log"][0]["status"] for row in hooks.deliveries(endpoint["id"])]
    deliver([ARRIVED])
    assert state["pending"] == 2, "also what the former one has refused for good"
    service.later(hours=2)
    deliver([ARRIVED])
    assert [row["state"] for row in hooks.deliveries(endpoint["id"])] == ["delivered", "delivered"]


def test_an_endpoint_that_is_disabled_during_attempts_gets_nothing_more(
    service: Service, hooks: Hooks, deliver: Deliver
) -> None:
    endpoint = hooks.create(URL)
    service.send(*(detractor(account=f"a{number}") for number in range(3)))
    deliver([ARRIVED, REFUSED, AWAY], meanwhile=lambda: hooks.patch(endpoint["id"], state="disabled"))
    state = hooks.endpoint(endpoint["id"])
    assert (state["state"], state["disabled_reason"], state["pending"]) == ("disabled", "by_hand", 0)
    assert sorted(row["state"] for row in hooks.deliveries(endpoint["id"])) == ["delivered", "failed", "failed"]
