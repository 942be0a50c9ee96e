"""Hostile and mistaken questions: any of them gets an answer or an error at once, and pages have every row once."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.metrics.define import METRICS
from app.metrics.parameters import Parameters
from tests.support.everything import put_everything
from tests.support.hostile import CANARY, in_path, is_problem, normalize, post, without_deadline
from tests.support.naughty import VALID_IDS
from tests.support.service import Service, account_update, event, session

TEXTS = {
    "nothing": "",
    "a space": " ",
    "a word": CANARY,
    "zero": "0",
    "minus one": "-1",
    "a fraction": "0.5",
    "exponent": "1e999999999",
    "2^63": str(2**63),
    "many digits": "9" * 3000,
    "arabic digits": "٣",
    "NaN": "NaN",
    "truth": "true",
    "null": "null",
    "array": '["a"]',
    "object": '{"a": 1}',
    "control characters": f"a\r\n\x1b[31m{CANARY}",
    "null character": f"\0{CANARY}",
    "commas": ",,,",
    "many commas": "a," * 1000,
    "emoji": "😀",
    "right to left": "\u202e",
    "sql": f"'; DROP TABLE event; --{CANARY}",
    "percent": "%s%n%(a)s",
    "a filter": "plan = 1",
    "half a filter": f"plan = {CANARY}",
    "an open text": f'plan = "{CANARY}',
    "deep parentheses": "(" * 1500 + "a = 1" + ")" * 1500,
    "deep negation": "not " * 900 + "a = 1",
    "many values": "a in (" + "1," * 900 + "1)",
    "a costly text": '"' + "\\" * 3000,
    "first day": "0001-01-01",
    "before the first": "1969-12-31",
    "last day": "9999-12-31",
    "no day": "2026-02-30",
    "a time": "2026-03-10T12:00:00Z",
    "a timestamp": "1773144000",
    "no quarter": "2026-Q5",
    "no week": "2026-W54",
    "no month": "2026-00",
    "no year": "0000",
    "last year of all": "9999",
    "many years": "last_1200_years",
    "too many years": "last_9999_years",
    "this": "this_quarter",
    "grouping": "account,segment,subject,channel",
    "base64": "AAAA",
    "base64 of null": "AA==",
    "a path": "../../etc/passwd",
}


@pytest.fixture(scope="module", autouse=True)
def content(shared: Service) -> None:
    shared.send(*(account_update(f"a{number}", plan=number) for number in range(3)), session("a0"), session("a1"))
    shared.put("/v1/segments/few", {"filter": "plan < 2"})
    # Names that a test of one letter uses.
    shared.send(account_update("a0", a=1))


def questions(service: Service) -> Iterator[tuple[str, str]]:
    """Yield the path and name of every parameter of every GET, from the OpenAPI document."""
    ids = put_everything(service) | {"metric": "feature_uses", "account_id": "a0"}
    for path, operations in service.app.openapi()["paths"].items():
        for parameter in operations.get("get", {}).get("parameters", ()):
            if parameter["in"] == "query":
                yield path.format_map(ids), parameter["name"]


@pytest.mark.parametrize("case", TEXTS)
def test_any_text_as_a_parameter_is_answered_or_an_error(case: str, shared: Service) -> None:
    parameters = list(questions(shared))
    assert len(parameters) >= 36
    for path, name in parameters:
        also = {"metrics": "nps"} if path == "/v1/query" else {}
        answer = shared.request("GET", path, params=also | {name: TEXTS[case]})
        if answer.status_code != 200:
            assert is_problem(answer, 422) or answer.json()["code"] == "unknown_metric", (path, name)


def test_repeated_and_unknown_parameters_are_errors(shared: Service) -> None:
    for path, name in questions(shared):
        whole = [("metrics", "nps")] if path == "/v1/query" else []
        if path == "/v1/cohorts/accounts":
            whole = [own for own in (("cohort", f"{shared.books.today():%Y-%m}"), ("number", "0")) if own[0] != name]
        value = {"limit": "1", "totals": "true", "start": "2026-01-01", "granularity": "day"}.get(name, "json")
        answer = shared.request("GET", path, params=[*whole, (name, value), (name, value)])
        if name in ("metrics", "account", "segment", "group_by", "subject", "channel"):
            unknown = {"unknown_segment", "unknown_metric", "unknown_dimension", "not_grouped", "repeated"}
            unknown |= {"unrecorded_attribute", "unknown_account", "unknown_subject", "unknown_channel"}
            codes = {fault["code"] for fault in answer.json().get("errors", ())}
            assert answer.status_code == 200 or codes <= unknown
        else:
            assert is_problem(answer, 422), name
        for strange in (name.upper(), f"{name}[]", f"{name}.a", "fliter", "", "__proto__", CANARY):
            assert is_problem(shared.request("GET", path, params=[*whole, (strange, CANARY)]), 422), strange


RANGES = {
    ("1970-01-01", "1970-01-02"): 200,
    ("9998-12-31", "9999-01-01"): 200,
    ("1970-01-01", "9999-01-01"): 422,
    ("1969-12-31", "1970-01-02"): 422,
    ("0001-01-01", "9999-12-31"): 422,
    ("9998-12-31", "9999-01-02"): 422,
    ("2026-01-01", "2026-01-01"): 422,
    ("2026-01-02", "2026-01-01"): 422,
    ("0001-01-01", None): 422,
    (None, "9999-12-31"): 422,
    ("9999-12-31", None): 422,
    (None, "0001-01-01"): 422,
}


@pytest.mark.parametrize("days", RANGES, ids=str)
def test_a_range_at_the_limits_of_dates_is_answered_or_an_error(
    days: tuple[str | None, str | None], shared: Service
) -> None:
    named = {name: day for name, day in zip(("start", "end"), days, strict=True) if day}
    for granularity in ("day", "week", "month", "quarter"):
        answer = shared.request("GET", "/v1/metrics/sessions", params=named | {"granularity": granularity})
        assert answer.status_code == RANGES[days], granularity
    params = named | {"granularity": "total", "as_of": "2026-03-15", "totals": "true", "segments_as_of": "now"}
    assert shared.request("GET", "/v1/metrics/sessions", params=params).status_code < 500


@pytest.mark.parametrize("as_of", ["0001-01-01", "1969-12-31", "2026-03-16", "9999-12-31", "0", "now", "today"])
def test_as_of_must_be_between_1970_and_today(as_of: str, shared: Service) -> None:
    assert is_problem(shared.request("GET", "/v1/metrics/sessions", params={"as_of": as_of, "period": "2026"}), 422)


def test_all_metrics_at_once_are_answered_for_any_period(shared: Service) -> None:
    periods = ["1970", "1970-01", "1970-Q1", "1970-W02", "9998", "9998-12", "9998-Q4", "9998-W52", "last_1200_days"]
    periods += ["today", "yesterday", "this_week", "last_year", "year_to_date", "2024-02-29", "2020-W53"]
    for period in periods:
        for granularity in ("day", "week", "month", "quarter", "year", "total"):
            params = {"metrics": ",".join(METRICS), "period": period, "granularity": granularity, "limit": 5}
            assert shared.request("GET", "/v1/query", params=params).status_code == 200, params


VALUES: list[Any] = [
    True,
    0,
    -1,
    1.5,
    2**63,
    10**4000,
    {},
    {"a": 1},
    [1],
    [None],
    [[]],
    [{}],
    [True],
    "",
    "a\0",
    CANARY * 3000,
]
VALUES += [None, ["a" * 129], ["a"] * 5000, [""]]
# Values that are valid for a field.
VALID: dict[str, list[Any]] = {
    **{name: [True] for name in ("totals", "strict", "complete_only", "definition")},
    "min_sample": [0, 1],
    "cursor": [],
    "filter": [],
    "metrics": [],
}
# Lists that may be empty, in which an empty text and a repetition are left out.
LISTS = {"group_by", "fields"}
OPTIONAL = {
    *("start", "end", "period", "filter", "as_of", "cursor", "format", "compare", "convention"),
    *("limit", "definition"),
}


@pytest.mark.parametrize("name", [*Parameters.model_fields, "metrics"])
def test_a_field_of_a_json_question_must_have_its_type(name: str, shared: Service) -> None:
    for value in VALUES:
        answer = post(shared, {"metrics": ["feature_uses"], name: value}, path="/v1/query")
        is_valid = value is None and name in OPTIONAL
        is_valid |= json.dumps(value)[:50] in [json.dumps(valid) for valid in VALID.get(name, [])]
        if is_valid or (name in LISTS and value in ("", [""])) or (name, value) == ("group_by", ["a"] * 5000):
            assert answer.status_code == 200, value
        elif (name, value) == ("fields", ["a"] * 5000):
            assert is_problem(answer, 422, "unknown_field")
        elif (name, value) == ("metrics", ["a"] * 5000):
            assert is_problem(answer, 422, "unknown_metric")
        else:
            assert is_problem(answer, 422), value


METHODS = ["OPTIONS", "TRACE", "PATCH", "DELETE", "PUT", "POST", "PROPFIND", "CONNECT"]


@pytest.mark.parametrize("method", METHODS)
def test_a_method_that_an_endpoint_does_not_have_is_an_error(method: str, shared: Service) -> None:
    for path in ("/v1/metrics", "/v1/metrics/nps", "/healthz"):
        answer = shared.request(method, path, content=CANARY.encode())
        assert answer.status_code == 405
        assert CANARY not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "text/csv" + ",text/csv;q=0.1" * 500},
        {"Accept": ""},
        {"Accept": ";;;,,,"},
        {"Accept": b"\xff\xfe"},
        {"If-None-Match": ""},
        {"If-None-Match": '"' * 5000},
        {"If-None-Match": "W/," * 5000},
        {"If-None-Match": b"\xff"},
        {"Accept-Encoding": "gzip;q=nan, *;q=0"},
        {"Range": "bytes=0-0," + ",".join(f"{n}-{n}" for n in range(2000))},
        {"X-Forwarded-Host": CANARY, "X-Forwarded-For": CANARY, "Forwarded": f"host={CANARY}"},
        {"Host": CANARY},
        {"X-HTTP-Method-Override": "DELETE"},
        {"Content-Type": "text/plain", "Content-Encoding": "br"},
        {"Cookie": "a=" + "b" * 5000},
    ],
    ids=lambda headers: ", ".join(headers)[:40],
)
def test_no_header_breaks_an_answer(headers: dict[str, Any], shared: Service) -> None:
    for path in ("/v1/metrics/sessions", "/v1/accounts", "/docs", "/openapi.json"):
        answer = shared.request("GET", path, headers=headers)
        assert answer.status_code == 200
        assert CANARY not in answer.text + str(answer.headers)


def pages(service: Service, path: str, **parameters: Any) -> list[Any]:
    """Return all rows, by one page after the other."""
    rows: list[Any] = []
    cursor: str | None = None
    for _ in range(1000):
        page = service.get(path, **parameters, **({"cursor": cursor} if cursor else {}))
        rows += page.get("rows") or page.get("accounts")
        cursor = page["next"]
        if cursor is None:
            return rows
    raise AssertionError("there is no last page")


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_pages_have_every_row_once_whatever_the_group(limit: int, service: Service) -> None:
    values = [True, 1, "1", "true", 0, False, "", 1.5, -1, "é", "\u2028", "a" * 1024, "😀" * 1024, '","', None]
    for number, value in enumerate(values):
        service.send(account_update(f"a{number}", tier=value, twin=value), session(f"a{number}"))
    question = {"period": "2026-03", "group_by": "tier,twin", "limit": limit}
    rows = pages(service, "/v1/metrics/sessions", **question)
    assert sorted(json.dumps(row["group"]["tier"]) for row in rows) == sorted(map(json.dumps, values))


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_pages_have_every_account_once_whatever_the_id(limit: int, service: Service) -> None:
    service.send(*(session(id) for id in VALID_IDS.values()))
    ids = [account["id"] for account in pages(service, "/v1/accounts", limit=limit)]
    assert ids == sorted(map(normalize, VALID_IDS.values()))


@pytest.mark.parametrize(
    "cursor", ["", "x", "AAAA", "W10", "bnVsbA", "WzFd", "é", "\0", "a" * 900, "/+==", "0" * 32, CANARY]
)
def test_an_invalid_cursor_is_an_error(cursor: str, shared: Service) -> None:
    answer = shared.request("GET", "/v1/metrics/sessions", params={"cursor": cursor})
    assert is_problem(answer, 422, "invalid_cursor")
    answer = shared.request("GET", "/v1/accounts", params={"cursor": cursor})
    assert answer.status_code == 200 or is_problem(answer, 422, "invalid_cursor")


def test_a_cursor_of_another_question_is_an_error(shared: Service) -> None:
    first = shared.get("/v1/metrics/sessions", group_by="account", limit=1)
    answer = shared.request("GET", "/v1/metrics/sessions", params={"group_by": "plan", "cursor": first["next"]})
    assert is_problem(answer, 422, "invalid_cursor")


def test_an_id_in_a_path_is_not_confused_with_similar_ids(shared: Service) -> None:
    names = ["x/y", "x%2Fy", "x%252Fy", "x", "y", "x%", "x+y", "x y", "x?y", "x#y", "x;y", "x\\y", "x//y", "/x", "x/"]
    for number, name in enumerate(names):
        shared.put(f"/v1/accounts/{in_path(name)}", {"attributes": {"number": number}})
    for number, name in enumerate(names):
        account = shared.get(f"/v1/accounts/{in_path(name)}")
        assert (account["id"], account["attributes"]) == (name, {"number": number})


@without_deadline
@given(
    st.text(max_size=30),
    st.sampled_from(["filter", "group_by", "account", "subject", "period", "cursor", "start", "limit"]),
)
@example('`a` = "b"', "filter")
def test_no_question_causes_a_server_error(shared: Service, text: str, name: str) -> None:
    answer = shared.request("GET", "/v1/metrics/feature_uses", params={name: text})
    assert answer.status_code in (200, 422)
    path = f"/v1/metrics/{in_path(text)}"
    if text.strip(".") and not text.startswith("feature"):
        assert shared.request("GET", path).status_code in (404, 200)
    if text not in (".", ".."):  # clients resolve these: the request would be for another path
        assert shared.request("GET", f"/v1/accounts/{in_path(text)}/x").status_code in (404, 405)


def test_an_unknown_subject_is_an_error_or_empty_and_creates_no_label(shared: Service) -> None:
    shared.send(event("feature.used", "a0", user="ada", feature="export"))
    labels = len(shared.books.database.labels)
    for word in VALID_IDS.values():
        subject = f"un{word}"[:128]
        answer = shared.request("GET", "/v1/metrics/feature_uses", params={"subject": subject})
        assert is_problem(answer, 422, "unknown_subject"), word
        assert shared.value("feature_uses", subject=subject, channel=[], strict="false") == 0
    assert len(shared.books.database.labels) == labels
