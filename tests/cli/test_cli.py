"""The command line, as it is typed."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import product
from pathlib import Path

import pytest

from app.audit.identities import IDENTITIES
from tests.support.service import Service, session

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def csmetrics(database: str, tmp_path: Path) -> Run:
    """Run a command on the test's database; it must succeed unless `code` says otherwise."""

    def run(*words: str, code: int = 0, **settings: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", "from app.cli.main import main; main()", *words],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATABASE_URL": database, "COLUMNS": "200"}
            | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


@pytest.mark.own_database
def test_the_demo_company_comes_in_whole_is_proven_and_stays_when_loaded_again(
    csmetrics: Run, start: Callable[..., Service]
) -> None:
    said = csmetrics("demo")
    assert "events are new" in said.stderr
    assert said.stdout.count("curl ") == 3
    assert "0 differences" in csmetrics("verify").stdout
    assert "\n0 events are new" in "\n" + csmetrics("demo").stderr
    service = start()
    service.now = datetime.now(UTC)
    found = service.get("/v1/checks")
    assert [check for check in found["checks"] if not check["ok"]] == [] and found["ok"]
    assert all(check["compared"] > 12 for check in found["checks"])
    assert {check["name"] for check in found["checks"]} >= {one.name for one in IDENTITIES}
    months = {
        "start": f"{date.today().year - 2}-01-01",
        "end": f"{date.today().year + 1}-01-01",
        "granularity": "month",
    }
    segments = [segment["name"] for segment in service.get("/v1/segments")["segments"]]
    for entry, among in product(service.get("/v1/metrics")["metrics"], ({"group_by": "plan"}, {"segment": segments})):
        rows = service.rows(entry["name"], **months, **among)
        assert any(row["value"] for row in rows), (entry["name"], among)


def test_rebuild_posts_what_was_lost_and_verify_names_what_differs(
    csmetrics: Run, service: Service, execute_in: Callable[[str], None]
) -> None:
    service.send(session(), session("globex"))
    execute_in(
        "UPDATE entry SET value = value + 1 WHERE account_id = (SELECT account_id FROM account WHERE id = 'acme')"
    )
    execute_in("DELETE FROM total WHERE account_id = (SELECT account_id FROM account WHERE id = 'globex')")
    said = csmetrics("verify", code=1).stdout
    assert "acme: entry of sessions" in said
    assert "globex: totals of session_seconds" in said
    csmetrics("rebuild")
    assert "0 differences" in csmetrics("verify").stdout
    assert service.value("sessions") == 2


def test_files_are_imported_with_a_report_of_what_did_not_come_in(csmetrics: Run, tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(
        """
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
    )
    header = "id,account,user,at,known,seconds\n"
    (tmp_path / "b.csv").write_text(header + "1,acme,ada,2025-02-01T10:00:00Z,2025-02-03,60\n")
    (tmp_path / "a.csv").write_text(
        header
        + "2,acme,ada,2025-01-01T10:00:00Z,2025-01-02,60\n3,acme,ada,2025-01-01T10:00:00Z,2025-01-02,-5\n4,acme,ada,,,x\n"
    )
    # Known earlier, named later: the order of files does not matter.
    said = csmetrics("import", "b.csv", "a.csv", "--mapping", "map.toml", code=1)
    assert "4" in said.stdout and "See import-report.csv" in said.stdout
    report = (tmp_path / "import-report.csv").read_text().splitlines()
    assert [line.split(",")[:4] for line in report[1:]] == [
        ["a.csv", "4", "", "missing_value"],
        ["a.csv", "3", "3", "greater_than_equal"],
    ]
    assert "0 differences" in csmetrics("verify").stdout


def test_keys_are_made_listed_and_revoked(csmetrics: Run, start: Callable[..., Service]) -> None:
    key = csmetrics("keys", "create", "dashboards", "--scope", "read").stdout.strip()
    service = start()
    headers = {"Authorization": f"Bearer {key}"}
    assert service.request("GET", "/v1/metrics", headers=headers).status_code == 200
    assert "dashboards" in csmetrics("keys", "list").stdout
    csmetrics("keys", "revoke", key.split("_")[1])
    assert service.request("GET", "/v1/metrics", headers=headers).status_code == 401


def test_what_goes_wrong_for_a_reason_is_one_line(csmetrics: Run, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a\n1\n")
    (tmp_path / "map.toml").write_text("[[source]]\nfile = 'other.csv'\n")
    for words in (("import", "data.csv", "--mapping", "map.toml"), ("keys", "revoke", "unheard")):
        said = csmetrics(*words, code=1).stderr
        assert "Traceback" not in said and said.strip()
    said = csmetrics("verify", code=1, REPORTING_TIMEZONE="Mars/Olympus").stderr
    assert said.startswith("REPORTING_TIMEZONE: ") and "Mars" in said


def test_migrate_brings_the_database_up_to_date(csmetrics: Run) -> None:
    assert "up to date" in csmetrics("migrate", MIGRATE_ON_START="false").stdout
