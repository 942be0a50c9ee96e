"""The receivers of docs/guides/crm as processes, real deliveries of the worker, and CRMs that answer as documented."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from app.alerts.health import publish_health_news
from tests.health.models import component, model
from tests.support.service import Service, account_update, session
from tests.webhooks.hooks import Hooks
from tests.webhooks.outside import (
    EXAMPLES,
    HUBSPOT_PATHS,
    SALESFORCE_PATH,
    Crm,
    ExampleReceiver,
    Reply,
    environment,
    example_receiver,
)
from tests.webhooks.recipes import (
    FIELDS,
    RECEIVERS,
    TOPICS,
    WRITERS,
    for_receivers,
    price,
    response,
    states,
    values,
    values_of,
)


@for_receivers(*WRITERS)
def test_the_mrr_of_the_right_record_is_written(
    service: Service, hooks: Hooks, receiver: ExampleReceiver, crm: Crm
) -> None:
    odd = "a/ü c?#%"
    crm.accounts.add(odd)
    service.send(price("1250.5"), price("0.07", odd))
    hooks.deliver(rounds=3)
    assert states(hooks, receiver) == ["delivered", "delivered"], receiver.output
    path = HUBSPOT_PATHS[0] if receiver.name.startswith("hubspot") else SALESFORCE_PATH
    field = FIELDS[receiver.name]["mrr"]
    # The first call of Salesforce has no session yet.
    calls = {call.account: call for call in crm.calls}
    assert {account: float(values_of(call)[field]) for account, call in calls.items()} == {"acme": 1250.5, odd: 0.07}
    assert all(call.path.startswith(path) and call.path.count("/") == path.count("/") for call in crm.calls)
    assert all(values_of(call).keys() == {field} for call in crm.calls)


@for_receivers(*WRITERS)
def test_score_and_band_are_written_when_the_band_has_changed(
    service: Service, hooks: Hooks, receiver: ExampleReceiver, crm: Crm
) -> None:
    real = service.now
    service.now = real - timedelta(days=60)
    earlier = service.now.isoformat()
    service.put("/v1/health-model", model(component("use", "sessions", 0, 10)))
    service.send(account_update(name="Acme"), price("100", at="2026-01-01"))
    service.send(*(session(at=earlier) for _ in range(10)))
    service.run(publish_health_news(service.books))
    service.now = real
    service.run(publish_health_news(service.books))
    hooks.deliver(rounds=3)
    assert states(hooks, receiver) == ["delivered"], receiver.output
    call, names = crm.calls[-1], FIELDS[receiver.name]
    assert call.account == "acme" and values_of(call).keys() == {names["score"], names["band"]}
    assert (float(values_of(call)[names["score"]]), values_of(call)[names["band"]]) == (0, "critical")


@for_receivers(*WRITERS)
@pytest.mark.parametrize("status", [429, 500, 503, 403, 400])
def test_what_the_crm_has_not_taken_is_delivered_again(
    service: Service, hooks: Hooks, receiver: ExampleReceiver, crm: Crm, status: int
) -> None:
    crm.next_replies = [Reply(status, "no", (("Retry-After", "30"),))]
    service.send(price("100"))
    hooks.deliver()
    [delivery] = hooks.deliveries(receiver.endpoint)
    assert (delivery["state"], delivery["log"][0]["status"]) == ("pending", 503)
    assert f"{status} no" in receiver.output
    if receiver.name.startswith("hubspot"):
        assert hooks.endpoint(receiver.endpoint)["paused_until"] is not None
    service.later(minutes=2)
    hooks.deliver()
    assert states(hooks, receiver) == ["delivered"]
    field = FIELDS[receiver.name]["mrr"]
    assert float(values(crm, field)[-1]) == 100
    number = len(crm.calls)
    hooks.deliver()
    assert len(crm.calls) == number


@for_receivers(*WRITERS)
def test_a_crm_that_is_away_does_not_lose_anything(
    service: Service, hooks: Hooks, receiver: ExampleReceiver, crm: Crm, tmp_path: Path, outside: tuple[Crm, str]
) -> None:
    receiver.kill()
    real = dict(receiver.variables)
    receiver.variables |= environment("http://127.0.0.1:1025", WEBHOOK_SECRET=real["WEBHOOK_SECRET"])
    receiver.start()
    service.send(price("100"))
    hooks.deliver()
    [delivery] = hooks.deliveries(receiver.endpoint)
    assert (delivery["state"], delivery["log"][0]["status"]) == ("pending", 500)
    receiver.kill()
    receiver.variables = real
    receiver.start()
    service.later(minutes=2)
    hooks.deliver()
    assert states(hooks, receiver) == ["delivered"]
    assert float(values(crm, FIELDS[receiver.name]["mrr"])[-1]) == 100


@for_receivers(*WRITERS)
def test_a_message_that_was_overtaken_does_not_overwrite_the_newer_one(
    service: Service, hooks: Hooks, receiver: ExampleReceiver, crm: Crm
) -> None:
    crm.next_replies = [Reply(500)]
    service.send(price("100"))
    hooks.deliver()
    service.later(seconds=1)
    service.send(price("250"))
    [older] = [row["id"] for row in hooks.deliveries(receiver.endpoint) if row["attempts"]]
    service.later(minutes=2)
    hooks.deliver(rounds=3)
    assert states(hooks, receiver) == ["delivered", "delivered"]
    # The first one once more, by hand.
    hooks.post(f"{receiver.endpoint}/deliveries/{older}/redeliver")
    hooks.deliver()
    assert states(hooks, receiver) == ["delivered", "delivered"]
    assert float(values(crm, FIELDS[receiver.name]["mrr"])[-1]) == 250


@for_receivers(*RECEIVERS)
def test_a_repeated_message_is_ignored_also_after_a_restart(
    service: Service, hooks: Hooks, receiver: ExampleReceiver, crm: Crm
) -> None:
    service.send(price("100"), response(3))
    hooks.deliver()
    [delivery] = hooks.deliveries(receiver.endpoint)
    number = len(crm.calls)
    assert number
    for _ in range(2):
        hooks.post(f"{receiver.endpoint}/deliveries/{delivery['id']}/redeliver")
        hooks.deliver()
        receiver.kill()
        receiver.start()
    assert states(hooks, receiver) == ["delivered"] and len(crm.calls) == number
    assert len(hooks.service.get(f"/v1/webhook-endpoints/{receiver.endpoint}/deliveries/{delivery['id']}")["log"]) == 3


@for_receivers(*WRITERS)
def test_an_account_that_the_crm_does_not_have_is_left_out(
    service: Service, hooks: Hooks, receiver: ExampleReceiver, crm: Crm
) -> None:
    crm.accounts.clear()
    service.send(price("100"))
    hooks.deliver()
    assert states(hooks, receiver) == ["delivered"]


@for_receivers(*RECEIVERS)
def test_what_is_not_signed_by_us_is_refused(hooks: Hooks, receiver: ExampleReceiver, crm: Crm) -> None:
    now = str(int(datetime.now(UTC).timestamp()))
    good = {"webhook-id": "msg_1", "webhook-timestamp": now, "webhook-signature": "v1,AAAA"}
    bad: list[dict[str, str]] = [
        {},
        good,
        good | {"webhook-signature": "nonsense"},
        good | {"webhook-signature": "v1,%%%"},
        good | {"webhook-timestamp": "soon"},
        good | {"webhook-timestamp": "nan"},
        good | {"webhook-timestamp": "1"},
    ]
    for headers in bad:
        for body in (b'{"type": "mrr.moved"}', b"\xff", b""):
            assert httpx.post(receiver.url, content=body, headers=headers, trust_env=False).status_code == 401
    hooks.post(f"{receiver.endpoint}/rotate-secret", {"overlap_hours": 0})
    assert hooks.post(f"{receiver.endpoint}/test").json()["log"][0]["status"] == 401
    assert crm.calls == []


@for_receivers(*WRITERS)
def test_a_test_message_changes_nothing_in_the_crm(hooks: Hooks, receiver: ExampleReceiver, crm: Crm) -> None:
    for topic in TOPICS[receiver.name]:
        assert hooks.post(f"{receiver.endpoint}/test", {"topic": topic}).json()["log"][0]["status"] == 204
    assert crm.calls == []


@for_receivers("salesforce_receiver")
def test_a_session_of_salesforce_that_has_expired_is_renewed(
    service: Service, hooks: Hooks, receiver: ExampleReceiver, crm: Crm
) -> None:
    service.send(price("100"))
    hooks.deliver()
    crm.token = "session-2"
    service.later(seconds=1)
    service.send(price("200"))
    hooks.deliver()
    assert states(hooks, receiver) == ["delivered", "delivered"]
    assert crm.calls[-1].headers["authorization"] == "Bearer session-2" and crm.calls[-1].body == {"Csm_Mrr__c": 200}


def test_the_older_paths_of_hubspot_can_be_set(
    service: Service, hooks: Hooks, outside: tuple[Crm, str], tmp_path: Path
) -> None:
    crm, crm_url = outside
    service.now = datetime.now(UTC)
    endpoint = hooks.create("http://127.0.0.1:1025/hooks", "mrr.moved")
    companies = f"{crm_url}{HUBSPOT_PATHS[1]}".rstrip("/")
    variables = environment(crm_url, WEBHOOK_SECRET=endpoint["secret"], HUBSPOT_COMPANIES=companies)
    with example_receiver("hubspot_receiver", tmp_path, variables) as own:
        hooks.patch(endpoint["id"], url=own.url)
        service.send(price("100"))
        hooks.deliver()
    assert [call.path for call in crm.calls] == [f"{HUBSPOT_PATHS[1]}acme"]


@pytest.mark.parametrize("name", RECEIVERS)
def test_a_receiver_has_at_most_40_lines_of_code(name: str) -> None:
    lines = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 40
