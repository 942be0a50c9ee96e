"""One question in every form that the service answers in has the same numbers: formats, clients, OData, SQL, agents, charts."""

from pathlib import Path

import pytest

from tests.agents.agent import fail
from tests.forms.company import NAMES, found_company, questions
from tests.forms.forms import FORMS, Row, account_lists, reference_rows
from tests.odata.feeds import get
from tests.support.command import run_command
from tests.support.service import Service

QUESTIONS = questions()
PAIRS = [
    (form, question)
    for question in QUESTIONS
    for form, own in FORMS.items()
    if own.reason_against(QUESTIONS[question]) is None
]


@pytest.fixture(scope="module")
def company(shared: Service) -> Service:
    found_company(shared)
    return shared


@pytest.fixture(scope="module")
def references(company: Service) -> dict[str, list[Row]]:
    return {name: reference_rows(company, question) for name, question in QUESTIONS.items()}


@pytest.mark.parametrize(("form", "question"), PAIRS, ids=[f"{question} in {form}" for form, question in PAIRS])
def test_every_form_has_the_numbers_of_json(
    company: Service, references: dict[str, list[Row]], form: str, question: str
) -> None:
    FORMS[form].check(FORMS[form].ask(company, QUESTIONS[question]), references[question], QUESTIONS[question])


def test_the_questions_have_numbers_of_every_kind(references: dict[str, list[Row]]) -> None:
    rows = [row for own in references.values() for row in own]
    values = [row["value"] for row in rows if row["value"] is not None]
    assert 0 in values and max(values) > 1e10 and 0 < min(filter(None, map(abs, values))) < 0.5
    assert {row["reason"] for row in rows if row["value"] is None} >= {
        "no_customers",
        "no_responses",
        "nothing_known_yet",
        "sample_too_small",
    }
    assert {row["complete"] for row in rows} == {True, False}
    assert any(row["low"] is not None for row in rows) and any(row["previous"] is not None for row in rows)
    assert references["no rows"] == [] and references["months"] != references["as known earlier"]


def test_most_questions_can_be_asked_in_every_form_and_no_reason_is_idle() -> None:
    for name, form in FORMS.items():
        reasons = [form.reason_against(question) for question in QUESTIONS.values()]
        assert {*form.cannot.values()} <= {*reasons}, name
        if form.obstacle({"metrics": ["mrr"]}) is None:
            assert reasons.count(None) >= len(reasons) / 3, name


def test_every_list_of_accounts_has_the_same_names_and_attributes(company: Service) -> None:
    expected = {own["id"]: own for own in company.get("/v1/accounts", limit=1_000)["accounts"]}
    assert len(expected) >= 18 and {own["attributes"].get("plan") for own in expected.values()} >= {*NAMES[:10], None}
    attributes = {id: own["attributes"] for id, own in expected.items()}
    for form, found in account_lists(company).items():
        assert found == attributes, form


@pytest.mark.parametrize(("option", "value"), [("compare", "previous_period"), ("totals", "true")])
def test_odata_refuses_options_of_questions_that_it_cannot_ask(company: Service, option: str, value: str) -> None:
    answer = get(company, "MetricValues", filter="metric eq 'mrr'", **{option: value})
    assert (answer.status_code, answer.json()["error"]["target"]) == (400, option), answer.text


@pytest.mark.parametrize(("argument", "value"), [("min_sample", 4), ("strict", False)])
def test_the_tool_refuses_arguments_of_questions_that_it_cannot_ask(
    company: Service, argument: str, value: object
) -> None:
    problem = fail(company, "query_metrics", metrics=["mrr"], **{argument: value})
    assert [fault["pointer"] for fault in problem["errors"]] == [f"/{argument}"]


def test_the_command_refuses_an_option_that_it_does_not_have(tmp_path: Path) -> None:
    result = run_command("query", "mrr", "--min-sample", "4", folder=tmp_path)
    assert result.returncode == 2 and "--min-sample" in result.stderr
