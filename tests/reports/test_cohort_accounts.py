"""The accounts behind the cells of the triangle: they add up to the cell, whatever was asked."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given

from tests.reports.test_cohorts import FEW_EXAMPLES, RANDOM, cancellation, history, subscription
from tests.support.service import Service, account_update, session

QUARTER = {"start": "2026-01-01", "end": "2026-04-01"}


@pytest.fixture
def with_customers(service: Service) -> Service:
    """Return a service with three customers of January, of whom one left, and one of February."""
    service.send(
        subscription("acme", "100", "2026-01-10"),
        subscription("acme", "150", "2026-02-10"),
        subscription("globex", "50", "2026-01-20"),
        cancellation("globex", "2026-03-02"),
        subscription("hooli", "70", "2026-01-31"),
        subscription("initech", "30", "2026-02-03"),
        account_update("acme", at="2025-12-01T00:00:00Z", name="Acme", plan="pro"),
    )
    return service


def test_a_cell_has_its_accounts_with_what_is_left_of_each(with_customers: Service) -> None:
    answer = with_customers.get("/v1/cohorts/accounts", **QUARTER, measure="mrr", cohort="2026-01", number=2)
    assert answer["cell"] == {
        "cohort": "2026-01",
        "cohort_start": "2026-01-01",
        "number": 2,
        "period": "2026-03",
        "start": "2026-03-01",
        "end": "2026-04-01",
        "complete": False,
    }
    members = ("account", "name", "is_retained", "size", "initial", "value", "percent", "amount")
    assert [tuple(row[name] for name in members) for row in answer["rows"]] == [
        ("acme", "Acme", True, 1, 100, 150, 150, "150.00"),
        ("hooli", None, True, 1, 70, 70, 100, "70.00"),
        ("globex", None, False, 1, 50, 0, 0, "0.00"),
    ]


def test_users_are_counted_by_their_accounts(service: Service) -> None:
    service.send(*(session("acme", user=user, at="2026-01-05") for user in ("ada", "bob")))
    service.send(session("acme", user="ada", at="2026-02-05"), session("acme", user="new", at="2026-02-05"))
    rows = service.get("/v1/cohorts/accounts", **QUARTER, measure="users", cohort="2026-01", number=1)["rows"]
    assert [(row["account"], row["size"], row["value"]) for row in rows] == [("acme", 2, 1)]


def test_pages_of_accounts_add_up_to_all(with_customers: Service) -> None:
    question: dict[str, Any] = {**QUARTER, "cohort": "2026-01", "number": 0}
    first = with_customers.get("/v1/cohorts/accounts", **question, limit=2)
    second = with_customers.get("/v1/cohorts/accounts", **question, limit=2, cursor=first["next"])
    assert [row["account"] for row in first["rows"] + second["rows"]] == ["acme", "globex", "hooli"]
    assert second["next"] is None
    lines = with_customers.request("GET", "/v1/cohorts/accounts", params=question | {"format": "csv"}).text
    assert lines.splitlines()[:2] == [
        "account,name,is_retained,size,initial,value,percent",
        "acme,Acme,true,1,1,1,100.0",
    ]


@pytest.mark.parametrize(
    ("cell", "pointer", "code"),
    [
        ({"cohort": "2026-04", "number": 0}, "/query/cohort", "unknown_cohort"),
        ({"cohort": "\u0000", "number": 0}, "/query/cohort", "unknown_cohort"),
        ({"cohort": "2026-01", "number": 3}, "/query/number", "unknown_cohort"),
        ({"cohort": "2026-01", "number": -1}, "/query/number", None),
        ({"cohort": "2026-01"}, "/query/number", None),
        ({"number": 1}, "/query/cohort", None),
    ],
)
def test_a_cell_that_is_not_in_the_triangle_is_an_error(
    with_customers: Service, cell: dict[str, Any], pointer: str, code: str | None
) -> None:
    answer = with_customers.request("GET", "/v1/cohorts/accounts", params=QUARTER | cell)
    [fault] = answer.json()["errors"]
    assert (answer.status_code, fault["pointer"]) == (422, pointer)
    assert code is None or fault["code"] == code


def test_nobody_is_in_a_cell_of_a_day_on_which_nothing_was_known(with_customers: Service) -> None:
    question: dict[str, Any] = {**QUARTER, "cohort": "2026-01", "number": 0, "as_of": "2026-02-01"}
    answer = with_customers.get("/v1/cohorts/accounts", **question)
    assert (answer["rows"], answer["reason"]) == ([], "nothing_known_yet")


def test_the_accounts_of_any_cell_add_up_to_it(service: Service) -> None:
    @FEW_EXAMPLES
    @given(RANDOM)
    def run(random: Random) -> None:
        pair = history(service, random)
        question: dict[str, Any] = {
            "measure": random.choice(["customers", "mrr", "users", "purchasers", "revenue"]),
            "by": random.choice(["week", "month", "quarter"]),
            # Not at the start of a month: the first cohort is clipped.
            "start": random.choice(["2026-01-01", "2026-02-13"]),
            "end": "2026-09-01",
            "account": pair.accounts,
            "strict": "false",
            "group_by": random.choice(["", "plan"]),
            "filter": random.choice(["", "plan is not null or seats >= 0"]),
            "segments_as_of": random.choice(["period_start", "now"]),
        }
        question = {name: value for name, value in question.items() if value}
        cells = service.get("/v1/cohorts", **question)["rows"]
        positions = sorted({(cell["cohort"], cell["number"]) for cell in cells if cell["size"]})
        for cohort, number in random.sample(positions, min(4, len(positions))):
            expected: Counter[tuple[str, str]] = Counter()
            for cell in cells:
                if (cell["cohort"], cell["number"]) == (cohort, number):
                    expected.update({(repr(cell["group"]), name): cell[name] for name in ("size", "initial", "value")})
            rows = service.get("/v1/cohorts/accounts", **question, cohort=cohort, number=number)["rows"]
            sums: Counter[tuple[str, str]] = Counter()
            for row in rows:
                sums.update({(repr(row["group"]), name): row[name] for name in ("size", "initial", "value")})
                assert row["is_retained"] == (row["value"] > 0)
            nonzero = {key: value for key, value in expected.items() if value}
            assert {key: value for key, value in sums.items() if abs(value) > 1e-9} == pytest.approx(nonzero)

    run()
