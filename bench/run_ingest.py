"""Measure ingest over HTTP, compared with the most one could expect: COPY of the same rows, and a minimal insert."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from statistics import median
from time import perf_counter
from typing import Any

import psycopg
from pydantic_core import to_json

from bench import minimal_insert
from bench.client import build_request, send_all
from bench.copy_rows import build_copy_statement, format_copy_rows
from bench.dataset import Tables
from bench.event_stream import Event, split_into_batches, usage_events
from bench.processes import Postgres, Server, run_minimal_service, run_service
from bench.timing import summarize

WORKERS = (1, 2)
CLIENTS = (1, 2, 8)
# Events of a request, and how many events are sent in one measurement.
BATCHES = {1: 2_400, 100: 12_000, 1_000: 24_000}
_ROWS_PER_COPY = 1_000
# Events of the warm-up by batch size. A worker has eight connections to its database, and more clients would be refused.
_WARM_UP = {1: 800, 100: 3_200, 1_000: 16_000}
_WARM_UP_CLIENTS = 8
COPY_TABLE = "bench.copied"
_DATABASE = "ingest"


@dataclass(frozen=True)
class Case:
    """What is measured: the number of workers and of clients, and the events of a request."""

    workers: int
    clients: int
    batch: int


def measure(
    postgres: Postgres, template: str, tables: Tables, *, rounds: int, share: float, log: Any
) -> dict[str, Any]:
    """Return the events per second of each case and, measured right after it, of its comparison with the same events.

    template: the database that has everything but usage. Usage begins in the middle of the two years, when most accounts
    exist. share: the share of the usual number of events that is sent.
    """
    logs = postgres.logs
    postgres.create(_DATABASE, template=template)
    database = postgres.database(_DATABASE)
    with postgres.connect(_DATABASE) as connection:
        connection.execute("CREATE SCHEMA bench")
        for table in (COPY_TABLE, minimal_insert.TABLE):
            # With the same rows as the service's own table before the first event.
            connection.execute(f"CREATE TABLE {table} (LIKE event INCLUDING ALL)")
            connection.execute(f"INSERT INTO {table} SELECT * FROM event")
        before = _count_events(connection)
        usage = tables["usage_events"]
        stream = usage_events(usage.slice(usage.num_rows // 2))
        results: dict[Case, list[dict[str, Any]]] = {}
        for workers in WORKERS:
            with (
                run_service(database, log=logs / "service.log", workers=workers) as server,
                run_minimal_service(database, log=logs / "minimal_insert.log", workers=workers) as minimal,
            ):
                _warm_up(stream, server, minimal, connection)
                for case in _cases(workers) * rounds:
                    # Each client sends the same number of requests.
                    requests = max(1, round(BATCHES[case.batch] * share / case.batch / case.clients)) * case.clients
                    events = _take(stream, requests * case.batch)
                    result = _measure_case(case, events, server, minimal, connection)
                    results.setdefault(case, []).append(result)
                    log(_format_result(case, result))
        sent = sum(result["events"] for measured in results.values() for result in measured)
        stored = _count_events(connection) - before - len(WORKERS) * sum(_WARM_UP.values())
    if stored != sent:
        raise RuntimeError(f"{sent} events were accepted, but {stored} are stored.")
    postgres.drop(_DATABASE)
    return {"rounds": rounds, "cases": [_summarize_case(case, measured) for case, measured in results.items()]}


def _cases(workers: int) -> list[Case]:
    return [Case(workers, clients, batch) for batch in BATCHES for clients in CLIENTS]


def _measure_case(
    case: Case, events: list[Event], server: Server, minimal: Server, connection: psycopg.Connection[Any]
) -> dict[str, Any]:
    """Measure the service and its comparison once."""
    load = send_all(server.port, _requests(events, case.batch, server), clients=case.clients)
    if case.batch == 1:
        seconds = send_all(minimal.port, _requests(events, 1, minimal), clients=case.clients).seconds
    else:
        seconds = _copy(connection, events)
    count = len(events)
    return {
        "events": count,
        "rate": count / load.seconds,
        "comparison": count / seconds,
        "times": load.times,
        "busy": load.busy,
    }


def _requests(events: list[Event], batch: int, server: Server) -> list[tuple[bytes, int]]:
    """Return the requests, built beforehand. A single event is an object, not a list of one."""
    parts = [events[start : start + batch] for start in range(0, len(events), batch)]
    key = server.keys.get("ingest", "")
    bodies = (to_json(part[0] if batch == 1 else part) for part in parts)
    return [
        (build_request("POST", "/v1/events", key=key, body=body), len(part))
        for body, part in zip(bodies, parts, strict=True)
    ]


def _copy(connection: psycopg.Connection[Any], events: list[Event]) -> float:
    """Return the seconds that COPY takes, with a transaction for each thousand rows. Their text is built beforehand."""
    now = datetime.now(UTC)
    batches = split_into_batches(iter(events), _ROWS_PER_COPY)
    texts = [format_copy_rows(batch, now=now, recorded_on=now.date()) for batch in batches]
    statement = build_copy_statement(COPY_TABLE)
    start = perf_counter()
    for text in texts:
        with connection.cursor().copy(statement) as target:
            target.write(text)
    return perf_counter() - start


def _warm_up(stream: Iterator[Event], server: Server, minimal: Server, connection: psycopg.Connection[Any]) -> None:
    """Send events until every worker has opened its connections and prepared its statements."""
    for batch, count in _WARM_UP.items():
        events = _take(stream, count)
        send_all(server.port, _requests(events, batch, server), clients=_WARM_UP_CLIENTS)
        if batch == 1:
            send_all(minimal.port, _requests(events, batch, minimal), clients=_WARM_UP_CLIENTS)
        else:
            _copy(connection, events)


def _take(stream: Iterator[Event], count: int) -> list[Event]:
    events = list(islice(stream, count))
    if len(events) < count:
        raise RuntimeError("The data set has too few events. Use fewer rounds or a larger size.")
    return events


def _count_events(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) FROM event").fetchone()
    return int(row[0]) if row else 0


def _summarize_case(case: Case, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return medians over the rounds. That of the ratio is the median of the ratios."""
    return {
        "workers": case.workers,
        "clients": case.clients,
        "batch": case.batch,
        "events": results[0]["events"],
        "rate": round(median(result["rate"] for result in results)),
        "comparison": round(median(result["comparison"] for result in results)),
        "ratio": round(median(result["rate"] / result["comparison"] for result in results), 3),
        "request": summarize([seconds * 1000 for result in results for seconds in result["times"]]),
        "busy": sum(result["busy"] for result in results),
    }


def _format_result(case: Case, result: dict[str, Any]) -> str:
    name = "minimal insert" if case.batch == 1 else "COPY"
    busy = f", busy {result['busy']} times" if result["busy"] else ""
    ratio = result["rate"] / result["comparison"]
    return (
        f"{case.workers} workers, {case.clients} clients, batches of {case.batch:>5,}: {result['rate']:>8,.0f} events/s, "
        f"{name} {result['comparison']:>8,.0f}, ratio {ratio:.3f}{busy}"
    )
