"""An account that changes groups within a month, in every metric and by every convention."""

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
GAINS, LOSSES = ("mrr_new", "mrr_reactivated", "mrr_expansion"), ("mrr_contraction", "mrr_churned")


@pytest.fixture(scope="module")
def busy(copy_database: Callable[..., Any]) -> Iterator[Service]:
    with copy_database() as url, Service(url).open() as service:
        send_busy_history(service.on("2026-05-10"))
        yield service


def numbers(row: dict[str, Any]) -> list[Any]:
    return [row.get(name) for name in NUMBERS]


def test_every_metric_counts_a_change_of_plan_in_march_from_april_on(busy: Service) -> None:
    by_plan = all_rows(busy, **BOTH_MONTHS, group_by="plan")
    metrics_seen = set()
    for (period, plan), members in MEMBERS.items():
        of_members = all_rows(busy, period=period, account=members)
        of_others = all_rows(busy, period=period, account=accounts_on_plan(plan))
        for (metric, convention, _, _), row in of_members.items():
            grouped = by_plan[metric, convention, period, repr({"plan": plan})]
            assert grouped["value"] is not None, (metric, convention, period, plan, grouped)
            assert numbers(grouped) == numbers(row), (metric, convention, period, plan)
            # Without the accounts that changed groups, the numbers are others.
            without = of_others[metric, convention, period, "{}"]
            same = numbers(grouped) == numbers(without)
            assert same == (members == accounts_on_plan(plan)), (metric, convention, period, plan, grouped)
            metrics_seen.add(metric)
    assert metrics_seen == {entry["name"] for entry in busy.get("/v1/metrics")["metrics"]}


@pytest.mark.parametrize("granularity", ["day", "week", "month", "quarter", "total"])
def test_groups_add_up_to_the_total_in_every_period(busy: Service, granularity: str) -> None:
    params = BOTH_MONTHS | {"granularity": granularity}
    adding = {entry["name"] for entry in busy.get("/v1/metrics")["metrics"] if "groups" in entry["adds_over"]}
    total, parts = all_rows(busy, **params), all_rows(busy, **params, group_by="plan")
    for (metric, convention, period, _), row in total.items():
        parts_by_plan = [parts[metric, convention, period, repr({"plan": plan})] for plan in PLANS]
        # Numerator and denominator of a proportion are counts: they add up, too.
        for side in ["value"] * (metric in adding) + ["numerator", "denominator"] * (row["interval"] is not None):
            assert sum(part[side] for part in parts_by_plan) == pytest.approx(row[side], abs=1e-6), (
                metric,
                period,
                side,
            )


@pytest.mark.parametrize("granularity", ["day", "week", "month", "quarter", "total"])
def test_the_mrr_movements_of_every_row_add_up(busy: Service, granularity: str) -> None:
    params = BOTH_MONTHS | {"granularity": granularity}
    metrics = ["mrr", "mrr_opening", "mrr_net_change", *GAINS, *LOSSES]
    for group_by in ("plan", "account", "plan,account"):
        rows: dict[Any, dict[str, float]] = {}
        for row in busy.get("/v1/query", metrics=",".join(metrics), **params, group_by=group_by)["rows"]:
            values = rows.setdefault((row["period"], repr(row["group"])), dict.fromkeys(metrics, 0.0))
            values[row["metric"]] = row["value"]
        assert any(row["mrr_net_change"] for row in rows.values())
        for key, row in rows.items():
            change = sum(row[name] for name in GAINS) - sum(row[name] for name in LOSSES)
            assert row["mrr"] - row["mrr_opening"] == pytest.approx(change) == row["mrr_net_change"], key
