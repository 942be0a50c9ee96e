"""Sources and the inbox: what is kept of a delivery, listed, replayed, previewed, deleted and erased."""

from collections.abc import Callable
from typing import Any

import pytest

from app.core.ids import encode_token
from app.inbound.define import VENDORS
from tests.inbound.senders import (
    OTHER_SECRET,
    SECRET,
    hexed,
    post,
    put_source,
    send,
    sign_hmac,
    to_bytes,
)
from tests.support.service import Service, event, session

GENERIC = VENDORS["generic"]
CALLS = GENERIC.example


def mapping(**changes: Any) -> dict[str, Any]:
    rule = {
        "type": "session.ended",
        "id": "item.id",
        "account_id": "item.company",
        "user_id": "item.person",
        "occurred_at": "item.ended",
        "data": {"duration_seconds": "item.seconds"},
    }
    return {"items": "payload.calls", "events": [rule | changes]}


def put_calls(service: Service, **more: Any) -> dict[str, Any]:
    return put_source(service, "calls", "generic", mapping=GENERIC.example_mapping, **more)


def deliveries(service: Service, name: str = "calls", **parameters: Any) -> list[dict[str, Any]]:
    return service.get(f"/v1/sources/{name}/deliveries", **parameters)["deliveries"]


def test_a_delivery_becomes_events_by_the_mapping(service: Service) -> None:
    put_calls(service)
    answer = send(service, "calls", CALLS)
    assert (answer["code"], answer["accepted"], answer["rejected"]) == (200, 3, [])
    assert service.value("sessions") == 2
    assert service.row("nps", period="2026-03")["sample_size"] == 1
    [kept] = deliveries(service)
    assert (kept["status"], kept["events"], kept["attempts"], kept["reasons"]) == ("accepted", 3, 1, [])
    whole = service.get(f"/v1/sources/calls/deliveries/{kept['id']}")
    assert whole["body"].encode() == to_bytes(CALLS)
    assert {"account_id": "globex", "id": "call-2"} in whole["events"]


def test_a_delivery_that_comes_again_is_a_duplicate_and_kept_once(service: Service) -> None:
    put_calls(service)
    send(service, "calls", CALLS)
    answer = send(service.later(minutes=1), "calls", CALLS)
    assert (answer["accepted"], answer["duplicates"]) == (0, 3)
    [kept] = deliveries(service)
    assert (kept["attempts"], kept["status"], kept["received_at"]) == (2, "accepted", "2026-03-15T12:00:00Z")
    assert service.value("sessions") == 2


def test_what_cannot_be_translated_is_kept_and_replayed_after_the_mapping_is_corrected(service: Service) -> None:
    put_source(service, "calls", "generic", mapping=mapping(occurred_at="item.finished"))
    answer = send(service, "calls", CALLS)
    assert answer["code"] == 202
    [kept] = deliveries(service, status="rejected")
    assert kept["reasons"][0] == {
        "code": "untranslatable",
        "detail": "The expression at /mapping/events/0/occurred_at finds no time.",
    }
    put_source(service, "calls", "generic", mapping=mapping())
    replay = service.request("POST", f"/v1/sources/calls/deliveries/{kept['id']}/replay")
    assert replay.json()["accepted"] == 2
    assert deliveries(service, status="rejected") == [] and service.value("sessions") == 2
    assert service.request("POST", f"/v1/sources/calls/deliveries/{kept['id']}/replay").json()["duplicates"] == 2


def test_all_rejected_deliveries_are_replayed_at_once_in_their_order(service: Service) -> None:
    put_source(service, "calls", "generic", mapping=mapping(data={}))
    for number in range(3):
        calls = [own | {"id": f"{own['id']}-{number}"} for own in CALLS["calls"]]
        send(service.later(seconds=1), "calls", {"calls": calls})
    first = deliveries(service)[-1]
    assert first["reasons"][0]["code"] == "missing"
    assert service.request("POST", "/v1/sources/calls/replay?status=rejected").json() == {
        "deliveries": {"accepted": 0, "rejected": 3, "ignored": 0}
    }
    put_source(service, "calls", "generic", mapping=mapping())
    answer = service.request("POST", "/v1/sources/calls/replay?status=rejected").json()
    assert answer == {"deliveries": {"accepted": 3, "rejected": 0, "ignored": 0}}
    assert service.value("sessions") == 6
    assert [own["attempts"] for own in deliveries(service)] == [3, 3, 3]


def test_one_event_that_is_rejected_does_not_stop_the_others(service: Service) -> None:
    put_calls(service)
    payload = {"calls": [*CALLS["calls"], CALLS["calls"][0] | {"id": "call-3", "seconds": "long"}]}
    answer = send(service, "calls", payload)
    assert answer["code"] == 200 and answer["status"] == "rejected" and answer["accepted"] == 4
    [kept] = deliveries(service, status="rejected")
    [reason] = kept["reasons"]
    assert (reason["code"], reason["event"], reason["pointer"]) == ("int_type", "call-3", "/data/duration_seconds")


def test_a_preview_stores_nothing(service: Service) -> None:
    put_calls(service)
    answer = service.request("POST", "/v1/sources/calls/preview", json=CALLS).json()
    assert (answer["accepted"], answer["status"]) == (3, "accepted")
    assert answer["events"][0]["data"] == {"duration_seconds": 840}
    assert deliveries(service) == [] and service.value("sessions") == 0


@pytest.mark.parametrize(
    "body", [b"{", b"", b"\xff", b"[1,2]", b"null", b'"text"', b'{"calls": [1, null, {}]}', b'{"calls": 7}']
)
def test_a_body_of_any_shape_is_kept_and_never_an_error_of_the_service(body: bytes, service: Service) -> None:
    put_calls(service)
    answer = post(service, "calls", body, sign_hmac(body, service.now))
    assert answer.status_code == 202, answer.text
    [kept] = deliveries(service)
    assert kept["status"] in ("rejected", "ignored") and kept["reasons"]


def test_secrets_are_never_shown_and_any_of_several_may_sign(service: Service) -> None:
    put_source(service, "calls", "generic", mapping=mapping())
    source = service.put(
        "/v1/sources/calls", {"vendor": "generic", "secrets": [OTHER_SECRET, SECRET], "mapping": mapping()}
    ).json()
    assert source["secrets"] == ["…8765", "…6789"] and source["url"] == "http://service/v1/inbound/calls"
    assert SECRET not in str(service.get("/v1/sources")) + str(service.get("/v1/sources/calls"))
    body = to_bytes(CALLS)
    for secret in (SECRET, OTHER_SECRET):
        assert post(service, "calls", body, {"X-Signature": hexed(body, secret)}).status_code == 200
    service.put("/v1/sources/calls", {"vendor": "generic", "secrets": [OTHER_SECRET], "mapping": mapping()})
    assert post(service, "calls", body, {"X-Signature": hexed(body)}).status_code == 401
    # Without secrets, the source keeps those that it has.
    service.put("/v1/sources/calls", {"vendor": "generic", "mapping": mapping()})
    assert post(service, "calls", body, {"X-Signature": hexed(body, OTHER_SECRET)}).status_code == 200


@pytest.mark.parametrize(
    "body, pointer, code",
    [
        ({"vendor": "generik", "secrets": [SECRET]}, "/vendor", "unknown_vendor"),
        ({"vendor": "stripe", "secrets": [SECRET]}, "/secrets/0", "secret"),
        ({"vendor": "stripe"}, "/secrets", "missing"),
        ({"vendor": "generic", "secrets": ["short"], "mapping": mapping()}, "/secrets/0", "string_too_short"),
        ({"vendor": "generic", "secrets": [SECRET]}, "/mapping", "missing"),
        (
            {"vendor": "generic", "secrets": [SECRET], "mapping": mapping(id="item.[")},
            "/mapping/events/0/id",
            "expression",
        ),
        (
            {"vendor": "generic", "secrets": [SECRET], "mapping": mapping(data={"survey": "nps"})},
            "/mapping/events/0/data/survey",
            "expression",
        ),
        (
            {"vendor": "generic", "secrets": [SECRET], "mapping": mapping(type="session.end")},
            "/mapping/events/0/type",
            "unknown_type",
        ),
        ({"vendor": "generic", "secrets": [SECRET], "mapping": {"events": []}}, "/mapping/events", "too_short"),
        (
            {"vendor": "generic", "secrets": [SECRET], "mapping": mapping(), "options": {"schem": "basic"}},
            "/options/schem",
            "extra_forbidden",
        ),
        (
            {"vendor": "generic", "secrets": [SECRET], "mapping": mapping(), "options": {"scheme": "basic"}},
            "/secrets/0",
            "secret",
        ),
        (
            {"vendor": "generic", "secrets": [SECRET], "mapping": mapping(), "options": {"headers": ["Authorization"]}},
            "/options",
            "secret_header",
        ),
    ],
)
def test_an_invalid_source_says_what_is_wrong(body: Any, pointer: str, code: str, service: Service) -> None:
    answer = service.request("PUT", "/v1/sources/calls", json=body)
    assert answer.status_code == 422
    faults = answer.json()["errors"]
    assert (pointer, code) in {(fault["pointer"], fault["code"]) for fault in faults}, faults


def test_a_source_keeps_its_vendor(service: Service) -> None:
    put_calls(service)
    answer = service.request("PUT", "/v1/sources/calls", json={"vendor": "cloudevents", "secrets": [SECRET]})
    assert (answer.status_code, answer.json()["code"]) == (409, "other_vendor")


def test_a_source_is_deleted_with_its_deliveries_and_the_events_stay(service: Service) -> None:
    put_calls(service)
    send(service, "calls", CALLS)
    assert service.get("/v1/sources")["sources"][0]["deliveries"] == {"accepted": 1}
    assert service.request("DELETE", "/v1/sources/calls").status_code == 204
    assert service.request("DELETE", "/v1/sources/calls").status_code == 404
    body = to_bytes(CALLS)
    assert post(service, "calls", body, sign_hmac(body, service.now)).status_code == 401
    put_calls(service)
    assert deliveries(service) == [] and service.value("sessions") == 2


def test_the_list_of_deliveries_has_pages(service: Service) -> None:
    put_calls(service)
    for number in range(5):
        send(service.later(seconds=number % 2), "calls", {"calls": [], "number": number})
    seen, path = [], "/v1/sources/calls/deliveries?limit=2"
    while path:
        page = service.request("GET", path)
        seen += [own["id"] for own in page.json()["deliveries"]]
        path = page.links.get("next", {}).get("url")
        assert (path is None) == (page.json()["next"] is None)
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.parametrize("position", ["x", "2026-03-15", "2026-03-15T00:00:00 id", "2026-03-15T00:00:00+00:00 i\0d"])
def test_a_cursor_that_no_page_has_returned_is_refused(position: str, service: Service) -> None:
    put_calls(service)
    answer = service.request("GET", "/v1/sources/calls/deliveries", params={"cursor": encode_token(position)})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")


def test_an_erased_user_is_in_no_kept_delivery(service: Service) -> None:
    put_calls(service)
    send(service, "calls", CALLS)
    other = {"calls": [CALLS["calls"][1] | {"id": "call-9"}]}
    send(service, "calls", other)
    rejected = {"calls": [CALLS["calls"][0] | {"id": "call-4", "seconds": "x", "person": "ada"}]}
    send(service, "calls", rejected)
    assert service.request("DELETE", "/v1/accounts/acme/users/ada/personal-data").status_code == 204
    statuses = sorted(own["status"] for own in deliveries(service))
    assert statuses == ["accepted", "erased", "erased"]
    erased = deliveries(service, status="erased")[0]
    assert service.get(f"/v1/sources/calls/deliveries/{erased['id']}")["body"] == ""
    answer = service.request("POST", f"/v1/sources/calls/deliveries/{erased['id']}/replay")
    assert (answer.status_code, answer.json()["code"]) == (409, "erased")
    # Sent again by the vendor, it stays erased.
    send(service, "calls", CALLS)
    assert len(deliveries(service, status="erased")) == 2 and service.value("sessions") == 3


def test_an_erased_comment_is_in_no_kept_delivery(service: Service) -> None:
    rule = {
        "type": "feedback.received",
        "id": "item.id",
        "account_id": "'acme'",
        "occurred_at": "item.at",
        "data": {"comment": "item.text"},
    }
    put_source(service, "notes", "generic", mapping={"events": [rule]})
    for number, text in enumerate(("I, Ada, want dark mode", "Fine")):
        send(service, "notes", {"id": f"n-{number}", "at": "2026-03-14T10:00:00+01:00", "text": text})
    [comment] = [own for own in service.get("/v1/feedback")["feedback"] if "Ada" in own["comment"]]
    assert service.request("DELETE", f"/v1/feedback/{comment['id']}").status_code == 204
    assert sorted(own["status"] for own in deliveries(service, "notes")) == ["accepted", "erased"]


def test_a_delivery_that_cannot_be_stored_leaves_no_event(service: Service, execute_in: Callable[[str], None]) -> None:
    put_calls(service)
    execute_in("ALTER TABLE delivery ADD CONSTRAINT nothing CHECK (false) NOT VALID")
    try:
        body = to_bytes(CALLS)
        assert post(service, "calls", body, sign_hmac(body, service.now)).status_code >= 500
        assert service.value("sessions") == 0
    finally:
        execute_in("ALTER TABLE delivery DROP CONSTRAINT nothing")
    assert send(service, "calls", CALLS)["accepted"] == 3


def test_events_of_a_delivery_count_beside_those_of_other_senders(service: Service) -> None:
    put_calls(service)
    service.send(session("acme", id="call-1", user="ada", seconds=840, at="2026-03-14T09:30:00Z"))
    answer = send(service, "calls", CALLS)
    assert (answer["accepted"], answer["duplicates"]) == (2, 1)
    service.send(event("feedback.received", "acme", comment="Fine."))
    assert service.differences() == []


def test_a_source_that_does_not_exist_is_answered_with_the_nearest_one(service: Service) -> None:
    put_calls(service)
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/deliveries"), ("POST", "/replay")):
        answer = service.request(method, f"/v1/sources/cals{path}")
        [fault] = answer.json()["errors"]
        assert (answer.status_code, fault["code"], fault["did_you_mean"]) == (404, "unknown_source", ["calls"])
        assert fault["detail"].startswith('Unknown source "cals". Did you mean "calls"?')


def test_what_was_erased_cannot_be_chosen_for_a_replay(service: Service) -> None:
    put_calls(service)
    answer = service.request("POST", "/v1/sources/calls/replay?status=erased")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/status")
