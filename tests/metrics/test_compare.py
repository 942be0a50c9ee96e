"""Comparison with an earlier period, and values that are withheld because of a small sample."""

from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest

from app.metrics.statistics import estimate_net_score, proportions_differ, scores_differ
from tests.support.service import Service, account_update, event, session, survey_responses

DAY = timedelta(days=1)
DAYS_OF_FIRST_WEEKS = [f"01-{day:02}" for day in range(1, 31)]
COMPARISON = ("previous", "change", "change_percent", "significant")


def comparison(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in COMPARISON)


def feature_use(**fields: Any) -> dict[str, Any]:
    return event("feature.used", user="ada", feature="export", **fields)


def test_a_period_is_compared_with_the_one_before(service: Service) -> None:
    service.send(
        *survey_responses("csat", [5, 5, 4, 1], at="2026-01-10"), *survey_responses("csat", [5, 1], at="2026-02-10")
    )
    rows = service.rows("csat", start="2026-01-01", end="2026-03-01", compare="previous_period")
    assert [comparison(row) for row in rows] == [
        (None, None, None, None),
        (75, -25, pytest.approx(-100 / 3, abs=1e-6), False),
    ]


# The question, what it is compared with, and the first and the last day of the previous period.
EARLIER = {
    "a day": ({"start": "2026-03-14", "end": "2026-03-15", "granularity": "day"}, "previous_period", "03-13", "03-13"),
    "a week": (
        {"start": "2026-03-02", "end": "2026-03-09", "granularity": "week"},
        "previous_period",
        "02-23",
        "03-01",
    ),
    "a month": ({"period": "2026-02"}, "previous_period", "01-01", "01-31"),
    "a clipped month": ({"start": "2026-02-10", "end": "2026-02-20"}, "previous_period", "01-10", "01-19"),
    "the last day of a month": (
        {"start": "2026-01-31", "end": "2026-02-01"},
        "previous_year",
        "2025-01-31",
        "2025-01-31",
    ),
    "a quarter": (
        {"period": "2025-Q4", "granularity": "quarter"},
        "previous_period",
        "2025-07-01",
        "2025-09-30",
    ),
    "a year earlier": ({"period": "2026-02"}, "previous_year", "2025-02-01", "2025-02-28"),
    "52 weeks earlier": (
        {"start": "2026-03-02", "end": "2026-03-09", "granularity": "week"},
        "previous_year",
        "2025-03-03",
        "2025-03-09",
    ),
    "whole months": (
        {"start": "2026-01-01", "end": "2026-03-01", "granularity": "total"},
        "previous_period",
        "2025-11-01",
        "2025-12-31",
    ),
    "any ten days": (
        {"start": "2026-01-11", "end": "2026-01-21", "granularity": "total"},
        "previous_period",
        "01-01",
        "01-10",
    ),
    "a month that runs": ({"period": "2026-03"}, "previous_period", "02-01", "02-15"),
    "a month that runs, a year earlier": ({"period": "2026-03"}, "previous_year", "2025-03-01", "2025-03-15"),
    "days that have not all come": (
        {"start": "2026-03-01", "end": "2026-03-21", "granularity": "total"},
        "previous_period",
        "02-14",
        "02-28",
    ),
    "whole months, the last of which runs": (
        {"start": "2026-01-01", "end": "2026-04-01", "granularity": "total"},
        "previous_period",
        "2025-10-01",
        "2025-12-13",
    ),
    "a quarter to date": (
        {"period": "quarter_to_date", "granularity": "total"},
        "previous_period",
        "2025-10-01",
        "2025-12-13",
    ),
    "any days, a year earlier": (
        {"start": "2024-02-29", "end": "2024-03-05", "granularity": "total"},
        "previous_year",
        "2023-02-28",
        "2023-03-04",
    ),
    "the end of a long month": (
        {"start": "2025-12-20", "end": "2026-01-01"},
        "previous_period",
        "2025-11-20",
        "2025-11-30",
    ),
}


@pytest.mark.parametrize(("params", "compare", "first", "last"), EARLIER.values(), ids=EARLIER)
def test_the_previous_period_has_exactly_these_days(
    service: Service, params: dict[str, str], compare: str, first: str, last: str
) -> None:
    days = [date.fromisoformat(day if len(day) > 5 else f"2026-{day}") for day in (first, last)]
    uses = Counter[date]()
    for day, count in zip((days[0] - DAY, days[0], days[1], days[1] + DAY), (1000, 1, 10, 10_000), strict=True):
        uses[day] += count
    service.send(*(feature_use(at=str(day), count=count) for day, count in uses.items()))
    (row,) = service.rows("feature_uses", **params, compare=compare)
    assert row["previous"] == 11


# What is asked on 28, 29, 30 and 31 March, of which February has only the first.
SAME_DAYS: dict[str, dict[str, str]] = {
    "this month": {"period": "this_month"},
    "the month to date": {"period": "month_to_date"},
    "the month by its name": {"period": "2026-03"},
    "the month to date as a total": {"period": "month_to_date", "granularity": "total"},
    "this month as a total": {"period": "this_month", "granularity": "total"},
    "the month to date by dates": {"start": "2026-03-01", "granularity": "total"},
}


@pytest.mark.parametrize("last", [27, 28, 29, 30, 31])
@pytest.mark.parametrize("question", SAME_DAYS.values(), ids=SAME_DAYS)
def test_the_end_of_march_is_compared_with_february_to_its_end(
    service: Service, last: int, question: dict[str, str]
) -> None:
    service.on(f"2026-03-{last}")
    service.send(*(feature_use(at=at) for at in ("2026-01-30", "2026-01-31", "2026-02-01", "2026-02-15")))
    service.send(*(feature_use(at=at) for at in ("2026-02-28", "2026-03-01", "2026-03-27")))
    if "start" in question:
        question = question | {"end": str(date(2026, 3, last) + DAY)}
    rows = service.rows("feature_uses", **question, compare="previous_period", totals="true")
    assert {(row["value"], row["previous"]) for row in rows} == {(2, 3 if last > 27 else 2)}
    # The same as it was known then.
    as_of = str(service.now.date())
    service.on("2026-07-01")
    if question.get("period") != "2026-03":
        later = service.rows("feature_uses", **question, compare="previous_period", totals="true", as_of=as_of)
        assert {(row["value"], row["previous"]) for row in later} == {(2, 3 if last > 27 else 2)}


@pytest.mark.parametrize("granularity", ["day", "week", "month", "quarter", "year"])
@pytest.mark.parametrize("compare", ["previous_period", "previous_year"])
def test_the_total_of_a_single_row_is_compared_like_the_row(service: Service, granularity: str, compare: str) -> None:
    service.send(*(feature_use(at=f"{year}-{day}") for year in (2025, 2026) for day in DAYS_OF_FIRST_WEEKS))
    for params in (
        {"start": "2026-01-10", "end": "2026-01-11"},
        {"start": "2026-01-12", "end": "2026-01-16"},
        {"period": "2026-01"},
        {"period": "quarter_to_date", "as_of": "2026-01-20"},
        {"period": "year_to_date"},
    ):
        asked = params | {"granularity": granularity, "compare": compare, "totals": "true"}
        *rows, total = service.rows("feature_uses", **asked)
        if len(rows) == 1:
            assert (total["value"], total["previous"]) == (rows[0]["value"], rows[0]["previous"]), params


def test_without_earlier_days_there_is_no_previous_value(service: Service) -> None:
    service.on("2026-04-01").send(feature_use(at="2026-02-28"), feature_use(at="2026-03-31"))
    # February has no 29th to 31st day.
    row, total = service.rows(
        "feature_uses", start="2026-03-29", end="2026-04-01", compare="previous_period", totals="true"
    )
    assert [comparison(row), comparison(total)] == [(None, None, None, None)] * 2
    (future,) = service.rows("feature_uses", period="2026-05", compare="previous_period")
    assert (future["value"], future["previous"]) == (0, None)


def test_29_february_is_compared_with_28_february(service: Service) -> None:
    service.send(session(at="2023-02-28"), session(at="2024-02-29"))
    params = {"granularity": "day", "compare": "previous_year"}
    rows = service.rows("sessions", start="2024-02-28", end="2024-03-02", **params)
    assert [(row["value"], row["previous"]) for row in rows] == [(0, 1), (1, 1), (0, 0)]
    (row,) = service.rows("sessions", start="2025-02-28", end="2025-03-01", **params)
    assert row["previous"] == 0


def test_nothing_before_1970_is_compared_with(service: Service) -> None:
    rows = service.rows("sessions", start="1970-01-01", end="1970-03-01", compare="previous_period")
    assert [row["previous"] for row in rows] == [None, 0]
    (row,) = service.rows(
        "sessions", start="1970-01-01", end="9998-01-01", granularity="total", compare="previous_year"
    )
    assert row["previous"] is None


def test_a_previous_value_of_zero_gives_no_percentage(service: Service) -> None:
    service.send(session(at="2026-02-10"))
    row = service.row("sessions", period="2026-02", compare="previous_period")
    assert comparison(row) == (0, 1, None, None)


def test_a_change_of_a_negative_value_has_the_sign_of_its_direction(service: Service) -> None:
    service.send(
        *survey_responses("nps", [0, 0, 7, 7], at="2026-01-10"), *survey_responses("nps", [0, 7, 7, 7], at="2026-02-10")
    )
    row = service.row("nps", period="2026-02", compare="previous_period")
    assert comparison(row) == (-50, 25, 50, False)


def test_stocks_are_compared_by_their_balances(service: Service) -> None:
    service.send(event("subscription.changed", at="2026-01-10", subscription_id="s", mrr="40"))
    service.send(event("subscription.changed", at="2026-02-10", subscription_id="s", mrr="50"))
    row = service.row("mrr", period="2026-02", compare="previous_period")
    assert comparison(row) == (40, 10, 25, None)


def test_a_group_is_compared_with_the_accounts_it_had_then(service: Service) -> None:
    service.send(account_update(plan="pro"), account_update(plan="team", at="2026-02-01T00:00:00Z"))
    service.send(session(at="2026-01-10"), session(at="2026-02-10"))
    params = {"period": "2026-02", "group_by": "plan", "compare": "previous_period"}
    assert [(row["value"], row["previous"]) for row in service.rows("sessions", **params)] == [(1, 0)]
    now = service.rows("sessions", **params, segments_as_of="now")
    assert [(row["value"], row["previous"]) for row in now] == [(1, 1)]


def test_both_values_are_as_of_the_same_day(service: Service) -> None:
    service.on("2026-03-01").send(session(at="2026-01-10"), session(at="2026-02-10"))
    service.on("2026-03-05").send(session(at="2026-01-11"))
    params = {"period": "2026-02", "compare": "previous_period"}
    assert service.row("sessions", **params)["previous"] == 2
    assert service.row("sessions", **params, as_of="2026-03-02")["previous"] == 1


def test_a_total_is_compared_too(service: Service) -> None:
    service.send(session(at="2025-12-10"), session(at="2026-01-10"), session(at="2026-02-10"))
    rows = service.rows("sessions", start="2026-01-01", end="2026-03-01", totals="true", compare="previous_period")
    assert [(row["period"], row["value"], row["previous"]) for row in rows] == [
        ("2026-01", 1, 1),
        ("2026-02", 1, 1),
        ("total", 2, 1),
    ]


def test_a_table_has_columns_for_the_comparison(service: Service) -> None:
    service.send(session(at="2026-02-10"))
    params = {"period": "2026-02", "compare": "previous_year", "format": "csv"}
    head, row = service.request("GET", "/v1/metrics/sessions", params=params).text.splitlines()
    assert head.endswith(",convention,previous,change,change_percent,significant,is_new")
    assert row.endswith(",default,0,1,,,true")


# Two proportions: 40 of 100 after 30 of 100 is z = 1.482, 45 of 100 after 30 of 100 is z = 2.191, calculated by hand.
def test_proportions_differ_by_the_pooled_z() -> None:
    assert proportions_differ(40, 100, 30, 100) is False
    assert proportions_differ(45, 100, 30, 100) is True
    assert proportions_differ(3, 3, 7, 7) is False


def test_scores_differ_by_the_sum_of_the_variances_of_their_means() -> None:
    # With 3 responses added, ¾ each to promoters and detractors: 60 promoters and 20 detractors of 100 are a mean of 0.3883 with
    # variance 0.006218; 45 and 30 are 0.1456 with 0.007005, z = 2.111; 50 and 30 are 0.1942 with 0.007316, z = 1.669.
    sixty = estimate_net_score(60, 20, 100)
    assert sixty == pytest.approx((0.388350, 0.006218), abs=1e-6)
    assert scores_differ(sixty, estimate_net_score(45, 30, 100)) is True
    assert scores_differ(sixty, estimate_net_score(50, 30, 100)) is False


def test_a_few_unanimous_responses_can_differ_by_chance() -> None:
    # One promoter after one detractor: 0.25 and -0.25, each with variance 0.140625, z = 0.943.
    assert scores_differ(estimate_net_score(1, 0, 1), estimate_net_score(0, 1, 1)) is False
    assert scores_differ(estimate_net_score(1, 0, 1), estimate_net_score(15, 0, 30)) is False
    assert scores_differ(estimate_net_score(100, 0, 100), estimate_net_score(0, 100, 100)) is True


@pytest.mark.parametrize(("promoters", "detractors", "expected"), [(60, 20, True), (50, 30, False)])
def test_a_change_of_a_score_is_significant_only_beyond_chance(
    service: Service, promoters: int, detractors: int, expected: bool
) -> None:
    before, after = (45, 30), (promoters, detractors)
    for month, (up, down) in (("01", before), ("02", after)):
        scores = [10] * up + [0] * down + [8] * (100 - up - down)
        service.send(*survey_responses("nps", scores, at=f"2026-{month}-10"))
    row = service.row("nps", period="2026-02", compare="previous_period")
    # 0.20 after 0.15: z = 0.409.
    assert row["significant"] is expected


@pytest.mark.parametrize("metric", ["sessions", "mrr", "average_session_minutes", "csat_average"])
def test_only_proportions_and_scores_are_tested_for_significance(service: Service, metric: str) -> None:
    assert service.row(metric, compare="previous_period")["significant"] is None


# ---- withheld values ----


def test_a_small_sample_is_withheld_with_its_numerator_and_denominator(service: Service) -> None:
    service.send(*survey_responses("nps", [10, 9, 0]))
    row = service.row("nps", min_sample=4)
    assert {name: row[name] for name in ("value", "numerator", "denominator", "interval")} == dict.fromkeys(
        ("value", "numerator", "denominator", "interval")
    )
    assert (row["sample_size"], row["reason"]) == (3, "sample_too_small")
    assert service.row("nps", min_sample=3)["value"] == pytest.approx(100 / 3, abs=1e-6)


def test_a_withheld_count_hides_its_sample_size_too(service: Service) -> None:
    service.send(session(), session())
    row = service.row("sessions", min_sample=3)
    assert (row["value"], row["sample_size"], row["reason"]) == (None, None, "sample_too_small")


def test_an_average_of_money_is_withheld_with_its_amount(service: Service) -> None:
    service.send(event("subscription.changed", subscription_id="s", mrr="50"))
    row = service.row("arpa", min_sample=2)
    assert (row["value"], row["amount"], row["numerator"]) == (None, None, None)
    # A sum of money has no sample.
    assert service.row("mrr", min_sample=2)["value"] == 50


def test_a_comparison_does_not_reveal_withheld_values(service: Service) -> None:
    service.send(*survey_responses("csat", [5], at="2026-01-10"), *survey_responses("csat", [5, 5, 1], at="2026-02-10"))
    service.send(*survey_responses("csat", [5], at="2026-03-10"))
    rows = service.rows("csat", start="2026-02-01", end="2026-04-01", compare="previous_period", min_sample=2)
    assert [comparison(row) for row in rows] == [
        (None, None, None, None),
        (pytest.approx(200 / 3, abs=1e-6), None, None, None),
    ]
