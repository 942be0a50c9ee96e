"""One real PostgreSQL for the whole run. Tests come one after the other to one database, which is emptied after each.

To make a database, open the service on it and drop it costs more than most tests do, so that is done only for the tests marked
`own_database`: those that change its shape, fill it with very much or cut connections.
"""

import gc
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
import sqlalchemy as sa

from app.bi.update import create_views
from app.core import logs
from app.database.all_tables import metadata
from app.database.migrate import migrate
from app.embedded import server as embedded
from app.webhooks import destination
from tests.support.service import Service

_numbers = count()

logs.configure("error")


def pytest_collection_finish() -> None:
    """Exempt what exists before the first test from the collection of garbage, as the service does after its start.

    The collector would look through all modules, tests and catalogues again and again, which takes a sixth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.fixture(scope="session")
def server() -> Iterator[sa.URL]:
    """The address of the run's PostgreSQL, without a database of the tests."""
    with tempfile.TemporaryDirectory(prefix="csm-tests-") as folder:
        Path(folder).chmod(0o755)
        # Nobody cuts the power during a test, and a killed server loses nothing that it has passed to the system.
        with patch.object(embedded, "CONFIGURATION", embedded.CONFIGURATION.replace("fsync=on", "fsync=off")):
            embedded_server = embedded.start_server(Path(folder))
        try:
            yield sa.make_url(embedded_server.url)
        finally:
            embedded_server.stop()


@pytest.fixture(scope="session")
def execute(server: sa.URL) -> Iterator[Callable[[str], None]]:
    """Run a statement outside any transaction, as the owner of the server."""
    with psycopg.connect(_libpq_url(server), autocommit=True) as connection:
        yield lambda statement: connection.execute(statement)


@pytest.fixture(scope="session")
def template(server: sa.URL, execute: Callable[[str], None]) -> str:
    """The name of a migrated database without content."""
    execute("CREATE DATABASE migrated")
    url = server.set(database="migrated")
    migrate(_format_url(url))
    create_views(url)
    return "migrated"


@pytest.fixture(scope="session")
def copy_database(server: sa.URL, template: str, execute: Callable[[str], None]) -> Callable[..., Any]:
    """A fresh, migrated database for as long as a context lasts: its address."""

    @contextmanager
    def copy() -> Iterator[str]:
        name = f"test{next(_numbers)}"
        execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        yield _format_url(server.set(database=name))
        execute(f"DROP DATABASE {name} WITH (FORCE)")

    return copy


@pytest.fixture(scope="session")
def reusable_service(copy_database: Callable[..., Any]) -> Iterator[Service]:
    """A service that tests use one after the other; see `service`."""
    with copy_database() as url, Service(url).open() as service:
        yield service


@pytest.fixture(scope="session")
def reset_database(reusable_service: Service) -> Iterator[Callable[[], None]]:
    """Return a function that makes the database of the reusable service what it was after the migrations."""
    statements = [
        # Transactions that a test has left open may hold locks.
        "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = current_database() "
        "AND backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid()",
        *(f"DELETE FROM {table}" for table in metadata.tables),
        "INSERT INTO survey SELECT * FROM after_migrations.survey",
    ]
    with psycopg.connect(_libpq_url(sa.make_url(reusable_service.url)), autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA after_migrations; CREATE TABLE after_migrations.survey AS SELECT * FROM survey"
        )
        reset = "; ".join(statements)
        # The first test finds what every later one finds: no books, which the start of the reusable service has written.
        connection.execute(reset)
        yield lambda: connection.execute(reset)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a migrated database without content."""
    if _has_own_database(request):
        with request.getfixturevalue("copy_database")() as url:
            yield url
    else:
        service, reset = map(request.getfixturevalue, ("reusable_service", "reset_database"))
        yield service.url
        reset()


@pytest.fixture
def execute_in(database: str) -> Iterator[Callable[[str], None]]:
    """Run a statement in the test's database without the service."""
    with psycopg.connect(_libpq_url(sa.make_url(database)), autocommit=True) as connection:
        yield lambda statement: connection.execute(statement)


@pytest.fixture
def query_database(database: str) -> Callable[[str], list[Any]]:
    """Return a function that runs a query in the database of the test."""

    def fetch(query: str) -> list[Any]:
        with psycopg.connect(database.replace("+psycopg", "")) as connection:
            return connection.execute(query).fetchall()

    return fetch


@pytest.fixture
def service(request: pytest.FixtureRequest, database: str) -> Iterator[Service]:
    """A running service with an empty database; its clock stands at noon of 15 March 2026."""
    if _has_own_database(request):
        with Service(database).open() as service:
            yield service
    else:
        service = request.getfixturevalue("reusable_service")
        # Those of the service itself run from its start to its end.
        tasks = service.tasks()
        yield service.reopen()
        service.wait_for(service.tasks() - tasks)
        assert service.tasks() == tasks, "a task of the test has not ended"


@pytest.fixture(scope="module")
def shared(copy_database: Callable[..., Any]) -> Iterator[Service]:
    """A running service that the tests of a module share, where what one test stores does not disturb another."""
    with copy_database() as url, Service(url).open() as service:
        yield service
        assert service.differences() == [], "after all of it the ledger does not agree with the stored events"


@pytest.fixture
def start_service(database: str) -> Iterator[Callable[..., Any]]:
    """Start services with other settings, on the test's database."""
    with ExitStack() as stack:

        @contextmanager
        def open_service(**settings: Any) -> Iterator[Service]:
            with Service(database, **settings).open() as service:
                yield service

        yield lambda **settings: stack.enter_context(open_service(**settings))


@pytest.fixture
def example_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let example.com have a public address, as it has in the world, also where the tests reach no name server."""
    own_look_up = destination.look_up

    def look_up(host: str, port: int) -> list[str]:
        return ["93.184.216.34"] if host == "example.com" else own_look_up(host, port)

    monkeypatch.setattr(destination, "look_up", look_up)


def _has_own_database(request: pytest.FixtureRequest) -> bool:
    return request.node.get_closest_marker("own_database") is not None


def _format_url(url: sa.URL) -> str:
    return url.render_as_string(hide_password=False)


def _libpq_url(url: sa.URL) -> str:
    return _format_url(url.set(drivername="postgresql"))
