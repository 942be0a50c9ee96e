"""A proxy before the service that fails in the ways of networks: by chance, before and after the service has done its work."""

import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

import httpx

_HOP = {
    "connection",
    "content-length",
    "transfer-encoding",
    "content-encoding",
    "host",
    "keep-alive",
    "accept-encoding",
}
FAULTS = ("busy", "limited", "bad gateway", "reset before", "reset after", "half")


class FlakyProxy:
    """What the proxy has done. counts: how often it did each of FAULTS, and `forwarded`."""

    def __init__(self, target: str, *, seed: int, rate: float) -> None:
        self.target, self.rate, self.random = target, rate, Random(seed)
        self.counts: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.url = ""

    def choose(self) -> str:
        with self.lock:
            choice = self.random.choice(FAULTS) if self.random.random() < self.rate else "forwarded"
            self.counts[choice] += 1
            return choice


@contextmanager
def flaky_proxy(target: str, *, seed: int, rate: float = 0.5) -> Iterator[FlakyProxy]:
    """Run a proxy before a service. rate: how often it fails, from 0 to 1."""
    proxy = FlakyProxy(target, seed=seed, rate=rate)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            choice = proxy.choose()
            if choice in ("busy", "limited", "bad gateway"):
                self._answer(
                    {"busy": 503, "limited": 429, "bad gateway": 502}[choice], b"<html>no</html>", {"Retry-After": "0"}
                )
            elif choice == "reset before":
                self._reset()
            else:
                self._forward(body, choice)

        do_GET = do_POST = do_DELETE = do_any

        def _forward(self, body: bytes, choice: str) -> None:
            encoding = {"Content-Encoding": own} if (own := self.headers.get("content-encoding")) else {}
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP} | encoding
            answer = httpx.request(
                self.command, proxy.target + self.path, content=body, headers=headers, timeout=60, trust_env=False
            )
            if choice == "reset after":
                return self._reset()
            headers = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            self._answer(answer.status_code, answer.content, headers, is_half=choice == "half")
            return None

        def _answer(self, status: int, content: bytes, headers: dict[str, str], *, is_half: bool = False) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if is_half else content)
            if is_half:
                self._reset()

        def _reset(self) -> None:
            """Cut the connection as a crash does: with a reset."""
            self.close_connection = True
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Leave out what a connection that is cut makes of the rest of its handler."""

    server = Server(("127.0.0.1", 0), Handler)
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
