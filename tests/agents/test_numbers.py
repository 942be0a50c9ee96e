"""Agents get the numbers of the API: the same rows for any question, page by page."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.metrics.define import METRICS
from tests.agents.agent import ask, call
from tests.agents.story import tell_story
from tests.support.campaign import examples
from tests.support.hostile import without_deadline
from tests.support.service import Service, account_update, session

NUMBERS = ("value", "numerator", "denominator", "sample_size", "interval", "reason")
COMPARISON = ("previous", "change", "change_percent", "significant")

PERIODS = st.sampled_from(["2026-Q1", "2026-02", "last_12_months", "month_to_date", "2026-W06", "this_year", None])
SCOPES = st.fixed_dictionaries(
    {},
    optional={
        "filter": st.sampled_from(
            ['plan = "pro"', "seats > 6 or not plan = 'free'".replace("'", '"'), "trait is null"]
        ),
        "segment": st.sampled_from([["payers"], ["payers", "large"]]),
        "account": st.sampled_from([["acme"], ["bolt", "crab"]]),
        "as_of": st.sampled_from(["2026-03-15", "2026-03-16"]),
    },
)
QUESTIONS = st.fixed_dictionaries(
    {"metrics": st.lists(st.sampled_from(sorted(METRICS)), min_size=1, max_size=4, unique=True), "period": PERIODS},
    optional={
        "granularity": st.sampled_from(["day", "week", "month", "quarter", "year", "total"]),
        "group_by": st.lists(st.sampled_from(["plan", "seats", "account", "trait"]), max_size=2, unique=True),
        "compare": st.sampled_from(["previous_period", "previous_year"]),
        "complete_only": st.booleans(),
        "totals": st.booleans(),
    },
)


@pytest.fixture(scope="module")
def story(shared: Service) -> Iterator[Service]:
    tell_story(shared)
    trait = 'a | "b"\nc `d` =SUM(1) é 😀'
    shared.send(account_update("elk", trait=trait), session("elk", at="2026-03-03"), account_update("emu", trait=True))
    shared.put("/v1/segments/large", {"filter": "seats >= 7"})
    shared.on("2026-03-16").send(session("acme", at="2026-02-28", user="late"))
    yield shared


def all_rows(service: Service, tool: str, **arguments: Any) -> list[dict[str, Any]]:
    """Return the rows of all pages of a tool's answer."""
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        answer = ask(service, tool, cursor=cursor, **arguments)
        rows += answer["rows"]
        cursor = answer["next"]
        if cursor is None:
            return rows


def post(service: Service, question: dict[str, Any]) -> Any:
    return service.request(
        "POST", "/v1/query", json={name: value for name, value in question.items() if value is not None}
    )


@given(question=QUESTIONS, scope=SCOPES, limit=st.sampled_from([3, 40, 100]))
@settings(without_deadline, max_examples=examples(40))
def test_every_question_has_the_rows_of_the_api(
    story: Service, question: dict[str, Any], scope: dict[str, Any], limit: int
) -> None:
    question = question | scope
    response = post(story, question)
    if response.status_code == 422:
        result = call(story, "query_metrics", **question)
        assert result["isError"] and result["structuredContent"]["code"] == response.json()["code"]
        return
    listed = response.json()["rows"]
    if len(listed) > 400:
        return
    rows = all_rows(story, "query_metrics", limit=limit, **question)
    assert len(rows) == len(listed)
    for own, row in zip(rows, listed, strict=True):
        assert (own["metric"], own["period"], own.get("group", {})) == (row["metric"], row["period"], row["group"])
        assert own.get("complete", True) == row["complete"]
        names = (*NUMBERS, *COMPARISON)
        assert {name: own.get(name) for name in names} == {name: row.get(name) for name in names}


@given(
    metrics=st.lists(st.sampled_from(sorted(METRICS)), min_size=1, max_size=4, unique=True),
    periods=st.tuples(st.sampled_from(["2026-01", "2026-Q1", "2026-02"]), st.sampled_from(["2026-02", "2026-03"])),
    group_by=st.sampled_from([[], ["plan"], ["account"]]),
)
@settings(without_deadline, max_examples=examples(20))
def test_every_comparison_has_the_numbers_of_both_questions(
    story: Service, metrics: list[str], periods: tuple[str, str], group_by: list[str]
) -> None:
    sides = dict(zip(("first", "second"), periods, strict=True))
    answers = {
        side: {
            (row["metric"], str(row["group"])): row
            for row in post(
                story, {"metrics": metrics, "period": period, "granularity": "total", "group_by": group_by}
            ).json()["rows"]
        }
        for side, period in sides.items()
    }
    arguments = {side: {"period": period} for side, period in sides.items()}
    rows = all_rows(story, "compare_numbers", metrics=metrics, group_by=group_by, **arguments)
    assert {(row["metric"], str(row.get("group", {}))) for row in rows} == answers["first"].keys() | answers[
        "second"
    ].keys()
    for row in rows:
        values = []
        for side, answer in answers.items():
            listed = answer.get((row["metric"], str(row.get("group", {}))), {"value": None, "reason": "no_such_group"})
            assert {name: row[side].get(name) for name in NUMBERS} == {name: listed.get(name) for name in NUMBERS}
            values.append(listed["value"])
        if None not in values:
            assert row["change"] == pytest.approx(values[1] - values[0], abs=2e-6)


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_every_metric_has_the_contributors_of_the_api(story: Service, metric: str) -> None:
    response = story.request(
        "GET", f"/v1/metrics/{metric}/contributors", params={"period": "2026-Q1", "granularity": "total"}
    )
    rows = all_rows(story, "list_contributors", metric=metric, period="2026-Q1", limit=2)
    assert [(row.get("account"), row["contribution"], row.get("share_percent")) for row in rows] == [
        (row["account"], row["contribution"], row["share"]) for row in response.json()["rows"]
    ]
