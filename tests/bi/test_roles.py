"""A role that was granted the views reads them, and nothing else of the service."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from app.bi.views import all_views
from app.database.all_tables import metadata
from tests.bi.company import query
from tests.support.command import CommandResult, run_command
from tests.support.service import Service, account_update, event, session, survey_responses

ROLE = 'Bi "Reader" 1%'
Run = Callable[..., CommandResult]


@pytest.fixture
def run(database: str, tmp_path: Path) -> Run:
    def run(*arguments: str, url: str = database) -> CommandResult:
        return run_command("bi", *arguments, folder=tmp_path, DATABASE_URL=url.replace("+psycopg", ""))

    return run


@pytest.fixture(autouse=True)
def no_role_is_left(execute: Callable[[str], None]) -> Iterator[None]:
    """Roles belong to the server, so they would be there in the next test."""
    yield
    for name in (ROLE, "service", "boss", "clerk"):
        quoted = '"' + name.replace('"', '""') + '"'
        execute(f"DROP ROLE IF EXISTS {quoted}")


@contextmanager
def as_role(database: str, role: str = ROLE) -> Iterator[psycopg.Connection[Any]]:
    url = sa.make_url(database).set(drivername="postgresql").render_as_string()
    with psycopg.connect(url, user=role, autocommit=True) as connection:
        yield connection


@pytest.fixture
def reader(service: Service, database: str, run: Run) -> Iterator[psycopg.Connection[Any]]:
    """A connection of a granted role, to a database with something in everything."""
    service.send(
        session(user="ada"),
        account_update(plan="pro"),
        *survey_responses("nps", [9, 2], user="ada", comment="Secret words"),
        event("ticket.opened", ticket_id="t", channel="email"),
        event("subscription.changed", subscription_id="s", mrr="100.00"),
    )
    service.send(*survey_responses("nps", [1], user="bob", comment="Retracted words", id="gone"))
    service.retract("acme", "gone")
    result = run("grant", ROLE)
    assert result.returncode == 0, result.stderr
    with as_role(database) as connection:
        yield connection
    assert run("revoke", ROLE, "--drop").returncode == 0


def test_it_reads_every_view(reader: psycopg.Connection[Any]) -> None:
    for view in all_views():
        names = [column.name for column in reader.execute(f"SELECT * FROM bi.{view.name}").description or ()]
        assert names == [*view.columns]
    for name in (
        "accounts",
        "survey_responses",
        "tickets",
        "metric_operands",
        "mrr_by_month",
        "mrr_movements",
        "health",
    ):
        assert reader.execute(f"SELECT * FROM bi.{name}").fetchall(), name


def test_it_reads_no_table_and_no_sequence(reader: psycopg.Connection[Any]) -> None:
    for table in (*metadata.tables, "alembic_version"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(f"SELECT * FROM public.{table}")
    readable = reader.execute(
        """
        SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
            AND relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'bi', 'pg_toast')
            AND has_table_privilege(oid, 'SELECT')"""
    ).fetchall()
    assert readable == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_read_file('PG_VERSION')",
        "SELECT pg_ls_dir('.')",
        "SELECT lo_import('/etc/passwd')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY (SELECT 1) TO '/tmp/csm-of-a-reader'",
        "SELECT * FROM pg_authid",
        "UPDATE public.books SET base_currency = 'EUR'",
        "DELETE FROM bi.accounts",
        "INSERT INTO bi.books VALUES ('EUR')",
        "CREATE TABLE public.mine (n int)",
        "CREATE TABLE bi.mine (n int)",
        "CREATE VIEW bi.mine AS SELECT 1",
        "DROP VIEW bi.accounts",
        "ALTER ROLE csmetrics PASSWORD 'x'",
        "CREATE ROLE another",
    ],
)
def test_it_does_nothing_else(reader: psycopg.Connection[Any], statement: str) -> None:
    reader.execute("SET default_transaction_read_only = off")
    with pytest.raises(
        (
            psycopg.errors.InsufficientPrivilege,
            psycopg.errors.ObjectNotInPrerequisiteState,
            psycopg.errors.FeatureNotSupported,
        )
    ):
        reader.execute(statement)


def test_no_function_of_the_service_lets_it_write(reader: psycopg.Connection[Any]) -> None:
    functions = reader.execute(
        """
        SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND has_function_privilege(oid, 'EXECUTE')
            AND prosecdef"""
    ).fetchall()
    assert functions == []


def test_its_own_functions_see_no_row_that_a_view_leaves_out(reader: psycopg.Connection[Any]) -> None:
    """A cheap function is evaluated before dear conditions of a view that is no security barrier."""
    reader.execute("SET default_transaction_read_only = off")
    reader.execute(
        """
        CREATE FUNCTION pg_temp.spy(value anyelement) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
        BEGIN RAISE NOTICE '%', value; RETURN true; END $$"""
    )
    notices: list[str] = []
    reader.add_notice_handler(lambda diagnostic: notices.append(diagnostic.message_primary or ""))
    for view in all_views():
        for column in view.columns:
            reader.execute(f'SELECT * FROM bi.{view.name} WHERE pg_temp.spy(("{column}")::text)')
    text = "\n".join(notices)
    assert "Secret words" in text, "it sees what the view shows"
    assert "Retracted words" not in text and "gone" not in text


def test_every_view_is_a_barrier_with_the_rights_of_its_owner(service: Service) -> None:
    rows = query(
        service, "SELECT relname, reloptions FROM pg_class WHERE relnamespace = 'bi'::regnamespace AND relkind = 'v'"
    )
    assert {name for name, _ in rows} == {view.name for view in all_views()}
    assert all(
        "security_barrier=true" in (options or []) and "security_invoker=true" not in options for _, options in rows
    )


def test_a_new_role_gets_a_password_that_is_shown_once_and_stored_as_a_hash(service: Service, run: Run) -> None:
    result = run("grant", ROLE)
    password = result.stdout.partition("shown only once): ")[2].strip()
    assert len(password) == 32 and "was created" in result.stdout
    line = result.stdout.partition("Connect with: ")[2].splitlines()[0]
    assert password not in line
    with psycopg.connect(line) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (ROLE,)
    [(verifier, limit, settings)] = query(
        service,
        "SELECT rolpassword, rolconnlimit, ARRAY(SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setrole = own.oid) "
        "FROM pg_authid AS own WHERE rolname = %s",
        ROLE,
    )
    assert verifier.startswith("SCRAM-SHA-256$") and password not in verifier
    assert limit == 20 and "default_transaction_read_only=on" in settings
    again = run("grant", ROLE)
    assert again.returncode == 0 and "Password" not in again.stdout, "it stays as it is"
    assert query(service, "SELECT rolpassword FROM pg_authid WHERE rolname = %s", ROLE) == [(verifier,)]
    assert run("grant", ROLE, "--password", "chosen").returncode == 0
    assert query(service, "SELECT rolpassword FROM pg_authid WHERE rolname = %s", ROLE) != [(verifier,)]
    assert run("list").stdout == f"{ROLE}\n"
    assert run("revoke", ROLE, "--drop").stdout.strip() == "Removed."
    assert run("list").stdout == ""


def test_a_revoked_role_reads_nothing_any_more(service: Service, database: str, run: Run) -> None:
    run("grant", ROLE)
    with as_role(database) as connection:
        assert connection.execute("SELECT count(*) FROM bi.books").fetchone() == (1,)
        assert run("revoke", ROLE).stdout.strip() == "Revoked."
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT count(*) FROM bi.books")
    assert run("revoke", ROLE, "--drop").returncode == 0
    assert "no such role" in run("revoke", ROLE).stderr


def test_a_role_that_may_do_more_is_refused(
    service: Service, run: Run, execute: Callable[[str], None], execute_in: Callable[[str], None]
) -> None:
    execute("CREATE ROLE boss LOGIN SUPERUSER")
    execute("CREATE ROLE clerk LOGIN")
    execute_in("GRANT SELECT ON public.event TO clerk")
    for name in ("boss", "csmetrics", "pg_mine", "x" * 64, ""):
        result = run("grant", name)
        assert result.returncode == 1 and result.stderr, name
    result = run("grant", "clerk")
    assert result.returncode == 1 and "event" in result.stderr
    assert run("list").stdout == ""
    execute_in("REVOKE ALL ON public.event FROM clerk")
    assert run("grant", "clerk").returncode == 0
    assert run("revoke", "clerk", "--drop").returncode == 0


def test_an_erased_person_is_gone_from_the_views(reader: psycopg.Connection[Any], service: Service) -> None:
    assert service.request("DELETE", "/v1/accounts/acme/users/ada/personal-data").is_success
    rows = reader.execute("SELECT user_id, comment FROM bi.survey_responses").fetchall()
    assert len(rows) == 2 and {comment for _, comment in rows} == {"[erased]"}
    assert all(user.startswith("erased-") for user, _ in rows)
    everything = [row for view in all_views() for row in reader.execute(f"SELECT own::text FROM bi.{view.name} AS own")]
    assert not any("Secret" in text or '"ada"' in text for (text,) in everything)
