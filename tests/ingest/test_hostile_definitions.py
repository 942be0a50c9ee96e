"""Hostile and mistaken definitions: accounts, surveys, rates, segments, keys and questions that make no sense."""

import json
import re
from copy import deepcopy
from typing import Any

import pytest

from tests.support.hostile import CANARY, DOORS, WRONG, post, refused
from tests.support.service import Service

# What a field of a body may also be, beside what the table of doors has.
ALSO_RIGHT: dict[str, list[Any]] = {
    "name": ["12", None],
    "attributes": [{}, {"__proto__": 1}, {CANARY: CANARY}],
    "effective_at": [None],
    "satisfied_from": [None],
    "question": [None, "", "12", "a\n" + CANARY, "\x1b[31m"],
    "metrics": [],
    "status": [None],
    "note": [None, "", "12", "a\n" + CANARY, "\x1b[31m"],
}


def test_every_door_that_takes_a_body_is_in_the_table(shared: Service) -> None:
    paths = shared.app.openapi()["paths"]
    found = {(method.upper(), path) for path in paths for method in paths[path] if "requestBody" in paths[path][method]}
    assert {(method, re.sub(r"/\{\w+\}", "", path)) for method, path in found} == {
        (method, re.sub("/(acme|review|paying|YWNtZQByLTE)", "", path)) for method, path in DOORS
    }


def state(service: Service) -> list[Any]:
    paths = ("/v1/accounts/acme", "/v1/surveys", "/v1/exchange-rates", "/v1/segments", "/v1/keys")
    return [service.get(path) for path in paths]


@pytest.mark.parametrize("door", [door for door, body in DOORS.items() if body], ids=" ".join)
def test_no_field_of_any_body_takes_what_it_should_not(door: tuple[str, str], shared: Service) -> None:
    shared.put("/v1/accounts/acme", DOORS["PUT", "/v1/accounts/acme"])
    (method, path), whole, before = door, DOORS[door], state(shared)
    assert whole is not None
    for field in whole:
        for value in WRONG:
            also = [] if (path, field, value) == ("/v1/keys", "name", None) else ALSO_RIGHT.get(field, [])
            if json.dumps(value) in map(json.dumps, also):
                continue
            answer = post(shared, deepcopy(whole) | {field: value}, path=path, method=method)
            if path == "/v1/query" and value in ("12", [CANARY]):
                assert refused(answer, 422, "unknown_metric")
            else:
                assert refused(answer, 422), (field, value)
    for strange in ("Id", "id", "__proto__", "api_key", ""):
        assert refused(post(shared, whole | {strange: CANARY}, path=path, method=method), 422)
    assert state(shared) == before


SURVEYS: dict[str, dict[str, Any]] = {
    "nps on 0-9": {"kind": "nps", "scale": {"min": 0, "max": 9}},
    "nps on 1-5": {"kind": "nps", "scale": {"min": 1, "max": 5}},
    "nps with an easy end": {"kind": "nps", "scale": {"min": 0, "max": 10}, "easy_is": "low"},
    "nps with satisfaction": {"kind": "nps", "scale": {"min": 0, "max": 10}, "satisfied_from": 9},
    "upside down": {"kind": "csat", "scale": {"min": 5, "max": 1}},
    "one point": {"kind": "csat", "scale": {"min": 5, "max": 5}},
    "below zero": {"kind": "csat", "scale": {"min": -1, "max": 5}},
    "a long scale": {"kind": "csat", "scale": {"min": 0, "max": 101}},
    "a very long scale": {"kind": "csat", "scale": {"min": 0, "max": 2**63}},
    "a scale of texts": {"kind": "csat", "scale": {"min": "1", "max": "5"}},
    "a scale of fractions": {"kind": "csat", "scale": {"min": 1.0, "max": 5.0}},
    "a scale of truths": {"kind": "csat", "scale": {"min": False, "max": True}},
    "a scale with more": {"kind": "csat", "scale": {"min": 1, "max": 5, "step": 1}},
    "half a scale": {"kind": "csat", "scale": {"min": 1}},
    "all are satisfied": {"kind": "csat", "scale": {"min": 1, "max": 5}, "satisfied_from": 1},
    "nobody is": {"kind": "csat", "scale": {"min": 1, "max": 5}, "satisfied_from": 6},
    "ces without an easy end": {"kind": "ces", "scale": {"min": 1, "max": 7}},
    "ces with another end": {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": "left"},
    "another kind": {"kind": CANARY, "scale": {"min": 1, "max": 7}},
    "a question with U+0000": {"kind": "nps", "scale": {"min": 0, "max": 10}, "question": f"a\0{CANARY}"},
    "a question that is too long": {"kind": "nps", "scale": {"min": 0, "max": 10}, "question": CANARY * 2000},
}


@pytest.mark.parametrize("case", SURVEYS)
def test_a_survey_that_makes_no_sense_is_not_declared(case: str, shared: Service) -> None:
    assert refused(post(shared, SURVEYS[case], path="/v1/surveys/senseless", method="PUT"), 422)
    assert "senseless" not in [survey["id"] for survey in shared.get("/v1/surveys")["surveys"]]


NO_RATES = [
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
NO_RATES += ["1" * 21, "0x1", "+1", "1,5"]


def test_a_rate_is_a_decimal_above_zero(shared: Service) -> None:
    for rate in [*NO_RATES, 0, -1, True, None, [], {}, 10**18, 1e-9]:
        body = {"currency": "SEK", "rates": {"2026-01-01": "0.1", "2026-01-02": rate}}
        assert refused(post(shared, body, path="/v1/exchange-rates", method="PUT"), 422), rate
    for raw in ("1e400", "1e999999999", "1e-999999999", "9" * 4000, "-0", "0.0"):
        text = '{"currency": "SEK", "rates": {"2026-01-01": HERE}}'.replace("HERE", raw)
        assert refused(post(shared, text, path="/v1/exchange-rates", method="PUT"), 422), raw
    assert "SEK" not in shared.request("GET", "/v1/exchange-rates").text


def test_true_and_one_are_not_the_same(shared: Service) -> None:
    account, at = "/v1/accounts/typed", {"effective_at": "2026-03-01T00:00:00Z"}
    for value in (1, True, "1", "true", 0, False, 1.5, None):
        shared.put(account, at | {"attributes": {"tier": value, "also": "x"}})
        found = json.dumps(shared.get(account)["attributes"].get("tier"))
        assert found == json.dumps(value)
