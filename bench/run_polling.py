"""Measure polls: how many requests per second are answered with 304 and from memory, beside a FastAPI endpoint with one SELECT 1.

    python -m bench.run_polling [--seconds 0.5] [--rounds 20] [--clients 8]

One worker each, one after the other in every round, with a stored key that is looked up for each request. The goal is 80% of the
minimal service. On a machine that others use, the processor's time for a request says more than the rate.
"""

from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated

import typer
from pydantic_core import to_json

from bench.client import Connection, UnexpectedResponse, build_request, fetch_json
from bench.processes import Server, process_seconds, run_minimal_service, run_postgres, run_service

GOAL = 0.8
_QUESTION = "/v1/query?metrics=sessions,active_users,nps&period=last_12_months"
_EVENTS = 500


def main(
    seconds: Annotated[float, typer.Option(help="Of one measurement.")] = 0.5,
    rounds: Annotated[int, typer.Option(help="How often each is measured.")] = 20,
    clients: Annotated[int, typer.Option(help="HTTP connections.")] = 8,
) -> None:
    """Measure, print a table, and exit with 1 when the goal is missed."""
    with TemporaryDirectory(prefix="csm-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with run_postgres(folder / "server") as postgres:
            postgres.create("polling")
            database = postgres.database("polling")
            with (
                # More than it can answer.
                run_service(database, log=folder / "service.log", questions_per_minute=10**8) as service,
                run_minimal_service(
                    database, log=folder / "minimal.log", workers=1, module="bench.minimal_select"
                ) as minimal,
            ):
                requests = {
                    "SELECT 1": (minimal, build_request("GET", "/v1/one"), 200),
                    "304": (service, _conditional_request(service), 304),
                    "from memory": (service, build_request("GET", _QUESTION, key=service.keys["read"]), 200),
                }
                rates = _measure(requests, seconds=seconds, rounds=rounds, clients=clients)
    missed = _print_rates(rates)
    raise typer.Exit(int(missed))


def _conditional_request(service: Server) -> bytes:
    """Send some events, ask once, and return the request that has the tag of the answer."""
    events = [
        {
            "id": f"event-{number}",
            "type": "session.ended",
            "account_id": f"account-{number % 50}",
            "user_id": f"user-{number % 90}",
            "occurred_at": "2026-03-10T12:00:00Z",
            "data": {"duration_seconds": 600},
        }
        for number in range(_EVENTS)
    ]
    with Connection(service.port) as connection:
        fetch_json(connection, build_request("POST", "/v1/events", key=service.keys["ingest"], body=to_json(events)))
        request = build_request("GET", _QUESTION, key=service.keys["read"])
        for _ in range(3):  # the first use of a key is noted
            connection.exchange(request)
        tag = connection.header("etag")
    return request[:-2] + f"If-None-Match: {tag}\r\n\r\n".encode()


def _measure(
    requests: dict[str, tuple[Server, bytes, int]], *, seconds: float, rounds: int, clients: int
) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in requests}
    work: dict[str, list[float]] = {name: [] for name in requests}
    for number in range(rounds + 1):
        for name, (server, request, status) in requests.items():
            before = process_seconds(server.pid)
            count, took = _send(server.port, request, status, seconds if number else 2 * seconds, clients)
            if number:  # the first round warms up
                rates[name].append(count / took)
                work[name].append((process_seconds(server.pid) - before) / count)
    for name, seconds_each in work.items():
        print(f"{name:12} {1e6 * median(seconds_each):8.0f} µs of the processor for a request")  # noqa: T201
    return rates


def _send(port: int, request: bytes, status: int, seconds: float, clients: int) -> tuple[int, float]:
    """Send a request over several connections at once, again and again; return how often it was answered, and the time."""
    connections = [Connection(port) for _ in range(clients)]
    start, count = perf_counter(), 0
    while perf_counter() - start < seconds:
        for connection in connections:
            connection.socket.sendall(request)
        for connection in connections:
            if connection.receive()[0] != status:
                raise UnexpectedResponse(f"The status is not {status}.")
        count += clients
    return count, perf_counter() - start


def _print_rates(rates: dict[str, list[float]]) -> bool:
    """Print the medians and their ratio to the minimal service; return whether one misses the goal."""
    floor = median(rates["SELECT 1"])
    is_missed = False
    for name, own in rates.items():
        ratio = median(one / minimal for one, minimal in zip(own, rates["SELECT 1"], strict=True))
        is_missed |= ratio < GOAL
        print(f"{name:12} {median(own):8.0f} requests/s, {ratio:5.0%} of SELECT 1 ({floor:.0f})")  # noqa: T201
    return is_missed


if __name__ == "__main__":
    typer.run(main)
