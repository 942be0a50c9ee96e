"""One question in every form that the service answers in has the same numbers: formats, clients, OData, SQL, agents, charts."""

import pytest

from tests.forms.company import NAMES, found_company, questions
from tests.forms.forms import FORMS, Row, account_lists, reference_rows
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
