"""The log of the whole service: whose request a line is about, when the database goes away, and that no key is in it."""

import base64
import json
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import structlog

from app.access import keys as access_keys
from app.core import logs
from app.database import outage
from app.inbound import prune
from tests.support.process import ServiceProcess, service_process
from tests.support.service import ADMIN_KEY, Service, session

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def read_log(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Return the lines that were logged since the last call."""
    logs.configure("info")
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    logs.configure("error")


def create_key(service: Any, *scopes: str) -> dict[str, Any]:
    return service.request("POST", "/v1/keys", json={"name": "a key", "scopes": scopes}).json()


# --- Whose request a line is about --------------------------------------------------------------------------------------


def test_the_line_of_a_request_names_the_key_by_its_id(shared: Service, read_log: Any) -> None:
    key = create_key(shared, "read")
    read_log()
    shared.request("GET", "/v1/surveys", headers={"Authorization": f"Bearer {key['key']}"})
    shared.request("POST", "/v1/events", headers={"Authorization": f"Bearer {key['key']}"}, json=session())
    shared.request("GET", "/v1/surveys")
    shared.request("GET", "/v1/surveys", headers={"Authorization": "Bearer unknown"})
    shared.request("GET", "/healthz")
    lines = read_log()
    assert [line["status"] for line in lines] == [200, 403, 200, 401, 200]
    assert [line.get("key_id") for line in lines] == [key["id"], key["id"], "ADMIN_KEY", None, None]


def test_an_expired_key_is_named_too(service: Service, read_log: Any) -> None:
    body = {"name": "guest", "scopes": ["read"], "expires_on": "2026-03-17"}
    key = service.request("POST", "/v1/keys", json=body).json()
    read_log()
    service.on("2026-03-18").request("GET", "/v1/surveys", headers={"Authorization": f"Bearer {key['key']}"})
    [line] = read_log()
    assert (line["status"], line["key_id"]) == (401, key["id"])


def test_the_lines_of_a_request_name_the_trace_of_the_client(shared: Service, read_log: Any) -> None:
    shared.request("GET", "/v1/surveys", headers={"traceparent": TRACEPARENT})
    [line] = read_log()
    assert (line["traceparent"], line["trace_id"]) == (TRACEPARENT, TRACEPARENT[3:35])


@pytest.mark.parametrize("value", ["", "x", "00-abc", TRACEPARENT.upper(), TRACEPARENT + "x", "00-" + "0" * 200])
def test_a_traceparent_that_is_none_is_not_logged(value: str, shared: Service, read_log: Any) -> None:
    shared.request("GET", "/v1/surveys", headers={"traceparent": value})
    [line] = read_log()
    assert "trace_id" not in line and "traceparent" not in line


# --- The database goes away ---------------------------------------------------------------------------------------------


@pytest.fixture
def change_database(database: str, execute: Callable[[str], None]) -> Iterator[Callable[[bool], None]]:
    """Let the database of the test accept connections, or cut all and accept none."""
    name = database.rpartition("/")[2].partition("?")[0]

    def change(is_available: bool) -> None:
        execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {is_available}")
        if not is_available:
            execute(f"SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = '{name}'")

    yield change
    change(True)


@pytest.mark.own_database
def test_an_outage_is_two_lines_however_many_requests_fail(
    service: Service, change_database: Callable[[bool], None], read_log: Any
) -> None:
    service.send(session())
    change_database(False)
    for _ in range(5):
        responses = service.gather(*(service.client.get("/v1/alerts") for _ in range(4)))
        assert {response.status_code for response in responses} == {503}
    lines = [line for line in read_log() if line["event"] != "request"]
    assert [(line["event"], line["level"]) for line in lines] == [("the database is unavailable", "error")]
    assert "not currently accepting connections" in lines[0]["reason"] or "terminat" in lines[0]["reason"]
    change_database(True)
    service.send(session())
    [line] = [line for line in read_log() if line["event"] != "request"]
    assert line["event"] == "the database works again"
    # What is deleted after the start may have failed as well.
    assert line["failed_transactions"] in (20, 21)
    assert line["seconds"] >= 0


@pytest.mark.own_database
def test_what_is_deleted_in_the_background_reports_no_outage_of_its_own(
    start_service: Callable[..., Service],
    change_database: Callable[[bool], None],
    read_log: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prune, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(prune, "_OUTAGE_SECONDS", 0.001)
    service = start_service()
    change_database(False)
    for _ in range(20):
        assert service.request("GET", "/v1/surveys").status_code == 503
    change_database(True)
    assert service.get("/v1/surveys")
    events = [line["event"] for line in read_log() if line["event"] != "request"]
    assert events == ["the database is unavailable", "the database works again"]


@pytest.mark.own_database
def test_a_database_that_comes_and_goes_is_not_reported_each_time(
    service: Service, change_database: Callable[[bool], None], read_log: Any
) -> None:
    for _ in range(4):
        change_database(False)
        assert service.request("GET", "/v1/surveys").status_code == 503
        change_database(True)
        assert service.get("/v1/surveys")
    events = [line["event"] for line in read_log() if line["event"] != "request"]
    assert events == ["the database is unavailable", "the database works again"]
    with patch.object(outage, "_REPORT_SECONDS", 0):
        change_database(False)
        assert service.request("GET", "/v1/surveys").status_code == 503
    assert [line["event"] for line in read_log() if line["event"] != "request"] == ["the database is unavailable"]


@pytest.mark.own_database
def test_a_database_that_accepts_no_writes_is_reported_as_such(
    service: Service, execute_in: Callable[[str], None], query_database: Callable[[str], list[Any]], read_log: Any
) -> None:
    [[name]] = query_database("SELECT current_database()")
    ours = "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE application_name = 'csmetrics' "
    ours += "AND datname = current_database()"
    service.send(session())
    execute_in(f"ALTER DATABASE {name} SET default_transaction_read_only = on; {ours}")
    for _ in range(3):
        assert service.request("POST", "/v1/events", json=session()).status_code == 503
        assert service.get("/v1/surveys")
    lines = [line for line in read_log() if line["event"] != "request"]
    assert [line["event"] for line in lines] == ["the database accepts no writes"]
    assert "read-only transaction" in lines[0]["reason"]
    execute_in(f"SET default_transaction_read_only = off; ALTER DATABASE {name} RESET ALL; {ours}")
    service.send(session())
    assert [line["event"] for line in read_log() if line["event"] != "request"] == ["the database works again"]


# --- No key is in it ----------------------------------------------------------------------------------------------------


def send_key_everywhere(process: ServiceProcess, key: str) -> None:
    """Send a key wherever a client may put it, by right or by mistake."""
    anonymous = {"Authorization": ""}
    encoded_key = "".join(f"%{byte:02x}" for byte in key.encode())
    for text in (key, encoded_key, encoded_key.replace("%", "%25")):
        for name in ("api_key", "token", "access_token", "API%5FKEY", text):
            process.request("GET", f"/v1/surveys?{name}={text}", headers=anonymous)
        for path in (f"/{text}", f"/v1/accounts/{text}", f"/v1/metrics/{text}", f"/v1/metrics/nps?filter={text}=1"):
            process.request("GET", path)
        process.request("GET", f"/v1/surveys?{'x' * 1990}={text}")
    for headers in (
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"Token {key}"},
        {"Authorization": key},
        {"Authorization": "Basic " + base64.b64encode(f"ada:{key}".encode()).decode()},
        {"X-API-Key": key},
        {"X-Request-Id": key},
        {"traceparent": key},
        {"Cookie": f"token={key}"},
        {"User-Agent": key},
        {"Content-Type": key},
    ):
        process.request("POST", "/v1/events", json=session(), headers=headers)
    for body in (session(account=key), session(id=key), session() | {key: 1}, [key], {"name": key}):
        process.request("POST", "/v1/events", json=body)
        process.request("POST", "/v1/query", json=body)
    process.request("POST", "/v1/events", content=f'{{"id": "{key}'.encode())
    with socket.create_connection(("127.0.0.1", int(process.url.rpartition(":")[2]))) as connection:
        connection.sendall(f"GET /{key} HTTP/9.9\r\nAuthorization: Bearer {key}\r\n{key}\r\n\r\n".encode())
        connection.recv(1000)


@pytest.mark.own_database
def test_no_key_is_in_the_log_wherever_it_was_sent(database: str, tmp_path: Path) -> None:
    with service_process(tmp_path, database, LOG_LEVEL="debug") as process:
        keys = [create_key(process, scope)["key"] for scope in ("read", "admin")]
        for key in (*keys, ADMIN_KEY):
            send_key_everywhere(process, key)
        process.stop()
        log = process.log.read_text()
    assert log.count('"event": "request"') > 100
    for key in (*keys, ADMIN_KEY):
        secret = key[17:] if key.startswith("csm_") else key
        spellings = {
            key,
            secret,
            "".join(f"%{byte:02x}" for byte in secret.encode()),
            "".join(f"%25{byte:02x}" for byte in secret.encode()),
            base64.b64encode(f"ada:{key}".encode()).decode()[-30:].rstrip("="),
        }
        # Also of a part that a limit has cut off.
        assert not [text for text in spellings if text[:24] in log or text[-24:] in log]


def test_no_key_is_in_a_traceback_or_in_what_other_libraries_log(
    shared: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    key = create_key(shared, "read")["key"]

    async def fail(*_: Any) -> None:
        local = f"cannot use {key!r} and {ADMIN_KEY}"
        raise RuntimeError(local) from KeyError(key.replace("_", "%5F"))

    logs.configure("info")
    try:
        with patch.object(access_keys, "list_keys", fail):
            assert shared.request("GET", "/v1/keys").status_code == 500
        logging.getLogger("some.library").warning("sent %s", {"key": key, "list": [key, ADMIN_KEY]})
        structlog.get_logger("ours").error("no", key=key, nested={"deep": [key.encode()]}, exc_info=ValueError(key))
    finally:
        logs.configure("error")
    log = capsys.readouterr().err
    assert log.count("***") >= 8 and "RuntimeError" in log
    assert key[17:] not in log and ADMIN_KEY not in log
