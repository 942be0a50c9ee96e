"""Each vendor: what it signs is accepted, one changed byte is not, and its example becomes the events that it documents."""

from typing import Any

import pytest

from app.inbound.define import VENDORS
from tests.inbound.senders import (
    SECRET,
    SECRETS,
    SIGN,
    STANDARD_SECRET,
    UNSIGNED,
    post,
    put_source,
    send,
    sign_standard,
    to_bytes,
)
from tests.support.service import Service

# What each example becomes: type, account, user and data.
EVENTS: dict[str, list[tuple[str, str, str | None, dict[str, Any]]]] = {
    "zendesk": [("ticket.resolved", "5099", None, {"ticket_id": "35436", "channel": "email"})],
    "intercom": [
        (
            "survey.responded",
            "acme",
            "ada",
            {"survey": "csat", "score": 5, "channel": "intercom", "comment": "Fast help."},
        )
    ],
    "chatwoot": [
        ("ticket.replied", "acme", None, {"ticket_id": "12", "channel": "Channel::WebWidget", "by": "customer"})
    ],
    "hubspot": [("account.updated", "1246965", None, {"attributes": {"industry": "SOFTWARE"}})],
    "salesforce": [
        ("account.updated", "001000000000001", None, {"name": "Acme", "attributes": {"Industry": "Energy"}})
    ],
    "pipedrive": [("goal.completed", "7", None, {"goal": "deal", "who": "deal 61"})],
    "typeform": [
        (
            "survey.responded",
            "acme",
            "ada",
            {"survey": "nps", "score": 9, "comment": "Fast help.", "channel": "typeform"},
        )
    ],
    "segment": [("feature.used", "acme", "ada", {"feature": "Report Exported"})],
    "cloudevents": [("session.ended", "acme", "ada", {"duration_seconds": 600})],
}


def put(service: Service, name: str, **more: Any) -> None:
    vendor = VENDORS[name]
    mapping = {"mapping": vendor.example_mapping} if vendor.mapping_required else {}
    put_source(service, name, name, SECRETS.get(name, SECRET), **(mapping | {"options": vendor.example_options} | more))


@pytest.fixture(scope="module")
def sources(shared: Service) -> Service:
    for name in VENDORS:
        put(shared, name)
    return shared


def preview(service: Service, name: str, payload: Any) -> dict[str, Any]:
    body = to_bytes(payload)
    headers = {"Content-Type": "application/json"}
    answer = service.request("POST", f"/v1/sources/{name}/preview", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def types(service: Service, name: str, payload: Any) -> list[str]:
    answer = preview(service, name, payload)
    assert answer["status"] != "rejected", answer
    return [event["type"] for event in answer["events"]]


def test_every_vendor_is_tried_here() -> None:
    assert set(SIGN) == set(VENDORS) and set(EVENTS) | {"stripe", "generic"} == set(VENDORS)


@pytest.mark.parametrize("name", VENDORS)
def test_the_example_of_a_vendor_is_accepted_as_the_vendor_signs_it(name: str, sources: Service) -> None:
    body = to_bytes(VENDORS[name].example)
    headers = SIGN[name](body, sources.now)
    answer = post(sources, name, body, headers)
    assert answer.status_code == 200, answer.text
    for header in headers:
        assert post(sources, name, body, {**headers, header: headers[header][:-1] + "!"}).status_code == 401
    assert post(sources, name, body, {}).status_code == 401
    if name not in UNSIGNED:
        assert post(sources, name, body + b" ", headers).status_code == 401
    [own] = [own for own in sources.get("/v1/inbound-vendors")["vendors"] if own["name"] == name]
    assert own["becomes"] and own["verified_by"] and own["documentation"].startswith("https://")


@pytest.mark.parametrize("name", EVENTS)
def test_the_example_of_a_vendor_becomes_its_events(name: str, sources: Service) -> None:
    events = preview(sources, name, VENDORS[name].example)["events"]
    assert [(own["type"], own["account_id"], own.get("user_id"), own["data"]) for own in events] == EVENTS[name]


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize(
    "payload", [{}, [], None, 7, [1], {"data": 1, "type": [], "meta": {}}, {"event": {}, "detail": 0}]
)
def test_a_payload_of_another_shape_is_kept_with_a_reason(name: str, payload: Any, sources: Service) -> None:
    body = to_bytes(payload)
    headers = dict(SIGN[name](body, sources.now))
    answer = post(sources, name, body, headers)
    assert answer.status_code == 202, answer.text
    assert answer.json()["reasons"]


def test_zendesk_closes_a_solved_ticket_once_and_reopens_it(sources: Service) -> None:
    example = VENDORS["zendesk"].example

    def change(current: str, previous: str) -> list[str]:
        return types(
            sources,
            "zendesk",
            example | {"id": current + previous, "event": {"current": current, "previous": previous}},
        )

    assert change("SOLVED", "OPEN") == change("CLOSED", "SOLVED") == ["ticket.resolved"]
    assert change("OPEN", "SOLVED") == ["ticket.reopened"]
    assert change("PENDING", "OPEN") == []


def test_zendesk_tells_replies_of_agents_from_those_of_customers(sources: Service) -> None:
    def reply(**comment: Any) -> list[Any]:
        payload = VENDORS["zendesk"].example | {
            "type": "zen:event-type:ticket.comment_added",
            "event": {"comment": comment},
        }
        return [event["data"]["by"] for event in preview(sources, "zendesk", payload)["events"]]

    assert reply(is_public=True, author={"is_staff": True}) == ["agent"]
    assert reply(is_public=True, author={"is_staff": False}) == ["customer"]
    assert reply(is_public=False, author={"is_staff": True}) == []


@pytest.mark.parametrize(
    "answer, score",
    [({"satisfaction_score": {"score": "GOOD"}}, 5), ({"satisfaction_score": {"score": "BAD"}}, 1), ({"rating": 3}, 3)],
)
def test_an_answer_of_zendesk_has_its_scale(answer: Any, score: int, sources: Service) -> None:
    payload = VENDORS["zendesk"].example | {"type": "zen:event-type:ticket.csat_received", "event": answer}
    [event] = preview(sources, "zendesk", payload)["events"]
    assert (event["data"]["score"], event["user_id"]) == (score, "20978392")


def test_a_closed_ticket_of_intercom_counts_once(service: Service) -> None:
    put(service, "intercom")
    ticket = {"id": "t-1", "company": {"company_id": "acme"}}
    for number, topic in enumerate(("ticket.created", "ticket.admin.replied", "ticket.resolved", "ticket.closed")):
        payload = {
            "id": f"n-{number}",
            "topic": topic,
            "created_at": 1773390000 + 3600 * number,
            # Since version 2.15, a closed ticket stands in its conversation.
            "data": {"item": {"id": "c-9", "ticket": ticket} if topic == "ticket.closed" else ticket},
        }
        assert send(service, "intercom", payload, SIGN["intercom"])["accepted"] == 1
    assert service.value("tickets_resolved") == 1
    assert service.value("average_resolution_hours") == 2


def test_a_state_of_an_intercom_ticket_resolves_and_reopens_it(sources: Service) -> None:
    def change(**ticket: Any) -> list[Any]:
        item = {"id": "t-1", "company": {"company_id": "acme"}, **ticket}
        payload = {"id": "n-1", "topic": "ticket.state.updated", "created_at": 1773390000, "data": {"item": item}}
        return types(sources, "intercom", payload)

    assert change(ticket_state={"category": "resolved"}) == change(ticket_state="resolved") == ["ticket.resolved"]
    assert change(ticket_state={"category": "waiting_on_customer"}) == ["ticket.reopened"]


def test_a_rated_ticket_of_intercom_is_a_response_if_it_has_its_rating(sources: Service) -> None:
    example = VENDORS["intercom"].example
    rated = example | {"topic": "ticket.rating.provided"}
    assert types(sources, "intercom", rated) == ["survey.responded"]
    item = {name: value for name, value in example["data"]["item"].items() if name != "conversation_rating"}
    answer = preview(sources, "intercom", rated | {"data": {"item": item}})
    assert answer["status"] == "rejected" and "conversation_rating" in answer["reasons"][0]["detail"]


def test_an_intercom_ping_is_answered(sources: Service) -> None:
    assert types(sources, "intercom", {"topic": "ping", "data": {"item": {}}}) == []


def test_an_answer_of_chatwoot_is_a_response(sources: Service) -> None:
    answer = {"csat_survey_response": {"rating": 4, "feedback_message": "Good."}}
    payload = VENDORS["chatwoot"].example | {
        "event": "message_updated",
        "updated_at": 1773480600,
        "content_attributes": {"submitted_values": answer},
    }
    event, comment = preview(sources, "chatwoot", payload)["events"]
    assert (event["type"], event["user_id"]) == ("survey.responded", "ada")
    assert event["data"] == {"survey": "csat", "score": 4}
    assert (comment["type"], comment["data"]) == ("feedback.received", {"comment": "Good."})


def test_an_answer_of_chatwoot_counts_once_though_its_message_is_updated_for_the_comment(service: Service) -> None:
    put(service, "chatwoot")
    answers = ({"rating": 4}, {"rating": 4, "feedback_message": "Good."}, {"rating": 4, "feedback_message": "Good."})
    for number, answer in enumerate(answers):
        payload = VENDORS["chatwoot"].example | {
            "event": "message_updated",
            "content_attributes": {"submitted_values": {"csat_survey_response": answer}},
        }
        payload["conversation"] = payload["conversation"] | {"updated_at": 1773480600 + number}
        assert send(service, "chatwoot", payload, SIGN["chatwoot"])["rejected"] == []
    assert service.row("csat", period="2026-03")["sample_size"] == 1
    assert len(service.get("/v1/feedback")["feedback"]) == 1


def test_a_secret_in_the_url_is_enough_where_nothing_else_can_be_sent(sources: Service) -> None:
    for name in ("salesforce", "chatwoot"):
        body = to_bytes(VENDORS[name].example)
        assert post(sources, name, body, {}, f"?secret={SECRET}").status_code == 200
        assert post(sources, name, body, {}, f"?secret={SECRET}x").status_code == 401
        assert post(sources, name, body, {}, f"?secret={SECRET}&secret={SECRET}").status_code == 401


def test_an_outbound_message_is_acknowledged_in_soap(sources: Service) -> None:
    body = to_bytes(VENDORS["salesforce"].example)
    answer = post(sources, "salesforce", body, {"X-Csm-Secret": SECRET, "Content-Type": "text/xml; charset=utf-8"})
    assert answer.headers["content-type"].startswith("text/xml") and "<Ack>true</Ack>" in answer.text


@pytest.mark.parametrize(
    "body", [b"<", b"<a/>", b'<!DOCTYPE x [<!ENTITY e "e">]><x>&e;</x>', b"<?xml version='1.0' encoding='x'?><a/>"]
)
def test_other_xml_is_kept_and_acknowledged(body: bytes, sources: Service) -> None:
    answer = post(sources, "salesforce", body, {"X-Csm-Secret": SECRET})
    assert answer.status_code == 200 and "<Ack>true</Ack>" in answer.text
    assert sources.get("/v1/sources/salesforce/deliveries", limit=1)["deliveries"][0]["status"] == "rejected"


def test_states_of_a_record_may_come_in_any_order(service: Service) -> None:
    put(service, "salesforce")
    example = VENDORS["salesforce"].example.decode()
    newer = example.replace("Acme", "Acme AG").replace("T10:00", "T11:00").replace("04l000000000001", "04l000000000002")
    for body in (newer, example, newer):
        assert post(service, "salesforce", body.encode(), {"X-Csm-Secret": SECRET}).status_code == 200
    assert service.get("/v1/accounts/001000000000001")["name"] == "Acme AG"


def test_a_flow_of_salesforce_sends_json_for_a_mapping(service: Service) -> None:
    rule = {"type": "account.updated", "id": "item.Id", "account_id": "item.Id", "occurred_at": "item.At"}
    put(service, "salesforce", mapping={"events": [rule | {"data": {"name": "item.Name"}}]})
    payload = {"Id": "001", "Name": "Acme", "At": "2026-03-14T10:00:00Z"}
    assert send(service, "salesforce", payload, SIGN["salesforce"])["accepted"] == 1


def test_a_group_of_segment_sets_attributes(sources: Service) -> None:
    call = {"messageId": "m-2", "type": "group", "groupId": "acme", "timestamp": "2026-03-14T10:00:00Z"}
    [event] = preview(sources, "segment", call | {"traits": {"name": "Acme", "seats": 12.5, "tags": ["x"]}})["events"]
    assert event["data"] == {"name": "Acme", "attributes": {"seats": 12.5}}


def test_a_generic_source_may_follow_standard_webhooks(service: Service) -> None:
    vendor = VENDORS["generic"]
    options = {"scheme": "standard_webhooks"}
    put_source(service, "any", "generic", STANDARD_SECRET, mapping=vendor.example_mapping, options=options)
    assert send(service, "any", vendor.example, sign_standard)["accepted"] == 3
    assert service.get("/v1/sources/any/deliveries")["deliveries"][0]["id"] == "msg_1"
