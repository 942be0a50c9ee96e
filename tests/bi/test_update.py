"""The views follow the version of the service: after an upgrade, after migrations, and while they are read."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command

from app.bi import update, views
from app.bi.define import View
from app.bi.update import ViewsNotUpdated, create_views
from tests.bi.company import query
from tests.database.test_migrations import run_alembic
from tests.support.command import CommandResult, run_command
from tests.support.service import Service, session, survey_responses

pytestmark = pytest.mark.own_database

VIEWS = "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('bi') AND relkind = 'v' ORDER BY 1"
ROLE = "reader_of_updates"


@contextmanager
def other_version(*changed: View, without: str = "") -> Iterator[tuple[View, ...]]:
    """Let the service have other views than it has."""
    by_name = {view.name: view for view in views.all_views()} | {view.name: view for view in changed}
    by_name.pop(without, None)
    own = tuple(by_name.values())
    with (
        patch.object(update, "all_views", lambda: own),
        patch.object(update, "fingerprint", lambda: str(hash(repr(own)))),
    ):
        yield own


def view_named(name: str) -> View:
    return next(view for view in views.all_views() if view.name == name)


def names(service: Service) -> list[str]:
    return [name for (name,) in query(service, VIEWS)]


@pytest.fixture
def reader(service: Service, execute: Callable[[str], None]) -> Iterator[str]:
    execute(f"CREATE ROLE {ROLE} LOGIN")
    execute_in(service, f"GRANT USAGE ON SCHEMA bi TO {ROLE}; GRANT SELECT ON ALL TABLES IN SCHEMA bi TO {ROLE}")
    yield ROLE
    execute_in(service, f"DROP OWNED BY {ROLE}")
    execute(f"DROP ROLE {ROLE}")


def execute_in(service: Service, statement: str) -> None:
    with psycopg.connect(str(service.url).replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement)


def url_of(service: Service) -> sa.URL:
    return sa.make_url(str(service.url))


def test_every_view_and_every_column_has_a_comment_as_declared(service: Service) -> None:
    rows = query(
        service,
        """
        SELECT relname, coalesce(attname, ''), col_description(pg_class.oid, attnum), obj_description(pg_class.oid, 'pg_class')
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0
        WHERE relnamespace = 'bi'::regnamespace AND relkind = 'v' ORDER BY relname, attnum""",
    )
    stored: dict[str, Any] = {}
    for name, column, comment, of_view in rows:
        stored.setdefault(name, (of_view, {}))[1][column] = comment
    assert stored == {view.name: (view.comment, dict(view.columns)) for view in views.all_views()}
    comments = [comment for view in views.all_views() for comment in (view.comment, *view.columns.values())]
    assert all(comment.endswith((".", "row.")) and len(comment) > 12 for comment in comments)


def test_a_second_start_changes_nothing(service: Service) -> None:
    before = query(service, "SELECT oid, xmin::text FROM pg_class WHERE relnamespace = 'bi'::regnamespace")
    assert service.run(update.update_views(service.books.database)) is False
    assert query(service, "SELECT oid, xmin::text FROM pg_class WHERE relnamespace = 'bi'::regnamespace") == before


def test_another_version_replaces_views_and_what_depends_on_them_stays(service: Service, reader: str) -> None:
    execute_in(service, "CREATE SCHEMA mine; CREATE VIEW mine.names AS SELECT name FROM bi.accounts")
    accounts = view_named("accounts")
    more = replace(
        accounts,
        query=f"SELECT own.*, 1 AS one FROM ({accounts.query}) AS own",
        columns={**accounts.columns, "one": "A number that is one."},
    )
    added = View("added", "A view of a later version.", {"n": "A number that is one."}, "SELECT 1 AS n")
    with other_version(more, added, without="surveys"):
        assert create_views(url_of(service))
        assert not create_views(url_of(service))
    assert "added" in names(service) and "surveys" not in names(service)
    assert query(service, "SELECT * FROM mine.names") == []
    as_reader = str(service.url).replace("+psycopg", "")
    with psycopg.connect(as_reader, user=reader) as connection:
        assert connection.execute("SELECT n FROM bi.added").fetchall() == [(1,)], "who could read, reads what is new"
    execute_in(service, "DROP SCHEMA mine CASCADE")
    assert create_views(url_of(service)), "back again"
    assert names(service) == sorted(view.name for view in views.all_views())
    with psycopg.connect(as_reader, user=reader) as connection:
        assert connection.execute("SELECT count(*) FROM bi.accounts").fetchall() == [(0,)]


def test_a_view_that_cannot_be_replaced_stays_and_the_service_starts(
    service: Service, start_service: Callable[..., Service]
) -> None:
    execute_in(service, "CREATE SCHEMA mine; CREATE VIEW mine.names AS SELECT survey_id FROM bi.surveys")
    other = View("surveys", "Other columns than before.", {"n": "A number that is one."}, "SELECT 1 AS n")
    with other_version(other):
        with pytest.raises(ViewsNotUpdated, match=r"mine\.names"):
            create_views(url_of(service))
        assert start_service().value("sessions") == 0
    assert query(service, "SELECT survey_id FROM bi.surveys") != [], "the old ones are there"


def test_an_update_waits_shortly_for_a_running_query_and_is_done_after_it(service: Service) -> None:
    added = View("added", "A view of a later version.", {"n": "A number that is one."}, "SELECT 1 AS n")
    accounts = view_named("accounts")
    with (
        other_version(replace(accounts, comment="Another comment."), added),
        patch.object(update, "_LOCK_SECONDS", 0.05),
    ):
        with psycopg.connect(str(service.url).replace("+psycopg", "")) as reading:
            reading.execute("SELECT * FROM bi.accounts").fetchall()
            with patch.object(update, "_PAUSE_SECONDS", 0), pytest.raises(ViewsNotUpdated, match="locked"):
                create_views(url_of(service))
            assert "added" not in names(service), "all or nothing"
            assert service.value("sessions") == 0
        assert create_views(url_of(service))
    assert "added" in names(service)


def test_processes_that_start_together_take_turns(service: Service) -> None:
    added = View("added", "A view of a later version.", {"n": "A number that is one."}, "SELECT 1 AS n")
    results: list[bool] = []
    with other_version(added):
        threads = [threading.Thread(target=lambda: results.append(create_views(url_of(service)))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(results) == [False, False, False, True]


def test_a_schema_of_somebody_else_is_left_alone(
    server: sa.URL, execute: Callable[[str], None], tmp_path: Path
) -> None:
    execute("CREATE DATABASE taken STRATEGY FILE_COPY")
    url = server.set(database="taken")
    try:
        with psycopg.connect(url.set(drivername="postgresql").render_as_string(), autocommit=True) as connection:
            connection.execute("CREATE SCHEMA bi; CREATE TABLE bi.accounts AS SELECT 1 AS mine")
        result = csmetrics(url, tmp_path, "migrate")
        assert result.returncode == 0 and "schema bi already" in result.stdout + result.stderr
        assert "csmetrics migrate" in csmetrics(url, tmp_path, "bi", "grant", ROLE).stderr
        run_alembic(url.render_as_string(), command.downgrade, "base")
        with psycopg.connect(url.set(drivername="postgresql").render_as_string()) as connection:
            assert connection.execute("SELECT mine FROM bi.accounts").fetchall() == [(1,)]
    finally:
        execute("DROP DATABASE taken WITH (FORCE)")


def csmetrics(url: sa.URL, folder: Path, *arguments: str) -> CommandResult:
    address = url.set(drivername="postgresql").render_as_string()
    return run_command(*arguments, folder=folder, DATABASE_URL=address)


def test_a_role_without_rights_to_create_schemas_and_roles_starts_and_is_told(
    server: sa.URL, execute: Callable[[str], None], tmp_path: Path
) -> None:
    execute("CREATE ROLE modest LOGIN")
    execute("CREATE DATABASE modest_books STRATEGY FILE_COPY")
    url = server.set(database="modest_books")
    try:
        with psycopg.connect(url.set(drivername="postgresql").render_as_string(), autocommit=True) as connection:
            connection.execute("GRANT ALL ON SCHEMA public TO modest")
        own = url.set(username="modest")
        result = csmetrics(own, tmp_path, "migrate")
        assert result.returncode == 0, result.stderr
        assert "CREATE SCHEMA bi AUTHORIZATION modest" in result.stdout + result.stderr
        with Service(own.render_as_string()).open() as service:
            assert service.send(session())["accepted"] == 1
        with psycopg.connect(url.set(drivername="postgresql").render_as_string(), autocommit=True) as connection:
            connection.execute("CREATE SCHEMA bi AUTHORIZATION modest")
        assert csmetrics(own, tmp_path, "migrate").returncode == 0
        refused = csmetrics(own, tmp_path, "bi", "grant", ROLE)
        assert refused.returncode == 1 and f"CREATE ROLE {ROLE} LOGIN" in refused.stderr.replace('"', "")
        execute(f"CREATE ROLE {ROLE} LOGIN")
        assert csmetrics(own, tmp_path, "bi", "grant", ROLE).returncode == 0
        with psycopg.connect(own.set(drivername="postgresql").render_as_string(), user=ROLE) as connection:
            assert connection.execute("SELECT count(*) FROM bi.accounts").fetchone() == (1,)
    finally:
        execute("DROP DATABASE modest_books WITH (FORCE)")
        execute(f"DROP ROLE IF EXISTS {ROLE}")
        execute("DROP ROLE modest")


def test_down_and_up_again_the_views_are_there_again(service: Service) -> None:
    database = str(service.url)
    run_alembic(database, command.downgrade, "0020")
    assert query(service, "SELECT to_regnamespace('bi')") == [(None,)]
    run_alembic(database, command.upgrade, "head")
    assert create_views(url_of(service))
    run_alembic(database, command.downgrade, "base")
    run_alembic(database, command.upgrade, "head")
    assert create_views(url_of(service))
    assert names(service) == sorted(view.name for view in views.all_views())


def test_the_views_survive_a_rebuild_with_other_settings_and_follow_them(
    service: Service, database: str, tmp_path: Path, reader: str
) -> None:
    service.send(*survey_responses("nps", [9], at="2026-02-28T23:30:00Z"))
    months = (
        "SELECT month::text FROM bi.survey_responses UNION ALL "
        "SELECT month::text FROM bi.metric_operands WHERE metric = 'nps'"
    )
    assert query(service, months) == [("2026-02-01",), ("2026-02-01",)]
    service.run(service.books.database.dispose())
    result = run_command(
        *("rebuild", "--adopt-settings", "--processes", "1"),
        folder=tmp_path,
        DATABASE_URL=database.replace("+psycopg", ""),
        REPORTING_TIMEZONE="Europe/Berlin",
    )
    assert result.returncode == 0, result.stderr
    assert query(service, months) == [("2026-03-01",), ("2026-03-01",)]
    with psycopg.connect(database.replace("+psycopg", ""), user=reader) as connection:
        assert connection.execute("SELECT reporting_timezone FROM bi.books").fetchone() == ("Europe/Berlin",)


def test_reset_empties_the_views_and_the_next_start_makes_them_anew(database: str, tmp_path: Path) -> None:
    with Service(database).open() as service:
        service.send(session())
    result = run_command("reset", "--yes", folder=tmp_path, DATABASE_URL=database.replace("+psycopg", ""))
    assert result.returncode == 0, result.stderr
    with Service(database).open() as service:
        assert query(service, "SELECT count(*) FROM bi.accounts") == [(0,)]
        assert names(service) == sorted(view.name for view in views.all_views())


def test_nothing_in_the_views_is_looked_up_by_the_search_path(service: Service) -> None:
    """A reader could put tables of its own before those of the service."""
    with psycopg.connect(str(service.url).replace("+psycopg", "")) as connection:
        connection.execute("CREATE TEMP TABLE total (LIKE public.total); CREATE TEMP TABLE books (LIKE public.books)")
        connection.execute("SET search_path = pg_temp")
        assert connection.execute("SELECT base_currency FROM bi.books").fetchone() == ("USD",)
