"""Senders of CloudEvents: the three modes, the second time axis, and the handshake before the first delivery."""

import httpx

from app.inbound.define import VENDORS
from tests.inbound.senders import STANDARD_SECRET, post, put_source, send, sign_hmac, sign_standard, to_bytes
from tests.support.service import Service


def test_a_cloudevent_is_an_event_with_both_time_axes(service: Service) -> None:
    put_source(
        service, "bus", "cloudevents", STANDARD_SECRET, options={"scheme": "standard_webhooks", "may_backdate": True}
    )
    payload = VENDORS["cloudevents"].example | {"recordedtime": "2026-03-14T10:00:00Z"}
    body = to_bytes(payload)
    answer = post(
        service, "bus", body, {**sign_standard(body, service.now), "Content-Type": "application/cloudevents+json"}
    )
    assert answer.json()["accepted"] == 1, answer.text
    assert service.value("sessions", as_of="2026-03-14") == 1
    # The same event sent to POST /v1/events is the same one.
    answer = service.request(
        "POST", "/v1/events", content=body, headers={"Content-Type": "application/cloudevents+json"}
    )
    assert answer.json()["duplicates"] == 1


def test_without_permission_recordedtime_is_not_used(service: Service) -> None:
    put_source(service, "bus", "cloudevents")
    payload = VENDORS["cloudevents"].example | {"recordedtime": "2026-03-10T10:00:00Z"}
    assert send(service, "bus", payload)["accepted"] == 1
    assert service.value("sessions") == 1 and service.value("sessions", as_of="2026-03-14") is None


def test_a_binary_cloudevent_keeps_its_attributes(service: Service) -> None:
    put_source(service, "bus", "cloudevents")
    body = b'{"duration_seconds": 60}'
    names = {
        "specversion": "1.0",
        "id": "1",
        "source": "/x",
        "type": "session.ended",
        "subject": "acme",
        "userid": "ada",
    }
    headers = {f"ce-{name}": value for name, value in names.items()} | {"ce-time": "2026-03-14T09:30:00Z"}
    answer = post(service, "bus", body, headers | sign_hmac(body, service.now))
    assert answer.json()["accepted"] == 1, answer.text
    [kept] = service.get("/v1/sources/bus/deliveries")["deliveries"]
    assert kept["id"] == "/x 1"
    assert service.request("POST", "/v1/sources/bus/deliveries/%2Fx%201/replay").json()["duplicates"] == 1


def test_with_a_mapping_each_event_of_a_batch_is_an_item(service: Service) -> None:
    rule = {
        "type": "session.ended",
        "id": "item.id",
        "account_id": "item.subject",
        "user_id": "item.userid",
        "occurred_at": "item.time",
        "data": {"duration_seconds": "item.data.seconds"},
    }
    put_source(service, "bus", "cloudevents", mapping={"events": [rule]})
    own = VENDORS["cloudevents"].example | {"type": "call.ended", "data": {"seconds": 60}}
    for count in (1, 2, 3):
        batch = [own | {"id": f"{count}-{number}"} for number in range(count)]
        assert send(service, "bus", batch)["accepted"] == count
    assert send(service, "bus", [])["status"] == "ignored"
    assert send(service, "bus", own | {"id": "single"})["accepted"] == 1
    body = b'{"seconds": 60}'
    headers = {
        "ce-id": "b-1",
        "ce-source": "/x",
        "ce-subject": "m%C3%BCller",
        "ce-userid": "ada",
        "ce-specversion": "1.0",
    }
    headers |= {"ce-time": "2026-03-14T09:30:00Z", **sign_hmac(body, service.now)}
    assert post(service, "bus", body, headers).json()["accepted"] == 1
    assert "müller" in {account["id"] for account in service.get("/v1/accounts")["accounts"]}


def test_a_sender_may_ask_before_it_delivers(service: Service) -> None:
    put_source(service, "bus", "cloudevents")
    client = httpx.AsyncClient(transport=service.client._transport, base_url="http://service")
    headers = {"WebHook-Request-Origin": "eventemitter.example.com", "WebHook-Request-Rate": "120"}
    answers = [
        service.run(client.options(f"/v1/inbound/{name}", headers=headers)) for name in ("bus", "no-such-source")
    ]
    for answer in answers:
        assert answer.status_code == 200 and answer.content == b""
        assert answer.headers["webhook-allowed-origin"] == answer.headers["webhook-allowed-rate"] == "*"
        assert "POST" in answer.headers["allow"]
    assert service.run(client.head("/v1/inbound/bus")).status_code == 200
    assert "by POST" in service.run(client.get("/v1/inbound/bus")).text
