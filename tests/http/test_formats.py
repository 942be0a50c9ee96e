"""Output formats: the same numbers in each, as programs that are not ours read them."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pandas
import polars
import pyarrow
import pytest
from openpyxl.utils.escape import unescape
from pyarrow import parquet

from app.http.formats import FORMATS, encode_whole
from app.http.tables import Answer, columns
from tests.support.service import Service, account_update, event, session, survey_responses

# Names that a spreadsheet could run, that XML or CSV could break on, and that are no ASCII.
NAMES = ["=1+1", "+49 30", "-5", "@home", 'a "quoted", one', "Zürich\nOst", "<b>&amp;</b>", "_x0041_", "日本", "\u0001"]
RANGE = {"start": "2026-01-01", "end": "2026-04-01"}
QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/metrics/mrr", RANGE),
    ("/v1/metrics/mrr", RANGE | {"group_by": "plan,account"}),
    ("/v1/metrics/nps", RANGE | {"group_by": "seats", "totals": True, "min_sample": 2}),
    ("/v1/query", RANGE | {"metrics": "nps,sessions,mrr,nrr", "group_by": "plan", "compare": "previous_period"}),
    ("/v1/metrics/nps/conventions", RANGE),
    ("/v1/metrics/sessions", RANGE | {"group_by": "value"}),
    ("/v1/metrics/mrr/contributors", RANGE),
    ("/v1/metrics/mrr/restatements", RANGE),
    ("/v1/metrics/sessions/events", RANGE),
    ("/v1/cohorts", RANGE | {"measure": "mrr"}),
    ("/v1/cohorts", RANGE),
    ("/v1/cohorts/accounts", RANGE | {"measure": "mrr", "group_by": "plan", "cohort": "2026-01", "number": 1}),
    ("/v1/onboarding/funnel", RANGE),
    ("/v1/surveys/nps/distribution", RANGE),
    ("/v1/feedback", {}),
    ("/v1/accounts", {}),
    ("/v1/health", {"accounts": "all"}),
    ("/v1/scorecard", {}),
    ("/v1/targets/growth/history", {}),
    ("/v1/insights", {}),
    ("/v1/insights/nps_drop/accounts", {}),
    ("/v1/health-model/backtest", {"period": "2026-Q1"}),
    ("/v1/health-model/backtest/scores", {"period": "2026-Q1"}),
]
MAY_BE_EMPTY = ("/v1/insights/nps_drop/accounts", "/v1/insights", "/v1/health-model/backtest/scores")
ids = [f"{path}?{'&'.join(params)}" for path, params in QUESTIONS]


@pytest.fixture(scope="module")
def company(copy_database: Callable[[], Any]) -> Iterator[Service]:
    """A company with accounts of all names, and something of everything."""
    with copy_database() as url, Service(url).open() as service:
        found_company(service)
        yield service


def found_company(service: Service) -> None:
    for number, name in enumerate(NAMES):
        account = f"{name}{number}".replace("\n", " ").replace("\u0001", "x")
        attributes = {
            "plan": name.replace("\u0001", ""),
            "seats": (5, 2.5, "many", True, None)[number % 5],
            "value": "v",
        }
        service.send(account_update(account, **attributes))
        paid = event("subscription.changed", account, at="2026-01-10", subscription_id="s", mrr=f"{100 + number}.55")
        service.send(paid, session(account, at="2026-02-03"), session(account, at="2026-03-03"))
        comment = f"{name} says: =HYPERLINK" + "." * number
        answers = survey_responses("nps", [9, 3], account, at="2026-02-05", comment=comment, tags=["=a", "b"])
        service.send(*answers, event("onboarding.started", account, at="2026-02-01", user="ada"))
    service.put("/v1/targets/growth", {"metric": "mrr", "granularity": "month", "value": 1000, "from": "2026-01-01"})
    # Told late: the number of February changes in March.
    service.send(event("subscription.changed", "late", at="2026-02-10", subscription_id="s", mrr="10"))


def fetch(service: Service, path: str, format: str, **params: Any) -> bytes:
    answer = service.request("GET", path, params=params | {"format": format})
    assert answer.status_code == 200, answer.text
    return answer.content


def read_table(content: bytes) -> tuple[list[str], list[list[Any]]]:
    """Return the columns and rows of a Parquet file."""
    table = parquet.read_table(io.BytesIO(content))
    return table.column_names, [list(row.values()) for row in table.to_pylist()]


def as_csv(value: Any) -> str:
    """Return a value of Parquet as CSV has it."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case Decimal():
            return f"{value.normalize():f}"
        case float():
            return str(int(value)) if value.is_integer() else repr(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
    text = str(value)
    is_formula = text.startswith(("=", "+", "-", "@", "\t", "\r")) and not text.lstrip("-").replace(".", "").isdigit()
    return f"'{text}" if is_formula else text


def normalize(text: str) -> str:
    """Return a cell of CSV with a number in its shortest form."""
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else repr(number)


@pytest.mark.parametrize(("path", "params"), QUESTIONS, ids=ids)
def test_csv_parquet_and_xlsx_have_the_same_cells(company: Service, path: str, params: dict[str, Any]) -> None:
    columns, rows = read_table(fetch(company, path, "parquet", **params))
    header, *lines = csv.reader(io.StringIO(fetch(company, path, "csv", **params).decode(), newline=""))
    assert header == columns and len(set(columns)) == len(columns)
    assert len(lines) == len(rows)
    assert rows or path in MAY_BE_EMPTY
    for line, row in zip(lines, rows, strict=True):
        assert [normalize(cell) for cell in line] == [normalize(as_csv(value)) for value in row]
    sheet = openpyxl.load_workbook(io.BytesIO(fetch(company, path, "xlsx", **params))).worksheets[0]
    head, *cells = sheet.iter_rows()
    assert [cell.value for cell in head] == columns
    assert len(cells) == len(rows)
    assert not [cell for row in cells for cell in row if cell.data_type == "f"]
    for own_cells, row in zip(cells, rows, strict=True):
        values = [plain(value) for value in row]
        assert [cell_value(cell, like=value) for cell, value in zip(own_cells, values, strict=True)] == values


def cell_value(cell: Any, *, like: Any) -> Any:
    # openpyxl leaves to others what Excel does: to decode the characters that XML cannot have.
    return plain(unescape(cell.value) if isinstance(cell.value, str) else cell.value, like=like)


def plain(value: Any, *, like: Any = None) -> Any:
    """Return a cell's value without what its format has of its own."""
    if isinstance(value, datetime):
        # A workbook has no time zones, and about milliseconds.
        value = value.replace(tzinfo=None)
        return (
            value.date() if isinstance(like, date) and not isinstance(like, datetime) else value.replace(microsecond=0)
        )
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(like, str) and value is not None and not isinstance(value, str):
        # The value of an attribute, which is text in a column of texts and itself in a workbook.
        return json.dumps(value)
    if isinstance(value, str):
        return value or None
    return float(value) if isinstance(value, int) and isinstance(like, float) else value


@pytest.mark.parametrize(("path", "params"), QUESTIONS, ids=ids)
def test_ndjson_has_the_rows_of_json(company: Service, path: str, params: dict[str, Any]) -> None:
    body = json.loads(fetch(company, path, "json", **params))
    assert body["next"] is None
    lines = [json.loads(line) for line in fetch(company, path, "ndjson", **params).splitlines()]
    if path == "/v1/health-model/backtest":
        assert {line["part"] for line in lines} >= {"total", "band"}
    else:
        assert lines == body[{"/v1/feedback": "feedback"}.get(path, "accounts" if "accounts" in body else "rows")]


@pytest.mark.parametrize(("path", "params"), QUESTIONS, ids=ids)
def test_columns_have_the_same_types_in_an_empty_table(company: Service, path: str, params: dict[str, Any]) -> None:
    empty = {"/v1/feedback": {"tag": "none"}, "/v1/accounts": {"filter": "plan = 99"}}.get(path, {})
    full = parquet.read_schema(io.BytesIO(fetch(company, path, "parquet", **params)))
    content = fetch(company, path, "parquet", **params | empty)
    assert parquet.read_schema(io.BytesIO(content)) == full
    assert not [field for field in full if field.type == pyarrow.null()]


def test_pandas_polars_and_duckdb_read_typed_columns(company: Service, tmp_path: Path) -> None:
    params = RANGE | {"group_by": "account"}
    expected = sum(row["value"] or 0 for row in company.get("/v1/metrics/mrr", **params)["rows"])
    for format in ("csv", "parquet", "xlsx", "ndjson"):
        (tmp_path / f"mrr.{format}").write_bytes(fetch(company, "/v1/metrics/mrr", format, **params))
    path = str(tmp_path / "mrr")
    frames = [
        pandas.read_csv(f"{path}.csv", parse_dates=["start"]),
        pandas.read_parquet(f"{path}.parquet"),
        pandas.read_excel(f"{path}.xlsx", engine="openpyxl"),
        pandas.read_json(f"{path}.ndjson", lines=True),
    ]
    for frame in frames:
        assert frame["value"].sum() == pytest.approx(expected)
        assert frame["complete"].dtype == bool
    for frame in (polars.read_csv(f"{path}.csv", try_parse_dates=True), polars.read_parquet(f"{path}.parquet")):
        assert frame["value"].sum() == pytest.approx(expected)
        assert frame.schema["start"] == polars.Date and frame.schema["complete"] == polars.Boolean
    for source in (f"read_csv('{path}.csv')", f"read_parquet('{path}.parquet')"):
        [[total, kind]] = duckdb.sql(f"SELECT sum(value), any_value(typeof(start)) FROM {source}").fetchall()
        assert (total, kind) == (pytest.approx(expected), "DATE")


def test_a_workbook_has_typed_cells_and_a_bold_header_that_stays(company: Service) -> None:
    content = fetch(company, "/v1/metrics/mrr", "xlsx", **RANGE, group_by="plan,seats")
    sheet = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0]
    assert sheet.title == "numbers"
    assert sheet.freeze_panes == "A2"
    header = {cell.value: cell.column - 1 for cell in sheet[1]}
    assert all(cell.font.b for cell in sheet[1])
    rows = list(sheet.iter_rows(min_row=2))
    start, complete, value, amount = (rows[0][header[name]] for name in ("start", "complete", "value", "amount"))
    assert (start.value, start.number_format) == (datetime(2026, 1, 1), "yyyy-mm-dd")
    assert (complete.value, complete.data_type) == (True, "b")
    assert (value.data_type, amount.data_type) == ("n", "n")
    assert {type(row[header["seats"]].value) for row in rows} >= {int, float, str, bool}
    plans = {row[header["plan"]].value: row[header["plan"]].data_type for row in rows}
    assert plans["=1+1"] == plans["+49 30"] == plans["-5"] == plans["_x005F_x0041_"] == "s"


def test_a_workbook_cuts_texts_that_excel_cannot_open() -> None:
    rows = [{"text": "=" + "a" * 40_000}, {"text": "a" * 32_767}]
    answer = Answer("texts", {"rows": rows}, columns({"text": {"type": "string"}}))
    sheet = openpyxl.load_workbook(io.BytesIO(encode_whole(FORMATS["xlsx"], answer))).worksheets[0]
    assert [cell.value for cell in sheet["A"]] == ["text", "=" + "a" * 32_765 + "…", "a" * 32_767]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/csv", "text/csv; charset=utf-8"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/jsonl", "application/x-ndjson"),
        ("application/vnd.apache.parquet", "application/vnd.apache.parquet"),
        ("text/html, text/csv;q=0.9, */*;q=0.1", "text/csv; charset=utf-8"),
        ("application/json;q=0.1, text/csv", "text/csv; charset=utf-8"),
        ("text/csv;q=0, */*", "application/json"),
        ("text/csv;q=much", "application/json"),
        ("text/*", "text/csv; charset=utf-8"),
        ("image/*", "image/svg+xml"),
        ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "image/svg+xml"),
        ("application/*", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
        ("application/json;q=0, */*", "text/csv; charset=utf-8"),
        ("text/csv;q=nan, application/x-ndjson;q=0.1", "application/x-ndjson"),
        ("text/html", "application/json"),
        ("*/*", "application/json"),
        ("", "application/json"),
    ],
)
def test_the_accept_header_chooses_the_format(service: Service, accept: str, content_type: str) -> None:
    answer = service.request("GET", "/v1/metrics/mrr", headers={"Accept": accept})
    assert answer.headers["content-type"] == content_type
    assert "Accept" in answer.headers["vary"]
    answer = service.request("GET", "/v1/metrics/mrr?format=json", headers={"Accept": accept})
    assert answer.headers["content-type"] == "application/json"


def test_a_file_that_a_browser_cannot_show_has_a_name(service: Service) -> None:
    for format in ("xlsx", "parquet"):
        answer = service.request("GET", "/v1/metrics/mrr", params={"format": format})
        assert answer.headers["content-disposition"] == f'attachment; filename="numbers.{format}"'


@pytest.mark.parametrize("format", ["csv", "ndjson", "parquet", "xlsx", "json"])
def test_equal_answers_have_equal_bytes_and_are_not_sent_again(service: Service, format: str) -> None:
    answer = service.request("GET", "/v1/metrics/mrr", params={"format": format})
    headers = {"If-None-Match": answer.headers["etag"]}
    assert service.request("GET", "/v1/metrics/mrr", params={"format": format}, headers=headers).status_code == 304
    assert service.request("HEAD", "/v1/metrics/mrr", params={"format": format}).content == b""


def test_an_unknown_format_is_refused_with_the_nearest_one(service: Service) -> None:
    answer = service.request("GET", "/v1/metrics/mrr?format=parket")
    [fault] = answer.json()["errors"]
    assert (answer.status_code, fault["pointer"], fault["did_you_mean"]) == (422, "/query/format", ["parquet"])


def test_a_format_whose_package_is_not_installed_says_which(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # type: ignore[arg-type]
    for request in ({"params": {"format": "parquet"}}, {"headers": {"Accept": "application/vnd.apache.parquet"}}):
        problem = service.request("GET", "/v1/metrics/mrr", **request).json()
        assert (problem["status"], problem["code"]) == (422, "format_unavailable")
        assert "customer-success-metrics[parquet]" in problem["detail"]
    body = {"metrics": ["mrr"], "format": "parquet"}
    [fault] = service.request("POST", "/v1/query", json=body).json()["errors"]
    assert (fault["pointer"], fault["code"]) == ("/format", "format_unavailable")


def test_the_document_lists_the_formats(service: Service) -> None:
    document = service.get("/openapi.json")
    operation = document["paths"]["/v1/query"]["get"]
    [parameter] = [own for own in operation["parameters"] if own["name"] == "format"]
    name = parameter["schema"]["$ref"].rpartition("/")[2]
    options = document["components"]["schemas"][name]["enum"]
    assert options == ["json", "csv", "ndjson", "xlsx", "parquet", "vega", "svg", "png"]
    assert len(operation["responses"]["200"]["content"]) == len(options)
    assert "x-" not in json.dumps(operation["responses"]["200"]).replace("x-ndjson", "")
