"""The campaign of polls over processes: `make campaign` tries 10,000 pairs of a write and a question, the suite some.

Two `csmetrics serve` on one database are written to and polled, by conditional questions, while a real midnight passes in the
reporting time zone. A third one is the judge: it keeps no answers, and no client sends it a tag. The campaign goes back
and forth between

- pairs of any kind of write and any question, one after the other: the answer is the judge's, byte by byte;
- storms, in which many clients write and ask at the same time: no answer is of before a write that had been acknowledged when
  the question was asked, by any process, nor of before what another client has been answered by then (see `registers`). A key
  that was revoked is refused by the next request.

Commands of the command line that write, and restarts with other settings, come between them.
"""

import argparse
import signal
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import cycle
from pathlib import Path
from random import Random
from threading import Event, Lock
from typing import Any

import httpx
import psycopg
import sqlalchemy as sa

from app.database.migrate import migrate
from app.embedded import server as embedded
from tests.polling.registers import Register, prepare_registers
from tests.polling.writes import QUESTIONS, WRITES, prepare
from tests.support.command import run_process
from tests.support.process import ServiceProcess
from tests.support.service import ADMIN_KEY, PATIENCE

_ZONE = "Campaign/Midnight"
_DAY_SECONDS = 24 * 60 * 60
# Between two storms.
_QUIET_PAIRS = 30
# Of each register in a storm.
_STORM_WRITES = 5
_READERS = 1
# How many seconds after the start of the processes it is midnight, and after another one where that was too early.
_LEADS = (10, 120)
# So many seconds before midnight is early enough to begin.
_MARGIN = timedelta(seconds=1)
_IMPORT = """
[[source]]
file = "sessions*.csv"
[[source.event]]
type = "session.ended"
id = "{id}"
account_id = "acme"
user_id = "ada"
occurred_at = "{at}"
data = { duration_seconds = 60 }
"""


def write_zone(folder: Path, midnight: datetime, *, is_ahead: bool) -> timedelta:
    """Write the file of a time zone in which it is midnight at a time, to the second; return how far it is ahead of UTC.

    There are two of them, with the same clock: that behind UTC, and that ahead of it, where the day is the next one.
    """
    seconds = -(midnight.hour * 3600 + midnight.minute * 60 + midnight.second) % _DAY_SECONDS
    seconds -= 0 if is_ahead else _DAY_SECONDS
    block = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + struct.pack(">lbb", seconds, 0, 0) + b"CMP\0"
    (folder / _ZONE).parent.mkdir(exist_ok=True)
    (folder / _ZONE).write_bytes(block + block + b"\n\n")
    return timedelta(seconds=seconds)


@dataclass
class PollOutcome:
    """What a campaign has done: pairs before and after midnight, writes by kind, answers by kind."""

    pairs: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: "PollOutcome") -> "PollOutcome":
        return PollOutcome(self.pairs + other.pairs, self.writes + other.writes, self.answers + other.answers)

    def __str__(self) -> str:
        counts = (("pairs", self.pairs), ("writes", self.writes), ("answers", self.answers))
        lines = [
            f"{name}: {own.total():,} ({', '.join(f'{count:,} {kind}' for kind, count in own.most_common())})"
            for name, own in counts
        ]
        return "\n".join(lines)


class Server:
    """A process of the service, with a client whose requests go to it."""

    def __init__(self, folder: Path, database: str, **settings: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.process = ServiceProcess(folder, database, LOG_LEVEL="info", REPORTING_TIMEZONE=_ZONE, **settings)

    def connect(self) -> None:
        """Wait until it listens."""
        self.process.wait_until_listening()
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        self.client = httpx.Client(base_url=self.process.url, headers=headers, timeout=PATIENCE, trust_env=False)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer to a request, which is sent again while the service is busy."""
        while True:
            answer = self.client.request(method, path, **options)
            if answer.status_code not in (429, 503):
                return answer
            time.sleep(0.2)

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer to a request that succeeds."""
        answer = self.request(method, path, **options)
        assert answer.is_success, (method, path, answer.status_code, answer.text)
        return answer


class Reader:
    """A client that keeps the answers it has got, and asks whether they are still right."""

    def __init__(self, random: Random, count: Callable[[str], None]) -> None:
        self._random, self._count = random, count
        self._known: dict[str, httpx.Response] = {}

    def ask(self, server: Server, path: str) -> tuple[int, bytes]:
        """Return the status and the body of the answer; if it is 304, of the answer that this client has."""
        known = self._known.get(path)
        is_conditional = known is not None and self._random.random() < 0.8
        headers = {"If-None-Match": known.headers["etag"]} if known is not None and is_conditional else {}
        answer = server.request("GET", path, headers=headers)
        self._count(f"{answer.status_code}{'' if is_conditional else ' without condition'}")
        if answer.status_code == 304:
            assert known is not None and is_conditional
            return known.status_code, known.content
        if answer.status_code == 200:
            self._known[path] = answer
        return answer.status_code, answer.content if answer.status_code == 200 else b""

    @property
    def paths(self) -> list[str]:
        """The questions to which it has an answer."""
        return list(self._known)


class PollCampaign:
    """A campaign on a database.

    lead: how many seconds after its beginning it is midnight. is_ahead: see `write_zone`. report: is called with how far it is.
    """

    def __init__(
        self,
        folder: Path,
        database: str,
        *,
        seed: int,
        lead: float,
        is_ahead: bool,
        report: Callable[[str], object],
    ) -> None:
        self._folder, self._database, self._random, self._report = folder, database, Random(seed), report
        self._midnight = datetime.now(UTC) + timedelta(seconds=lead)
        self._offset = write_zone(folder, self._midnight, is_ahead=is_ahead)
        self._settings = {"PYTHONTZPATH": f"{folder}:/usr/share/zoneinfo", "WORKERS": "1"}
        self.outcome, self._lock = PollOutcome(), Lock()
        self._reader = Reader(self._random, self._count_answer)
        self._servers: list[Server] = []
        self._margins = cycle(["0.7", "0.8", "0.9"])

    @contextmanager
    def open(self) -> Iterator["PollCampaign"]:
        """Start the processes and write what the questions name; end the processes when the `with` block ends."""
        with ExitStack() as self._stack:
            self._start()
            yield self

    def _start(self) -> None:
        self._servers = [self._new_server(name) for name in ("one", "two")]
        self._judge = self._new_server("judge", ANSWER_MEMORY_BYTES=0)
        for server in (*self._servers, self._judge):
            self._connect(server)
        prepare(self._send)
        self._registers = prepare_registers(self._send)

    def _new_server(self, name: str, **settings: Any) -> Server:
        server = Server(self._folder / name, self._database, **self._settings, **settings)
        self._stack.callback(server.process.end)
        return server

    def _connect(self, server: Server) -> None:
        server.connect()
        self._stack.callback(server.client.close)

    def _today(self) -> date:
        return (datetime.now(UTC) + self._offset).date()

    @property
    def is_before_midnight(self) -> bool:
        """Whether the midnight of the campaign is ahead."""
        return datetime.now(UTC) < self._midnight

    @property
    def can_begin(self) -> bool:
        """Whether there is time for something before midnight."""
        return datetime.now(UTC) < self._midnight - _MARGIN

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._random.choice(self._servers).send(method, path, **options)

    def run(self, pairs: int, commands: Sequence[str]) -> PollOutcome:
        """Try so many pairs, or more until some are after midnight; run each of the commands once."""
        waiting, counts = list(commands), self.outcome.pairs
        while waiting or counts.total() < pairs or counts["after midnight"] < _QUIET_PAIRS:
            self._try_pairs()
            self._storm()
            self._report(f"{counts.total():,} pairs")
            if waiting and counts.total() >= pairs * (len(commands) - len(waiting)) / len(commands):
                self._run_command(waiting.pop(0))
        return self.outcome

    def _count_pair(self) -> None:
        with self._lock:
            self.outcome.pairs["before midnight" if self.is_before_midnight else "after midnight"] += 1

    def _count_answer(self, kind: str) -> None:
        with self._lock:
            self.outcome.answers[kind] += 1

    def _try_pairs(self) -> None:
        path = QUESTIONS[0]
        for _ in range(_QUIET_PAIRS):
            # Each kind as often as any other.
            least = min(self.outcome.writes[kind] for kind in WRITES)
            kind = self._random.choice([kind for kind in WRITES if self.outcome.writes[kind] == least])
            WRITES[kind](self._random, self._send)
            self.outcome.writes[kind] += 1
            # Most pollers ask the same again and again.
            path = self._random.choice(QUESTIONS) if self._random.random() < 0.4 else path
            self._compare(self._reader, path, kind)
            self._count_pair()

    def _compare(self, reader: Reader, path: str, kind: str) -> None:
        """Compare the answer to a question with that of the judge. If midnight passes between them, ask both again.

        kind: what has been written before.
        """
        while True:
            day = self._today()
            status, body = reader.ask(self._random.choice(self._servers), path)
            right = self._judge.request("GET", path)
            if day == self._today():
                break
        assert status == right.status_code, (path, kind)
        assert status != 200 or body == right.content, (path, kind, body, right.content)

    def _storm(self) -> None:
        """Let each register be written, all at the same time, while others read them; then compare what readers know."""
        registers, is_over = self._registers, Event()
        for register in registers:
            # A pair before may have written something else in its place.
            register.set_next(self._send)
        with ThreadPoolExecutor(len(registers) + _READERS + 1) as pool:
            seeds = [self._random.random() for _ in range(len(registers) + _READERS + 1)]
            writes = [
                pool.submit(self._write_register, register, Random(seed))
                for register, seed in zip(registers, seeds, strict=False)
            ]
            writes.append(pool.submit(self._revoke_keys, Random(seeds[-1])))
            reads = [
                pool.submit(self._read_registers, registers, Random(seed), is_over)
                for seed in seeds[-1 - _READERS : -1]
            ]
            try:
                for write in writes:
                    write.result()
            finally:
                is_over.set()
            readers = [read.result() for read in reads]
        for register in registers:
            self.outcome.writes[f"register {register.name}"] += _STORM_WRITES + 1
        self.outcome.writes["key"] += 2 * _STORM_WRITES
        for reader in readers:
            for path in reader.paths:
                self._compare(reader, path, "storm")

    def _write_register(self, register: Register, random: Random) -> None:
        reader = Reader(random, self._count_answer)
        for _ in range(_STORM_WRITES):
            writer, other = random.sample(self._servers, k=2)
            register.set_next(writer.send)
            register.check(self._asker(reader, other))
            self._count_pair()

    def _read_registers(self, registers: Sequence[Register], random: Random, is_over: Event) -> Reader:
        reader = Reader(random, self._count_answer)
        while not is_over.is_set() or not reader.paths:
            random.choice(registers).check(self._asker(reader, random.choice(self._servers)))
        return reader

    @staticmethod
    def _asker(reader: Reader, server: Server) -> Callable[[str], bytes]:
        def ask(path: str) -> bytes:
            status, body = reader.ask(server, path)
            assert status == 200, (path, status, body)
            return body

        return ask

    def _revoke_keys(self, random: Random) -> None:
        """Create keys, poll by them, and revoke them: the next poll is refused, by every process."""
        path = "/v1/metrics/nps/conventions"
        for _ in range(_STORM_WRITES):
            writer, other = random.sample(self._servers, k=2)
            created = writer.send("POST", "/v1/keys", json={"name": "k", "scopes": ["read"]}).json()
            headers = {"Authorization": f"Bearer {created['key']}"}
            for server in (other, writer, other):
                answer = server.request("GET", path, headers=headers)
                assert answer.status_code in (200, 304), answer.text
                headers["If-None-Match"] = answer.headers["etag"]
            writer.send("DELETE", f"/v1/keys/{created['id']}")
            for server in (other, writer):
                assert server.request("GET", path, headers=headers).status_code == 401
            self._count_pair()

    def _run_command(self, name: str) -> None:
        """Do what is done without HTTP, and compare all answers afterwards."""
        if name == "margin":
            self._restart_with_another_margin()
        elif name == "reset":
            self._reset()
        else:
            self._run(*name.split())
        self.outcome.writes[f"command {name}"] += 1
        for path in QUESTIONS:
            self._compare(self._reader, path, name)

    def _run(self, *arguments: str) -> None:
        if arguments == ("import",):
            rows = [f"{self._random.randrange(10**9)},{datetime.now(UTC).isoformat()}\n" for _ in range(50)]
            (self._folder / "sessions.csv").write_text("id,at\n" + "".join(rows))
            (self._folder / "mapping.toml").write_text(_IMPORT)
            arguments = ("import", "sessions.csv", "--mapping", "mapping.toml")
        url = self._database.replace("+psycopg", "")
        settings = self._settings | {"DATABASE_URL": url, "REPORTING_TIMEZONE": _ZONE, "LOG_LEVEL": "error"}
        result = run_process(*arguments, folder=self._folder, **settings)
        assert result.returncode == 0, result

    def _restart_with_another_margin(self) -> None:
        self._servers.pop(0).process.end()
        self._servers.append(self._new_server("one", GROSS_MARGIN=next(self._margins)))
        self._connect(self._servers[-1])

    def _reset(self) -> None:
        """Delete everything, and put it there again: what was known before is known no more."""
        for server in (*self._servers, self._judge):
            server.process.end()
        self._run("reset", "--yes")
        self._start()


def run_poll_campaign(
    folder: Path,
    database: str,
    *,
    pairs: int,
    seed: int,
    commands: Sequence[str],
    leads: Sequence[float] = _LEADS,
    report: Callable[[str], object] = lambda _: None,
) -> PollOutcome:
    """Try so many pairs and more, with each of the commands.

    leads: two, see `_LEADS`. report: is called with how far it is.
    """
    for is_ahead, lead in enumerate(leads):
        own = PollCampaign(folder, database, seed=seed, lead=lead, is_ahead=bool(is_ahead), report=report)
        with own.open() as campaign:
            if campaign.can_begin:
                return campaign.run(pairs, commands)
    raise AssertionError("the processes have not started before midnight")


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", flush=True)  # noqa: T201


def main() -> None:
    """Run rounds of the campaign, each on a database of its own and across a midnight of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.polling.process_campaign", description=__doc__)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what it has started, as Ctrl-C does
    outcome, commands = PollOutcome(), ("import", "rebuild", "migrate", "margin", "bi refresh", "clock accept", "reset")
    with tempfile.TemporaryDirectory(prefix="csm-polls-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        server = embedded.start_server(folder / "server")
        stack.callback(server.stop)
        url = sa.make_url(server.url)
        for number in range(options.rounds):
            with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE round{number}")
            database = url.set(database=f"round{number}").render_as_string(hide_password=False)
            migrate(database)
            (folder / f"{number}").mkdir()
            outcome += run_poll_campaign(
                folder / f"{number}",
                database,
                pairs=-(-options.pairs // options.rounds),
                seed=options.seed + number,
                commands=commands,
                leads=(60, 300),
                report=say,
            )
            say(f"round {number + 1}, seed {options.seed + number}\n{outcome}")


if __name__ == "__main__":
    main()
