"""The service's database with the data set in it, kept for the next run as long as the code that writes stays the same."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, date, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import to_json

import app
import migrations
from bench import events
from bench.client import Connection, ask, pour, request
from bench.data import Size, Tables
from bench.processes import Postgres, Running, command, service
from bench.rows import copy, text_of

# Above this, writing usage through the door would take longer than anybody waits.
MOST_OVER_HTTP = 2_000_000
_EVENTS_A_REQUEST = 5_000
_CLIENTS = 2
_ROWS_A_COPY = 100_000
# What only reads, of the rooms on the way in.
_READERS = {"sums", "sums.py", "verify.py", "routes.py"}


def databases(size: Size) -> list[str]:
    """What is kept for a size: the books without usage and with it, and the raw tables of the peers."""
    return [f"books-{size.accounts}x", f"service-{size.name}", f"raw-{size.name}"]


def loaded(
    postgres: Postgres, size: Size, tables: Tables, folder: Path, *, way: str, stale: bool, say: Any
) -> tuple[str, dict[str, Any]]:
    """The name of the database, and how it was loaded: `way`, `events`, `seconds`, `bytes` and more.

    way: `http`; or `copy`, by which usage events are copied into the table of events and posted by `csmetrics rebuild`.
    stale: take the database that there is, although code that writes has changed since.
    """
    _, name, _ = databases(size)
    if (facts := _kept(postgres, name, stale=stale)) and facts["way"] == way:
        return name, facts
    template = books(postgres, size, tables, stale=stale, say=say)
    say(f"Loading {name}: usage by {way} …")
    postgres.make(name, template=template)
    seconds = {"the other events": (postgres.facts(template) or {})["seconds"]}
    if way == "http":
        with service(postgres.database(name), log=postgres.logs / "service.log", workers=_CLIENTS) as running:
            began = perf_counter()
            _post(running, events.usage(tables["usage_events"]))
            seconds["usage events over HTTP"] = _lap(began)
    else:
        began = perf_counter()
        _copy(postgres, name, folder / "usage_events.parquet")
        seconds["usage events by COPY"] = _lap(began)
        began = perf_counter()
        command(postgres.database(name), "rebuild")
        seconds["`csmetrics rebuild` of all events"] = _lap(began)
    facts = {"way": way, "code": _code_that_writes(), "loaded_on": str(date.today()), "seconds": seconds}
    with postgres.connect(name) as connection:
        connection.execute("VACUUM (ANALYZE)")
        facts |= _size_of(connection)
    postgres.label(name, facts)
    return name, facts | {"stale": False}


def books(postgres: Postgres, size: Size, tables: Tables, *, stale: bool, say: Any) -> str:
    """The name of the database that knows everything but usage, which is the template of the others."""
    name, _, _ = databases(size)
    if _kept(postgres, name, stale=stale):
        return name
    say(f"Loading {name}: all but usage over HTTP …")
    postgres.make(name)
    began = perf_counter()
    with service(postgres.database(name), log=postgres.logs / "service.log", workers=_CLIENTS) as running:
        _declare(running)
        _post(running, events.small_tables(tables))
    seconds = _lap(began)
    with postgres.connect(name) as connection:
        connection.execute("VACUUM (ANALYZE)")
    postgres.label(name, {"code": _code_that_writes(), "seconds": seconds})
    return name


def _kept(postgres: Postgres, name: str, *, stale: bool) -> dict[str, Any] | None:
    """The facts of a database that was loaded before and may be used."""
    facts = postgres.facts(name)
    if facts is None:
        return None
    changed = facts["code"] != _code_that_writes()
    return None if changed and not stale else facts | {"stale": changed}


def _lap(began: float) -> float:
    return round(perf_counter() - began, 1)


def _code_that_writes() -> str:
    """A hash of the code by which events become rows: of all rooms on the way in, and of how the data set is told."""
    digest = hashlib.blake2b(digest_size=8)
    inside = Path(app.__path__[0])
    rooms = [path for room in ("store", "accounts", "ledger", "ingest") for path in (inside / room).rglob("*.py")]
    chain = Path(migrations.__path__[0]).rglob("*.py")
    ours = [Path(__file__).with_name(f"{name}.py") for name in ("data", "events", "rows")]
    for path in sorted([*rooms, *chain, *ours]):
        if _READERS.isdisjoint(path.parts):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _declare(running: Running) -> None:
    with Connection(running.port) as connection:
        for survey, reading in events.SURVEYS.items():
            body = to_json(reading)
            ask(connection, request("PUT", f"/v1/surveys/{survey}", key=running.keys["admin"], body=body))


def _post(running: Running, stream: Iterator[events.Event]) -> None:
    key = running.keys["ingest"]
    requests = (
        (request("POST", "/v1/events", key=key, body=to_json(batch)), len(batch))
        for batch in events.batches(stream, _EVENTS_A_REQUEST)
    )
    pour(running.port, requests, clients=_CLIENTS)


def _copy(postgres: Postgres, name: str, usage: Path) -> None:
    """Copy usage in parts, by as many processes as there are cores, as if it had come on the day of the other events."""
    with postgres.connect(name) as connection:
        found = connection.execute("SELECT max(last_recorded_on) FROM account").fetchone()
    recorded_on = found[0] if found else date.today()
    starts = range(0, pq.read_metadata(usage).num_rows, _ROWS_A_COPY)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        parts = [pool.submit(_copy_part, postgres.database(name), usage, start, recorded_on) for start in starts]
        for part in as_completed(parts):
            part.result()


def _copy_part(database: str, usage: Path, start: int, recorded_on: date) -> None:
    table: pa.Table = pq.read_table(usage, memory_map=True).slice(start, _ROWS_A_COPY)
    text = text_of(events.usage(table), now=datetime.now(UTC), recorded_on=recorded_on)
    with psycopg.connect(database) as connection, connection.cursor().copy(copy("event")) as target:
        target.write(text)


def _size_of(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    events_there = connection.execute("SELECT count(*) FROM event").fetchone()
    query = """
        SELECT relname, pg_total_relation_size(oid) FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 2 DESC LIMIT 6
    """
    tables = dict(connection.execute(query).fetchall())
    return {"events": events_there[0] if events_there else 0, "bytes": tables}
