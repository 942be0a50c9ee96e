"""Migrations: up and down, by several processes at the same time, interrupted; and other settings for existing data."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.books.open import open_books
from app.core.errors import Conflict
from app.core.settings import Settings
from app.database.all_tables import metadata
from app.database.migrate import _MIGRATION_LOCK, _revisions, alembic_config, migrate
from tests.support.command import CommandResult, environment, run_command
from tests.support.service import PATIENCE, Service, account_update, event, session

pytestmark = pytest.mark.own_database

Run = Callable[..., CommandResult]


@pytest.fixture
def empty_database(server: sa.URL, execute: Callable[[str], None]) -> Iterator[str]:
    """Yield the URL of a database without any tables."""
    execute("CREATE DATABASE empty STRATEGY FILE_COPY")
    yield server.set(database="empty").render_as_string()
    execute("DROP DATABASE empty WITH (FORCE)")


def connect_directly(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def fetch(url: str, question: str) -> list[Any]:
    with connect_directly(url) as connection:
        return connection.execute(question).fetchall()


def run_alembic(url: str, direction: Callable[..., None], revision: str) -> None:
    """Run an Alembic command as the service does, on a connection that is handed over."""
    config = alembic_config()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        direction(config, revision)
    engine.dispose()


def load_schema(url: str) -> list[Any]:
    """Return every column, constraint and index, as PostgreSQL lists them."""
    return fetch(
        url,
        """
        SELECT table_name::text, column_name::text, concat_ws(' ', data_type, is_nullable, column_default, is_identity)
        FROM information_schema.columns WHERE table_schema = 'public'
        UNION SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
            FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
        ORDER BY 1, 2, 3
        """,
    )


def test_down_and_up_again_gives_the_same_schema_with_data_in_it(database: str) -> None:
    before = load_schema(database)
    with Service(database).open() as service:
        service.send(session(), account_update(plan="pro"), event("survey.responded", survey="nps", score=9))
    run_alembic(database, command.downgrade, "base")
    assert {table for table, *_ in load_schema(database)} == {"alembic_version"}
    run_alembic(database, command.upgrade, "head")
    assert load_schema(database) == before
    with Service(database).open() as service:
        assert service.send(session())["accepted"] == 1
        assert service.value("sessions") == 1


def test_each_step_down_can_be_reversed(database: str) -> None:
    before = load_schema(database)
    with Service(database).open() as service:
        service.send(session(), account_update(plan="pro"), event("survey.responded", survey="nps", score=9))
    while fetch(database, "SELECT * FROM alembic_version"):
        above = load_schema(database)
        run_alembic(database, command.downgrade, "-1")
        run_alembic(database, command.upgrade, "+1")
        assert load_schema(database) == above
        run_alembic(database, command.downgrade, "-1")
    run_alembic(database, command.upgrade, "head")
    assert load_schema(database) == before


def test_the_migrations_create_the_declared_tables(database: str) -> None:
    engine = sa.create_engine(database)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()
    run_alembic(database, lambda config, _: command.check(config), "")


def test_a_migration_never_waits_long_for_a_lock(empty_database: str) -> None:
    with connect_directly(empty_database) as connection:
        connection.execute("CREATE TABLE seen (lock_timeout interval)")
        connection.execute(
            "CREATE FUNCTION see() RETURNS event_trigger LANGUAGE plpgsql "
            "AS $$BEGIN INSERT INTO seen VALUES (current_setting('lock_timeout')::interval); END$$"
        )
        connection.execute("CREATE EVENT TRIGGER see ON ddl_command_start EXECUTE FUNCTION see()")
    migrate(empty_database)
    assert fetch(empty_database, "SELECT count(*) > 10, bool_and(lock_timeout BETWEEN '1 s' AND '10 s') FROM seen") == [
        (True, True)
    ]


MIGRATE = "import sys; from app.database.migrate import migrate; migrate(sys.argv[1])"


@pytest.fixture
def start_migration(empty_database: str, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Return a function that starts a process which migrates the empty database."""
    with ExitStack() as stack:

        def start() -> subprocess.Popen[str]:
            command_line = [sys.executable, "-c", MIGRATE, empty_database]
            process = subprocess.Popen(command_line, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def wait_for_blocked_processes(url: str, count: int) -> None:
    """Return when this number of processes waits for a lock in the database."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    deadline = time.monotonic() + PATIENCE
    while fetch(url, query) != [(count,)]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_processes_that_migrate_at_the_same_time_do_so_once(
    empty_database: str, start_migration: Callable[[], subprocess.Popen[str]], database: str
) -> None:
    with connect_directly(empty_database) as holder:
        holder.execute(f"SELECT pg_advisory_lock({_MIGRATION_LOCK})")
        processes = [start_migration() for _ in range(4)]
        wait_for_blocked_processes(empty_database, 4)
        holder.execute(f"SELECT pg_advisory_unlock({_MIGRATION_LOCK})")
    assert [process.wait(PATIENCE) for process in processes] == [0] * 4, [p.stderr.read() for p in processes]
    assert load_schema(empty_database) == load_schema(database)


def test_a_killed_migration_leaves_nothing_behind_and_the_next_completes(
    empty_database: str, start_migration: Callable[[], subprocess.Popen[str]], database: str
) -> None:
    with connect_directly(empty_database) as other:
        other.execute("BEGIN")
        other.execute("CREATE TABLE survey ()")  # the migration waits for this table halfway through
        killed = start_migration()
        wait_for_blocked_processes(empty_database, 1)
        killed.kill()
        killed.wait()
        other.execute("ROLLBACK")
    assert load_schema(empty_database) in (
        [],
        [row for row in load_schema(empty_database) if row[0] == "alembic_version"],
    )
    assert start_migration().wait(PATIENCE) == 0
    assert load_schema(empty_database) == load_schema(database)


def test_the_versions_that_the_service_knows_are_those_of_alembic() -> None:
    scripts = ScriptDirectory.from_config(alembic_config())
    all_revisions = {script.revision for script in scripts.walk_revisions()}
    assert _revisions() == (all_revisions, set(scripts.get_heads()))


def test_a_database_migrated_by_another_version_is_not_ready(service: Service, database: str) -> None:
    assert service.get("/readyz") == {"status": "ok"}
    with connect_directly(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of another version'")
    answer = service.request("GET", "/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_migrated")
    assert answer.headers["retry-after"]


@pytest.fixture
def csmetrics(database: str, tmp_path: Path) -> Run:
    """Run a command on the test's database."""
    return partial(run_command, folder=tmp_path, DATABASE_URL=database)


@pytest.mark.parametrize(
    "other",
    [
        {"base_currency": "EUR"},
        {"reporting_timezone": "Asia/Tokyo"},
        {"fiscal_year_start": 4},
        {"week_start": "sunday"},
    ],
)
def test_a_start_with_other_settings_fails_and_names_the_command_that_changes_them(
    service: Service, database: str, other: dict[str, Any]
) -> None:
    with pytest.raises(Conflict, match="`csmetrics rebuild --adopt-settings`") as raised:
        Service(database, **other).open().__enter__()
    [(name, value)] = other.items()
    assert f"{name.upper()} is {getattr(service.settings, name)!r}, not {value!r}" in str(raised.value)


def test_adopting_a_time_zone_moves_all_events_to_their_new_days(database: str, csmetrics: Run) -> None:
    late = "2026-03-10T22:00:00Z"
    tokyo = {"REPORTING_TIMEZONE": "Asia/Tokyo", "FISCAL_YEAR_START": "4"}
    with Service(database).open() as service:
        retracted = session(at=late)
        answer = event("survey.responded", at=late, survey="nps", score=9)
        service.send(session(at=late), retracted, account_update(at=late, plan="pro"), answer)
        service.later(days=1).retract("acme", retracted["id"])
        assert sessions_by_day(service) == {"2026-03-10": 1, "2026-03-11": 0}
    result = csmetrics("serve", PORT="0", **tokyo)
    assert result.returncode != 0
    assert "csmetrics rebuild --adopt-settings" in result.stderr
    result = csmetrics("rebuild", "--adopt-settings", "--processes", "1", **tokyo)
    assert result.returncode == 0, result.stderr
    with Service(database, reporting_timezone="Asia/Tokyo", fiscal_year_start=4).open() as service:
        service.later(days=1)
        assert sessions_by_day(service) == {"2026-03-10": 0, "2026-03-11": 1}
        [day] = service.rows("nps", start="2026-03-11", end="2026-03-12", granularity="day")
        assert day["value"] == 100
        assert service.differences() == []
    with pytest.raises(Conflict):
        Service(database).open().__enter__()


def test_adopting_another_first_day_of_the_week_moves_the_users_of_weeks(database: str, csmetrics: Run) -> None:
    with Service(database).open() as service:
        # 8 March is a Sunday.
        service.send(session(user="ada", at="2026-03-07"), session(user="ada", at="2026-03-08"))
        service.send(session(user="bob", at="2026-03-08"), session(user="bob", at="2026-03-09"))
        assert users_by_week(service) == [("2026-03-01", 0, 0), ("2026-03-02", 2, 2), ("2026-03-09", 1, 2)]
    result = csmetrics("rebuild", "--adopt-settings", "--processes", "1", WEEK_START="sunday")
    assert result.returncode == 0, result.stderr
    with Service(database, week_start="sunday").open() as service:
        assert users_by_week(service) == [("2026-03-01", 1, 1), ("2026-03-08", 2, 2), ("2026-03-15", 0, 2)]
        assert service.differences() == []


def users_by_week(service: Service) -> list[tuple[str, int, int]]:
    """Return the start of each week, the users who were active in it, and those who were registered."""
    params = {"start": "2026-03-01", "end": "2026-03-16", "granularity": "week"}
    rows = service.rows("customer_engagement_rate", **params)
    return [(row["start"], row["numerator"], row["denominator"]) for row in rows]


def test_an_earlier_version_does_not_start_with_weeks_from_sunday(database: str) -> None:
    """It would post the users of weeks from Monday beside those that are there."""
    for week_start, adopting in (("sunday", True), ("monday", False)):
        with Service(database, week_start=week_start).open():
            pass
        while any(column == "week_start" for _, column, _ in load_schema(database)):
            run_alembic(database, command.downgrade, "-1")
        assert fetch(database, "SELECT adopting FROM books") == [(adopting,)]
        run_alembic(database, command.upgrade, "head")
        with connect_directly(database) as connection:
            connection.execute("DELETE FROM books")


def sessions_by_day(service: Service) -> dict[str, int]:
    params = {"start": "2026-03-10", "end": "2026-03-12", "granularity": "day"}
    return {row["start"]: row["value"] for row in service.rows("sessions", **params)}


def test_another_base_currency_cannot_be_adopted_once_amounts_are_stored(database: str, csmetrics: Run) -> None:
    with Service(database).open() as service:
        service.send(event("purchase.completed", order_id="order-1", amount="49.90"))
    result = csmetrics("rebuild", "--adopt-settings", "--processes", "1", BASE_CURRENCY="EUR")
    assert result.returncode == 1
    assert "Amounts or exchange rates are stored in USD" in result.stderr
    assert "Traceback" not in result.stderr
    with Service(database).open() as service:
        assert service.differences() == []


def test_settings_cannot_be_adopted_while_the_service_runs(database: str, csmetrics: Run) -> None:
    with Service(database).open() as service:
        service.send(session())
        result = csmetrics("rebuild", "--adopt-settings", "--processes", "1", REPORTING_TIMEZONE="Asia/Tokyo")
        assert (result.returncode, "Stop the service first" in result.stderr) == (1, True)


def test_an_interrupted_adoption_must_be_completed_first(database: str, csmetrics: Run) -> None:
    with Service(database).open() as service:
        service.send(session(at="2026-03-10T22:00:00Z"))
    tokyo = {"REPORTING_TIMEZONE": "Asia/Tokyo"}
    settings = Settings(_env_file=None, database_url=database, reporting_timezone="Asia/Tokyo")

    async def adopt_without_rebuilding() -> None:
        async with open_books(settings, adopt=True):
            pass

    asyncio.run(adopt_without_rebuilding())
    with pytest.raises(Conflict, match="rebuild --adopt-settings"):
        Service(database, reporting_timezone="Asia/Tokyo").open().__enter__()
    assert csmetrics("rebuild", "--adopt-settings", "--processes", "1", **tokyo).returncode == 0
    with Service(database, reporting_timezone="Asia/Tokyo").open() as service:
        assert sessions_by_day(service) == {"2026-03-10": 0, "2026-03-11": 1}
