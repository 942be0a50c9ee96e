"""What is found to be a ratio of sums is one: for random operands, and for the sum of the operands of several accounts."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.bi.linear import (
    NEEDS_COSTS,
    NEEDS_MARGIN,
    NOT_A_RATIO,
    NOT_IN_MONTHS,
    Coefficient,
    NoRatio,
    Ratio,
    add_up,
    find_ratio,
)
from app.bi.metric_views import entries
from app.ledger.sums.operands import Flow
from app.metrics.define import METRICS, ContextValue, Metric, Result, percentage
from app.metrics.results import ledger_units

FOUND = [own for own in entries() if own.ratio is not None]
REASONS = {
    NEEDS_MARGIN: {"clv/with_margin", "clv/trailing_churn", "ltv_to_cac/default", "cac_payback_months/default"},
    NEEDS_COSTS: {
        "cac/default",
        "customer_retention_cost/customers",
        "customer_retention_cost/retained_customers",
        "retention_cost_ratio/default",
    },
    NOT_A_RATIO: {
        "clv/without_margin",
        "clv_purchases/gross_of_refunds",
        "clv_purchases/net_of_refunds",
        "gross_mrr_churn_rate/capped_on_totals",
        "grr/capped_on_totals",
        "csat/mean_over_range",
        "csat_average/default",
        "ces/mean",
    },
    NOT_IN_MONTHS: {"health_score/default", "accounts_by_band/default"},
}


def test_what_is_left_out_says_why() -> None:
    reasons: dict[str, set[str]] = {}
    for own in entries():
        if own.reason is not None:
            reasons.setdefault(own.reason, set()).add(f"{own.metric.name}/{own.metric.convention}")
    assert reasons == REASONS


@pytest.mark.parametrize("own", FOUND, ids=lambda own: f"{own.metric.name}-{own.metric.convention}")
@settings(max_examples=30)
@given(data=st.data())
def test_the_ratio_is_what_the_formula_returns(own: object, data: st.DataObject) -> None:
    metric, ratio = own.metric, own.ratio  # type: ignore[attr-defined]
    days = data.draw(st.integers(1, 31))
    point = {operand: data.draw(st.integers(0, 10**9)) for operand in metric.operands}
    if metric.name == "stickiness" and not point[metric.operands[1]]:
        return  # nobody was active on any day then
    try:
        result = evaluate(metric, list(point.values()), days)
    except ValueError:
        return  # more promoters than responses
    numerator = add_up(ratio.numerator, point, days)
    if ratio.denominator is None:
        assert result.value == pytest.approx(float(numerator), rel=1e-9)
        return
    denominator = add_up(ratio.denominator, point, days)
    assert result.numerator == pytest.approx(float(numerator), rel=1e-9)
    assert result.denominator == pytest.approx(float(denominator), rel=1e-9)
    expected = None if not denominator else pytest.approx(float(ratio.scale * numerator / denominator), rel=1e-9)
    assert result.value == expected


def evaluate(metric: Metric, point: list[int], days: int) -> Result:
    operands = iter(
        Fraction(value, 12) if operand.is_per_year else value
        for operand, value in zip(metric.operands, point, strict=True)
    )
    context = {"months": Fraction(1), "days": days}
    inputs = metric.inputs.values()
    return metric(*(context[own.name] if isinstance(own, ContextValue) else next(operands) for own in inputs))


@pytest.mark.parametrize("own", FOUND, ids=lambda own: f"{own.metric.name}-{own.metric.convention}")
def test_the_ratio_of_the_example_is_its_result(own: object) -> None:
    metric, ratio = own.metric, own.ratio  # type: ignore[attr-defined]
    names = [name for name, value in metric.inputs.items() if not isinstance(value, ContextValue)]
    point = {
        operand: int(ledger_units(metric.example[name]) * (12 if operand.is_per_year else 1))
        for name, operand in zip(names, metric.operands, strict=True)
    }
    days = int(metric.example.get("days", 31))
    value = add_up(ratio.numerator, point, days)
    if ratio.denominator is not None:
        value = ratio.scale * value / add_up(ratio.denominator, point, days)
    equals = metric.example["equals"]
    assert float(value) == pytest.approx(float(str(equals).partition(" ")[0]))


def test_a_formula_that_only_looks_like_a_ratio_at_its_example_is_none() -> None:
    from dataclasses import replace

    nps = METRICS["support_tickets"]

    def capped(tickets_opened: int) -> Result:
        return percentage(min(tickets_opened, 10**7), of=tickets_opened, if_empty="none")

    with pytest.raises(NoRatio):
        find_ratio(replace(nps, formula=capped))
    assert find_ratio(nps) == Ratio({Flow("tickets_opened"): Coefficient(Fraction(1))}, None)
