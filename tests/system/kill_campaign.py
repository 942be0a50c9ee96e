"""The kill campaign: `make campaign` runs it for 15 minutes on a busy machine, the suite for some kills.

Clients write to a service with two workers and the embedded PostgreSQL, while one process after the other is killed: workers,
their parent, backends, the postmaster and what else PostgreSQL runs, also during a start and during a stop. The service is
started again as a service manager does. At the end the acknowledged events are counted, verified and checked.
"""

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import httpx
import psycopg

from tests.support.command import run_process
from tests.support.processes import (
    Postgres,
    Process,
    Unavailable,
    Writer,
    children_of,
    count_events,
    until,
)

MAX_START_SECONDS = 20
# A start, and the stop before it, which may take 10 s.
MAX_OUTAGE_SECONDS = 30
_MAX_END_SECONDS = 300  # for the count and `verify` after the last kill
_BUSY_LOOP = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(10**6):
        pass
"""
VICTIMS = ("worker", "parent", "backend", "postmaster", "helper", "start", "stop", "all")
_CLIENTS = 4

Answer = TypeVar("Answer")


@dataclass
class Outcome:
    """What a campaign has found.

    outage: the longest time in which nobody's event was acknowledged, in seconds. outage_after: what was killed before its end.
    start: the longest time from a start to the next acknowledgement, in seconds.
    """

    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    outage: float = 0
    outage_after: str = ""
    start: float = 0
    lost: int = 0
    double: int = 0
    verify: str = ""
    has_green_checks: bool = False

    @property
    def is_available(self) -> bool:
        return self.start <= MAX_START_SECONDS and self.outage <= MAX_OUTAGE_SECONDS

    @property
    def is_clean(self) -> bool:
        is_verified = self.verify.startswith("0 differences in ")
        return not self.lost and not self.double and is_verified and self.has_green_checks

    def __str__(self) -> str:
        kills = ", ".join(f"{count} {victim}" for victim, count in sorted(self.kills.items()))
        return (
            f"kills: {self.kills.total()} ({kills})\nacknowledged events: {self.acknowledged:,}\n"
            f"longest outage: {self.outage:.1f} s, after the kill of: {self.outage_after}\n"
            f"longest start: {self.start:.1f} s\nlost: {self.lost}\ndouble: {self.double}\n"
            f"verify: {self.verify}\nchecks: {'green' if self.has_green_checks else 'RED'}"
        )


class Campaign:
    """One run on a folder of its own."""

    def __init__(self, folder: Path, *, seed: int) -> None:
        self.random, self.outcome = Random(seed), Outcome()
        self.killed_at: list[tuple[float, str]] = []
        self.started_at: list[float] = []
        self.data_dir = folder / "data"
        self.service = Process(self.data_dir, workers=2)
        self.postgres = Postgres(self.data_dir)
        self.writers = [Writer(number, [self.service]) for number in range(_CLIENTS)]

    async def run(self, *, kills: int, seconds: float) -> Outcome:
        """Kill until there were so many kills or the time is over, then count."""
        try:
            await self.until(self.is_ready)
            await self.kill_while_writing(kills, time.monotonic() + seconds)
            await self.count()
            await self.service.end()
        finally:
            self.service.kill()
        self.outcome.verify = await asyncio.to_thread(self.verify)
        return self.outcome

    def verify(self) -> str:
        """Return what `csmetrics verify` says."""
        result = run_process("verify", "--processes", "1", folder=self.data_dir.parent, DATA_DIR=str(self.data_dir))
        return result.stdout.strip() or result.stderr.strip()

    async def kill_while_writing(self, kills: int, end: float) -> None:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            writes = [tasks.create_task(writer.write(stop)) for writer in self.writers]
            try:
                while self.outcome.kills.total() < kills and time.monotonic() < end:
                    await self.until_acknowledged(4)
                    await asyncio.sleep(self.random.random() * 2)
                    # Each of them once, in random order, and again.
                    victims = [victim for victim in VICTIMS if self.outcome.kills[victim] == min(self.counts())]
                    victim = self.random.choice(victims)
                    self.killed_at.append((time.monotonic(), victim))
                    with suppress(psycopg.Error, ProcessLookupError, FileNotFoundError, IndexError, ValueError):
                        await self.kill(victim)
                    self.outcome.kills[victim] += 1
                await self.until_acknowledged(4)
            finally:
                stop.set()
            # The last kill may take effect only now, and some writers do not give up.
            await self.until(lambda: all(write.done() for write in writes))

    def counts(self) -> list[int]:
        return [self.outcome.kills[victim] for victim in VICTIMS]

    async def kill(self, victim: str) -> None:
        """Kill something. What does not come back by itself is started again by `until_acknowledged`."""
        service = self.service.process
        if victim == "worker":
            os.kill(self.random.choice(children_of(service.pid)), signal.SIGKILL)
        elif victim == "backend":
            self.postgres.kill_backend(self.random)
        elif victim == "postmaster":
            self.postgres.kill_postmaster()
        elif victim == "helper":
            os.kill(self.random.choice(children_of(self.postgres.postmaster)), signal.SIGKILL)
        elif victim == "stop":
            # The stop comes while PostgreSQL repairs itself.
            self.postgres.kill_backend(self.random)
            await asyncio.sleep(self.random.random() / 4)
            service.terminate()
        else:
            workers = children_of(service.pid)
            service.kill()
            if victim == "all":
                self.postgres.kill_postmaster()
                for worker in workers:
                    with suppress(ProcessLookupError):
                        os.kill(worker, signal.SIGKILL)
            if victim == "start":
                await asyncio.to_thread(service.wait)
                self.start()
                await asyncio.sleep(self.random.random() * 4)
                self.service.process.kill()

    def start(self) -> None:
        self.started_at.append(time.monotonic())
        self.service.start()

    async def until_acknowledged(self, count: int) -> None:
        """Wait until more events are acknowledged."""
        before = sum(len(writer.acknowledged_at) for writer in self.writers)
        await self.until(lambda: sum(len(writer.acknowledged_at) for writer in self.writers) >= before + count)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until a condition is true, and start the service again whenever it has ended."""

        async def is_true() -> bool:
            if self.service.process.poll() is not None:
                self.start()
            return bool(await result if isinstance(result := condition(), Awaitable) else result)

        await until(is_true, every=0.1)

    async def is_ready(self) -> bool:
        return self.service.process.poll() is None and await self.service.is_ready()

    async def count(self) -> None:
        outcome = self.outcome
        acknowledged = {name: size for writer in self.writers for name, size in writer.acknowledged.items()}
        given_up = {name: size for writer in self.writers for name, size in writer.given_up.items()}
        stored = await self.ask(count_events)
        for name, size in acknowledged.items():
            count = stored.pop(name, 0)
            outcome.lost += max(0, size - count)
            outcome.double += max(0, count - size)
        # A batch that was given up may have been stored, once and completely.
        outcome.double += sum(max(0, count - given_up.get(name, 0)) for name, count in stored.items())
        outcome.lost += sum(count < given_up.get(name, 0) for name, count in stored.items())
        outcome.acknowledged = sum(acknowledged.values())
        times = sorted(at for writer in self.writers for at in writer.acknowledged_at)
        outcome.outage, end = max((later - earlier, later) for earlier, later in pairwise(times))
        outcome.outage_after = next((victim for at, victim in reversed(self.killed_at) if at < end), "nothing")
        outcome.start = self.longest_start(times)
        outcome.has_green_checks = await self.ask(has_green_checks)

    def longest_start(self, times: Sequence[float]) -> float:
        """Return how long it took from a start to the next acknowledgement. times: of all acknowledgements, in order.

        A start that was killed before does not count: the next one does.
        """
        ends = [*self.started_at[1:], inf]
        answered_at = [next((at for at in times if at > start), inf) for start in self.started_at]
        return max(
            (
                answer - start
                for start, answer, end in zip(self.started_at, answered_at, ends, strict=False)
                if answer < end
            ),
            default=0,
        )

    async def ask(self, question: Callable[[Process], Awaitable[Answer]]) -> Answer:
        """Return the answer of the service. It is asked again when it goes away: the last kill may take effect late."""
        while True:
            await self.until(self.is_ready)
            with suppress(httpx.TransportError, Unavailable):
                return await question(self.service)


async def has_green_checks(service: Process) -> bool:
    """Return whether all identities hold on the data of the service."""
    answer = await service.get("/v1/checks", period="2026")
    return bool(answer["ok"])


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Run so many processes beside the campaign that do nothing but compute."""
    loops = [subprocess.Popen([sys.executable, "-c", _BUSY_LOOP]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def run_campaign(*, kills: int, seconds: float, busy: int, seed: int) -> Outcome:
    """Run a campaign in a temporary folder, which is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="csm-campaign-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with busy_loops(busy):
            return asyncio.run(_run(folder, kills=kills, seconds=seconds, seed=seed))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _run(folder: Path, *, kills: int, seconds: float, seed: int) -> Outcome:
    async with asyncio.timeout(seconds + _MAX_END_SECONDS):
        return await Campaign(folder, seed=seed).run(kills=kills, seconds=seconds)


def main() -> None:
    """Run the campaign of the command line and print what it has found. Exits with 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.kill_campaign", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--busy", type=int, default=6, help="busy loops beside it")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what it has started, as Ctrl-C does
    outcome = run_campaign(kills=10**6, seconds=options.minutes * 60, busy=options.busy, seed=options.seed)
    print(outcome)  # noqa: T201
    raise SystemExit(not (outcome.is_clean and outcome.is_available))


if __name__ == "__main__":
    main()
