"""Hostile and mistaken events: an invalid event is rejected alone, and a valid one is stored exactly."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.ingest.define import EVENT_TYPES
from app.ingest.describe import data_schema
from app.ingest.schemas import example_event
from tests.support.hostile import (
    CANARY,
    CLOUDEVENT,
    CLOUDEVENTS,
    INVALID_VALUES,
    JSON,
    VALID_VALUES,
    codes_by_index,
    count_stored,
    is_problem,
    post,
    repeats_no_value,
    serial_numbers,
    valid_event,
)
from tests.support.service import Service, event, session


def is_valid(type: str, field: str, value: Any) -> bool:
    if field == "data":
        return value == {} and not data_type(type).__required_keys__
    # A comment is optional beside a score, where it may be empty.
    also_valid = [""] if (type, field) == ("survey.responded", "comment") else []
    if type.startswith("health.") and field == "reason":  # a text, not the name of a reason
        also_valid = ["12", "a\n" + CANARY, "\x1b[31m", *([""] if type == "health.override_withdrawn" else [])]
    return json.dumps(value) in map(json.dumps, [*VALID_VALUES.get(field, ()), *also_valid])


def data_type(type: str) -> Any:
    data = EVENT_TYPES[type].envelope.__annotations__["data"]
    return getattr(data, "__origin__", data)


def invalid_events(type: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a type's example with each field wrong in every way, without each required field, and with unknown fields."""
    valid, data = example_event(type), example_event(type)["data"]
    for envelope in EVENT_TYPES[type].envelope.__annotations__:
        for value in INVALID_VALUES:
            if not is_valid(type, envelope, value):
                yield f"{envelope}: {value!r}", valid | {envelope: value}
    for field in data_type(type).__annotations__:
        for value in INVALID_VALUES:
            if not is_valid(type, field, value):
                yield f"data.{field}: {value!r}", valid | {"data": data | {field: value}}
    for missing in EVENT_TYPES[type].envelope.__required_keys__:
        yield f"no {missing}", {name: value for name, value in valid.items() if name != missing}
    for missing in data_type(type).__required_keys__:
        yield f"no data.{missing}", valid | {"data": {name: value for name, value in data.items() if name != missing}}
    for name in ("Id", "user", "__proto__", "timestamp", "", "recorded_on"):
        yield f"also {name}", valid | {name: CANARY}
        yield f"also data.{name}", valid | {"data": data | {name: CANARY}}


@pytest.mark.parametrize("type", EVENT_TYPES)
def test_wrong_values_are_rejected_in_every_field_of_every_event_type(type: str, shared: Service) -> None:
    before, cases = count_stored(shared), list(invalid_events(type))
    valid_id = example_event(type)["id"]
    invalid = [
        case | ({"id": f"invalid-{next(serial_numbers)}"} if case.get("id") == valid_id else {}) for _, case in cases
    ]
    answer = post(shared, [sent for wrong in invalid for sent in (wrong, valid_event())])
    assert [case for number, (case, _) in enumerate(cases) if 2 * number not in codes_by_index(answer)] == []
    assert answer.json()["accepted"] == len(cases) > 100
    assert "conflict" not in codes_by_index(answer).values()
    assert repeats_no_value(answer)
    assert count_stored(shared) == before + len(cases)


def test_the_examples_of_the_catalogue_are_accepted(shared: Service) -> None:
    events = [example_event(type) | {"account_id": "examples"} for type in EVENT_TYPES]
    assert post(shared, events).json()["accepted"] == len(EVENT_TYPES)


def test_an_invalid_event_at_any_position_does_not_affect_its_neighbors(shared: Service) -> None:
    invalid_items = [
        None,
        [],
        {**valid_event(), "data": {}},
        {**valid_event(), "type": "un.heard"},
        {**valid_event(), "occurred_at": "2026-03-16T12:00:01Z"},
        {**valid_event(), "recorded_on": "2026-03-16"},
        {**valid_event(), "account_id": "a\0b"},
        event("survey.responded", survey="un-heard", score=1),
        event("survey.responded", survey="nps", score=11),
        event("cost.recorded", category="retention", amount="1", currency="XXX"),
        valid_event(extra={"a": "a\0b"}),
    ]
    for position in range(50):
        before = count_stored(shared)
        batch: list[Any] = [valid_event() for _ in range(50)]
        batch[position] = invalid_items[position % len(invalid_items)]
        answer = post(shared, batch)
        assert (answer.json()["accepted"], list(codes_by_index(answer))) == (49, [position])
        assert count_stored(shared) == before + 49


def test_a_conflict_at_any_position_does_not_affect_its_neighbors(shared: Service) -> None:
    post(shared, first := valid_event())
    before = count_stored(shared)
    for position in range(0, 50, 7):
        batch = [valid_event() for _ in range(50)]
        batch[position] = first | {"data": {"duration_seconds": 61}}
        assert codes_by_index(post(shared, batch)) == {position: "conflict"}
    assert count_stored(shared) == before + 8 * 49


INTEGERS = {
    "0": 0,
    "-0": 0,
    "1": 1,
    "2678400": 2678400,
    "1.0": 1,
    "1.000": 1,
    "-0.0": 0,
    "1e0": 1,
    "1e2": 100,
    "0.5e1": 5,
}
INVALID_INTEGERS = [
    "-1",
    "2678401",
    "0.5",
    "1.0000000000000001",
    "26784000.1e-1",
    "-1.0",
    "1e-1",
    "1e400",
    "-1e400",
    "1e999999999",
    str(2**63),
    "9" * 4000,
    '"1"',
    '"1.0"',
    "true",
    "null",
]


def test_a_whole_number_may_be_written_with_a_decimal_point_but_not_as_text(shared: Service) -> None:
    account = f"account-{next(serial_numbers)}"
    raws = [
        json.dumps(session(account, seconds=999_999)).replace("999999", text) for text in [*INTEGERS, *INVALID_INTEGERS]
    ]
    answer = post(shared, f"[{','.join(raws)}]")
    assert list(codes_by_index(answer)) == list(range(len(INTEGERS), len(raws)))
    minutes = shared.row("average_session_minutes", account=account)
    assert minutes["numerator"] == pytest.approx(sum(INTEGERS.values()) / 60)


# Every field of a whole number: the type of its event, the field, and the other data.
WHOLE_NUMBERS: list[tuple[str, str, dict[str, Any]]] = [
    ("session.ended", "duration_seconds", {}),
    ("feature.used", "count", {"feature": "export"}),
    ("survey.responded", "score", {"survey": "csat"}),
    ("health.overridden", "score", {"reason": "Silent.", "author": "grace"}),
    ("subscription.changed", "seats", {"subscription_id": "one", "mrr": "10"}),
    ("subscription.changed", "interval_count", {"subscription_id": "one", "amount": "10", "interval": "month"}),
]


@pytest.mark.parametrize(("type", "field", "data"), WHOLE_NUMBERS, ids=[field for _, field, _ in WHOLE_NUMBERS])
def test_four_point_zero_is_four_in_every_field_of_a_whole_number(
    type: str, field: str, data: dict[str, Any], shared: Service
) -> None:
    def send(text: str, id: str) -> httpx.Response:
        body = json.dumps(event(type, "whole", user="ada", id=f"{type} {field} {id}", **data, **{field: 999_999}))
        return post(shared, body.replace("999999", text))

    assert send("4.0", "taken").json()["accepted"] == 1
    assert send("4", "taken").json()["duplicates"] == 1, "the same content"
    for text in ("4.5", '"4"', '"4.0"', "true", "[4]"):
        assert codes_by_index(send(text, "refused")) == {0: "int_type"}, text


def test_whole_number_fields_are_all_in_the_table() -> None:
    fields = {
        (type, field)
        for type in EVENT_TYPES
        for field, schema in data_schema(EVENT_TYPES[type])["properties"].items()
        if schema.get("type") == "integer"
    }
    assert fields == {(type, field) for type, field, _ in WHOLE_NUMBERS}


def test_a_response_without_a_score_is_refused_with_what_to_do(service: Service) -> None:
    at = "2026-03-02"
    answer = post(
        service,
        [
            event("survey.responded", at=at, survey="csat"),
            event("survey.responded", at=at, survey="csat", score=None),
            event("survey.responded", at=at, survey="csat", score=4.0),
            event("feedback.received", at=at, comment="no rating given"),
            event("survey.responded", at="2026-03-03", survey="csat", score=5),
        ],
    )
    faults = {(item["code"], item["detail"], item["pointer"]) for item in answer.json()["rejected"]}
    detail = (
        'Field "score" is required. Without a score it is no response: send a comment alone as `feedback.received`.'
    )
    assert (codes_by_index(answer), faults) == ({0: "missing", 1: "missing"}, {("missing", detail, "/data/score")})
    response = {"id": "r", "survey": "csat", "account_id": "acme", "responded_at": f"{at}T12:00:00Z"}
    answer = service.request("POST", "/v1/survey-responses", json=[response, response | {"score": None}])
    assert [item["detail"] for item in answer.json()["rejected"]] == [detail, detail]
    row = service.row("csat")
    assert (row["value"], row["numerator"], row["denominator"]) == (100, 2, 2)
    assert service.value("survey_responses") == 2 and service.value("feedback_comments") == 1


MONEY = {
    "0": "0",
    "-0": "0",
    "1": "1",
    "1.5": "1.5",
    "1.0": "1",
    "1e2": "100",
    "12.3400": "12.34",
    "99999999999.9999": None,
}
MONEY |= {'"0"': "0", '"007"': "7", '"1250.50"': "1250.5", '"99999999999.9999"': None, '"0.0001"': "0.0001"}
INVALID_MONEY = [
    "-1",
    "-0.5",
    "0.00001",
    "1.23456",
    "1e11",
    "100000000000",
    "1e400",
    "1e999999999",
    "1e-999999999",
    "9" * 4000,
]
INVALID_MONEY += [
    "true",
    "null",
    "[]",
    "{}",
    '""',
    '"-1"',
    '"+1"',
    '" 1"',
    '"1 "',
    '"1,000"',
    '"1_000"',
    '"1."',
    '".5"',
    '"1e2"',
]
INVALID_MONEY += [
    '"0.00001"',
    '"100000000000"',
    '"NaN"',
    '"Infinity"',
    '"0x10"',
    '"١"',
    '"１"',
    '"$1"',
    '"1\\u0000"',
    '"1\\n"',
]


def test_money_is_stored_exactly_or_rejected(shared: Service) -> None:
    account = f"account-{next(serial_numbers)}"
    sent = [
        json.dumps(event("cost.recorded", account, category="retention", amount="HERE")).replace('"HERE"', text)
        for text in [*MONEY, *INVALID_MONEY]
    ]
    answer = post(shared, f"[{','.join(sent)}]")
    assert list(codes_by_index(answer)) == list(range(len(MONEY), len(sent)))
    # With the amount as it is stored, the event is a duplicate; with another amount, a conflict.
    for text, amount in MONEY.items():
        again = json.loads(sent[list(MONEY).index(text)])
        again["data"]["amount"] = amount or "99999999999.9999"
        assert post(shared, again).json().get("duplicates") == 1, text
        again["data"]["amount"] = "77.0001"
        assert is_problem(post(shared, again), 422, "all_rejected")


@pytest.mark.parametrize("currency", ["eur", "EURO", "EU", "E1R", "EUR\n", "ЕUR", "", "XXX", "$", None, 978])
def test_a_currency_must_be_three_capital_letters_and_have_a_rate(currency: Any, shared: Service) -> None:
    bad = event("cost.recorded", category="retention", amount="1", currency="X")
    bad["data"]["currency"] = currency
    assert is_problem(post(shared, bad), 422, "all_rejected")


# Times

TIMES = {
    "2026-03-10T12:00:00Z": "2026-03-10",
    "2026-03-10t12:00:00z": "2026-03-10",
    "2026-03-10T23:59:59.999999999-00:00": "2026-03-10",
    "2026-03-10T00:00:00+23:59": "2026-03-09",
    "2026-03-10T23:59:59-23:59": "2026-03-11",
    "1970-01-01T00:00:00Z": "1970-01-01",
    "1969-12-31T23:00:00-01:00": "1970-01-01",
    "2024-02-29T12:00:00Z": "2024-02-29",
    "2026-03-16T12:00:00Z": "2026-03-16",
}
INVALID_TIMES = {
    "2026-03-16T12:00:00.000001Z": "in_the_future",
    "9998-12-31T23:59:59Z": "in_the_future",
    "1969-12-31T23:59:59.999999Z": "too_old",
    "1970-01-01T00:00:00+00:01": "too_old",
    "1000-01-01T00:00:00Z": "too_old",
} | dict.fromkeys(
    [
        "",
        "2026-03-10T12:00:00",
        "2026-03-10",
        "2026-03-10T12:00Z",
        "2026-03-10 12:00:00Z",
        "2026-03-10T12:00:60Z",
        "2026-12-31T23:59:60Z",
        "2026-03-10T24:00:00Z",
        "2026-03-10T12:60:00Z",
        "2026-03-10T12:00:00+24:00",
        "2026-03-10T12:00:00+10:60",
        "2026-03-10T12:00:00+10:99",
        "2026-03-10T12:00:00+1000",
        "2026-03-10T12:00:00+10",
        "2026-03-10T12:00:00+10:00:30",
        "2026-03-10T12:00:00 Z",
        "2026-03-10T12:00:00ZZ",
        "2026-03-10T12:00:00.Z",
        "2026-03-10T12:00:00,5Z",
        "2026-03-10T12:00:00.1234567891Z",
        "2026-02-29T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-00-10T12:00:00Z",
        "2026-03-00T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-14:00",
        "10000-01-01T00:00:00Z",
        "+002026-03-10T12:00:00Z",
        "-2026-03-10T12:00:00Z",
        "26-03-10T12:00:00Z",
        "2026-W11-2T12:00:00Z",
        "2026-069T12:00:00Z",
        "20260310T120000Z",
        "1773144000",
        "1773144000000",
        "Tue, 10 Mar 2026 12:00:00 GMT",
        "2026-03-10T12:00:00 Europe/Berlin",
        "２０２６-03-10T12:00:00Z",
        "٢٠٢٦-03-10T12:00:00Z",
        "2026-03-10T12:00:00Z\n",
        "2026-03-10T12:00:00Z\0",
        "now",
        "infinity",
        CANARY,
    ],
    "time",
)


def test_a_time_must_be_valid_rfc_3339(shared: Service) -> None:
    account = f"account-{next(serial_numbers)}"
    sent = [
        session(account) | {"occurred_at": at} for at in (*TIMES, *INVALID_TIMES, 1773144000, 1773144000.0, None, True)
    ]
    answer = post(shared, sent)
    expected = dict(enumerate(INVALID_TIMES.values(), start=len(TIMES))) | dict.fromkeys(
        range(len(TIMES) + len(INVALID_TIMES), len(sent)), "time"
    )
    assert codes_by_index(answer) == expected
    assert repeats_no_value(answer)
    for day in TIMES.values():
        if day <= "2026-03-15":
            there = [other for other in TIMES.values() if other == day]
            assert shared.row("sessions", account=account, period=day)["value"] == len(there)


def test_recorded_on_must_be_from_1970_to_today(shared: Service) -> None:
    days = {
        "0001-01-01": "too_old",
        "1969-12-31": "too_old",
        "2026-03-16": "in_the_future",
        "9999-12-31": "in_the_future",
    }
    answer = post(
        shared,
        [session(f"account-{next(serial_numbers)}", recorded_on=day) for day in [*days, "1970-01-01", "2026-03-15"]],
    )
    assert codes_by_index(answer) == dict(enumerate(days.values()))


@pytest.mark.parametrize("field", ["responded_at", "effective_at", "ends_at"])
def test_times_in_other_fields_must_be_valid_rfc_3339(field: str, shared: Service) -> None:
    for at in INVALID_TIMES:
        if field == "ends_at":
            if INVALID_TIMES[at] == "time":
                answer = post(shared, event("subscription.canceled", subscription_id="s", ends_at=at))
                assert is_problem(answer, 422, "all_rejected"), at
        elif field == "effective_at":
            answer = post(shared, {field: at}, path="/v1/accounts/acme", method="PUT")
            assert is_problem(answer, 422), at
            faults = answer.json()["errors"]
            assert [fault["pointer"] for fault in faults] == ["/effective_at"]
        else:
            response = {
                "id": f"answer-{next(serial_numbers)}",
                "survey": "nps",
                "account_id": "acme",
                "score": 9,
                field: at,
            }
            answer = post(shared, response, path="/v1/survey-responses")
            assert is_problem(answer, 422, "all_rejected"), at
            assert answer.json()["rejected"][0]["pointer"] == "/responded_at"


INVALID_DAYS: list[Any] = [
    "2026-03-10T00:00:00Z",
    "20260310",
    "2026-3-10",
    "2026-02-29",
    "2026-00-01",
    "0000-01-01",
    "10000-01-01",
]
INVALID_DAYS += [
    "",
    " 2026-03-10",
    "2026-03-10\n",
    "2026-W11",
    "1773144000",
    0,
    1773144000,
    1.5,
    True,
    None,
    [],
    CANARY,
    "２０２６-03-10",
]


def test_a_day_must_be_spelled_yyyy_mm_dd(shared: Service) -> None:
    for day in INVALID_DAYS:
        assert is_problem(post(shared, valid_event() | {"recorded_on": day}), 422, "all_rejected"), day
        if isinstance(day, str):
            body = {"currency": "CHF", "rates": {"2026-01-01": "1", day: "1"}}
            assert is_problem(post(shared, body, path="/v1/exchange-rates", method="PUT"), 422), day
        for name in ("start", "end", "as_of"):
            if day is not None:
                question = {"metrics": ["nps"], name: day}
                assert is_problem(post(shared, question, path="/v1/query"), 422), day
                if isinstance(day, str):
                    answer = shared.request("GET", "/v1/metrics/nps", params={name: day})
                    assert is_problem(answer, 422), day
    assert "CHF" not in shared.request("GET", "/v1/exchange-rates").text


# CloudEvents


def cloudevent(**changed: Any) -> dict[str, Any]:
    number = next(serial_numbers)
    valid = {"specversion": "1.0", "id": f"ce-{number}", "source": "/crm", "type": "session.ended", "subject": "ce"}
    valid |= {"time": "2026-03-10T12:00:00Z", "userid": "ada", "data": {"duration_seconds": 60}}
    return {name: value for name, value in (valid | changed).items() if value is not ...}


BROKEN_CLOUDEVENTS: dict[str, dict[str, Any]] = {
    "no version": {"specversion": ...},
    "an older version": {"specversion": "0.3"},
    "a version that is a number": {"specversion": 1.0},
    "no id": {"id": ...},
    "an empty id": {"id": ""},
    "an id that is a number": {"id": 1},
    "an id with a control character": {"id": "a\n" + CANARY},
    "no source": {"source": ...},
    "an empty source": {"source": ""},
    "a source that is an object": {"source": {}},
    "a source with a space": {"source": "a b"},
    "no type": {"type": ...},
    "an unknown type": {"type": CANARY},
    "no subject": {"subject": ...},
    "a subject that is null": {"subject": None},
    "no time": {"time": ...},
    "a time without an offset": {"time": "2026-03-10T12:00:00"},
    "no data": {"data": ...},
    "data that is a text": {"data": '{"duration_seconds": 60}'},
    "data that is null": {"data": None},
    "base64 that is not base64": {"data": ..., "data_base64": "***" + CANARY},
    "base64 that is not ASCII": {"data": ..., "data_base64": "é"},
    "base64 that is not JSON": {"data": ..., "data_base64": base64.b64encode(b"{" + CANARY.encode()).decode()},
    "base64 that is a number": {"data": ..., "data_base64": 1},
    "base64 of JSON with a duplicate key": {"data": ..., "data_base64": base64.b64encode(b'{"a":1,"a":1}').decode()},
}


@pytest.mark.parametrize("case", BROKEN_CLOUDEVENTS)
def test_a_broken_cloudevent_does_not_affect_its_neighbors(case: str, shared: Service) -> None:
    broken = cloudevent(**BROKEN_CLOUDEVENTS[case])
    assert is_problem(post(shared, broken, CLOUDEVENT), 422, "all_rejected")
    before = count_stored(shared, "ce")
    answer = post(shared, [cloudevent(), broken, cloudevent()], CLOUDEVENTS)
    assert (answer.json()["accepted"], list(codes_by_index(answer))) == (2, [1])
    assert repeats_no_value(answer)
    assert count_stored(shared, "ce") == before + 2


def binary(service: Service, data: Any, *more: tuple[str, str | bytes], **attributes: str | bytes) -> httpx.Response:
    """Post a CloudEvent in binary mode, with its attributes as headers."""
    valid = {name: value for name, value in cloudevent().items() if name != "data"} | attributes
    headers = [("content-type", JSON), *((f"ce-{name}", value) for name, value in valid.items()), *more]
    return service.request("POST", "/v1/events", content=json.dumps(data).encode(), headers=headers)


def test_cloudevents_with_different_ids_are_different_events(shared: Service) -> None:
    before = count_stored(shared, "ce")
    names = ["a b", "a%20b", "%C3%A9", "%25", "%", "%zz", "%F0%9F%98%80", "100%25", "a%2Fb"]
    accepted = [binary(shared, {"duration_seconds": 60}, id=name).json()["accepted"] for name in names]
    assert accepted == [1, 0, 1, 1, 0, 1, 1, 1, 1]  # `a b` is `a%20b`, and `%25` is `%`
    assert count_stored(shared, "ce") == before + sum(accepted)


@pytest.mark.parametrize("id", ["%FF", "%FE", "a%C3", "%00", "%0A", "%0d%0a", b"\xc3\xa9", b"\xe9", "%ED%A0%80"])
def test_headers_of_a_cloudevent_must_be_percent_encoded_utf_8(id: str | bytes, shared: Service) -> None:
    assert is_problem(binary(shared, {"duration_seconds": 60}, id=id), 422, "all_rejected")


def test_a_cloudevent_with_a_repeated_attribute_is_rejected(shared: Service) -> None:
    assert is_problem(binary(shared, {"duration_seconds": 60}, ("ce-id", "another")), 422, "all_rejected")


def test_cloudevents_with_long_ids_are_accepted_and_distinguished(shared: Service) -> None:
    for verdict in ("accepted", "duplicates"):
        for id in ("a" * 500, "a" * 499 + "b"):
            assert post(shared, cloudevent(id=id), CLOUDEVENT).json()[verdict] == 1


# Survey responses


def survey_response(**changed: Any) -> dict[str, Any]:
    valid = {
        "id": f"answer-{next(serial_numbers)}",
        "survey": "nps",
        "account_id": "surveyed",
        "user_id": "ada",
        "score": 9,
    }
    valid |= {"comment": "Good.", "channel": "email", "tags": ["a"], "responded_at": "2026-03-10T12:00:00Z"}
    return valid | changed


def test_wrong_values_are_rejected_in_every_field_of_a_survey_response(shared: Service) -> None:
    valid_values = VALID_VALUES | {"survey": []}
    fields = [*survey_response(), "extra", "recorded_on"]
    cases = [
        (field, value)
        for field in fields
        for value in INVALID_VALUES
        if json.dumps(value) not in map(json.dumps, valid_values.get(field, ())) and (field, value) != ("comment", "")
    ]
    cases += [("score", value) for value in (11, -1, 9.5, "9", 2**63, True)]
    cases += [(name, "x") for name in ("data", "type", "occurred_at", "Score", "__proto__", "")]
    invalid = [survey_response(**{field: value}) for field, value in cases]
    batch = [sent for wrong in invalid for sent in (wrong, survey_response())]
    answer = post(shared, batch, path="/v1/survey-responses")
    assert [cases[i // 2] for i in range(0, len(batch), 2) if i not in codes_by_index(answer)] == []
    assert answer.json()["accepted"] == len(cases)
    assert not [rejected for rejected in answer.json()["rejected"] if rejected["pointer"].startswith("/data/")]
    row = shared.row("survey_responses", account="surveyed")
    assert row["value"] == len(cases)
