"""The server, as a process of its own and from the outside: sockets, signals, and what it logs."""

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

ROOT = Path(__file__).parents[2]
PROGRAM = """
from app.server.serve import run
from app.core.settings import Settings
run(Settings(_env_file=None), factory="tests.support.tiny_app:create")
"""
ENDURING = {"HEADER_SECONDS": 60, "REQUEST_SECONDS": 60, "SHUTDOWN_SECONDS": 2}
HOST = b"Host: localhost\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\n" + HOST + b"Connection: close\r\n"
HALF_HEAD = b"GET / HTTP/1.1\r\nHo"
HALF_BODY = POST + b"Content-Length: 9\r\n\r\nabc"
NEVER_READ = b"GET /large/64 HTTP/1.1\r\n" + HOST + b"\r\n"
KEPT_ALIVE = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"


class Served:
    """A server in a process of its own; its log is a file."""

    def __init__(self, log: Path, **settings: Any) -> None:
        self.log = log
        environment = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
        environment |= {"PORT": "0"} | {name: str(value) for name, value in settings.items()}
        with log.open("wb") as file:
            self.process = subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, stderr=file)

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in lines if line["event"].startswith(event)]

    def wait_until_it_listens(self, *, processes: int = 1) -> None:
        eventually(lambda: len(self.lines("listening")) >= processes or self.process.poll() is not None)
        self.port: int = self.lines("listening")[0]["port"]

    def connect(self, sent: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall(sent)
        return connection

    def ask(self, *pieces: bytes) -> bytes:
        """All that comes back on a connection of its own, until the server closes it."""
        with self.connect() as connection:
            for number, piece in enumerate(pieces):
                time.sleep(0.1 if number else 0)
                connection.sendall(piece)
            return rest_of(connection)

    def pids(self) -> set[int]:
        """The processes that answer."""
        return {int(self.ask(GET).rpartition(b"\r\n")[2]) for _ in range(50)}

    def stop(self, sig: int = signal.SIGTERM) -> int:
        self.process.send_signal(sig)
        return self.process.wait(20)


def rest_of(connection: socket.socket) -> bytes:
    answer = b""
    while piece := connection.recv(2**16):
        answer += piece
    return answer


def eventually(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    with ExitStack() as stack:

        def start(*, listening: bool = True, **settings: Any) -> Served:
            served = Served(tmp_path / "log", **settings)
            stack.callback(served.process.wait)
            stack.callback(served.process.kill)
            if listening:
                served.wait_until_it_listens(processes=settings.get("WORKERS", 1))
            return served

        yield start


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that gives clients half a second."""
    log = tmp_path_factory.mktemp("served") / "log"
    served = Served(log, HEADER_SECONDS=0.5, REQUEST_SECONDS=0.5, MAX_BODY_BYTES=2**20)
    try:
        served.wait_until_it_listens()
        yield served
    finally:
        served.process.terminate()
        served.process.wait(30)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_it_answers_and_does_not_say_what_it_is(hasty: Served) -> None:
    answer = hasty.ask(GET)
    assert status(answer) == 200
    assert b"\r\ndate: " in answer
    assert b"server:" not in answer.lower()


def test_slow_heads_are_closed_and_hold_nobody_up(hasty: Served) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(hasty.connect(HALF_HEAD)) for _ in range(300)]
        slow += [stack.enter_context(hasty.connect(sent)) for sent in (b"", b"\r\n", GET[:-2])]
        assert status(hasty.ask(GET)) == 200
        assert {rest_of(connection) for connection in slow} == {b""}


def test_a_body_that_does_not_arrive_is_answered_and_closed(hasty: Served) -> None:
    answer = hasty.ask(HALF_BODY)
    assert status(answer) == 408
    assert b"application/problem+json" in answer


def test_a_body_that_nobody_reads_does_not_keep_the_connection(hasty: Served) -> None:
    answer = hasty.ask(b"POST /unread HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\nabc", b"d")
    assert status(answer) == 401


@pytest.mark.parametrize("pieces", [b"1", b"64"])
def test_a_client_that_does_not_read_is_cut_off(pieces: bytes, hasty: Served) -> None:
    with hasty.connect(b"GET /large/" + pieces + b" HTTP/1.1\r\n" + HOST + b"\r\n") as connection:
        time.sleep(2)
        received = 0
        with suppress(ConnectionError):
            while piece := connection.recv(2**20):
                received += len(piece)
    assert received < 64 * 2**20


def test_a_refusal_reaches_a_client_that_is_still_sending(hasty: Served) -> None:
    with hasty.connect(POST + b"Content-Length: 9999999\r\n\r\n") as connection:
        for _ in range(9):
            connection.sendall(bytes(1_000_000))
        assert status(rest_of(connection)) == 413


MALFORMED = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00",
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


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_not_sound_http_is_refused_with_a_problem(case: str, hasty: Served) -> None:
    answer = hasty.ask(MALFORMED[case])
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) == 400
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["status"] == 400


def test_headers_without_end_are_refused(hasty: Served) -> None:
    assert status(hasty.ask(b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"x" * 100_000)) == 431
    assert status(hasty.ask(b"GET /" + b"x" * 100_000)) == 431
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    assert status(hasty.ask(chunked, b"A: " + b"x" * 100_000)) == 431


def test_a_fault_after_a_request_leaves_its_answer_alone(hasty: Served) -> None:
    answer = hasty.ask(b"GET /slow/0.2 HTTP/1.1\r\n" + HOST + b"\r\n\x00\x00\x00")
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.endswith(b"\r\n\r\ndone")


def test_a_header_after_the_body_is_not_taken_for_one_before(hasty: Served) -> None:
    trailer = b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Request-Id: late\r\n\r\n"
    answer = hasty.ask(POST + trailer)
    assert answer.endswith(b"\r\n\r\nhello")
    assert b"late" not in answer


@pytest.mark.parametrize("cut", [10, 120, -3, None])
def test_a_wish_for_another_protocol_does_not_cost_the_body(cut: int | None, hasty: Served) -> None:
    upgrade = b"POST /echo HTTP/1.1\r\n" + HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    upgrade += b"HTTP2-Settings: AAMAAABk\r\nContent-Length: 5\r\n\r\nhello"
    pieces = [upgrade + upgrade + GET] if cut is None else [upgrade[:cut], upgrade[cut:] + upgrade + GET]
    answer = hasty.ask(*pieces)
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.count(b"\r\n\r\nhello") == 2


def test_everything_that_it_has_logged_is_json(hasty: Served) -> None:
    hasty.ask(b"GET /%0a%1b[31m?a=%0a&api_key=csm_secret HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    eventually(lambda: hasty.lines("request")[-1]["query"] == "a=%0a&api_key=***")
    assert "csm_secret" not in hasty.log.read_text()


@pytest.mark.parametrize(("sig", "workers"), [(signal.SIGTERM, 1), (signal.SIGINT, 2)])
def test_a_stop_lets_requests_end_and_waits_for_nobody_else(
    sig: int, workers: int, serve: Callable[..., Served]
) -> None:
    served = serve(WORKERS=workers, **ENDURING | {"SHUTDOWN_SECONDS": 3})
    with ExitStack() as stack:
        slow = stack.enter_context(served.connect(b"GET /slow/0.5 HTTP/1.1\r\n" + HOST + b"\r\n"))
        half = stack.enter_context(served.connect(HALF_BODY))
        for sent in (b"", HALF_HEAD, NEVER_READ, KEPT_ALIVE):
            stack.enter_context(served.connect(sent))
        time.sleep(0.2)
        assert served.stop(sig) == 0
        assert rest_of(slow).endswith(b"done")
        assert status(rest_of(half)) == 503
        with pytest.raises(ConnectionError):
            served.connect()
    assert all("exception" not in line for line in served.lines())


def test_a_request_that_is_on_its_way_at_a_stop_is_answered(serve: Callable[..., Served]) -> None:
    served = serve(**ENDURING)
    with served.connect(POST + b"Content-Length: 9\r\n\r\nabc") as connection, served.connect(KEPT_ALIVE) as idle:
        time.sleep(0.2)
        served.process.terminate()
        eventually(lambda: served.lines("Shutting down"))
        connection.sendall(b"defghi")
        assert rest_of(connection).endswith(b"abcdefghi")
        assert status(rest_of(idle)) == 200
    assert served.process.wait(20) == 0


@pytest.mark.parametrize(("hangs", "workers"), [("end", 1), ("request", 2)])
def test_a_stop_does_not_wait_for_an_app_that_hangs(hangs: str, workers: int, serve: Callable[..., Served]) -> None:
    served = serve(WORKERS=workers, TINY="endless" if hangs == "end" else "", **ENDURING)
    with served.connect(b"GET /hang HTTP/1.1\r\n" + HOST + b"\r\n" if hangs == "request" else b""):
        time.sleep(0.2)
        served.stop()


def test_a_stop_does_not_wait_for_the_start(serve: Callable[..., Served]) -> None:
    served = serve(listening=False, TINY="waiting")
    eventually(lambda: served.lines("Waiting for application startup"))
    assert served.stop() == 0


@pytest.mark.parametrize(
    ("workers", "tiny", "reason"),
    [(1, "unstartable", "BooksError: other books"), (1, "broken", "no such thing"), (2, "broken", "no such thing")],
)
def test_a_start_that_fails_says_why(workers: int, tiny: str, reason: str, serve: Callable[..., Served]) -> None:
    served = serve(listening=False, WORKERS=workers, TINY=tiny)
    assert served.process.wait(30) != 0
    assert {line["reason"] for line in served.lines() if line["level"] == "critical"} == {reason}


def test_a_port_in_use_is_one_line(serve: Callable[..., Served]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        served = serve(listening=False, PORT=other.getsockname()[1])
        assert served.process.wait(30) == 1
    (line,) = served.lines()
    assert (line["event"], line["reason"]) == ("cannot listen", "Address already in use")


def test_a_worker_that_dies_is_replaced(serve: Callable[..., Served]) -> None:
    served = serve(WORKERS=2)
    before = served.pids()
    os.kill(min(before), signal.SIGKILL)
    eventually(lambda: len(served.lines("listening")) == 3)
    after = served.pids()
    assert min(before) not in after
    assert served.stop() == 0
    assert not any(map(exists, before | after))


def test_workers_do_not_outlive_their_parent(serve: Callable[..., Served]) -> None:
    served = serve(WORKERS=2, **ENDURING)
    workers = served.pids()
    with served.connect(HALF_BODY):
        served.stop(signal.SIGKILL)
        eventually(lambda: not any(map(exists, workers)))


def test_a_proxy_is_believed_only_where_the_settings_say_so(hasty: Served, serve: Callable[..., Served]) -> None:
    trusting = serve(FORWARDED_ALLOW_IPS="127.0.0.1")
    for served in (hasty, trusting):
        served.ask(b"GET /forwarded HTTP/1.1\r\n" + HOST + b"X-Forwarded-For: 192.0.2.7\r\nConnection: close\r\n\r\n")

    def remotes(served: Served) -> list[str]:
        return [line["remote"] for line in served.lines("request") if line["path"] == "/forwarded"]

    eventually(lambda: (remotes(hasty), remotes(trusting)) == (["127.0.0.1"], ["192.0.2.7"]))
