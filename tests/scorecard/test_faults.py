"""A target that makes no sense is refused with all its faults at once, and nothing is stored."""

# ruff: noqa: E501
# One line a case, so that the table can be read as a table.

from typing import Any

import pytest

from app.scorecard.targets import MAX_TARGETS
from tests.scorecard.cards import faults, put, satisfaction
from tests.support.service import Service, account_update, session

GOOD: dict[str, Any] = {"metric": "nps", "granularity": "month", "value": 40}
RANGE = {"from": "2026-01-01", "until": "2026-12-31"}
LINE = RANGE | {"path": "linear", "baseline": 10}


def dated(*days: str) -> dict[str, Any]:
    return RANGE | {"path": [{"until": day, "value": 30} for day in days]}


CASES: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("an unknown metric", {"metric": "npss"}, {"/metric": "unknown_metric"}),
    ("an unknown convention", {"convention": "fast"}, {"/convention": "unknown_convention"}),
    ("an unknown segment", {"segment": "large"}, {"/segment": "unknown_segment"}),
    ("an attribute that nobody has", {"filter": "plann = 'pro'"}, {"/filter": "unrecorded_attribute"}),
    ("a filter that cannot be read", {"filter": "plan ="}, {"/filter": "invalid_filter"}),
    ("an unknown subject", {"subject": "npss"}, {"/subject": "unknown_subject"}),
    ("an unknown channel", {"channel": "fax"}, {"/channel": "unknown_channel"}),
    ("a metric without subjects", {"metric": "customers", "subject": "nps"}, {"/subject": "unknown_dimension"}),
    ("an unknown granularity", {"granularity": "months"}, {"/granularity": "literal_error"}),
    ("a missing metric", {"metric": None}, {"/metric": "missing"}),
    ("a missing value", {"value": None}, {"/value": "missing"}),
    ("no direction where it is needed", {"metric": "feedback_comments"}, {"/direction": "missing"}),
    ("another direction", {"direction": "down"}, {"/direction": "other_direction"}),
    ("an unknown direction", {"direction": "upp"}, {"/direction": "literal_error"}),
    ("a share of more than all", {"metric": "csat", "value": 101}, {"/value": "impossible_value"}),
    ("a negative number of customers", {"metric": "customers", "value": -1}, {"/value": "impossible_value"}),
    ("a score beyond the scale", {"value": -100.5}, {"/value": "impossible_value"}),
    ("a baseline beyond the scale", {"baseline": -101}, {"/baseline": "impossible_value"}),
    ("money with too many decimals", {"metric": "mrr", "value": "1.00001"}, {"/value": "impossible_value"}),
    ("money beyond all measure", {"metric": "mrr", "value": "100000000000"}, {"/value": "impossible_value"}),
    ("a number with a comma", {"value": "1,000"}, {"/value": "invalid_number"}),
    ("a number with an exponent as a text", {"value": "1e3"}, {"/value": "invalid_number"}),
    ("a number of too many digits", {"value": 1e300}, {"/value": "invalid_number"}),
    ("a truth value", {"value": True}, {"/value": "invalid_number"}),
    ("the baseline as target", {"baseline": 40}, {"/baseline": "baseline"}),
    ("a baseline on the other side", {"baseline": 50}, {"/baseline": "baseline"}),
    ("a baseline below a churn rate", {"metric": "customer_churn_rate", "value": 3, "baseline": 2}, {"/baseline": "baseline"}),
    ("a baseline among dated values", dated("2026-03-01") | {"baseline": 30}, {"/baseline": "baseline"}),
    ("from after until", {"from": "2026-05-01", "until": "2026-04-01"}, {"/until": "invalid_period"}),
    ("from equal to until", {"from": "2026-05-01", "until": "2026-05-01"}, {"/until": "invalid_period"}),
    ("until before the current period", {"until": "2026-03-01"}, {"/until": "invalid_period"}),
    ("a year that has no days", {"from": "1969-12-31"}, {"/from": "invalid_period"}),
    ("no date", {"from": "2026-02-30"}, {"/from": "date"}),
    ("a line without ends", {"path": "linear"}, {"/baseline": "missing", "/from": "missing", "/until": "missing"}),
    ("one period without ends", {"granularity": "total"}, {"/from": "missing", "/until": "missing"}),
    ("an unknown path", LINE | {"path": "curve"}, {"/path": "literal_error"}),
    ("no dated values", RANGE | {"path": []}, {"/path": "too_short"}),
    ("dated values before the beginning", dated("2026-01-01"), {"/path/0/until": "path"}),
    ("dated values after the end", dated("2026-12-31"), {"/path/0/until": "path"}),
    ("days that do not increase", dated("2026-04-01", "2026-03-01"), {"/path/1/until": "path"}),
    ("the same day twice", dated("2026-04-01", "2026-04-01"), {"/path/1/until": "path"}),
    ("dated values of one period", dated("2026-04-01") | {"granularity": "total"}, {"/path": "path"}),
    ("a dated value beyond the scale", RANGE | {"path": [{"until": "2026-04-01", "value": 400}]}, {"/path/0/value": "impossible_value"}),
    ("a dated value without a day", RANGE | {"path": [{"value": 30}]}, {"/path/0/until": "missing"}),
    ("an unknown field", {"target": 40}, {"/target": "extra_forbidden"}),
    ("an unknown field of a path", RANGE | {"path": [{"until": "2026-04-01", "value": 3, "on": 1}]}, {"/path/0/on": "extra_forbidden"}),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_fault_is_found(body: dict[str, Any], expected: dict[str, str], shared: Service) -> None:
    shared.send(account_update(plan="pro"), session())
    target = {name: value for name, value in (GOOD | body).items() if value is not None}
    assert faults(shared, target) == expected


def test_all_faults_are_found_at_once(service: Service) -> None:
    found = faults(
        service,
        {
            "metric": "csatt",
            "granularity": "fortnight",
            "value": "many",
            "segment": "large",
            "filter": "plan = 'pro'",
            "from": "2026-05-01",
            "until": "2026-04-01",
            "path": [{"until": "2026-05-02", "value": 1}, {"until": "tomorrow", "value": 2}],
            "goal": 1,
        },
    )
    assert found == {
        "/granularity": "literal_error",
        "/value": "invalid_number",
        "/path/1/until": "date",
        "/goal": "extra_forbidden",
        "/metric": "unknown_metric",
        "/until": "invalid_period",
        "/segment": "unknown_segment",
        "/filter": "unrecorded_attribute",
    }


def test_a_wrong_name_comes_with_the_nearest_ones(service: Service) -> None:
    service.send(account_update(plan="pro"))
    service.put("/v1/segments/large", {"filter": 'plan = "pro"'})
    body = GOOD | {"metric": "average_resolution_hour", "segment": "larg", "filter": "plam = 1"}
    answer = service.request("PUT", "/v1/targets/x", json=body).json()
    assert {fault["pointer"]: fault["did_you_mean"][0] for fault in answer["errors"]} == {
        "/metric": "average_resolution_hours",
        "/segment": "large",
        "/filter": "plan",
    }
    put(service, "satisfaction", "csat", 80)
    answer = service.request("GET", "/v1/targets/satisfactin/history").json()
    assert (answer["code"], answer["errors"][0]["did_you_mean"]) == ("unknown_target", ["satisfaction"])


def test_with_strict_false_a_target_is_put_before_its_data(service: Service) -> None:
    body = GOOD | {"filter": 'plan = "pro"', "subject": "spring", "channel": "fax"}
    assert faults(service, body).keys() == {"/filter", "/subject", "/channel"}
    assert service.request("PUT", "/v1/targets/goal?strict=false", json=body).status_code == 200
    assert faults(service, body | {"segment": "large"}, strict="false") == {"/segment": "unknown_segment"}


def test_two_targets_of_the_same_question_are_duplicates(service: Service) -> None:
    put(service, "first", "nps", 40, since="2026-01-01", until="2026-07-01")
    assert faults(service, GOOD) == {"/metric": "duplicate_target"}
    answer = service.request("PUT", "/v1/targets/second", json=GOOD | {"value": 50})
    assert 'The target "first"' in answer.json()["detail"]
    put(service, "later", "nps", 50, since="2026-07-01")
    put(service, "by quarter", "nps", 40, "quarter")
    put(service, "of a survey", "nps", 40, subject="nps")
    put(service, "first", "nps", 45, until="2026-07-01")
    service.request("DELETE", "/v1/targets/first")
    put(service, "second", "nps", 50, until="2026-07-01")


def test_there_are_not_too_many_targets(service: Service) -> None:
    for number in range(MAX_TARGETS):
        put(
            service,
            f"t{number:03}",
            "customers",
            1,
            "day",
            since=f"{2030 + number}-01-01",
            until=f"{2030 + number}-02-01",
        )
    assert faults(service, GOOD) == {"": "too_many_targets"}
    service.request("DELETE", "/v1/targets/t000")
    put(service, "nps", "nps", 40)
    put(service, "t001", "customers", 2, "day", until="2026-04-01")


@pytest.mark.parametrize("body", [[], "target", 1])
def test_a_body_that_is_no_object_is_refused(body: Any, shared: Service) -> None:
    answer = shared.request("PUT", "/v1/targets/wrong", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "model_type")


@pytest.mark.parametrize(
    ("parameters", "pointer", "code"),
    [
        ({"period": "2026-13"}, "/query/period", "invalid_period"),
        ({"period": "2026", "start": "2026-01-01"}, "/query/period", "invalid_period"),
        ({"start": "2026-02-01", "end": "2026-02-01"}, "/query/end", "invalid_period"),
        ({"as_of": "2026-03-16"}, "/query/as_of", "invalid_as_of"),
        ({"as_of": "1969-12-31"}, "/query/as_of", "invalid_as_of"),
        ({"status": "late"}, "/query/status/0", "literal_error"),
        ({"limit": 0}, "/query/limit", "greater_than_equal"),
        ({"cursor": "x"}, "/query/cursor", "invalid_cursor"),
        ({"statuss": "met"}, "/query/statuss", "extra_forbidden"),
    ],
)
def test_a_scorecard_of_nonsense_is_refused(
    parameters: dict[str, Any], pointer: str, code: str, shared: Service
) -> None:
    answer = shared.request("GET", "/v1/scorecard", params=parameters)
    assert answer.status_code == 422
    [fault] = answer.json()["errors"]
    assert (fault["pointer"], fault["code"]) == (pointer, code)


def test_only_admins_put_and_end_targets(service: Service) -> None:
    key = service.request("POST", "/v1/keys", json={"name": "reader", "scopes": ["read"]}).json()["key"]
    headers = {"Authorization": f"Bearer {key}"}
    assert service.request("PUT", "/v1/targets/x", json=GOOD, headers=headers).status_code == 403
    assert service.request("DELETE", "/v1/targets/x", headers=headers).status_code == 403
    assert service.request("GET", "/v1/scorecard", headers=headers).status_code == 200


def test_a_target_whose_segment_has_ended_has_no_data(service: Service) -> None:
    service.send(account_update(plan="pro"))
    service.put("/v1/segments/large", {"filter": 'plan = "pro"'})
    satisfaction(service, 1, 0)
    put(service, "goal", "csat", 50, segment="large")
    service.on("2026-03-20").request("DELETE", "/v1/segments/large")
    [row] = service.get("/v1/scorecard")["rows"]
    assert (row["status"], row["reason"], row["value"]) == ("no_data", "segment_ended", None)
    [row] = service.get("/v1/scorecard", as_of="2026-03-19")["rows"]
    assert (row["status"], row["value"]) == ("on_track", 100.0)
