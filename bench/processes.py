"""What a run starts and stops: one PostgreSQL for everything, the service, and the bare endpoint beside it."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

from app.core.settings import Settings
from app.embedded import server as embedded
from bench.client import Connection, Refused, ask, request

_START_SECONDS, _STOP_SECONDS = 300, 30
# A folder without a file `.env`, which would be read as settings.
_ELSEWHERE = Path(__file__).parent
_POOL_SIZE = Settings.model_fields["pool_size"].default


@dataclass(frozen=True)
class Postgres:
    """The server. A database that is ready carries what is known of it as its comment, so one cut short has none."""

    url: sa.URL
    folder: Path

    def database(self, name: str) -> str:
        return self.url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)

    def connect(self, name: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(self.database(name), autocommit=True)

    @property
    def logs(self) -> Path:
        return self.folder.parent

    def make(self, name: str, *, template: str = "template1") -> None:
        """A database, in place of the one of that name if there is one; empty, or a copy of another one."""
        self.drop(name)
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        with self.connect() as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))

    def drop(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def label(self, name: str, facts: dict[str, Any]) -> None:
        with self.connect() as connection:
            statement = sql.SQL("COMMENT ON DATABASE {} IS {}")
            connection.execute(statement.format(sql.Identifier(name), sql.Literal(json.dumps(facts))))

    def facts(self, name: str) -> dict[str, Any] | None:
        """What a database was labelled with; None when it does not exist or was not finished."""
        query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
        with self.connect() as connection:
            found = connection.execute(query, [name]).fetchone()
        return json.loads(found[0]) if found and found[0] else None

    def show(self, *settings: str) -> dict[str, str]:
        with self.connect() as connection:
            return {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in settings}  # type: ignore[index]


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    server = embedded.start_server(folder)
    try:
        yield Postgres(sa.make_url(server.url), folder)
    finally:
        server.stop()


@dataclass(frozen=True)
class Running:
    """A process that answers; `keys` by scope, of the service only."""

    port: int
    keys: dict[str, str]


@contextmanager
def service(database: str, *, log: Path, workers: int = 1, **settings: Any) -> Iterator[Running]:
    """`csmetrics serve` as it is by default, on a free port, with keys as a client has them: looked up for each request."""
    admin, port = secrets.token_urlsafe(24), _free_port()
    environment = _environment(database) | {"ADMIN_KEY": admin, "PORT": str(port), "WORKERS": str(workers)}
    environment |= {name.upper(): str(value) for name, value in settings.items()}
    with _process([_script("csmetrics"), "serve"], environment, port=port, log=log):
        keys = {"admin": admin}
        with Connection(port) as connection:
            for scope in ("ingest", "read"):
                body = json.dumps({"name": f"bench {scope}", "scopes": [scope]}).encode()
                keys[scope] = ask(connection, request("POST", "/v1/keys", key=admin, body=body))["key"]
        yield Running(port, keys)


def command(database: str, *arguments: str) -> None:
    """Run `csmetrics …` on a database. Raises CalledProcessError."""
    subprocess.run([_script("csmetrics"), *arguments], env=_environment(database), check=True, cwd=_ELSEWHERE)


@contextmanager
def bare(database: str, *, log: Path, workers: int) -> Iterator[Running]:
    port = _free_port()
    serve = f"bench.bare:app --port {port} --workers {workers} --no-access-log --log-level warning"
    arguments = [sys.executable, "-m", "uvicorn", *serve.split(), "--loop", "uvloop", "--http", "httptools"]
    root = str(Path(__file__).parent.parent)
    environment = os.environ | {"DATABASE": database, "POOL_SIZE": str(_POOL_SIZE), "PYTHONPATH": root}
    with _process(arguments, environment, port=port, log=log):
        yield Running(port, {})


def _environment(database: str) -> dict[str, str]:
    """Ours without settings of the service: it is measured as it is by default."""
    ours = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    return ours | {"DATABASE_URL": database}


def _script(name: str) -> str:
    return str(Path(sysconfig.get_path("scripts"), name))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def _process(arguments: list[str], environment: dict[str, str], *, port: int, log: Path) -> Iterator[None]:
    """A process from the moment it is ready until it has ended."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as said:
        process = subprocess.Popen(arguments, env=environment, cwd=_ELSEWHERE, stdout=said, stderr=said)
        try:
            _await(process, port=port, log=log)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(process: "subprocess.Popen[bytes]", *, port: int, log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} has ended; it said:\n{log.read_text(errors='replace')[-2000:]}")
        with suppress(OSError, Refused), Connection(port) as connection:
            if connection.exchange(request("GET", "/readyz"))[0] == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} was not ready in {_START_SECONDS} s; see {log}.")
