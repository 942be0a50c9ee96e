"""Costs with and without an account: company-wide, by group of accounts, and in ratios."""

from typing import Any

import pytest

from tests.support.service import Service, account_update, event

MARCH = {"period": "2026-03"}


def cost(category: str, amount: str, account: str | None = None, at: str = "2026-03-10", **rest: Any) -> dict[str, Any]:
    return event("cost.recorded", account, at=at, category=category, amount=amount, **rest)


def pays(account: str, mrr: str, at: str = "2026-03-05") -> dict[str, Any]:
    return event("subscription.changed", account, at=at, subscription_id="base", mrr=mrr)


def proof(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["value"], row["numerator"], row["denominator"], row.get("reason")


@pytest.fixture
def with_costs(service: Service) -> Service:
    """Two new customers cost 300.00 with an account and 1,700.00 without; retaining two others costs 60.00 and 40.00."""
    service.send(
        *(account_update(account, plan=plan) for account, plan in (("a", "pro"), ("b", "free"), ("c", "pro"))),
        *(pays(account, "100", "2026-01-10") for account in ("a", "unplanned")),
        *(pays(account, "200") for account in ("b", "c")),
        cost("acquisition", "300", "c"),
        cost("acquisition", "1700", id="advertising"),
        cost("retention", "60", "a"),
        cost("retention", "40"),
    )
    return service


def test_company_wide_totals_include_all_costs(with_costs: Service) -> None:
    assert proof(with_costs.row("cac")) == (1000, 2000, 2, None)
    assert proof(with_costs.row("customer_retention_cost")) == (25, 100, 4, None)
    assert with_costs.row("cac")["amount"] == "1000.00"
    # 15 days of the month have passed; a month has 30.4375.
    months = 15 / 30.4375
    ratio = with_costs.row("retention_cost_ratio")
    assert ratio["value"] == pytest.approx(100 * 100 / (600 * months))
    assert (ratio["numerator"], ratio["denominator"]) == (100, pytest.approx(600 * months))
    assert proof(with_costs.row("cac_payback_months")) == (pytest.approx(1000 / 150), 1000, 150, None)


def test_a_group_counts_only_its_own_costs(with_costs: Service) -> None:
    by_plan = {row["group"]["plan"]: proof(row) for row in with_costs.rows("cac", **MARCH, group_by="plan")}
    assert by_plan == {
        # Costs without an account are in the group null. They are not costs of the accounts without a plan.
        None: (None, 1700, 0, "no_new_customers"),
        "free": (None, 0, 1, "unallocated"),
        "pro": (300, 300, 1, None),
    }
    retention = {
        row["group"]["plan"]: proof(row) for row in with_costs.rows("customer_retention_cost", **MARCH, group_by="plan")
    }
    assert retention == {
        None: (None, 40, 1, "unallocated"),
        "free": (None, 0, 1, "unallocated"),
        "pro": (30, 60, 2, None),
    }
    pro = {"filter": 'plan = "pro"'}
    assert proof(with_costs.row("cac", **pro)) == (300, 300, 1, None)
    assert proof(with_costs.row("cac", account="b")) == (None, 0, 1, "unallocated")
    with_costs.put("/v1/segments/free", {"filter": 'plan = "free"'})
    assert proof(with_costs.row("customer_retention_cost", segment="free")) == (None, 0, 1, "unallocated")
    for metric in ("ltv_to_cac", "cac_payback_months"):
        free = with_costs.row(metric, account="b")
        assert (free["value"], free.get("reason")) == (
            None,
            "no_customers" if metric == "ltv_to_cac" else "unallocated",
        )


def test_without_costs_the_reason_is_no_costs(service: Service) -> None:
    service.send(pays("acme", "100"))
    for metric in ("cac", "customer_retention_cost", "retention_cost_ratio", "cac_payback_months"):
        row = service.row(metric)
        assert (row["value"], row["reason"]) == (None, "no_costs"), metric
    nobody = service.row("cac", period="2026-01")
    assert (nobody["value"], nobody["reason"]) == (None, "no_new_customers")


def test_a_cost_is_converted_at_the_rate_of_its_day_until_it_is_retracted(service: Service) -> None:
    service.put("/v1/exchange-rates", {"currency": "EUR", "rates": {"2026-01-01": "1.1", "2026-03-08": "1.2"}})
    service.on("2026-03-12").send(
        pays("acme", "100"),
        cost("acquisition", "100", at="2026-03-07", currency="EUR"),
        cost("acquisition", "100", at="2026-03-08", currency="EUR", id="more"),
        cost("acquisition", "50", "acme", at="2026-03-09", currency="EUR", id="own"),
    )
    assert service.value("cac") == 110 + 120 + 60
    service.on("2026-03-13")
    assert service.request("DELETE", "/v1/events/more").status_code == 204
    service.retract("acme", "own")
    assert service.value("cac") == 110
    assert service.value("cac", as_of="2026-03-12") == 290
    assert service.value("cac", as_of="2026-03-12", account="acme") == 60
    assert service.differences() == []


def test_lifetime_value_is_compared_with_acquisition_cost(service: Service) -> None:
    service.send(*(pays(account, "100", "2026-01-10") for account in ("a", "b", "c", "d")))
    service.send(event("subscription.canceled", "d", at="2026-02-10", subscription_id="base"))
    february = {"period": "2026-02"}
    assert proof(service.row("ltv_to_cac", **february)) == (None, 400, None, "no_new_customers")
    service.send(pays("e", "100", "2026-02-05"), cost("acquisition", "160", at="2026-02-01"))
    row = service.row("ltv_to_cac", **february)
    assert (proof(row), row["sample_size"]) == ((2.5, 400, 160, None), 1)
    assert proof(service.row("cac_payback_months", **february)) == (1.6, 160, 100, None)
    # January has no customers at its start, so nobody could leave.
    assert service.row("ltv_to_cac", period="2026-01")["reason"] == "no_customers"


def test_a_cost_of_the_whole_business_cannot_have_a_user(service: Service) -> None:
    answer = service.request("POST", "/v1/events", json=[cost("retention", "10"), cost("retention", "10", user="ada")])
    assert [
        (rejection["index"], rejection["code"], rejection["pointer"]) for rejection in answer.json()["rejected"]
    ] == [(1, "no_account", "/user_id")]


def test_a_negative_amount_is_a_number_in_a_table(service: Service) -> None:
    service.send(pays("a", "100", "2026-01-10"))
    service.send(event("subscription.canceled", "a", at="2026-02-10", subscription_id="base"))
    params = {"period": "2026-02", "format": "csv"}
    _, row = service.request("GET", "/v1/metrics/mrr_net_change", params=params).text.splitlines()
    assert row.endswith(",-100.0,,,,,,,-100.00,default")
