"""Questions whose client has gone: their statements end on the server at once, and their connections are used again."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.agents.agent import message
from tests.server.test_serve import ServerProcess, wait_until
from tests.support.service import ADMIN_KEY

pytestmark = pytest.mark.own_database

QUESTIONS = [
    "GET /v1/metrics/mrr",
    "GET /v1/metrics/sessions?granularity=day&group_by=account",
    "GET /v1/metrics/nrr?compare=previous_year&as_of=2026-01-01&strict=false",
    "GET /v1/metrics/mrr/contributors",
    "GET /v1/query?metrics=mrr,nps,active_users&granularity=week",
    "GET /v1/cohorts",
    "GET /v1/checks",
    "GET /v1/accounts?filter=plan%20%3D%201%20and%20seats%20%3D%202&strict=false",
    "GET /v1/feedback",
]
HEAD = f"HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN_KEY}\r\n"
RUNNING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'csmetrics' AND state <> 'idle'
    """


@pytest.fixture
def server(database: str, tmp_path: Path) -> Iterator[ServerProcess]:
    settings = {"DATABASE_URL": database, "ADMIN_KEY": ADMIN_KEY, "QUESTIONS_AT_ONCE": 2, "SHUTDOWN_SECONDS": 2}
    process = ServerProcess(tmp_path / "log", factory="app.main:create_app", **settings)
    process.wait_until_listening()
    yield process
    assert process.stop() == 0


@contextmanager
def locked_tables(database: str) -> Iterator[Callable[[], int]]:
    """Lock what questions read, so that they go on for ever; yield a function that counts the transactions of the service."""
    url = database.replace("+psycopg", "")
    with psycopg.connect(url) as owner, psycopg.connect(url, autocommit=True) as observer:
        owner.execute("LOCK TABLE account, attribute, entry, total, grand_total, event, presence, label")
        yield lambda: observer.execute(RUNNING).fetchone()[0]  # type: ignore[index]


def ask(server: ServerProcess, line: str, body: Any = None, headers: str = "") -> socket.socket:
    """Send a request, and return its connection."""
    content = b"" if body is None else json.dumps(body).encode()
    head = HEAD if body is None else f"{HEAD}Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    head += headers
    return server.connect(f"{line} {head}\r\n".encode() + content)


def test_the_statement_of_a_client_that_hangs_up_is_canceled(server: ServerProcess, database: str) -> None:
    for question in QUESTIONS:
        with locked_tables(database) as count_running:
            # More than may run at the same time: an abandoned question must also leave its place.
            for _ in range(3):
                connection = ask(server, question)
                wait_until(lambda: count_running() == 1)
                connection.close()
                wait_until(lambda: count_running() == 0)
    with ask(server, "GET /v1/metrics/mrr") as connection:
        assert connection.recv(2**16).startswith(b"HTTP/1.1 200")
    assert {line["status"] for line in server.lines("request") if "checks" in line["path"]} == {499}
    assert not [line for line in server.lines() if line["level"] in ("error", "critical")]


def test_a_question_in_a_body_is_canceled_as_well(server: ServerProcess, database: str) -> None:
    with locked_tables(database) as count_running:
        connection = ask(server, "POST /v1/query", {"metrics": ["mrr"]})
        wait_until(lambda: count_running() == 1)
        connection.close()
        wait_until(lambda: count_running() == 0)


@pytest.mark.parametrize("version", ["2026-07-28", "2025-06-18"])
def test_the_question_of_an_agent_is_canceled_as_well(server: ServerProcess, database: str, version: str) -> None:
    body, own_headers = message("tools/call", {"name": "query_metrics", "arguments": {"metrics": ["mrr"]}})
    members = own_headers | {"MCP-Protocol-Version": version}
    headers = "".join(f"{name}: {value}\r\n" for name, value in members.items() if name != "Content-Type")
    for _ in range(3):
        with locked_tables(database) as count_running:
            connection = ask(server, "POST /mcp", body, headers)
            wait_until(lambda: count_running() == 1)
            connection.close()
            wait_until(lambda: count_running() == 0)
    assert not [line for line in server.lines() if line["level"] in ("error", "critical")]


def test_a_write_is_finished_although_its_client_has_gone(server: ServerProcess, database: str) -> None:
    with locked_tables(database) as count_running:
        connection = ask(server, "PUT /v1/accounts/acme", {"attributes": {"plan": "pro"}})
        wait_until(lambda: count_running() == 1)
        connection.close()
        wait_until(lambda: bool(server.lines("request")) or count_running() == 1)
    wait_until(lambda: count_accounts(database) == 1)


def count_accounts(database: str) -> int:
    with psycopg.connect(database.replace("+psycopg", "")) as connection:
        return connection.execute("SELECT count(*) FROM account").fetchone()[0]  # type: ignore[index]
