"""A target on each kind of metric in each status, computed by hand. Today is 15 March: 15 of 31 days of March have passed."""

# ruff: noqa: E501
# One line a case, so that the table can be read as a table.

from collections.abc import Callable

import pytest

from tests.scorecard.cards import cancel, customers, put, row, satisfaction, sessions, tickets
from tests.support.service import Service, event

LAST_MONTH, EARLIER, LATER = "2026-02", "2026-02-03", "2026-03-02"

Data = Callable[[Service], None]
# metric, data, target, period: status, value, attainment, expected by now, projection
CASES: list[tuple[str, str, Data, float, str | None, tuple[object, ...]]] = [
    # Flow: the target counts by days, and the run rate is projected.
    ("reached early", "sessions", lambda s: sessions(s, 12), 10, None, ("met", 12, 120.0, 4.83871, 24.8)),
    ("ahead of pace", "sessions", lambda s: sessions(s, 10), 20, None, ("on_track", 10, 50.0, 9.677419, 20.666667)),
    ("exactly on pace", "sessions", lambda s: sessions(s, 15), 31, None, ("on_track", 15, 48.387097, 15.0, 31.0)),
    ("behind pace", "sessions", lambda s: sessions(s, 9), 20, None, ("behind", 9, 45.0, 9.677419, 18.6)),
    ("nothing so far", "sessions", lambda s: None, 20, None, ("behind", 0, 0.0, 9.677419, 0.0)),
    ("over, reached", "sessions", lambda s: sessions(s, 5, at=EARLIER), 5, LAST_MONTH, ("met", 5, 100.0, 5.0, 5.0)),
    ("over, short", "sessions", lambda s: sessions(s, 4, at=EARLIER), 5, LAST_MONTH, ("missed", 4, 80.0, 5.0, 4.0)),
    # Stock: the last value is projected, and expected at any time.
    ("stock reached", "customers", lambda s: customers(s, "a", "b"), 2, None, ("on_track", 2, 100.0, 2.0, 2.0)),
    ("stock short", "customers", lambda s: customers(s, "a"), 2, None, ("behind", 1, 50.0, 2.0, 1.0)),
    ("stock over, reached", "customers", lambda s: customers(s, "a", "b"), 2, LAST_MONTH, ("met", 2, 100.0, 2.0, 2.0)),
    ("stock over, short", "customers", lambda s: customers(s, "a"), 2, LAST_MONTH, ("missed", 1, 50.0, 2.0, 1.0)),
    # Proportion.
    ("rate reached", "csat", lambda s: satisfaction(s, 3, 1), 60, None, ("on_track", 75.0, 125.0, 60.0, 75.0)),
    ("rate short", "csat", lambda s: satisfaction(s, 1, 1), 60, None, ("behind", 50.0, 83.333333, 60.0, 50.0)),
    ("rate equal", "csat", lambda s: satisfaction(s, 2, 1), 66.666667, None, ("on_track", 66.666667, 100.0, 66.666667, 66.666667)),
    ("rate over, reached", "csat", lambda s: satisfaction(s, 1, 0, at=EARLIER), 60, LAST_MONTH, ("met", 100.0, 166.666667, 60.0, 100.0)),
    ("rate over, short", "csat", lambda s: satisfaction(s, 0, 1, at=EARLIER), 60, LAST_MONTH, ("missed", 0.0, 0.0, 60.0, 0.0)),
    ("rate without responses", "csat", lambda s: None, 60, None, ("no_data", None, None, 60.0, None)),
    # Money: a stock and a flow.
    ("money reached", "mrr", lambda s: customers(s, "a", mrr="120.50"), 100, None, ("on_track", 120.5, 120.5, 100.0, 120.5)),
    ("money short", "mrr", lambda s: customers(s, "a", mrr="80"), "100.00", None, ("behind", 80.0, 80.0, 100.0, 80.0)),
    ("money flow behind", "mrr_new", lambda s: customers(s, "a", at=LATER, mrr="15"), 62, None, ("behind", 15.0, 24.193548, 30.0, 31.0)),
    ("money flow met", "mrr_new", lambda s: customers(s, "a", at=LATER, mrr="62"), "62", None, ("met", 62.0, 100.0, 30.0, 128.133333)),
    ("money over, short", "mrr", lambda s: customers(s, "a", mrr="80"), 100, LAST_MONTH, ("missed", 80.0, 80.0, 100.0, 80.0)),
    ("money over, reached", "mrr", lambda s: customers(s, "a", mrr="120.50"), 100, LAST_MONTH, ("met", 120.5, 120.5, 100.0, 120.5)),
    ("money flow over, short", "mrr_new", lambda s: customers(s, "a", mrr="15"), 62, LAST_MONTH, ("missed", 15.0, 24.193548, 62.0, 15.0)),
    ("money ahead of pace", "mrr_new", lambda s: customers(s, "a", at=LATER, mrr="31"), 62, None, ("on_track", 31.0, 50.0, 30.0, 64.066667)),
    ("money per nobody", "arpa", lambda s: None, 100, None, ("no_data", None, None, 100.0, None)),
    # Lower is better: a flow is a budget, and 100% is the target.
    ("budget left", "support_tickets", lambda s: tickets(s, 15), 62, None, ("on_track", 15, 72.580645, 30.0, 31.0)),
    ("budget going", "support_tickets", lambda s: tickets(s, 31), 62, None, ("behind", 31, 46.774194, 30.0, 64.066667)),
    ("budget used up", "support_tickets", lambda s: tickets(s, 4), 3, None, ("missed", 4, -36.55914, 1.451613, 8.266667)),
    ("budget kept", "support_tickets", lambda s: tickets(s, 2, at=EARLIER), 4, LAST_MONTH, ("met", 2, 150.0, 4.0, 2.0)),
    ("lower rate reached", "customer_churn_rate", lambda s: customers(s, "a", "b"), 5, None, ("on_track", 0.0, 200.0, 5.0, 0.0)),
    ("lower rate over, reached", "customer_churn_rate", lambda s: customers(s, "a", at="2026-01-10"), 5, LAST_MONTH, ("met", 0.0, 200.0, 5.0, 0.0)),
    ("lower rate of nobody", "customer_churn_rate", lambda s: None, 5, None, ("no_data", None, None, 5.0, None)),
    ("lower stock short", "ticket_backlog", lambda s: tickets(s, 3), 2, None, ("behind", 3, 50.0, 2.0, 3.0)),
    ("lower stock over", "ticket_backlog", lambda s: tickets(s, 3, at=EARLIER), 2, LAST_MONTH, ("missed", 3, 50.0, 2.0, 3.0)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "data", "target", "period", "judgment"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_status_is_what_is_computed_by_hand(
    metric: str, data: Data, target: float, period: str | None, judgment: tuple[object, ...], service: Service
) -> None:
    data(service)
    put(service, "goal", metric, target, since="2026-01-01")
    found = row(service, "goal", **({"period": period} if period else {}))
    assert tuple(found[name] for name in ("status", "value", "attainment", "expected", "projection")) == judgment
    assert found["gap"] == (None if found["value"] is None else pytest.approx(found["value"] - found["target"]))
    assert found["complete"] is (period is not None)


@pytest.mark.parametrize(
    "metric", ["sessions", "customers", "csat", "mrr", "mrr_new", "support_tickets", "ticket_backlog"]
)
def test_any_kind_of_metric_has_no_data_before_its_period_begins(metric: str, service: Service) -> None:
    put(service, "goal", metric, 5, since="2026-04-01")
    found = row(service, "goal", period="2026")
    assert (found["status"], found["reason"], found["value"], found["expected"]) == ("no_data", "not_begun", None, None)


def test_a_churn_rate_above_its_target_is_behind_and_then_missed(service: Service) -> None:
    customers(service, "a", "b")
    cancel(service, "a")
    put(service, "churn", "customer_churn_rate", 5)
    found = row(service, "churn")
    assert (found["status"], found["value"], found["attainment"], found["gap"]) == ("behind", 50.0, -800.0, 45.0)
    service.on("2026-04-02")
    assert row(service, "churn", period="2026-03")["status"] == "missed"


def test_money_is_shown_with_the_decimals_of_the_currency(service: Service) -> None:
    customers(service, "a", mrr="33.33")
    put(service, "mrr", "mrr", "100.5")
    found = row(service, "mrr")
    assert (found["amount"], found["target_amount"], found["unit"]) == ("33.33", "100.50", "money")


def test_a_rate_has_its_interval(service: Service) -> None:
    satisfaction(service, 3, 1)
    put(service, "csat", "csat", 60)
    found = row(service, "csat")
    assert found["interval"] == service.row("csat")["interval"]
    assert found["sample_size"] == 4


def test_a_flow_that_can_fall_is_not_met_before_the_period_ends(service: Service) -> None:
    customers(service, "a", at=LATER, mrr="50")
    put(service, "net", "mrr_net_change", 10)
    assert row(service, "net")["status"] == "on_track"
    service.on("2026-04-01")
    assert row(service, "net", period="2026-03")["status"] == "met"


@pytest.mark.parametrize(
    ("target", "baseline", "responses", "attainment"),
    [
        (0, None, [10, 0], None),  # a target of 0 has no percentages without a baseline
        (-20, None, [10, 0], None),
        (-20, -60, [10, 0, 0], 66.666668),  # from -60 to -20; the score is shown as -33.333333
        (0, -50, [0, 0], -100.0),  # worse than the baseline: -100
        (50, 0, [10, 10, 10, 0], 100.0),
    ],
)
def test_attainment_with_targets_of_zero_and_below(
    target: float, baseline: float | None, responses: list[int], attainment: float | None, service: Service
) -> None:
    service.send(*(event("survey.responded", survey="nps", score=score) for score in responses))
    put(service, "nps", "nps", target, **({} if baseline is None else {"baseline": baseline}))
    assert row(service, "nps")["attainment"] == attainment


def test_the_baseline_of_a_flow_counts_by_days(service: Service) -> None:
    sessions(service, 30)
    put(service, "sessions", "sessions", 93, baseline=31)
    # 30 sessions are 15 more than the baseline of 15 days, of the 62 more that the target is.
    assert row(service, "sessions")["attainment"] == 24.193548


def test_a_direction_is_needed_where_the_metric_has_none(service: Service) -> None:
    service.send(*(event("feedback.received", comment="Fine.") for _ in range(3)))
    put(service, "few", "feedback_comments", 2, direction="down")
    put(service, "many", "feedback_comments", 2, "quarter", direction="up")
    assert row(service, "few")["status"] == "missed"
    assert row(service, "many")["status"] == "met"


def test_each_row_says_how_it_is_projected(service: Service) -> None:
    put(service, "flow", "sessions", 20)
    put(service, "stock", "customers", 20)
    put(service, "rate", "csat", 20)
    rules = {id: row(service, id)["projection_rule"] for id in ("flow", "stock", "rate")}
    assert rules["flow"].startswith("Run rate: the value so far × 31 ÷ 15")
    assert rules["stock"] == "The last value: levels and rates are not extrapolated."
    assert rules["rate"] == "There is no value to project."
    put(service, "flow", "sessions", 20, since="2026-02-01")
    assert row(service, "flow", period="2026-02")["projection_rule"].startswith("The period has ended")
