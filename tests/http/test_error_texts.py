"""The error texts that users meet most: each says in plain words what is wrong, where it is, and what to do."""

import gzip
import json
from typing import Any

import pytest

from tests.support.hostile import post
from tests.support.service import Service, account_update, event, session, survey_responses

# What only programmers of the service understand.
JARGON = (
    "Input should",
    "should have",
    "validation",
    "not permitted",
    "Field required",
    "Value error",
    "NoneType",
    "enum",
)

GETS = {
    "/nope": "/docs lists all endpoints",
    "/v1/metrics/npss": 'Did you mean "nps"?',
    "/v1/metrics/nps?start=2026-03-01&end=2026-02-01": "`end` must be later than `start`",
    "/v1/metrics/nps?start=2026-3-1": '"start": Expected a date as YYYY-MM-DD, such as',
    "/v1/metrics/nps?start=2026-02-30": '"start": This day does not exist',
    "/v1/metrics/nps?end=2024-06-01": "`end` is before 2025-03-01, where the range begins by default. Give `start`",
    "/v1/metrics/nps?period=2026-03&start=2026-01-01": "not both",
    "/v1/metrics/nps?period=last_moth": 'Unknown period. Did you mean "last_month"',
    "/v1/metrics/nps?period=last_12_month": 'Unknown period. Did you mean "last_12_months"',
    "/v1/metrics/nps?period=2026Q1": 'Unknown period. Did you mean "2026-Q1"?',
    "/v1/metrics/nps?period=2026-13": "does not exist",
    "/v1/metrics/nps?as_of=2027-01-01": "to today, 2026-03-15",
    "/v1/metrics/nps?filter=plan=pro": "a quoted string",
    '/v1/metrics/nps?filter=plan="pro': "close it with the same quote",
    "/v1/metrics/nps?filter=plan": "Expected an operator at position 5",
    '/v1/metrics/nps?filter=plann="pro"': 'Did you mean "plan"?',
    "/v1/metrics/nps?fliter=x": 'Unknown parameter "fliter". Did you mean "filter"?',
    "/v1/metrics/nps?group_by=reigon": 'Did you mean "region"?',
    "/v1/metrics/nps?account=amce": 'Did you mean "acme"?',
    "/v1/metrics/nps?segment=cor": 'Unknown segment "cor". Did you mean "core"?',
    "/v1/metrics/nps?subject=npss": 'no survey of this name has been recorded. Did you mean "nps"?',
    "/v1/metrics/nps?channel=emial": 'Did you mean "email"?',
    "/v1/metrics/mrr?group_by=channel": "These metrics have no channel: mrr. Ask for them without it",
    "/v1/metrics/nps?group_by=plan,region,account,channel": "Ask several questions instead",
    "/v1/metrics/nps?limit=20000": '"limit" must be at most 10,000',
    "/v1/metrics/nps?limit=many": '"limit" must be a whole number',
    "/v1/metrics/nps?totals=maybe": '"totals" must be true or false',
    "/v1/metrics/nps?period=2026-03&period=2026-02": "Send it once",
    "/v1/metrics/nps?cursor=abc": "Start again without it",
    "/v1/metrics/nps?granularity=mnth": 'Did you mean "month"?',
    "/v1/metrics/nps?granularity=day&start=1980-01-01&end=2020-01-01": "Choose a coarser granularity",
    "/v1/metrics/nps?format=excel": '"format" must be one of: ',
    "/v1/metrics/nps?compare=last_year": "previous_period, previous_year",
    "/v1/metrics/nps?convention=x": "They have: default",
    "/v1/metrics/nps/events?group_by=plan": "Remove group_by",
    "/v1/metrics/mrr/contributors?group_by=account": 'Remove "account"',
    "/v1/query": '"metrics" is required',
    "/v1/query?metrics=": '"metrics" must have at least one item',
    "/v1/surveys?x=1": 'Unknown parameter "x". This endpoint has no parameters',
    "/v1/surveys/npss/distribution": 'Unknown survey "npss". Did you mean "nps"?',
    "/v1/accounts/Acme": 'Unknown account "Acme". Did you mean "acme"?',
    "/v1/accounts/acme/overview?granularity=day&period=2026": "Use a shorter range or longer periods",
    "/v1/accounts?cursor=x": "Use `next` of the page before",
    "/v1/feedback/none": "GET /v1/feedback lists the comments",
    "/v1/feedback?class=promotr": 'Did you mean "promoter"?',
}


def use(**fields: Any) -> dict[str, Any]:
    return session() | fields


EVENTS: list[tuple[Any, str]] = [
    (5, "An event must be a JSON object"),
    (use(type="sesion.ended"), 'Unknown event type "sesion.ended". Did you mean "session.ended"?'),
    (use(occurred_at="2026-03-10T00:00:00"), "RFC 3339 with an offset, such as"),
    (use(occurred_at="2026-03-20T00:00:00Z"), "Check the clock and the time zone"),
    (use(occurred_at="2026-02-30T00:00:00Z"), "This time does not exist"),
    (use(occurred_at="9999-12-31T23:59:59Z"), "within the years 1970 to 9998"),
    (use(account_id=5), '"account_id" must be a text in quotes'),
    (use(userid="x"), 'Unknown field "userid". Did you mean "user_id"?'),
    (use(data=[]), '"data" must be a JSON object'),
    (use(data={}), 'Field "duration_seconds" is required'),
    (use(data={"duration_seconds": "5"}), "without quotes"),
    (use(data={"duration_seconds": -5}), '"duration_seconds" must be at least 0'),
    (use(data={"duration_seconds": 5, "page": "x"}), 'Fields of your own belong under "extra"'),
    (event("subscription.changed", subscription_id="s"), 'is required: either "mrr", or "amount" with "interval"'),
    (event("subscription.changed", subscription_id="s", mrr="1", amount="1", interval="year"), "is there twice"),
    (event("subscription.changed", subscription_id="s", amount="1"), '"amount" needs "interval": week'),
    (event("purchase.completed", order_id="o", amount="-1"), "an event of its own: purchase.refunded"),
    (event("subscription.changed", subscription_id="s", mrr="1,000"), "without thousands separators"),
    (event("subscription.changed", subscription_id="s", amount="1", interval="monthly"), 'Did you mean "month"?'),
    (event("purchase.completed", order_id="o", amount="1", currency="eur"), "three capital letters, such as EUR"),
    (event("purchase.completed", order_id="o", amount="1", currency="GBP"), "PUT /v1/exchange-rates"),
    (event("survey.responded", survey="npss", score=9), 'Did you mean "nps"?'),
    (event("survey.responded", survey="nps", score=11), "from 0 to 10"),
    (event("feedback.received", comment=""), '"comment" must not be empty'),
    (event("feedback.updated", feedback="x", status="done"), "open, in_progress, resolved"),
    (event("cost.recorded", None, user="x", category="retention", amount="1"), 'needs an "account_id"'),
    (event("account.updated", id="PUT x", attributes={}), "Use another id"),
    (event("account.updated", attributes={"a": []}), "a text, a number, true, false or null"),
]

BODIES: list[tuple[str, str, Any, str]] = [
    ("POST", "/v1/query", {"metrics": []}, '"metrics" must have at least one item'),
    ("POST", "/v1/query", {"metrics": ["nps"], "limit": "5"}, "without quotes"),
    ("POST", "/v1/query", [], "The body must be a JSON object"),
    ("POST", "/v1/events", {"events": [], "x": 1}, 'no other field may stand beside "events"'),
    ("POST", "/v1/events", {"events": {}}, '"events" must be an array'),
    ("PUT", "/v1/surveys/visit", {"kind": "ces", "scale": {"min": 1, "max": 7}}, 'needs "easy_is"'),
    ("PUT", "/v1/surveys/visit", {"kind": "nps", "scale": {"min": 1, "max": 7}}, "Use the kind csat"),
    ("PUT", "/v1/surveys/visit", {"kind": "csatt", "scale": {"min": 1, "max": 7}}, 'Did you mean "csat"?'),
    ("PUT", "/v1/segments/new", {"filter": 'plann = "pro"'}, 'Did you mean "plan"?'),
    ("PUT", "/v1/segments/new", {"filtr": "plan = 1"}, 'Did you mean "filter"?'),
    ("PUT", "/v1/exchange-rates", {"currency": "EUR", "rates": {"2026-01-01": "0"}}, "above zero"),
    ("PUT", "/v1/exchange-rates", {"currency": "USD", "rates": {"2026-01-01": "1"}}, "it needs no rate"),
    ("PUT", "/v1/accounts/acme", {"effective_at": "2030-01-01T00:00:00Z"}, "at most 24 hours in the future"),
    ("POST", "/v1/keys", {"name": "x", "scopes": []}, "at least one of: ingest, read, admin"),
    ("POST", "/v1/keys", {"name": "x", "scopes": ["raed"]}, 'Did you mean "read"?'),
    ("PATCH", "/v1/feedback/YWNtZQByLTE", {}, '"status" or "note" is required'),
]


@pytest.fixture(scope="module", autouse=True)
def content(shared: Service) -> None:
    shared.send(
        account_update(plan="pro", region="emea"),
        session(),
        event("ticket.opened", ticket_id="1", channel="email"),
        *survey_responses("nps", [9], channel="email", comment="Good."),
    )
    shared.put("/v1/segments/core", {"filter": 'plan = "pro"'})


def check_problem(problem: dict[str, Any], fragment: str) -> None:
    details = [problem["detail"], *(fault["detail"] for fault in problem.get("errors", ()))]
    assert any(fragment in detail for detail in details), json.dumps(problem)
    for detail in details:
        assert detail[0].isupper() or detail[0] in '"`' or detail.startswith(("as_of", "recorded_on")), detail
        assert detail.endswith((".", "?")) and not any(word in detail for word in JARGON), detail
    if problem["status"] == 422:
        assert problem["errors"] and all(fault["code"] for fault in problem["errors"])


NOT_JSON = {
    b"": "it is empty.",
    b"{id: 1}": "at line 1 column 2: a key must be in double quotes",
    b"{'id': 1}": "a key must be in double quotes",
    b'[{"id": "a"},]': "a comma after the last item",
    b'{"id": "a" "type": 1}': "a comma or a closing bracket is missing",
    b'[{"id": NaN}]': "a value must be a text in double quotes, a number",
    b'{"id": "a", "id": "b"}': "an object has a key twice",
    b'[{"id": "a"}': "it ends too early",
    b"{} {}": "send one value per line as application/x-ndjson",
    b'"a\nb"': "a line end or another control character",
    b'"\\x"': "a backslash that escapes nothing",
    b'"M\xfcller"': "it is not UTF-8",
    b"\xef\xbb\xbf[]": "begins with a byte order mark; leave it out",
    gzip.compress(b"[]", mtime=0): "it is compressed; say so with the header Content-Encoding",
}


@pytest.mark.parametrize("body", NOT_JSON, ids=repr)
def test_a_body_that_is_not_json_is_told_why(body: bytes, shared: Service) -> None:
    answer = shared.request("POST", "/v1/events", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and NOT_JSON[body] in answer.json()["detail"], answer.text


def test_lines_that_curl_has_joined_are_told_why(shared: Service) -> None:
    headers = {"Content-Type": "application/x-ndjson"}
    answer = shared.request("POST", "/v1/events", content=b'{"id": "a"}{"id": "b"}', headers=headers).json()
    [rejection] = answer["rejected"]
    assert rejection["detail"].startswith("The line is not well-formed JSON, at column 12: more text after the end")
    assert "curl: --data-binary" in rejection["detail"]


def test_there_are_at_least_sixty() -> None:
    assert len(GETS) + len(EVENTS) + len(BODIES) >= 60


@pytest.mark.parametrize("address", GETS)
def test_the_error_of_a_question_says_what_to_do(address: str, shared: Service) -> None:
    answer = shared.request("GET", address)
    assert answer.status_code in (404, 422), answer.text
    check_problem(answer.json(), GETS[address])


@pytest.mark.parametrize(("sent", "fragment"), EVENTS, ids=lambda part: part if isinstance(part, str) else "")
def test_the_rejection_of_an_event_says_what_to_do(sent: Any, fragment: str, shared: Service) -> None:
    answer = post(shared, [sent])
    assert answer.status_code == 422 and answer.json()["code"] == "all_rejected"
    [rejection] = answer.json()["rejected"]
    check_problem({"status": 422, "detail": rejection["detail"], "errors": rejection["errors"]}, fragment)


@pytest.mark.parametrize(("method", "path", "body", "fragment"), BODIES, ids=repr)
def test_the_error_of_a_definition_says_what_to_do(
    method: str, path: str, body: Any, fragment: str, shared: Service
) -> None:
    answer = post(shared, body, path=path, method=method)
    assert answer.status_code == 422, answer.text
    check_problem(answer.json(), fragment)
