"""A campaign that shows that nothing which one client asks or sends stops the others.

    python -m bench.run_bounded [--accounts 20000] [--seconds 20]

It loads accounts with 40 attributes each, runs the service with one worker, and sends the worst requests of a key that may only
read, and the worst batches of one that may only ingest: one after the other, then eight at once. Meanwhile `/healthz` is asked
all the time, and another client writes. It fails when `/healthz` was silent for more than 0.5 s, when the worker took more than
512 MB, or when the 99th percentile of the writes was more than a second. The time of filters is measured
before and after ANALYZE.

The limits are those of a machine that does nothing else. The table also says how long a loop that only counts was kept from
running: on a busy machine, this is what the other programs took.
"""

import argparse
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from itertools import count, islice
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter, sleep
from typing import Any
from urllib.parse import urlencode

from pydantic_core import to_json

from bench.client import Connection, UnexpectedResponse, build_request, fetch_json, send_all
from bench.hostile_batches import build_batches
from bench.processes import Postgres, Server, run_postgres, run_service

MAX_SILENCE, MAX_MEMORY_MB, MAX_WRITE = 0.5, 512, 1.0
MAX_FILTER, MAX_FILTER_RATIO = 1.0, 3.0
_ATTRIBUTES = 40
_EVENTS_PER_REQUEST = 2_000
_TERMS = [
    (f'k{n:02} = "a"', f"k{n:02} != {n}", f"k{n:02} is not null", f'not k{n:02} = "v{n}"')[n % 4]
    for n in range(_ATTRIBUTES)
]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=20, help="of each round of eight at once")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / ".cache")
    arguments = parser.parse_args()
    with run_postgres(arguments.folder.resolve() / "server") as postgres:
        # A copy: batches add to it, and an account's batch costs more the more events the account has.
        name = "bounded"
        postgres.create(name, template=_load(postgres, arguments.accounts, arguments.folder))
        failures = [*_measure_filters(postgres, name, arguments.folder)]
        with run_service(postgres.database(name), log=arguments.folder / "bounded.log") as server:
            failures += _run_requests(server, seconds=arguments.seconds)
            failures += _run_batches(server, seconds=arguments.seconds)
    print("\n".join(failures) or "All limits are kept.")  # noqa: T201
    raise SystemExit(bool(failures))


def _load(postgres: Postgres, accounts: int, folder: Path) -> str:
    """Load the database, unless it is there, and return its name. It has not been analyzed."""
    name = f"bounded-{accounts}"
    if postgres.read_comment(name):
        return name
    with postgres.connect() as connection:
        connection.execute("ALTER SYSTEM SET autovacuum = off")
        connection.execute("SELECT pg_reload_conf()")
    postgres.create(name)
    with run_service(postgres.database(name), log=folder / "bounded.log", workers=2) as server:
        events = _events(accounts)
        batches = iter(lambda: list(islice(events, _EVENTS_PER_REQUEST)), [])
        key = server.keys["ingest"]
        requests = ((build_request("POST", "/v1/events", key=key, body=to_json(b)), len(b)) for b in batches)
        send_all(server.port, requests, clients=2)
    postgres.write_comment(name, {"accounts": accounts})
    return name


def _events(accounts: int) -> Iterator[dict[str, Any]]:
    random = Random(1)
    for number in range(accounts):
        account = {"account_id": f"account-{number:06}"}
        attributes = {f"k{n:02}": _value(random, n) for n in range(_ATTRIBUTES) if random.random() > 0.05}
        yield _event(f"u{number}", "account.updated", "2024-12-01", account, attributes=attributes)
        if number % 10 == 0:
            some = dict(random.sample(sorted(attributes.items()), 3))
            yield _event(f"v{number}", "account.updated", "2025-06-10", account, attributes=dict.fromkeys(some, "a"))
        for part, day in enumerate(("2024-12-05", f"2025-{1 + number % 12:02}-05")):
            mrr = str(100 + number % (50 + part))
            yield _event(f"m{number}-{part}", "subscription.changed", day, account, subscription_id="main", mrr=mrr)
        for use in range(6):
            day = f"{2025 + use // 4}-{1 + (number + use * 5) % 10:02}-{1 + (number * 7 + use) % 28:02}"
            user = account | {"user_id": f"user-{use % 2}"}
            yield _event(f"s{number}-{use}", "session.ended", day, user, duration_seconds=100 + use)


def _value(random: Random, number: int) -> Any:
    values = (random.choice("abcd"), random.randrange(100), random.random() < 0.5, f"v{random.randrange(1000)}")
    return values[number % 4]


def _event(id: str, type: str, day: str, owner: dict[str, str], **data: Any) -> dict[str, Any]:
    return {"id": id, "type": type, "occurred_at": f"{day}T10:00:00Z", "data": data} | owner


def _filters() -> dict[str, str]:
    pairs = zip(_TERMS[:8], _TERMS[8:16], strict=True)
    return {
        "1 term": _TERMS[0],
        "2 terms": f"{_TERMS[1]} and {_TERMS[0]}",
        "4 terms": " and ".join(_TERMS[:4]),
        "16 terms, and": " and ".join(_TERMS[:16]),
        "16 terms, turned": " and ".join(reversed(_TERMS[:16])),
        "16 terms, or": " or ".join(f"not ({term})" for term in _TERMS[:16]),
        "16 terms, nested": " or ".join(f"({left} and not ({right} or {left}))" for left, right in pairs),
    }


def _measure_filters(postgres: Postgres, name: str, folder: Path) -> Iterator[str]:
    """Measure filters before and after ANALYZE, print the seconds, and yield what is too slow."""
    copy = f"{name}-analyzed"
    if postgres.read_comment(copy) is None:
        postgres.create(copy, template=name)
        with postgres.connect(copy) as connection:
            connection.execute("VACUUM (ANALYZE)")
        postgres.write_comment(copy, {})
    seconds: dict[str, list[float]] = {text: [] for text in _filters()}
    for database in (name, copy):
        with (
            run_service(postgres.database(database), log=folder / "bounded.log") as server,
            Connection(server.port) as connection,
        ):
            for title, text in _filters().items():
                path = f"/v1/metrics/nrr?{urlencode({'filter': text})}"
                request = build_request("GET", path, key=server.keys["read"])
                seconds[title].append(median(_time(connection, request) for _ in range(5)))
    for title, own in seconds.items():
        print(f"{title:24} {own[0]:7.3f} s fresh {own[1]:7.3f} s analyzed")  # noqa: T201
        if max(own) > MAX_FILTER:
            yield f"{title}: {max(own):.3f} s"
    for own in zip(*(seconds[title] for title in seconds if title.startswith("16")), strict=True):
        if max(own) > MAX_FILTER_RATIO * min(own):
            yield f"Filters of 16 terms take {min(own):.3f} to {max(own):.3f} s."


def _time(connection: Connection, request: bytes) -> float:
    start = perf_counter()
    fetch_json(connection, request)
    return perf_counter() - start


def _worst_requests(key: str, metrics: str) -> dict[str, bytes]:
    """Return the worst requests of a key that may only read."""
    years = {"start": "2024-12-01", "end": "2026-11-01"}
    wide = " and ".join(_TERMS[:39])

    def get(path: str, **parameters: Any) -> bytes:
        return build_request("GET", f"{path}?{urlencode(parameters, doseq=True)}", key=key)

    decimals = b'{"metrics": [' + b"0.1," * 3_900_000 + b"0.1]}"
    long_question = to_json({"metrics": ["mrr"], "filter": "x" * (16 * 2**20 - 100)})
    return {
        "all metrics by account and day": get(
            "/v1/query", metrics=metrics, group_by="account", granularity="day", **years
        ),
        "all metrics by day": get(
            "/v1/query", metrics=metrics, granularity="day", start="2026-01-01", end="2026-03-01"
        ),
        "all metrics by month and plan": get("/v1/query", metrics=metrics, group_by="k00", **years),
        "MRR by account and day": get(
            "/v1/metrics/mrr", group_by="account", granularity="day", start="2026-01-01", end="2026-02-15"
        ),
        "NRR by account and month": get("/v1/metrics/nrr", group_by="account", start="2026-01-01", end="2026-11-01"),
        "MRR by account as CSV": get(
            "/v1/metrics/mrr", group_by="account", format="csv", start="2026-01-01", end="2026-11-01"
        ),
        "contributors": get("/v1/metrics/mrr/contributors", start="2026-01-01", end="2026-11-01"),
        "restatements": get("/v1/metrics/mrr/restatements", **years),
        "checks": get("/v1/checks", accounts=1000, granularity="day"),
        "checks by month": get("/v1/checks", accounts=1000),
        "a filter of 39 attributes": get(
            "/v1/metrics/nrr", filter=wide, granularity="day", start="2026-01-01", end="2026-11-01"
        ),
        "accounts by 39 attributes": get("/v1/accounts", filter=wide, limit=1000),
        "three groupings": get("/v1/metrics/sessions", group_by="k03,k07,k11", granularity="week", **years),
        "a question of 16 MiB": build_request("POST", "/v1/query", key=key, body=long_question),
        "3.9 million decimals": build_request("POST", "/v1/query", key=key, body=decimals),
    }


class Probe:
    """What other clients see: the longest silence of `/healthz`, the times of writes, the memory of the worker."""

    def __init__(self, server: Server, worker: int) -> None:
        self.server, self.worker = server, worker
        self.silence = self.machine = 0.0
        self.writes: list[float] = []
        self.refused = 0
        self.memory_mb = 0
        self._stop = threading.Event()

    @contextmanager
    def run(self) -> Iterator["Probe"]:
        threads = [threading.Thread(target=work) for work in (self._ask_health, self._write, self._watch)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _ask_health(self) -> None:
        request = build_request("GET", "/healthz")
        with Connection(self.server.port) as connection:
            while not self._stop.is_set():
                self.silence = max(self.silence, _time(connection, request))
                sleep(0.01)

    def _write(self) -> None:
        with Connection(self.server.port) as connection:
            for number in count():
                if self._stop.is_set():
                    return
                owner = {"account_id": f"writer-{number % 50}", "user_id": "ada"}
                event = _event(f"w{perf_counter()}", "session.ended", str(date.today()), owner, duration_seconds=60)
                event["occurred_at"] = f"{date.today()}T00:00:00Z"
                body = to_json([event])
                start = perf_counter()
                status, _ = connection.exchange(
                    build_request("POST", "/v1/events", key=self.server.keys["ingest"], body=body)
                )
                self.writes.append(perf_counter() - start)
                self.refused += status != 200
                sleep(0.02)

    def _watch(self) -> None:
        while not self._stop.is_set():
            start = perf_counter()
            sleep(0.01)
            self.machine = max(self.machine, perf_counter() - start - 0.01)
            pages = int(Path(f"/proc/{self.worker}/statm").read_text().split()[1])
            self.memory_mb = max(self.memory_mb, pages * 4096 // 2**20)

    def failures(self, title: str) -> Iterator[str]:
        write = sorted(self.writes)[int(len(self.writes) * 0.99)] if self.writes else 0.0
        print(  # noqa: T201
            f"{title:34} silent {self.silence:6.3f} s (machine {self.machine:5.3f}), write p99 {write:6.3f} s of "
            f"{len(self.writes):5}, {self.memory_mb:4} MB"
        )
        if self.silence > MAX_SILENCE:
            yield f"{title}: /healthz was silent for {self.silence:.3f} s."
        if write > MAX_WRITE or self.refused:
            yield f"{title}: writes took {write:.3f} s (p99), {self.refused} were refused."
        if self.memory_mb > MAX_MEMORY_MB:
            yield f"{title}: the worker took {self.memory_mb} MB."


def _run_requests(server: Server, *, seconds: float) -> list[str]:
    """Send each of the worst requests alone, then all of them from eight clients at once. Return what failed."""
    with Connection(server.port) as connection:
        catalogue = fetch_json(connection, build_request("GET", "/v1/metrics", key=server.keys["read"]))
    requests = _worst_requests(server.keys["read"], ",".join(metric["name"] for metric in catalogue["metrics"]))
    worker = find_worker(server.port)
    failures = _run_alone(server, worker, requests)
    for chosen in [*[[request] for request in requests.values()][:6], list(requests.values())]:
        title = (
            "eight of all" if len(chosen) > 1 else f"eight of {next(t for t, r in requests.items() if r is chosen[0])}"
        )
        with Probe(server, worker).run() as probe:
            _send_at_once(server.port, chosen, seconds=seconds, clients=8)
        failures += probe.failures(title)
    return failures


def _run_batches(server: Server, *, seconds: float) -> list[str]:
    """Send each of the worst batches alone, then all of them from eight clients at once. Return what failed."""
    worker = find_worker(server.port)
    failures = _run_alone(server, worker, dict(build_batches(server.keys["ingest"], run=f"{perf_counter()}")))
    batches = [request for _, request in build_batches(server.keys["ingest"], run=f"{perf_counter()}")]
    with Probe(server, worker).run() as probe:
        _send_at_once(server.port, batches, seconds=seconds, clients=8)
    return [*failures, *probe.failures("eight batches of all")]


def _run_alone(server: Server, worker: int, requests: dict[str, bytes]) -> list[str]:
    """Send requests one after the other, and return what failed meanwhile."""
    failures: list[str] = []
    for title, request in requests.items():
        with Probe(server, worker).run() as probe:
            start = perf_counter()
            outcome = _exchange(server.port, request)
            took = perf_counter() - start
            sleep(max(0.0, 1 - took))
        failures += probe.failures(f"{title} ({outcome}, {took:.1f} s)")
    return failures


def _send_at_once(port: int, requests: list[bytes], *, seconds: float, clients: int) -> None:
    end = perf_counter() + seconds
    numbers = count()

    def run_client() -> None:
        while perf_counter() < end:
            _exchange(port, requests[next(numbers) % len(requests)])

    threads = [threading.Thread(target=run_client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _exchange(port: int, request: bytes) -> str:
    """Send a request on a connection of its own, and return its status with the code of an error."""
    try:
        with Connection(port) as connection:
            status, body = connection.exchange(request)
    except (OSError, UnexpectedResponse):
        return "closed"
    return str(status) if status == 200 else f"{status} {json.loads(body)['code']}"


def find_worker(port: int) -> int:
    """Return the process that listens on a port."""
    inodes = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
    }
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink().name.removeprefix("socket:[").removesuffix("]") in inodes:
                return int(link.parts[2])
        except OSError:
            continue
    raise RuntimeError(f"No process listens on port {port}.")


if __name__ == "__main__":
    main()
