"""A campaign that measures what alerts cost: how much of the processor 1,000 alerts over 2,000 accounts take under steady ingest.

    python -m bench.run_alerts [--seconds 180] [--alerts 1000] [--rate 100]

A service without a watch accepts events at a steady rate, which concern every alert, and `csmetrics work` evaluates the alerts
beside it, each once a minute. Both have their own role of PostgreSQL, so the time that its processes take for each is known. It
fails when the alerts take a fifth of one processor or more. Times of the processor hardly depend on what else the machine does.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import sqlalchemy as sa
from pydantic_core import to_json

from bench.client import Connection, build_request, fetch_json, send_all
from bench.processes import Postgres, Server, process_seconds, run_postgres, run_service, run_work

MAX_CPU_SHARE = 0.2
_DATABASE, _ROLE, _ACCOUNTS = "alerts", "bench_alerts", 2_000
_PLANS = ("free", "starter", "growth", "enterprise")
_REGIONS = ("na", "emea", "apac", "latam", "anz")
_METRICS: dict[str, dict[str, int]] = {
    "nps": {"below": 0},
    "survey_responses": {"below": 1},
    "mrr": {"below": 100},
    "customers": {"below": 5},
    "sessions": {"above": 10_000},
    "active_users": {"below": 2},
    "average_session_minutes": {"below": 5},
    "customer_churn_rate": {"above": 10},
    "nrr": {"below": 90},
    "mrr_new": {"above": 100_000},
    "stickiness": {"below": 5},
    "arpa": {"below": 50},
}
_OF_ACCOUNTS: dict[str, dict[str, int]] = {
    "nps": {"below": 0},
    "mrr": {"change_percent": -20},
    "sessions": {"above": 5},
    "active_users": {"above": 3},
}
_HISTORY_DAYS, _BATCH = 60, 10
_numbers = count()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--alerts", type=int, default=1_000)
    parser.add_argument("--rate", type=int, default=100, help="events a second, in batches of ten")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / ".cache")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    with run_postgres(folder / "server") as postgres:
        postgres.create(_DATABASE)
        url = _url_of_role(postgres)
        with run_service(postgres.database(_DATABASE), log=folder / "alerts.log", webhook_worker="false") as server:
            _load(server)
            _put_alerts(server, arguments.alerts)
            with run_work(url, log=folder / "work.log") as pid:
                _wait_for_evaluation(postgres, arguments.alerts)
                share = _measure(postgres, server, pid, seconds=arguments.seconds, rate=arguments.rate)
    is_kept = share < MAX_CPU_SHARE
    print("The limit is kept." if is_kept else f"Alerts take {share:.0%} of a processor.")  # noqa: T201
    raise SystemExit(not is_kept)


def _url_of_role(postgres: Postgres) -> str:
    """Return the URL of the database for a role of its own."""
    with postgres.connect() as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [_ROLE]).fetchone():
            connection.execute(f"CREATE ROLE {_ROLE} SUPERUSER LOGIN")
    url = sa.make_url(postgres.database(_DATABASE)).set(username=_ROLE)
    return url.render_as_string(hide_password=False)


def _load(server: Server) -> None:
    """Send accounts with subscriptions and some weeks of usage."""
    random, now = Random(1), datetime.now(UTC)
    events: list[dict[str, Any]] = []
    for number in range(_ACCOUNTS):
        attributes = {"plan": random.choice(_PLANS), "region": random.choice(_REGIONS), "seats": random.randrange(100)}
        start = now - timedelta(days=400)
        events.append(_event("account.updated", number, start, attributes=attributes))
        mrr = str(random.randrange(50, 1_000))
        events.append(_event("subscription.changed", number, start, subscription_id="main", mrr=mrr))
        days = [now - timedelta(days=random.uniform(1, _HISTORY_DAYS)) for _ in range(15)]
        events += [_event("session.ended", number, at, duration_seconds=random.randrange(60, 3_600)) for at in days]
        events += [_event("survey.responded", number, at, survey="nps", score=random.randrange(11)) for at in days[:3]]
    parts = [events[start : start + 1_000] for start in range(0, len(events), 1_000)]
    key = server.keys["ingest"]
    requests = [(build_request("POST", "/v1/events", key=key, body=to_json(part)), len(part)) for part in parts]
    send_all(server.port, requests, clients=2)


def _event(type: str, account: int, at: datetime, **data: Any) -> dict[str, Any]:
    fields = {"attributes": data.pop("attributes")} if "attributes" in data else {}
    user = {"user_id": f"user-{next(_numbers) % 5}"} if type in ("session.ended", "survey.responded") else {}
    return {
        "id": f"event-{next(_numbers)}-{at.timestamp()}",
        "type": type,
        "account_id": f"account-{account}",
        "occurred_at": at.isoformat(),
        "data": fields | data,
    } | user


def _put_alerts(server: Server, number: int) -> None:
    with Connection(server.port) as connection:
        for plan in _PLANS:
            for region in _REGIONS:
                body = to_json({"filter": f'plan = "{plan}" and region = "{region}"'})
                _put(connection, server, f"/v1/segments/{plan}-{region}", body)
        for index, alert in zip(range(number), _alerts(), strict=False):
            _put(connection, server, f"/v1/alerts/alert-{index}?strict=false", to_json(alert))


def _put(connection: Connection, server: Server, path: str, body: bytes) -> None:
    fetch_json(connection, build_request("PUT", path, key=server.keys["admin"], body=body))


def _alerts() -> Iterator[dict[str, Any]]:
    """Yield alerts without end: eight of ten on segments, one on all or a filter, one on each account."""
    random = Random(2)
    segments = [f"{plan}-{region}" for plan in _PLANS for region in _REGIONS]
    filters = [f"seats < {10 * number}" for number in range(1, 11)]
    while True:
        for kind in range(10):
            granularity = random.choice(("day", "week", "month"))
            part: dict[str, Any] = {"segment": random.choice(segments)} if kind < 8 else {}
            if kind == 8 and random.random() < 0.5:
                part = {"filter": random.choice(filters)}
            elif kind == 9:
                part = {"each_account": True, **({"segment": random.choice(segments)} if random.random() < 0.5 else {})}
            metrics = _OF_ACCOUNTS if kind == 9 else _METRICS
            metric = random.choice([*metrics])
            yield {"metric": metric, "granularity": granularity, **metrics[metric], **part}


def _wait_for_evaluation(postgres: Postgres, number: int) -> None:
    """Wait until each alert was evaluated once: that is the start, and not what is measured."""
    with postgres.connect(_DATABASE) as connection:
        while _count(connection, "SELECT count(*) FROM alert WHERE evaluated_at IS NOT NULL") < number:
            time.sleep(1)


def _count(connection: psycopg.Connection[Any], statement: str) -> int:
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0


def _measure(postgres: Postgres, server: Server, watch: int, *, seconds: int, rate: int) -> float:
    """Return the share of one processor that alerts take under steady ingest. watch: the id of the process."""
    random, evaluations, accepted = Random(3), set[tuple[str, str]](), 0
    start, before, database_seconds = time.monotonic(), process_seconds(watch), _DatabaseSeconds(postgres)
    service_before = process_seconds(server.pid)
    with postgres.connect(_DATABASE) as connection, Connection(server.port) as client:
        while (elapsed := time.monotonic() - start) < seconds:
            if accepted <= elapsed * rate:
                body = to_json([_current_event(random) for _ in range(_BATCH)])
                request = build_request("POST", "/v1/events", key=server.keys["ingest"], body=body)
                accepted += fetch_json(client, request)["accepted"]
                continue
            if database_seconds.sample(connection):
                evaluations |= set(connection.execute("SELECT id, CAST(evaluated_at AS text) FROM alert").fetchall())
            time.sleep(0.02)
    own, other = process_seconds(watch) - before, process_seconds(server.pid) - service_before
    database, other_database = database_seconds.of_role(_ROLE), database_seconds.of_others(_ROLE)
    share = (own + database) / seconds
    print(  # noqa: T201
        f"{accepted / seconds:,.0f} events/s, {len(evaluations) / seconds * 60:,.0f} evaluations a minute: alerts take "
        f"{own / seconds:.1%} of a processor in their process and {database / seconds:.1%} in PostgreSQL, "
        f"ingest {other / seconds:.1%} and {other_database / seconds:.1%}"
    )
    return share


def _current_event(random: Random) -> dict[str, Any]:
    kind, account, now = random.randrange(20), random.randrange(_ACCOUNTS), datetime.now(UTC)
    if kind == 0:
        mrr = str(random.randrange(50, 1_000))
        return _event("subscription.changed", account, now, subscription_id="main", mrr=mrr)
    if kind < 4:
        return _event("survey.responded", account, now, survey="nps", score=random.randrange(11))
    return _event("session.ended", account, now, duration_seconds=random.randrange(60, 3_600))


class _DatabaseSeconds:
    """The seconds of the processor that the processes of PostgreSQL take, by role, from now on."""

    def __init__(self, postgres: Postgres) -> None:
        self._first: dict[tuple[str, int], float] = {}
        self._last: dict[tuple[str, int], float] = {}
        self._next = 0.0
        with postgres.connect(_DATABASE) as connection:
            self.sample(connection)
        self._first = dict(self._last)

    def sample(self, connection: psycopg.Connection[Any]) -> bool:
        """Read the times, once a second. Return whether that was done. A process is seen unless it lives shorter."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + 1
        query = (
            "SELECT usename, pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        for role, pid in connection.execute(query).fetchall():
            with suppress(FileNotFoundError, ProcessLookupError):
                self._last[role, pid] = process_seconds(pid)
        return True

    def of_role(self, role: str) -> float:
        """Return the seconds of one role."""
        return sum(own - self._first.get(key, 0) for key, own in self._last.items() if key[0] == role)

    def of_others(self, role: str) -> float:
        """Return the seconds of all other roles."""
        return sum(own - self._first.get(key, 0) for key, own in self._last.items() if key[0] != role)


if __name__ == "__main__":
    main()
