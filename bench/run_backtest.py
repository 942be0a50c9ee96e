"""A campaign that measures the back-test of health scores.

    python -m bench.run_backtest [--accounts 2000] [--months 24] [--times 3]

It loads accounts with a history of usage, tickets, survey responses and subscriptions, each event recorded on its day, runs the
service with one worker, and asks for the back-test of all months by the default model. Meanwhile `/healthz` is asked all the
time, and another client writes. It fails when the median of the answers took more than 10 s, or when one of the limits of
`bench.run_bounded` is not kept.
"""

import argparse
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

from pydantic_core import to_json

from bench.client import Connection, build_request, fetch_json, send_all
from bench.processes import Postgres, run_postgres, run_service
from bench.run_bounded import Probe, find_worker

MAX_SECONDS = 10
_FIRST_DAY = date(2023, 1, 1)
_LEAD_DAYS = 120  # of usage before the first cut-off
_EVENTS_PER_REQUEST = 5_000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--accounts", type=int, default=2_000)
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / ".cache")
    arguments = parser.parse_args()
    with run_postgres(arguments.folder.resolve() / "server") as postgres:
        name = _load(postgres, arguments.accounts, arguments.months, arguments.folder)
        with run_service(postgres.database(name), log=arguments.folder / "backtest.log") as server:
            start = _FIRST_DAY + timedelta(days=_LEAD_DAYS)
            end = start + timedelta(days=30.4 * arguments.months)
            path = f"/v1/health-model/backtest?start={start}&end={end}"
            request = build_request("GET", path, key=server.keys["read"])
            seconds = []
            with Connection(server.port) as connection, Probe(server, find_worker(server.port)).run() as probe:
                for _ in range(arguments.times):
                    began = perf_counter()
                    report = fetch_json(connection, request)
                    seconds.append(perf_counter() - began)
    failures = [*probe.failures(f"back-test of {name}")]
    count, scores = len(report["cut_offs"]), report["total"]["observations"]
    facts = f"{scores:,} scores at {count} cut-offs: {report['detail']}"
    print(f"{median(seconds):.1f} s (median of {len(seconds)}) for {facts}")  # noqa: T201
    if median(seconds) > MAX_SECONDS:
        failures.append(f"The back-test took {median(seconds):.1f} s.")
    print("\n".join(failures) or "All limits are kept.")  # noqa: T201
    raise SystemExit(bool(failures))


def _load(postgres: Postgres, accounts: int, months: int, folder: Path) -> str:
    """Load the database, unless it is there, and return its name."""
    name = f"backtest-{accounts}-{months}"
    if postgres.read_comment(name):
        return name
    postgres.create(name)
    with run_service(postgres.database(name), log=folder / "backtest.log") as server:
        events = _events(accounts, days=_LEAD_DAYS + round(30.4 * months) + 100)
        batches = iter(lambda: list(islice(events, _EVENTS_PER_REQUEST)), [])
        key = server.keys["admin"]
        requests = (
            (build_request("POST", "/v1/events", key=key, body=to_json(batch)), len(batch)) for batch in batches
        )
        # One after the other, since the last recorded day of an account never goes back.
        send_all(server.port, requests, clients=1)
    with postgres.connect(name) as connection:
        connection.execute("VACUUM ANALYZE")
    postgres.write_comment(name, {"accounts": accounts, "months": months})
    return name


def _events(accounts: int, *, days: int) -> Iterator[dict[str, Any]]:
    """Yield the events of all accounts, day by day. Of ten accounts one leaves, after its usage has faded."""
    random = Random(1)
    joins = [random.randrange(days // 2) if number % 2 else 0 for number in range(accounts)]
    leaves = [random.randrange(150, days) if number % 3 == 0 else days for number in range(accounts)]
    for day in range(days):
        for number in range(accounts):
            if joins[number] == day:
                yield _event(
                    number, day, "subscription.changed", subscription_id="main", mrr=str(50 + number % 400), seats=5
                )
            if leaves[number] == day > joins[number]:
                yield _event(number, day, "subscription.canceled", subscription_id="main")
            if joins[number] <= day < leaves[number]:
                yield from _usual_events(random, number, day, fades=leaves[number] - day < 60)


def _usual_events(random: Random, number: int, day: int, *, fades: bool) -> Iterator[dict[str, Any]]:
    for user in range(3):
        if random.random() < (0.04 if fades else 0.12):
            yield _event(number, day, "session.ended", user=f"user-{user}", duration_seconds=600)
    if random.random() < 0.01:
        ticket = f"ticket-{day}"
        yield _event(number, day, "ticket.opened", ticket_id=ticket)
        yield _event(number, day, "ticket.replied", ticket_id=ticket, by="agent", hour=12 + number % 10)
        if random.random() < 0.8:
            yield _event(number, day, "ticket.resolved", ticket_id=ticket, hour=23)
    if random.random() < 0.006:
        yield _event(number, day, "survey.responded", survey="nps", score=random.randrange(5 if fades else 6, 11))


def _event(number: int, day: int, type: str, *, user: str = "", hour: int = 10, **data: Any) -> dict[str, Any]:
    on = _FIRST_DAY + timedelta(days=day)
    own = {"user_id": user} if user else {}
    id = f"{type}-{day}-{user}-{number}"
    envelope = {"id": id, "type": type, "account_id": f"account-{number:06}", "recorded_on": on}
    return envelope | own | {"occurred_at": f"{on}T{hour:02}:00:00Z", "data": data}


if __name__ == "__main__":
    main()
