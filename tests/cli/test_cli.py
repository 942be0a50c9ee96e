"""The command line."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from pyarrow.parquet import read_table
from python_calamine import CalamineWorkbook
from typer.main import get_command

from app import __version__
from app.audit.identities import IDENTITIES
from app.cli.main import cli
from app.cli.questions import _columns_to_leave_out
from app.demo.alerts import ALERTS
from tests.support.command import ROOT, CommandResult, environment, run_command, run_process
from tests.support.service import Service, event, session, survey_responses

Run = Callable[..., CommandResult]
ALONE = ("--processes", "1")  # several processes are the subject of test_workers


@pytest.fixture
def csmetrics(database: str, tmp_path: Path) -> Run:
    """Run a command on the test's database, within this process; it must succeed unless `code` says otherwise."""

    def run(*arguments: str, code: int = 0, **settings: str) -> CommandResult:
        result = run_command(*arguments, folder=tmp_path, **({"DATABASE_URL": database} | settings))
        assert result.returncode == code, result.stdout + result.stderr
        return result

    return run


@pytest.mark.own_database
def test_the_demo_company_is_loaded_once_passes_all_checks_and_has_every_metric(
    csmetrics: Run, start_service: Callable[..., Service]
) -> None:
    result = csmetrics("demo")
    assert "events are new" in result.stderr
    assert result.stdout.count("curl ") == 3
    assert "0 differences" in csmetrics("verify").stdout
    assert "\n0 events are new" in "\n" + csmetrics("demo").stderr
    service = start_service()
    service.now = datetime.now(UTC)
    triggered = {alert["id"]: alert["triggered_count"] for alert in service.get("/v1/alerts")["alerts"]}
    assert triggered.keys() == ALERTS.keys() and triggered["silent-customers"] > 0
    assert service.get("/v1/alerts/silent-customers/history")["rows"]
    checks = service.get("/v1/checks")
    assert [check for check in checks["checks"] if not check["ok"]] == [] and checks["ok"]
    assert all(check["compared"] > 12 for check in checks["checks"])
    assert {check["name"] for check in checks["checks"]} >= {identity.name for identity in IDENTITIES}
    months = {
        "start": f"{date.today().year - 2}-01-01",
        "end": f"{date.today().year + 1}-01-01",
        "granularity": "month",
    }
    segments = [segment["name"] for segment in service.get("/v1/segments")["segments"]]
    for entry, grouping in product(
        service.get("/v1/metrics")["metrics"], ({"group_by": "plan"}, {"segment": segments})
    ):
        rows = service.rows(entry["name"], **months, **grouping)
        assert any(row["value"] for row in rows), (entry["name"], grouping)


def test_a_clock_that_was_ahead_is_shown_and_repaired(csmetrics: Run, service: Service) -> None:
    assert "agree" in csmetrics("clock", "show").stdout
    now = datetime.now(UTC)
    service.now = now + timedelta(days=400)
    service.send(session(), session("globex"))
    service.put("/v1/segments/all?strict=false", {"filter": "plan != 1"})
    shown = csmetrics("clock", "show", code=1).stdout
    wrong_day = f"{service.now:%Y-%m-%d}"
    assert "2 events of 2 accounts, 1 segments" in shown and wrong_day in shown and "csmetrics clock repair" in shown
    assert "--yes" in csmetrics("clock", "repair", code=1).stderr
    assert "csmetrics clock show" in csmetrics("clock", "accept", code=1).stdout
    assert wrong_day in csmetrics("clock", "show", code=1).stdout
    assert "Repaired 2 accounts." in csmetrics("clock", "repair", "--yes").stdout
    assert "nothing to repair" in csmetrics("clock", "repair", "--yes").stdout
    assert "agree" in csmetrics("clock", "show").stdout
    assert "0 differences" in csmetrics("verify").stdout
    service.now = now
    today = f"{now:%Y-%m-%d}"
    assert service.send(session("acme", at=f"{now - timedelta(days=1):%Y-%m-%d}"))["accepted"] == 1
    assert service.get("/v1/checks")["ok"]
    assert service.value("sessions", period="2026-03", as_of=today) == 2


def test_a_clock_that_is_right_after_a_long_time_is_accepted(csmetrics: Run, service: Service) -> None:
    service.now = datetime.now(UTC) - timedelta(days=400)
    service.send(session(at=f"{service.now - timedelta(days=1):%Y-%m-%d}"))
    assert "csmetrics clock accept" in csmetrics("clock", "show", code=1).stdout
    assert "--yes" in csmetrics("clock", "accept", code=1).stderr
    assert "csmetrics clock show" in csmetrics("clock", "repair", code=1).stdout
    assert "csmetrics clock accept" in csmetrics("clock", "show", code=1).stdout
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert f"The last day of the books is {today}" in csmetrics("clock", "accept", "--yes").stdout
    assert "agree" in csmetrics("clock", "show").stdout
    assert "nothing to accept" in csmetrics("clock", "accept").stdout
    assert "nothing to accept" in csmetrics("clock", "accept", "--yes").stdout
    service.now = datetime.now(UTC)
    assert service.send(session("globex"))["accepted"] == 1


def test_a_demo_that_nobody_has_used_for_long_can_be_used_again(csmetrics: Run, service: Service) -> None:
    now = datetime.now(UTC)
    service.now = now - timedelta(days=400)
    service.send(session("demo-0001", at=f"{service.now - timedelta(days=1):%Y-%m-%d}"))
    result = csmetrics("demo")
    assert "a demo of an earlier month" in result.stderr and "csmetrics reset --yes" in result.stderr
    assert f"{now:%Y-%m-%d}" in result.stdout
    assert "agree" in csmetrics("clock", "show").stdout


def test_loading_a_demo_accepts_no_clock_where_other_accounts_are(csmetrics: Run, service: Service) -> None:
    service.now = datetime.now(UTC) - timedelta(days=400)
    day = f"{service.now - timedelta(days=1):%Y-%m-%d}"
    service.send(session("demo-0001", at=day), session("acme", at=day))
    csmetrics("demo")
    assert "csmetrics clock accept" in csmetrics("clock", "show", code=1).stdout


def test_verify_names_differences_and_rebuild_corrects_them(
    csmetrics: Run, service: Service, execute_in: Callable[[str], None]
) -> None:
    service.send(session(), session("globex"))
    execute_in(
        "UPDATE entry SET value = value + 1 WHERE account_id = (SELECT account_id FROM account WHERE id = 'acme')"
    )
    execute_in("DELETE FROM total WHERE account_id = (SELECT account_id FROM account WHERE id = 'globex')")
    output = csmetrics("verify", *ALONE, code=1).stdout
    assert "acme: entry of sessions" in output
    assert "globex: totals of session_seconds" in output
    csmetrics("rebuild", *ALONE)
    assert "0 differences" in csmetrics("verify", *ALONE).stdout
    assert service.value("sessions") == 2


SESSIONS = """
[[source]]
file = "*.csv"
columns = { seconds = "integer" }
[[source.event]]
type = "session.ended"
id = "{id}"
account_id = "{account}"
user_id = "{user}"
occurred_at = "{at}"
recorded_on = "{known}"
data = { duration_seconds = "{seconds}" }
"""


def test_files_are_imported_with_a_report_of_errors(csmetrics: Run, tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(SESSIONS)
    header = "id,account,user,at,known,seconds\n"
    (tmp_path / "b.csv").write_text(header + "1,acme,ada,2025-02-01T10:00:00Z,2025-02-03,60\n")
    (tmp_path / "a.csv").write_text(
        header
        + "2,acme,ada,2025-01-01T10:00:00Z,2025-01-02,60\n3,acme,ada,2025-01-01T10:00:00Z,2025-01-02,-5\n4,acme,ada,,,x\n"
    )
    command = "import", "b.csv", "a.csv", "--mapping", "map.toml"
    assert "Nothing was sent, because 1 row has problems and 1 event is rejected" in csmetrics(*command, code=1).stderr
    # The file that is named last was recorded first: the order of files does not matter.
    for option, sentence in (("--dry-run", "Dry run: nothing was sent."), ("--skip-invalid", "See import-report.csv.")):
        result = csmetrics(*command, "--skip-invalid", option, code=1)
        assert sentence in result.stdout and "│ 4    │ 0       │ 1        │ 2        │" in result.stdout
    assert "1 bad_value, at first a.csv, line 4: column seconds: 'x' is not a number" in result.stdout
    report = (tmp_path / "import-report.csv").read_text().splitlines()
    assert [line.split(",")[:4] for line in report[1:]] == [
        ["a.csv", "4", "", "missing_value"],
        ["a.csv", "4", "", "bad_value"],
        ["a.csv", "3", "3", "greater_than_equal"],
    ]
    assert "0 differences" in csmetrics("verify", *ALONE).stdout


def test_a_misspelt_mapping_is_an_error_before_the_database_is_opened(csmetrics: Run, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("id,account,user,at,known,seconds\n")
    (tmp_path / "map.toml").write_text(SESSIONS.replace("session.ended", "session.endet").replace("{seconds}", "{sec}"))
    nowhere = "postgresql://127.0.0.1:1/none"
    output = csmetrics("import", "data.csv", "--mapping", "map.toml", code=1, DATABASE_URL=nowhere).stderr
    assert output.splitlines() == [
        "The mapping map.toml is not valid:",
        '  source 1, event 1, type: "session.endet" is no event type. Did you mean session.ended?',
    ]
    (tmp_path / "map.toml").write_text(SESSIONS.replace("{seconds}", "{second}").replace("{ seconds", "{ second"))
    output = csmetrics("import", "data.csv", "--mapping", "map.toml", code=1, DATABASE_URL=nowhere).stderr
    assert output.startswith('data.csv: the header has no column "second". Did you mean seconds?')


def test_keys_are_created_listed_and_revoked(csmetrics: Run, start_service: Callable[..., Service]) -> None:
    key = csmetrics("keys", "create", "dashboards", "--scope", "read").stdout.strip()
    service = start_service()
    headers = {"Authorization": f"Bearer {key}"}
    assert service.request("GET", "/v1/metrics", headers=headers).status_code == 200
    assert "dashboards" in csmetrics("keys", "list").stdout
    csmetrics("keys", "revoke", key.split("_")[1])
    assert service.request("GET", "/v1/metrics", headers=headers).status_code == 401


def test_an_expected_error_is_one_line(csmetrics: Run, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a\n1\n")
    (tmp_path / "map.toml").write_text("[[source]]\nfile = 'other.csv'\n")
    for arguments in (("import", "data.csv", "--mapping", "map.toml"), ("keys", "revoke", "unheard")):
        output = csmetrics(*arguments, code=1).stderr
        assert "Traceback" not in output and output.strip()
    output = csmetrics("verify", code=1, REPORTING_TIMEZONE="Mars/Olympus").stderr
    assert output.startswith("REPORTING_TIMEZONE: ") and "Mars" in output


@pytest.mark.parametrize(
    ("arguments", "code", "output"),
    [
        (("query", "sessions", "--period", "2026-03", "--format", "csv"), 0, "sessions,2026-03,2026-03-01,"),
        (("query", "sesions"), 1, 'Did you mean "sessions"?'),
        (("--versoin",), 2, "No such option: --versoin"),
    ],
)
def test_the_process_of_a_command_ends_with_its_exit_code(
    database: str, tmp_path: Path, service: Service, arguments: tuple[str, ...], code: int, output: str
) -> None:
    result = run_process(*arguments, folder=tmp_path, DATABASE_URL=database)
    assert result.returncode == code
    assert output in result.stdout + result.stderr and "Traceback" not in result.stderr


HEAVY_LIBRARIES = ("alembic", "fastapi", "httpx", "python_calamine", "sqlalchemy", "uvicorn")
NAME_LIBRARIES = f"""
import atexit, sys
atexit.register(lambda: print(*(name for name in {HEAVY_LIBRARIES} if name in sys.modules), file=sys.stderr))
from app.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("arguments", "libraries"),
    [(("--version",), ""), (("keys", "list"), "sqlalchemy"), (("--help",), "python_calamine sqlalchemy")],
)
def test_a_command_imports_only_the_libraries_that_it_needs(
    database: str, tmp_path: Path, service: Service, arguments: tuple[str, ...], libraries: str
) -> None:
    settings = environment(DATABASE_URL=database)
    command = [sys.executable, "-c", NAME_LIBRARIES, *arguments]
    result = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, check=True)
    assert result.stderr.splitlines()[-1] == libraries


def test_migrate_brings_the_database_up_to_date(csmetrics: Run) -> None:
    assert "up to date" in csmetrics("migrate", MIGRATE_ON_START="false").stdout


def test_version_is_that_of_the_package_and_needs_no_settings(csmetrics: Run) -> None:
    assert csmetrics("--version", PORT="invalid").stdout == f"{__version__}\n"


def test_the_version_is_written_in_one_place() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in pyproject and 'attr = "app.__version__"' in pyproject


@pytest.mark.parametrize("command", [[], ["keys"], ["import"], ["rebuild"], ["keys", "create"], ["keys", "revoke"]])
def test_every_command_argument_and_option_has_a_description(command: list[str]) -> None:
    node = get_command(cli)
    for name in command:
        node = node.commands[name]
    assert node.help
    assert all(child.help for child in getattr(node, "commands", {}).values())
    assert all(parameter.help for parameter in node.params if parameter.name != "help")


def test_query_prints_the_rows_that_http_answers(csmetrics: Run, service: Service) -> None:
    service.send(
        *survey_responses("nps", [10, 9, 3]), *survey_responses("nps", [9], "globex"), recorded_on="2026-03-10"
    )
    question = {"period": "2026-03", "group_by": "account", "totals": "true", "as_of": "2026-03-12"}
    options = ["--period", "2026-03", "--group-by", "account", "--totals", "--as-of", "2026-03-12"]
    rows = service.get("/v1/query", metrics="nps,mrr", **question)["rows"]
    assert json.loads(csmetrics("query", "nps", "mrr", *options, "--format", "json").stdout)["rows"] == rows
    csv = service.request("GET", "/v1/query", params={"metrics": "nps,mrr", "format": "csv", **question}).text
    assert csmetrics("query", "nps", "mrr", *options, "--format", "csv").stdout.splitlines() == csv.splitlines()
    table = csmetrics("query", "nps", "mrr", *options).stdout
    assert "globex" in table and "33.333333" in table and "previous" not in table


def test_a_wrong_question_on_the_command_line_is_one_sentence(csmetrics: Run) -> None:
    for arguments, sentence in (
        (("query", "nrrr"), 'Did you mean "nrr"?'),
        (("query", "nps", "--period", "2026-13"), "--period: "),
        (("query", "nps", "--granularity", "monthly"), 'Did you mean "month"?'),
        (("query", "nps", "--end", "2020-01-01"), "Give --start as well"),
        (("query", "nps", "--group-by", "plann"), "With --no-strict it counts as empty"),
        (("keys", "create", "x", "--scope", "reed"), 'Did you mean "read"?'),
        (("keys", "create", "x", "--scope", "read", "--expires-on", "31.12.2030"), "Expected a date as YYYY-MM-DD"),
        (("query", "nps", "--filter", "plan ="), "filter"),
    ):
        output = csmetrics(*arguments, code=1).stderr
        assert sentence in output and "Traceback" not in output


def test_query_draws_a_chart(csmetrics: Run, service: Service, tmp_path: Path) -> None:
    service.send(*(session(account, at="2026-03-03") for account in ("acme", "bolt")))
    options = ("query", "sessions", "--period", "2026-03", "--group-by", "account")
    spec = json.loads(csmetrics(*options, "--format", "vega", "--theme", "dark", "--chart", "bars").stdout)
    assert spec["usermeta"] == {"chart": "bars"} and spec["config"]["background"] == "#161b22"
    assert [(own["series"], own["value"]) for own in spec["data"]["values"]] == [("acme", 1), ("bolt", 1)]
    csmetrics(*options, "--output", str(tmp_path / "sessions.svg"))
    assert (tmp_path / "sessions.svg").read_text().startswith("<svg ")
    refused = csmetrics(*options, "--format", "vega", "--chart", "pie", code=1)
    assert "ranking" in refused.stderr


def test_query_takes_a_grouping_for_each_group_by(csmetrics: Run, service: Service) -> None:
    service.put("/v1/accounts/acme", {"attributes": {"plan": "pro", "region": "emea"}})
    once = csmetrics("query", "customers", "--group-by", "plan,region", "--format", "csv").stdout
    twice = csmetrics("query", "customers", "--group-by", "plan", "--group-by", "region", "--format", "csv").stdout
    assert once == twice and ",plan,region," in once


def test_a_table_that_is_not_for_a_terminal_has_whole_cells(csmetrics: Run) -> None:
    table = csmetrics("query", "nps", "--period", "2026-03", COLUMNS="40").stdout
    assert "…" not in table and "│ 2026-03-01 │ 2026-04-01 │" in table


def test_a_table_leaves_out_columns_until_it_fits() -> None:
    columns = [("metric", 6), ("start", 10), ("end", 10), ("value", 5), ("complete", 8)]
    for width, left_out in ((100, []), (45, ["start"]), (35, ["start", "end"]), (5, ["start", "end", "complete"])):
        assert _columns_to_leave_out(columns, width=width) == left_out


SECRET_URL = "postgresql://user:pass@word@localhost:1/x"


def test_a_password_with_an_at_sign_is_refused_and_not_printed(csmetrics: Run) -> None:
    result = csmetrics("keys", "list", code=1, DATABASE_URL=SECRET_URL)
    assert "DATABASE_URL: it has two @" in result.stderr and "word@" not in result.stdout + result.stderr


def test_an_empty_file_of_a_secret_is_named(csmetrics: Run, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    result = csmetrics("keys", "list", code=1, DATABASE_URL="", DATABASE_URL_FILE=str(tmp_path / "secret"))
    assert f"DATABASE_URL_FILE: {tmp_path / 'secret'} is empty" in result.stderr.replace("\n", "")


def test_check_exits_with_1_when_numbers_differ(
    csmetrics: Run, service: Service, execute_in: Callable[[str], None]
) -> None:
    service.send(session())
    assert "FAILED" not in csmetrics("check", "--all").stdout
    execute_in("UPDATE entry SET value = value + 1")
    result = csmetrics("check", "--all", code=1)
    assert "FAILED" in result.stdout and "Some numbers differ" in result.stderr


def test_verify_warns_when_there_is_nothing_to_verify(csmetrics: Run) -> None:
    assert "There are no events in this database." in csmetrics("verify", *ALONE).stderr


def test_query_and_export_write_files_in_the_format_of_their_extension(
    csmetrics: Run, tmp_path: Path, service: Service
) -> None:
    service.send(session("acme"), session("globex"), event("feedback.received", comment="=Fine."))
    options = ("query", "sessions", "--period", "2026-03", "--group-by", "account", "--fields", "account,value")
    assert csmetrics(*options, "--format", "csv").stdout.splitlines() == ["account,value", "acme,1", "globex,1"]
    csmetrics(*options, "--output", "sessions.xlsx")
    sheet = CalamineWorkbook.from_path(tmp_path / "sessions.xlsx").get_sheet_by_index(0).to_python()
    assert sheet == [["account", "value"], ["acme", 1], ["globex", 1]]
    csmetrics(*options, "--output", "sessions.parquet")
    assert read_table(tmp_path / "sessions.parquet").to_pydict() == {"account": ["acme", "globex"], "value": [1, 1]}
    assert json.loads(csmetrics(*options, "--format", "json").stdout)["rows"][0] == {
        "group": {"account": "acme"},
        "value": 1,
    }
    for table in ("accounts", "feedback", "health", "scorecard"):
        csmetrics("export", table, "--output", f"{table}.csv")
        parameters = {"format": "csv"} | ({"accounts": "all"} if table == "health" else {})
        expected = service.request("GET", f"/v1/{table}", params=parameters).content
        assert (tmp_path / f"{table}.csv").read_bytes() == expected
    assert csmetrics("export", "feedback", "--fields", "comment").stdout == "comment\r\n'=Fine.\r\n"
    assert not list(tmp_path.glob("*.partial"))


def test_an_output_that_cannot_be_written_is_refused(csmetrics: Run, tmp_path: Path) -> None:
    for arguments in (("--output", "x.doc"), ("--format", "parket"), ("--format", "table", "--output", "x.csv")):
        assert csmetrics("query", "sessions", *arguments, code=2).stderr
    assert (
        'Did you mean "id"?' in csmetrics("export", "accounts", "--fields", "idd", "--output", "a.csv", code=1).stderr
    )
    assert "must be one of" in csmetrics("export", "numbers", code=2).stderr
    assert not list(tmp_path.iterdir())
