"""Workers: they share the work, survive each other, and no receiver delays another one's messages."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.webhooks import worker as worker_module
from app.webhooks.deliver import WebhookSender
from app.webhooks.deliveries import create_test, list_deliveries
from app.webhooks.dispatch import MAX_PER_ENDPOINT, DueDelivery
from app.webhooks.worker import DeliveryWorker
from tests.support.process import ROOT, ServiceProcess, service_process, wait_until
from tests.support.processes import until
from tests.support.receiver import Receiver
from tests.support.service import ADMIN_KEY, PATIENCE, Service
from tests.webhooks.hooks import Hooks
from tests.webhooks.test_delivery import detractor

Query = Callable[[str], list[Any]]


def now_detractors(count: int, name: str) -> list[dict[str, Any]]:
    return [detractor(id=f"{name}-{number}", account=f"account-{number}") for number in range(count)]


def test_two_workers_never_take_the_same_delivery(service: Service, hooks: Hooks, target: Receiver) -> None:
    for number in range(3):
        hooks.create(f"{target.url}/ok/shared/{number}")
    service.send(*now_detractors(30, "shared"))

    async def work(worker: DeliveryWorker) -> None:
        for _ in range(20):
            await worker.step()
            await worker.finish()
        await worker.stop()

    workers = [DeliveryWorker(service.books, service.settings) for _ in range(4)]
    service.gather(*map(work, workers))
    rows = target.received("/ok/shared")
    counts = Counter((row["path"], row["headers"]["webhook-id"]) for row in rows)
    assert len(counts) == 90 and set(counts.values()) == {1}


def test_what_a_dead_worker_has_taken_is_tried_again_when_its_lease_ends(
    service: Service, hooks: Hooks, target: Receiver, execute_in: Callable[[str], None]
) -> None:
    endpoint = hooks.create(f"{target.url}/ok/lease")
    service.send(detractor())

    class DyingWorker(DeliveryWorker):
        def _start(self, due: DueDelivery) -> None:
            pass

    async def die() -> None:
        await DyingWorker(service.books, service.settings).step()

    service.run(die())
    hooks.deliver()
    assert target.received("/ok/lease") == [], "another one has it"
    execute_in("UPDATE webhook_delivery SET leased_until = clock_timestamp() - interval '1 second'")
    hooks.deliver()
    assert len(target.received("/ok/lease")) == 1
    assert hooks.deliveries(endpoint["id"])[0]["state"] == "delivered"


def test_a_worker_survives_what_it_does_not_expect(
    service: Service, hooks: Hooks, target: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = hooks.create(f"{target.url}/ok/surprise")
    service.send(detractor())
    take, send = worker_module.take_due, WebhookSender._post
    surprises = ["take", "send"]

    def take_due(*arguments: Any, **options: Any) -> Any:
        if "take" in surprises:
            surprises.remove("take")
            raise RuntimeError("while deliveries are taken")
        return take(*arguments, **options)

    async def post(*arguments: Any) -> Any:
        if "send" in surprises:
            surprises.remove("send")
            raise RuntimeError("while a message is sent")
        return await send(*arguments)

    monkeypatch.setattr(worker_module, "take_due", take_due)
    monkeypatch.setattr(WebhookSender, "_post", post)
    monkeypatch.setattr(worker_module, "_OUTAGE_SECONDS", 0)

    async def work() -> None:
        worker = DeliveryWorker(service.books, service.settings)
        running = asyncio.create_task(worker.run())
        await until(lambda: hooks_log(service, endpoint))
        await worker.stop()
        await running

    service.run(work())
    service.later(seconds=10)
    hooks.deliver()
    [delivery] = hooks.deliveries(endpoint["id"])
    assert [entry["result"] for entry in delivery["log"]] == ["response", "delivered"] and not surprises


async def hooks_log(service: Service, endpoint: dict[str, Any]) -> list[Any]:
    """Return the attempts of the only delivery of an endpoint."""
    rows, _ = await list_deliveries(service.books, endpoint["id"], state=None, topic=None, limit=1, cursor=None)
    return rows[0]["log"] if rows else []


def test_a_test_message_whose_process_died_is_not_sent_by_a_worker(
    service: Service, hooks: Hooks, target: Receiver, execute_in: Callable[[str], None]
) -> None:
    endpoint = hooks.create(f"{target.url}/ok/died")
    service.run(create_test(service.books, endpoint["id"], None, lease="of a process that dies now"))
    assert hooks.endpoint(endpoint["id"])["pending"] == 0
    execute_in("UPDATE webhook_delivery SET leased_until = clock_timestamp() - interval '1 second'")
    service.later(hours=1)
    hooks.deliver()
    assert target.received("/ok/died") == []
    assert [(row["state"], row["log"]) for row in hooks.deliveries(endpoint["id"])] == [("failed", [])]


def test_who_has_lost_the_lease_records_nothing(
    service: Service, hooks: Hooks, target: Receiver, execute_in: Callable[[str], None]
) -> None:
    endpoint = hooks.create(f"{target.url}/status/500/lost")
    service.send(detractor())

    async def work() -> None:
        worker = DeliveryWorker(service.books, service.settings)
        await worker.step()
        execute_in("UPDATE webhook_delivery SET lease = 'of another one'")
        await worker.finish()
        await worker.stop()

    service.run(work())
    [delivery] = hooks.deliveries(endpoint["id"])
    assert (delivery["state"], delivery["attempts"], delivery["log"]) == ("pending", 0, [])


def test_a_slow_and_a_dead_endpoint_delay_no_other(service: Service, hooks: Hooks, target: Receiver) -> None:
    """While they hang, everything else is delivered, and they have only a few connections."""
    hanging = [hooks.create(f"{target.url}/{path}") for path in ("silent/1", "slow-headers/1", "endless-body/1")]
    good = [hooks.create(f"{target.url}/ok/beside/{number}") for number in range(10)]
    service.send(*now_detractors(20, "beside"))

    async def work() -> None:
        worker = DeliveryWorker(service.books, service.settings)
        async with asyncio.timeout(PATIENCE):
            for _ in range(60):
                await worker.step()
                await asyncio.sleep(0.05)
                if len(target.received("/ok/beside")) == 200:
                    break
        busy = Counter(worker._running.values())
        assert all(count <= MAX_PER_ENDPOINT for count in busy.values()) and busy
        await worker.stop()

    service.run(work())
    assert len(target.received("/ok/beside")) == 200
    assert target.most_open("/silent/1") <= MAX_PER_ENDPOINT
    for endpoint in good:
        assert {row["state"] for row in hooks.deliveries(endpoint["id"])} == {"delivered"}
    assert all(hooks.endpoint(endpoint["id"])["pending"] > 0 for endpoint in hanging[:2])


def test_a_stop_gives_back_what_is_not_finished(
    service: Service, hooks: Hooks, target: Receiver, query_database: Query
) -> None:
    hooks.create(f"{target.url}/silent/stop")
    service.send(detractor())

    async def work() -> None:
        worker = DeliveryWorker(service.books, service.settings)
        running = asyncio.create_task(worker.run())
        await until(lambda: worker._running)
        await worker.stop()
        await running

    service.run(work())
    assert query_database("SELECT state, attempts, lease FROM webhook_delivery") == [("pending", 0, None)]


def test_an_endpoint_that_is_deleted_meanwhile_leaves_nothing(
    service: Service, hooks: Hooks, target: Receiver, query_database: Query
) -> None:
    endpoint = hooks.create(f"{target.url}/status/500/deleted")
    service.send(detractor())
    hooks.deliver()
    assert service.request("DELETE", f"/v1/webhook-endpoints/{endpoint['id']}").status_code == 204
    assert query_database("SELECT * FROM webhook_delivery") == []
    assert service.request("DELETE", f"/v1/webhook-endpoints/{endpoint['id']}").status_code == 404
    service.later(hours=2)
    hooks.deliver()
    assert len(target.received("/status/500/deleted")) == 1


def test_old_messages_are_deleted_but_not_what_waits(
    service: Service, hooks: Hooks, target: Receiver, query_database: Query, execute_in: Callable[[str], None]
) -> None:
    ok, bad = hooks.create(f"{target.url}/ok/old"), hooks.create(f"{target.url}/status/500/old")
    service.send(detractor(id="old-1"))
    hooks.deliver()
    service.later(days=29)
    execute_in("UPDATE webhook_delivery SET next_attempt_at = '2026-06-01' WHERE state = 'pending'")
    hooks.deliver()
    assert len(hooks.deliveries(ok["id"])) == 1
    service.later(days=2)
    hooks.deliver()
    assert hooks.deliveries(ok["id"]) == [] and len(hooks.deliveries(bad["id"])) == 1
    hooks.patch(bad["id"], state="disabled")
    service.later(days=1)
    hooks.deliver()
    assert query_database("SELECT count(*) FROM webhook_message") == [(0,)]


def test_erasure_deletes_what_messages_say_of_a_person(
    service: Service, hooks: Hooks, target: Receiver, query_database: Query
) -> None:
    endpoint = hooks.create(f"{target.url}/ok/erasure")
    service.send(detractor(comment="canary one"), detractor(user="bob", comment="canary two", id="of-bob"))
    hooks.deliver()
    service.send(detractor(comment="canary three"))
    assert service.request("DELETE", "/v1/accounts/acme/users/ada/personal-data").status_code == 204
    bodies = b"".join(bytes(body) for (body,) in query_database("SELECT body FROM webhook_message"))
    assert b"canary two" in bodies and b"canary one" not in bodies and b"canary three" not in bodies
    assert len(hooks.deliveries(endpoint["id"])) == 1
    [message] = hooks.messages(query_database)
    answer = service.request("DELETE", f"/v1/feedback/{message['data']['id']}")
    assert answer.is_success, answer.text
    assert query_database("SELECT * FROM webhook_message") == []
    assert query_database("SELECT * FROM webhook_delivery") == []


def test_the_meters_say_what_waits_and_how_attempts_end(service: Service, hooks: Hooks, target: Receiver) -> None:
    hooks.create(f"{target.url}/status/502/meters")
    hooks.create(f"{target.url}/ok/meters")
    service.send(detractor())
    assert meter(service, "csmetrics_webhook_pending_messages") == 1
    hooks.deliver()
    assert meter(service, "csmetrics_webhook_pending_messages") == 0
    assert meter(service, "csmetrics_webhook_pending_deliveries") == 1
    assert meter(service, "csmetrics_webhook_oldest_pending_timestamp_seconds") == service.now.timestamp()
    assert 4 < meter(service, "csmetrics_webhook_next_attempt_timestamp_seconds") - service.now.timestamp() < 6
    assert meter(service, "csmetrics_webhook_enabled_endpoints") == 2
    assert meter(service, "csmetrics_webhook_failing_endpoints") == 1
    for result in ("status_5xx", "delivered"):
        assert meter(service, f'csmetrics_webhook_attempt_duration_seconds_count{{result="{result}"}}') == 1
        assert 0 < meter(service, f'csmetrics_webhook_attempt_duration_seconds_sum{{result="{result}"}}') < 20
    gone = hooks.create(f"{target.url}/status/410/meters")
    hooks.post(f"{gone['id']}/test")
    assert meter(service, 'csmetrics_webhook_attempt_duration_seconds_count{result="status_4xx"}') == 1
    service.send(detractor())
    hooks.deliver()
    assert meter(service, 'csmetrics_webhook_endpoints_disabled_total{reason="gone"}') == 1


def meter(service: Service, name: str) -> float:
    lines = service.request("GET", "/metrics/prometheus").text.splitlines()
    values = [float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")]
    assert values, name
    return values[0]


SETTINGS = {"WEBHOOK_ALLOW_HTTP": "true", "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1"}


@contextmanager
def work_process(folder: Path, database: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `csmetrics work`."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": database.replace("+psycopg", ""),
    }
    command = [sys.executable, "-c", "from app.cli.main import main; main()", "work"]
    with (folder / "work.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment | SETTINGS, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def subscribe(own: ServiceProcess, url: str) -> None:
    body = {"url": url, "topics": ["feedback.received"]}
    assert own.request("POST", "/v1/webhook-endpoints", json=body).status_code == 201


def send_fresh(own: ServiceProcess, count: int, name: str) -> None:
    from datetime import UTC, datetime

    now = datetime.now(UTC).isoformat()
    events = [detractor(id=f"{name}-{number}", at=now) for number in range(count)]
    assert own.request("POST", "/v1/events", json=events).json()["accepted"] == count


@pytest.mark.own_database
def test_serve_delivers_by_itself_and_stops_in_time(tmp_path: Path, database: str, target: Receiver) -> None:
    with service_process(tmp_path, database, **SETTINGS) as own:
        subscribe(own, f"{target.url}/ok/serve")
        send_fresh(own, 5, "serve")
        wait_until(lambda: len(target.received("/ok/serve")) == 5)
        assert own.stop() == 0, own.log.read_text()


@pytest.mark.own_database
def test_workers_that_are_killed_lose_nothing(
    tmp_path: Path, database: str, target: Receiver, execute_in: Callable[[str], None]
) -> None:
    """The small form of the campaign: kill, end the lease as time would, and go on: same ids, same bytes, at least once."""
    kill_workers(tmp_path, database, target, execute_in, kills=3)


def kill_workers(
    folder: Path, database: str, target: Receiver, execute_in: Callable[[str], None], *, kills: int
) -> None:
    with service_process(folder, database, WEBHOOK_WORKER="false", **SETTINGS) as own:
        subscribe(own, f"{target.url}/ok/killed")
        for number in range(kills):
            send_fresh(own, 20, f"kill-{number}")
            with work_process(folder, database) as worker:
                before = len(target.received("/ok/killed"))
                wait_until(lambda before=before: len(target.received("/ok/killed")) > before)  # type: ignore[misc]
                worker.send_signal(signal.SIGKILL)
            execute_in("UPDATE webhook_delivery SET leased_until = NULL")
        with work_process(folder, database) as worker:
            wait_until(lambda: not own.request("GET", "/v1/webhook-endpoints").json()["endpoints"][0]["pending"])
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(PATIENCE) == 0, (folder / "work.log").read_text()
        page = own.request("GET", "/metrics/prometheus").text
        count = re.search(r'^csmetrics_webhook_attempt_duration_seconds_count{result="delivered"} (.*)$', page, re.M)
        assert count and float(count[1]) == 20 * kills, "what other processes have done is counted, and once"
    bodies: dict[str, set[bytes]] = {}
    for row in target.received("/ok/killed"):
        bodies.setdefault(row["headers"]["webhook-id"], set()).add(row["body"])
    assert len(bodies) == 20 * kills and all(len(own) == 1 for own in bodies.values())


def test_only_an_admin_may_see_or_change_endpoints(service: Service, hooks: Hooks, target: Receiver) -> None:
    endpoint = hooks.create(f"{target.url}/ok/scopes")
    service.send(detractor())
    hooks.deliver()
    [delivery] = hooks.deliveries(endpoint["id"])
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    requests = [
        ("POST", "/v1/webhook-endpoints"), ("GET", "/v1/webhook-endpoints"), ("GET", path), ("PATCH", path),
        ("DELETE", path), ("POST", f"{path}/rotate-secret"), ("POST", f"{path}/test"), ("GET", f"{path}/deliveries"),
        ("GET", f"{path}/deliveries/{delivery['id']}"), ("POST", f"{path}/deliveries/{delivery['id']}/redeliver"),
        ("POST", f"{path}/redeliver"),
    ]  # fmt: skip
    for scope in ("read", "ingest"):
        key = service.request("POST", "/v1/keys", json={"name": scope, "scopes": [scope]}).json()["key"]
        for method, target_path in requests:
            answer = service.request(method, target_path, headers={"Authorization": f"Bearer {key}"}, json={})
            assert answer.status_code == 403, (scope, method, target_path)
    texts = [service.request(method, own).text for method, own in requests if method == "GET"]
    assert not any("whsec_" in text or ADMIN_KEY in text for text in texts), "a secret is shown once"
    for method, own in requests:
        if own != "/v1/webhook-endpoints":
            unknown = own.replace(endpoint["id"], "ep_0")
            body = {"since": "2026-03-01T00:00:00Z"} if own.endswith(f"{endpoint['id']}/redeliver") else {}
            assert service.request(method, unknown, json=body).status_code == 404, (method, own)


def test_deliveries_are_paged_and_filtered(service: Service, hooks: Hooks) -> None:
    endpoint = hooks.create("http://127.0.0.1:1025/", "feedback.received", "mrr.moved")
    for number in range(7):
        service.send(detractor(id=f"page-{number}"))
        service.later(seconds=1)
    hooks.deliver()
    path, seen, cursor = f"/v1/webhook-endpoints/{endpoint['id']}/deliveries", [], None
    while True:
        page = service.get(path, limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [row["id"] for row in page["deliveries"]]
        if (cursor := page["next"]) is None:
            break
    assert len(seen) == 7 == len(set(seen))
    assert seen == [row["id"] for row in hooks.deliveries(endpoint["id"])]
    assert hooks.deliveries(endpoint["id"], topic="mrr.moved") == []
    assert hooks.deliveries(endpoint["id"], state="failed") == []
    for cursor in ("x", "bm9uZQ", "MjAyNi0wMy0xNSBtc2c"):
        answer = service.request("GET", path, params={"cursor": cursor})
        assert answer.status_code == 422 and answer.json()["code"] == "invalid_cursor"
