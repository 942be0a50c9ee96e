"""Calls of Segment: what each becomes, whose it is, when it happened, and that it counts once however often it is sent."""

import gzip
import json
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.ingest.define import EVENT_TYPES
from app.ingest.segment.names import TRACK_NAMES
from tests.inbound.senders import put_source, to_bytes
from tests.support.campaign import examples
from tests.support.segment import call, counts, post, send_batch, stored_events, track
from tests.support.service import ADMIN_KEY, NOON, Service

NOWHERE = {"group": None}
_numbers = count()


def become(service: Service, *calls: Any) -> list[tuple[str, str, str | None, Any]]:
    """Return what calls become: type, account, user and data of the stored events."""
    answer = send_batch(service, calls)
    assert answer["rejected"] == [], answer
    return [(own["type"], own["account"], own["user_id"], own["data"]) for own in stored_events(service)]


# What a call becomes


def test_a_batch_of_all_kinds_of_calls_is_counted(service: Service) -> None:
    answer = send_batch(
        service,
        [
            call("identify", traits={"email": "ada@acme.example"}),
            call(
                "group", groupId="acme", traits={"name": "Acme", "plan": "pro", "seats": 12, "tags": ["a"], "ok": True}
            ),
            track("Survey Responded", survey="nps", score=9, comment="Fast.", page="/settings"),
            track("Subscription Changed", subscription_id="s", mrr=100.5, plan="pro"),
            track("Report Exported", format="csv"),
            call("page", name="Pricing"),
            call("screen", name="Home", category="Start"),
            call("alias", previousId="x"),
        ],
    )
    assert counts(answer) == (7, 0, 1, 0)
    assert service.value("nps") == 100 and service.value("mrr") == 100.5
    assert service.value("registered_users") == 1 and service.value("active_users") == 1
    assert service.get("/v1/accounts/acme")["attributes"] == {"name": "Acme", "plan": "pro", "seats": 12, "ok": True}
    uses = {
        row["group"]["subject"]: row["value"]
        for row in service.rows("feature_uses", period="2026-03", group_by="subject")
    }
    assert uses == {"Report Exported": 1, "Viewed Pricing Page": 1, "Viewed Start Home Screen": 1}
    assert service.differences() == []


@pytest.mark.parametrize("name", TRACK_NAMES)
def test_a_declared_name_becomes_the_event_that_is_sent_directly(name: str, service: Service) -> None:
    declared = TRACK_NAMES[name]
    if not declared.type:
        assert counts(send_batch(service, [track(name)])) == (0, 0, 1, 0)
        return
    data = dict(EVENT_TYPES[declared.type].example)
    [(type, account, user, stored_data)] = become(service, track(name, **data, url="https://acme.example"))
    assert (type, account) == (declared.type, "acme")
    assert user == (None if declared.type in ("account.updated", "cost.recorded") else "ada")
    sent = {"id": "1", "type": type, "account_id": "other", "user_id": "ada", "occurred_at": "2026-03-14T12:00:00Z"}
    service.send(sent | {"data": data})
    [direct] = [own for own in stored_events(service) if own["account"] == "other"]
    assert direct["data"] == stored_data


def test_every_event_type_has_a_name() -> None:
    assert {own.type for own in TRACK_NAMES.values()} - {""} == set(EVENT_TYPES)


SPECIFIED: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "Account Created": ({"account_name": "Initech"}, "account.updated", {"name": "Initech"}),
    "Signed Up": ({"type": "organic", "email": "p@initech.example"}, "user.registered", {}),
    "Account Added User": ({"role": "Owner"}, "user.registered", {}),
    "Account Removed User": ({}, "user.removed", {}),
    "Trial Started": (
        {"trial_start_date": "2026-03-01", "trial_end_date": "2026-03-31", "trial_plan_name": "Business"},
        "trial.started",
        {"trial_id": "2026-03-01", "plan": "Business"},
    ),
    "Trial Ended": ({"trial_end_date": "2026-03-31"}, "trial.expired", {"trial_id": "trial"}),
    "Order Completed": (
        {"order_id": 50314, "total": 27.5, "revenue": 25, "currency": "USD", "products": []},
        "purchase.completed",
        {"order_id": "50314", "amount": "25", "currency": "USD"},
    ),
    "Order Refunded": (
        {"order_id": "50314", "total": 27.5},
        "purchase.refunded",
        {"order_id": "50314", "amount": "27.5"},
    ),
}


@pytest.mark.parametrize("name", SPECIFIED)
def test_a_name_of_the_specification_of_segment_is_understood_with_its_properties(name: str, service: Service) -> None:
    properties, type, data = SPECIFIED[name]
    [(own_type, _, _, own_data)] = become(
        service, track("x", **NOWHERE) | {"event": name, "properties": properties} | GROUP
    )
    assert (own_type, own_data) == (type, data)


GROUP = {"context": {"groupId": "acme"}}


@pytest.mark.parametrize(
    "spelling", ["Ticket Opened", "ticket opened", "ticket_opened", "ticketOpened", "ticket.opened", " Ticket-Opened "]
)
def test_a_name_is_recognized_in_any_spelling(spelling: str, service: Service) -> None:
    first, second = {"ticket_id": "t-1", "channel": "email"}, {"ticketId": 7, "channel": None}
    calls = [track(spelling, **first) | {"messageId": "1"}, track(spelling, **second) | {"messageId": "2"}]
    assert send_batch(service, calls)["accepted"] == 2
    data = [own["data"] for own in stored_events(service)]
    assert data == [{"ticket_id": "t-1", "channel": "email"}, {"ticket_id": "7"}]


COUNT_NOTHING: dict[str, dict[str, Any]] = {
    "an alias": call("alias", previousId="x"),
    "a page without a name": call("page"),
    "a screen without a name": call("screen", properties={"url": "/"}),
    "an anonymous page": call("page", user=None, anonymousId="a", name="Pricing"),
    "an anonymous track": track("Report Exported", user=None) | {"anonymousId": "a"},
    "an anonymous session": track("Session Ended", user=None, duration_seconds=1) | {"anonymousId": "a"},
    "an anonymous identify": call("identify", user=None, anonymousId="a"),
    "a deleted account": track("Account Deleted"),
}


@pytest.mark.parametrize("case", COUNT_NOTHING)
def test_what_counts_nothing_is_listed_with_its_reason(case: str, service: Service) -> None:
    sent = COUNT_NOTHING[case]
    answer = send_batch(service, [sent])
    assert counts(answer) == (0, 0, 1, 0)
    [ignored] = answer["ignored"]
    assert (ignored["index"], ignored["id"]) == (0, sent["messageId"]) and ignored["detail"].endswith(".")
    assert post(service, sent["type"], sent).json() == answer
    assert stored_events(service) == []


def test_what_is_said_of_an_account_needs_no_user(service: Service) -> None:
    [(_, _, user, _)] = become(service, track("Subscription Canceled", user=None, subscription_id="s"))
    assert user is None


# Whose it is

ACCOUNTS: dict[str, dict[str, Any]] = {
    "the context": {"context": {"groupId": "acme"}},
    "the call itself": {"groupId": "acme", "context": {"groupId": "other"}},
    "a number": {"context": {"groupId": 7}},
    "the company of the user": {"traits": {"company": {"id": "acme"}}},
    "the company in the context": {"context": {"traits": {"company": {"id": "acme"}}}},
}


@pytest.mark.parametrize("place", ACCOUNTS)
def test_the_account_is_found(place: str, service: Service) -> None:
    [(_, account, _, _)] = become(service, call("identify", **NOWHERE) | ACCOUNTS[place])
    assert account == ("7" if place == "a number" else "acme")


def test_the_context_of_a_batch_belongs_to_every_call(service: Service) -> None:
    calls = [call("identify", **NOWHERE), call("identify", group="other"), call("identify", context="odd")]
    assert send_batch(service, calls, context={"groupId": "acme"})["accepted"] == 3
    assert [own["account"] for own in stored_events(service)] == ["acme", "acme", "other"]


def test_a_call_without_an_account_is_rejected(service: Service) -> None:
    answer = send_batch(service, [call("identify", **NOWHERE), call("group", traits={"plan": "pro"}, **NOWHERE)])
    faults = [(own["code"], own["pointer"], own["detail"]) for own in answer["rejected"]]
    assert faults == [
        ("missing", "/context/groupId", 'Field "context.groupId" is required.'),
        ("missing", "/groupId", 'Field "context.groupId" is required.'),
    ]


# What is wrong

WRONG: dict[str, tuple[Any, str, str]] = {
    "no call": (7, "not_an_object", ""),
    "no type": ({"event": "x"}, "missing", "/type"),
    "an unknown type": (call("trck"), "unknown_type", "/type"),
    "a type that is a list": (call("track", type=["track"]), "unknown_type", "/type"),
    "no event": (call("track"), "missing", "/event"),
    "an event that is a list": (call("track", event=[]), "string_type", "/event"),
    "no score": (track("Survey Responded", survey="nps"), "missing", "/properties/score"),
    "a score that is a text": (track("Survey Responded", survey="nps", score="9"), "int_type", "/properties/score"),
    "a score off the scale": (
        track("Survey Responded", survey="nps", score=99),
        "score_out_of_range",
        "/properties/score",
    ),
    "an unknown survey": (track("Survey Responded", survey="x", score=9), "unknown_survey", "/properties/survey"),
    "a wrong property in its own spelling": (
        track("Ticket Opened", ticketId=[]),
        "string_type",
        "/properties/ticketId",
    ),
    "a wrong property of the specification": (
        track("Order Refunded", order_id="1", total="x"),
        "money",
        "/properties/total",
    ),
    "no currency's rate": (
        track("Order Completed", order_id="1", total=1, currency="SEK"),
        "no_exchange_rate",
        "/properties/currency",
    ),
    "a long trait": (call("group", traits={"a": "x" * 2000}), "string_too_long", "/traits/a"),
    "a long name of a feature": (track("x" * 200), "string_too_long", "/event"),
    "a long name of a page": (call("page", name="x" * 200), "string_too_long", "/name"),
    "a time without an offset": (call("identify", timestamp="2026-03-14T12:00:00"), "time", "/timestamp"),
    "a time that is an object": (call("identify", timestamp={}), "time", "/timestamp"),
    "a time in the future": (call("identify", timestamp="2026-03-20T12:00:00Z"), "in_the_future", "/timestamp"),
    "an old time": (call("identify", timestamp="1960-03-20T12:00:00Z"), "too_old", "/timestamp"),
    "the last time": (call("identify", timestamp="9999-12-31T23:59:59Z"), "time", "/timestamp"),
    "a control character in the id": (call("identify", messageId="a\nb"), "control_character", "/messageId"),
    "a long user": (call("identify", userId="x" * 200), "string_too_long", "/userId"),
    "nobody": (call("page", user=None, name="Pricing"), "missing", "/userId"),
    "neither id nor time": (call("identify", messageId=None, timestamp=None), "missing", "/messageId"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_call_is_rejected_with_its_place_and_affects_no_other(case: str, service: Service) -> None:
    wrong, code, pointer = WRONG[case]
    neighbors = [track("Report Exported"), call("group", traits={"plan": "pro"})]
    answer = send_batch(service, [neighbors[0], wrong, neighbors[1]])
    assert counts(answer) == (2, 0, 0, 1)
    [rejection] = answer["rejected"]
    assert (rejection["index"], rejection["code"], rejection["pointer"]) == (1, code, pointer), rejection
    assert rejection["id"] == (wrong.get("messageId") if isinstance(wrong, dict) else None)
    assert not any(name in rejection["detail"] for name in ("occurred_at", "account_id", "user_id"))


@pytest.mark.parametrize("number", ["1e999999999", "-1e999999999", "9" * 4_000, "1e21"])
def test_a_number_that_is_no_time_is_rejected_at_once(number: str, service: Service) -> None:
    def send(body: str) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"}
        response = service.request("POST", "/v1/segment/batch", content=body, headers=headers)
        return response.status_code, response.json()

    status, problem = send(f'{{"sentAt": {number}, "batch": []}}')
    assert (status, problem["errors"][0]["pointer"]) == (422, "/sentAt")
    wrong = json.dumps(call("identify", timestamp=0)).replace('"timestamp": 0', f'"timestamp": {number}')
    status, answer = send(f'{{"batch": [{wrong}, {json.dumps(track("Report Exported"))}]}}')
    assert status == 200 and counts(answer) == (1, 0, 0, 1)
    assert answer["rejected"][0]["pointer"] == "/timestamp"


def test_a_typing_error_of_a_kind_is_answered_with_the_right_one(service: Service) -> None:
    [rejection] = send_batch(service, [call("trak")])["rejected"]
    assert rejection["errors"][0]["did_you_mean"] == ["track"]


def test_a_batch_of_which_all_is_rejected_is_answered_as_the_libraries_expect(service: Service) -> None:
    assert counts(send_batch(service, [track("Survey Responded")])) == (0, 0, 0, 1)
    assert counts(send_batch(service, [])) == (0, 0, 0, 0)


def test_a_single_call_that_is_rejected_is_an_error(service: Service) -> None:
    answer = post(service, "track", track("Survey Responded", survey="nps", score=11))
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    problem = answer.json()
    assert (problem["code"], problem["accepted"], problem["duplicates"]) == ("all_rejected", 0, 0)
    assert problem["rejected"][0]["pointer"] == "/properties/score"
    assert "success" not in problem and "ignored" not in problem


def test_a_path_of_one_call_knows_its_type(service: Service) -> None:
    own = track("Report Exported")
    assert (
        post(service, "track", {name: value for name, value in own.items() if name != "type"}).json()["accepted"] == 1
    )
    assert post(service, "track", own).json()["duplicates"] == 1
    answer = post(service, "page", own)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/type")


BODIES: dict[str, tuple[Any, int, str]] = {
    "a list": ([], 422, "dict_type"),
    "no batch": ({}, 422, "missing"),
    "a batch that is an object": ({"batch": {}}, 422, "not_an_array"),
    "too many calls": ({"batch": [1] * 10_001}, 422, "too_many_events"),
    "a wrong clock": ({"batch": [], "sentAt": "yesterday"}, 422, "time"),
    "no JSON": (b"{", 400, "malformed_json"),
    "too large": (b'{"batch": [], "x": "' + b"x" * 2**22 + b'"}', 413, "too_large"),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_body_that_is_no_batch_is_an_error(case: str, shared: Service) -> None:
    body, status, code = BODIES[case]
    answer = post(shared, "batch", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


# Who sends


def create_key(service: Service, *scopes: str) -> str:
    return str(service.request("POST", "/v1/keys", json={"name": "app", "scopes": scopes}).json()["key"])


def test_the_write_key_is_in_a_header_or_in_the_body(service: Service) -> None:
    key, bodies = create_key(service, "ingest"), [{"batch": [track("Report Exported")]} for _ in range(5)]
    nothing: dict[str, Any] = {"key": None}
    answers = [
        post(service, "batch", bodies[0], key=key),
        post(service, "batch", bodies[1], **nothing, Authorization=f"Bearer {key}"),
        post(service, "batch", bodies[2], **nothing, **{"X-API-Key": key}),
        post(service, "batch", bodies[3] | {"writeKey": key}, **nothing),
        post(service, "v1/batch", gzip.compress(json.dumps(bodies[4] | {"writeKey": key}).encode()), **nothing, **GZIP),
        post(service, "track", track("Report Exported") | {"writeKey": key}, **nothing),
    ]
    assert [(answer.status_code, answer.json()["accepted"]) for answer in answers] == [(200, 1)] * 6


GZIP = {"Content-Encoding": "gzip"}


def test_without_a_key_that_may_send_nothing_is_stored(service: Service) -> None:
    reader, body = create_key(service, "read"), {"batch": [track("Report Exported")]}
    for path, own in (("batch", body), ("track", body["batch"][0])):
        for key, status in ((None, 401), ("csm_unheard", 401), (7, 401), (reader, 403)):
            assert post(service, path, own if key is None else own | {"writeKey": key}, key=None).status_code == status
        assert post(service, path, own, key=reader).status_code == 403
        # A wrong key in the header is not replaced by one in the body.
        assert post(service, path, own | {"writeKey": ADMIN_KEY}, key="csm_unheard").status_code == 401
    assert post(service, "batch", b"{", key=None).status_code == 401
    assert post(service, "batch", b" " * 2**20, key=None).status_code == 413
    assert stored_events(service) == []


# When it happened

LATER, OLD = timedelta(hours=1), datetime.fromisoformat("2001-01-01T00:00:05Z")
CLOCKS: dict[str, tuple[dict[str, Any], datetime | None, datetime]] = {
    "a right clock": ({"timestamp": "2026-03-15T11:59:30Z"}, NOON, NOON - timedelta(seconds=30)),
    "a clock that is ahead": ({"timestamp": "2026-03-15T12:59:30Z"}, NOON + LATER, NOON - timedelta(seconds=30)),
    "a clock that is behind": ({"timestamp": "2026-03-15T10:59:30Z"}, NOON - LATER, NOON - timedelta(seconds=30)),
    "a clock of the year 2001": (
        {"timestamp": "2001-01-01T00:00:00Z"},
        OLD,
        NOON - timedelta(seconds=5),
    ),
    "a clock in another zone": ({"timestamp": "2026-03-15T13:59:30+02:00"}, NOON, NOON - timedelta(seconds=30)),
    "history": (
        {"timestamp": "2026-01-15T13:00:00.250+01:00"},
        NOON + LATER,
        datetime.fromisoformat("2026-01-15T11:00:00.25Z"),
    ),
    "no time of sending": ({"timestamp": "2026-03-15T11:00:00Z"}, None, NOON - LATER),
    "the original time": ({"originalTimestamp": "2026-03-15T13:00:00Z", "timestamp": None}, NOON + LATER, NOON),
    "what Segment has corrected": (
        {"originalTimestamp": "2026-03-15T13:00:00Z", "timestamp": "2026-03-15T11:00:00Z"},
        NOON + LATER,
        NOON - LATER,
    ),
    "no time at all": ({"timestamp": None}, NOON + LATER, NOON),
}


@pytest.mark.parametrize("case", CLOCKS)
def test_the_time_is_corrected_by_the_clock_of_the_sender(case: str, service: Service) -> None:
    fields, sent_at, expected = CLOCKS[case]
    assert send_batch(service, [call("identify", **fields)], sent_at=sent_at)["accepted"] == 1
    assert [own["occurred_at"] for own in stored_events(service)] == [expected]


def test_a_single_call_may_say_when_it_was_sent(service: Service) -> None:
    own = call("identify", timestamp="2026-03-15T13:00:00Z", sentAt="2026-03-15T13:00:05Z")
    assert post(service, "identify", own).status_code == 200
    assert stored_events(service)[0]["occurred_at"] == NOON - timedelta(seconds=5)


# Again


@pytest.mark.parametrize("fields", [{}, {"timestamp": None}, {"messageId": None}], ids=["all", "no time", "no id"])
def test_a_call_sent_again_counts_once_however_long_it_took(fields: dict[str, Any], service: Service) -> None:
    own = track("Report Exported") | fields
    own = {name: value for name, value in own.items() if value is not None}
    answers = []
    for seconds in (0, 1, 7, 3600):
        answers.append(counts(send_batch(service, [own, own], sent_at=NOON + timedelta(seconds=seconds / 2))))
        service.later(seconds=seconds)
    assert answers == [(1, 1, 0, 0), (0, 2, 0, 0), (0, 2, 0, 0), (0, 2, 0, 0)]
    assert service.value("feature_uses") == 1


def test_two_calls_with_one_id_are_a_conflict(service: Service) -> None:
    first, second = track("Report Exported"), track("Report Printed")
    answer = send_batch(service, [first, second | {"messageId": first["messageId"]}])
    assert counts(answer) == (1, 0, 0, 1)
    [rejection] = answer["rejected"]
    assert (rejection["code"], rejection["pointer"], rejection["id"]) == ("conflict", "/messageId", first["messageId"])
    other_time = first | {"timestamp": "2026-03-14T12:00:01.000Z"}
    assert send_batch(service, [other_time])["rejected"][0]["code"] == "conflict"


def test_an_id_is_unique_within_its_account(service: Service) -> None:
    first = track("Report Exported")
    assert send_batch(service, [first, first | {"context": {"groupId": "other"}}])["accepted"] == 2


def test_calls_without_ids_that_differ_count_each(service: Service) -> None:
    own = {name: value for name, value in track("Report Exported").items() if name != "messageId"}
    others = [
        {"timestamp": "2026-03-14T12:00:00.001Z"},
        {"userId": "eve"},
        {"event": "x"},
        {"context": {"groupId": "b"}},
    ]
    assert send_batch(service, [own, *(own | other for other in others)])["accepted"] == 5


def test_an_event_is_retracted_by_the_id_of_its_call(service: Service) -> None:
    own = track("Report Exported", group="acme")
    send_batch(service, [own])
    service.retract("acme", f"segment:{own['messageId']}")
    assert service.value("feature_uses") == 0
    assert counts(send_batch(service, [own])) == (0, 1, 0, 0)


KINDS: list[dict[str, Any]] = [
    {"type": "track", "event": "Report Exported"},
    {"type": "track", "event": "Session Ended", "properties": {"duration_seconds": 60}},
    {"type": "track", "event": "Survey Responded", "properties": {"survey": "nps", "score": 9}},
    {"type": "track", "event": "Subscription Changed", "properties": {"subscription_id": "s", "mrr": "10"}},
    {"type": "track", "event": "Subscription Canceled", "properties": {"subscription_id": "s"}},
    {"type": "identify"},
    {"type": "group", "traits": {"plan": "pro"}},
    {"type": "page", "name": "Pricing"},
    {"type": "alias"},
]


@settings(deadline=None, max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_batch_sent_twice_in_any_split_counts_once(shared: Service, data: st.DataObject) -> None:
    shared.now = NOON
    skew = timedelta(seconds=data.draw(st.integers(-10_000, 10_000), "skew"))
    accounts = [f"split-{next(_numbers)}" for _ in range(2)]
    kinds = data.draw(st.lists(st.tuples(st.sampled_from(KINDS), st.booleans()), min_size=1, max_size=8), "calls")
    calls = []
    for number, (kind, has_id) in enumerate(kinds):
        at = NOON - timedelta(minutes=number + 1) + skew
        own = kind | {"userId": "ada", "timestamp": at.isoformat()}
        calls.append(own | ({"messageId": f"m-{number}"} if has_id else {}))
    numbers = data.draw(st.permutations([*range(len(calls))] * 2), "order")
    ends = sorted(data.draw(st.sets(st.integers(1, len(numbers))), "ends") | {len(numbers)})

    def send(numbers: list[int], account: str) -> int:
        answer = send_batch(
            shared, [calls[own] for own in numbers], sent_at=shared.now + skew, context={"groupId": account}
        )
        assert answer["rejected"] == []
        return int(answer["accepted"])

    accepted, start = 0, 0
    for end in ends:
        accepted += send(numbers[start:end], accounts[0])
        start = end
        shared.later(milliseconds=data.draw(st.integers(0, 5_000), "pause"))
    assert accepted == send([*range(len(calls))], accounts[1]) == sum(kind["type"] != "alias" for kind, _ in kinds)
    split, whole = (
        sorted(
            (own["type"], own["user_id"] or "", own["occurred_at"], json.dumps(own["data"]))
            for own in stored_events(shared)
            if own["account"] == account
        )
        for account in accounts
    )
    assert split == whole


# Large and compressed


@pytest.mark.parametrize("headers", [{}, GZIP], ids=["plain", "gzip"])
def test_a_large_batch_is_accepted_aside(headers: dict[str, str], service: Service) -> None:
    calls = [track("Report Exported", user=f"user-{number % 50}", context={"a": "x" * 100}) for number in range(1_500)]
    calls[700] = track("Survey Responded")
    body = json.dumps({"batch": calls, "sentAt": NOON.isoformat()}).encode()
    assert len(body) > 2**18
    for expected in ((1_499, 0, 0, 1), (0, 1_499, 0, 1)):
        answer = post(service, "batch", gzip.compress(body) if headers else body, **headers)
        assert counts(answer.json()) == expected
    assert service.value("feature_uses") == 1_499 and service.value("active_users") == 50


# Two ways in

BOTH = [
    track("Report Exported", format="csv"),
    track("Survey Responded", survey="nps", score=9, comment="Fast."),
    track("Subscription Changed", subscriptionId="s", mrr=12.5),
    call("identify", traits={"email": "x"}),
    call("group", groupId="acme", traits={"name": "Acme", "plan": "pro"}),
    call("page", name="Pricing"),
    call("identify", traits={"company": {"id": "acme"}}, **NOWHERE),
    call("alias", previousId="x"),
    call("page"),
]


@pytest.mark.parametrize("own", BOTH, ids=lambda own: f"{own['type']} {own.get('event', '')}")
def test_a_delivery_of_segment_becomes_the_same_event(own: dict[str, Any], service: Service) -> None:
    put_source(service, "segment", "segment")
    content = {"content": to_bytes(own), "headers": {"Content-Type": "application/json"}}
    previews = service.request("POST", "/v1/sources/segment/preview", **content).json()["events"]
    send_batch(service, [own])
    stored = stored_events(service)
    assert [(event["id"], event["type"], event.get("user_id")) for event in previews] == [
        (event["id"], event["type"], event["user_id"]) for event in stored
    ]
    assert [event["account_id"] for event in previews] == [event["account"] for event in stored]


def test_the_guide_names_all_that_the_specification_of_segment_adds() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "segment.md").read_text(encoding="utf-8")
    own_names = {type.replace(".", " ").replace("_", " ").title() for type in EVENT_TYPES} - {"Trial Expired"}
    assert {name for name in TRACK_NAMES.keys() - own_names if f"`{name}`" not in guide} <= {"Trial Expired"}
