"""What `docs/bi` has to paste works: every query, the dashboard, the dbt project and the connection files."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.bi.health import renew_health
from app.bi.views import all_views
from tests.bi.company import UNICODE, fill, query
from tests.support.service import Service

FOLDER = Path(__file__).parents[2] / "docs" / "bi"
QUERIES = sorted((FOLDER / "queries").glob("*.sql"))
MODELS = sorted((FOLDER / "dbt" / "models").glob("*.sql"))
DBT_TESTS = sorted((FOLDER / "dbt" / "tests").glob("*.sql"))
DASHBOARD = json.loads((FOLDER / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
PAGES = sorted(FOLDER.glob("*.md"))
SQL_BLOCK = re.compile(r"^```sql\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def company(shared: Service) -> Service:
    fill(shared)
    shared.run(renew_health(shared.books, is_forced=True))
    return shared


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: file.stem)
def test_a_query_to_paste_answers_rows(company: Service, file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith("-- ") and text.rstrip().endswith(";")
    rows = query(company, text)
    assert rows or file.stem in {"health_at_risk", "churned_accounts", "active_users_by_account"}


def test_the_numbers_of_the_queries_are_those_of_the_api(company: Service) -> None:
    by_month = query(company, (FOLDER / "queries" / "nps_by_month.sql").read_text(encoding="utf-8"))
    question = {"granularity": "month", "start": "2025-11-01", "end": str(company.now.date() + timedelta(days=1))}
    values = {row["start"]: row["value"] for row in company.rows("nps", **question) if row["value"] is not None}
    assert {str(month): float(nps) for month, nps, _ in by_month if str(month) >= "2025-11"} == {
        start: round(value, 1) for start, value in values.items()
    }
    bridge = query(company, (FOLDER / "queries" / "mrr_bridge.sql").read_text(encoding="utf-8"))
    closing = {row["start"]: row["value"] for row in company.rows("mrr", **question)}
    assert all(abs(closing[str(row[0])] - float(row[-1])) <= 0.00501 for row in bridge if str(row[0]) in closing)


def without_macros(text: str) -> str:
    """Return the SQL of a panel as Grafana sends it."""
    text = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 BETWEEN '2025-01-01T00:00:00Z' AND '2099-01-01T00:00:00Z'", text)
    assert "$" not in text
    return text


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_a_panel_of_the_dashboard_gets_what_it_draws(company: Service, panel: dict[str, Any]) -> None:
    [target] = panel["targets"]
    with psycopg.connect(str(company.url).replace("+psycopg", "")) as connection:
        cursor = connection.execute(without_macros(target["rawSql"]))
        names = [column.name for column in cursor.description or ()]
        rows = cursor.fetchall()
    assert rows
    if target["format"] == "time_series":
        assert names[0] == "time" and rows == sorted(rows, key=lambda row: row[0])


def compile_model(text: str) -> str:
    """Return a model as dbt compiles it; those that it refers to are put in as they are."""
    text = re.sub(r"\{\{ source\('csmetrics', '(\w+)'\) \}\}", r"bi.\1", text)
    return re.sub(
        r"\{\{ ref\('(\w+)'\) \}\}",
        lambda match: f"({compile_model((FOLDER / 'dbt' / 'models' / f'{match[1]}.sql').read_text())}) AS {match[1]}",
        text,
    )


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_a_dbt_model_has_rows_and_its_declared_columns(company: Service, file: Path) -> None:
    declared = (FOLDER / "dbt" / "models" / "models.yml").read_text(encoding="utf-8")
    [section] = [own for own in declared.split("  - name: ") if own.startswith(f"{file.stem}\n")] or [""]
    with psycopg.connect(str(company.url).replace("+psycopg", "")) as connection:
        cursor = connection.execute(compile_model(file.read_text(encoding="utf-8")))
        names = [column.name for column in cursor.description or ()]
        rows = cursor.fetchall()
    assert rows and section
    not_null = [own for own in names if f"      - name: {own}\n" in declared]
    assert not_null
    for name in not_null:
        assert all(row[names.index(name)] is not None for row in rows), "the test not_null of dbt"


@pytest.mark.parametrize("file", DBT_TESTS, ids=lambda file: file.stem)
def test_a_test_of_the_dbt_project_passes(company: Service, file: Path) -> None:
    assert query(company, compile_model(file.read_text(encoding="utf-8"))) == []


def test_the_sources_of_dbt_are_all_views_with_all_columns() -> None:
    lines = (FOLDER / "dbt" / "models" / "sources.yml").read_text(encoding="utf-8").splitlines()
    tables = [line.removeprefix("      - name: ") for line in lines if line.startswith("      - name: ")]
    columns = [line.removeprefix("          - name: ") for line in lines if line.startswith("          - name: ")]
    assert "    schema: bi" in lines
    assert tables == [view.name for view in all_views()]
    assert columns == [name for view in all_views() for name in view.columns]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_sql_on_a_page_runs(company: Service, page: Path) -> None:
    for text in SQL_BLOCK.findall(page.read_text(encoding="utf-8")):
        if "bi." in text:
            query(company, text.replace("'acme'", f"'{UNICODE}'".replace("'%s'", "''%s''")))


def test_the_connection_files_name_the_feed_and_the_database() -> None:
    folder = FOLDER / "connections"
    [odata] = json.loads((folder / "odata.pbids").read_text())["connections"]
    assert odata["details"]["protocol"] == "odata" and odata["details"]["address"]["url"].endswith("/odata/v4/")
    [database] = json.loads((folder / "postgresql.pbids").read_text())["connections"]
    assert database["details"]["protocol"] == "postgresql" and set(database["details"]["address"]) == {
        "server",
        "database",
    }
    lines = (folder / "nps.iqy").read_text().splitlines()
    assert lines[:2] == ["WEB", "1"] and lines[2].startswith("https://metrics.example/v1/metrics/nps?")
    provisioning = (FOLDER / "grafana" / "datasource.yml").read_text(encoding="utf-8")
    assert f"type: {DASHBOARD['panels'][0]['datasource']['type']}\n" in provisioning
