"""The kinds of components, by hand."""

from datetime import date, timedelta
from typing import Any

import pytest

from tests.health.models import component, model
from tests.support.service import Service, event, session, survey_responses

# The clock stands at 15 March 2026. A window of 28 days begins on 16 February.
TODAY = "2026-03-15"


def subscription(mrr: str = "100", account: str = "acme", *, at: str = "2025-09-01", **data: Any) -> dict[str, Any]:
    return event("subscription.changed", account, at=at, subscription_id="sub", mrr=mrr, **data)


def shown(service: Service, own: dict[str, Any], account: str = "acme", **parameters: Any) -> tuple[Any, Any]:
    """Put a model of one component and return its value and score."""
    service.put("/v1/health-model", model(own))
    (answer,) = service.get(f"/v1/accounts/{account}/health", **parameters)["components"]
    return answer["value"], answer["score"]


def sessions_in_weeks(*counts: int) -> list[dict[str, Any]]:
    """Return so many sessions in each of the weeks before today, the latest first."""
    days = [date(2026, 3, 14) - timedelta(days=7 * week) for week in range(len(counts))]
    return [session(at=str(day)) for day, count in zip(days, counts, strict=True) for _ in range(count)]


USAGE = component("usage", "sessions", 0, 100, kind="baseline")


@pytest.mark.parametrize(
    ("poor", "good", "score"),
    [(0, 10, 30), (10, 0, 70), (0, 3, 100), (5, 10, 0), (3, 5, 0), (0, 7, 42.86), (-3, 3, 100)],
)
def test_a_value_is_linear_between_the_anchors_and_clamped_outside(
    service: Service, poor: int, good: int, score: float
) -> None:
    service.send(*[session() for _ in range(3)])
    assert shown(service, component("sessions", "sessions", poor, good)) == (3, score)


def test_the_window_ends_with_the_day_and_has_as_many_days_as_the_model_says(service: Service) -> None:
    service.send(session(at="2026-02-15"), session(at="2026-02-16"), session(at=TODAY))
    assert shown(service, component("sessions", "sessions", 0, 10))[0] == 2
    assert shown(service, component("sessions", "sessions", 0, 10, window_days=29))[0] == 3
    assert shown(service, component("sessions", "sessions", 0, 10, window_days=1))[0] == 1


def test_a_metric_without_a_value_takes_no_part(service: Service) -> None:
    service.send(session())
    assert shown(service, component("nps", "nps", -100, 100)) == (None, None)


def test_a_component_may_be_narrowed_to_subjects_channels_and_a_convention(service: Service) -> None:
    service.send(
        event("feature.used", user="ada", feature="export"), event("feature.used", user="ada", feature="search")
    )
    service.send(event("ticket.opened", ticket_id="1", channel="email"), event("ticket.opened", ticket_id="2"))
    service.send(*survey_responses("csat", [5, 5, 4, 4, 3]))
    assert shown(service, component("export", "feature_uses", 0, 10, subject=["export"]))[0] == 1
    assert shown(service, component("users", "feature_adoption_rate", 0, 100, subject=["export", "search"]))[0] == 100
    assert shown(service, component("email", "ticket_backlog", 10, 0, channel=["email"]))[0] == 1
    assert shown(service, component("csat", "csat", 0, 100, convention="mean_over_range"))[0] == 80


def test_a_required_metric_that_never_counted_leaves_the_component_out(service: Service) -> None:
    service.send(session(), session("globex"))
    service.send(
        event("ticket.opened", at="2025-12-01", ticket_id="1"), event("ticket.resolved", at="2025-12-02", ticket_id="1")
    )
    tickets = component("tickets", "ticket_backlog", 10, 0, requires="support_tickets")
    assert shown(service, tickets) == (0, 100)
    assert shown(service, tickets, "globex") == (None, None)


def test_a_change_is_against_the_window_before(service: Service) -> None:
    service.send(subscription("200"), subscription("150", at="2026-03-01"))
    revenue = component("revenue", "mrr", -50, 50, kind="change")
    assert shown(service, revenue) == (-25, 25)
    assert shown(service, revenue | {"change_in": "points", "poor": -100, "good": 0}) == (-50, 50)
    # Both ends of a window of 10 days have the new price.
    assert shown(service, revenue | {"window_days": 10}) == (0, 50)


def test_a_change_from_nothing_takes_no_part(service: Service) -> None:
    service.send(subscription(at="2026-03-01"), session())
    assert shown(service, component("revenue", "mrr", -50, 50, kind="change")) == (None, None)


def test_a_baseline_is_the_median_of_the_older_weeks(service: Service) -> None:
    # Three recent weeks, a gap that does not count, and eight older weeks with the median 4.
    service.send(*sessions_in_weeks(2, 3, 1, 50, 4, 4, 4, 1, 9, 4, 4, 4))
    assert shown(service, USAGE) == (50, 50)


def test_an_account_that_went_silent_has_zero_and_one_that_never_used_anything_takes_no_part(service: Service) -> None:
    service.send(*sessions_in_weeks(0, 0, 0, 0, 2, 2, 2), subscription(), subscription(account="globex"))
    assert shown(service, USAGE) == (0, 0)
    assert service.get("/v1/accounts/acme/health")["flags"] == ["went_silent"]
    assert shown(service, USAGE, "globex") == (None, None)
    assert service.get("/v1/accounts/globex/health")["flags"] == []


def test_weeks_without_anything_count_as_zero_after_the_first_week_with_something(service: Service) -> None:
    # Of the older weeks, 3, 0, 0, 3 count; their median is 1.5.
    service.send(*sessions_in_weeks(1, 1, 1, 0, 3, 0, 0, 3))
    assert shown(service, USAGE)[0] == pytest.approx(66.666667)


def test_a_median_of_zero_is_replaced_by_the_mean(service: Service) -> None:
    service.send(*sessions_in_weeks(1, 0, 0, 0, 0, 0, 0, 4))
    assert shown(service, USAGE)[0] == pytest.approx(33.333333)


def test_an_account_that_is_too_young_has_no_baseline(service: Service) -> None:
    service.send(*sessions_in_weeks(5, 5, 5, 5, 5, 5))
    assert shown(service, USAGE) == (None, None)
    assert shown(service, USAGE | {"min_weeks": 2})[0] == 100


@pytest.mark.parametrize(("last", "days", "score"), [(TODAY, 0, 100), ("2026-03-05", 10, 50), ("2025-03-15", 365, 0)])
def test_days_since_the_last_activity(service: Service, last: str, days: int, score: float) -> None:
    service.send(session(at=last), session(at="2024-01-01"))
    assert shown(service, component("last", "sessions", 20, 0, kind="days_since")) == (days, score)


def test_activity_that_was_taken_back_was_none(service: Service) -> None:
    service.send(session(at="2026-03-01"), session(at="2026-03-10", id="mistake"), session("globex", id="only"))
    service.retract("acme", "mistake")
    service.retract("globex", "only")
    last = component("last", "sessions", 20, 0, kind="days_since")
    assert shown(service, last)[0] == 14
    service.send(subscription(account="globex"))
    assert shown(service, last, "globex") == (None, None)


LAST = {"id": "voice", "kind": "last_response", "poor": 0, "good": 100, "weight": 1}


def test_the_last_response_is_the_mean_of_its_day_on_any_scale(service: Service) -> None:
    service.send(*survey_responses("nps", [0], at="2026-03-01"), *survey_responses("nps", [9], at="2026-03-10"))
    service.send(*survey_responses("csat", [4], at="2026-03-10"))
    # 9 of 0–10 is 90%, 4 of 1–5 is 75%.
    assert shown(service, LAST) == (82.5, 82.5)
    assert shown(service, LAST | {"survey_kinds": ["csat"]}) == (75, 75)
    assert shown(service, LAST | {"surveys": ["nps"]}) == (90, 90)


def test_an_effort_score_is_good_where_it_was_easy(service: Service) -> None:
    service.put("/v1/surveys/effort", {"kind": "ces", "scale": {"min": 1, "max": 5}, "easy_is": "low"})
    service.send(*survey_responses("effort", [2]))
    assert shown(service, LAST | {"survey_kinds": ["ces"]}) == (75, 75)


@pytest.mark.parametrize(
    ("age", "weight"), [(0, 0.5), (90, 0.5), (150, 1 / 2.25), (274, 0.34 / 1.34), (364, 0.0099), (365, 0)]
)
def test_a_response_loses_weight_with_age(service: Service, age: int, weight: float) -> None:
    service.send(session(), *survey_responses("nps", [10], at=str(date(2026, 3, 15) - timedelta(days=age))))
    service.put(
        "/v1/health-model", model(LAST | {"fresh_days": 90, "stale_days": 365}, component("s", "sessions", 0, 1))
    )
    voice, sessions = service.get("/v1/accounts/acme/health")["components"]
    factor = weight / (1 - weight)
    assert voice["weight"] == pytest.approx(weight, abs=0.005)
    assert sessions["weight"] == pytest.approx(1 - voice["weight"])
    assert service.get("/v1/accounts/acme/health")["coverage"] == pytest.approx((1 + factor) / 2, abs=0.01)
