"""The forms in which a question is answered, as a table: how each is asked and read, what it leaves out, what it cannot ask.

The rows of `POST /v1/query` are the reference. A form is read into rows of the same flat members, so that what two forms must
have in common is compared with `==`; each form says itself how it writes values that have no place in it.
"""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unicodedata import normalize
from unittest.mock import patch

import httpx
import openpyxl
from csmetrics_client import AsyncClient, Client, Problem
from openpyxl.utils.escape import unescape
from pyarrow import parquet

from tests.agents.agent import ask
from tests.bi.company import query
from tests.charts.specs import values
from tests.forms.company import BRIDGE, Question
from tests.odata.feeds import rows as odata_rows
from tests.odata.feeds import text as odata_text
from tests.support.command import run_command
from tests.support.service import ADMIN_KEY, Service

Row = dict[str, Any]
Ask = Callable[[Service, Question], list[Row]]

PERIOD = ("metric", "period", "start", "end", "complete")
NUMBERS = ("value", "numerator", "denominator", "sample_size")
COMPARISON = ("previous", "change", "change_percent", "significant", "is_new")
_TEXTS = ("metric", "period", "start", "end", "reason", "convention")
_BOOLEANS = ("complete", "significant", "is_new")
# Money is compared as the numbers that spreadsheets have, but where a form has exact ones.
_AMOUNT = "amount"
# A view adds up unrounded numbers, the API rounds to six decimals.
_TOLERANCE = Decimal("0.000001")


def flatten(row: Mapping[str, Any]) -> Row:
    """Return a row of JSON with a member `group.…` for each grouping, and for the ends of its interval; none is left out."""
    low, high = row["interval"] or (None, None)
    members = {name: row.get(name) for name in (*PERIOD, *NUMBERS, "reason", _AMOUNT, "convention", *COMPARISON)}
    return members | {f"group.{key}": value for key, value in row["group"].items()} | {"low": low, "high": high}


def flat_names(question: Question) -> list[str]:
    """Return the names of the columns of a table in their order, as `flatten` has them."""
    groups = [f"group.{key}" for key in question.get("group_by", ())]
    comparison = COMPARISON if "compare" in question else ()
    return [*PERIOD, *groups, *NUMBERS, "low", "high", "reason", _AMOUNT, "convention", *comparison]


@dataclass(frozen=True)
class Form:
    """A form of answers.

    ask: returns its rows, with the members that it has. show: how it writes a value of a member, given the name and the value.
    cannot: by the member of a question, why a question with it cannot be asked in this form. obstacle: why another question
    cannot; None if it can. compare: checks rows against the reference where they are not just the same rows.
    """

    ask: Ask
    show: Callable[[str, Any], Any] = lambda name, value: value
    cannot: Mapping[str, str] = field(default_factory=dict)
    obstacle: Callable[[Question], str | None] = lambda question: None
    compare: Callable[[list[Row], list[Row], Question], None] | None = None

    def reason_against(self, question: Question) -> str | None:
        """Return why a question cannot be asked in this form; None if it can."""
        return next((reason for name, reason in self.cannot.items() if name in question), self.obstacle(question))

    def check(self, found: list[Row], reference: list[Row], question: Question) -> None:
        """Check that the form's rows are those of the reference, with the members that the form has."""
        if self.compare is not None:
            self.compare(found, reference, question)
            return
        assert len(found) == len(reference)
        for own, row in zip(found, reference, strict=True):
            assert own == {name: self.show(name, row[name]) for name in own}
            assert {"value", *(name for name in row if name.startswith("group."))} <= own.keys()


# HTTP: JSON and files


def reference_rows(service: Service, question: Question) -> list[Row]:
    """Return the rows of an answer in JSON."""
    answer = service.request("POST", "/v1/query", json=question)
    assert answer.status_code == 200, answer.text
    assert answer.json()["next"] is None
    return [flatten(row) for row in answer.json()["rows"]]


def _parameters(question: Question) -> Question:
    """Return a question as parameters of a URL: a grouping stands in backquotes, since it may have a comma."""
    quoted = {"group_by": ",".join(f"`{key}`" for key in question["group_by"])} if "group_by" in question else {}
    return question | {"metrics": ",".join(question["metrics"])} | quoted


def _get(service: Service, question: Question, path: str = "/v1/query", **headers: str) -> httpx.Response:
    answer = service.request("GET", path, params=_parameters(question), headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


def _get_json(service: Service, question: Question) -> list[Row]:
    return [flatten(row) for row in _get(service, question).json()["rows"]]


def _get_pages(service: Service, question: Question) -> list[Row]:
    """Return the rows of pages."""
    rows: list[Row] = []
    cursor: dict[str, str] = {}
    while True:
        body = _get(service, question | {"limit": 40} | cursor).json()
        rows += map(flatten, body["rows"])
        if body["next"] is None:
            return rows
        cursor = {"cursor": body["next"]}


def _get_metric(service: Service, question: Question) -> list[Row]:
    """Return the rows of `GET /v1/metrics/…` for each metric."""
    rest = {name: value for name, value in _parameters(question).items() if name != "metrics"}
    rows = [service.get(f"/v1/metrics/{metric}", **rest)["rows"] for metric in question["metrics"]]
    return [flatten(row) for own in rows for row in own]


def _compare_in_any_order(found: list[Row], reference: list[Row], question: Question) -> None:
    assert sorted(found, key=repr) == sorted(reference, key=repr)


def _by_parameter(format: str, read: Callable[[bytes, Question], list[Row]]) -> Ask:
    return lambda service, question: read(_get(service, question | {"format": format}).content, question)


def _by_header(media_type: str, read: Callable[[bytes, Question], list[Row]]) -> Ask:
    return lambda service, question: read(_get(service, question, Accept=media_type).content, question)


def _by_post(format: str, read: Callable[[bytes, Question], list[Row]]) -> Ask:
    def post(service: Service, question: Question) -> list[Row]:
        answer = service.request("POST", "/v1/query", json=question | {"format": format})
        assert answer.status_code == 200, answer.text
        return read(answer.content, question)

    return post


def read_ndjson(content: bytes, question: Question) -> list[Row]:
    # Only line feeds end a line of NDJSON.
    return [flatten(json.loads(line)) for line in content.split(b"\n") if line]


def read_csv(content: bytes, question: Question) -> list[Row]:
    header, *lines = csv.reader(io.StringIO(content.decode(), newline=""))
    return [{name: _from_cell(name, text) for name, text in own} for own in _named(header, lines, question)]


def _named(header: Iterable[str], lines: Iterable[Iterable[Any]], question: Question) -> list[list[tuple[str, Any]]]:
    """Return the cells of a table with the names of `flatten`. A grouping's column has its key, or one that is free."""
    names = flat_names(question)
    for column, name in zip(header, names, strict=True):
        assert column in (name, name.removeprefix("group.")), (column, name)
    return [[*zip(names, line, strict=True)] for line in lines]


def _from_cell(name: str, text: str) -> Any:
    if name.startswith("group."):
        return text
    if text == "":
        return None
    if name in _BOOLEANS:
        return {"true": True, "false": False}[text]
    return text if name in (*_TEXTS, _AMOUNT) else float(text)


def show_in_csv(name: str, value: Any) -> Any:
    """What is no text is written as in JSON, a null as nothing, and no text is a formula."""
    if not name.startswith("group."):
        return value
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    # A negative number is no formula.
    return f"'{text}" if isinstance(value, str) and value.startswith(("=", "+", "@")) else text


def read_workbook(content: bytes, question: Question) -> list[Row]:
    sheet = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0]
    head, *cells = sheet.iter_rows()
    assert not [cell for row in cells for cell in row if cell.data_type == "f"], "a formula"
    header = [_decode(cell.value) for cell in head]
    lines = [[_decode(cell.value) for cell in row] for row in cells]
    return [dict(own) for own in _named(header, lines, question)]


def _decode(value: Any) -> Any:
    # openpyxl leaves to others what Excel does: to decode the characters that XML cannot have.
    return unescape(value) if isinstance(value, str) else value


def show_in_workbook(name: str, value: Any) -> Any:
    """Values keep their types, and money is a number."""
    if name in ("start", "end"):
        return datetime.fromisoformat(value)
    return float(value) if name == _AMOUNT and value is not None else value


def read_parquet(content: bytes, question: Question) -> list[Row]:
    table = parquet.read_table(io.BytesIO(content))
    lines = [row.values() for row in table.to_pylist()]
    return [dict(own) for own in _named(table.column_names, lines, question)]


def show_in_parquet(name: str, value: Any) -> Any:
    """Days and money have types of their own; values of attributes are texts."""
    if value is None:
        return None
    if name in ("start", "end"):
        return date.fromisoformat(value)
    if name == _AMOUNT:
        return Decimal(value)
    return json.dumps(value) if name.startswith("group.") and not isinstance(value, str) else value


# The Python client


class _ServiceTransport(httpx.BaseTransport):
    """Lets the client that waits ask a service of the tests, which runs in an event loop."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._service.request(
            request.method, str(request.url), content=request.read(), headers=dict(request.headers)
        )
        return httpx.Response(answer.status_code, content=answer.content, headers={"Content-Type": "application/json"})


def _client(service: Service) -> Client:
    return Client("http://service", ADMIN_KEY, transport=_ServiceTransport(service))


def _metrics_and_rest(question: Question) -> tuple[list[str], Question]:
    return question["metrics"], {name: value for name, value in question.items() if name != "metrics"}


def _client_rows(service: Service, question: Question) -> list[Row]:
    metrics, rest = _metrics_and_rest(question)
    with _client(service) as client:
        return [flatten(row) for row in client.rows(metrics, **rest, limit=50)]


def _async_client_rows(service: Service, question: Question) -> list[Row]:
    metrics, rest = _metrics_and_rest(question)

    async def ask() -> list[Row]:
        transport = httpx.ASGITransport(service.app)
        async with AsyncClient("http://service", ADMIN_KEY, transport=transport) as client:
            return [flatten(row) async for row in client.rows(metrics, **rest, limit=50)]

    return list(service.run(ask()))


def _polars(service: Service, question: Question) -> list[Row]:
    metrics, rest = _metrics_and_rest(question)
    with _client(service) as client:
        frame = client.polars(metrics, **rest)
    return [dict(own) for own in _named(frame.columns, frame.iter_rows(), question)]


def _pandas(service: Service, question: Question) -> list[Row]:
    metrics, rest = _metrics_and_rest(question)
    with _client(service) as client:
        frame = client.pandas(metrics, **rest)
    # pandas has no null of its own for numbers.
    lines = frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None)
    return [dict(own) for own in _named(frame.columns, lines, question)]


def _without_parquet(ask: Ask) -> Ask:
    """Return how a form is asked of a service that has no Parquet."""

    def ask_without(service: Service, question: Question) -> list[Row]:
        request = Client.request

        def refuse(self: Client, call: Any) -> httpx.Response:
            if call.json and call.json.get("format") == "parquet":
                raise Problem(422, {"code": "format_unavailable"})
            return request(self, call)

        with patch.object(Client, "request", refuse):
            return ask(service, question)

    return ask_without


# Other programs


def _odata(service: Service, question: Question) -> list[Row]:
    names = ",".join(map(odata_text, question["metrics"]))
    conditions = [f"metric in ({names})"]
    conditions += [f"{name} ge {question[name]}" for name in ("start",) if name in question]
    conditions += [f"end le {question[name]}" for name in ("end",) if name in question]
    for name in ("granularity", "convention"):
        conditions += [f"{name} eq {odata_text(question[name])}"] if name in question else []
    if "group_by" in question:
        conditions.append(f"group_by eq {odata_text(','.join(question['group_by']))}")
    if "account" in question:
        conditions.append(f"account_id in ({','.join(map(odata_text, question['account']))})")
    conditions += ["complete eq true"] if question.get("complete_only") else []
    options = {name: question[name] for name in ("as_of", "period", "segment", "min_sample") if name in question}
    found = odata_rows(
        service,
        "MetricValues",
        filter=" and ".join(conditions),
        headers={"Prefer": "maxpagesize=50"},
        strict=question.get("strict", True),
        **options,
    )
    return [_flatten_odata(row) for row in found]


def _flatten_odata(row: Row) -> Row:
    names = (*PERIOD, *NUMBERS, "reason", "convention")
    groups = {f"group.{key}": value for key, value in json.loads(row["group"]).items()}
    bounds = {"low": row["interval_low"], "high": row["interval_high"]}
    # A JSON number of a decimal, which is written with all of its digits.
    return {name: row[name] for name in names} | groups | bounds | {_AMOUNT: row[_AMOUNT]}


def show_in_odata(name: str, value: Any) -> Any:
    return float(value) if name == _AMOUNT and value is not None else value


def _mcp(service: Service, question: Question) -> list[Row]:
    rows: list[Row] = []
    cursor = None
    while True:
        answer = ask(service, "query_metrics", **question, limit=100, cursor=cursor)
        rows += [_flatten_mcp(row, answer["metrics"]) for row in answer["rows"]]
        cursor = answer["next"]
        if cursor is None:
            return rows


def _flatten_mcp(row: Row, metrics: Row) -> Row:
    """Return a row of a tool, which leaves out null members, and has what is the same in all rows only once."""
    low, high = row.get("interval", (None, None))
    names = ("metric", "period", *NUMBERS, "reason", *COMPARISON)
    members = {name: row.get(name) for name in names} | {"complete": row.get("complete", True)}
    members |= {"low": low, "high": high}
    if "convention" in metrics[row["metric"]]:
        members["convention"] = metrics[row["metric"]]["convention"]
    return members | {f"group.{key}": value for key, value in row.get("group", {}).items()}


def _command(service: Service, question: Question, format: str) -> bytes:
    """Return what `csmetrics query` writes to a file."""
    assert service.url is not None
    metrics, rest = _metrics_and_rest(question)
    arguments = [*metrics]
    for name, value in rest.items():
        option = f"--{name.replace('_', '-')}"
        if name == "group_by":
            arguments += [own for key in value for own in (option, f"`{key}`")]
        elif isinstance(value, bool):
            arguments += [option if value else f"--no-{name}"]
        elif isinstance(value, list):
            arguments += [own for each in value for own in (option, each)]
        else:
            arguments += [option, str(value)]
    # A folder without settings.
    folder = Path(__file__).parent
    result = run_command("query", *arguments, "--format", format, folder=folder, DATABASE_URL=service.url)
    assert result.returncode == 0, result.stderr
    return result.stdout.encode()


def _command_json(service: Service, question: Question) -> list[Row]:
    return [flatten(row) for row in json.loads(_command(service, question, "json"))["rows"]]


def _command_csv(service: Service, question: Question) -> list[Row]:
    return read_csv(_command(service, question, "csv"), question)


# Charts


def _chart(service: Service, question: Question) -> list[Row]:
    return values(_get(service, question | {"format": "vega", "chart": "series"}).json())


def _chart_obstacle(question: Question) -> str | None:
    many = {"plan", "account"} & {*question.get("group_by", ())}
    if many and "account" not in question:
        return "A chart has eight series; of more groups, it draws the largest."
    if len(question["metrics"]) > 6 and "group_by" in question:
        return "A chart has six panels, one for each metric with groups."
    return None


def _compare_chart(found: list[Row], reference: list[Row], question: Question) -> None:
    """Check the points of a chart: all of a series one after the other."""
    is_total = question.get("granularity") == "total"
    series: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in reference:
        # The totals beside periods are no points in time.
        if is_total or row["period"] != "total":
            group = repr([value for name, value in row.items() if name.startswith("group.")])
            series[row["metric"]][group].append(row)
    rows = [row for groups in series.values() for own in groups.values() for row in own]
    names = ["metric", "period", "start", "value", "low", "high", "complete"]
    assert [[own[name] for name in names] for own in found] == [[row[name] for name in names] for row in rows]
    assert [own.get("previous") for own in found] == [row["previous"] for row in rows]
    assert ["reason" in own for own in found] == [row["value"] is None for row in rows]
    for metric, groups in series.items():
        own = {(point["metric"], point["series"]) for point in found if point["metric"] == metric}
        assert len(own) == len(groups), "a name for each group"


# SQL

_ATTRIBUTE = """(SELECT value_json FROM bi.account_attributes AS held WHERE held.account_id = own.account_id
    AND key = %s AND coalesce(valid_from, '-infinity') <= own.month AND own.month < coalesce(valid_until, 'infinity'))"""
_NOT_IN_VIEWS = {
    "segment": "Segments are filters of the API, which the views have no expression for.",
    "filter": "Filters are written in SQL.",
    "as_of": "The views have what is known now.",
    "compare": "A window function of SQL compares.",
    "totals": "Sums over months are those of `adds_over_months` only.",
    "min_sample": "The views have no samples.",
}


def _views_obstacle(question: Question) -> str | None:
    if question.get("granularity", "month") != "month":
        return "The views have months."
    if {"subject", "channel"} & {*question.get("group_by", ())}:
        return "The views of numbers have accounts and attributes."
    return None


def _operands(service: Service, question: Question) -> list[Row]:
    """Return numerators and denominators by metric, month and group, and the scale of values."""
    keys = [key for key in question.get("group_by", ()) if key != "account"]
    groups = ["own.account_id" if key == "account" else _ATTRIBUTE for key in question.get("group_by", ())]
    columns = "".join(f", {group} AS group_{number}" for number, group in enumerate(groups))
    names = "".join(f", group_{number}" for number in range(len(groups)))
    # The service composes the characters of ids.
    accounts = question.get("account") and [normalize("NFC", own) for own in question["account"]]
    found = query(
        service,
        f"""
        SELECT metric, convention, month::text, complete, scale, sum(numerator), sum(denominator){names} FROM (
            SELECT metric, convention, month, complete, scale, numerator, denominator{columns}
            FROM bi.metric_operands AS own JOIN bi.metrics USING (metric, convention)
            WHERE (%s::text[] IS NULL OR account_id = ANY (%s))) AS rows
        GROUP BY metric, convention, month, complete, scale{names}""",
        *keys,
        accounts,
        accounts,
    )
    members = ("metric", "convention", "start", "complete", "scale", "numerator", "denominator")
    own_names = [*members, *(f"group.{key}" for key in question.get("group_by", ()))]
    there = {
        (own[0], own[1]) for own in query(service, "SELECT metric, convention FROM bi.metrics WHERE in_metric_operands")
    }
    rows = [dict(zip(own_names, row, strict=True)) for row in found]
    return [*rows, {"there": there}]


def _compare_operands(found: list[Row], reference: list[Row], question: Question) -> None:
    *found, last = found
    groups = [f"group.{key}" for key in question.get("group_by", ())]

    def key(row: Row) -> str:
        return repr([row[name] for name in ("metric", "convention", "start", *groups)])

    sums = {key(row): row for row in found}
    assert len(sums) == len(found)
    rows = [row for row in reference if (row["metric"], row["convention"]) in last["there"]]
    assert rows or not reference, "no metric of the question is in the views"
    for row in rows:
        own = sums.pop(key(row), None)
        if own is None:
            assert not row["value"] and not row["numerator"] and not row["denominator"], row
            continue
        assert own["complete"] == row["complete"]
        if own["denominator"] is None:
            assert_near(row["value"] or 0, own["numerator"])
            continue
        assert_near(row["numerator"], own["numerator"])
        assert_near(row["denominator"], own["denominator"])
        if own["denominator"]:
            assert_near(row["value"], own["scale"] * own["numerator"] / own["denominator"])
        else:
            assert row["value"] is None and row["reason"] is not None, row
    asked = {(row["metric"], row["convention"], row["start"]) for row in rows}
    left = [own for own in sums.values() if (own["metric"], own["convention"], own["start"]) in asked]
    assert not [own for own in left if own["numerator"] or own["denominator"]], "a group of the view alone"


def assert_near(value: Any, number: Decimal) -> None:
    assert abs(Decimal(str(value)) - number) <= _TOLERANCE * max(Decimal(1), abs(number)), (value, number)


_BRIDGE_COLUMNS = ("opening", "new", "reactivated", "expansion", "contraction", "churned", "closing")


def _bridge(service: Service, question: Question) -> list[Row]:
    return _bridge_rows(
        service,
        question,
        f"SELECT account_id, month::text, complete, {', '.join(_BRIDGE_COLUMNS)} FROM bi.mrr_by_month",
    )


def _movements(service: Service, question: Question) -> list[Row]:
    amounts = ", ".join(f"coalesce(sum(amount) FILTER (WHERE kind = '{kind}'), 0)" for kind in _BRIDGE_COLUMNS[1:-1])
    return _bridge_rows(
        service,
        question,
        f"SELECT account_id, month::text, complete, NULL, {amounts}, NULL FROM bi.mrr_movements GROUP BY 1, 2, 3",
    )


def _bridge_rows(service: Service, question: Question, text: str) -> list[Row]:
    """Return a number for each metric, month and, where the question has them, account. Null: the view does not have it."""
    has_accounts = "account" in question.get("group_by", ())
    sums: dict[Any, Any] = {}
    for account, month, complete, *amounts in query(service, text):
        for metric, amount in zip(BRIDGE, amounts, strict=True):
            if amount is not None:
                key = (metric, month, complete, account if has_accounts else None)
                sums[key] = sums.get(key, 0) + amount
    return [{"key": key, "value": value} for key, value in sums.items()]


def _compare_bridge(found: list[Row], reference: list[Row], question: Question) -> None:
    sums = {own["key"]: own["value"] for own in found}
    metrics = {metric for metric, *_ in sums}
    rows = {(row["metric"], row["start"], row["complete"], row.get("group.account")): row for row in reference}
    for key, row in rows.items():
        if row["metric"] in metrics:
            assert_near(row["value"], sums.pop(key, Decimal(0)))
    days = {row["start"] for row in reference}
    assert not [key for key, value in sums.items() if value and key[1] in days], "a number of the view alone"


def _bridge_obstacle(question: Question) -> str | None:
    return None if question["metrics"] == BRIDGE else "The view has MRR and its movements."


def account_lists(service: Service) -> dict[str, dict[str, Any]]:
    """Return the attributes of all accounts by id, as each form has them."""
    assert service.url is not None
    export = run_command(
        "export", "accounts", "--format", "ndjson", folder=Path(__file__).parent, DATABASE_URL=service.url
    )
    assert export.returncode == 0, export.stderr
    with _client(service) as client:
        listed = [*client.list("/v1/accounts", "accounts", limit=5)]
    files = {
        format: service.request("GET", "/v1/accounts", params={"format": format}).content
        for format in ("csv", "xlsx", "parquet")
    }
    lines = csv.DictReader(io.StringIO(files["csv"].decode(), newline=""))
    head, *cells = openpyxl.load_workbook(io.BytesIO(files["xlsx"])).worksheets[0].iter_rows(values_only=True)
    records = [dict(zip(head, map(_decode, row), strict=True)) for row in cells]
    lists: dict[str, list[tuple[str, Any]]] = {
        "client": [(own["id"], own["attributes"]) for own in listed],
        "command line": [(own["id"], own["attributes"]) for own in map(json.loads, export.stdout.splitlines())],
        "OData": [(own["account_id"], json.loads(own["attributes"])) for own in odata_rows(service, "Accounts")],
        "view": query(service, "SELECT account_id, attributes FROM bi.accounts"),
        # An id that begins as a formula has an apostrophe before it.
        "CSV": [(re.sub("^'(?=[=+@])", "", own["id"]), json.loads(own["attributes"])) for own in lines],
        "XLSX": [(own["id"], json.loads(own["attributes"])) for own in records],
        "Parquet": [
            (own["id"], json.loads(own["attributes"]))
            for own in parquet.read_table(io.BytesIO(files["parquet"])).to_pylist()
        ],
    }
    return {form: dict(own) for form, own in lists.items()}


FORMS: dict[str, Form] = {
    "GET as JSON": Form(_get_json),
    "GET as JSON in pages": Form(_get_pages),
    "GET for each metric": Form(_get_metric, compare=_compare_in_any_order),
    "CSV": Form(_by_parameter("csv", read_csv), show_in_csv),
    "CSV by Accept": Form(_by_header("text/csv", read_csv), show_in_csv),
    "CSV by POST": Form(_by_post("csv", read_csv), show_in_csv),
    "NDJSON": Form(_by_parameter("ndjson", read_ndjson)),
    "NDJSON by Accept": Form(_by_header("application/x-ndjson", read_ndjson)),
    "XLSX": Form(_by_parameter("xlsx", read_workbook), show_in_workbook),
    "Parquet": Form(_by_parameter("parquet", read_parquet), show_in_parquet),
    "Parquet by Accept": Form(_by_header("application/vnd.apache.parquet", read_parquet), show_in_parquet),
    "rows of the client": Form(_client_rows),
    "rows of the asynchronous client": Form(_async_client_rows),
    "polars frame": Form(_polars, show_in_parquet),
    "pandas frame": Form(_pandas, show_in_parquet),
    "polars frame without Parquet": Form(_without_parquet(_polars), show_in_parquet),
    "pandas frame without Parquet": Form(_without_parquet(_pandas), show_in_parquet),
    "OData": Form(
        _odata,
        show_in_odata,
        cannot={
            "compare": "A row of the feed has no earlier value; a client has both periods and compares them.",
            "totals": "Totals are the granularity `total`, which is a question of its own.",
            "filter": "Accounts are chosen by their ids or by segments, which are stored filters.",
        },
    ),
    "tool of agents": Form(
        _mcp, cannot={"min_sample": "Rows have their sample size.", "strict": "A wrong name is an error for a model."}
    ),
    "command line as JSON": Form(_command_json, cannot={"min_sample": "Rows have their sample size."}),
    "command line as CSV": Form(_command_csv, show_in_csv, cannot={"min_sample": "Rows have their sample size."}),
    "chart": Form(_chart, obstacle=_chart_obstacle, compare=_compare_chart),
    "view of operands": Form(_operands, cannot=_NOT_IN_VIEWS, obstacle=_views_obstacle, compare=_compare_operands),
    "view of MRR by month": Form(_bridge, cannot=_NOT_IN_VIEWS, obstacle=_bridge_obstacle, compare=_compare_bridge),
    "view of MRR movements": Form(_movements, cannot=_NOT_IN_VIEWS, obstacle=_bridge_obstacle, compare=_compare_bridge),
}
