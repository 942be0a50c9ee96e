"""Costs, with an account and without: of the whole, of groups of accounts, and what they are held against."""

from typing import Any

import pytest

from tests.support.service import Service, event, moved

MARCH = {"period": "2026-03"}


def spent(
    category: str, amount: str, account: str | None = None, at: str = "2026-03-10", **rest: Any
) -> dict[str, Any]:
    return event("cost.recorded", account, at=at, category=category, amount=amount, **rest)


def pays(account: str, mrr: str, at: str = "2026-03-05") -> dict[str, Any]:
    return event("subscription.changed", account, at=at, subscription_id="base", mrr=mrr)


def said(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["value"], row["numerator"], row["denominator"], row.get("reason")


@pytest.fixture
def spending(service: Service) -> Service:
    """Two are won for 300.00 of their own and 1,700.00 of nobody's; two more are there; to keep them takes 60.00 and 40.00."""
    service.send(
        *(moved(account, plan=plan) for account, plan in (("a", "pro"), ("b", "free"), ("c", "pro"))),
        *(pays(account, "100", "2026-01-10") for account in ("a", "unplanned")),
        *(pays(account, "200") for account in ("b", "c")),
        spent("acquisition", "300", "c"),
        spent("acquisition", "1700", id="advertising"),
        spent("retention", "60", "a"),
        spent("retention", "40"),
    )
    return service


def test_in_the_whole_all_costs_count(spending: Service) -> None:
    assert said(spending.row("cac")) == (1000, 2000, 2, None)
    assert said(spending.row("customer_retention_cost")) == (25, 100, 4, None)
    assert spending.row("cac")["amount"] == "1000.00"
    # Half a month has passed: 15 days of 30.4375.
    months = 15 / 30.4375
    ratio = spending.row("retention_cost_ratio")
    assert ratio["value"] == pytest.approx(100 * 100 / (600 * months))
    assert (ratio["numerator"], ratio["denominator"]) == (100, pytest.approx(600 * months))
    assert said(spending.row("cac_payback_months")) == (pytest.approx(1000 / 150), 1000, 150, None)


def test_a_group_has_an_answer_by_its_own_costs_only(spending: Service) -> None:
    by_plan = {row["group"]["plan"]: said(row) for row in spending.rows("cac", **MARCH, group_by="plan")}
    assert by_plan == {
        # What was spent for nobody stands in the group null, where it tells nothing of those who have no plan.
        None: (None, 1700, 0, "no_new_customers"),
        "free": (None, 0, 1, "unallocated"),
        "pro": (300, 300, 1, None),
    }
    retention = {
        row["group"]["plan"]: said(row) for row in spending.rows("customer_retention_cost", **MARCH, group_by="plan")
    }
    assert retention == {
        None: (None, 40, 1, "unallocated"),
        "free": (None, 0, 1, "unallocated"),
        "pro": (30, 60, 2, None),
    }
    pro = {"filter": 'plan = "pro"'}
    assert said(spending.row("cac", **pro)) == (300, 300, 1, None)
    assert said(spending.row("cac", account="b")) == (None, 0, 1, "unallocated")
    spending.put("/v1/segments/free", {"filter": 'plan = "free"'})
    assert said(spending.row("customer_retention_cost", segment="free")) == (None, 0, 1, "unallocated")
    for metric in ("ltv_to_cac", "cac_payback_months"):
        free = spending.row(metric, account="b")
        assert (free["value"], free.get("reason")) == (
            None,
            "no_customers" if metric == "ltv_to_cac" else "unallocated",
        )


def test_without_any_costs_nothing_is_known_of_them(service: Service) -> None:
    service.send(pays("acme", "100"))
    for metric in ("cac", "customer_retention_cost", "retention_cost_ratio", "cac_payback_months"):
        row = service.row(metric)
        assert (row["value"], row["reason"]) == (None, "no_costs"), metric
    nobody = service.row("cac", period="2026-01")
    assert (nobody["value"], nobody["reason"]) == (None, "no_new_customers")


def test_a_cost_counts_in_its_currency_on_its_day_until_it_is_taken_back(service: Service) -> None:
    service.put("/v1/exchange-rates", {"currency": "EUR", "rates": {"2026-01-01": "1.1", "2026-03-08": "1.2"}})
    service.on("2026-03-12").send(
        pays("acme", "100"),
        spent("acquisition", "100", at="2026-03-07", currency="EUR"),
        spent("acquisition", "100", at="2026-03-08", currency="EUR", id="more"),
        spent("acquisition", "50", "acme", at="2026-03-09", currency="EUR", id="own"),
    )
    assert service.value("cac") == 110 + 120 + 60
    service.on("2026-03-13")
    assert service.request("DELETE", "/v1/events/more").status_code == 204
    service.retract("acme", "own")
    assert service.value("cac") == 110
    assert service.value("cac", as_of="2026-03-12") == 290
    assert service.value("cac", as_of="2026-03-12", account="acme") == 60
    assert service.differences() == []


def test_the_worth_of_a_customer_is_held_against_what_it_takes_to_win_one(service: Service) -> None:
    service.send(*(pays(account, "100", "2026-01-10") for account in ("a", "b", "c", "d")))
    service.send(event("subscription.canceled", "d", at="2026-02-10", subscription_id="base"))
    february = {"period": "2026-02"}
    assert said(service.row("ltv_to_cac", **february)) == (None, 400, None, "no_new_customers")
    service.send(pays("e", "100", "2026-02-05"), spent("acquisition", "160", at="2026-02-01"))
    row = service.row("ltv_to_cac", **february)
    assert (said(row), row["sample_size"]) == ((2.5, 400, 160, None), 1)
    assert said(service.row("cac_payback_months", **february)) == (1.6, 160, 100, None)
    # Nobody left in January, and nobody was there when it began.
    assert service.row("ltv_to_cac", period="2026-01")["reason"] == "no_customers"


def test_a_cost_of_the_whole_business_is_of_no_user(service: Service) -> None:
    answer = service.request(
        "POST", "/v1/events", json=[spent("retention", "10"), spent("retention", "10", user="ada")]
    )
    assert [(one["index"], one["code"], one["pointer"]) for one in answer.json()["rejected"]] == [
        (1, "no_account", "/user_id")
    ]


def test_an_amount_below_zero_is_a_number_in_a_table(service: Service) -> None:
    service.send(pays("a", "100", "2026-01-10"))
    service.send(event("subscription.canceled", "a", at="2026-02-10", subscription_id="base"))
    asked = {"period": "2026-02", "format": "csv"}
    _, row = service.request("GET", "/v1/metrics/mrr_net_change", params=asked).text.splitlines()
    assert row.endswith(",-100.0,,,,,,,-100.00,default")
