"""Hostile and mistaken bodies of PUT, POST and PATCH: accounts, surveys, rates, segments, targets, keys and questions."""

import json
import re
from copy import deepcopy
from typing import Any

import pytest

from tests.support.hostile import CANARY, ENDPOINTS, INVALID_VALUES, is_problem, post
from tests.support.service import Service

# Values of `INVALID_VALUES` that are nevertheless valid in a field of a body.
ALSO_VALID: dict[str, list[Any]] = {
    "name": ["12", None],
    "attributes": [{}, {"__proto__": 1}, {CANARY: CANARY}],
    "effective_at": [None],
    "satisfied_from": [None],
    "question": [None, "", "12", "a\n" + CANARY, "\x1b[31m"],
    "metrics": [],
    "status": [None],
    # A baseline has to be below the target, which is 40, and a target above the baseline.
    "baseline": [None, "12", -1, 1.5],
    "from": [None],
    "until": [None],
    "path": [None],
    "each_account": [True],
    "below": ["12", -1, 1.5],
    "margin": [None, "12", 1.5],
    "topic": [None],
    "secret": [None],
    "note": [None, "", "12", "a\n" + CANARY, "\x1b[31m"],
    "effective_from": [None],
    "description": [None, "", "12", "a\n" + CANARY, "\x1b[31m"],
    "bands": [{}],
    # Not valid, but the answer names the category.
    "categories": [{CANARY: CANARY}],
    "segment_weights": [[]],
}


def test_every_endpoint_with_a_body_is_in_the_table(shared: Service) -> None:
    paths = shared.app.openapi()["paths"]
    endpoints = {
        (method.upper(), path)
        for path in paths
        for method in paths[path]
        if "application/json" in paths[path][method].get("requestBody", {"content": {}})["content"]
    }
    assert {(method, re.sub(r"/\{\w+\}", "", path)) for method, path in endpoints} == {
        (method, re.sub("/(acme|review|paying|goal|calls|none|YWNtZQByLTE)", "", path)) for method, path in ENDPOINTS
    }


def load_state(service: Service) -> list[Any]:
    paths = ["accounts/acme", "surveys", "exchange-rates", "segments", "targets", "keys", "health-model/versions"]
    return [service.get(f"/v1/{path}") for path in paths]


@pytest.mark.parametrize("endpoint", [endpoint for endpoint, body in ENDPOINTS.items() if body], ids=" ".join)
def test_wrong_values_are_rejected_in_every_field_of_every_body(endpoint: tuple[str, str], shared: Service) -> None:
    shared.put("/v1/accounts/acme", ENDPOINTS["PUT", "/v1/accounts/acme"])
    (method, path), valid, before = endpoint, ENDPOINTS[endpoint], load_state(shared)
    assert valid is not None
    for field in valid:
        for value in INVALID_VALUES:
            also_valid = [] if (path, field, value) == ("/v1/keys", "name", None) else ALSO_VALID.get(field, [])
            if json.dumps(value) in map(json.dumps, also_valid):
                continue
            answer = post(shared, deepcopy(valid) | {field: value}, path=path, method=method)
            if path == "/v1/query" and value in ("12", [CANARY]):
                assert is_problem(answer, 422, "unknown_metric")
            else:
                assert is_problem(answer, 422), (field, value)
    for name in ("Id", "id", "__proto__", "api_key", ""):
        assert is_problem(post(shared, valid | {name: CANARY}, path=path, method=method), 422)
    assert load_state(shared) == before


SURVEYS: dict[str, dict[str, Any]] = {
    "nps on 0-9": {"kind": "nps", "scale": {"min": 0, "max": 9}},
    "nps on 1-5": {"kind": "nps", "scale": {"min": 1, "max": 5}},
    "nps with an easy end": {"kind": "nps", "scale": {"min": 0, "max": 10}, "easy_is": "low"},
    "nps with satisfaction": {"kind": "nps", "scale": {"min": 0, "max": 10}, "satisfied_from": 9},
    "min above max": {"kind": "csat", "scale": {"min": 5, "max": 1}},
    "a scale of one score": {"kind": "csat", "scale": {"min": 5, "max": 5}},
    "below zero": {"kind": "csat", "scale": {"min": -1, "max": 5}},
    "a long scale": {"kind": "csat", "scale": {"min": 0, "max": 101}},
    "a very long scale": {"kind": "csat", "scale": {"min": 0, "max": 2**63}},
    "a scale of texts": {"kind": "csat", "scale": {"min": "1", "max": "5"}},
    "a scale of fractions": {"kind": "csat", "scale": {"min": 1, "max": 5.5}},
    "a scale of booleans": {"kind": "csat", "scale": {"min": False, "max": True}},
    "a scale with an unknown field": {"kind": "csat", "scale": {"min": 1, "max": 5, "step": 1}},
    "a scale without a maximum": {"kind": "csat", "scale": {"min": 1}},
    "every score is satisfied": {"kind": "csat", "scale": {"min": 1, "max": 5}, "satisfied_from": 1},
    "no score is satisfied": {"kind": "csat", "scale": {"min": 1, "max": 5}, "satisfied_from": 6},
    "ces without an easy end": {"kind": "ces", "scale": {"min": 1, "max": 7}},
    "ces with another end": {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": "left"},
    "another kind": {"kind": CANARY, "scale": {"min": 1, "max": 7}},
    "a question with U+0000": {"kind": "nps", "scale": {"min": 0, "max": 10}, "question": f"a\0{CANARY}"},
    "a question that is too long": {"kind": "nps", "scale": {"min": 0, "max": 10}, "question": CANARY * 2000},
}


@pytest.mark.parametrize("case", SURVEYS)
def test_an_inconsistent_survey_is_rejected(case: str, shared: Service) -> None:
    assert is_problem(post(shared, SURVEYS[case], path="/v1/surveys/senseless", method="PUT"), 422)
    assert "senseless" not in [survey["id"] for survey in shared.get("/v1/surveys")["surveys"]]


def test_a_scale_may_be_written_with_decimal_points(service: Service) -> None:
    service.put("/v1/surveys/visit", {"kind": "csat", "scale": {"min": 1.0, "max": 10.0}, "satisfied_from": 8.0})
    (survey,) = [survey for survey in service.get("/v1/surveys")["surveys"] if survey["id"] == "visit"]
    assert json.dumps([survey["scale"], survey["satisfied_from"]]) == '[{"min": 1, "max": 10}, 8]'


INVALID_RATES = [
    "0",
    "0.0",
    "-1",
    "1e3",
    "0.000000001",
    "1000000001",
    "1.2.3",
    ".",
    "",
    " 1",
    "1 ",
    "NaN",
    "Infinity",
    "١",
    "1_0",
]
INVALID_RATES += ["1" * 21, "0x1", "+1", "1,5"]


def test_a_rate_is_a_decimal_above_zero(shared: Service) -> None:
    for rate in [*INVALID_RATES, 0, -1, True, None, [], {}, 10**18, 1e-9]:
        body = {"currency": "SEK", "rates": {"2026-01-01": "0.1", "2026-01-02": rate}}
        assert is_problem(post(shared, body, path="/v1/exchange-rates", method="PUT"), 422), rate
    for raw in ("1e400", "1e999999999", "1e-999999999", "9" * 4000, "-0", "0.0"):
        text = '{"currency": "SEK", "rates": {"2026-01-01": HERE}}'.replace("HERE", raw)
        assert is_problem(post(shared, text, path="/v1/exchange-rates", method="PUT"), 422), raw
    assert "SEK" not in shared.request("GET", "/v1/exchange-rates").text


def test_true_and_one_are_different_attribute_values(shared: Service) -> None:
    account, at = "/v1/accounts/typed", {"effective_at": "2026-03-01T00:00:00Z"}
    for value in (1, True, "1", "true", 0, False, 1.5, None):
        shared.put(account, at | {"attributes": {"tier": value, "also": "x"}})
        stored = json.dumps(shared.get(account)["attributes"].get("tier"))
        assert stored == json.dumps(value)
