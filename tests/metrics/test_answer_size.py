"""The size of an answer is known before its sums are computed."""

from typing import Any

import pytest

from app.metrics import answer_size
from tests.support.service import Service, account_update, event, session

RANGE = {"start": "2026-01-01", "end": "2026-04-01"}
# The parameters of questions about sessions or feature uses in three months, and the number of their sums.
QUESTIONS: list[tuple[str, dict[str, Any], int]] = [
    ("sessions", {}, 3),
    ("sessions", {"granularity": "total"}, 1),
    ("sessions", {"granularity": "day"}, 90),
    ("sessions", {"totals": True}, 4),
    ("sessions", {"compare": "previous_period"}, 6),
    ("sessions", {"group_by": "account"}, 6 * 3),
    ("sessions", {"group_by": "account", "account": ["a0", "a1"]}, 2 * 3),
    ("sessions", {"group_by": "account", "filter": 'plan = "pro"'}, 2 * 3),
    ("sessions", {"group_by": "account", "filter": 'plan = "pro" and seats = 1'}, 3),
    ("sessions", {"group_by": "account,plan"}, 6 * 3),
    # Two plans, or none.
    ("sessions", {"group_by": "plan"}, 3 * 3),
    # The accounts of several attributes are found before, and each is in one group.
    ("sessions", {"group_by": "plan,seats"}, 6 * 3),
    ("sessions", {"segment": ["pro", "free"]}, 2 * 3),
    # Two features, and all of them together.
    ("feature_uses", {"group_by": "subject"}, 3 * 3),
    ("feature_uses", {"group_by": "subject,account"}, (2 + 3 + 2) * 3),
    ("feature_uses", {"group_by": "subject", "account": ["a0"]}, 2 * 3),
]


@pytest.fixture
def history(service: Service) -> Service:
    """Six accounts: two on plan pro, four on free, each with seats of its own. Three of them use features."""
    service.put("/v1/segments/pro?strict=false", {"filter": 'plan = "pro"'})
    service.put("/v1/segments/free?strict=false", {"filter": 'plan = "free"'})
    for number in range(6):
        account = f"a{number}"
        service.send(account_update(account, plan="pro" if number < 2 else "free", seats=number), session(account))
    uses = [("a0", "export"), ("a1", "export"), ("a1", "search"), ("a2", "search")]
    service.send(*(event("feature.used", account, user="ada", feature=feature) for account, feature in uses))
    service.books.database.sizes.clear()
    return service


def set_limit(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(answer_size, "MAX_SUMS", limit)
    answer_size._count_statement.cache_clear()


@pytest.mark.parametrize(("metric", "question", "sums"), QUESTIONS, ids=[str(question) for _, question, _ in QUESTIONS])
def test_a_question_is_answered_with_as_many_sums_as_are_allowed_and_refused_with_one_more(
    history: Service, monkeypatch: pytest.MonkeyPatch, metric: str, question: dict[str, Any], sums: int
) -> None:
    path = f"/v1/metrics/{metric}"
    set_limit(monkeypatch, sums)
    assert history.request("GET", path, params=RANGE | question).status_code == 200
    set_limit(monkeypatch, sums - 1)
    history.app.state.answers.clear()
    monkeypatch.setattr("app.metrics.answer.load_measured_sums", None)
    refused = history.request("GET", path, params=RANGE | question)
    assert (refused.status_code, refused.json()["code"]) == (422, "too_many_rows"), refused.text
    assert "ask for fewer periods, groups or metrics" in refused.json()["detail"]


def test_all_metrics_by_account_and_day_over_two_years_are_refused_at_once(
    history: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ",".join(metric["name"] for metric in history.get("/v1/metrics")["metrics"])
    # Six accounts are few.
    set_limit(monkeypatch, 300_000)
    monkeypatch.setattr("app.metrics.answer.load_measured_sums", None)
    question = {
        "metrics": names,
        "granularity": "day",
        "group_by": "account",
        "start": "2024-03-01",
        "end": "2026-03-01",
    }
    refused = history.request("GET", "/v1/query", params=question | {"limit": 1})
    assert refused.json()["code"] == "too_many_rows"


def test_few_accounts_of_many_need_no_counting(history: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.metrics.answer_size._count_groups", None)
    assert len(history.rows("sessions", group_by="account", **RANGE)) == 18
    assert len(history.rows("sessions", group_by="plan", **RANGE)) == 6


@pytest.mark.parametrize("path", ["/v1/cohorts", "/v1/surveys/nps/distribution", "/v1/onboarding/funnel"])
def test_other_answers_are_bounded_as_well(history: Service, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    set_limit(monkeypatch, 2)
    answer = history.send(
        event("survey.responded", "a0", survey="nps", score=9), event("onboarding.started", "a0", user="ada")
    )
    assert answer["rejected"] == []
    history.send(event("subscription.changed", "a0", subscription_id="main", mrr="10"))
    assert history.request("GET", path, params=RANGE).json()["code"] == "too_many_rows"
