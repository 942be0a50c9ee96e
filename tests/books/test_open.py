"""Which commands set up a database, and what they say about one that they cannot use."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import sqlalchemy as sa

from app.core.errors import ServiceError
from app.core.settings import Settings
from app.database import outage, wait
from app.database.migrate import migrate
from tests.support.command import COMMAND, CommandResult, environment, run_command
from tests.support.service import ADMIN_KEY, PATIENCE, Service

Run = Callable[..., CommandResult]


@pytest.fixture
def csmetrics(tmp_path: Path) -> Run:
    """Run a command without a database in its settings."""
    return partial(run_command, folder=tmp_path)


@pytest.fixture
def unmigrated(server: sa.URL, execute: Callable[[str], None]) -> Iterator[str]:
    """The address of a database without tables."""
    execute("CREATE DATABASE unmigrated")
    yield server.set(database="unmigrated").render_as_string(hide_password=False)
    execute("DROP DATABASE unmigrated WITH (FORCE)")


@contextmanager
def serving(tmp_path: Path, **settings: str) -> Iterator[tuple[str, Path]]:
    """Run `csmetrics serve` as a process; yield its URL and the file of its output."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "serve.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*COMMAND, "serve"], cwd=tmp_path, env=environment(PORT=str(port), **settings), stdout=output, stderr=output
        )
        try:
            wait_for(lambda: get(f"http://127.0.0.1:{port}/healthz") == 200, log)
            yield f"http://127.0.0.1:{port}", log
        finally:
            process.terminate()
            process.wait(PATIENCE)


def get(url: str) -> int:
    """Return the status of a GET; 0 when nothing answers."""
    try:
        return httpx.get(url).status_code
    except httpx.TransportError:
        return 0


def wait_for(condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def head_of(url: str) -> Any:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return connection.execute("SELECT to_regclass('alembic_version')").fetchone()[0]


@pytest.mark.parametrize(
    "command",
    [
        ("keys", "list"),
        ("rebuild",),
        ("query", "nps"),
        ("reset", "--yes"),
    ],
)
def test_a_command_that_needs_data_creates_no_database_in_a_wrong_folder(
    csmetrics: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    folder = tmp_path / "wrong"
    result = csmetrics(*command, DATA_DIR=str(folder))
    assert result.returncode == 1
    assert f"There is no data in the embedded PostgreSQL in {folder}" in result.stderr
    assert "set DATA_DIR" in result.stderr and "Traceback" not in result.stderr
    assert not folder.exists()


def test_a_command_that_needs_data_creates_no_tables_in_a_wrong_database(csmetrics: Run, unmigrated: str) -> None:
    result = csmetrics("keys", "create", "shop", "--scope", "ingest", DATABASE_URL=unmigrated)
    assert result.returncode == 1
    assert "There is no data in the database unmigrated on " in result.stderr and "set DATABASE_URL" in result.stderr
    assert head_of(unmigrated) is None


def test_import_sets_up_a_database_only_when_it_is_told_to(csmetrics: Run, unmigrated: str, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user\nada\n")
    (tmp_path / "map.toml").write_text(
        "[[source]]\nfile = 'users.csv'\n[[source.event]]\ntype = 'user.registered'\nid = '{user}'\n"
        "account_id = 'acme'\nuser_id = '{user}'\noccurred_at = '2026-01-01T00:00:00Z'\n"
    )
    command = ("import", "users.csv", "--mapping", "map.toml")
    assert "There is no data" in csmetrics(*command, DATABASE_URL=unmigrated).stderr
    result = csmetrics(*command, "--create", DATABASE_URL=unmigrated)
    assert result.returncode == 0, result.stderr
    answer = csmetrics(
        "query", "registered_users", "--period", "2026-01", "--format", "csv", DATABASE_URL=unmigrated
    ).stdout.splitlines()
    assert answer[1].startswith("registered_users,2026-01,2026-01-01,2026-02-01,true,1,")


def test_every_command_says_which_database_it_uses_without_the_password(csmetrics: Run, database: str) -> None:
    secret = sa.make_url(database).set(password="hunter2").render_as_string(hide_password=False)
    result = csmetrics("keys", "list", DATABASE_URL=secret)
    assert f"Using the database {sa.make_url(database).database} on " in result.stderr
    assert "hunter2" not in result.stderr + result.stdout


def test_a_service_that_may_not_migrate_answers_503_until_somebody_does(
    csmetrics: Run, unmigrated: str, tmp_path: Path
) -> None:
    settings = {"DATABASE_URL": unmigrated, "ADMIN_KEY": ADMIN_KEY, "MIGRATE_ON_START": "false"}
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    with serving(tmp_path, **settings) as (url, log):
        for path in ("/readyz", "/v1/metrics/nps", "/v1/keys", "/v1/checks"):
            answer = httpx.get(url + path, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (503, "not_migrated"), path
            assert "csmetrics migrate" in answer.json()["detail"]
        assert log.read_text().count("waiting for the migration") == 1
        assert csmetrics("migrate", DATABASE_URL=unmigrated).returncode == 0
        wait_for(lambda: get(f"{url}/readyz") == 200, log)
        assert httpx.get(f"{url}/v1/metrics/nps", headers=headers).status_code == 200
    assert "Traceback" not in log.read_text()


def test_an_older_database_answers_503_too_and_no_request_fails(unmigrated: str, tmp_path: Path) -> None:
    migrate(unmigrated, revision="0006")
    settings = {"DATABASE_URL": unmigrated, "ADMIN_KEY": ADMIN_KEY, "MIGRATE_ON_START": "false"}
    with serving(tmp_path, **settings) as (url, log):
        for path in ("/readyz", "/v1/metrics/nps", "/v1/accounts"):
            assert httpx.get(url + path, headers={"Authorization": f"Bearer {ADMIN_KEY}"}).status_code == 503, path
        assert "belongs to an older version" in log.read_text()


def test_a_database_of_a_newer_version_is_left_alone(csmetrics: Run, database: str, execute_in: Any) -> None:
    execute_in("UPDATE alembic_version SET version_num = '9999'")
    try:
        for command in (("serve",), ("migrate",), ("reset", "--yes")):
            result = csmetrics(*command, DATABASE_URL=database, PORT="0")
            assert result.returncode == 1
            assert "belongs to a newer version" in result.stderr and "Traceback" not in result.stderr
    finally:
        execute_in("DELETE FROM alembic_version; INSERT INTO alembic_version SELECT '" + newest() + "'")


def newest() -> str:
    from alembic.script import ScriptDirectory

    from app.database.migrate import alembic_config

    return str(ScriptDirectory.from_config(alembic_config()).get_current_head())


def test_a_start_that_fails_gives_its_reason_in_one_line_and_exits_with_1(csmetrics: Run) -> None:
    for workers in ("1", "2"):
        result = csmetrics(
            "serve",
            DATABASE_URL="postgresql://somebody:hunter2@127.0.0.1:1/shop",
            DATABASE_WAIT_SECONDS="2",
            PORT="0",
            WORKERS=workers,
        )
        assert result.returncode == 1
        assert '"reason": "Cannot use the database shop on 127.0.0.1:1: Connection refused"' in result.stderr
        assert '"event": "waiting for the database", "database": "shop on 127.0.0.1:1"' in result.stderr
        assert "Traceback" not in result.stderr and "hunter2" not in result.stderr


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DATABASE_URL", "mysql://root@localhost/shop", "DATABASE_URL: only PostgreSQL is supported"),
        ("DATABASE_URL", "postgresql://localhost:port/shop", "DATABASE_URL is not a URL"),
        ("BASE_CURRENCY", "EURO", "BASE_CURRENCY: 'EURO' is not an ISO 4217 code"),
        ("DATABASE_URL_FILE", "missing.txt", "DATABASE_URL_FILE: missing.txt cannot be read: No such file"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_in_one_sentence(
    csmetrics: Run, name: str, value: str, sentence: str
) -> None:
    result = csmetrics("keys", "list", **{name: value})
    assert (result.returncode, "Traceback" in result.stderr) == (1, False)
    assert sentence in result.stderr


def test_secrets_can_come_from_files(csmetrics: Run, database: str, tmp_path: Path) -> None:
    (tmp_path / "url.txt").write_text(f"{database}\n")
    result = csmetrics("keys", "list", DATABASE_URL_FILE="url.txt")
    assert result.returncode == 0, result.stderr
    (tmp_path / "key.txt").write_text("a-key-from-a-file-of-the-test\n")
    settings = Settings(_env_file=None, admin_key_file=tmp_path / "key.txt")
    assert settings.admin_key is not None
    assert settings.admin_key.get_secret_value() == "a-key-from-a-file-of-the-test"
    both = csmetrics("keys", "list", DATABASE_URL=database, DATABASE_URL_FILE="url.txt")
    assert "DATABASE_URL and DATABASE_URL_FILE are both set" in both.stderr


def test_an_older_postgresql_is_an_error(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "MIN_SERVER_VERSION", 99)
    with pytest.raises(
        ServiceError, match=r"The database is PostgreSQL 18\.\d+\. This service needs version 99 or later\."
    ):
        Service(database).open().__enter__()


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            'connection failed: connection to server at "127.0.0.1", port 1 failed: Connection refused\n\tIs the server '
            "running on that host and accepting TCP/IP connections?",
            "Connection refused",
        ),
        (
            'connection to server at "10.0.0.1", port 5432 failed: FATAL:  password authentication failed for user "shop"',
            'password authentication failed for user "shop"',
        ),
        (
            'Multiple connection attempts failed. All failures were:\n- host: a, port 1: connection to server at "::1", port 1 '
            'failed: Connection refused\n- host: a, port 1: connection to server at "127.0.0.1", port 1 failed: Connection '
            "refused",
            "Connection refused",
        ),
        ("[Errno -2] Name or service not known", "Name or service not known"),
        ("connection timeout expired", "connection timeout expired"),
    ],
)
def test_the_reason_of_a_failed_connection_is_one_short_sentence(message: str, reason: str) -> None:
    assert outage.connection_failure(message) == reason


@pytest.mark.own_database
def test_reset_deletes_everything_once_it_is_confirmed(csmetrics: Run, database: str) -> None:
    from tests.support.service import session

    with Service(database).open() as service:
        service.send(session(), session("globex"))
        busy = csmetrics("reset", "--yes", DATABASE_URL=database)
        assert (busy.returncode, "Stop the service first" in busy.stderr) == (1, True)
    asked = csmetrics("reset", DATABASE_URL=database)
    assert asked.returncode == 1
    assert "would delete 2 events of 2 accounts" in asked.stderr and "csmetrics reset --yes" in asked.stderr
    # The settings of the first start do not stand in the way: a wrong currency is a reason to start over.
    done = csmetrics("reset", "--yes", DATABASE_URL=database, BASE_CURRENCY="EUR")
    assert done.returncode == 0 and "Deleted 2 events of 2 accounts" in done.stdout
    with Service(database, base_currency="EUR").open() as service:
        assert service.get("/v1/accounts")["accounts"] == []
        assert {survey["id"] for survey in service.get("/v1/surveys")["surveys"]} == {"nps", "csat"}
        assert service.send(session())["accepted"] == 1


@pytest.mark.own_database
def test_the_advice_about_another_currency_can_be_followed(csmetrics: Run, database: str) -> None:
    with Service(database).open():
        pass
    advice = csmetrics("verify", "--processes", "1", DATABASE_URL=database, BASE_CURRENCY="EUR").stderr
    assert "BASE_CURRENCY is 'USD', not 'EUR'" in advice and "set BASE_CURRENCY=USD" in advice
    assert csmetrics("verify", "--processes", "1", DATABASE_URL=database, BASE_CURRENCY="USD").returncode == 0
    assert "csmetrics rebuild --adopt-settings" in advice
    adopted = csmetrics("rebuild", "--adopt-settings", "--processes", "1", DATABASE_URL=database, BASE_CURRENCY="EUR")
    assert adopted.returncode == 0, adopted.stderr
    assert csmetrics("verify", "--processes", "1", DATABASE_URL=database, BASE_CURRENCY="EUR").returncode == 0
