"""Questions about stocks: groups whose accounts change, plans, reasons, the gross margin of a day, and amounts."""

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.support.service import Service, account_update, event, session

Start = Callable[..., Service]
GAINS, LOSSES = ("mrr_new", "mrr_reactivated", "mrr_expansion"), ("mrr_contraction", "mrr_churned")
ROLL = ("mrr_opening", *GAINS, *LOSSES, "mrr_net_change", "mrr")
CUSTOMERS = ("customers_opening", "customers_new", "customers_reactivated", "customers_churned", "customers")
SPRING = {"start": "2026-01-01", "end": "2026-05-01"}


def pays(account: str, mrr: str, at: str, *, of: str = "base", **rest: Any) -> dict[str, Any]:
    return event("subscription.changed", account, at=at, subscription_id=of, mrr=mrr, **rest)


def leaves(account: str, at: str, *, of: str = "base", **rest: Any) -> dict[str, Any]:
    return event("subscription.canceled", account, at=at, subscription_id=of, **rest)


@pytest.fixture(scope="module")
def history(shared: Service) -> Service:
    """Acme changes from pro to enterprise in March; Globex is pro, leaves and comes back. Today is 20 April."""
    shared.on("2026-04-20").send(
        account_update("acme", at="2025-01-01T00:00:00Z", plan="pro"),
        account_update("acme", at="2026-03-15T00:00:00Z", plan="enterprise"),
        account_update("globex", at="2025-01-01T00:00:00Z", plan="pro"),
        pays("acme", "100", "2026-01-10", plan="basic"),
        pays("acme", "130", "2026-03-10", plan="basic"),
        pays("acme", "150", "2026-03-20", plan="gold"),
        pays("acme", "140", "2026-04-10"),
        pays("globex", "50", "2026-02-10", plan="basic"),
        leaves("globex", "2026-03-25", reason="price"),
        pays("globex", "70", "2026-04-02"),
        pays("initech", "10", "2026-02-28", plan="gold"),
    )
    shared.put("/v1/segments/large", {"filter": 'plan = "enterprise"'})
    shared.put("/v1/segments/other", {"filter": 'not plan = "enterprise"'})
    return shared


def table(service: Service, metric: str, by: str, **params: Any) -> dict[str, dict[Any, float]]:
    """Return the values that are not 0 or null by period and group."""
    values: dict[str, dict[Any, float]] = defaultdict(dict)
    for row in service.rows(metric, group_by=by, **params):
        if row["value"]:
            values[row["period"]][row["group"][by]] = row["value"]
    return dict(values)


def test_the_mrr_of_a_month_is_in_the_group_of_the_months_start(history: Service) -> None:
    assert table(history, "mrr", "plan", **SPRING) == {
        "2026-01": {"pro": 100},
        "2026-02": {"pro": 150, None: 10},
        "2026-03": {"pro": 150, None: 10},
        "2026-04": {"pro": 70, "enterprise": 140, None: 10},
    }
    assert table(history, "mrr_opening", "plan", **SPRING) == {
        "2026-02": {"pro": 100},
        "2026-03": {"pro": 150, None: 10},
        "2026-04": {"enterprise": 150, None: 10},
    }
    assert table(history, "mrr_expansion", "plan", **SPRING) == {"2026-03": {"pro": 50}}
    assert table(history, "mrr_contraction", "plan", **SPRING) == {"2026-04": {"enterprise": 10}}
    assert table(history, "mrr_churned", "plan", **SPRING) == {"2026-03": {"pro": 50}}
    assert table(history, "mrr_reactivated", "plan", **SPRING) == {"2026-04": {"pro": 70}}


def test_the_mrr_of_a_day_is_in_the_group_of_that_day(history: Service) -> None:
    days = table(history, "mrr", "plan", start="2026-03-14", end="2026-03-17", granularity="day")
    assert days == {
        "2026-03-14": {"pro": 180, None: 10},
        "2026-03-15": {"pro": 50, "enterprise": 130, None: 10},
        "2026-03-16": {"pro": 50, "enterprise": 130, None: 10},
    }
    quarters = table(history, "mrr", "plan", **SPRING, granularity="quarter")
    # Globex has no MRR at first, and the first value of its attribute also holds for the days before.
    assert quarters == {"2026-Q1": {"pro": 150, None: 10}, "2026-Q2": {"pro": 70, "enterprise": 140, None: 10}}


def test_segments_as_of_now_uses_the_attributes_of_today(history: Service) -> None:
    values = table(history, "mrr", "plan", **SPRING, segments_as_of="now")
    assert values["2026-01"] == {"enterprise": 100}
    assert values["2026-02"] == {"pro": 50, "enterprise": 100, None: 10}


@pytest.mark.parametrize("granularity", ["day", "week", "month", "quarter", "year", "total"])
@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"group_by": "plan", "totals": "true"},
        {"group_by": "account"},
        {"group_by": "plan,account"},
        {"segment": ["large", "other"], "group_by": "segment"},
        {"filter": 'plan = "pro"', "as_of": "2026-04-20"},
        {"group_by": "plan", "segments_as_of": "now"},
        {"group_by": "plan", "start": "2026-02-11", "end": "2026-04-03"},
    ],
    ids=lambda extra: ",".join(extra) or "whole",
)
def test_opening_and_movements_add_up_to_closing_in_every_row(history: Service, granularity: str, extra: Any) -> None:
    params = SPRING | {"granularity": granularity} | extra
    rows: dict[Any, dict[str, float]] = defaultdict(dict)
    for row in history.get("/v1/query", metrics=",".join(ROLL + CUSTOMERS), **params)["rows"]:
        rows[row["period"], row["start"], repr(row["group"])][row["metric"]] = row["value"]
    assert any(values.get("mrr") for values in rows.values())
    for key, values in rows.items():
        opening, new, back, expansion, contraction, churned, net, closing = (values.get(name, 0) for name in ROLL)
        assert opening + new + back + expansion - contraction - churned == closing == opening + net, key
        before, came, returned, left, after = (values.get(name, 0) for name in CUSTOMERS)
        assert before + came + returned - left == after, key


def test_each_row_opens_with_the_closing_of_the_one_before_by_account(history: Service) -> None:
    for granularity in ("day", "week", "month", "quarter"):
        params = SPRING | {"granularity": granularity}
        opening, closing = (table(history, metric, "account", **params) for metric in ("mrr_opening", "mrr"))
        periods = list(dict.fromkeys(row["period"] for row in history.rows("mrr", **params)))
        assert opening.get(periods[0], {}) == {}
        for before, after in pairwise(periods):
            assert opening.get(after, {}) == closing.get(before, {}), (granularity, after)


def test_mrr_by_subject_is_by_plan(history: Service) -> None:
    assert table(history, "mrr", "subject", **SPRING) == {
        "2026-01": {"basic": 100},
        "2026-02": {"basic": 150, "gold": 10},
        "2026-03": {"gold": 160},
        "2026-04": {"gold": 150, "basic": 70},
    }
    assert history.value("mrr", period="2026-03", subject="basic") == 0
    assert history.value("arr", period="2026-03", subject="gold") == 12 * 160
    by_both = history.rows("mrr", period="2026-03", group_by="plan,subject")
    assert {tuple(row["group"].values()): row["value"] for row in by_both if row["value"]} == {
        ("pro", "gold"): 150,
        (None, "gold"): 10,
    }


def test_churn_by_subject_is_by_reason(service: Service) -> None:
    for account, reason in (
        ("a", {"reason": "price"}),
        ("b", {"reason": "merger"}),
        ("c", {"reason": "price"}),
        ("d", {}),
    ):
        service.send(
            pays(account, "10", "2026-01-10"), leaves(account, "2026-02-10", ends_at="2026-02-28T00:00:00Z", **reason)
        )
    free = pays("e", "10", "2026-01-10"), pays("e", "0", "2026-02-20")
    service.send(*free)
    params = {"period": "2026-02"}
    assert table(service, "customers_churned", "subject", **params) == {"2026-02": {"price": 2, "merger": 1, None: 2}}
    assert table(service, "mrr_churned", "subject", **params) == {"2026-02": {"price": 20, "merger": 10, None: 20}}
    assert service.value("customers_churned", **params, subject="price") == 2
    assert service.value("mrr_churned", **params, subject=["price", "merger"]) == 30
    # A cancellation that arrives late but ends earlier is the one that counts, with its reason.
    service.send(leaves("b", "2026-02-05", id="late", ends_at="2026-02-08T00:00:00Z", reason="price"))
    assert table(service, "customers_churned", "subject", **params) == {"2026-02": {"price": 3, None: 2}}
    service.retract("b", "late")
    assert table(service, "customers_churned", "subject", **params) == {"2026-02": {"price": 2, "merger": 1, None: 2}}
    assert service.differences() == []


def test_the_gross_margin_of_a_period_is_that_of_its_end(database: str) -> None:
    params = {"start": "2026-02-01", "end": "2026-05-01"}
    with Service(database).open() as service:
        service.send(*(pays(f"account-{number}", "100", "2026-01-10") for number in range(4)))
        service.send(leaves("account-0", "2026-02-10"), leaves("account-1", "2026-03-10"))
        february = service.rows("clv", period="2026-02")
        assert [row["value"] for row in february] == [400]
    lower = Service(database, gross_margin=0.8).on("2026-04-10")
    with lower.open() as service:
        service.send(leaves("account-2", "2026-04-10"))
        assert service.rows("clv", period="2026-02") == february
        running = service.rows("clv", **params)[-1]
        assert (running["numerator"], running["complete"]) == (80, False)
        service.on("2026-05-02")
        rows = service.rows("clv", **params)
        assert [(row["value"], row["numerator"], row["amount"]) for row in rows] == [
            (400, 100, "400.00"),
            (300, 100, "300.00"),
            (160, 80, "160.00"),
        ]
        assert [row["sample_size"] for row in rows] == [4, 3, 2]
        # A range has one gross margin, that of its end.
        (whole,) = service.rows("clv", **params, granularity="total")
        assert (whole["numerator"], whole["value"]) == (80, pytest.approx(80 / (3 / 4 / 3)))
    # Restarted with the same margin, or with another one on the same day.
    with Service(database, gross_margin=0.8).on("2026-05-02").open() as service:
        assert service.rows("clv", **params) == rows
    with Service(database, gross_margin=0.5).on("2026-05-02").open() as service:
        assert service.rows("clv", **params) == rows


def test_an_amount_has_the_decimals_of_its_currency(start_service: Start) -> None:
    service = start_service(base_currency="JPY")
    service.put("/v1/exchange-rates", {"currency": "USD", "rates": {"2026-01-01": "150.25"}})
    service.send(pays("acme", "1250.6", "2026-01-10"), pays("globex", "10.01", "2026-01-10", currency="USD"))
    params = {"period": "2026-02"}
    row = service.row("mrr", **params)
    assert (row["value"], row["amount"]) == (2754.6025, "2755")
    assert (service.row("arr", **params)["amount"], service.row("arpa", **params)["amount"]) == ("33055", "1377")
    assert service.row("mrr_new", **params)["amount"] == "0"
    assert service.row("arpu", **params)["amount"] is None
    assert "amount" not in service.row("customers", **params)


def test_an_amount_in_dollars_has_cents_and_can_be_negative(service: Service) -> None:
    service.send(pays("acme", "1250.5", "2026-01-10"), pays("acme", "0.004", "2026-02-10"), session(at="2026-02-10"))
    assert service.row("mrr", period="2026-01")["amount"] == "1250.50"
    assert service.row("mrr_net_change", period="2026-02")["amount"] == "-1250.50"
    assert service.row("mrr", period="2026-02")["amount"] == service.row("arpu", period="2026-02")["amount"] == "0.00"
    assert service.row("arr", period="2026-02")["amount"] == "0.05"


def test_a_future_period_closes_as_it_opens(service: Service) -> None:
    service.send(pays("acme", "100", "2026-01-10"), leaves("acme", "2026-03-10", ends_at="2026-04-10T00:00:00Z"))
    params = {"start": "2026-03-01", "end": "2026-06-01"}
    values = {
        metric: [row["value"] for row in service.rows(metric, **params)]
        for metric in ("mrr_opening", "mrr", "mrr_churned")
    }
    # A future change before a period's start is part of its opening balance, but not yet a movement of any period.
    assert values == {"mrr_opening": [100, 100, 0], "mrr": [100, 100, 0], "mrr_churned": [0, 0, 0]}
    service.on("2026-04-11")
    assert [row["value"] for row in service.rows("mrr_churned", **params)] == [0, 100, 0]
