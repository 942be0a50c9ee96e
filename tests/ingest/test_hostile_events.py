"""Hostile and mistaken events: what is wrong in any field is rejected alone, and what is accepted is kept exactly."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.ingest.define import EVENT_TYPES
from app.ingest.schemas import example_event
from tests.support.hostile import (
    BATCH,
    CANARY,
    JS,
    ONE,
    RIGHT,
    WRONG,
    codes,
    healthy,
    is_silent,
    kept,
    numbers,
    post,
    refused,
)
from tests.support.service import Service, event, session


def is_right(type: str, field: str, value: Any) -> bool:
    if field == "data":
        return value == {} and not data_of(type).__required_keys__
    # A comment is optional beside a score, and then may be empty.
    also = [""] if (type, field) == ("survey.responded", "comment") else []
    return json.dumps(value) in map(json.dumps, [*RIGHT.get(field, ()), *also])


def data_of(type: str) -> Any:
    data = EVENT_TYPES[type].envelope.__annotations__["data"]
    return getattr(data, "__origin__", data)


def spoiled(type: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A type's example with each field wrong in every way, left out where it is needed, and with fields too many."""
    whole, data = example_event(type), example_event(type)["data"]
    for envelope in EVENT_TYPES[type].envelope.__annotations__:
        for value in WRONG:
            if not is_right(type, envelope, value):
                yield f"{envelope}: {value!r}", whole | {envelope: value}
    for field in data_of(type).__annotations__:
        for value in WRONG:
            if not is_right(type, field, value):
                yield f"data.{field}: {value!r}", whole | {"data": data | {field: value}}
    for missing in EVENT_TYPES[type].envelope.__required_keys__:
        yield f"no {missing}", {name: value for name, value in whole.items() if name != missing}
    for missing in data_of(type).__required_keys__:
        yield f"no data.{missing}", whole | {"data": {name: value for name, value in data.items() if name != missing}}
    for strange in ("Id", "user", "__proto__", "timestamp", "", "recorded_on"):
        yield f"also {strange}", whole | {strange: CANARY}
        yield f"also data.{strange}", whole | {"data": data | {strange: CANARY}}


@pytest.mark.parametrize("type", EVENT_TYPES)
def test_no_field_of_an_event_takes_what_it_should_not(type: str, shared: Service) -> None:
    before, cases = kept(shared), list(spoiled(type))
    sound = example_event(type)["id"]
    bad = [case | ({"id": f"spoiled-{next(numbers)}"} if case.get("id") == sound else {}) for _, case in cases]
    answer = post(shared, [sent for one in bad for sent in (one, healthy())])
    assert [case for number, (case, _) in enumerate(cases) if 2 * number not in codes(answer)] == []
    assert answer.json()["accepted"] == len(cases) > 100
    assert "conflict" not in codes(answer).values()
    assert is_silent(answer)
    assert kept(shared) == before + len(cases)


def test_the_examples_themselves_are_taken(shared: Service) -> None:
    events = [example_event(type) | {"account_id": "examples"} for type in EVENT_TYPES]
    assert post(shared, events).json()["accepted"] == len(EVENT_TYPES)


def test_a_bad_event_at_any_place_keeps_its_neighbours(shared: Service) -> None:
    kinds = [
        None,
        [],
        {**healthy(), "data": {}},
        {**healthy(), "type": "un.heard"},
        {**healthy(), "occurred_at": "2026-03-16T12:00:01Z"},
        {**healthy(), "recorded_on": "2026-03-16"},
        {**healthy(), "account_id": "a\0b"},
        event("survey.responded", survey="un-heard", score=1),
        event("survey.responded", survey="nps", score=11),
        event("cost.recorded", category="retention", amount="1", currency="XXX"),
        healthy(extra={"a": "a\0b"}),
    ]
    for place in range(50):
        before = kept(shared)
        batch: list[Any] = [healthy() for _ in range(50)]
        batch[place] = kinds[place % len(kinds)]
        answer = post(shared, batch)
        assert (answer.json()["accepted"], list(codes(answer))) == (49, [place])
        assert kept(shared) == before + 49


def test_a_conflict_at_any_place_keeps_its_neighbours(shared: Service) -> None:
    post(shared, first := healthy())
    before = kept(shared)
    for place in range(0, 50, 7):
        batch = [healthy() for _ in range(50)]
        batch[place] = first | {"data": {"duration_seconds": 61}}
        assert codes(post(shared, batch)) == {place: "conflict"}
    assert kept(shared) == before + 8 * 49


INTEGERS = {"0": 0, "-0": 0, "1": 1, "2678400": 2678400}
NO_INTEGERS = [
    "-1",
    "2678401",
    "1.0",
    "1e0",
    "0.5",
    "1e2",
    "1e400",
    "1e999999999",
    str(2**63),
    "9" * 4000,
    '"1"',
    "true",
    "null",
]


def test_a_whole_number_is_written_as_one(shared: Service) -> None:
    account = f"account-{next(numbers)}"
    raws = [json.dumps(session(account, seconds=999_999)).replace("999999", text) for text in [*INTEGERS, *NO_INTEGERS]]
    answer = post(shared, f"[{','.join(raws)}]")
    assert list(codes(answer)) == list(range(len(INTEGERS), len(raws)))
    minutes = shared.row("average_session_minutes", account=account)
    assert minutes["numerator"] == pytest.approx(sum(INTEGERS.values()) / 60)


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
NO_MONEY = [
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
NO_MONEY += [
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
NO_MONEY += [
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


def test_money_is_exact_or_refused(shared: Service) -> None:
    account = f"account-{next(numbers)}"
    sent = [
        json.dumps(event("cost.recorded", account, category="retention", amount="HERE")).replace('"HERE"', text)
        for text in [*MONEY, *NO_MONEY]
    ]
    answer = post(shared, f"[{','.join(sent)}]")
    assert list(codes(answer)) == list(range(len(MONEY), len(sent)))
    # Spelled in the way in which it is kept, each is the same event again; spelled otherwise, a conflict.
    for text, amount in MONEY.items():
        again = json.loads(sent[list(MONEY).index(text)])
        again["data"]["amount"] = amount or "99999999999.9999"
        assert post(shared, again).json().get("duplicates") == 1, text
        again["data"]["amount"] = "77.0001"
        assert refused(post(shared, again), 422, "all_rejected")


@pytest.mark.parametrize("currency", ["eur", "EURO", "EU", "E1R", "EUR\n", "ЕUR", "", "XXX", "$", None, 978])
def test_a_currency_is_three_capitals_with_a_rate(currency: Any, shared: Service) -> None:
    bad = event("cost.recorded", category="retention", amount="1", currency="X")
    bad["data"]["currency"] = currency
    assert refused(post(shared, bad), 422, "all_rejected")


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
NO_TIMES = {
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


def test_a_time_is_what_rfc_3339_says_or_refused(shared: Service) -> None:
    account = f"account-{next(numbers)}"
    sent = [session(account) | {"occurred_at": at} for at in (*TIMES, *NO_TIMES, 1773144000, 1773144000.0, None, True)]
    answer = post(shared, sent)
    expected = dict(enumerate(NO_TIMES.values(), start=len(TIMES))) | dict.fromkeys(
        range(len(TIMES) + len(NO_TIMES), len(sent)), "time"
    )
    assert codes(answer) == expected
    assert is_silent(answer)
    for day in TIMES.values():
        if day <= "2026-03-15":
            there = [other for other in TIMES.values() if other == day]
            assert shared.row("sessions", account=account, period=day)["value"] == len(there)


def test_nothing_became_known_before_1970_or_after_today(shared: Service) -> None:
    days = {
        "0001-01-01": "too_old",
        "1969-12-31": "too_old",
        "2026-03-16": "in_the_future",
        "9999-12-31": "in_the_future",
    }
    answer = post(
        shared, [session(f"account-{next(numbers)}", recorded_on=day) for day in [*days, "1970-01-01", "2026-03-15"]]
    )
    assert codes(answer) == dict(enumerate(days.values()))


@pytest.mark.parametrize("field", ["responded_at", "effective_at", "ends_at"])
def test_every_other_time_is_as_strict(field: str, shared: Service) -> None:
    for at in NO_TIMES:
        if field == "ends_at":
            if NO_TIMES[at] == "time":
                answer = post(shared, event("subscription.canceled", subscription_id="s", ends_at=at))
                assert refused(answer, 422, "all_rejected"), at
        elif field == "effective_at":
            answer = post(shared, {field: at}, path="/v1/accounts/acme", method="PUT")
            assert refused(answer, 422), at
            faults = answer.json()["errors"]
            assert [fault["pointer"] for fault in faults] == ["/effective_at"]
        else:
            answered = {"id": f"answer-{next(numbers)}", "survey": "nps", "account_id": "acme", "score": 9, field: at}
            answer = post(shared, answered, path="/v1/survey-responses")
            assert refused(answer, 422, "all_rejected"), at
            assert answer.json()["rejected"][0]["pointer"] == "/responded_at"


NO_DAYS: list[Any] = [
    "2026-03-10T00:00:00Z",
    "20260310",
    "2026-3-10",
    "2026-02-29",
    "2026-00-01",
    "0000-01-01",
    "10000-01-01",
]
NO_DAYS += [
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


def test_a_day_is_spelled_as_one(shared: Service) -> None:
    for day in NO_DAYS:
        assert refused(post(shared, healthy() | {"recorded_on": day}), 422, "all_rejected"), day
        if isinstance(day, str):
            body = {"currency": "CHF", "rates": {"2026-01-01": "1", day: "1"}}
            assert refused(post(shared, body, path="/v1/exchange-rates", method="PUT"), 422), day
        for name in ("start", "end", "as_of"):
            if day is not None:
                asked = {"metrics": ["nps"], name: day}
                assert refused(post(shared, asked, path="/v1/query"), 422), day
                if isinstance(day, str):
                    answer = shared.request("GET", "/v1/metrics/nps", params={name: day})
                    assert refused(answer, 422), day
    assert "CHF" not in shared.request("GET", "/v1/exchange-rates").text


# CloudEvents


def cloudevent(**changed: Any) -> dict[str, Any]:
    number = next(numbers)
    whole = {"specversion": "1.0", "id": f"ce-{number}", "source": "/crm", "type": "session.ended", "subject": "ce"}
    whole |= {"time": "2026-03-10T12:00:00Z", "userid": "ada", "data": {"duration_seconds": 60}}
    return {name: value for name, value in (whole | changed).items() if value is not ...}


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
    "a type that nobody knows": {"type": CANARY},
    "no subject": {"subject": ...},
    "a subject that is null": {"subject": None},
    "no time": {"time": ...},
    "a time without an offset": {"time": "2026-03-10T12:00:00"},
    "no data": {"data": ...},
    "data that is a text": {"data": '{"duration_seconds": 60}'},
    "data that is null": {"data": None},
    "base64 that is none": {"data": ..., "data_base64": "***" + CANARY},
    "base64 that is no ASCII": {"data": ..., "data_base64": "é"},
    "base64 of no JSON": {"data": ..., "data_base64": base64.b64encode(b"{" + CANARY.encode()).decode()},
    "base64 that is a number": {"data": ..., "data_base64": 1},
    "base64 of a key twice": {"data": ..., "data_base64": base64.b64encode(b'{"a":1,"a":1}').decode()},
}


@pytest.mark.parametrize("case", BROKEN_CLOUDEVENTS)
def test_a_cloudevent_that_is_broken_is_rejected_alone(case: str, shared: Service) -> None:
    broken = cloudevent(**BROKEN_CLOUDEVENTS[case])
    assert refused(post(shared, broken, ONE), 422, "all_rejected")
    before = kept(shared, "ce")
    answer = post(shared, [cloudevent(), broken, cloudevent()], BATCH)
    assert (answer.json()["accepted"], list(codes(answer))) == (2, [1])
    assert is_silent(answer)
    assert kept(shared, "ce") == before + 2


def binary(service: Service, data: Any, *more: tuple[str, str | bytes], **attributes: str | bytes) -> httpx.Response:
    """A CloudEvent whose attributes are headers."""
    whole = {name: value for name, value in cloudevent().items() if name != "data"} | attributes
    headers = [("content-type", JS), *((f"ce-{name}", value) for name, value in whole.items()), *more]
    return service.request("POST", "/v1/events", content=json.dumps(data).encode(), headers=headers)


def test_two_cloudevents_of_different_names_are_two(shared: Service) -> None:
    before = kept(shared, "ce")
    names = ["a b", "a%20b", "%C3%A9", "%25", "%", "%zz", "%F0%9F%98%80", "100%25", "a%2Fb"]
    accepted = [binary(shared, {"duration_seconds": 60}, id=name).json()["accepted"] for name in names]
    assert accepted == [1, 0, 1, 1, 0, 1, 1, 1, 1]  # `a b` is `a%20b`, and `%25` is `%`
    assert kept(shared, "ce") == before + sum(accepted)


@pytest.mark.parametrize("id", ["%FF", "%FE", "a%C3", "%00", "%0A", "%0d%0a", b"\xc3\xa9", b"\xe9", "%ED%A0%80"])
def test_a_header_of_a_cloudevent_is_percent_encoded_utf_8(id: str | bytes, shared: Service) -> None:
    assert refused(binary(shared, {"duration_seconds": 60}, id=id), 422, "all_rejected")


def test_an_attribute_of_a_cloudevent_is_given_once(shared: Service) -> None:
    assert refused(binary(shared, {"duration_seconds": 60}, ("ce-id", "another")), 422, "all_rejected")


def test_a_cloudevent_of_long_names_is_kept_and_told_apart(shared: Service) -> None:
    for kept_as in ("accepted", "duplicates"):
        for id in ("a" * 500, "a" * 499 + "b"):
            assert post(shared, cloudevent(id=id), ONE).json()[kept_as] == 1


# Answers to surveys


def survey_answer(**changed: Any) -> dict[str, Any]:
    whole = {"id": f"answer-{next(numbers)}", "survey": "nps", "account_id": "surveyed", "user_id": "ada", "score": 9}
    whole |= {"comment": "Good.", "channel": "email", "tags": ["a"], "responded_at": "2026-03-10T12:00:00Z"}
    return whole | changed


def test_no_field_of_a_survey_answer_takes_what_it_should_not(shared: Service) -> None:
    right = RIGHT | {"survey": []}
    fields = [*survey_answer(), "extra", "recorded_on"]
    cases = [
        (field, value)
        for field in fields
        for value in WRONG
        if json.dumps(value) not in map(json.dumps, right.get(field, ())) and (field, value) != ("comment", "")
    ]
    cases += [("score", value) for value in (11, -1, 9.0, "9", 2**63, True)]
    cases += [(strange, "x") for strange in ("data", "type", "occurred_at", "Score", "__proto__", "")]
    bad = [survey_answer(**{field: value}) for field, value in cases]
    batch = [sent for one in bad for sent in (one, survey_answer())]
    answer = post(shared, batch, path="/v1/survey-responses")
    assert [cases[i // 2] for i in range(0, len(batch), 2) if i not in codes(answer)] == []
    assert answer.json()["accepted"] == len(cases)
    assert not [rejected for rejected in answer.json()["rejected"] if rejected["pointer"].startswith("/data/")]
    row = shared.row("survey_responses", account="surveyed")
    assert row["value"] == len(cases)
