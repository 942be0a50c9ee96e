"""As of a day before anything was recorded numbers are not zero: they have no value, and the reason says why."""

from collections.abc import Iterator
from datetime import date
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.metrics.define import METRICS
from tests.model.calendar import DAY
from tests.support.campaign import examples
from tests.support.hostile import without_deadline
from tests.support.service import Service, account_update, event, session, survey_responses

EARLY = {"as_of": "2026-02-28"}
REASON = "nothing_known_yet"
EVERYTHING = ",".join(METRICS)


@pytest.fixture(scope="module", autouse=True)
def content(shared: Service) -> Iterator[None]:
    """A history of three months that became known in March only."""
    shared.on("2026-03-01").send(
        account_update(plan="pro", at="2026-01-01T00:00:00Z"),
        session(at="2026-01-10"),
        event("subscription.changed", at="2026-01-05", subscription_id="s", mrr="100", seats=5, plan="gold"),
        event("subscription.canceled", at="2026-02-20", subscription_id="s", reason="price"),
        event("onboarding.started", at="2026-01-06"),
        *survey_responses("nps", [9, 2], at="2026-01-10"),
    )
    shared.put("/v1/segments/core", {"filter": 'plan = "pro"'})
    shared.on("2026-03-15")
    yield


def numbers(row: dict[str, Any]) -> set[Any]:
    """Return what a row has as numbers, besides what says which row it is."""
    position = ("number", "score", "complete")
    return {
        value
        for name, value in row.items()
        if name not in position and isinstance(value, int | float) and not isinstance(value, bool)
    }


QUESTIONS: dict[str, dict[str, Any]] = {
    "the whole": {},
    "by segment": {"segment": "core"},
    "of an account": {"account": "acme"},
    "filtered": {"filter": 'plan = "pro"'},
    "compared": {"compare": "previous_period"},
    "compared with the year before": {"compare": "previous_year"},
    "with totals": {"totals": "true"},
    "with a minimum": {"min_sample": 2},
    "by today's attributes": {"segment": "core", "segments_as_of": "now"},
    "by day": {"granularity": "day"},
}


@pytest.mark.parametrize("case", QUESTIONS)
def test_every_metric_by_every_convention_has_no_value(case: str, shared: Service) -> None:
    params = {"start": "2026-01-01", "end": "2026-02-01"} | QUESTIONS[case] | EARLY
    known = shared.get("/v1/query", metrics=EVERYTHING, **params | {"as_of": "2026-03-01"})
    answer = shared.get("/v1/query", metrics=EVERYTHING, **params)
    assert {row["reason"] for row in answer["rows"]} == {REASON}
    assert not any(numbers(row) for row in answer["rows"])
    assert answer["reason"] == REASON
    assert "reason" not in known and any(numbers(row) for row in known["rows"])
    for metric in METRICS:
        for row in shared.get(f"/v1/metrics/{metric}/conventions", **params)["rows"]:
            assert (row["value"], row["reason"]) == (None, REASON)


REPORTS = {
    "/v1/cohorts": ({"measure": "customers"}, {"measure": "mrr"}, {"measure": "users"}),
    "/v1/onboarding/funnel": ({}, {"granularity": "month"}),
    "/v1/surveys/nps/distribution": ({}, {"by": "class"}, {"totals": "true"}),
}


@pytest.mark.parametrize("path", REPORTS)
def test_reports_have_no_numbers(path: str, shared: Service) -> None:
    for params in REPORTS[path]:
        span = {"start": "2026-01-01", "end": "2026-02-01"}
        answer = shared.get(path, **span, **params, **EARLY)
        assert answer["reason"] == REASON and answer["rows"]
        assert {row["reason"] for row in answer["rows"]} == {REASON}
        assert not any(numbers(row) for row in answer["rows"])
        known = shared.get(path, **span, **params, as_of="2026-03-01")
        assert "reason" not in known and any(numbers(row) for row in known["rows"])
        assert shared.request("GET", path, params=span | params | EARLY | {"format": "csv"}).status_code == 200


@pytest.mark.parametrize("question", ["contributors", "events", "restatements"])
def test_a_list_of_what_is_behind_a_number_is_empty_and_says_why(question: str, shared: Service) -> None:
    answer = shared.get(f"/v1/metrics/mrr/{question}", period="2026-01", **EARLY)
    assert (answer["rows"], answer["reason"]) == ([], REASON)


def test_an_answer_without_groups_says_why_it_has_no_rows(shared: Service) -> None:
    for group in ("plan", "account"):
        answer = shared.get("/v1/metrics/mrr", period="2026-01", group_by=group, **EARLY)
        assert (answer["rows"], answer["reason"]) == ([], REASON)


def test_a_table_has_the_reason_too(shared: Service) -> None:
    lines = shared.request("GET", "/v1/metrics/mrr", params={"period": "2026-01", "format": "csv"} | EARLY).text
    assert lines.splitlines()[1] == "mrr,2026-01,2026-01-01,2026-02-01,true,,,,,,,nothing_known_yet,,default"


def test_on_the_first_day_itself_and_in_empty_books_today_numbers_have_values(service: Service) -> None:
    assert service.value("sessions", as_of="2026-03-15") == service.value("sessions") == 0
    assert service.row("sessions", as_of="2026-03-14")["reason"] == REASON
    service.send(session())
    assert service.value("sessions", as_of="2026-03-15") == 1
    assert service.row("sessions", as_of="2026-03-14")["reason"] == REASON
    service.on("2026-03-16")
    assert service.value("sessions", as_of="2026-03-15") == 1


def test_rejected_events_and_definitions_make_nothing_known(service: Service) -> None:
    service.request("POST", "/v1/events", json=[session(at="1960-01-01")])
    service.put("/v1/surveys/visit", {"kind": "csat", "scale": {"min": 1, "max": 5}})
    service.on("2026-03-18")
    assert service.row("sessions", as_of="2026-03-16")["reason"] == REASON


def test_history_that_was_known_earlier_moves_the_first_day_back(service: Service) -> None:
    service.send(session())
    assert service.row("sessions", period="2026-02", as_of="2026-02-20")["reason"] == REASON
    service.send(session("globex", at="2026-02-10", recorded_on="2026-02-15"))
    assert service.row("sessions", period="2026-02", as_of="2026-02-20")["value"] == 1
    assert service.row("sessions", period="2026-02", as_of="2026-02-14")["reason"] == REASON
    assert service.differences() == []


def test_a_retraction_of_everything_leaves_what_was_known(service: Service) -> None:
    service.on("2026-03-10").send(session(id="one"))
    service.on("2026-03-12").retract("acme", "one")
    service.on("2026-03-15")
    assert [service.row("sessions", as_of=f"2026-03-{day}")["value"] for day in ("09", "10", "12")] == [None, 1, 0]


@settings(without_deadline, max_examples=examples(25))
@given(st.integers(0, 2**32))
def test_numbers_are_known_from_the_first_recorded_day_on(shared: Service, seed: int) -> None:
    """In books of their own: a service that has read nothing yet, with days that come in any order."""
    random = Random(seed)
    days = [date(2026, 3, 1) + DAY * random.randrange(14) for _ in range(3)]
    for number, day in enumerate(days):
        shared.send(session(f"{seed}-{number}", recorded_on=str(day), at=str(day)))
    for day in (date(2026, 2, 20), date(2026, 2, 28), date(2026, 3, 1), *days):
        row = shared.row("sessions", as_of=str(day), account=[f"{seed}-{number}" for number in range(3)])
        is_known = day >= date(2026, 3, 1)
        assert row.get("reason") == (None if is_known else REASON)
        assert row["value"] == (sum(recorded <= day for recorded in days) if is_known else None)
