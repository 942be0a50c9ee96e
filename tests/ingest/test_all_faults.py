"""A rejected event lists everything that is wrong with it, each with its place, and names what does not exist."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.define import EVENT_TYPES
from app.ingest.schemas import example_event
from tests.support.hostile import CANARY, is_problem, post, serial_numbers, without_deadline
from tests.support.service import Service, event, session

UNKNOWN = "extra_forbidden"


def reject(service: Service, *events: Any, path: str = "/v1/events") -> list[dict[str, Any]]:
    """Send events that are all rejected, and return the rejections."""
    answer = post(service, list(events), path=path)
    assert is_problem(answer, 422, "all_rejected"), answer.text
    problem = answer.json()
    assert (problem["accepted"], problem["duplicates"]) == (0, 0)
    for rejection in problem["rejected"]:
        first = rejection["errors"][0]
        assert (rejection["pointer"], rejection["code"], rejection["detail"]) == (
            first["pointer"],
            first["code"],
            first["detail"],
        )
    return problem["rejected"]


def places(rejection: dict[str, Any]) -> list[tuple[str, str]]:
    return [(fault["pointer"], fault["code"]) for fault in rejection["errors"]]


def test_the_faults_of_fields_of_times_and_of_permissions_are_listed_together(shared: Service) -> None:
    bad = {
        "id": "one",
        "type": "feature.used",
        "account_id": "acme",
        "occurred_at": "2026-03-20T00:00:00Z",
        "recorded_on": "2026-04-01",
        "plan": "pro",
        "data": {"fetaure": "export", "count": "3"},
    }
    [rejection] = reject(shared, bad)
    assert set(places(rejection)) == {
        ("/user_id", "missing"),
        ("/data/feature", "missing"),
        ("/data/count", "int_type"),
        ("/data/fetaure", "extra_forbidden"),
        ("/plan", "extra_forbidden"),
        ("/occurred_at", "in_the_future"),
        ("/recorded_on", "in_the_future"),
    }
    named = {fault["name"]: fault["did_you_mean"] for fault in rejection["errors"] if "name" in fault}
    assert named == {"fetaure": ["feature"], "plan": []}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"survey": "npss", "score": "9"}, [("/data/score", "int_type"), ("/data/survey", "unknown_survey")]),
        (
            {"survey": "nps", "score": 11, "chanel": 1},
            [("/data/chanel", UNKNOWN), ("/data/score", "score_out_of_range")],
        ),
        ({"survey": "npss", "score": 11}, [("/data/survey", "unknown_survey")]),
        ({"survey": 5, "score": 11}, [("/data/survey", "string_type")]),
        ({"survey": "nps"}, [("/data/score", "missing")]),
    ],
    ids=repr,
)
def test_the_faults_of_a_survey_response_and_of_its_survey_are_listed_together(
    data: dict[str, Any], expected: list[tuple[str, str]], shared: Service
) -> None:
    [rejection] = reject(shared, event("survey.responded", **data))
    assert places(rejection) == expected
    assert [fault["did_you_mean"] for fault in rejection["errors"] if fault["code"] == "unknown_survey"] in (
        [],
        [["nps"]],
    )


def test_the_fault_of_a_currency_is_listed_with_others_and_names_it(shared: Service) -> None:
    [rejection] = reject(shared, event("purchase.completed", order_id="", amount="5", currency="CHF"))
    assert places(rejection) == [("/data/order_id", "string_too_short"), ("/data/currency", "no_exchange_rate")]
    assert "CHF" in rejection["errors"][1]["detail"]


def test_an_unknown_type_is_named_and_the_envelope_is_checked(shared: Service) -> None:
    bad = {"id": "", "type": "sesion.ended", "occured_at": "2026-03-10T00:00:00Z", "data": [1]}
    [rejection, none, number] = reject(shared, bad, {"id": "2", "occurred_at": "soon"}, {"type": ["x"], "id": "3"})
    assert rejection["errors"][0]["did_you_mean"] == ["session.ended"]
    assert places(rejection) == [
        ("/type", "unknown_type"),
        ("/id", "string_too_short"),
        ("/occurred_at", "missing"),
        ("/occured_at", "extra_forbidden"),
    ]
    assert places(none) == [("/type", "missing"), ("/occurred_at", "time")]
    assert places(number) == [("/type", "unknown_type"), ("/occurred_at", "missing")]


@pytest.mark.parametrize("fields", [{"type": "no.such_type"}, {"type": 7}, {"type": None}])
def test_an_event_of_no_type_may_be_in_the_future(shared: Service, fields: dict[str, Any]) -> None:
    raw = event("session.ended", at="2030-01-01", duration_seconds=1) | fields
    [rejection] = reject(shared, raw)
    [fault] = [own for own in rejection["errors"] if own["pointer"] == "/occurred_at"]
    assert fault["code"] == "in_the_future" and '"data"' not in fault["detail"]


def test_unknown_fields_of_a_survey_response_are_named_as_it_has_them(shared: Service) -> None:
    bad = {"id": "1", "survey": "nps", "account": "acme", "scor": 9, "respondedat": "2026-03-10T00:00:00Z"}
    [rejection] = reject(shared, bad, path="/v1/survey-responses")
    assert {(fault["pointer"], *fault.get("did_you_mean", ())) for fault in rejection["errors"]} == {
        ("/account_id",),
        ("/responded_at",),
        ("/score",),
        ("/account", "account_id"),
        ("/scor", "score"),
        ("/respondedat", "responded_at"),
    }
    assert "occurred_at" not in json.dumps(rejection)


def test_the_faults_of_an_account_point_into_the_body(shared: Service) -> None:
    body = {"name": "Acme", "attributes": {"name": "Other"}, "effective_at": "1960-01-01T00:00:00Z"}
    answer = post(shared, body, path="/v1/accounts/acme", method="PUT")
    assert is_problem(answer, 422)
    faults = [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]]
    assert faults == [("", "two_names"), ("/effective_at", "too_old")]


def test_very_many_faults_are_counted_but_not_listed(shared: Service) -> None:
    [rejection] = reject(shared, session() | {f"{CANARY.lower()}{number}": 1 for number in range(500)})
    assert len(rejection["errors"]) == 21
    assert rejection["errors"][-1] == {
        "pointer": "",
        "code": "too_many_faults",
        "detail": "The event has 480 more faults.",
    }


def test_one_typo_in_many_events_gets_the_same_suggestion_in_each(shared: Service) -> None:
    bad = [session() | {"data": {"duration_secs": 5}} for _ in range(300)]
    for rejection in reject(shared, *bad):
        [_, unknown] = rejection["errors"]
        assert unknown["did_you_mean"] == ["duration_seconds"]


SURVEYS: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "ces without an easy end": ({"kind": "ces", "scale": {"min": 1, "max": 7}}, [("/easy_is", "missing")]),
    "nps with everything": (
        {"kind": "nps", "scale": {"min": 1, "max": 7}, "easy_is": "low", "satisfied_from": 5},
        [("/scale", "scale"), ("/easy_is", "other_kind"), ("/satisfied_from", "other_kind")],
    ),
    "a scale upside down": ({"kind": "csat", "scale": {"min": 5, "max": 1}}, [("/scale/max", "scale")]),
    "every score satisfied": (
        {"kind": "csat", "scale": {"min": 0, "max": 5}, "satisfied_from": 0},
        [("/satisfied_from", "scale")],
    ),
    "typos": (
        {"knd": "csat", "scale": {"min": 1, "mx": 5}},
        [("/kind", "missing"), ("/scale/max", "missing"), ("/scale/mx", UNKNOWN), ("/knd", UNKNOWN)],
    ),
}


@pytest.mark.parametrize("case", SURVEYS)
def test_the_faults_of_a_survey_point_at_its_fields(case: str, shared: Service) -> None:
    body, expected = SURVEYS[case]
    answer = post(shared, body, path="/v1/surveys/visit", method="PUT")
    assert is_problem(answer, 422, "invalid")
    assert [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]] == expected


# What makes a field wrong, and the field.
MUTATIONS: dict[str, tuple[str, Any]] = {
    "/id": ("id", ""),
    "/account_id": ("account_id", 5),
    "/user_id": ("user_id", ""),
    "/occurred_at": ("occurred_at", "2026-03-10"),
    "/recorded_on": ("recorded_on", "soon"),
    "/unheard": ("unheard", 1),
}


@without_deadline
@given(st.sampled_from(sorted(EVENT_TYPES)), st.sets(st.sampled_from(sorted(MUTATIONS)), min_size=1), st.booleans())
def test_an_event_with_several_wrong_fields_has_a_fault_for_each(
    shared: Service, type: str, pointers: set[str], is_data_wrong: bool
) -> None:
    sent = example_event(type) | {"id": f"wrong-{next(serial_numbers)}"}
    for pointer in pointers:
        field, value = MUTATIONS[pointer]
        sent[field] = value
    if is_data_wrong:
        sent["data"] = sent["data"] | {"unheard": 1}
    [rejection] = reject(shared, sent)
    expected = pointers | ({"/data/unheard"} if is_data_wrong else set())
    assert {fault["pointer"] for fault in rejection["errors"]} == expected


def test_the_openapi_document_has_the_problem_of_a_batch_without_any_accepted_event(shared: Service) -> None:
    document = shared.get("/openapi.json")
    for path in ("/v1/events", "/v1/survey-responses"):
        schema = document["paths"][path]["post"]["responses"]["422"]["content"]["application/problem+json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/Problem"}
    components = document["components"]["schemas"]
    assert components["Problem"]["properties"].keys() >= {"accepted", "duplicates", "rejected"}
    assert components["Rejection"]["properties"]["errors"]["items"] == {"$ref": "#/components/schemas/Fault"}
    assert set(components["Fault"]["properties"]) == {"pointer", "code", "detail", "name", "did_you_mean"}
