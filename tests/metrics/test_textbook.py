"""The usual textbook examples of customer success metrics, sent as events and answered over HTTP."""

from typing import Any

import pytest

from tests.support.service import Service, event, survey_responses

FEBRUARY = {"period": "2026-02"}


def pays(account: str, at: str, mrr: str = "100") -> dict[str, Any]:
    return event("subscription.changed", account, at=at, subscription_id="main", mrr=mrr)


def leaves(account: str, at: str) -> dict[str, Any]:
    return event("subscription.canceled", account, at=at, subscription_id="main")


def orders(account: str, at: str, amount: str = "50") -> dict[str, Any]:
    return event("purchase.completed", account, at=at, order_id=at, amount=amount)


def test_thirty_upgrades_of_a_hundred_free_users_are_a_trial_conversion_of_thirty_percent(service: Service) -> None:
    free = [f"free-{number}" for number in range(100)]
    service.send(*(event("trial.started", account, at="2026-02-02", trial_id="free") for account in free))
    service.send(*(event("trial.converted", account, at="2026-02-16", trial_id="free") for account in free[:30]))
    row = service.row("trial_conversion_rate", **FEBRUARY)
    assert (row["value"], row["numerator"], row["denominator"]) == (30, 30, 100)


@pytest.mark.parametrize(
    ("score", "band", "nps"),
    [
        *((score, "detractor", -100) for score in range(7)),
        *((score, "passive", 0) for score in (7, 8)),
        *((score, "promoter", 100) for score in (9, 10)),
    ],
)
def test_nps_has_three_bands(service: Service, score: int, band: str, nps: int) -> None:
    service.send(*survey_responses("nps", [score], at="2026-02-10"))
    assert service.value("nps", **FEBRUARY) == nps
    rows = service.get("/v1/surveys/nps/distribution", **FEBRUARY, by="class")["rows"]
    assert {row["class"]: row["count"] for row in rows if row["count"]} == {band: 1}


def test_seventy_promoters_and_ten_detractors_of_a_hundred_are_an_nps_of_sixty(service: Service) -> None:
    service.send(
        *survey_responses("nps", [9] * 40 + [10] * 30 + [7] * 10 + [8] * 10 + [0] * 4 + [6] * 6, at="2026-02-10")
    )
    row = service.row("nps", **FEBRUARY)
    assert (row["value"], row["numerator"], row["denominator"]) == (60, 60, 100)


def test_churn_excludes_customers_who_joined_in_the_period(service: Service) -> None:
    existing, joined = ([f"{name}-{number}" for number in range(many)] for name, many in (("there", 200), ("won", 30)))
    service.send(
        *(pays(account, "2026-01-10") for account in existing), *(pays(account, "2026-02-05") for account in joined)
    )
    service.send(*(leaves(account, "2026-02-20") for account in (*existing[:20], *joined[:10])))
    row = service.row("customer_churn_rate", **FEBRUARY)
    assert (row["value"], row["numerator"], row["denominator"]) == (10, 20, 200)
    assert service.value("customer_retention_rate", **FEBRUARY) == 90
    assert service.value("customers_churned", **FEBRUARY) == 30
    # The ten who joined and left are not customers at the start of the next month.
    assert service.value("customers_opening", period="2026-03") == 200


def test_repeat_purchase_rate_is_of_the_periods_purchasers_or_of_all_customers(service: Service) -> None:
    buyers = [f"buyer-{number}" for number in range(100)]
    service.send(*(orders(account, "2025-11-10") for account in buyers))
    service.send(*(orders(account, "2025-12-10") for account in buyers[:20]))
    service.send(*(orders(account, "2026-02-10") for account in (*buyers[15:25], "first", "second")))
    row = service.row("repeat_purchase_rate", **FEBRUARY)
    assert (row["numerator"], row["denominator"], row["value"]) == (10, 12, pytest.approx(83.333333))
    row = service.row("repeat_purchase_rate", **FEBRUARY, convention="all_customers")
    assert (row["numerator"], row["denominator"], row["value"]) == (25, 102, pytest.approx(24.509804))


def test_clv_is_average_revenue_divided_by_churn(service: Service) -> None:
    service.send(
        *(pays(f"customer-{number}", "2026-01-10") for number in range(20)), leaves("customer-0", "2026-02-10")
    )
    assert service.value("arpa", **FEBRUARY) == 100
    assert service.value("customer_churn_rate", **FEBRUARY) == 5
    assert service.row("clv", **FEBRUARY)["amount"] == "2000.00"


def test_clv_purchases_is_order_value_times_frequency_times_lifespan(service: Service) -> None:
    # Orders of 50.00, two a month, over 24 months of 30.4375 days.
    for account in ("one", "two"):
        service.send(orders(account, "2024-02-29T00:00:00Z"))
        service.send(orders(account, "2026-02-10T12:00:00Z"), orders(account, "2026-02-28T12:00:00Z"))
    assert service.row("clv_purchases", **FEBRUARY)["amount"] == "2400.00"


@pytest.mark.parametrize(("easy_is", "scores"), [("low", [1, 2, 3, 7]), ("high", [7, 6, 5, 1])])
def test_an_effort_scale_can_run_in_either_direction(service: Service, easy_is: str, scores: list[int]) -> None:
    service.put("/v1/surveys/effort", {"kind": "ces", "scale": {"min": 1, "max": 7}, "easy_is": easy_is})
    service.send(*survey_responses("effort", scores, at="2026-02-10"))
    assert service.value("ces", **FEBRUARY) == sum(scores) / 4
    assert service.value("ces_easy_rate", **FEBRUARY) == 75
    assert service.value("ces", **FEBRUARY, convention="easy_rate") == 75


def test_fifty_customers_for_25_000_cost_500_each(service: Service) -> None:
    service.send(*(pays(f"customer-{number}", "2026-02-10") for number in range(50)))
    service.send(event("cost.recorded", None, at="2026-02-03", category="acquisition", amount="25000"))
    assert service.row("cac", **FEBRUARY)["amount"] == "500.00"
