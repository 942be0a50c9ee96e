"""The periods of targets: not begun, clipped, ended; paths over several periods; the trend."""

from typing import Any

import pytest

from tests.scorecard.cards import card, customers, history, put, row, sessions
from tests.support.service import Service


def test_without_a_period_every_target_is_in_its_current_one(service: Service) -> None:
    for granularity in ("day", "week", "month", "quarter", "year"):
        put(service, granularity, "sessions", 10, granularity)
    assert {id: found["period"] for id, found in card(service).items()} == {
        "day": "2026-03-15",
        "week": "2026-W11",
        "month": "2026-03",
        "quarter": "2026-Q1",
        "year": "2026",
    }


@pytest.mark.parametrize(
    ("period", "shown"),
    [
        ("2026-02", {"month": "2026-02", "quarter": "2026-Q1"}),
        ("2026-Q1", {"month": "2026-03", "quarter": "2026-Q1"}),
        ("2026", {"month": "2026-03", "quarter": "2026-Q1"}),
        ("2026-05", {"month": "2026-05", "quarter": "2026-Q2"}),
        ("2025-12", {}),
        ("last_month", {"month": "2026-02", "quarter": "2026-Q1"}),
        ("month_to_date", {"month": "2026-03", "quarter": "2026-Q1"}),
    ],
)
def test_a_range_shows_the_last_period_that_has_begun(period: str, shown: dict[str, str], service: Service) -> None:
    for granularity in ("month", "quarter"):
        put(service, granularity, "sessions", 10, granularity, since="2026-01-01")
    assert {id: found["period"] for id, found in card(service, period=period).items()} == shown


def test_a_period_that_has_not_begun_has_no_data(service: Service) -> None:
    put(service, "next", "sessions", 10, since="2026-04-01")
    assert card(service) == {}
    found = row(service, "next", period="2026")
    assert (found["period"], found["status"], found["reason"]) == ("2026-04", "no_data", "not_begun")
    numbers = ("value", "attainment", "expected", "projection", "gap")
    assert [found[name] for name in numbers] == [None] * 5
    assert found["target"] == 10
    assert found["trend"][-1]["value"] is None


def test_a_flow_in_a_part_of_a_period_has_the_same_part_of_the_target(service: Service) -> None:
    sessions(service, 3, at="2026-03-05")
    sessions(service, 6, at="2026-03-12")
    put(service, "clipped", "sessions", 62, since="2026-03-11", baseline=31)
    found = row(service, "clipped")
    # 21 of 31 days of March, 5 of which have passed.
    assert (found["start"], found["end"], found["clipped"]) == ("2026-03-11", "2026-04-01", True)
    assert (found["value"], found["target"], found["baseline"], found["expected"]) == (6, 42.0, 21.0, 10.0)
    assert (found["projection"], found["status"]) == (25.2, "behind")


def test_a_stock_in_a_part_of_a_period_keeps_its_target(service: Service) -> None:
    customers(service, "a", at="2026-03-05")
    put(service, "clipped", "customers", 2, since="2026-03-02", until="2026-03-10")
    found = row(service, "clipped", period="2026-03")
    assert (found["start"], found["end"], found["complete"]) == ("2026-03-02", "2026-03-10", True)
    assert (found["value"], found["target"], found["status"]) == (1, 2.0, "missed")
    assert card(service) == {}  # it does not hold today


def test_a_campaign_is_one_period(service: Service) -> None:
    sessions(service, 5, at="2026-03-02")
    put(service, "campaign", "sessions", 40, "total", since="2026-03-01", until="2026-04-10")
    found = row(service, "campaign")
    assert (found["period"], found["start"], found["end"]) == ("total", "2026-03-01", "2026-04-10")
    assert (found["value"], found["expected"], found["projection"]) == (5, 15.0, 13.333333)
    assert [point["value"] for point in found["trend"]] == [5]
    service.request("DELETE", "/v1/targets/campaign")
    assert card(service) == {}
    # It ended after 14 of 40 days.
    found = row(service, "campaign", period="2026-03")
    assert (found["end"], found["target"], found["status"]) == ("2026-03-15", 14.0, "missed")


def test_a_linear_path_of_a_stock_is_followed_within_the_period(service: Service) -> None:
    customers(service, *(f"c{number}" for number in range(12)))
    put(service, "growth", "customers", 20, "total", since="2026-03-01", until="2026-03-31", baseline=10, path="linear")
    found = row(service, "growth")
    # Half of the 30 days have passed: 10 + 10 / 2.
    assert (found["expected"], found["target"], found["attainment"]) == (15.0, 20.0, 20.0)
    assert found["status"] == "behind"
    customers(service, "c12", "c13", "c14")
    assert row(service, "growth")["status"] == "on_track"


def test_a_linear_path_gives_each_period_the_value_at_its_end(service: Service) -> None:
    put(service, "line", "sessions", 465, since="2026-01-01", until="2027-01-01", baseline=100, path="linear")
    targets = [found["now"]["target"] for found in history(service, "line")]
    assert targets == [100 + 59, 100 + 31]  # a session more every day, at the ends of February and January
    found = row(service, "line")
    assert (found["target"], found["expected"]) == (190.0, 91.935484)  # 190 × 15 / 31


def test_a_path_of_dated_values(service: Service) -> None:
    path = [{"until": "2026-02-01", "value": 5}, {"until": "2026-03-01", "value": "7.5"}]
    target = put(service, "steps", "sessions", 10, since="2026-01-01", until="2026-07-01", path=path)
    assert target["path"] == [{"until": "2026-02-01", "value": 5}, {"until": "2026-03-01", "value": 7.5}]
    assert [found["now"]["target"] for found in history(service, "steps")] == [7.5, 5.0]
    assert [row(service, "steps", period=period)["target"] for period in ("2026-03", "2026-06")] == [10.0, 10.0]


def test_the_trend_has_the_periods_before_with_the_targets_that_they_had(service: Service) -> None:
    for month, count in ((1, 4), (2, 6), (3, 1)):
        sessions(service, count, at=f"2026-{month:02}-03")
    put(service, "goal", "sessions", 5, since="2026-01-15")
    put(service, "goal", "sessions", 8, since="2026-03-01")
    points = row(service, "goal")["trend"]
    assert [(point["period"], point["value"], point["target"], point["reached"]) for point in points] == [
        ("2025-10", 0, None, None),
        ("2025-11", 0, None, None),
        ("2025-12", 0, None, None),
        ("2026-01", 4, None, None),  # the target held in a part of January only
        ("2026-02", 6, 5.0, True),
        ("2026-03", 1, 8.0, False),
    ]


def test_periods_are_those_of_the_fiscal_year(start_service: Any) -> None:
    service = start_service(fiscal_year_start=2)
    put(service, "goal", "sessions", 10, "quarter")
    found = row(service, "goal")
    assert (found["period"], found["start"], found["end"]) == ("2027-Q1", "2026-02-01", "2026-05-01")


def test_the_first_periods_of_all(service: Service) -> None:
    put(service, "old", "sessions", 1, "year", since="1970-01-01", until="1971-01-01")
    found = row(service, "old", period="1970")
    assert (found["status"], [point["period"] for point in found["trend"]]) == ("missed", ["1970"])
