"""What all answers of rows have in common: columns, whole periods, pages, and the definition only where it is wanted."""

import csv
import io
from typing import Any

import pytest

from tests.http.test_formats import QUESTIONS
from tests.support.service import Service, account_update, event, session

RANGE = {"start": "2026-01-01", "end": "2026-04-01"}
# Endpoints that answer lists page by page, and the name of the list.
PAGED = ["/v1/accounts", "/v1/feedback", "/v1/health", "/v1/metrics/mrr", "/v1/metrics/sessions/events"]


def read_csv(service: Service, path: str, **params: Any) -> list[list[str]]:
    answer = service.request("GET", path, params=params | {"format": "csv"})
    assert answer.status_code == 200, answer.text
    return list(csv.reader(io.StringIO(answer.text)))


def test_fields_choose_columns_in_their_order(service: Service) -> None:
    service.send(session("acme"), session("globex"), account_update("acme", plan="pro", region="emea"))
    params = {"period": "2026-03", "group_by": "plan,region", "fields": "value,plan,period"}
    assert read_csv(service, "/v1/metrics/sessions", **params) == [
        ["value", "plan", "period"],
        ["1", "", "2026-03"],
        ["1", "pro", "2026-03"],
    ]
    rows = service.get("/v1/metrics/sessions", **params)["rows"]
    assert rows == [
        {"period": "2026-03", "group": {"plan": None}, "value": 1},
        {"period": "2026-03", "group": {"plan": "pro"}, "value": 1},
    ]


@pytest.mark.parametrize(
    ("fields", "columns", "members"),
    [
        ("group", ["plan"], ["group"]),
        ("interval,value", ["low", "high", "value"], ["interval", "value"]),
        ("high", ["high"], ["interval"]),
        ("value,value, value ", ["value"], ["value"]),
        (["value", "period"], ["value", "period"], ["period", "value"]),
        ("`plan`", ["plan"], ["group"]),
    ],
)
def test_a_field_is_a_column_or_a_member_of_rows(
    service: Service, fields: Any, columns: list[str], members: list[str]
) -> None:
    service.send(session())
    params = {"period": "2026-03", "group_by": "plan", "strict": False, "fields": fields}
    assert read_csv(service, "/v1/metrics/nps", **params)[0] == columns
    params["metrics"] = "sessions"
    for answer in (
        service.get("/v1/query", **params),
        service.request("POST", "/v1/query", json=params | {"metrics": ["sessions"]}).json(),
    ):
        assert all(sorted(row) == sorted(members) for row in answer["rows"])
        assert {"question", "rows", "next"} <= answer.keys()


@pytest.mark.parametrize(("path", "params"), QUESTIONS)
def test_unknown_fields_are_refused_with_the_nearest_names(service: Service, path: str, params: dict[str, Any]) -> None:
    service.send(account_update(plan="pro", seats=1, value="v"))
    service.put("/v1/targets/growth", {"metric": "mrr", "granularity": "month", "value": 1000, "from": "2026-01-01"})
    columns = read_csv(service, path, **params)[0]
    wrong = f"{columns[0]}x"
    for format in ("json", "csv", "parquet"):
        answer = service.request("GET", path, params=params | {"fields": f"{wrong},{columns[1]}", "format": format})
        [fault] = answer.json()["errors"]
        assert (answer.status_code, fault["pointer"], fault["code"]) == (422, "/query/fields", "unknown_field")
        assert fault["name"] == wrong and columns[0] in fault["did_you_mean"]


def test_a_chart_has_no_columns_but_refuses_unknown_ones(service: Service) -> None:
    params = {"period": "2026-03", "format": "vega"}
    chart = service.request("GET", "/v1/metrics/nps", params=params)
    reduced = service.request("GET", "/v1/metrics/nps", params=params | {"fields": "value,period"})
    assert (chart.status_code, reduced.content) == (200, chart.content)
    [fault] = service.request("GET", "/v1/metrics/nps", params=params | {"fields": "valu"}).json()["errors"]
    assert (fault["pointer"], fault["code"], fault["did_you_mean"]) == ("/query/fields", "unknown_field", ["value"])


@pytest.mark.parametrize(("path", "params"), QUESTIONS)
def test_every_table_can_be_reduced_to_each_of_its_columns(service: Service, path: str, params: dict[str, Any]) -> None:
    service.send(account_update(plan="pro", seats=1, value="v"), session(), event("feedback.received", comment="Fine."))
    service.put("/v1/targets/growth", {"metric": "mrr", "granularity": "month", "value": 1000, "from": "2026-01-01"})
    header, *rows = read_csv(service, path, **params)
    for position, name in enumerate(header):
        own = read_csv(service, path, **params, fields=f"`{name}`" if "." in name else name)
        assert own == [[name], *([row[position]] if row[position] else [""] for row in rows)] or [
            [] if row == [""] else row for row in own
        ] == [[name], *([row[position]] if row[position] else [] for row in rows)]


def test_a_grouping_with_the_name_of_a_column_has_a_name_of_its_own(service: Service) -> None:
    service.send(account_update(value="v", period="p"), session())
    header, row = read_csv(service, "/v1/metrics/sessions", period="2026-03", group_by="value,period")
    assert len(set(header)) == len(header)
    cells = dict(zip(header, row, strict=True))
    assert (cells["value"], cells["period"], cells["group.value"], cells["group.period"]) == ("1", "2026-03", "v", "p")


@pytest.mark.parametrize(
    "path", ["/v1/metrics/sessions", "/v1/metrics/sessions/conventions", "/v1/metrics/sessions/contributors"]
)
def test_complete_only_leaves_out_the_running_period(service: Service, path: str) -> None:
    service.send(session(at="2026-01-05"), session(at="2026-02-05"), session(at="2026-03-05"))
    everything = service.get(path, **RANGE)["rows"]
    answer = service.get(path, **RANGE, complete_only=True)
    assert answer["rows"] == [row for row in everything if row["complete"]]
    assert [row["period"] for row in answer["rows"]] == ["2026-01", "2026-02"]
    assert answer["question"]["complete_only"] is True
    assert "complete_only" not in service.get(path, **RANGE)["question"]


def test_totals_of_complete_periods_are_over_those(service: Service) -> None:
    service.send(session(at="2026-01-05"), session(at="2026-02-05"), session(at="2026-03-05"))
    rows = service.rows("sessions", **RANGE, complete_only=True, totals=True, compare="previous_period")
    assert [(row["period"], row["value"], str(row["end"])) for row in rows] == [
        ("2026-01", 1, "2026-02-01"),
        ("2026-02", 1, "2026-03-01"),
        ("total", 2, "2026-03-01"),
    ]


@pytest.mark.parametrize("granularity", ["day", "month", "total"])
@pytest.mark.parametrize(
    "path",
    [
        "/v1/metrics/nps",
        "/v1/metrics/nps/conventions",
        "/v1/metrics/nps/contributors",
        "/v1/metrics/nps/restatements",
        "/v1/metrics/nps/events",
        "/v1/surveys/nps/distribution",
        "/v1/onboarding/funnel",
    ],
)
def test_where_no_period_has_ended_there_are_no_rows(service: Service, path: str, granularity: str) -> None:
    service.send(session())
    params = {"start": "2026-03-15", "end": "2026-03-16", "granularity": granularity, "complete_only": True}
    for more in ({}, {"totals": True, "compare": "previous_period"}, {"group_by": "segment"}):
        known = {name: value for name, value in more.items() if name in ("group_by",) or path[4:] == "metrics/nps"}
        answer = service.get(path, **params, **known)
        assert (answer["rows"], answer["next"]) == ([], None)


def test_complete_only_of_cohorts_leaves_out_the_running_month(service: Service) -> None:
    paid = event("subscription.changed", at="2026-01-10", subscription_id="s", mrr="100")
    service.send(paid)
    everything = service.get("/v1/cohorts", **RANGE)["rows"]
    complete = service.get("/v1/cohorts", **RANGE, complete_only=True)["rows"]
    assert complete == [row for row in everything if row["complete"] and row["cohort"] != "2026-03"]


def test_the_definition_is_left_out_unless_it_is_wanted(service: Service) -> None:
    for path in ("/v1/metrics/nps", "/v1/metrics/nps/conventions"):
        alone = service.get(path)
        assert alone["definition"]["name"] == "nps"
        assert "definition" not in service.get(path, period="2026-03")
        assert "definition" not in service.get(path, definition=False)
        assert service.get(path, period="2026-03", definition=True)["definition"] == alone["definition"]
    one = service.request("GET", "/v1/metrics/nps", params={"period": "2026-03"})
    assert len(one.content) < 1_000


@pytest.mark.parametrize(("path", "params"), QUESTIONS)
def test_next_is_always_there(service: Service, path: str, params: dict[str, Any]) -> None:
    service.send(account_update(plan="pro", seats=1, value="v"))
    service.put("/v1/targets/growth", {"metric": "mrr", "granularity": "month", "value": 1000, "from": "2026-01-01"})
    answer = service.request("GET", path, params=params)
    assert answer.json()["next"] is None
    assert "link" not in answer.headers


@pytest.mark.parametrize("format", ["json", "csv", "ndjson", "parquet", "xlsx"])
@pytest.mark.parametrize("path", PAGED)
def test_pages_follow_each_other_by_the_link_in_every_format(service: Service, path: str, format: str) -> None:
    for name in ("acme", "globex", "initech"):
        service.send(account_update(name), session(name), event("feedback.received", name, comment="Fine."))
    params = {"limit": 2, "format": format} | ({"accounts": "all"} if "health" in path else {})
    answer = service.request("GET", path, params=params)
    pages = 1
    while link := answer.headers.get("link"):
        url, _, relation = link.partition(">; ")
        assert relation == 'rel="next"'
        answer = service.request("GET", url.removeprefix("<"))
        assert answer.status_code == 200, answer.text
        pages += 1
    count = len(read_csv(service, path, **params | {"limit": 100, "format": "csv"})) - 1
    assert pages == -(-count // 2) > 1


@pytest.mark.parametrize("path", PAGED)
def test_a_file_without_a_limit_has_all_rows(service: Service, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        ("app.accounts.routes", "MAX_ACCOUNTS"),
        ("app.feedback.routes", "MAX_COMMENTS"),
        ("app.feedback.comments", "MAX_COMMENTS"),
        ("app.audit.routes", "DEFAULT_ROWS"),
    ):
        monkeypatch.setattr(f"{module}.{name}", 2)
    for name in "abcde":
        service.send(account_update(name), session(name), event("feedback.received", name, comment="Fine."))
    params = {"accounts": "all"} if "health" in path else {}
    for format in ("csv", "ndjson"):
        answer = service.request("GET", path, params=params | {"format": format})
        assert "link" not in answer.headers
        assert len(answer.text.splitlines()) == (13 if "mrr" in path else 5) + (format == "csv")
    fields = service.request("GET", path, params=params | {"format": "csv", "fields": "id"})
    if fields.status_code == 200:
        assert len(set(fields.text.splitlines())) == 6
