"""Published examples of identities: an event counts once, and movements explain balances."""

from random import Random
from typing import Any

import pytest

from tests.examples.define import (
    FEBRUARY_10,
    LONG_AGO,
    Case,
    Events,
    cancellation,
    example,
    subscription,
    subscription_per,
)
from tests.support.service import account_update, event, survey_responses

GAINS, LOSSES = ("mrr_new", "mrr_reactivated", "mrr_expansion"), ("mrr_contraction", "mrr_churned")
SUMS = ("mrr_opening", *GAINS, *LOSSES, "mrr_net_change", "mrr", "customers_opening", "customers", "customers_churned")
RATES = ("grr", "nrr", "gross_mrr_churn_rate", "customer_retention_rate", "customer_churn_rate")
YEAR = {"start": "2025-01-01", "end": "2026-01-01"}


@example("idempotent-same-id-other-body")
def the_same_id_with_other_content_is_a_conflict(case: Case) -> None:
    first, second = (
        event("feature.used", user="ada", at=FEBRUARY_10, id="e1", feature="reports", count=count) for count in (5, 6)
    )
    case.send(first)
    assert case.rejection_codes(first, second) == ["conflict"]
    assert case.rejection_codes(second) == ["conflict"]
    case.expect({"feature_uses": 5})


def random_year(random: Random) -> Events:
    """Return the events of a year: survey responses, and subscriptions that start, change, end and restart in 12 accounts."""
    events = []
    for number in range(12):
        account = f"account-{number}"
        events.append(account_update(account, at=LONG_AGO, region=("emea", "amer", "apac")[number % 3]))
        events += survey_responses("nps", random.choices(range(11), k=3), account, at=random_time(random))
        for subscription_id in ("first", "second"):
            for _ in range(random.randint(1, 7)):
                events.append(random_change(random, account, subscription_id))
    return events


def random_change(random: Random, account: str, subscription_id: str) -> dict[str, Any]:
    at = random_time(random)
    if random.random() < 0.3:
        end = {"ends_at": random_time(random)} if random.random() < 0.5 else {}
        return cancellation(account, at, of=subscription_id, **end)
    price = random.choice([0, 10, 25.5, 99.99])
    if random.random() < 0.3:
        return subscription_per(account, "year", price, at, subscription_id=subscription_id)
    # The rate of the pound changes within the year, which is no movement.
    return subscription(account, price, at, of=subscription_id, **random.choice([{}, {"currency": "GBP"}]))


def random_time(random: Random) -> str:
    return f"2025-{random.randint(1, 12):02}-{random.randint(1, 28):02}T{random.randint(0, 23):02}:30:00Z"


@example("identity-rollforward")
def movements_explain_balances_and_groups_add_up(case: Case) -> None:
    case.service.put("/v1/exchange-rates", {"currency": "GBP", "rates": {"2025-01-01": "1.25", "2025-07-01": "1.4"}})
    random = Random(92)
    events = random_year(random)
    case.send(*events)
    for granularity in ("month", "quarter", "year"):
        whole = values_by_group(case, granularity)
        for parts in (
            values_by_group(case, granularity, by="region"),
            values_by_group(case, granularity, by="account"),
        ):
            check_balances(parts)
            check_rates(parts)
            for metric in SUMS:
                sums = [sum(values) for values in zip(*(group[metric] for group in parts.values()), strict=True)]
                assert sums == pytest.approx(whole[None][metric], abs=1e-4), metric
        check_balances(whole)
        check_rates(whole)
    (year,) = values_by_group(case, "year").values()
    assert all(year[metric][0] > 0 for metric in (*GAINS, *LOSSES)), "a kind of movement does not occur"
    check_responses(case)

    again = Case(case.service, f"{case.id}-again")
    again.send(*random.sample(events, len(events)), *random.sample(events, len(events) // 2))
    assert values_by_group(again, "month", by="region") == values_by_group(case, "month", by="region")


ValuesByGroup = dict[Any, dict[str, list[Any]]]


def values_by_group(case: Case, granularity: str, by: str | None = None) -> ValuesByGroup:
    """Return the values of the year's periods by group and metric."""
    periods = {"month": 12, "quarter": 4, "year": 1}[granularity]
    groups: ValuesByGroup = {}
    for row in case.rows(*SUMS, *RATES, **YEAR, granularity=granularity, **({"group_by": by} if by else {})):
        group = groups.setdefault(row["group"][by] if by else None, {})
        group.setdefault(row["metric"], []).append(row["value"])
    # A group without facts of a metric in the year has no rows of it.
    empty = dict.fromkeys(SUMS, (0,) * periods) | dict.fromkeys(RATES, (None,) * periods)
    return {
        name: {metric: group.get(metric, list(empty[metric])) for metric in empty} for name, group in groups.items()
    }


def check_balances(groups: ValuesByGroup) -> None:
    for name, group in groups.items():
        for number, (opening, closing) in enumerate(zip(group["mrr_opening"], group["mrr"], strict=True)):
            change = sum(group[metric][number] for metric in GAINS) - sum(group[metric][number] for metric in LOSSES)
            assert opening + change == pytest.approx(closing, abs=1e-4), (name, number)
            assert group["mrr_net_change"][number] == pytest.approx(change, abs=1e-4), (name, number)
        assert group["mrr"][:-1] == group["mrr_opening"][1:], name
        assert group["customers"][:-1] == group["customers_opening"][1:], name


def check_rates(groups: ValuesByGroup) -> None:
    for name, group in groups.items():
        for number, rates in enumerate(zip(*(group[metric] for metric in RATES), strict=True)):
            if not group["customers_opening"][number]:
                assert set(rates) == {None}, (name, number)
                continue
            grr, nrr, gross_churn, retention, churn = rates
            assert 0 <= grr <= 100 and grr <= nrr, (name, number)
            assert gross_churn == pytest.approx(100 - grr, abs=1e-5), (name, number)
            assert retention + churn == pytest.approx(100, abs=1e-5), (name, number)


def check_responses(case: Case) -> None:
    nps, responses = case.rows("nps", "survey_responses", **YEAR, granularity="total")
    assert -100 <= nps["value"] <= 100
    assert nps["denominator"] == responses["value"] == 36
