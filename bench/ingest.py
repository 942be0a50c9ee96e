"""Events over HTTP, in time order, beside what could be had at most: COPY of the same rows, and a bare insert over HTTP."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from statistics import median
from time import perf_counter
from typing import Any

import psycopg
from pydantic_core import to_json

from bench import bare, events
from bench.client import pour, request
from bench.data import Tables
from bench.peers import spread
from bench.processes import Postgres, Running, service
from bench.processes import bare as bare_service
from bench.rows import copy, text_of

WORKERS = (1, 2)
CLIENTS = (1, 2, 8)
# Events of a request, and how many events are sent in one measurement.
BATCHES = {1: 2_400, 100: 12_000, 1_000: 24_000}
_COPIED_AT_ONCE = 1_000
# Events of the warm-up by batch. No more clients than a worker has connections to its database: others would be turned away.
_WARM_UP = {1: 800, 100: 3_200, 1_000: 16_000}
_WARM_UP_CLIENTS = 8
COPIED = "bench.copied"
_DATABASE = "ingest"


@dataclass(frozen=True)
class Case:
    workers: int
    clients: int
    batch: int


def measure(
    postgres: Postgres, template: str, tables: Tables, *, rounds: int, share: float, say: Any
) -> dict[str, Any]:
    """Events per second of each case and, right after each, of its peer with the very same events.

    template: the database whose books know everything but usage. Usage begins in the middle of the two years, when most
    accounts are there. share: how much of the usual number of events is sent.
    """
    logs = postgres.logs
    postgres.make(_DATABASE, template=template)
    database = postgres.database(_DATABASE)
    with postgres.connect(_DATABASE) as connection:
        connection.execute("CREATE SCHEMA bench")
        for table in (COPIED, bare.TABLE):
            # With the same rows as the service's own table before the first event.
            connection.execute(f"CREATE TABLE {table} (LIKE event INCLUDING ALL)")
            connection.execute(f"INSERT INTO {table} SELECT * FROM event")
        before = _count(connection)
        usage = tables["usage_events"]
        stream = events.usage(usage.slice(usage.num_rows // 2))
        found: dict[Case, list[dict[str, Any]]] = {}
        for workers in WORKERS:
            with (
                service(database, log=logs / "service.log", workers=workers) as running,
                bare_service(database, log=logs / "bare.log", workers=workers) as other,
            ):
                _warm_up(stream, running, other, connection)
                for _ in range(rounds):
                    for batch, count in BATCHES.items():
                        for clients in CLIENTS:
                            case = Case(workers, clients, batch)
                            # As many requests for each client.
                            requests = max(1, round(count * share / batch / clients)) * clients
                            sent = _take(stream, requests * batch)
                            result = _one(case, sent, running, other, connection)
                            found.setdefault(case, []).append(result)
                            say(_line(case, result))
        sent_in_all = sum(result["events"] for results in found.values() for result in results)
        kept = _count(connection) - before - len(WORKERS) * sum(_WARM_UP.values())
    if kept != sent_in_all:
        raise RuntimeError(f"{sent_in_all} events were accepted, but {kept} are kept.")
    postgres.drop(_DATABASE)
    return {"rounds": rounds, "cases": [_summary(case, results) for case, results in found.items()]}


def _one(
    case: Case, sent: list[events.Event], running: Running, other: Running, connection: psycopg.Connection[Any]
) -> dict[str, Any]:
    """One measurement of the service and of its peer."""
    seconds, took, busy = pour(running.port, _requests(sent, case.batch, running), clients=case.clients)
    if case.batch == 1:
        peer = pour(other.port, _requests(sent, 1, other), clients=case.clients).seconds
    else:
        peer = _copied(connection, sent)
    count = len(sent)
    return {"events": count, "rate": count / seconds, "peer": count / peer, "took": took, "busy": busy}


def _requests(sent: list[events.Event], batch: int, target: Running) -> list[tuple[bytes, int]]:
    """Made beforehand. A single event is an object, not a list of one."""
    parts = [sent[start : start + batch] for start in range(0, len(sent), batch)]
    key = target.keys.get("ingest", "")
    bodies = (to_json(part[0] if batch == 1 else part) for part in parts)
    return [
        (request("POST", "/v1/events", key=key, body=body), len(part)) for body, part in zip(bodies, parts, strict=True)
    ]


def _copied(connection: psycopg.Connection[Any], sent: list[events.Event]) -> float:
    """The seconds that COPY takes for the rows, a transaction for each thousand; their text is made beforehand."""
    now = datetime.now(UTC)
    texts = [text_of(part, now=now, recorded_on=now.date()) for part in events.batches(iter(sent), _COPIED_AT_ONCE)]
    statement = copy(COPIED)
    began = perf_counter()
    for text in texts:
        with connection.cursor().copy(statement) as target:
            target.write(text)
    return perf_counter() - began


def _warm_up(
    stream: Iterator[events.Event], running: Running, other: Running, connection: psycopg.Connection[Any]
) -> None:
    """Every worker has made its connections and prepared its statements."""
    for batch, count in _WARM_UP.items():
        sent = _take(stream, count)
        pour(running.port, _requests(sent, batch, running), clients=_WARM_UP_CLIENTS)
        if batch == 1:
            pour(other.port, _requests(sent, batch, other), clients=_WARM_UP_CLIENTS)
        else:
            _copied(connection, sent)


def _take(stream: Iterator[events.Event], count: int) -> list[events.Event]:
    sent = list(islice(stream, count))
    if len(sent) < count:
        raise RuntimeError("The data set has no events left: fewer rounds, or a larger size.")
    return sent


def _count(connection: psycopg.Connection[Any]) -> int:
    found = connection.execute("SELECT count(*) FROM event").fetchone()
    return int(found[0]) if found else 0


def _summary(case: Case, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the rounds; the ratio's is that of the ratios."""
    took = spread([seconds * 1000 for result in results for seconds in result["took"]])
    return {
        "workers": case.workers,
        "clients": case.clients,
        "batch": case.batch,
        "events": results[0]["events"],
        "rate": round(median(result["rate"] for result in results)),
        "peer": round(median(result["peer"] for result in results)),
        "ratio": round(median(result["rate"] / result["peer"] for result in results), 3),
        "request": took,
        "busy": sum(result["busy"] for result in results),
    }


def _line(case: Case, result: dict[str, Any]) -> str:
    name = "bare insert" if case.batch == 1 else "COPY"
    busy = f", busy {result['busy']} times" if result["busy"] else ""
    return (
        f"{case.workers} workers, {case.clients} clients, batches of {case.batch:>5,}: {result['rate']:>8,.0f} events/s, "
        f"{name} {result['peer']:>8,.0f}, ratio {result['rate'] / result['peer']:.3f}{busy}"
    )
