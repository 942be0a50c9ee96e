"""Filters, orders and pages against a model in Python, by random; and input that no client should send."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.odata import sources
from app.odata.parser import MAX_DEPTH
from app.odata.tokens import MAX_TOKENS
from tests.odata.feeds import ROOT, get, rows
from tests.odata.filter_model import LETTERS, Filter, filters
from tests.support.campaign import examples
from tests.support.service import Service, account_update, event, session, survey_responses

RANDOM = settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def company(shared: Service) -> Service:
    """Accounts with and without attributes, whose texts are those of the filters."""
    names = ["a", "É", "A", "it's", "=1+1", "é", "日本", "%", "x y"]
    for number, name in enumerate(names):
        own: dict[str, Any] = {}
        if number % 3:
            own["plan"] = LETTERS[number]
        if number % 2:
            own["seats"] = [0, 1, 2, 5, 9, 10, 10.5, 100, -1][number]
        if number % 4:
            own["vip"] = number % 8 > 3
        shared.send(
            account_update(name, name=LETTERS[-number] or None, **own),
            session(name),
            *survey_responses("nps", [number, 10], name, tags=["a", "b"][: number % 3]),
            *survey_responses("csat", [number % 5 + 1], name, at="2026-02-11T12:00:00.250000Z", comment=f"it's {name}"),
            event("subscription.changed", name, subscription_id="s", mrr=str([0, 1, 5, 10, "10.5"][number % 5])),
        )
    return shared


# By entity set, the properties of each type that random filters use.
PROPERTIES: dict[str, dict[str, list[str]]] = {
    "Accounts": {"text": ["account_id", "name", "plan"], "number": ["seats"], "instant": [], "boolean": ["vip"]},
    "SurveyResponses": {
        "text": ["account_id", "class", "comment", "tags", "channel"],
        "number": ["score"],
        "instant": ["occurred_at", "occurred_on", "recorded_on"],
        "boolean": [],
    },
    "Feedback": {
        "text": ["survey", "comment", "status", "note"],
        "number": ["score"],
        "instant": ["occurred_at", "updated_at"],
        "boolean": [],
    },
    "Health": {
        "text": ["account_id", "band", "reason"],
        "number": ["score", "mrr", "coverage"],
        "instant": ["day"],
        "boolean": ["customer"],
    },
    "MetricValues": {
        "text": ["metric_", "unit", "reason", "currency"],
        "number": ["value", "amount", "sample_size"],
        "instant": [],
        "boolean": ["complete"],
    },
}


def parse_time(text: str | None) -> Any:
    if text is None:
        return None
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def typed(row: dict[str, Any], name: str) -> dict[str, Any]:
    """A row with its times and dates as such."""
    return row | {member: parse_time(row[member]) for member in PROPERTIES[name]["instant"]}


@pytest.mark.parametrize("name", ["Accounts", "SurveyResponses", "Feedback", "Health"])
def test_random_filters_orders_and_pages_are_those_of_the_model(name: str, company: Service) -> None:
    all_rows = rows(company, name)
    by_type = PROPERTIES[name]
    sortable = [member for members in by_type.values() for member in members]
    orders = st.lists(st.tuples(st.sampled_from(sortable), st.sampled_from(["", " asc", " desc"])), max_size=3)

    @RANDOM
    @given(filters(**by_type), orders, st.integers(1, 9), st.none() | st.integers(0, 12), st.integers(0, 5))
    def check(filter: Filter, order: list[tuple[str, str]], size: int, top: int | None, skip: int) -> None:
        expected = [row for row in all_rows if filter.value(typed(row, name)) is True]
        for member, direction in reversed(order):
            expected.sort(
                key=lambda row: (row[member] is not None, row[member] if row[member] is not None else 0),
                reverse=direction == " desc",
            )
        count = len(expected)
        expected = expected[skip:] if top is None else expected[skip : skip + top]
        parameters: dict[str, Any] = {"filter": filter.text, "skip": skip} | ({} if top is None else {"top": top})
        if order:
            parameters["orderby"] = ",".join(member + direction for member, direction in order)
        found = rows(company, name, headers={"Prefer": f"maxpagesize={size}"}, **parameters)
        assert [row[key_of(name)] for row in found] == [row[key_of(name)] for row in expected]
        assert get(company, f"{name}/$count", filter=filter.text).text == str(count)

    check()


def key_of(name: str) -> str:
    return {"Accounts": "account_id", "Health": "account_id"}.get(name, "id")


def test_random_filters_on_numbers_are_those_of_the_model(company: Service) -> None:
    base = "group_by eq 'account' and metric in ('nps','mrr','sessions') and start ge 2026-02-01"
    all_rows = rows(company, "MetricValues", filter=base)
    members = PROPERTIES["MetricValues"] | {"text": ["unit", "reason", "currency", "account_id", "period"]}

    @RANDOM
    @given(filters(**members), st.integers(20, 90))
    @example(Filter("period in ('a')", lambda row: False), 20)
    def check(filter: Filter, size: int) -> None:
        expected = [row for row in all_rows if filter.value(row) is True]
        found = rows(
            company, "MetricValues", filter=f"{base} and {filter.text}", headers={"Prefer": f"maxpagesize={size}"}
        )
        # `account_id` may narrow the question, in which groups without anything in the range have no rows.
        assert found == expected

    check()


@pytest.mark.parametrize(
    ("filter", "ids"),
    [
        ("year(occurred_at) eq 2026 and month(occurred_at) eq 3 and day(occurred_at) eq 10", 18),
        ("hour(occurred_at) eq 12 and minute(occurred_at) eq 0 and second(occurred_at) eq 0", 27),
        ("date(occurred_at) eq 2026-02-11", 9),
        ("occurred_at eq 2026-02-11T13:00:00.25+01:00", 9),
        ("occurred_at gt 2026-02-11T12:00:00.25Z", 18),
        ("occurred_on ge 2026-03-01", 18),
        ("length(comment) gt 7 and length(comment) lt 9", 1),
        ("indexof(comment,'it') eq 0", 9),
        ("toupper(survey) eq 'CSAT'", 9),
        ("tolower(account_id) eq 'é'", 6),
        ("toupper(concat(account_id,'x')) eq 'ÉX'", 6),
        ("round(score) eq 10 and floor(score) eq 10 and ceiling(score) eq 10", 9),
        ("occurred_at lt now()", 27),
        ("not contains(comment,'%')", 8),
        ("comment ne null", 9),
        ("score eq 1e1", 9),
        ("score in (10, 10.0)", 9),
        ("NOT Contains(comment,'%') AND score LE 5", 8),
        ("not survey eq 'csat'", 18),
        ("contains(comment,null) or survey eq 'csat'", 9),
        ("null", 0),
        ("not null", 0),
        ("true", 27),
        ("not (score gt null)", 27),
    ],
)
def test_functions_and_literals(filter: str, ids: int, company: Service) -> None:
    assert len(rows(company, "SurveyResponses", filter=filter)) == ids


@pytest.mark.parametrize(
    ("filter", "count"),
    [
        ("vip eq null", 3),
        ("(not vip) eq null", 3),
        ("(not vip) ne null", 6),
        ("(not vip) in (true,false)", 6),
        ("(not vip) in (true,null)", 6),
        ("not ((not vip) eq false)", 6),
        ("not ((not vip) in (false))", 6),
        ("(not vip) eq (not vip)", 9),
        ("(vip and null) eq null", 6),
        ("not (not vip)", 3),
    ],
)
def test_not_of_null_is_null_wherever_it_stands(filter: str, count: int, company: Service) -> None:
    assert len(rows(company, "Accounts", filter=filter)) == count


@pytest.mark.parametrize(
    ("order", "value"),
    [
        ("not vip", lambda row: None if row["vip"] is None else not row["vip"]),
        ("(not vip) eq null", lambda row: row["vip"] is None),
        ("tolower(name)", lambda row: row["name"] and row["name"].lower()),
        ("length(concat(name,plan))", lambda row: row["name"] and row["plan"] and len(row["name"] + row["plan"])),
        ("round(seats)", lambda row: None if row["seats"] is None else int(row["seats"] + 0.5)),
    ],
)
def test_expressions_order_all_pages(order: str, value: Callable[[Any], Any], company: Service) -> None:
    values = [value(row) for row in rows(company, "Accounts")]
    expected = sorted(values, key=lambda own: (own is not None, 0 if own is None else own))
    for direction, own in ((" asc", expected), (" desc", expected[::-1])):
        for size in (1, 4):
            found = rows(company, "Accounts", orderby=order + direction, headers={"Prefer": f"maxpagesize={size}"})
            assert [value(row) for row in found] == own


DEEP = "(" * 5_000 + "score eq 1" + ")" * 5_000
HOSTILE = [
    DEEP,
    "not " * 5_000 + "score eq 1",
    "not (" * (MAX_DEPTH + 1) + "score eq 1" + ")" * (MAX_DEPTH + 1),
    " or ".join(["score eq 1"] * MAX_TOKENS),
    "score in (" + ",".join(map(str, range(MAX_TOKENS))) + ")",
    "contains(" * 2_000,
    "tolower(" * 60 + "comment" + ")" * 60 + " eq 'x'",
    "comment eq '" + "x" * 100_000,
    "score eq 1" + "0" * 400,
    "score eq 1e999999",
    "score eq -1e-999999",
    "score eq 9e59",
    "score eq NaN",
    "score eq INF",
    "comment eq 'a\0b'",
    "comment eq '\ufffe\uffff'",
    "\0",
    "\u202e",
    "score eq ١",
    "occurred_at eq 0001-01-01T00:00:00+23:59",
    "occurred_at eq 9999-12-31T23:59:59-23:59",
    "occurred_at eq 0000-00-00T00:00:00Z",
    "occurred_at eq 2026-02-30T00:00:00Z",
    "occurred_at eq 2026-03-01T24:00:00Z",
    "occurred_at eq 2026-03-01T00:00:60Z",
    "occurred_at eq 2026-03-01T00:00:00",
    "occurred_on eq 9999-12-31",
    "occurred_on eq 0001-01-01",
    "date(occurred_on) eq 2026-01-01",
    "substring(comment,99999999999999999999) eq ''",
    "substring(comment,-5,-5) eq ''",
    "substring(comment,1.7,1.7) eq 't'",
    "substring(comment,score,score) eq ''",
    "1 eq 1",
    "null eq null",
    "'a' gt 'b'",
    "true eq (score eq 1)",
    "(score eq 1) eq (score eq 1)",
    "score eq score eq true",
    "id eq ''",
    "id in ('','x','!!!!','YWNtZQ')",
    "id ne 'x' and contains(id,'Y')",
    "",
    "   ",
    "()",
    ",",
    "eq",
    "score",
    "score eq",
    "eq 1",
    "score eq 1 and",
    "score eq 1 or or score eq 2",
    "score in ()",
    "score in (1,)",
    "score in (null)",
    "score in ('a')",
    "year() eq 1",
    "year(comment) eq 1",
    "geo.distance(a,b) lt 1",
    "tags/any(t: t eq 'a')",
    "$it/score eq 1",
    "@p eq 1",
    "score has 1",
    "cast(score,Edm.String) eq '1'",
    "duration'P1D' eq duration'P1D'",
    "'; DROP TABLE event; --' eq comment",
    "true" + " eq true" * 2_000,
    "round(1e40) gt score",
    "floor(-1e59) lt score and ceiling(1e-59) gt score",
]


@pytest.mark.parametrize("name", ["SurveyResponses", "Feedback", "Health", "MetricValues", "Accounts"])
def test_hostile_filters_are_answered_or_refused(name: str, company: Service) -> None:
    words = {"Accounts": {"score": "seats", "comment": "name"}, "MetricValues": {"score": "value", "comment": "reason"}}
    # All numbers would take long and be no more hostile.
    more = {"metrics": "nps", "period": "2026-03"} if name == "MetricValues" else {}
    # One set that PostgreSQL sorts, and one that Python does.
    options = ("filter", "orderby") if name in ("Accounts", "Health") else ("filter",)
    for filter in HOSTILE:
        for old, new in words.get(name, {}).items():
            filter = filter.replace(old, new)
        for option in options:
            # The client sends no longer URLs.
            answer = get(company, name, **more, **{option: filter[:20_000]})
            assert answer.status_code in (200, 400), (filter[:80], answer.text)
            if answer.status_code == 400:
                assert answer.json()["error"]["code"]


def test_a_filter_that_takes_too_long_is_refused(company: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def code(**options: str) -> str | None:
        answer = get(company, "MetricValues", **options)
        return None if answer.status_code == 200 else answer.json()["error"]["code"]

    texts = ",".join(f"'g{number}'" for number in range(1_000))
    assert code(filter=f"group_by in ({texts})") == "too_complex"
    # What only compares rows with many values is none of these.
    assert code(filter=f"metric eq 'sessions' and period in ({texts})") is None
    monkeypatch.setattr(sources, "MAX_STEPS", 100)
    for options in ({}, {"orderby": "value"}):
        assert code(filter="metric eq 'sessions' and value gt 0", **options) is None
        assert code(filter="metric eq 'sessions'" + " and value gt 0" * 9, **options) == "too_complex"


TOKENS = [
    "score",
    "comment",
    "occurred_at",
    "eq",
    "ne",
    "in",
    "not",
    "and",
    "or",
    "(",
    ")",
    ",",
    "'x'",
    "1",
    "null",
    "true",
]
TOKENS += ["2026-01-01", "2026-01-01T00:00:00Z", "contains", "length", "year", "desc", "'", "-", "=", "💥", "\n"]


OPTIONS = ["filter", "orderby", "select", "top", "skip", "count", "format", "$skiptoken", "whatever"]


def test_random_texts_are_answered_or_refused(company: Service) -> None:
    @settings(RANDOM, max_examples=examples(200))
    @given(
        st.sampled_from(OPTIONS), st.lists(st.sampled_from(TOKENS), max_size=12).map(" ".join) | st.text(max_size=40)
    )
    def check(option: str, text: str) -> None:
        answer = get(company, "SurveyResponses", **{option: text})
        assert answer.status_code in (200, 400, 406), answer.text

    check()


def test_random_keys_and_positions_are_answered_or_refused(company: Service) -> None:
    body = get(company, "SurveyResponses", orderby="score", headers={"Prefer": "maxpagesize=1"}).json()
    token = body["@odata.nextLink"].partition("$skiptoken=")[2]

    @RANDOM
    @given(st.text(max_size=20), st.integers(0, len(token) - 1), st.sampled_from("aZ09-_"))
    def check(text: str, place: int, letter: str) -> None:
        changed = token[:place] + letter + token[place + 1 :]
        answer = get(company, "SurveyResponses", orderby="score", **{"$skiptoken": changed})
        assert answer.status_code in (200, 400), answer.text
        path = "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "replace"))
        assert company.request("GET", f"{ROOT}/Accounts({path})").status_code in (200, 400, 404)

    check()
