"""An account that changes groups in the middle of a month, in every metric and by every convention."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.busy import BOTH_MONTHS, MONTHS, PLAN_CHANGERS, PLANS, accounts_on_plan, all_rows, send_busy_history
from tests.support.service import Service

MARCH, APRIL = MONTHS
MEMBERS = {
    (MARCH, "pro"): accounts_on_plan("pro") + PLAN_CHANGERS,
    (MARCH, "enterprise"): accounts_on_plan("enterprise"),
    (APRIL, "pro"): accounts_on_plan("pro"),
    (APRIL, "enterprise"): accounts_on_plan("enterprise") + PLAN_CHANGERS,
}
NUMBERS = ("value", "numerator", "denominator", "sample_size", "interval", "amount", "reason")
GAINED, LOST = ("mrr_new", "mrr_reactivated", "mrr_expansion"), ("mrr_contraction", "mrr_churned")


@pytest.fixture(scope="module")
def busy(copied: Callable[..., Any]) -> Iterator[Service]:
    with copied() as url, Service(url).running() as service:
        send_busy_history(service.on("2026-05-10"))
        yield service


def numbers(row: dict[str, Any]) -> list[Any]:
    return [row.get(name) for name in NUMBERS]


def test_it_is_in_pro_for_march_and_in_enterprise_for_april_in_every_metric(busy: Service) -> None:
    by_plan = all_rows(busy, **BOTH_MONTHS, group_by="plan")
    seen = set()
    for (period, plan), members in MEMBERS.items():
        of_members = all_rows(busy, period=period, account=members)
        of_others = all_rows(busy, period=period, account=accounts_on_plan(plan))
        for (metric, convention, _, _), row in of_members.items():
            grouped = by_plan[metric, convention, period, repr({"plan": plan})]
            assert grouped["value"] is not None, (metric, convention, period, plan, grouped)
            assert numbers(grouped) == numbers(row), (metric, convention, period, plan)
            # It makes a difference where it is.
            without = of_others[metric, convention, period, "{}"]
            same = numbers(grouped) == numbers(without)
            assert same == (members == accounts_on_plan(plan)), (metric, convention, period, plan, grouped)
            seen.add(metric)
    assert seen == {entry["name"] for entry in busy.get("/v1/metrics")["metrics"]}


@pytest.mark.parametrize("granularity", ["day", "week", "month", "quarter", "total"])
def test_groups_add_up_to_the_total_in_every_period_wherever_it_is(busy: Service, granularity: str) -> None:
    asked = BOTH_MONTHS | {"granularity": granularity}
    adding = {entry["name"] for entry in busy.get("/v1/metrics")["metrics"] if "groups" in entry["adds_over"]}
    total, parts = all_rows(busy, **asked), all_rows(busy, **asked, group_by="plan")
    for (metric, convention, period, _), row in total.items():
        both = [parts[metric, convention, period, repr({"plan": plan})] for plan in PLANS]
        # Of a share both sides are counts: these add up, too.
        for side in ["value"] * (metric in adding) + ["numerator", "denominator"] * (row["interval"] is not None):
            assert sum(part[side] for part in both) == pytest.approx(row[side], abs=1e-6), (metric, period, side)


@pytest.mark.parametrize("granularity", ["day", "week", "month", "quarter", "total"])
def test_the_movements_of_every_row_close(busy: Service, granularity: str) -> None:
    asked = BOTH_MONTHS | {"granularity": granularity}
    metrics = ["mrr", "mrr_opening", "mrr_net_change", *GAINED, *LOST]
    for group_by in ("plan", "account", "plan,account"):
        rows: dict[Any, dict[str, float]] = {}
        for row in busy.get("/v1/query", metrics=",".join(metrics), **asked, group_by=group_by)["rows"]:
            place = rows.setdefault((row["period"], repr(row["group"])), dict.fromkeys(metrics, 0.0))
            place[row["metric"]] = row["value"]
        assert any(row["mrr_net_change"] for row in rows.values())
        for place, row in rows.items():
            change = sum(row[name] for name in GAINED) - sum(row[name] for name in LOST)
            assert row["mrr"] - row["mrr_opening"] == pytest.approx(change) == row["mrr_net_change"], place
