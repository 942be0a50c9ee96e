"""The processes of a run: one PostgreSQL for everything, the service, and the minimal service for comparison."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

from app.core.settings import Settings
from app.embedded import server as embedded
from bench.client import Connection, UnexpectedResponse, build_request, fetch_json

_START_SECONDS, _STOP_SECONDS = 300, 30
# The working directory of processes: one without a file `.env`, which would be read as settings.
_WORKING_DIRECTORY = Path(__file__).parent
_POOL_SIZE = Settings.model_fields["pool_size"].default


@dataclass(frozen=True)
class Postgres:
    """The database server.

    A database that is completely loaded has facts about it, as JSON, in its comment. One whose loading was interrupted has
    no comment.
    """

    url: sa.URL
    folder: Path

    def database(self, name: str) -> str:
        """Return the URL of a database."""
        return self.url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)

    def connect(self, name: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(self.database(name), autocommit=True)

    @property
    def logs(self) -> Path:
        """The folder of the processes' logs."""
        return self.folder.parent

    def create(self, name: str, *, template: str = "template1") -> None:
        """Create a database, empty or as a copy of another one. One of the same name is dropped."""
        self.drop(name)
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        with self.connect() as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))

    def drop(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def write_comment(self, name: str, facts: dict[str, Any]) -> None:
        with self.connect() as connection:
            statement = sql.SQL("COMMENT ON DATABASE {} IS {}")
            connection.execute(statement.format(sql.Identifier(name), sql.Literal(json.dumps(facts))))

    def read_comment(self, name: str) -> dict[str, Any] | None:
        """Return the facts about a database, None when it does not exist or is not complete."""
        query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
        with self.connect() as connection:
            row = connection.execute(query, [name]).fetchone()
        return json.loads(row[0]) if row and row[0] else None

    def show(self, *settings: str) -> dict[str, str]:
        """Return settings of the server."""
        with self.connect() as connection:
            return {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in settings}  # type: ignore[index]


@contextmanager
def run_postgres(folder: Path) -> Iterator[Postgres]:
    server = embedded.start_server(folder)
    try:
        yield Postgres(sa.make_url(server.url), folder)
    finally:
        server.stop()


@dataclass(frozen=True)
class Server:
    """A running HTTP server. keys: API keys by scope; the minimal service has none. pid: of its first process."""

    port: int
    keys: dict[str, str]
    pid: int


@contextmanager
def run_service(database: str, *, log: Path, workers: int = 1, **settings: Any) -> Iterator[Server]:
    """Run `csmetrics serve` with its defaults on a free port, with stored keys, which are looked up for each request."""
    admin, port = secrets.token_urlsafe(24), _find_free_port()
    environment = _environment(database) | {"ADMIN_KEY": admin, "PORT": str(port), "WORKERS": str(workers)}
    environment |= {name.upper(): str(value) for name, value in settings.items()}
    with _run_process([_script("csmetrics"), "serve"], environment, port=port, log=log) as pid:
        keys = {"admin": admin}
        with Connection(port) as connection:
            for scope in ("ingest", "read"):
                body = json.dumps({"name": f"bench {scope}", "scopes": [scope]}).encode()
                created = fetch_json(connection, build_request("POST", "/v1/keys", key=admin, body=body))
                keys[scope] = created["key"]
        yield Server(port, keys, pid)


def process_seconds(pid: int) -> float:
    """Return the seconds of the processor that a process has used. Raises FileNotFoundError."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def run_work(database: str, *, log: Path, **settings: Any) -> Iterator[int]:
    """Run `csmetrics work`, and return the id of its process."""
    environment = _environment(database) | {name.upper(): str(value) for name, value in settings.items()}
    with _start([_script("csmetrics"), "work"], environment, log=log) as process:
        _wait_until(lambda: b"delivering webhooks" in log.read_bytes(), process, log=log)
        yield process.pid


def run_command(database: str, *arguments: str) -> None:
    """Run `csmetrics …` on a database. Raises CalledProcessError."""
    command = [_script("csmetrics"), *arguments]
    subprocess.run(command, env=_environment(database), check=True, cwd=_WORKING_DIRECTORY)


@contextmanager
def run_minimal_service(
    database: str, *, log: Path, workers: int, module: str = "bench.minimal_insert"
) -> Iterator[Server]:
    port = _find_free_port()
    serve = f"{module}:app --port {port} --workers {workers} --no-access-log --log-level warning"
    arguments = [sys.executable, "-m", "uvicorn", *serve.split(), "--loop", "uvloop", "--http", "httptools"]
    root = str(Path(__file__).parent.parent)
    environment = os.environ | {"DATABASE": database, "POOL_SIZE": str(_POOL_SIZE), "PYTHONPATH": root}
    with _run_process(arguments, environment, port=port, log=log) as pid:
        yield Server(port, {}, pid)


def _environment(database: str) -> dict[str, str]:
    """Return our environment without the service's settings, so that it is measured with its defaults."""
    ours = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    return ours | {"DATABASE_URL": database}


def _script(name: str) -> str:
    return str(Path(sysconfig.get_path("scripts"), name))


def _find_free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _run_process(arguments: list[str], environment: dict[str, str], *, port: int, log: Path) -> Iterator[int]:
    """Start a process that serves, wait until it is ready, return its id, and stop it at the end."""

    def is_ready() -> bool:
        with suppress(OSError, UnexpectedResponse), Connection(port) as connection:
            return connection.exchange(build_request("GET", "/readyz"))[0] == 200
        return False

    with _start(arguments, environment, log=log) as process:
        _wait_until(is_ready, process, log=log)
        yield process.pid


@contextmanager
def _start(arguments: list[str], environment: dict[str, str], *, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a process, and stop it at the end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(arguments, env=environment, cwd=_WORKING_DIRECTORY, stdout=output, stderr=output)
        try:
            yield process
        finally:
            _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until(is_ready: Callable[[], bool], process: "subprocess.Popen[bytes]", *, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} has ended. Its output:\n{log.read_text(errors='replace')[-2000:]}")
        if is_ready():
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} was not ready in {_START_SECONDS} s; see {log}.")
