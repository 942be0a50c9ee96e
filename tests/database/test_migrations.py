"""The database's shape: up and down, alone and with others at the same time, cut short; and the calendar of its books."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from app.books.open import open_books
from app.core.errors import Conflict
from app.core.settings import Settings
from app.database import migrate as schema_room
from app.database.migrate import alembic_config, migrate
from app.database.tables import metadata
from tests.support.service import PATIENCE, Service, event, moved, session

pytestmark = pytest.mark.own_database

# Nothing of the developer's settings reaches the processes: neither the environment nor a .env file.
APART = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "200"}


@pytest.fixture
def empty(server: sa.URL, execute: Callable[[str], None]) -> Iterator[str]:
    """The address of a database in which nothing has been made yet."""
    execute("CREATE DATABASE empty STRATEGY FILE_COPY")
    yield server.set(database="empty").render_as_string()
    execute("DROP DATABASE empty WITH (FORCE)")


def connect(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def ask(url: str, question: str) -> list[Any]:
    with connect(url) as connection:
        return connection.execute(question).fetchall()


def go(url: str, direction: Callable[..., None], revision: str) -> None:
    """Run Alembic as the service does, on a connection that is handed over."""
    config = alembic_config()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        direction(config, revision)
    engine.dispose()


def shape(url: str) -> list[Any]:
    """Every column, constraint and index, as PostgreSQL knows them."""
    return ask(
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


def test_down_and_up_again_makes_the_same_shape_of_a_database_with_data(database: str) -> None:
    before = shape(database)
    with Service(database).running() as service:
        service.send(session(), moved(plan="pro"), event("survey.responded", survey="nps", score=9))
    go(database, command.downgrade, "base")
    assert {table for table, *_ in shape(database)} == {"alembic_version"}
    go(database, command.upgrade, "head")
    assert shape(database) == before
    with Service(database).running() as service:
        assert service.send(session())["accepted"] == 1
        assert service.value("sessions") == 1


def test_each_step_down_can_be_taken_up_again(database: str) -> None:
    before = shape(database)
    with Service(database).running() as service:
        service.send(session(), moved(plan="pro"), event("survey.responded", survey="nps", score=9))
    while ask(database, "SELECT * FROM alembic_version"):
        above = shape(database)
        go(database, command.downgrade, "-1")
        go(database, command.upgrade, "+1")
        assert shape(database) == above
        go(database, command.downgrade, "-1")
    go(database, command.upgrade, "head")
    assert shape(database) == before


def test_the_migrations_make_what_the_tables_say(database: str) -> None:
    engine = sa.create_engine(database)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()
    go(database, lambda config, _: command.check(config), "")


def test_a_migration_never_waits_long_for_a_lock(empty: str) -> None:
    with connect(empty) as connection:
        connection.execute("CREATE TABLE seen (lock_timeout interval)")
        connection.execute(
            "CREATE FUNCTION see() RETURNS event_trigger LANGUAGE plpgsql "
            "AS $$BEGIN INSERT INTO seen VALUES (current_setting('lock_timeout')::interval); END$$"
        )
        connection.execute("CREATE EVENT TRIGGER see ON ddl_command_start EXECUTE FUNCTION see()")
    migrate(empty)
    assert ask(empty, "SELECT count(*) > 10, bool_and(lock_timeout BETWEEN '1 s' AND '10 s') FROM seen") == [
        (True, True)
    ]


MIGRATE = "import sys; from app.database.migrate import migrate; migrate(sys.argv[1])"


@pytest.fixture
def migrating(empty: str, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts processes that migrate the empty database."""
    with ExitStack() as stack:

        def begin() -> subprocess.Popen[str]:
            words = [sys.executable, "-c", MIGRATE, empty]
            process = subprocess.Popen(words, cwd=tmp_path, env=APART, stderr=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield begin


def wait_for(url: str, waiting: int) -> None:
    """Return when so many processes wait for a lock in the database."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    until = time.monotonic() + PATIENCE
    while ask(url, query) != [(waiting,)]:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_processes_that_migrate_at_the_same_time_do_it_once(
    empty: str, migrating: Callable[[], subprocess.Popen[str]], database: str
) -> None:
    lock = schema_room._MIGRATION_LOCK
    with connect(empty) as gate:
        gate.execute(f"SELECT pg_advisory_lock({lock})")
        processes = [migrating() for _ in range(4)]
        wait_for(empty, 4)
        gate.execute(f"SELECT pg_advisory_unlock({lock})")
    assert [process.wait(PATIENCE) for process in processes] == [0] * 4, [p.stderr.read() for p in processes]
    assert shape(empty) == shape(database)


def test_a_migration_that_was_killed_leaves_nothing_behind_and_is_done_by_the_next(
    empty: str, migrating: Callable[[], subprocess.Popen[str]], database: str
) -> None:
    with connect(empty) as other:
        other.execute("BEGIN")
        other.execute("CREATE TABLE survey ()")  # the migration waits here, with half of it done
        killed = migrating()
        wait_for(empty, 1)
        killed.kill()
        killed.wait()
        other.execute("ROLLBACK")
    assert shape(empty) in ([], [row for row in shape(empty) if row[0] == "alembic_version"])
    assert migrating().wait(PATIENCE) == 0
    assert shape(empty) == shape(database)


def test_a_database_that_another_version_has_migrated_is_not_ready(service: Service, database: str) -> None:
    assert service.get("/readyz") == {"status": "ok"}
    with connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of another version'")
    answer = service.request("GET", "/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_migrated")
    assert answer.headers["retry-after"]


@pytest.fixture
def csmetrics(database: str, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line on the test's database."""

    def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        script = [sys.executable, "-c", "from app.cli.main import main; main()", *words]
        settings = APART | {"DATABASE_URL": database} | settings
        return subprocess.run(script, cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize(
    "other", [{"base_currency": "EUR"}, {"reporting_timezone": "Asia/Tokyo"}, {"fiscal_year_start": 4}]
)
def test_a_start_with_other_settings_is_refused_with_the_command_that_changes_them(
    service: Service, database: str, other: dict[str, Any]
) -> None:
    with pytest.raises(Conflict, match="`csmetrics rebuild --adopt-settings`") as refused:
        Service(database, **other).running().__enter__()
    [(name, value)] = other.items()
    assert f"{name.upper()} is {getattr(service.settings, name)!r}, not {value!r}" in str(refused.value)


def test_adopting_a_time_zone_moves_the_days_of_all_history(
    database: str, csmetrics: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    late = "2026-03-10T22:00:00Z"
    tokyo = {"REPORTING_TIMEZONE": "Asia/Tokyo", "FISCAL_YEAR_START": "4"}
    with Service(database).running() as service:
        gone = session(at=late)
        answer = event("survey.responded", at=late, survey="nps", score=9)
        service.send(session(at=late), gone, moved(at=late, plan="pro"), answer)
        service.later(days=1).retract("acme", gone["id"])
        assert sessions_by_day(service) == {"2026-03-10": 1, "2026-03-11": 0}
    refused = csmetrics("serve", PORT="0", **tokyo)
    assert refused.returncode != 0
    assert "csmetrics rebuild --adopt-settings" in refused.stderr
    adopted = csmetrics("rebuild", "--adopt-settings", **tokyo)
    assert adopted.returncode == 0, adopted.stderr
    with Service(database, reporting_timezone="Asia/Tokyo", fiscal_year_start=4).running() as service:
        service.later(days=1)
        assert sessions_by_day(service) == {"2026-03-10": 0, "2026-03-11": 1}
        [day] = service.rows("nps", start="2026-03-11", end="2026-03-12", granularity="day")
        assert day["value"] == 100
        assert service.differences() == []
    with pytest.raises(Conflict):
        Service(database).running().__enter__()


def sessions_by_day(service: Service) -> dict[str, int]:
    asked = {"start": "2026-03-10", "end": "2026-03-12", "granularity": "day"}
    return {row["start"]: row["value"] for row in service.rows("sessions", **asked)}


def test_no_other_currency_is_adopted_once_money_was_counted(
    database: str, csmetrics: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    with Service(database).running() as service:
        service.send(event("purchase.completed", order_id="order-1", amount="49.90"))
    refused = csmetrics("rebuild", "--adopt-settings", BASE_CURRENCY="EUR")
    assert refused.returncode == 1
    assert "Amounts or exchange rates are stored in USD" in refused.stderr
    assert "Traceback" not in refused.stderr
    with Service(database).running() as service:
        assert service.differences() == []


def test_nothing_is_adopted_under_a_service_that_runs(
    database: str, csmetrics: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    with Service(database).running() as service:
        service.send(session())
        refused = csmetrics("rebuild", "--adopt-settings", REPORTING_TIMEZONE="Asia/Tokyo")
        assert (refused.returncode, "Stop the service first" in refused.stderr) == (1, True)


def test_an_adoption_that_was_interrupted_has_to_be_finished_first(
    database: str, csmetrics: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    with Service(database).running() as service:
        service.send(session(at="2026-03-10T22:00:00Z"))
    tokyo = {"REPORTING_TIMEZONE": "Asia/Tokyo"}
    settings = Settings(_env_file=None, database_url=database, reporting_timezone="Asia/Tokyo")

    async def adopt_and_die() -> None:
        async with open_books(settings, adopt=True):
            pass

    asyncio.run(adopt_and_die())
    with pytest.raises(Conflict, match="rebuild --adopt-settings"):
        Service(database, reporting_timezone="Asia/Tokyo").running().__enter__()
    assert csmetrics("rebuild", "--adopt-settings", **tokyo).returncode == 0
    with Service(database, reporting_timezone="Asia/Tokyo").running() as service:
        assert sessions_by_day(service) == {"2026-03-10": 0, "2026-03-11": 1}
