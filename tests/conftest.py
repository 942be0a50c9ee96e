"""One real PostgreSQL for the whole run. Tests come one after the other to one database, which is emptied after each.

To make a database, open the service on it and drop it costs more than most tests do, so that is done only for the tests marked
`own_database`: those that change its shape, fill it with very much or cut connections.
"""

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

from app.core import logs
from app.database.migrate import migrate
from app.database.tables import metadata
from app.embedded import server as embedded
from tests.support.service import Service

_numbers = count()

logs.configure("error")


@pytest.fixture(scope="session")
def server() -> Iterator[sa.URL]:
    """The address of the run's PostgreSQL, with no database of ours in it yet."""
    with tempfile.TemporaryDirectory(prefix="csm-tests-") as folder:
        Path(folder).chmod(0o755)
        # Nobody cuts the power during a test, and a killed server loses nothing that the system has been given.
        with patch.object(embedded, "CONFIGURATION", embedded.CONFIGURATION.replace("fsync=on", "fsync=off")):
            running = embedded.start_server(Path(folder))
        try:
            yield sa.make_url(running.url)
        finally:
            running.stop()


@pytest.fixture(scope="session")
def execute(server: sa.URL) -> Iterator[Callable[[str], None]]:
    """Run a statement outside any transaction, as the owner of the server."""
    with psycopg.connect(_plain(server), autocommit=True) as connection:
        yield lambda statement: connection.execute(statement)


@pytest.fixture(scope="session")
def template(server: sa.URL, execute: Callable[[str], None]) -> str:
    """The name of a migrated database without content."""
    execute("CREATE DATABASE migrated")
    migrate(_url(server.set(database="migrated")))
    return "migrated"


@pytest.fixture(scope="session")
def copied(server: sa.URL, template: str, execute: Callable[[str], None]) -> Callable[..., Any]:
    """A fresh, migrated database for as long as a context lasts: its address."""

    @contextmanager
    def copy() -> Iterator[str]:
        name = f"test{next(_numbers)}"
        execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        yield _url(server.set(database=name))
        execute(f"DROP DATABASE {name} WITH (FORCE)")

    return copy


@pytest.fixture(scope="session")
def standing(copied: Callable[..., Any]) -> Iterator[Service]:
    """A running service that tests use one after the other; see `service`."""
    with copied() as url, Service(url).running() as running:
        yield running


@pytest.fixture(scope="session")
def empty(standing: Service) -> Iterator[Callable[[], None]]:
    """Make the database of the standing service what the migrations have left."""
    statements = [
        # Who holds locks would keep us waiting: what a test has left in the middle of something.
        "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = current_database() "
        "AND backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid()",
        *(f"DELETE FROM {table}" for table in metadata.tables),
        "INSERT INTO survey SELECT * FROM begun_with.survey",
    ]
    with psycopg.connect(_plain(sa.make_url(standing.url)), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA begun_with; CREATE TABLE begun_with.survey AS SELECT * FROM survey")
        reset = "; ".join(statements)
        # The first test finds what every later one finds: no books, which the start of the standing service has written.
        connection.execute(reset)
        yield lambda: connection.execute(reset)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a migrated database without content."""
    if _owns(request):
        with request.getfixturevalue("copied")() as url:
            yield url
    else:
        standing, empty = map(request.getfixturevalue, ("standing", "empty"))
        yield standing.url
        empty()


@pytest.fixture
def execute_in(database: str) -> Iterator[Callable[[str], None]]:
    """Run a statement in the test's database, behind the service's back."""
    with psycopg.connect(_plain(sa.make_url(database)), autocommit=True) as connection:
        yield lambda statement: connection.execute(statement)


@pytest.fixture
def query_database(database: str) -> Callable[[str], list[Any]]:
    """Return a function that runs a query in the database of the test."""

    def find(query: str) -> list[Any]:
        with psycopg.connect(database.replace("+psycopg", "")) as connection:
            return connection.execute(query).fetchall()

    return find


@pytest.fixture
def service(request: pytest.FixtureRequest, database: str) -> Iterator[Service]:
    """A running service with an empty database; its clock stands at noon of 15 March 2026."""
    if _owns(request):
        with Service(database).running() as running:
            yield running
    else:
        standing = request.getfixturevalue("standing")
        yield standing.reopen()
        assert standing.tasks() == set(), "it is still at something"


@pytest.fixture(scope="module")
def shared(copied: Callable[..., Any]) -> Iterator[Service]:
    """A running service that the tests of a module share, where what others leave behind does no harm."""
    with copied() as url, Service(url).running() as running:
        yield running
        assert running.differences() == [], "after all of it the ledger is not what the kept events say"


@pytest.fixture
def start(database: str) -> Iterator[Callable[..., Any]]:
    """Start services with other settings, on the test's database."""
    with ExitStack() as stack:

        @contextmanager
        def started(**settings: Any) -> Iterator[Service]:
            with Service(database, **settings).running() as running:
                yield running

        yield lambda **settings: stack.enter_context(started(**settings))


def _owns(request: pytest.FixtureRequest) -> bool:
    return request.node.get_closest_marker("own_database") is not None


def _url(url: sa.URL) -> str:
    return url.render_as_string(hide_password=False)


def _plain(url: sa.URL) -> str:
    return _url(url.set(drivername="postgresql"))
