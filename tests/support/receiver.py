"""A receiver of webhooks in a process of its own: it remembers what it got, and answers as its path says.

Run as a program it listens on a free port of an address, prints the port, and serves until it is killed. A second argument is
the file of a key with its certificate: then it serves over TLS.

| path | answer |
|---|---|
| `/ok/…` | 204 |
| `/status/CODE/…` | this status; with `?retry-after=TEXT` the header |
| `/redirect?to=URL` | 302 to the URL |
| `/silent` | nothing |
| `/slow-headers` | one byte of the headers each 0.2 seconds; with `?pause=SECONDS` each so many |
| `/slow-body`, `/endless-body` | 200, and a body that comes slowly, or never ends |
| `/endless-headers` | headers without end |
| `/bomb` | 200, and a gzip of many zeros |
| `/garbage` | what is no HTTP |
| `/reset` | closes the connection |
| `/received`, `/times` (GET) | what was received so far, as JSON: all of it, or path, time of the message and of arrival |
"""

import asyncio
import base64
import json
import ssl
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.support.service import PATIENCE

_RECEIVED: list[dict[str, Any]] = []
_OPEN: dict[str, int] = {}
_MOST_OPEN: dict[str, int] = {}


class Receiver:
    """The process, seen from the test."""

    def __init__(self, address: str = "127.0.0.1", certificate: Path | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.receiver", address, *filter(None, [certificate])],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        scheme = "http" if certificate is None else "https"
        self.url = f"{scheme}://{address}:{int(self.process.stdout.readline())}"
        self._verify = True if certificate is None else ssl._create_unverified_context()

    def received(self, path: str = "") -> list[dict[str, Any]]:
        """Return what was sent to paths that begin so: method, path, headers, body (bytes), at."""
        rows = self._read()["received"]
        return [row | {"body": base64.b64decode(row["body"])} for row in rows if row["path"].startswith(path)]

    def most_open(self, path: str) -> int:
        """Return how many requests to a path were open at the same time, at most."""
        return int(self._read()["most_open"].get(path, 0))

    def _read(self) -> Any:
        return httpx.get(f"{self.url}/received", timeout=PATIENCE, trust_env=False, verify=self._verify).json()


@contextmanager
def receiver(address: str = "127.0.0.1", certificate: Path | None = None) -> Iterator[Receiver]:
    """Run a receiver for the duration of a `with` block."""
    own = Receiver(address, certificate)
    try:
        yield own
    finally:
        own.process.kill()
        own.process.wait()
        assert own.process.stdout is not None
        own.process.stdout.close()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError, ValueError):
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode("latin-1").split("\r\n")
            method, target, _ = lines[0].split(" ")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            url = urlsplit(target)
            if url.path == "/received":
                await _answer(writer, 200, json.dumps({"received": _RECEIVED, "most_open": _MOST_OPEN}).encode())
                continue
            if url.path == "/times":
                times = [
                    [own["path"], json.loads(base64.b64decode(own["body"]))["timestamp"], own["at"]]
                    for own in _RECEIVED
                ]
                await _answer(writer, 200, json.dumps(times).encode())
                continue
            _RECEIVED.append(
                {
                    "method": method,
                    "path": target,
                    "headers": headers,
                    "body": base64.b64encode(body).decode(),
                    "at": time.time(),
                }
            )
            _OPEN[url.path] = _OPEN.get(url.path, 0) + 1
            _MOST_OPEN[url.path] = max(_MOST_OPEN.get(url.path, 0), _OPEN[url.path])
            try:
                if not await _behave(url.path, {name: own[0] for name, own in parse_qs(url.query).items()}, writer):
                    break
            finally:
                _OPEN[url.path] -= 1
    writer.close()


async def _answer(writer: asyncio.StreamWriter, status: int, body: bytes = b"", *headers: str) -> bool:
    head = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}", *headers]
    writer.write("\r\n".join([*head, "\r\n"]).encode() + body)
    await writer.drain()
    return True


async def _behave(path: str, query: dict[str, str], writer: asyncio.StreamWriter) -> bool:
    """Answer as the path says. Return whether the connection stays."""
    name, _, rest = path[1:].partition("/")
    if name == "ok":
        return await _answer(writer, 204)
    if name == "status":
        pause = [f"retry-after: {query['retry-after']}"] if "retry-after" in query else []
        return await _answer(writer, int(rest.partition("/")[0]), b"no", *pause)
    if name == "redirect":
        return await _answer(writer, 302, b"", f"location: {query['to']}")
    if name == "reset":
        return False
    if name == "garbage":
        writer.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        return False
    if name == "silent":
        await asyncio.sleep(3600)
    if name == "slow-headers":
        await _trickle(writer, b"HTTP/1.1 200 OK\r\nx-long: " + b"x" * 10_000, pause=float(query.get("pause", 0.2)))
    if name == "bomb":
        return await _answer(writer, 200, _bomb(), "content-encoding: gzip")
    endless = (
        b"HTTP/1.1 200 OK\r\n"
        if name == "endless-headers"
        else b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    part = {"endless-headers": b"x-y: " + b"z" * 1000 + b"\r\n", "slow-body": b"1\r\nx\r\n"}.get(name)
    part = part or b"400\r\n" + b"y" * 1024 + b"\r\n"
    writer.write(endless)
    while name in ("endless-headers", "endless-body", "slow-body"):
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.2 if name == "slow-body" else 0)
    return False


@cache
def _bomb() -> bytes:
    """Return 1,000 times the same piece: a gzip of 1 GB."""
    zeros = zlib.compressobj(wbits=-15)
    piece = zeros.compress(bytes(2**20)) + zeros.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + 1_000 * piece


async def _trickle(writer: asyncio.StreamWriter, text: bytes, *, pause: float) -> None:
    for number in range(len(text)):
        writer.write(text[number : number + 1])
        await writer.drain()
        await asyncio.sleep(pause)


async def _main(address: str, certificate: str | None = None) -> None:
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    server = await asyncio.start_server(_serve, address, 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
