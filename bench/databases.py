"""The service's databases with the data set, kept for later runs as long as the code that writes stays the same."""

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
from bench.client import Connection, build_request, fetch_json, send_all
from bench.copy_rows import build_copy_statement, format_copy_rows
from bench.dataset import Size, Tables
from bench.event_stream import SURVEYS, Event, other_events, split_into_batches, usage_events
from bench.processes import Postgres, Server, run_command, run_service

# Above this, loading usage over HTTP takes too long.
MAX_OVER_HTTP = 2_000_000
_EVENTS_PER_REQUEST = 5_000
_CLIENTS = 2
_ROWS_PER_COPY = 100_000
# The packages through which events are written, and what in them only reads.
_WRITING_PACKAGES = ("database", "accounts", "ledger", "ingest")
_READING_MODULES = {"sums", "verify.py", "routes.py"}


def database_names(size: Size) -> list[str]:
    """Return the databases of a size: the service's without usage and with it, and the raw tables."""
    return [f"books-{size.accounts}x", f"service-{size.name}", f"raw-{size.name}"]


def load_service_database(
    postgres: Postgres, size: Size, tables: Tables, folder: Path, *, way: str, stale: bool, log: Any
) -> tuple[str, dict[str, Any]]:
    """Load the service's database unless it is there already. Return its name, and facts about how it was loaded.

    way: `http`; or `copy`, where usage events are copied into the table of events and posted by `csmetrics rebuild`.
    stale: use a database that is there, although code that writes has changed since.
    """
    _, name, _ = database_names(size)
    if (facts := _find_loaded(postgres, name, stale=stale)) and facts["way"] == way:
        return name, facts
    template = load_template(postgres, size, tables, stale=stale, log=log)
    log(f"Loading {name}: usage by {way} …")
    postgres.create(name, template=template)
    seconds = {"the other events": (postgres.read_comment(template) or {})["seconds"]}
    if way == "http":
        with run_service(postgres.database(name), log=postgres.logs / "service.log", workers=_CLIENTS) as server:
            start = perf_counter()
            _send_events(server, usage_events(tables["usage_events"]))
            seconds["usage events over HTTP"] = _seconds_since(start)
    else:
        start = perf_counter()
        _copy_usage(postgres, name, folder / "usage_events.parquet")
        seconds["usage events by COPY"] = _seconds_since(start)
        start = perf_counter()
        run_command(postgres.database(name), "rebuild")
        seconds["`csmetrics rebuild` of all events"] = _seconds_since(start)
    facts = {"way": way, "code": _hash_writing_code(), "loaded_on": str(date.today()), "seconds": seconds}
    with postgres.connect(name) as connection:
        connection.execute("VACUUM (ANALYZE)")
        facts |= _read_sizes(connection)
    postgres.write_comment(name, facts)
    return name, facts | {"stale": False}


def load_template(postgres: Postgres, size: Size, tables: Tables, *, stale: bool, log: Any) -> str:
    """Load the database with everything but usage, from which the others are copied, unless it is there. Return its name."""
    name, _, _ = database_names(size)
    if _find_loaded(postgres, name, stale=stale):
        return name
    log(f"Loading {name}: all but usage over HTTP …")
    postgres.create(name)
    start = perf_counter()
    with run_service(postgres.database(name), log=postgres.logs / "service.log", workers=_CLIENTS) as server:
        _declare_surveys(server)
        _send_events(server, other_events(tables))
    seconds = _seconds_since(start)
    with postgres.connect(name) as connection:
        connection.execute("VACUUM (ANALYZE)")
    postgres.write_comment(name, {"code": _hash_writing_code(), "seconds": seconds})
    return name


def _find_loaded(postgres: Postgres, name: str, *, stale: bool) -> dict[str, Any] | None:
    """Return the facts about a database that was loaded before, None if it may not be used."""
    facts = postgres.read_comment(name)
    if facts is None:
        return None
    changed = facts["code"] != _hash_writing_code()
    return None if changed and not stale else facts | {"stale": changed}


def _seconds_since(start: float) -> float:
    return round(perf_counter() - start, 1)


def _hash_writing_code() -> str:
    """Return a hash of the code by which events become rows: packages of the service, migrations and the data set."""
    digest = hashlib.blake2b(digest_size=8)
    root = Path(app.__path__[0])
    modules = [path for package in _WRITING_PACKAGES for path in (root / package).rglob("*.py")]
    chain = Path(migrations.__path__[0]).rglob("*.py")
    ours = [Path(__file__).with_name(f"{name}.py") for name in ("dataset", "event_stream", "copy_rows")]
    for path in sorted([*modules, *chain, *ours]):
        if _READING_MODULES.isdisjoint(path.parts):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _declare_surveys(server: Server) -> None:
    with Connection(server.port) as connection:
        for survey, definition in SURVEYS.items():
            body = to_json(definition)
            request = build_request("PUT", f"/v1/surveys/{survey}", key=server.keys["admin"], body=body)
            fetch_json(connection, request)


def _send_events(server: Server, stream: Iterator[Event]) -> None:
    key = server.keys["ingest"]
    requests = (
        (build_request("POST", "/v1/events", key=key, body=to_json(batch)), len(batch))
        for batch in split_into_batches(stream, _EVENTS_PER_REQUEST)
    )
    send_all(server.port, requests, clients=_CLIENTS)


def _copy_usage(postgres: Postgres, name: str, usage: Path) -> None:
    """Copy usage in parts, with a process for each core, as if it had been recorded on the day of the other events."""
    with postgres.connect(name) as connection:
        row = connection.execute("SELECT max(last_recorded_on) FROM account").fetchone()
    recorded_on = row[0] if row else date.today()
    starts = range(0, pq.read_metadata(usage).num_rows, _ROWS_PER_COPY)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        parts = [pool.submit(_copy_part, postgres.database(name), usage, start, recorded_on) for start in starts]
        for part in as_completed(parts):
            part.result()


def _copy_part(database: str, usage: Path, start: int, recorded_on: date) -> None:
    table: pa.Table = pq.read_table(usage, memory_map=True).slice(start, _ROWS_PER_COPY)
    text = format_copy_rows(usage_events(table), now=datetime.now(UTC), recorded_on=recorded_on)
    with psycopg.connect(database) as connection, connection.cursor().copy(build_copy_statement("event")) as target:
        target.write(text)


def _read_sizes(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    """Return the number of events, and the bytes of the largest tables."""
    count = connection.execute("SELECT count(*) FROM event").fetchone()
    query = """
        SELECT relname, pg_total_relation_size(oid) FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 2 DESC LIMIT 6
    """
    tables = dict(connection.execute(query).fetchall())
    return {"events": count[0] if count else 0, "bytes": tables}
