"""A campaign that shows that a large answer streams: a million rows in every format, in bounded memory.

    python -m bench.run_exports [--accounts 25000] [--months 40] [--formats csv parquet xlsx]

It loads accounts with a subscription each, runs the service with one worker, and asks for the MRR of each account in each month,
as one file in each format. It fails when a worker took more than 300 MB, when the first byte came after more than two seconds,
or when an answer has another number of rows, another sum or other columns than the others. With fewer accounts it takes seconds.
"""

import argparse
import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, NamedTuple
from urllib.parse import urlencode

import duckdb
from pydantic_core import to_json
from python_calamine import CalamineWorkbook

from bench.client import build_request, send_all
from bench.processes import Postgres, Server, run_postgres, run_service

MAX_MEMORY_MB, MAX_FIRST_BYTE = 300, 2.0
FORMATS = ("csv", "parquet", "xlsx")
_FIRST_MONTH = date(2021, 1, 1)
_EVENTS_PER_REQUEST = 2_000
_PATH_WITHOUT_PANDAS = os.pathsep.join(
    [str(Path(__file__).parent / "without_pandas"), os.environ.get("PYTHONPATH", "")]
)


class Export(NamedTuple):
    """What one download took. memory_mb: the highest of the worker meanwhile."""

    file: Path
    first_byte: float
    seconds: float
    memory_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--accounts", type=int, default=25_000)
    parser.add_argument("--months", type=int, default=40)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / ".cache")
    parser.add_argument("--formats", nargs="*", default=FORMATS)
    arguments = parser.parse_args()
    failures = list(run(arguments.accounts, arguments.months, arguments.folder.resolve(), formats=arguments.formats))
    print("\n".join(failures) or "All limits are kept.")  # noqa: T201
    raise SystemExit(bool(failures))


def run(accounts: int, months: int, folder: Path, *, formats: tuple[str, ...] = FORMATS) -> Iterator[str]:
    """Print what each download took, and yield what is wrong."""
    rows = accounts * months
    print(f"{rows:,} rows   first byte   all of it   memory         size")  # noqa: T201
    with run_postgres(folder / "server") as postgres:
        name = _load(postgres, accounts, folder)
        sums: set[Any] = set()
        for format in formats:
            # A process of its own, since memory that Python has freed stays with the process.
            settings = {"question_timeout": 120, "pythonpath": _PATH_WITHOUT_PANDAS}
            with run_service(postgres.database(name), log=folder / "exports.log", **settings) as server:
                export = _download(server, months, format, folder)
            size = export.file.stat().st_size / 1e6
            print(  # noqa: T201
                f"{format:10} {export.first_byte:9.2f} s {export.seconds:9.1f} s {export.memory_mb:6.0f} MB {size:9.1f} MB"
            )
            if export.first_byte > MAX_FIRST_BYTE:
                yield f"{format}: the first byte came after {export.first_byte:.2f} s."
            if export.memory_mb > MAX_MEMORY_MB:
                yield f"{format}: the worker took {export.memory_mb:.0f} MB."
            count, total = _read(export.file, format)
            sums.add(total)
            if count != rows:
                yield f"{format}: {count:,} rows instead of {rows:,}."
        if len(sums) > 1:
            yield f"The sums differ: {sums}."


def _load(postgres: Postgres, accounts: int, folder: Path) -> str:
    """Load the database, unless it is there, and return its name."""
    name = f"exports-{accounts}"
    if postgres.read_comment(name) is None:
        postgres.create(name)
        with run_service(postgres.database(name), log=folder / "exports.log", workers=2) as server:
            events = _events(accounts)
            batches = iter(lambda: list(islice(events, _EVENTS_PER_REQUEST)), [])
            key = server.keys["ingest"]
            requests = ((build_request("POST", "/v1/events", key=key, body=to_json(b)), len(b)) for b in batches)
            send_all(server.port, requests, clients=2)
        with postgres.connect(name) as connection:
            connection.execute("VACUUM (ANALYZE)")
        postgres.write_comment(name, {"accounts": accounts})
    return name


def _events(accounts: int) -> Iterator[dict[str, Any]]:
    for number in range(accounts):
        mrr = f"{100 + number % 977}.{number % 100:02}"
        yield {
            "id": f"m{number}",
            "type": "subscription.changed",
            "account_id": f"{'=' if number % 10 == 0 else ''}account-{number:06}-é",
            "occurred_at": f"{_FIRST_MONTH}T10:00:00Z",
            "data": {"subscription_id": "main", "mrr": mrr},
        }


def _question(months: int) -> dict[str, str]:
    end = date(_FIRST_MONTH.year + months // 12, months % 12 + 1, 1)
    return {"start": str(_FIRST_MONTH), "end": str(end), "group_by": "account"}


def _download(server: Server, months: int, format: str, folder: Path) -> Export:
    """Write the answer to a file."""
    file = folder / f"export.{format}"
    path = f"/v1/metrics/mrr?{urlencode(_question(months) | {'format': format})}"
    client = HTTPConnection("127.0.0.1", server.port, timeout=600)
    with _watch_memory(server.port) as peak, closing(client), file.open("wb") as output:
        start = perf_counter()
        client.request("GET", path, headers={"Authorization": f"Bearer {server.keys['read']}"})
        response = client.getresponse()
        piece = response.read1()
        first_byte = perf_counter() - start
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {piece[:1000]!r}")
        while piece:
            output.write(piece)
            piece = response.read1()
    return Export(file, first_byte, perf_counter() - start, max(peak))


@contextmanager
def _watch_memory(port: int) -> Iterator[list[float]]:
    """Yield a list with the memory of the largest process of the service, in MB, while this is open."""
    pids = _find_processes(port)
    peak, stop = [0.0], threading.Event()

    def watch() -> None:
        while not stop.is_set():
            peak.append(max(_memory_mb(pid) for pid in pids))
            sleep(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def _find_processes(port: int) -> list[int]:
    """Return the processes that were started with this port in their environment."""
    wanted = f"PORT={port}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def _memory_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return int(text.split("Rss:")[1].split()[0]) / 1024


def _read(file: Path, format: str) -> tuple[int, Any]:
    """Return the number of rows of a file, and the sum of their values, as another program reads them."""
    if format == "xlsx":
        rows = CalamineWorkbook.from_path(file).get_sheet_by_index(0).iter_rows()
        header = next(rows)
        values = [row[header.index("value")] for row in rows]
        return len(values), round(sum(values), 2)
    reader = {"csv": "read_csv", "parquet": "read_parquet"}[format]
    [(count, total)] = duckdb.sql(f"SELECT count(*), sum(value) FROM {reader}('{file}')").fetchall()
    return count, round(total, 2)


if __name__ == "__main__":
    main()
