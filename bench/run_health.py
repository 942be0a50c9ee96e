"""A campaign that measures health: the scores of all accounts in one answer, and the card of one.

    python -m bench.run_health [--accounts 20000] [--weeks 16]

It loads accounts with a subscription, tickets, a survey response and some months of sessions, most of them recorded today, puts a
model of eight components, and runs the service with one worker. It fails when all scores took more than 2 s or 300 MB, or a card
with a year of history more than 20 ms. The limits are those of a machine that does nothing else.
"""

import argparse
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from pydantic_core import to_json

from bench.client import Connection, build_request, fetch_json, send_all
from bench.copy_rows import build_copy_statement, format_copy_rows
from bench.processes import Postgres, Server, run_command, run_postgres, run_service
from bench.timing import measure_time

MAX_ALL_SECONDS, MAX_ALL_MB, MAX_CARD_MS = 2.0, 300, 20.0
_EVENTS_PER_REQUEST, _EVENTS_PER_COPY = 2_000, 100_000
_EIGHTH = {
    "id": "stickiness",
    "kind": "value",
    "metric": "stickiness",
    "poor": 0,
    "good": 30,
    "weight": 5,
    "category": "usage",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--weeks", type=int, default=16, help="of usage, two sessions of each account a week")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / ".cache")
    arguments = parser.parse_args()
    with run_postgres(arguments.folder.resolve() / "server") as postgres:
        name = _load(postgres, arguments.accounts, arguments.weeks, arguments.folder)
        with run_service(postgres.database(name), log=arguments.folder / "health.log") as server:
            failures = _measure(server, arguments.accounts)
    print("\n".join(failures) or "All limits are kept.")  # noqa: T201
    raise SystemExit(bool(failures))


def _load(postgres: Postgres, accounts: int, weeks: int, folder: Path) -> str:
    """Load the database, unless it was loaded today, and return its name."""
    name, today = f"health-{accounts}-{weeks}", datetime.now(UTC).date()
    if (postgres.read_comment(name) or {}).get("loaded_on") == str(today):
        return name
    postgres.create(name)
    with run_service(postgres.database(name), log=folder / "health.log", workers=2) as server:
        others = _other_events(accounts, today)
        batches = iter(lambda: list(islice(others, _EVENTS_PER_REQUEST)), [])
        key = server.keys["ingest"]
        requests = ((build_request("POST", "/v1/events", key=key, body=to_json(b)), len(b)) for b in batches)
        send_all(server.port, requests, clients=2)
    sessions = _sessions(accounts, weeks, today)
    with psycopg.connect(postgres.database(name)) as connection:
        while part := list(islice(sessions, _EVENTS_PER_COPY)):
            with connection.cursor().copy(build_copy_statement("event")) as target:
                target.write(format_copy_rows(part, now=datetime.now(UTC), recorded_on=today))
    run_command(postgres.database(name), "rebuild")
    with postgres.connect(name) as connection:
        connection.autocommit = True
        connection.execute("VACUUM (ANALYZE)")
    postgres.write_comment(name, {"loaded_on": str(today)})
    return name


def _other_events(accounts: int, today: date) -> Iterator[dict[str, Any]]:
    random = Random(1)
    for number in range(accounts):
        account = {"account_id": f"account-{number:06}"}
        for part in range(1 + (number % 3 == 0)):
            data = {"subscription_id": "main", "mrr": str(random.randint(50, 500)), "seats": 8}
            yield _event(f"m{part}", "subscription.changed", today - timedelta(days=300 - 250 * part), account, data)
        for ticket in range(number % 5):
            day = today - timedelta(days=random.randrange(200))
            data = {"ticket_id": f"ticket-{ticket}"}
            for type in ("opened", "replied", "resolved")[: random.randint(1, 3)]:
                yield _event(f"t{ticket}-{type}", f"ticket.{type}", day, account, data)
        if number % 2:
            day = today - timedelta(days=random.randrange(300))
            yield _event("nps", "survey.responded", day, account, {"survey": "nps", "score": random.randint(0, 10)})


def _sessions(accounts: int, weeks: int, today: date) -> Iterator[dict[str, Any]]:
    """Yield two sessions a week of each account, of two of its four users, in the order of time; one in six goes silent."""
    for days_ago in range(7 * weeks - 1, -1, -1):
        for number in range(accounts):
            if (number + days_ago) % 7 in (0, 3) and not (number % 6 == 0 and days_ago < 25):
                account = {"account_id": f"account-{number:06}", "user_id": f"user-{(number + days_ago) % 4}"}
                yield _event(
                    f"s{days_ago}",
                    "session.ended",
                    today - timedelta(days=days_ago),
                    account,
                    {"duration_seconds": 600},
                )


def _event(id: str, type: str, day: date, owner: dict[str, str], data: dict[str, Any]) -> dict[str, Any]:
    return {"id": id, "type": type, "occurred_at": f"{day}T00:00:00Z", "data": data} | owner


def _measure(server: Server, accounts: int) -> list[str]:
    """Print what all scores and a card take, and return what is too much."""
    with Connection(server.port) as connection:
        key, admin = server.keys["read"], server.keys["admin"]
        model = fetch_json(connection, build_request("GET", "/v1/health-model", key=key))["model"]
        components = [*(own for own in model["components"] if own["id"] != _EIGHTH["id"]), _EIGHTH]
        body = to_json(model | {"components": components})
        fetch_json(connection, build_request("PUT", "/v1/health-model", key=admin, body=body))
        worker = _find_worker(server.port)
        before = _resident_mb(worker)
        message = build_request("GET", "/v1/health?limit=50000", key=key)
        answer, all_times = measure_time(lambda: fetch_json(connection, message), times=5, warm_up=1)
        growth = _peak_mb(worker) - before
        message = build_request("GET", "/v1/accounts/account-000123/health", key=key)
        _, card_times = measure_time(lambda: connection.exchange(message), times=50, warm_up=5)
    scores = sum(row["score"] is not None for row in answer["accounts"])
    seconds, milliseconds = all_times["p50"] / 1_000, card_times["p50"]
    print(f"{scores:,} scores of {accounts:,} accounts: {seconds:.2f} s, at best {all_times['least'] / 1_000:.2f} s")  # noqa: T201
    print(f"memory: {growth:.0f} MB more than before")  # noqa: T201
    print(f"a card with 13 points of history: {milliseconds:.1f} ms, at best {card_times['least']:.1f} ms")  # noqa: T201
    limits = [
        (scores == accounts, f"only {scores:,} accounts have a score"),
        (seconds <= MAX_ALL_SECONDS, f"all scores took more than {MAX_ALL_SECONDS} s"),
        (growth <= MAX_ALL_MB, f"all scores took more than {MAX_ALL_MB} MB"),
        (milliseconds <= MAX_CARD_MS, f"a card took more than {MAX_CARD_MS} ms"),
    ]
    return [sentence for is_kept, sentence in limits if not is_kept]


def _find_worker(port: int) -> int:
    """Return the process that listens on a port: the one with the largest memory of those that were started for it."""
    processes = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    own = [number for number in processes if f"PORT={port}".encode() in _environment_of(number)]
    return max(own, key=_resident_mb)


def _environment_of(process: int) -> list[bytes]:
    try:
        return Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _resident_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _peak_mb(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 2**10


if __name__ == "__main__":
    main()
