"""A minimal HTTP client. It shares the machine with the service that it measures, so it must cost almost nothing."""

import json
import re
import socket
import threading
from collections.abc import Iterable, Iterator
from time import perf_counter, sleep
from typing import Any, NamedTuple

# How often a request is repeated while the service is busy, and the seconds in between.
_MAX_RETRIES, _PAUSE = 100, 0.1
_WITHOUT_BODY = (b"204", b"304")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class UnexpectedResponse(RuntimeError):
    """A response that is not the expected one."""


class ServiceBusy(UnexpectedResponse):
    """503: the request should be sent again."""


class LoadResult(NamedTuple):
    """The result of `send_all`. seconds: of everything; times: the seconds of each request; busy: the number of 503s."""

    seconds: float
    times: list[float]
    busy: int


class Connection:
    """An HTTP connection that is kept alive."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=600)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send the bytes of a request. Return the status and the body of the response."""
        self.socket.sendall(request)
        return self.receive()

    def receive(self) -> tuple[int, bytes]:
        """Return the status and the body of the next response."""
        received = bytearray()
        while (head := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        length = _LENGTH.search(received, 0, head + 2)
        if length is None and received[9:12] in _WITHOUT_BODY:
            self._head = bytes(received)
            return int(received[9:12]), b""
        if length is None:
            raise UnexpectedResponse(f"A response without a length: {bytes(received[:head])!r}")
        end = head + 4 + int(length[1])
        while len(received) < end:
            received += self._receive()
        self._head = bytes(received[:head])
        return int(received[9:12]), bytes(received[head + 4 : end])

    def header(self, name: str) -> str:
        """Return the value of a header of the last response."""
        lines = self._head.decode("latin-1").split("\r\n")[1:]
        return {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}[name]

    def _receive(self) -> bytes:
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise UnexpectedResponse("The service has closed the connection.")
        return piece


def build_request(method: str, path: str, *, key: str = "", body: bytes = b"") -> bytes:
    """Return the bytes of a request. body: JSON."""
    head = [f"{method} {path} HTTP/1.1", "Host: bench", "Accept: application/json"]
    if key:
        head.append(f"Authorization: Bearer {key}")
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "\r\n"]).encode() + body


def fetch_json(connection: Connection, request: bytes) -> Any:
    """Send a request and return the JSON of the response. Raises UnexpectedResponse unless the status is 2xx."""
    status, body = connection.exchange(request)
    if not 200 <= status < 300:
        error = ServiceBusy if status == 503 else UnexpectedResponse
        raise error(f"{status}: {body[:1000].decode(errors='replace')}")
    return json.loads(body)


def send_all(port: int, requests: Iterable[tuple[bytes, int]], *, clients: int) -> LoadResult:
    """Send requests over several connections, each the next one as soon as its last was answered.

    requests: each with the number of its events, all of which have to be accepted. When the service is busy, a request is
    repeated, and its time goes on. Raises UnexpectedResponse.
    """
    source = _SharedIterator(requests)
    connections = [Connection(port) for _ in range(clients)]
    times: list[float] = []
    busy: list[int] = []
    failures: list[BaseException] = []

    def run_client(connection: Connection) -> None:
        try:
            for request, events in source:
                start = perf_counter()
                outcome, retries = _fetch_with_retries(connection, request)
                busy.append(retries)
                times.append(perf_counter() - start)
                if outcome["accepted"] != events:
                    message = f"Of {events} events {outcome['accepted']} were accepted: {str(outcome)[:1000]}"
                    raise UnexpectedResponse(message)
        except BaseException as failure:
            failures.append(failure)
            source.stop()

    threads = [threading.Thread(target=run_client, args=(connection,)) for connection in connections]
    start = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = perf_counter() - start
    for connection in connections:
        connection.socket.close()
    if failures:
        raise failures[0]
    return LoadResult(seconds, times, sum(busy))


def _fetch_with_retries(connection: Connection, request: bytes) -> tuple[Any, int]:
    """Return the JSON of the response, and how often the service was busy before."""
    for retries in range(_MAX_RETRIES):
        try:
            return fetch_json(connection, request), retries
        except ServiceBusy:
            sleep(_PAUSE)
    return fetch_json(connection, request), _MAX_RETRIES


class _SharedIterator(Iterator[tuple[bytes, int]]):
    """An iterator from which several threads take items."""

    def __init__(self, items: Iterable[tuple[bytes, int]]) -> None:
        self.items, self.lock, self.stopped = iter(items), threading.Lock(), False

    def __next__(self) -> tuple[bytes, int]:
        with self.lock:
            if self.stopped:
                raise StopIteration
            return next(self.items)

    def stop(self) -> None:
        self.stopped = True
