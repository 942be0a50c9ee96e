"""Lifetime value by the churn of six months: what the months up to a period's end have to do with its number."""

from typing import Any

import pytest

from tests.support.service import Service, event, moved

TRAILING = {"convention": "trailing_churn"}


def pays(account: str, at: str = "2025-07-10", mrr: str = "100") -> dict[str, Any]:
    return event("subscription.changed", account, at=at, subscription_id="main", mrr=mrr)


def leaves(account: str, at: str, **envelope: Any) -> dict[str, Any]:
    return event("subscription.canceled", account, at=at, subscription_id="main", **envelope)


@pytest.fixture
def ten(service: Service) -> Service:
    """Ten customers of 100.00 since July, on two plans; one of each leaves, in October and in January."""
    accounts = [(f"{plan}-{number}", plan) for plan in ("pro", "team") for number in range(5)]
    service.on("2026-06-15").send(*(moved(account, at="2025-01-01T00:00:00Z", plan=plan) for account, plan in accounts))
    service.send(*(pays(account) for account, _ in accounts))
    service.send(leaves("pro-0", "2025-10-20"), leaves("team-0", "2026-01-20"))
    return service


def clv(service: Service, **asked: Any) -> dict[str, Any]:
    (row,) = service.rows("clv", **TRAILING, **asked)
    return row


def test_a_month_is_worth_its_revenue_by_the_churn_of_six_months_and_it_is_the_last_of_them(ten: Service) -> None:
    row = clv(ten, period="2026-03")
    # From October to March two left, of 10 + 9 + 9 + 9 + 8 + 8 with whom these months began.
    assert (row["numerator"], row["sample_size"]) == (100, 53)
    assert row["denominator"] == pytest.approx(2 / 53, abs=1e-6)
    assert row["amount"] == "2650.00"
    # October is not among the six months up to April's end.
    assert clv(ten, period="2026-04")["amount"] == "5100.00"


def test_the_churn_is_that_of_the_rows_of_these_months(ten: Service) -> None:
    rows = ten.rows("customer_churn_rate", start="2025-10-01", end="2026-04-01")
    lost, began = (sum(row[side] for row in rows) for side in ("numerator", "denominator"))
    for period in ("2026-03", "2026-Q1"):
        row = clv(ten, period=period, granularity="total")
        assert (row["sample_size"], row["denominator"]) == (began, pytest.approx(lost / began, abs=1e-6))


@pytest.mark.parametrize(
    ("start", "end", "began"),
    [("2026-04-01", "2026-04-08", 53), ("2026-03-31", "2026-04-01", 53), ("2026-03-30", "2026-03-31", 55)],
)
def test_only_whole_months_are_looked_at_however_the_period_lies(
    ten: Service, start: str, end: str, began: int
) -> None:
    assert clv(ten, start=start, end=end, granularity="total")["sample_size"] == began


def test_days_whose_months_overlap_have_the_same_churn_by_group_as_one_by_one(ten: Service) -> None:
    ten.send(moved("pro-1", at="2026-03-30T00:00:00Z", plan="team"))
    days = {"start": "2026-03-28", "end": "2026-04-03", "granularity": "day", "group_by": "plan"}
    found = ten.rows("clv", **TRAILING, **days)
    assert len(found) == 12
    for row in found:
        one = ten.rows("clv", **TRAILING, **days | {"start": row["start"], "end": row["end"]})
        assert row in one


def test_a_group_is_a_cohort_of_the_periods_start_in_all_of_its_months(ten: Service) -> None:
    ten.send(moved("team-0", at="2026-02-10T00:00:00Z", plan="pro"))
    february, march = (
        {row["group"]["plan"]: row for row in ten.rows("clv", **TRAILING, period=period, group_by="plan")}
        for period in ("2026-02", "2026-03")
    )
    # Who left in January was on `team` until the tenth of February: so is its loss in February's row, and not in March's.
    assert (february["team"]["sample_size"], february["team"]["amount"]) == (29, "2900.00")
    assert (march["team"]["value"], march["team"]["reason"]) == (None, "no_churn")
    # Five months each of those who stayed, and of the two who left one and four.
    assert (march["pro"]["sample_size"], march["pro"]["amount"]) == (4 * 6 + 1 + 4, "1450.00")
    now = ten.rows("clv", **TRAILING, period="2026-02", group_by="plan", segments_as_of="now")
    assert {row["group"]["plan"]: row["value"] is None for row in now} == {"pro": False, "team": True}


def test_it_stands_beside_the_other_conventions_and_is_compared_like_them(ten: Service) -> None:
    asked = {"period": "2026-01", "compare": "previous_period"}
    rows = ten.get("/v1/metrics/clv/conventions", **asked)["rows"]
    assert [(row["convention"], row["amount"], row["previous"]) for row in rows] == [
        ("with_margin", "900.00", None),
        ("without_margin", "900.00", None),
        ("trailing_churn", "2850.00", 4800),
    ]


def test_a_loss_months_before_that_is_told_late_restates_the_number_and_is_behind_it(ten: Service) -> None:
    ten.on("2026-06-20").send(leaves("team-1", "2025-11-20", id="late"))
    row = ten.get("/v1/metrics/clv/restatements", period="2026-03", **TRAILING)["rows"][-1]
    assert (row["recorded_on"], row["from"], row["to"]) == ("2026-06-20", 2650, round(100 * 49 / 3, 6))
    assert row["events"] == [{"type": "subscription.canceled", "arrived": 1, "retracted": 0}]
    assert clv(ten, period="2026-03", as_of="2026-06-19")["value"] == row["from"]
    events = ten.get("/v1/metrics/clv/events", period="2026-03", **TRAILING)["rows"]
    assert "late" in [one["id"] for one in events]
    late = ten.get("/v1/metrics/clv/contributors", period="2026-03", **TRAILING)["rows"]
    assert [row["sample_size"] for row in late if row["account"] == "team-1"] == [2]
