"""The service and PostgreSQL as processes that can be killed, and clients that remember what was acknowledged."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psycopg

from app.http.encoding import PROBLEM_JSON
from tests.support.command import COMMAND, environment
from tests.support.service import ADMIN_KEY, PATIENCE, event

SOCKET = ".s.PGSQL.5432"


async def until(condition: Callable[[], Any], *, every: float = 0.02) -> None:
    """Wait until a condition, also an asynchronous one, is true. Fails after minutes, since that is a hang."""
    async with asyncio.timeout(PATIENCE):
        while not (await result if isinstance(result := condition(), Awaitable) else result):  # noqa: ASYNC110
            await asyncio.sleep(every)


def check_unavailable(response: httpx.Response) -> None:
    """Check that a response is a 503 that says when to retry."""
    assert response.status_code == 503, response.text
    assert response.headers["content-type"] == PROBLEM_JSON
    assert int(response.headers["retry-after"]) > 0
    assert response.json()["status"] == 503


def children_of(process_id: int) -> list[int]:
    """Return the ids of the processes that a process has started."""
    output = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(child) for child, parent in map(str.split, output.splitlines()) if int(parent) == process_id]


def free_port() -> int:
    """Return a free port outside the range of outgoing connections, so that it is still free when a service restarts."""
    for port in Random().sample(range(20_000, 32_000), 100):
        with suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class Unavailable(Exception):
    """The service has answered that the database is away."""


class Process:
    """`csmetrics serve` as a process that can be killed and started again at the same address."""

    def __init__(self, data_dir: Path, *, number: int = 0, workers: int = 1) -> None:
        port = free_port()
        self.log = data_dir.with_name(f"service-{number}.log")
        settings = {"DATA_DIR": str(data_dir), "ADMIN_KEY": ADMIN_KEY, "PORT": str(port), "LOG_LEVEL": "error"}
        self.environment = environment(WORKERS=str(workers), **settings)
        self.client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {ADMIN_KEY}"}, timeout=PATIENCE
        )
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "serve"], cwd=self.log.parent, env=self.environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    async def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with suppress(httpx.TransportError):
            return (await self.client.get("/readyz")).is_success
        return False

    async def get(self, path: str, **params: Any) -> Any:
        """Return the answer to a question. Raises Unavailable while the database is away."""
        answer = await self.client.get(path, params=params)
        if answer.status_code == 503:
            check_unavailable(answer)
            raise Unavailable
        assert answer.is_success, answer.text
        return answer.json()

    async def wait_until_ready(self) -> None:
        await until(self.is_ready, every=0.05)

    async def end(self) -> None:
        await self.client.aclose()
        self.process.terminate()
        code = await asyncio.to_thread(self.process.wait, PATIENCE)
        assert code == 0, f"exit code {code}\n{self.log.read_text()}"


class Postgres:
    """The processes of the PostgreSQL of a DATA_DIR."""

    def __init__(self, data_dir: Path) -> None:
        self.cluster = data_dir / "cluster"

    @property
    def postmaster(self) -> int:
        return int((self.cluster / "postmaster.pid").read_text().split()[0])

    def kill_postmaster(self) -> None:
        os.kill(self.postmaster, signal.SIGKILL)

    def kill_backend(self, random: Random) -> None:
        with psycopg.connect(host=str(self.cluster), port=5432, user="csmetrics", dbname="postgres") as connection:
            backends = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'csmetrics'"
            ).fetchall()
        os.kill(random.choice(backends)[0], signal.SIGKILL)


class Writer:
    """A client that sends each batch until it is acknowledged or given up, and remembers which.

    The events of a batch use a feature of its own, so that the service can be asked how many of them it has counted.
    """

    def __init__(self, number: int, services: list[Process]) -> None:
        self.name, self.random = f"writer-{number}", Random(number)
        self.services = cycle(services[number % len(services) :] + services[: number % len(services)])
        self.acknowledged: dict[str, int] = {}
        self.acknowledged_at: list[float] = []
        self.given_up: dict[str, int] = {}

    async def write(self, stop: asyncio.Event) -> None:
        batch: list[Any] = []
        while not stop.is_set():
            # Sometimes the last batch is sent once more, as after a lost response.
            batch = batch if batch and self.random.random() < 0.1 else self.batch()
            await self.send(batch, gives_up=self.random.random() < 0.3)
            await asyncio.sleep(0.02)

    def batch(self) -> list[Any]:
        size = self.random.randint(1, 8)
        name = f"{self.name}-{len(self.acknowledged) + len(self.given_up)}"
        accounts = self.random.choices(["acme", "globex", "initech", name], k=size)
        return [event("feature.used", account, user=self.name, feature=name) for account in accounts]

    async def send(self, batch: list[Any], *, gives_up: bool) -> None:
        name = batch[0]["data"]["feature"]
        while True:
            try:
                answer = await next(self.services).client.post("/v1/events", json=batch)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.is_success:
                counts = answer.json()
                assert counts["accepted"] + counts["duplicates"] == len(batch), counts
                self.acknowledged[name] = len(batch)
                self.acknowledged_at.append(time.monotonic())
                self.given_up.pop(name, None)
                return
            if answer is not None:
                check_unavailable(answer)
            if gives_up and name not in self.acknowledged:
                self.given_up[name] = len(batch)
                return
            await asyncio.sleep(0.05)


async def count_events(service: Process) -> dict[str, int]:
    """Return how many events the service has counted, by batch."""
    answer = await service.get("/v1/metrics/feature_uses", group_by="subject", granularity="total", period="2026")
    assert answer["next"] is None
    return {row["group"]["subject"]: row["value"] for row in answer["rows"]}
