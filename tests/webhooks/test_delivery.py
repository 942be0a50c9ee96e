"""What is delivered, signed how, and what becomes of it when the receiver does not answer well."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import standardwebhooks
import svix.webhooks

from app.webhooks.define import TOPICS
from app.webhooks.schedule import MAX_ATTEMPTS
from app.webhooks.signing import new_secret
from tests.support.process import ROOT, wait_until
from tests.support.processes import free_port
from tests.support.receiver import Receiver
from tests.support.service import Service, event
from tests.webhooks.hooks import Hooks

Query = Callable[[str], list[Any]]


def detractor(**data: Any) -> dict[str, Any]:
    return event("survey.responded", **{"user": "ada", "survey": "nps", "score": 3, "comment": "Too slow."} | data)


def verify(secret: str, row: dict[str, Any], now: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verify the signature by two libraries, at the time of the service's clock."""

    class Clock:
        @staticmethod
        def now(tz: Any = None) -> Any:
            return now

    with monkeypatch.context() as patch:
        patch.setattr(standardwebhooks.webhooks, "datetime", type("datetime", (datetime,), {"now": Clock.now}))
        assert standardwebhooks.Webhook(secret).verify(row["body"], row["headers"]) == json.loads(row["body"])
        svix.webhooks.Webhook(secret).verify(row["body"], row["headers"])  # raises unless it is right


def test_a_detractor_is_delivered_at_once_with_a_signature_that_two_libraries_verify(
    service: Service, hooks: Hooks, target: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = hooks.create(f"{target.url}/ok/detractor?a=b", "feedback.received")
    service.put("/v1/accounts/acme", {"name": "Acme", "attributes": {"plan": "pro"}})
    service.send(detractor(id="r-17", at="2026-03-14"))
    hooks.deliver()
    [row] = target.received("/ok/detractor")
    assert row["method"] == "POST" and row["path"] == "/ok/detractor?a=b"
    assert row["headers"]["content-type"] == "application/json"
    assert row["headers"]["host"] == target.url.removeprefix("http://")
    verify(endpoint["secret"], row, service.now, monkeypatch)
    payload = json.loads(row["body"])
    assert payload["type"] == "feedback.received" and payload["timestamp"] == "2026-03-15T12:00:00Z"
    data = payload["data"]
    jsonschema.validate(data, TOPICS["feedback.received"].schema)
    assert (data["class"], data["score"], data["comment"], data["user_id"]) == ("detractor", 3, "Too slow.", "ada")
    assert data["account"] == {"id": "acme", "name": "Acme", "attributes": {"name": "Acme", "plan": "pro"}}
    assert service.get(data["links"]["feedback"])["comment"] == "Too slow."
    [delivery] = hooks.deliveries(endpoint["id"])
    assert (delivery["id"], delivery["state"], delivery["attempts"]) == (row["headers"]["webhook-id"], "delivered", 1)
    assert [(entry["result"], entry["status"]) for entry in delivery["log"]] == [("delivered", 204)]
    hooks.deliver()
    assert len(target.received("/ok/detractor")) == 1


def test_each_endpoint_gets_the_same_bytes_signed_with_its_own_secret(
    service: Service, hooks: Hooks, target: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoints = [hooks.create(f"{target.url}/ok/many/{number}") for number in range(10)]
    other = hooks.create(f"{target.url}/ok/many/other", "target.met")
    service.send(detractor())
    hooks.deliver()
    rows = target.received("/ok/many")
    assert len(rows) == 10 and len({row["body"] for row in rows}) == 1
    for endpoint in endpoints:
        [row] = [row for row in rows if row["path"] == endpoint["url"].removeprefix(target.url)]
        verify(endpoint["secret"], row, service.now, monkeypatch)
    assert hooks.deliveries(other["id"]) == []


def test_a_failure_is_repeated_with_the_same_id_and_bytes_over_about_28_hours(
    service: Service, hooks: Hooks, target: Receiver, query_database: Query
) -> None:
    endpoint = hooks.create(f"{target.url}/status/500/schedule")
    service.send(detractor())
    began = service.now
    for _ in range(40):
        hooks.deliver()
        [delivery] = hooks.deliveries(endpoint["id"])
        if delivery["state"] == "failed":
            break
        service.later(seconds=1)
        [(due,)] = query_database("SELECT next_attempt_at FROM webhook_delivery")
        service.now = max(service.now, due)
    rows = target.received("/status/500/schedule")
    assert len(rows) == MAX_ATTEMPTS == delivery["attempts"]
    assert len({(row["headers"]["webhook-id"], row["body"]) for row in rows}) == 1
    assert len({row["headers"]["webhook-timestamp"] for row in rows}) == MAX_ATTEMPTS
    assert 25 < (service.now - began).total_seconds() / 3600 < 31
    state = hooks.endpoint(endpoint["id"])
    assert (state["state"], state["disabled_reason"], state["pending"]) == ("disabled", "failing", 0)
    service.send(detractor())
    hooks.deliver()
    assert len(hooks.deliveries(endpoint["id"])) == 1, "a disabled endpoint gets nothing"


def test_one_bad_message_does_not_disable_an_endpoint_that_takes_others(
    service: Service, hooks: Hooks, target: Receiver, execute_in: Callable[[str], None]
) -> None:
    endpoint = hooks.create(f"{target.url}/status/500/once")
    service.send(detractor())
    hooks.deliver()
    hooks.patch(endpoint["id"], url=f"{target.url}/ok/once")
    service.send(detractor())
    hooks.deliver()
    hooks.patch(endpoint["id"], url=f"{target.url}/status/500/once")
    execute_in(f"UPDATE webhook_delivery SET attempts = {MAX_ATTEMPTS - 1} WHERE state = 'pending'")
    service.later(hours=1)
    hooks.deliver()
    assert sorted(row["state"] for row in hooks.deliveries(endpoint["id"])) == ["delivered", "failed"]
    assert hooks.endpoint(endpoint["id"])["state"] == "enabled"


def test_410_disables_an_endpoint_at_once(service: Service, hooks: Hooks, target: Receiver) -> None:
    endpoint = hooks.create(f"{target.url}/status/410/gone")
    service.send(detractor())
    hooks.deliver()
    state = hooks.endpoint(endpoint["id"])
    assert (state["state"], state["disabled_reason"]) == ("disabled", "gone")
    assert [row["state"] for row in hooks.deliveries(endpoint["id"])] == ["failed"]
    answer = hooks.patch(endpoint["id"], state="enabled", url=f"{target.url}/ok/gone")
    assert answer.json()["state"] == "enabled" and answer.json()["disabled_reason"] is None
    assert hooks.post(f"{endpoint['id']}/redeliver", {"since": "2026-03-15T00:00:00Z"}).json() == {"redelivered": 1}
    hooks.deliver()
    assert len(target.received("/ok/gone")) == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("Sun, 15 Mar 2026 12:10:00 GMT", 600),
        ("999999999999", 86_400),
        ("1000000000", 86_400),
        ("-5", 5),
        ("soon", 5),
        ("1e9", 5),
        ("", 5),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 5),
    ],
)
def test_retry_after_is_honored_up_to_a_day_and_nonsense_is_ignored(
    service: Service, hooks: Hooks, target: Receiver, query_database: Query, text: str, seconds: int
) -> None:
    hooks.create(f"{target.url}/status/429/after?retry-after={text.replace(' ', '%20').replace(',', '%2C')}")
    service.send(detractor())
    hooks.deliver()
    [(due,)] = query_database("SELECT next_attempt_at FROM webhook_delivery")
    assert 0.94 * seconds <= (due - service.now).total_seconds() <= 1.11 * seconds


def test_retry_after_pauses_the_whole_endpoint(service: Service, hooks: Hooks, target: Receiver) -> None:
    endpoint = hooks.create(f"{target.url}/status/503/pause?retry-after=600")
    service.send(detractor())
    hooks.deliver()
    service.send(detractor())
    service.later(minutes=5)
    hooks.deliver()
    assert len(target.received("/status/503/pause")) == 1
    assert hooks.endpoint(endpoint["id"])["paused_until"] is not None
    service.later(minutes=6)
    hooks.deliver(rounds=3)
    assert len(target.received("/status/503/pause")) == 2, "one at a time, while the endpoint fails"


@pytest.mark.parametrize(
    ("path", "result", "status"),
    [
        ("/silent", "timeout", None),
        ("/slow-headers", "timeout", None),
        ("/slow-body", "delivered", 200),
        ("/endless-body", "delivered", 200),
        ("/endless-headers", "response", None),
        ("/bomb", "delivered", 200),
        ("/garbage", "response", None),
        ("/reset", "response", None),
        ("/redirect?to=/ok/redirected", "status", 302),
        ("/status/304", "status", 304),
        ("/status/404", "status", 404),
    ],
)
def test_what_a_receiver_does_has_one_result(
    service: Service, hooks: Hooks, target: Receiver, path: str, result: str, status: int | None
) -> None:
    endpoint = hooks.create(f"{target.url}{path}")
    if result == "timeout":
        hooks.give_up_after(0.5)
    service.send(detractor())
    hooks.deliver()
    [delivery] = hooks.deliveries(endpoint["id"])
    [entry] = delivery["log"]
    assert (entry["result"], entry["status"]) == (result, status)
    assert entry["seconds"] < 5
    assert delivery["state"] == ("delivered" if result == "delivered" else "pending")
    assert target.received("/ok/redirected") == []


def test_a_receiver_that_is_not_there_is_tried_again(service: Service, hooks: Hooks) -> None:
    endpoint = hooks.create("http://127.0.0.1:1025/")
    service.send(detractor())
    hooks.deliver()
    [delivery] = hooks.deliveries(endpoint["id"])
    assert (delivery["state"], delivery["log"][0]["result"]) == ("pending", "connection")


def test_a_url_that_this_process_may_not_use_says_why(service: Service, hooks: Hooks) -> None:
    endpoint = hooks.create("http://127.0.0.1:1025/")
    service.send(detractor())
    service.settings = service.app.state.settings = service.settings.model_copy(update={"webhook_allow_http": False})
    hooks.deliver()
    [entry] = hooks.deliveries(endpoint["id"])[0]["log"]
    assert entry["result"] == "url" and "WEBHOOK_ALLOW_HTTP" in entry["detail"]


def test_secrets_rotate_with_an_overlap(
    service: Service, hooks: Hooks, target: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = hooks.create(f"{target.url}/ok/rotate")
    path = f"{endpoint['id']}/rotate-secret"
    new = hooks.post(path, {"overlap_hours": 2}).json()
    assert new["secret"] != endpoint["secret"] and new["previous_expire_at"] == "2026-03-15T14:00:00Z"
    service.send(detractor())
    hooks.deliver()
    [row] = target.received("/ok/rotate")
    assert len(row["headers"]["webhook-signature"].split(" ")) == 2
    for secret in (new["secret"], endpoint["secret"]):
        verify(secret, row, service.now, monkeypatch)
    service.later(hours=2)
    service.send(detractor())
    hooks.deliver()
    row = target.received("/ok/rotate")[1]
    verify(new["secret"], row, service.now, monkeypatch)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verify(endpoint["secret"], row, service.now, monkeypatch)
    compromised = hooks.post(path, {"overlap_hours": 0}).json()
    assert compromised["previous_expire_at"] is None


def test_a_secret_of_the_client_is_used_as_it_is(service: Service, hooks: Hooks, target: Receiver) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert hooks.create(f"{target.url}/ok/own", secret=secret)["secret"] == secret
    for bad in ("whsec_", "whsec_MfKQ", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "A" * 180, "whsec_ü" + "A" * 32):
        answer = hooks.post("", {"url": f"{target.url}/ok", "topics": ["mrr.moved"], "secret": bad})
        assert answer.status_code in (404, 405, 422)


def test_a_test_message_is_sent_at_once_and_never_again(service: Service, hooks: Hooks, target: Receiver) -> None:
    endpoint = hooks.create(f"{target.url}/ok/try", "target.met", "mrr.moved")
    tested = hooks.post(f"{endpoint['id']}/test").json()
    assert (tested["topic"], tested["state"], tested["log"][0]["status"]) == ("target.met", "delivered", 204)
    [row] = target.received("/ok/try")
    payload = json.loads(row["body"])
    assert payload["test"] is True and payload["data"] == TOPICS["target.met"].example
    hooks.patch(endpoint["id"], url=f"{target.url}/status/500/try")
    failed = hooks.post(f"{endpoint['id']}/test", {"topic": "mrr.moved"}).json()
    assert (failed["topic"], failed["state"]) == ("mrr.moved", "failed")
    service.later(hours=1)
    hooks.deliver()
    assert len(target.received("/status/500/try")) == 1
    answer = hooks.post(f"{endpoint['id']}/test", {"topic": "mrr.move"})
    assert answer.status_code == 422 and answer.json()["errors"][0]["did_you_mean"][0] == "mrr.moved"


def test_a_failed_test_message_is_not_sent_again_with_what_was_missed(
    service: Service, hooks: Hooks, target: Receiver
) -> None:
    endpoint = hooks.create(f"{target.url}/status/500/missed", "feedback.received")
    hooks.post(f"{endpoint['id']}/test")
    service.send(detractor())
    hooks.deliver()
    hooks.patch(endpoint["id"], state="disabled")
    hooks.patch(endpoint["id"], state="enabled", url=f"{target.url}/ok/missed")
    answer = hooks.post(f"{endpoint['id']}/redeliver", {"since": "2026-03-01T00:00:00Z"})
    assert answer.json() == {"redelivered": 1}
    hooks.deliver()
    [row] = target.received("/ok/missed")
    assert "test" not in json.loads(row["body"])


def test_a_test_and_a_rotation_need_no_body(service: Service, hooks: Hooks, target: Receiver) -> None:
    path = f"/v1/webhook-endpoints/{hooks.create(f'{target.url}/ok/bare')['id']}"
    for action in ("test", "rotate-secret"):
        assert service.request("POST", f"{path}/{action}").status_code == 200
        answer = service.request("POST", f"{path}/{action}", content=b"{", headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")
        answer = service.request("POST", f"{path}/{action}", content=b"{}", headers={"Content-Type": "text/plain"})
        assert answer.status_code == 415


def test_a_delivery_is_sent_again_by_hand(service: Service, hooks: Hooks, target: Receiver) -> None:
    endpoint = hooks.create(f"{target.url}/ok/again")
    service.send(detractor())
    hooks.deliver()
    [delivery] = hooks.deliveries(endpoint["id"], state="delivered")
    answer = hooks.post(f"{endpoint['id']}/deliveries/{delivery['id']}/redeliver")
    assert answer.status_code == 200 and answer.json()["state"] == "pending"
    hooks.deliver()
    first, second = target.received("/ok/again")
    assert first["headers"]["webhook-id"] == second["headers"]["webhook-id"] and first["body"] == second["body"]
    shown = service.get(f"/v1/webhook-endpoints/{endpoint['id']}/deliveries/{delivery['id']}")
    assert shown["payload"] == json.loads(first["body"]) and len(shown["log"]) == 2


def test_the_receiver_of_the_guide_takes_what_is_genuine_once_and_refuses_the_rest(
    service: Service, hooks: Hooks, tmp_path: Path
) -> None:
    secret, port = new_secret(), free_port()
    service.now = datetime.now(UTC)
    with (tmp_path / "output").open("w") as output:
        environment = {"WEBHOOK_SECRET": secret, "PATH": ""}
        example = ROOT / "docs" / "examples" / "webhook_receiver.py"
        process = subprocess.Popen([sys.executable, example, str(port)], stdout=output, stderr=output, env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: is_listening(port))
        endpoint = hooks.create(f"{url}/hooks", secret=secret)
        service.send(detractor(at=service.now.isoformat()))
        hooks.deliver()
        [delivery] = hooks.deliveries(endpoint["id"])
        assert delivery["state"] == "delivered", delivery
        hooks.post(f"{endpoint['id']}/deliveries/{delivery['id']}/redeliver")
        hooks.deliver()
        hooks.post(f"{endpoint['id']}/rotate-secret", {"overlap_hours": 0})
        assert hooks.post(f"{endpoint['id']}/test").json()["log"][0]["status"] == 401
    finally:
        process.kill()
        process.wait()
    lines = [line for line in (tmp_path / "output").read_text().splitlines() if line.startswith("feedback.received")]
    assert len(lines) == 1, "the repeated message is recognized by its id"


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
