"""How components become a score: renormalisation, coverage, caps, segments and bands."""

from typing import Any

import pytest

from tests.health.models import SESSIONS, component, model
from tests.support.service import Service, account_update, event, session, survey_responses


def health(service: Service, account: str = "acme", **parameters: Any) -> dict[str, Any]:
    return service.get(f"/v1/accounts/{account}/health", **parameters)


def constant(id: str, score: float, **fields: Any) -> dict[str, Any]:
    """Return a component that scores so much for an account with one session."""
    return component(id, "sessions", 1 - score / 100, 2 - score / 100) | fields


def missing(id: str, **fields: Any) -> dict[str, Any]:
    """Return a component without data."""
    return component(id, "nps", -100, 100) | fields


def test_weights_of_components_without_data_go_to_the_others(service: Service) -> None:
    service.send(session())
    service.put("/v1/health-model", model(constant("a", 80, weight=2), constant("b", 20), missing("c", weight=1)))
    answer = health(service)
    assert (answer["score"], answer["coverage"]) == (60, 0.75)
    assert [own["weight"] for own in answer["components"]] == [0.666667, 0.333333, 0]
    assert [own["contribution"] for own in answer["components"]] == [53.33, 6.67, 0]


@pytest.mark.parametrize(("min_coverage", "has_score"), [(0, True), (0.4, True), (0.41, False), (1, False)])
def test_below_the_least_coverage_there_is_no_score(service: Service, min_coverage: float, has_score: bool) -> None:
    service.send(session())
    service.put(
        "/v1/health-model", model(constant("a", 50, weight=2), missing("b", weight=3), min_coverage=min_coverage)
    )
    answer = health(service)
    assert (answer["score"] is not None, answer.get("reason")) == (has_score, None if has_score else "not_enough_data")
    assert answer["coverage"] == 0.4 and (answer["band"] is not None) == has_score


def test_without_any_data_there_is_no_score_whatever_the_coverage(service: Service) -> None:
    service.send(session())
    service.put("/v1/health-model", model(missing("a")))
    assert (health(service)["score"], health(service)["reason"]) == (None, "not_enough_data")


def test_a_component_of_weight_zero_is_shown_and_not_counted(service: Service) -> None:
    service.send(session())
    service.put("/v1/health-model", model(constant("a", 50), constant("b", 100, weight=0)))
    answer = health(service)
    assert answer["score"] == 50 and answer["components"][1]["score"] == 100


def test_a_category_has_at_most_its_cap_and_the_others_the_rest(service: Service) -> None:
    service.send(session())
    parts = [constant("a", 100, weight=6, category="loud"), constant("b", 0, weight=3), constant("c", 50, weight=1)]
    service.put("/v1/health-model", model(*parts, categories={"loud": {"cap": 0.2}}))
    answer = health(service)
    assert [own["weight"] for own in answer["components"]] == [0.2, 0.6, 0.2]
    assert answer["score"] == 30


def test_a_category_that_would_exceed_its_cap_by_what_another_leaves_is_capped_too(service: Service) -> None:
    service.send(session())
    parts = [
        constant("a", 100, weight=6, category="loud"),
        constant("b", 0, weight=3, category="calm"),
        constant("c", 50, weight=1),
    ]
    service.put("/v1/health-model", model(*parts, categories={"loud": {"cap": 0.2}, "calm": {"cap": 0.5}}))
    assert [own["weight"] for own in health(service)["components"]] == [0.2, 0.5, 0.3]


def test_where_only_capped_categories_have_data_the_caps_decide(service: Service) -> None:
    service.send(session())
    parts = [constant("a", 100, weight=6, category="loud"), constant("b", 0, weight=3, category="calm"), missing("c")]
    service.put("/v1/health-model", model(*parts, categories={"loud": {"cap": 0.1}, "calm": {"cap": 0.3}}))
    answer = health(service)
    assert [own["weight"] for own in answer["components"]] == [0.25, 0.75, 0]
    assert answer["score"] == 25


def test_contributions_add_up_though_each_is_rounded(service: Service) -> None:
    service.send(session())
    service.put("/v1/health-model", model(*(constant(id, 100) for id in "abc"), constant("d", 0, weight=0)))
    answer = health(service)
    assert [own["contribution"] for own in answer["components"]] == [33.34, 33.33, 33.33, 0]


def test_of_several_segments_the_first_of_the_list_decides(service: Service) -> None:
    """segment-overlap-health: an account in two segments that each have weights of their own."""
    service.send(session(), session("globex"), session("initech"), account_update(a=True, b=True))
    service.send(account_update("globex", a=False, b=True), account_update("initech", a=False, b=False))
    for name in "ab":
        service.put(f"/v1/segments/{name}", {"filter": f"{name} = true"})
    of_b = {"segment": "b", "weights": {"low": 0}}
    of_a = {"segment": "a", "weights": {"low": 3}}
    parts = [constant("high", 100), constant("low", 0)]
    service.put("/v1/health-model", model(*parts, segment_weights=[of_b, of_a]))
    assert (health(service)["score"], health(service)["weights_of_segment"]) == (100, "b")
    service.put("/v1/health-model", model(*parts, segment_weights=[of_a, of_b]))
    assert (health(service)["score"], health(service)["weights_of_segment"]) == (25, "a")
    assert (health(service, "globex")["score"], health(service, "globex")["weights_of_segment"]) == (100, "b")
    assert (health(service, "initech")["score"], health(service, "initech")["weights_of_segment"]) == (50, None)


def test_a_segment_is_what_it_was_known_to_be_on_the_day(service: Service) -> None:
    service.on("2026-03-10").send(session(at="2026-03-10"), account_update(vip=True))
    service.put("/v1/segments/vip", {"filter": "vip = true"})
    weights = [{"segment": "vip", "weights": {"low": 0}}]
    service.put("/v1/health-model", model(constant("high", 100), constant("low", 0), segment_weights=weights))
    service.on("2026-03-12").send(account_update(vip=False, at="2026-03-11T00:00:00Z"))
    assert health(service)["score"] == 50
    assert health(service, as_of="2026-03-11")["score"] == 100


@pytest.mark.parametrize(
    ("score", "band"), [(0, "critical"), (39.99, "critical"), (40, "at_risk"), (69.99, "at_risk"), (70, "healthy")]
)
def test_bands_begin_at_their_lowest_score(service: Service, score: float, band: str) -> None:
    service.send(session())
    service.put("/v1/health-model", model(constant("a", score)))
    assert (health(service)["score"], health(service)["band"]) == (score, band)


def test_the_model_may_have_other_bands(service: Service) -> None:
    service.send(session())
    service.put("/v1/health-model", model(constant("a", 50), bands={"at_risk": 20, "healthy": 50}))
    assert health(service)["band"] == "healthy"


def test_usage_and_revenue_that_disagree_are_flagged(service: Service) -> None:
    service.send(session(), session("globex"), session("globex"))
    categories = {"usage": {}, "revenue": {}}
    parts = [constant("use", 0, category="usage"), constant("pay", 75, category="revenue")]
    service.put("/v1/health-model", model(*parts, categories=categories))
    assert health(service)["flags"] == ["usage_and_revenue_disagree"]
    assert health(service, "globex")["flags"] == []


def test_an_account_without_anything_in_the_window_has_a_card(service: Service) -> None:
    service.send(account_update())
    answer = health(service)
    assert (answer["score"], answer["coverage"], answer["customer"], answer["mrr"]) == (None, 0, False, "0.00")
    assert [own["value"] for own in answer["components"]] == [None] * 7


def test_a_late_event_restates_the_past_visibly(service: Service) -> None:
    service.on("2026-03-01").put("/v1/health-model", model(SESSIONS, window_days=10))
    service.send(*[session(at="2026-02-27") for _ in range(10)])
    service.on("2026-03-05").send(*[session(at="2026-02-26") for _ in range(10)])
    points = health(service, start="2026-02-28", end="2026-03-06", granularity="day")["history"]
    scores = [(point["on"], point["as_known_then"], point["score"], point["restated"]) for point in points]
    assert scores[:3] == [
        ("2026-02-28", None, 20, True),
        ("2026-03-01", 10, 20, True),
        ("2026-03-02", 10, 20, True),
    ]
    assert scores[-1] == ("2026-03-05", 20, 20, False)


def test_a_survey_is_read_as_its_scale_says(service: Service) -> None:
    service.put("/v1/surveys/visit", {"kind": "csat", "scale": {"min": 1, "max": 10}})
    service.send(*survey_responses("visit", [10]), event("subscription.changed", subscription_id="s", mrr="1"))
    last = {"id": "last", "kind": "last_response", "poor": 0, "good": 100, "weight": 1}
    service.put("/v1/health-model", model(last))
    assert health(service)["score"] == 100
