"""A client of HTTP that costs next to nothing: it shares the machine with the service that it measures."""

import json
import re
import socket
import threading
from collections.abc import Iterable, Iterator
from time import perf_counter, sleep
from typing import Any, NamedTuple

# How often a request is sent again while the service is busy, and the seconds in between.
_PATIENCE, _PAUSE = 100, 0.1
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Refused(RuntimeError):
    """An answer that is not the one expected."""


class Busy(Refused):
    """503: the service asks to come again in a moment."""


class Poured(NamedTuple):
    """The seconds that everything took and those of each request, and how often the service was busy."""

    seconds: float
    took: list[float]
    busy: int


class Connection:
    """One connection that is kept alive."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=600)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send a request as it is; the status and the body of the answer."""
        self.socket.sendall(request)
        received = bytearray()
        while (head := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        length = _LENGTH.search(received, 0, head + 2)
        if length is None:
            raise Refused(f"An answer without a length: {bytes(received[:head])!r}")
        whole = head + 4 + int(length[1])
        while len(received) < whole:
            received += self._receive()
        return int(received[9:12]), bytes(received[head + 4 : whole])

    def _receive(self) -> bytes:
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise Refused("The service has closed the connection.")
        return piece


def request(method: str, path: str, *, key: str = "", body: bytes = b"") -> bytes:
    """A request as it goes over the wire. `body`: JSON."""
    head = [f"{method} {path} HTTP/1.1", "Host: bench", "Accept: application/json"]
    if key:
        head.append(f"Authorization: Bearer {key}")
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "\r\n"]).encode() + body


def ask(connection: Connection, message: bytes) -> Any:
    """The JSON of an answer that is a success. Raises Refused with what the service says otherwise."""
    status, body = connection.exchange(message)
    if not 200 <= status < 300:
        raise (Busy if status == 503 else Refused)(f"{status}: {body[:1000].decode(errors='replace')}")
    return json.loads(body)


def pour(port: int, requests: Iterable[tuple[bytes, int]], *, clients: int) -> Poured:
    """Send requests with events over so many connections, each the next one as soon as its last was answered.

    requests: each with the number of events in it, all of which have to be accepted. When the service is busy, a request is
    sent again, and its time goes on. Raises Refused.
    """
    source = _Shared(requests)
    connections = [Connection(port) for _ in range(clients)]
    took: list[float] = []
    busy: list[int] = []
    failures: list[BaseException] = []

    def work(connection: Connection) -> None:
        try:
            for message, events in source:
                began = perf_counter()
                answer, refusals = _insist(connection, message)
                busy.append(refusals)
                took.append(perf_counter() - began)
                if answer["accepted"] != events:
                    raise Refused(f"Of {events} events {answer['accepted']} were accepted: {str(answer)[:1000]}")
        except BaseException as failure:
            failures.append(failure)
            source.stop()

    threads = [threading.Thread(target=work, args=(connection,)) for connection in connections]
    began = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = perf_counter() - began
    for connection in connections:
        connection.socket.close()
    if failures:
        raise failures[0]
    return Poured(seconds, took, sum(busy))


def _insist(connection: Connection, message: bytes) -> tuple[Any, int]:
    """The answer, and how often the service was busy before it gave it."""
    for refusals in range(_PATIENCE):
        try:
            return ask(connection, message), refusals
        except Busy:
            sleep(_PAUSE)
    return ask(connection, message), _PATIENCE


class _Shared(Iterator[tuple[bytes, int]]):
    """An iterator that threads take turns at."""

    def __init__(self, items: Iterable[tuple[bytes, int]]) -> None:
        self.items, self.lock, self.stopped = iter(items), threading.Lock(), False

    def __next__(self) -> tuple[bytes, int]:
        with self.lock:
            if self.stopped:
                raise StopIteration
            return next(self.items)

    def stop(self) -> None:
        self.stopped = True
