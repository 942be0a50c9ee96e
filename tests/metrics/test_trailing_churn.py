"""The convention `trailing_churn` of lifetime value: churn over the last six whole months up to the end of a period."""

from typing import Any

import pytest

from tests.support.service import Service, account_update, event

TRAILING_CHURN = {"convention": "trailing_churn"}


def pays(account: str, at: str = "2025-07-10", mrr: str = "100") -> dict[str, Any]:
    return event("subscription.changed", account, at=at, subscription_id="main", mrr=mrr)


def leaves(account: str, at: str, **envelope: Any) -> dict[str, Any]:
    return event("subscription.canceled", account, at=at, subscription_id="main", **envelope)


@pytest.fixture
def ten_customers(service: Service) -> Service:
    """Ten customers who pay 100.00 since July, on two plans; one of each plan leaves, in October and in January."""
    accounts = [(f"{plan}-{number}", plan) for plan in ("pro", "team") for number in range(5)]
    service.on("2026-06-15").send(
        *(account_update(account, at="2025-01-01T00:00:00Z", plan=plan) for account, plan in accounts)
    )
    service.send(*(pays(account) for account, _ in accounts))
    service.send(leaves("pro-0", "2025-10-20"), leaves("team-0", "2026-01-20"))
    return service


def clv(service: Service, **params: Any) -> dict[str, Any]:
    (row,) = service.rows("clv", **TRAILING_CHURN, **params)
    return row


def test_clv_uses_the_churn_of_the_six_months_up_to_the_periods_end(ten_customers: Service) -> None:
    row = clv(ten_customers, period="2026-03")
    # Two leave from October to March, of 10 + 9 + 9 + 9 + 8 + 8 customers at the starts of these months.
    assert (row["numerator"], row["sample_size"]) == (100, 53)
    assert row["denominator"] == pytest.approx(2 / 53, abs=1e-6)
    assert row["amount"] == "2650.00"
    # October is not one of the six months up to the end of April.
    assert clv(ten_customers, period="2026-04")["amount"] == "5100.00"


def test_trailing_churn_is_that_of_the_six_monthly_rows(ten_customers: Service) -> None:
    rows = ten_customers.rows("customer_churn_rate", start="2025-10-01", end="2026-04-01")
    churned, customer_months = (sum(row[side] for row in rows) for side in ("numerator", "denominator"))
    for period in ("2026-03", "2026-Q1"):
        row = clv(ten_customers, period=period, granularity="total")
        assert (row["sample_size"], row["denominator"]) == (
            customer_months,
            pytest.approx(churned / customer_months, abs=1e-6),
        )


@pytest.mark.parametrize(
    ("start", "end", "customer_months"),
    [("2026-04-01", "2026-04-08", 53), ("2026-03-31", "2026-04-01", 53), ("2026-03-30", "2026-03-31", 55)],
)
def test_trailing_churn_uses_whole_months_only(
    ten_customers: Service, start: str, end: str, customer_months: int
) -> None:
    assert clv(ten_customers, start=start, end=end, granularity="total")["sample_size"] == customer_months


def test_days_with_overlapping_months_get_the_same_churn_as_single_days(ten_customers: Service) -> None:
    ten_customers.send(account_update("pro-1", at="2026-03-30T00:00:00Z", plan="team"))
    days = {"start": "2026-03-28", "end": "2026-04-03", "granularity": "day", "group_by": "plan"}
    rows = ten_customers.rows("clv", **TRAILING_CHURN, **days)
    assert len(rows) == 12
    for row in rows:
        single_day = ten_customers.rows("clv", **TRAILING_CHURN, **days | {"start": row["start"], "end": row["end"]})
        assert row in single_day


def test_an_account_is_in_the_group_of_the_periods_start_in_all_trailing_months(ten_customers: Service) -> None:
    ten_customers.send(account_update("team-0", at="2026-02-10T00:00:00Z", plan="pro"))
    february, march = (
        {
            row["group"]["plan"]: row
            for row in ten_customers.rows("clv", **TRAILING_CHURN, period=period, group_by="plan")
        }
        for period in ("2026-02", "2026-03")
    )
    # The customer who left in January was on `team` at the start of February, but no longer at the start of March.
    assert (february["team"]["sample_size"], february["team"]["amount"]) == (29, "2900.00")
    assert (march["team"]["value"], march["team"]["reason"]) == (None, "no_churn")
    # Six months each of the four who stayed, and one and four months of the two who left.
    assert (march["pro"]["sample_size"], march["pro"]["amount"]) == (4 * 6 + 1 + 4, "1450.00")
    now = ten_customers.rows("clv", **TRAILING_CHURN, period="2026-02", group_by="plan", segments_as_of="now")
    assert {row["group"]["plan"]: row["value"] is None for row in now} == {"pro": False, "team": True}


def test_trailing_churn_is_answered_and_compared_like_other_conventions(ten_customers: Service) -> None:
    params = {"period": "2026-01", "compare": "previous_period"}
    rows = ten_customers.get("/v1/metrics/clv/conventions", **params)["rows"]
    assert [(row["convention"], row["amount"], row["previous"]) for row in rows] == [
        ("with_margin", "900.00", None),
        ("without_margin", "900.00", None),
        ("trailing_churn", "2850.00", 4800),
    ]


def test_a_late_cancellation_restates_the_months_that_look_back_on_it(ten_customers: Service) -> None:
    ten_customers.on("2026-06-20").send(leaves("team-1", "2025-11-20", id="late"))
    row = ten_customers.get("/v1/metrics/clv/restatements", period="2026-03", **TRAILING_CHURN)["rows"][-1]
    assert (row["recorded_on"], row["from"], row["to"]) == ("2026-06-20", 2650, round(100 * 49 / 3, 6))
    assert row["events"] == [{"type": "subscription.canceled", "arrived": 1, "retracted": 0}]
    assert clv(ten_customers, period="2026-03", as_of="2026-06-19")["value"] == row["from"]
    events = ten_customers.get("/v1/metrics/clv/events", period="2026-03", **TRAILING_CHURN)["rows"]
    assert "late" in [event["id"] for event in events]
    late = ten_customers.get("/v1/metrics/clv/contributors", period="2026-03", **TRAILING_CHURN)["rows"]
    assert [row["sample_size"] for row in late if row["account"] == "team-1"] == [2]
