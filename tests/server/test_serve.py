"""The server as a separate process, from the outside: sockets, signals, and its log."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import children_of

ROOT = Path(__file__).parents[2]
PROGRAM = """
from app.server.serve import run
from app.core.settings import Settings
run(Settings(_env_file=None), factory={factory!r})
"""
LONG_DEADLINES = {"HEADER_SECONDS": 60, "REQUEST_SECONDS": 60, "SHUTDOWN_SECONDS": 2}
HOST = b"Host: localhost\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\n" + HOST + b"Connection: close\r\n"
HALF_HEADERS = b"GET / HTTP/1.1\r\nHo"
HALF_BODY = POST + b"Content-Length: 9\r\n\r\nabc"
LARGE = b"GET /large/64 HTTP/1.1\r\n" + HOST + b"\r\n"
KEEP_ALIVE = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"


class ServerProcess:
    """A server in a separate process. Its log is a file."""

    def __init__(self, log: Path, *, factory: str = "tests.support.tiny_app:create", **settings: Any) -> None:
        self.log = log
        environment = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
        environment |= {"PORT": "0"} | {name: str(value) for name, value in settings.items()}
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM.format(factory=factory)], cwd=ROOT, env=environment, stderr=file
            )

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        """Return the complete lines of the log whose event begins with a text."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in lines if line["event"].startswith(event)]

    def wait_until_listening(self, *, processes: int = 1) -> None:
        wait_until(lambda: len(self.lines("listening")) >= processes or self.process.poll() is not None)
        self.port: int = self.lines("listening")[0]["port"]

    def connect(self, data: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall(data)
        return connection

    def exchange(self, *parts: bytes) -> bytes:
        """Send data on a new connection, and return all data until the server closes it."""
        with self.connect() as connection:
            for number, part in enumerate(parts):
                time.sleep(0.1 if number else 0)
                connection.sendall(part)
            return read_all(connection)

    def pids(self) -> set[int]:
        """Return the ids of the processes that respond."""
        return {int(self.exchange(GET).rpartition(b"\r\n")[2]) for _ in range(50)}

    def stop(self, sig: int = signal.SIGTERM) -> int:
        self.process.send_signal(sig)
        return self.process.wait(20)


def read_all(connection: socket.socket) -> bytes:
    """Return all data until the server closes the connection."""
    data = b""
    while part := connection.recv(2**16):
        data += part
    return data


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    with ExitStack() as stack:

        def start(*, listening: bool = True, **settings: Any) -> ServerProcess:
            server = ServerProcess(tmp_path / "log", **settings)
            stack.callback(server.process.wait)
            stack.callback(server.process.kill)
            if listening:
                server.wait_until_listening(processes=settings.get("WORKERS", 1))
            return server

        yield start


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose clients have half a second for headers and bodies."""
    log = tmp_path_factory.mktemp("process") / "log"
    process = ServerProcess(log, HEADER_SECONDS=0.5, REQUEST_SECONDS=0.5, MAX_BODY_BYTES=2**20)
    try:
        process.wait_until_listening()
        yield process
    finally:
        process.process.terminate()
        process.process.wait(30)


def status(response: bytes) -> int:
    return int(response.split(b" ", 2)[1])


def test_a_response_does_not_name_the_server(server: ServerProcess) -> None:
    response = server.exchange(GET)
    assert status(response) == 200
    assert b"\r\ndate: " in response
    assert b"server:" not in response.lower()


def test_the_head_of_a_response_does_not_wait_for_its_body(server: ServerProcess) -> None:
    with server.connect(b"GET /late-body HTTP/1.1\r\n" + HOST + b"\r\n") as connection:
        head = connection.recv(2**16)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert head.endswith(b"\r\n\r\n")


def test_a_client_that_waits_to_send_its_body_is_asked_for_it(server: ServerProcess) -> None:
    with server.connect(POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n") as connection:
        assert connection.recv(2**16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        response = read_all(connection)
    assert status(response) == 200
    assert response.endswith(b"\r\n\r\nabc")


def test_connections_with_slow_headers_are_closed_and_delay_nobody(server: ServerProcess) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(server.connect(HALF_HEADERS)) for _ in range(300)]
        slow += [stack.enter_context(server.connect(data)) for data in (b"", b"\r\n", GET[:-2])]
        assert status(server.exchange(GET)) == 200
        assert {read_all(connection) for connection in slow} == {b""}


def test_a_body_that_does_not_arrive_is_an_error(server: ServerProcess) -> None:
    response = server.exchange(HALF_BODY)
    assert status(response) == 408
    assert b"application/problem+json" in response


def test_a_body_that_the_app_does_not_read_is_not_kept_in_memory(server: ServerProcess) -> None:
    for _ in range(10):
        request = b"POST /unread HTTP/1.1\r\n" + HOST + b"Content-Length: 200000\r\n\r\n" + bytes(200_000)
        assert status(server.exchange(request)) == 401
    assert server.exchange(b"GET /bodies HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n").endswith(b"\r\n\r\n0")


def test_a_body_that_the_app_does_not_read_does_not_keep_the_connection(server: ServerProcess) -> None:
    response = server.exchange(b"POST /unread HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\nabc", b"d")
    assert status(response) == 401


@pytest.mark.parametrize("parts", [b"1", b"64"])
def test_the_connection_of_a_client_that_does_not_read_is_closed(parts: bytes, server: ServerProcess) -> None:
    with server.connect(b"GET /large/" + parts + b" HTTP/1.1\r\n" + HOST + b"\r\n") as connection:
        time.sleep(2)
        received = 0
        with suppress(ConnectionError):
            while part := connection.recv(2**20):
                received += len(part)
    assert received < 64 * 2**20


def test_an_error_response_reaches_a_client_that_is_still_sending(server: ServerProcess) -> None:
    with server.connect(POST + b"Content-Length: 9999999\r\n\r\n") as connection:
        for _ in range(9):
            connection.sendall(bytes(1_000_000))
        assert status(read_all(connection)) == 413


MALFORMED_REQUESTS = {
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00",
    "the start of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a tunnel": b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "two framings": POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "a folded header": POST + b"A: b\r\n c\r\n\r\n",
    "a bare line feed": b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    "a control character": b"GET / HTTP/1.1\r\n" + HOST + b"A: \x07\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n",
    "no chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
    "chunks that are not the last coding": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
}


@pytest.mark.parametrize("case", MALFORMED_REQUESTS)
def test_malformed_http_gets_a_problem(case: str, server: ServerProcess) -> None:
    response = server.exchange(MALFORMED_REQUESTS[case])
    head, _, body = response.partition(b"\r\n\r\n")
    assert status(response) == 400
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["status"] == 400


def test_endless_headers_are_an_error(server: ServerProcess) -> None:
    assert status(server.exchange(b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"x" * 100_000)) == 431
    assert status(server.exchange(b"GET /" + b"x" * 100_000)) == 431
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    assert status(server.exchange(chunked, b"A: " + b"x" * 100_000)) == 431


def test_malformed_data_after_a_request_does_not_disturb_its_response(server: ServerProcess) -> None:
    response = server.exchange(b"GET /slow/0.2 HTTP/1.1\r\n" + HOST + b"\r\n\x00\x00\x00")
    assert response.count(b"HTTP/1.1") == 1
    assert response.endswith(b"\r\n\r\ndone")


def test_a_trailer_is_not_a_header(server: ServerProcess) -> None:
    trailer = b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Request-Id: late\r\n\r\n"
    response = server.exchange(POST + trailer)
    assert response.endswith(b"\r\n\r\nhello")
    assert b"late" not in response


@pytest.mark.parametrize("cut", [10, 120, -3, None])
def test_a_request_for_another_protocol_keeps_its_body(cut: int | None, server: ServerProcess) -> None:
    upgrade = b"POST /echo HTTP/1.1\r\n" + HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    upgrade += b"HTTP2-Settings: AAMAAABk\r\nContent-Length: 5\r\n\r\nhello"
    parts = [upgrade + upgrade + GET] if cut is None else [upgrade[:cut], upgrade[cut:] + upgrade + GET]
    response = server.exchange(*parts)
    assert response.count(b"HTTP/1.1 200 OK") == 3
    assert response.count(b"\r\n\r\nhello") == 2


def test_every_line_of_the_log_is_json(server: ServerProcess) -> None:
    server.exchange(b"GET /%0a%1b[31m?a=%0a&api_key=csm_secret HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    wait_until(lambda: server.lines("request")[-1]["query"] == "a=%0a&api_key=***")
    assert "csm_secret" not in server.log.read_text()


@pytest.mark.parametrize(("sig", "workers"), [(signal.SIGTERM, 1), (signal.SIGINT, 2)])
def test_a_stop_waits_for_running_requests_only(sig: int, workers: int, serve: Callable[..., ServerProcess]) -> None:
    server = serve(WORKERS=workers, **LONG_DEADLINES | {"SHUTDOWN_SECONDS": 3})
    with ExitStack() as stack:
        slow = stack.enter_context(server.connect(b"GET /slow/0.5 HTTP/1.1\r\n" + HOST + b"\r\n"))
        half = stack.enter_context(server.connect(HALF_BODY))
        for data in (b"", HALF_HEADERS, LARGE, KEEP_ALIVE):
            stack.enter_context(server.connect(data))
        time.sleep(0.2)
        assert server.stop(sig) == 0
        assert read_all(slow).endswith(b"done")
        assert status(read_all(half)) == 503
        with pytest.raises(ConnectionError):
            server.connect()
    assert all("exception" not in line for line in server.lines())


def test_a_request_that_arrives_during_a_stop_is_answered(serve: Callable[..., ServerProcess]) -> None:
    server = serve(**LONG_DEADLINES)
    with server.connect(POST + b"Content-Length: 9\r\n\r\nabc") as connection, server.connect(KEEP_ALIVE) as idle:
        time.sleep(0.2)
        server.process.terminate()
        wait_until(lambda: server.lines("Shutting down"))
        connection.sendall(b"defghi")
        assert read_all(connection).endswith(b"abcdefghi")
        assert status(read_all(idle)) == 200
    assert server.process.wait(20) == 0


@pytest.mark.parametrize(("hangs", "workers"), [("end", 1), ("request", 2)])
def test_a_stop_does_not_wait_for_an_app_that_hangs(
    hangs: str, workers: int, serve: Callable[..., ServerProcess]
) -> None:
    server = serve(WORKERS=workers, TINY="endless" if hangs == "end" else "", **LONG_DEADLINES)
    with server.connect(b"GET /hang HTTP/1.1\r\n" + HOST + b"\r\n" if hangs == "request" else b""):
        time.sleep(0.2)
        assert server.stop() == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_the_exit_code_of_a_stop_that_failed_is_1(workers: int, serve: Callable[..., ServerProcess]) -> None:
    server = serve(WORKERS=workers, TINY="unstoppable")
    assert server.stop() == 1
    assert {line["event"] for line in server.lines() if line["level"] == "critical"} == {
        "the service did not stop cleanly"
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_the_exit_code_of_a_stop_during_the_start_is_0(workers: int, serve: Callable[..., ServerProcess]) -> None:
    server = serve(listening=False, WORKERS=workers, TINY="waiting")
    wait_until(lambda: len(server.lines("Waiting for application startup")) == workers)
    assert server.stop() == 0


def test_a_stop_does_not_wait_for_the_end_of_the_start(serve: Callable[..., ServerProcess]) -> None:
    server = serve(listening=False, TINY="waiting")
    wait_until(lambda: server.lines("Waiting for application startup"))
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("workers", "tiny", "reason"),
    [(1, "unstartable", "BooksError: other books"), (1, "broken", "no such thing"), (2, "broken", "no such thing")],
)
def test_the_reason_of_a_failed_start_is_logged(
    workers: int, tiny: str, reason: str, serve: Callable[..., ServerProcess]
) -> None:
    server = serve(listening=False, WORKERS=workers, TINY=tiny)
    assert server.process.wait(30) != 0
    assert {line["reason"] for line in server.lines() if line["level"] == "critical"} == {reason}


def test_a_port_in_use_is_logged_as_one_line(serve: Callable[..., ServerProcess]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        server = serve(listening=False, PORT=other.getsockname()[1], SHUTDOWN_SECONDS=0.2)
        assert server.process.wait(30) == 1
    waiting, line = server.lines()
    assert waiting["event"] == "waiting for the port"
    assert (line["event"], line["reason"]) == ("cannot listen", "Address already in use")


def test_a_start_waits_for_the_port_of_an_earlier_service(serve: Callable[..., ServerProcess]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        server = serve(listening=False, PORT=other.getsockname()[1])
        wait_until(lambda: server.lines("waiting for the port"))
    server.wait_until_listening()
    assert status(server.exchange(GET)) == 200


def test_a_worker_that_dies_is_replaced(serve: Callable[..., ServerProcess]) -> None:
    server = serve(WORKERS=2)
    before = server.pids()
    os.kill(min(before), signal.SIGKILL)
    wait_until(lambda: len(server.lines("listening")) == 3)
    after = server.pids()
    assert min(before) not in after
    assert server.stop() == 0
    assert not any(map(exists, before | after))


def test_workers_do_not_outlive_their_parent(serve: Callable[..., ServerProcess]) -> None:
    server = serve(WORKERS=2, **LONG_DEADLINES)
    workers = server.pids()
    with server.connect(HALF_BODY):
        server.stop(signal.SIGKILL)
        wait_until(lambda: not any(map(exists, workers)))


@pytest.mark.parametrize("tiny", ["", "waiting", "stuck"])
@pytest.mark.parametrize("moment", ["", "Started parent process", "Started server process", "Waiting for application"])
def test_workers_of_a_killed_parent_end_at_any_moment_of_their_start(
    tiny: str, moment: str, serve: Callable[..., ServerProcess]
) -> None:
    server = serve(listening=False, WORKERS=2, TINY=tiny, **LONG_DEADLINES | {"SHUTDOWN_SECONDS": 60})
    # The parent has three children: its workers, and a process that cleans up for multiprocessing.
    wait_until(lambda: len(children_of(server.process.pid)) == 3 and server.lines(moment))
    workers = children_of(server.process.pid)
    server.stop(signal.SIGKILL)
    wait_until(lambda: not any(map(exists, workers)))


def test_only_proxies_of_the_settings_are_trusted(server: ServerProcess, serve: Callable[..., ServerProcess]) -> None:
    trusting = serve(FORWARDED_ALLOW_IPS="127.0.0.1")
    for process in (server, trusting):
        process.exchange(
            b"GET /forwarded HTTP/1.1\r\n" + HOST + b"X-Forwarded-For: 192.0.2.7\r\nConnection: close\r\n\r\n"
        )

    def remotes(process: ServerProcess) -> list[str]:
        return [line["remote"] for line in process.lines("request") if line["path"] == "/forwarded"]

    wait_until(lambda: (remotes(server), remotes(trusting)) == (["127.0.0.1"], ["192.0.2.7"]))
