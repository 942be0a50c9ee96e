"""Contributors: they are the accounts of the metric grouped by account, and add up to the number."""

from collections import defaultdict
from datetime import date
from random import Random
from typing import Any

import pytest

from tests.model.calendar import DAY
from tests.model.formulas import METRICS
from tests.model.generators import random_step
from tests.model.pair import Pair
from tests.support.hostile import is_problem
from tests.support.service import Service, account_update, event, session, survey_responses

RANGE = {"start": "2025-12-10", "end": "2026-04-20"}
PROOF = ("value", "numerator", "denominator", "sample_size", "interval")


def get_contributors(service: Service, metric: str, **params: Any) -> dict[str, Any]:
    params = params if "start" in params else {"period": "2026-03"} | params
    return service.get(f"/v1/metrics/{metric}/contributors", **params)


@pytest.fixture(scope="module")
def history(shared: Service) -> Pair:
    """A history of some weeks."""
    random = Random(11)
    pair = Pair(shared, accounts=3).on(date(2026, 2, 10))
    for _ in range(40):
        pair.on(pair.today + DAY * random.randrange(3), hours=12)
        random_step(random, pair)
    return pair


@pytest.mark.parametrize("group_by", ["", "plan"])
@pytest.mark.parametrize("name", METRICS)
def test_contributors_are_the_accounts_of_the_model(history: Pair, name: str, group_by: str) -> None:
    groupings = list(filter(None, [group_by]))
    days = {"start": date.fromisoformat(RANGE["start"]), "end": date.fromisoformat(RANGE["end"])}
    by_account = history.ask(name, **days, group_by=[*groupings, "account"])
    grouping = {"group_by": group_by} if group_by else {}
    answer = get_contributors(history.service, name, **RANGE, account=history.accounts, **grouping)
    rows_by_key = {(row["start"], repr(row["group"]), row["account"]): row for row in answer["rows"]}
    assert len(rows_by_key) == len(answer["rows"])
    for row in by_account:
        account = row["group"].pop("account")
        if own := rows_by_key.pop((row["start"], repr(row["group"]), account), None):
            assert {field: own[field] for field in PROOF} == {field: row[field] for field in PROOF}
        else:
            assert not row["value"] and not row["numerator"] and not row["denominator"]
    assert rows_by_key == {}


@pytest.mark.parametrize("name", METRICS)
def test_contributions_add_up_to_the_total(history: Pair, name: str) -> None:
    answer = get_contributors(history.service, name, **RANGE, account=history.accounts, group_by="plan", totals="true")
    totals = {(row["period"], row["start"], repr(row["group"])): row for row in answer["totals"]}
    declared = history.service.get(f"/v1/metrics/{name}")["definition"]["adds_over"]
    parts: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in answer["rows"]:
        parts[row["period"], row["start"], repr(row["group"])].append(row)
    assert parts.keys() == totals.keys()
    for key, rows in parts.items():
        total = totals[key]["value"] if totals[key]["numerator"] is None else totals[key]["numerator"]
        contributions = [row["contribution"] for row in rows if row["contribution"] is not None]
        # Accounts without a contribution come last; for a negative total, the most negative comes first.
        assert contributions == [row["contribution"] for row in rows[: len(contributions)]]
        assert contributions == sorted(contributions, reverse=(total or 0) >= 0)
        if "groups" in declared or rows[0]["share"] is not None:
            assert sum(contributions) == pytest.approx(total or 0, abs=1e-5)
        if total and "groups" in declared:
            assert sum(row["share"] for row in rows) == pytest.approx(100)


def test_the_largest_comes_first_with_its_share(service: Service) -> None:
    for account, mrr in (("small", "10"), ("large", "70"), ("middle", "20")):
        service.send(event("subscription.changed", account, subscription_id="one", mrr=mrr))
    answer = get_contributors(service, "mrr")
    assert [(row["account"], row["contribution"], row["share"]) for row in answer["rows"]] == [
        ("large", 70, 70),
        ("middle", 20, 20),
        ("small", 10, 10),
    ]
    assert [row["value"] for row in answer["totals"]] == [100]


def test_a_lost_customer_contributes_to_churn_and_all_to_its_denominator(service: Service) -> None:
    for account in ("stays", "leaves"):
        service.send(event("subscription.changed", account, at="2026-01-10", subscription_id="one", mrr="10"))
    service.send(event("subscription.canceled", "leaves", at="2026-03-05", subscription_id="one"))
    rows = get_contributors(service, "customer_churn_rate")["rows"]
    assert [(row["account"], row["contribution"], row["denominator"], row["share"]) for row in rows] == [
        ("leaves", 1, 1, 100),
        ("stays", 0, 1, 0),
    ]


def test_an_account_that_lowers_a_score_comes_last_with_a_negative_share(service: Service) -> None:
    service.send(*survey_responses("nps", [10, 10, 9], "glad"), *survey_responses("nps", [0], "cross"))
    rows = get_contributors(service, "nps")["rows"]
    assert [(row["account"], row["contribution"], row["share"]) for row in rows] == [
        ("glad", 3, 150),
        ("cross", -1, -50),
    ]


def test_contributions_that_do_not_add_up_have_no_share(service: Service) -> None:
    for account, mrr in (("one", "10"), ("two", "30"), ("gone", "20")):
        service.send(event("subscription.changed", account, at="2026-01-10", subscription_id="one", mrr=mrr))
    service.send(event("subscription.canceled", "gone", at="2026-03-05", subscription_id="one"))
    answer = get_contributors(service, "clv")
    assert answer["totals"][0]["value"] is not None
    assert {row["share"] for row in answer["rows"]} == {None}


def test_accounts_without_data_in_the_period_are_left_out(service: Service) -> None:
    service.send(session("then", at="2026-02-10"), session("now"), account_update("never", plan="pro"))
    answer = get_contributors(service, "sessions", start="2026-02-01", end="2026-04-01")
    assert [(row["period"], row["account"]) for row in answer["rows"]] == [("2026-02", "then"), ("2026-03", "now")]


def test_contributors_take_the_parameters_of_the_metric(service: Service) -> None:
    service.send(
        account_update("a", plan="pro"), account_update("b", plan="free"), *(session(account) for account in "ab")
    )
    service.on("2026-03-20").send(session("a", at="2026-03-09"))
    rows = get_contributors(service, "sessions", filter='plan = "pro"')["rows"]
    assert [(row["account"], row["contribution"]) for row in rows] == [("a", 2)]
    rows = get_contributors(service, "sessions", as_of="2026-03-15", group_by="plan")["rows"]
    assert [(row["group"], row["account"], row["value"]) for row in rows] == [
        ({"plan": "free"}, "b", 1),
        ({"plan": "pro"}, "a", 1),
    ]


def test_pages_together_have_all_rows(service: Service) -> None:
    service.send(*(session(f"a{number}") for number in range(7) for _ in range(number + 1)))
    rows = get_contributors(service, "sessions")["rows"]
    paged: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        part = get_contributors(service, "sessions", limit=3, **cursor)
        paged += part["rows"]
        assert len(part["totals"]) == 1
        if part["next"] is None:
            break
        cursor = {"cursor": part["next"]}
    assert paged == rows and len(rows) == 7


def test_a_table_has_a_column_for_each_grouping(service: Service) -> None:
    service.send(session("=acme"), session("=acme"), account_update("=acme", plan="pro"))
    path = "/v1/metrics/sessions/contributors?period=2026-03&group_by=plan&format=csv"
    assert service.request("GET", path).text.splitlines() == [
        "metric,period,start,end,complete,plan,account,contribution,share,value,numerator,denominator,"
        "sample_size,low,high,reason,amount,convention",
        "sessions,2026-03,2026-03-01,2026-04-01,false,pro,'=acme,2.0,100.0,2,,,2,,,,,default",
    ]


def test_a_question_without_contributors_is_an_error(service: Service) -> None:
    path = "/v1/metrics/sessions/contributors"
    answer = service.request("GET", path, params={"group_by": "account"})
    assert is_problem(answer, 422, "grouped_by_account")
    assert is_problem(service.request("GET", path, params={"cursor": "none"}), 422, "invalid_cursor")
    assert is_problem(service.request("GET", "/v1/metrics/cheer/contributors"), 404, "unknown_metric")


def test_an_unchanged_answer_is_not_sent_again(service: Service) -> None:
    service.send(session())
    path = "/v1/metrics/sessions/contributors"
    tag = service.request("GET", path).headers["etag"]
    assert service.request("GET", path, headers={"If-None-Match": tag}).status_code == 304


def test_a_withheld_account_has_no_contribution_and_comes_last(service: Service) -> None:
    service.send(*survey_responses("nps", [10, 10]), *survey_responses("nps", [0], "globex"))
    rows = service.get("/v1/metrics/nps/contributors", period="2026-03", min_sample=2)["rows"]
    contributors = [(row["account"], row["contribution"], row["share"], row.get("reason")) for row in rows]
    assert contributors == [("acme", 2, None, None), ("globex", None, None, "sample_too_small")]


def test_for_a_negative_total_the_most_negative_account_comes_first(service: Service) -> None:
    service.send(*survey_responses("nps", [0, 0, 0]), *survey_responses("nps", [10], "globex"))
    rows = service.get("/v1/metrics/nps/contributors", period="2026-03")["rows"]
    assert [(row["account"], row["contribution"], row["share"]) for row in rows] == [
        ("acme", -3, 150),
        ("globex", 1, -50),
    ]
