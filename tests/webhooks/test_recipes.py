"""The recipes of docs/guides/crm: receivers as processes, real deliveries of the worker, and CRMs that answer as documented."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.alerts.evaluate import evaluate_alerts
from app.alerts.health import tell_health
from tests.health.models import component, model
from tests.support.process import service_process
from tests.support.service import ADMIN_KEY, PATIENCE, Service, account_update, event, session
from tests.webhooks.hooks import Hooks
from tests.webhooks.outside import (
    EXAMPLES,
    HUBSPOT_PATHS,
    SALESFORCE_PATH,
    SLACK_PATH,
    Call,
    Crm,
    ExampleReceiver,
    Reply,
    crm_server,
    environment,
    example_receiver,
)

RECEIVERS = ["hubspot_receiver", "salesforce_receiver", "slack_receiver"]
WRITERS = RECEIVERS[:2]
NIGHTLY = ["hubspot_nightly", "salesforce_nightly"]
# By receiver: what the fields are called there.
FIELDS = {
    "hubspot_receiver": {"mrr": "csm_mrr", "score": "csm_health", "band": "csm_band", "nrr": "csm_nrr"},
    "salesforce_receiver": {"mrr": "Csm_Mrr__c", "score": "Csm_Health__c", "band": "Csm_Band__c", "nrr": "Csm_Nrr__c"},
}
TOPICS = {
    "hubspot_receiver": ["mrr.moved", "health.band_changed"],
    "salesforce_receiver": ["mrr.moved", "health.band_changed"],
    "slack_receiver": ["alert.triggered", "alert.resolved", "feedback.received"],
}


@pytest.fixture
def outside() -> Iterator[tuple[Crm, str]]:
    with crm_server() as own:
        yield own


@pytest.fixture
def crm(outside: tuple[Crm, str]) -> Crm:
    return outside[0]


@pytest.fixture
def receiver(
    request: Any, service: Service, hooks: Hooks, outside: tuple[Crm, str], tmp_path: Path
) -> Iterator[ExampleReceiver]:
    """A receiver with an endpoint of ours. The clock is the real one, since signatures are valid for five minutes."""
    service.now = datetime.now(UTC)
    port_of_nobody = "http://127.0.0.1:1025/hooks"
    endpoint = hooks.create(port_of_nobody, *TOPICS[request.param])
    with example_receiver(request.param, tmp_path, environment(outside[1], WEBHOOK_SECRET=endpoint["secret"])) as own:
        hooks.patch(endpoint["id"], url=own.url)
        own.endpoint = endpoint["id"]
        yield own


def for_receivers(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("receiver", names, indirect=True)


def price(mrr: str, account: str = "acme", **rest: Any) -> dict[str, Any]:
    at = rest.pop("at", datetime.now(UTC).isoformat())
    return event("subscription.changed", account, at=at, subscription_id="one", mrr=mrr, **rest)


def response(score: int, **data: Any) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    return event("survey.responded", at=at, **{"user": "ada", "survey": "nps", "score": score} | data)


def values_of(call: Call) -> dict[str, Any]:
    return call.body.get("properties", call.body)


def values(crm: Crm, field: str) -> list[Any]:
    """Return what was written into a field, in order."""
    return [values_of(call)[field] for call in crm.calls if field in values_of(call)]


def states(hooks: Hooks, receiver: ExampleReceiver) -> list[str]:
    return [row["state"] for row in hooks.deliveries(receiver.endpoint)]


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
    service.run(tell_health(service.books))
    service.now = real
    service.run(tell_health(service.books))
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


@for_receivers("slack_receiver")
def test_slack_gets_alerts_and_unhappy_responses_once_each(
    service: Service, hooks: Hooks, receiver: ExampleReceiver, crm: Crm
) -> None:
    service.send(account_update(name="Acme & Söhne"))
    service.put("/v1/alerts/nps-low", {"metric": "nps", "granularity": "month", "below": 20})
    service.send(response(10), response(3, comment="<!channel> Too slow & dear."), response(2))
    service.later(minutes=2)
    service.run(evaluate_alerts(service.books))
    crm.next_replies = [Reply(429, "rate_limited", (("Retry-After", "30"),))]
    hooks.deliver()
    for _ in range(8):
        service.later(minutes=1)
        hooks.deliver()
    assert set(states(hooks, receiver)) == {"delivered"}, receiver.output
    texts = sorted(call.body["text"] for call in crm.calls[1:])
    period = service.now.strftime("%Y-%m")
    assert [text.rpartition(" ")[0] for text in texts] == [
        "Acme &amp; Söhne: nps 2. ",
        "Acme &amp; Söhne: nps 3. &lt;!channel&gt; Too slow &amp; dear.",
        f"All accounts: nps is −33.333333 in {period}, below 20.",
    ]
    assert all(call.path == SLACK_PATH for call in crm.calls)


@for_receivers("slack_receiver")
def test_slack_gets_test_messages_marked_as_such(hooks: Hooks, receiver: ExampleReceiver, crm: Crm) -> None:
    for topic in TOPICS[receiver.name]:
        assert hooks.post(f"{receiver.endpoint}/test", {"topic": topic}).json()["log"][0]["status"] == 204
    assert len(crm.calls) == 3 and all(call.body["text"].startswith("Test: ") for call in crm.calls)


@pytest.mark.own_database
@pytest.mark.parametrize("name", NIGHTLY)
def test_each_night_all_numbers_of_all_accounts_are_written(
    name: str, database: str, outside: tuple[Crm, str], tmp_path: Path
) -> None:
    crm, crm_url = outside
    crm.accounts = {"acme", "globex"}
    now = datetime.now(UTC)
    events = [
        price("100", at=(now - timedelta(days=500)).isoformat()),
        price("150", at=(now - timedelta(days=100)).isoformat()),
        price("30", "globex", at=(now - timedelta(days=40)).isoformat()),
        price("7", "nobody", at=(now - timedelta(days=40)).isoformat()),
        session(at=now.isoformat()),
    ]
    with service_process(tmp_path, database, LOG_LEVEL="info", WEBHOOK_WORKER="false") as process:
        assert process.request("POST", "/v1/events", json=events).json()["accepted"] == 5
        health = {row["account"]: row for row in process.request("GET", "/v1/health?accounts=all").json()["accounts"]}
        if name == "hubspot_nightly":
            crm.next_replies = [Reply(429, "no", (("Retry-After", "0"),))]
        variables = environment(crm_url, CSM_URL=process.url, CSM_KEY=ADMIN_KEY)
        command = [sys.executable, str(EXAMPLES / f"{name}.py")]
        subprocess.run(command, env=variables, cwd=tmp_path, check=True, timeout=PATIENCE)
    names = FIELDS[name.replace("nightly", "receiver")]
    got = {call.account: {own: values_of(call)[field] for own, field in names.items()} for call in crm.calls}
    assert got.keys() == {"acme", "globex", "nobody"}
    assert (float(got["acme"]["mrr"]), float(got["acme"]["nrr"]), float(got["globex"]["mrr"])) == (150, 150, 30)
    assert got["globex"]["nrr"] in ("", None), "no customer a year ago"
    for account, row in got.items():
        assert row["band"] in (health[account]["band"], "")
        assert row["score"] in (health[account]["score"], str(health[account]["score"]), "")


@pytest.mark.parametrize("name", RECEIVERS)
def test_a_receiver_has_at_most_40_lines_of_code(name: str) -> None:
    lines = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 40
