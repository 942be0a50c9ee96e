"""A campaign that measures webhooks: what they cost ingest, and whether bad receivers delay good ones.

    python -m bench.run_webhooks [--rounds 5] [--events 12000]

First it sends events to a service with one worker, in turn without endpoints and with ten of them that subscribe to what these
events cause, and compares the speed. Then it measures how long the messages of ten good receivers take, in turn alone and beside
three that never answer, answer a byte at a time, or answer without end. It fails when ingest with endpoints has less than 0.8 of
its speed, or when the p95 delay beside bad receivers is more than 1.25 times what it is without and more than 0.2 s longer. The
limits are those of a machine that does nothing else.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import Any

import httpx
from pydantic_core import to_json

from bench.client import Connection, build_request, fetch_json, send_all
from bench.processes import Server, run_postgres, run_service

MIN_INGEST_RATIO, MAX_DELAY_RATIO, MAX_DELAY_SECONDS = 0.8, 1.25, 0.2
_SETTINGS = {"webhook_allow_http": "true", "webhook_allowed_networks": "127.0.0.1"}
_ACCOUNTS, _ENDPOINTS, _CLIENTS = 2_000, 10, 2
_BATCHES = (1, 100, 1_000)
_numbers = count()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=12_000, help="of a measurement; of single events a tenth")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / ".cache")
    arguments = parser.parse_args()
    failures: list[str] = []
    with run_postgres(arguments.folder.resolve() / "server") as postgres, _run_receiver() as url:
        postgres.create("webhooks")
        log = arguments.folder / "webhooks.log"
        with run_service(postgres.database("webhooks"), log=log, **_SETTINGS) as server:
            for batch in _BATCHES:
                events = arguments.events // 10 if batch == 1 else arguments.events
                failures += _measure_ingest(server, url, batch, events, arguments.rounds)
            failures += _measure_delays(server, url)
    print("\n".join(failures) or "All limits are kept.")  # noqa: T201
    raise SystemExit(bool(failures))


def _measure_ingest(server: Server, url: str, batch: int, events: int, rounds: int) -> Iterator[str]:
    """Yield a failure if ten endpoints take more of the speed than they may."""
    rates: dict[bool, list[float]] = {False: [], True: []}
    _send(server, 2 * batch * _CLIENTS, batch)
    for _ in range(rounds):
        for has_endpoints in (False, True):
            created = [_create(server, f"{url}/ok/{number}") for number in range(_ENDPOINTS * has_endpoints)]
            rates[has_endpoints].append(_send(server, events, batch))
            _delete(server, created)
    ratio = median(with_ten / without for without, with_ten in zip(rates[False], rates[True], strict=True))
    print(  # noqa: T201
        f"batches of {batch:>5,}: {median(rates[False]):>7,.0f} events/s without endpoints, "
        f"{median(rates[True]):>7,.0f} with {_ENDPOINTS}, ratio {ratio:.2f}"
    )
    if ratio < MIN_INGEST_RATIO:
        yield f"Ingest in batches of {batch} with {_ENDPOINTS} endpoints has {ratio:.2f} of its speed."


def _measure_delays(server: Server, url: str) -> Iterator[str]:
    """Yield a failure if bad receivers delay the messages of good ones."""
    delays: dict[bool, float] = {}
    for has_bad in (False, True):
        paths = [f"ok/delay-{has_bad}-{number}" for number in range(_ENDPOINTS)]
        bad_paths = ["silent/1", "slow-headers/1", "endless-body/1"] if has_bad else []
        created = [_create(server, f"{url}/{path}", "feedback.received") for path in paths + bad_paths]
        for _ in range(40):
            _send(server, 2, 2, only_feedback=True)
            time.sleep(0.4)
        time.sleep(3)
        times = _delays(url, f"/ok/delay-{has_bad}")
        delays[has_bad] = quantiles(times, n=20)[-1]
        beside = "beside three bad receivers" if has_bad else "alone"
        print(f"{len(times)} of {40 * 2 * _ENDPOINTS} messages {beside}: p95 {delays[has_bad]:.2f} s")  # noqa: T201
        _delete(server, created)
    if delays[True] > max(MAX_DELAY_RATIO * delays[False], delays[False] + MAX_DELAY_SECONDS):
        yield f"Beside bad receivers the p95 delay is {delays[True]:.2f} s, not {delays[False]:.2f} s."


def _delays(url: str, path: str) -> list[float]:
    """Return the seconds from the time in each message to its arrival."""
    rows = httpx.get(f"{url}/times", timeout=60, trust_env=False).json()
    return [at - datetime.fromisoformat(sent_at).timestamp() for own, sent_at, at in rows if own.startswith(path)]


def _send(server: Server, events: int, batch: int, *, only_feedback: bool = False) -> float:
    """Send events and return how many a second were accepted. A twentieth moves MRR, another twentieth is feedback."""
    random, now = Random(next(_numbers)), datetime.now(UTC).isoformat()
    own = [_event(random, now, only_feedback=only_feedback) for _ in range(events)]
    requests = []
    for start in range(0, events, batch):
        part = own[start : start + batch]
        body = to_json(part[0] if batch == 1 else part)
        requests.append((build_request("POST", "/v1/events", key=server.keys["ingest"], body=body), len(part)))
    return events / send_all(server.port, requests, clients=_CLIENTS).seconds


def _event(random: Random, now: str, *, only_feedback: bool) -> dict[str, Any]:
    kind = 19 if only_feedback else random.randrange(20)
    data: dict[str, Any] = {"duration_seconds": random.randrange(1, 3_600)}
    type, account = "session.ended", f"account-{random.randrange(_ACCOUNTS)}"
    if kind == 18:
        type, data = "subscription.changed", {"subscription_id": "main", "mrr": str(random.randrange(1, 1_000))}
    elif kind == 19:
        type, data = "survey.responded", {"survey": "nps", "score": random.randrange(11), "comment": "It is all right."}
    id = f"event-{next(_numbers)}-{now}"
    return {"id": id, "type": type, "account_id": account, "user_id": "ada", "occurred_at": now, "data": data}


def _create(server: Server, url: str, *topics: str) -> str:
    body = json.dumps({"url": url, "topics": list(topics or ("mrr.moved", "feedback.received"))}).encode()
    with Connection(server.port) as connection:
        request = build_request("POST", "/v1/webhook-endpoints", key=server.keys["admin"], body=body)
        return str(fetch_json(connection, request)["id"])


def _delete(server: Server, ids: list[str]) -> None:
    headers = {"authorization": f"Bearer {server.keys['admin']}"}
    for id in ids:
        httpx.delete(f"http://127.0.0.1:{server.port}/v1/webhook-endpoints/{id}", headers=headers, timeout=60)


@contextmanager
def _run_receiver() -> Iterator[str]:
    """Run the receiver of the tests, which costs little, and return its address."""
    command = [sys.executable, "-m", "tests.support.receiver", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
