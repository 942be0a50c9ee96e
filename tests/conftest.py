"""One real PostgreSQL for the whole run, and a database of its own for every test, copied from a migrated one."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from app import logs
from app.store import embedded
from app.store.database import migrate
from tests.service import Service

_numbers = count()

logs.configure("error")


@pytest.fixture(scope="session")
def server() -> Iterator[sa.URL]:
    """The address of the run's PostgreSQL, with no database of ours in it yet."""
    with tempfile.TemporaryDirectory(prefix="csm-tests-") as folder:
        Path(folder).chmod(0o755)
        running = embedded.start(Path(folder))
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


@pytest.fixture
def database(copied: Callable[..., Any]) -> Iterator[str]:
    """The address of a fresh, migrated database."""
    with copied() as url:
        yield url


@pytest.fixture
def execute_in(database: str) -> Iterator[Callable[[str], None]]:
    """Run a statement in the test's database, behind the service's back."""
    with psycopg.connect(_plain(sa.make_url(database)), autocommit=True) as connection:
        yield lambda statement: connection.execute(statement)


@pytest.fixture
def service(database: str) -> Iterator[Service]:
    """A running service with an empty database; its clock stands at noon of 15 March 2026."""
    with Service(database).running() as running:
        yield running


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


def _url(url: sa.URL) -> str:
    return url.render_as_string(hide_password=False)


def _plain(url: sa.URL) -> str:
    return _url(url.set(drivername="postgresql"))
