"""The health model: its versions, what is wrong with one, and how it is tried before it is put."""

from typing import Any

import pytest

from app.health.kinds import KINDS
from app.metrics.define import METRICS
from tests.health.models import SESSIONS, TICKETS, component, model
from tests.model.health import DEFAULT_MODEL
from tests.support.service import Service, event, session
from tests.test_docs import ROOT


def put(service: Service, document: dict[str, Any]) -> Any:
    return service.request("PUT", "/v1/health-model", json=document)


def faults(service: Service, *components: Any, **fields: Any) -> list[tuple[str, str]]:
    """Put a model that is wrong; return pointer and code of its faults. Nothing may be stored."""
    answer = put(service, model(*components, **fields))
    assert answer.status_code == 422, answer.text
    assert service.get("/v1/health-model")["version"] == 0
    assert all(fault["detail"] for fault in answer.json()["errors"])
    return [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]]


def test_a_model_holds_from_the_start_without_being_stored(service: Service) -> None:
    version = service.get("/v1/health-model")
    assert [version[name] for name in ("version", "effective_from", "recorded_on", "author")] == [0, None, None, None]
    # As if it had been put: it is accepted as it is, and the scores are the same.
    service.send(session(), event("subscription.changed", subscription_id="s", mrr="100", seats=3))
    before = service.get("/v1/accounts/acme/health")
    put(service, version["model"] | {"effective_from": "2020-01-01"})
    after = service.get("/v1/accounts/acme/health")
    assert service.get("/v1/health-model")["model"] == version["model"]
    assert before["components"] == after["components"] and before["score"] == after["score"]


def test_every_anchor_of_the_default_model_is_argued_and_known_to_the_independent_model(service: Service) -> None:
    document = service.get("/v1/health-model")["model"]
    assert all(len(own["argument"]) > 50 for own in document["components"])
    same = ("id", "kind", "metric", "requires", "poor", "good", "weight", "category", "window_days")
    assert [{name: own[name] for name in same if name in own} for own in document["components"]] == (
        DEFAULT_MODEL["components"]
    )
    assert {name: own["cap"] for name, own in document["categories"].items()} == DEFAULT_MODEL["categories"]


def test_the_guide_lists_every_kind_of_component() -> None:
    guide = (ROOT / "docs" / "guides" / "health.md").read_text()
    assert all(f"| `{kind}` |" in guide for kind in KINDS)


def test_a_version_holds_from_its_day_until_that_of_the_next(service: Service) -> None:
    service.send(session(at="2026-02-10"), session(at="2026-03-10"))
    put(service, model(SESSIONS, effective_from="2026-01-01"))
    put(service, model(TICKETS, effective_from="2026-03-01"))
    history = service.get("/v1/accounts/acme/health", period="last_3_months")
    assert [(point["period"], point["model_version"]) for point in history["history"]] == [
        ("2025-12", 0),
        ("2026-01", 1),
        ("2026-02", 1),
    ]
    versions = service.get("/v1/accounts/acme/health")["versions"]
    assert [(mark["version"], mark["effective_from"]) for mark in versions] == [(1, "2026-01-01"), (2, "2026-03-01")]
    assert [version["version"] for version in service.get("/v1/health-model/versions")["versions"]] == [2, 1, 0]


def test_a_version_may_be_inserted_before_a_later_one(service: Service) -> None:
    put(service, model(SESSIONS, effective_from="2026-03-01"))
    put(service, model(TICKETS, effective_from="2026-01-01"))
    assert service.get("/v1/health-model")["version"] == 1


def test_answers_of_earlier_days_are_by_the_model_that_was_known_then(service: Service) -> None:
    service.on("2026-03-10").send(session(at="2026-03-10"))
    put(service, model(SESSIONS))
    before = service.get("/v1/accounts/acme/health", as_of="2026-03-10")
    service.on("2026-03-12")
    put(service, model(TICKETS, effective_from="2026-01-01"))
    put(service, model(component("other", "sessions", 0, 1), effective_from="2026-03-01"))
    assert service.get("/v1/accounts/acme/health", as_of="2026-03-10") == before
    assert service.get("/v1/health-model", as_of="2026-03-10")["version"] == 1
    assert service.get("/v1/health-model", as_of="2026-03-12")["version"] == 3


def test_a_version_of_today_may_be_replaced_and_an_earlier_one_not(service: Service) -> None:
    first = put(service, model(SESSIONS)).json()
    assert put(service, model(SESSIONS)).json() == first
    assert put(service, model(TICKETS)).json()["version"] == 1
    service.later(days=1)
    assert put(service, model(TICKETS)).json()["version"] == 1
    answer = put(service, model(SESSIONS))
    assert (answer.status_code, answer.json()["code"]) == (422, "overlapping_versions")
    assert answer.json()["errors"][0]["pointer"] == "/effective_from"
    assert service.get("/v1/health-model")["model"]["components"][0]["id"] == "tickets"


def test_only_an_administrator_puts_a_model_and_its_key_is_named(service: Service) -> None:
    key = service.request("POST", "/v1/keys", json={"name": "bi", "scopes": ["read"]}).json()
    headers = {"Authorization": f"Bearer {key['key']}"}
    answer = service.request("PUT", "/v1/health-model", json=model(SESSIONS), headers=headers)
    assert answer.status_code == 403
    assert put(service, model(SESSIONS)).json()["author"] == "ADMIN_KEY"


def test_all_faults_are_listed_at_once(service: Service) -> None:
    service.put("/v1/segments/paying?strict=false", {"filter": 'plan = "pro"'})
    found = faults(
        service,
        component("a", "sesions", 0, 1, weight=0),
        component("b", "sessions", 1, 1, weight=0),
        component("b", "cac", 0, 1, weight=0, category="cost"),
        component("d", "health_score", 0, 1, weight=0),
        component("e", "sessions", 0, 1, weight=0, channel=["email"], convention="mine"),
        component("f", "nrr", 0, 1, weight=0, kind="days_since"),
        component("g", "sessions", 0, 1, weight=0, kind="baseline", older_weeks=60),
        categories={"costs": {"cap": 0.5}},
        segment_weights=[
            {"segment": "paing", "weights": {"a": 1}},
            {"segment": "paying", "weights": {"x": 1}},
            {"segment": "paying", "weights": {"a": 1}},
        ],
        bands={"at_risk": 70, "healthy": 70},
    )
    assert found == [
        ("/bands/healthy", "invalid"),
        ("/components/0/metric", "unknown_metric"),
        ("/components/1/good", "poor_equals_good"),
        ("/components/2/id", "repeated"),
        ("/components/2/category", "unknown_category"),
        ("/components/2/metric", "metric_not_by_account"),
        ("/components/3/metric", "metric_not_by_account"),
        ("/components/4/convention", "unknown_convention"),
        ("/components/5/metric", "metric_not_counted"),
        ("/components/6/older_weeks", "invalid"),
        ("/components", "no_weight"),
        ("/segment_weights/0/segment", "unknown_segment"),
        ("/segment_weights/1/weights", "unknown_component"),
        ("/segment_weights/1/weights", "no_weight"),
        ("/segment_weights/2/segment", "repeated"),
    ]


def test_a_model_that_needs_too_many_sums_of_each_account_is_refused_before_they_are_computed(service: Service) -> None:
    weeks = {"kind": "baseline", "recent_weeks": 3, "gap_weeks": 0, "older_weeks": 22}
    responses = [component(f"c{n}", "survey_responses", 0, 1, subject=[f"s{n}"], **weeks) for n in range(13)]
    assert faults(service, *responses) == [("/components", "too_complex")]
    assert service.request("POST", "/v1/health-model/preview", json=model(*responses[:12])).status_code == 200
    answer = service.request("POST", "/v1/health-model/preview", json=model(*responses))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "too_complex")


def test_the_default_convention_of_any_metric_has_the_name_default(service: Service) -> None:
    own = component("a", "customer_retention_rate", 0, 100)
    for name, metric in METRICS.items():
        answer = put(service, model(own | {"metric": name, "convention": "default"}))
        assert answer.status_code == 200 or answer.json()["code"] == "metric_not_by_account", (
            name,
            metric,
            answer.text,
        )


def test_names_that_may_have_been_meant_are_suggested(service: Service) -> None:
    answer = put(service, model(component("a", "sesions", 0, 1)))
    assert answer.json()["errors"][0]["did_you_mean"][0] == "sessions"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"kind": "guess"}, "/components/0/kind"),
        ({"poor": "0"}, "/components/0/poor"),
        ({"weight": -1}, "/components/0/weight"),
        ({"id": "Ä"}, "/components/0/id"),
        ({"window_days": 0}, "/components/0/window_days"),
        ({"nothing": 1}, "/components/0/nothing"),
        # PostgreSQL cannot store it.
        ({"title": "a\0b"}, "/components/0/title"),
        ({"argument": "\0"}, "/components/0/argument"),
        ({"title": ""}, "/components/0/title"),
    ],
)
def test_a_wrong_field_of_a_component_is_a_problem_of_the_client(
    service: Service, change: dict[str, Any], pointer: str
) -> None:
    answer = put(service, model(SESSIONS | change))
    assert answer.status_code == 422, answer.text
    (fault,) = answer.json()["errors"]
    assert fault["pointer"] == pointer and "is not valid here" not in fault["detail"]
    assert service.get("/v1/health-model")["version"] == 0


@pytest.mark.parametrize(
    "document",
    [{}, {"components": []}, {"components": [SESSIONS], "min_coverage": 2}, [], model(SESSIONS, description="\0")],
)
def test_a_wrong_document_is_a_problem_of_the_client(service: Service, document: Any) -> None:
    assert put(service, document).status_code == 422
    assert service.get("/v1/health-model")["version"] == 0


def test_a_preview_says_who_would_be_in_another_band_and_stores_nothing(service: Service) -> None:
    for account, count in (("acme", 1), ("globex", 8), ("initech", 5)):
        service.send(*[session(account) for _ in range(count)])
        service.send(event("subscription.changed", account, subscription_id="s", mrr="100"))
    put(service, model(component("a", "sessions", 0, 10)))
    answer = service.request("POST", "/v1/health-model/preview", json=model(component("a", "sessions", 0, 5))).json()
    assert (answer["accounts"], answer["changed"], answer["model_version"]) == (3, 1, 1)
    assert answer["moves"] == [
        {
            "account": "initech",
            "from": {"score": 50, "band": "at_risk"},
            "to": {"score": 100, "band": "healthy"},
            "difference": 50,
        }
    ]
    assert {(row["from"], row["to"]): row["accounts"] for row in answer["bands"]} == {
        ("critical", "critical"): 1,
        ("at_risk", "healthy"): 1,
        ("healthy", "healthy"): 1,
    }
    assert service.get("/v1/health-model")["version"] == 1


def test_scores_of_many_days_are_computed_a_few_at_a_time(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for account in ("acme", "globex"):
        service.send(*[session(account, at=f"2026-03-{day:02}") for day in range(1, 15)])
        service.send(event("subscription.changed", account, at="2026-03-01", subscription_id="s", mrr="100"))
    put(service, model(SESSIONS))
    put(service, model(TICKETS, effective_from="2026-03-08"))
    question = {"start": "2026-03-01", "end": "2026-03-16", "granularity": "day"}
    before = service.rows("health_score", **question), service.get("/v1/health-model/backtest/scores", model="current")
    monkeypatch.setattr("app.health.scores._MAX_SUMS_AT_ONCE", 10)
    assert (
        service.rows("health_score", **question),
        service.get("/v1/health-model/backtest/scores", model="current"),
    ) == before


def test_a_large_model_of_many_accounts_is_refused_before_their_sums_are_loaded(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for account in ("acme", "globex"):
        service.send(session(account), event("subscription.changed", account, subscription_id="s", mrr="100"))
    monkeypatch.setattr("app.health.scores._MAX_SUMS", 50)
    previews = [service.request("POST", "/v1/health-model/preview", json=model(SESSIONS))]
    for answer in [service.request("GET", path) for path in ("/v1/health", "/v1/metrics/health_score")] + previews:
        assert (answer.status_code, answer.json()["code"]) == (422, "too_many_rows"), answer.text
    # Those of one account are few.
    assert service.get("/v1/accounts/acme/health")["coverage"] > 0
    put(service, model(SESSIONS))
    assert len(service.get("/v1/health")["accounts"]) == 2
