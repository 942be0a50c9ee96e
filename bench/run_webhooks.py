"""A campaign that measures webhooks: what they cost ingest, and whether bad receivers delay good ones.

    python -m bench.run_webhooks [--rounds 5] [--events 12000] [--messages 40]

It runs a service with one worker twice: with the delivery in `serve`, and with `csmetrics work` beside it. Each time it sends
events, in turn without endpoints and with ten of them that subscribe to what these events cause, and compares the speed. Then it
measures how long the messages of ten good receivers take, in turn alone and beside bad ones: one that is dead (never answers),
one that is slow (a byte a second), and malicious ones (a body without end, a redirect, a gzip bomb).

It prints tables of ratios. It fails when ingest with endpoints has less than 0.8 of its speed, or when the p95 delay beside bad
receivers is more than 1.25 times what it is without and more than 0.2 s longer. The limits are those of a machine that does
nothing else.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import Any

import httpx
from pydantic_core import to_json

from bench.client import Connection, build_request, fetch_json, send_all
from bench.processes import Postgres, Server, run_postgres, run_service, run_work

MIN_INGEST_RATIO, MAX_DELAY_RATIO, MAX_DELAY_SECONDS = 0.8, 1.25, 0.2
_SETTINGS = {"webhook_allow_http": "true", "webhook_allowed_networks": "127.0.0.1"}
_ACCOUNTS, _ENDPOINTS, _CLIENTS = 2_000, 10, 2
_BATCHES = (1, 100, 1_000)
# Who delivers: the name of the table, and the settings of `serve`.
_DELIVERERS = ("serve", "work")
_BAD_PATHS = {
    "alone": (),
    "one dead": ("silent/1",),
    "one slow": ("slow-headers/1?pause=1",),
    "malicious": ("endless-body/1", "redirect?to=http://127.0.0.1:1/", "bomb/1"),
}
_numbers = count()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=12_000, help="of a measurement; of single events a tenth")
    parser.add_argument("--messages", type=int, default=40, help="of each good receiver, beside each kind of bad ones")
    parser.add_argument("--deliverer", choices=_DELIVERERS, action="append", help="default: both")
    parser.add_argument("--batch", type=int, choices=_BATCHES, action="append", help="default: all")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / ".cache")
    arguments = parser.parse_args()
    failures: list[str] = []
    with run_postgres(arguments.folder.resolve() / "server") as postgres, _run_receiver() as url:
        for deliverer in arguments.deliverer or _DELIVERERS:
            with _run(postgres, deliverer, arguments.folder) as server:
                sizes = arguments.batch or _BATCHES
                failures += _measure_ingest(server, url, sizes, arguments.events, arguments.rounds, deliverer)
                if arguments.messages:
                    failures += _measure_delays(server, url, arguments.messages, deliverer)
    _print(*(failures or ["All limits are kept."]))
    raise SystemExit(bool(failures))


def _print(*lines: str) -> None:
    print("\n".join(lines), flush=True)  # noqa: T201


@contextmanager
def _run(postgres: Postgres, deliverer: str, folder: Path) -> Iterator[Server]:
    """Run a service on a new database, and who delivers its messages."""
    postgres.create("webhooks")
    database = postgres.database("webhooks")
    in_serve = deliverer == "serve"
    with ExitStack() as stack:
        settings = _SETTINGS | {"webhook_worker": in_serve}
        server = stack.enter_context(run_service(database, log=folder / "webhooks.log", **settings))
        if not in_serve:
            stack.enter_context(run_work(database, log=folder / "webhooks-work.log", **_SETTINGS))
        yield server


def _measure_ingest(
    server: Server, url: str, sizes: Sequence[int], events: int, rounds: int, deliverer: str
) -> Iterator[str]:
    """Print the speed of ingest. Yield a failure if ten endpoints take more of it than they may."""
    _print(
        "", f"Events/s, messages delivered by `{deliverer}`:", "",
        f"| batch | without endpoints | with {_ENDPOINTS} | ratio | of each round | delivered meanwhile |",
        "|---|---|---|---|---|---|",
    )  # fmt: skip
    for batch in sizes:
        number = max(events // 10 if batch == 1 else events, batch * _CLIENTS)
        rates: dict[bool, list[float]] = {False: [], True: []}
        delivered = 0
        _send(server, 2 * batch * _CLIENTS, batch)
        for round_number in range(rounds):
            for has_endpoints in (False, True) if round_number % 2 == 0 else (True, False):
                created = [_create(server, f"{url}/ok/{own}") for own in range(_ENDPOINTS * has_endpoints)]
                before = len(_times(url)) if has_endpoints else 0
                rates[has_endpoints].append(_send(server, number, batch))
                delivered += len(_times(url)) - before if has_endpoints else 0
                _delete(server, created)
                time.sleep(1)
        ratios = [with_ten / without for without, with_ten in zip(rates[False], rates[True], strict=True)]
        ratio = median(ratios)
        _print(
            f"| {batch:,} | {median(rates[False]):,.0f} | {median(rates[True]):,.0f} | {ratio:.2f} "
            f"| {', '.join(f'{own:.2f}' for own in ratios)} | {delivered / rounds:,.0f} |"
        )
        if ratio < MIN_INGEST_RATIO:
            yield f"Ingest in batches of {batch} with {_ENDPOINTS} endpoints has {ratio:.2f} of its speed ({deliverer})."


def _measure_delays(server: Server, url: str, messages: int, deliverer: str) -> Iterator[str]:
    """Print the p95 delays of good receivers. Yield a failure if bad ones delay them."""
    _print(
        "", f"p95 delay of {_ENDPOINTS} good receivers, messages delivered by `{deliverer}`:", "",
        "| beside | messages | p95 | ratio |", "|---|---|---|---|",
    )  # fmt: skip
    # What ingest has left would go to the new endpoints as well.
    _wait_until_dispatched(server)
    alone = 0.0
    for name, bad_paths in _BAD_PATHS.items():
        good_path = f"ok/{deliverer}-{name.replace(' ', '-')}-{next(_numbers)}"
        paths = [f"{good_path}-{number}" for number in range(_ENDPOINTS)]
        created = [_create(server, f"{url}/{path}", "feedback.received") for path in (*paths, *bad_paths)]
        for _ in range(messages):
            _send(server, 1, 1, only_feedback=True)
            time.sleep(0.3)
        delays = _wait_for_delays(url, f"/{good_path}", messages * _ENDPOINTS)
        _delete(server, created)
        p95 = quantiles(delays, n=20)[-1]
        alone = alone or p95
        _print(f"| {name} | {len(delays):,} | {p95:.2f} s | {p95 / alone:.2f} |")
        if len(delays) < messages * _ENDPOINTS:
            yield f"Beside {name} only {len(delays)} messages have arrived ({deliverer})."
        if p95 > max(MAX_DELAY_RATIO * alone, alone + MAX_DELAY_SECONDS):
            yield f"Beside {name} the p95 delay is {p95:.2f} s, not {alone:.2f} s ({deliverer})."


def _wait_until_dispatched(server: Server) -> None:
    headers = {"authorization": f"Bearer {server.keys['admin']}"}
    while True:
        page = httpx.get(f"http://127.0.0.1:{server.port}/metrics/prometheus", headers=headers, timeout=60).text
        if "\ncsmetrics_webhook_pending_messages 0.0\n" in page:
            return
        time.sleep(0.5)


def _wait_for_delays(url: str, path: str, number: int) -> list[float]:
    """Return the seconds from the time in each message to its arrival, when all have arrived or half a minute is over."""
    deadline = time.monotonic() + 30
    while True:
        delays = [
            at - datetime.fromisoformat(sent_at).timestamp() for own, sent_at, at in _times(url) if own.startswith(path)
        ]
        if len(delays) >= number or time.monotonic() > deadline:
            return delays
        time.sleep(0.5)


def _times(url: str) -> list[Any]:
    """Return what has arrived: path, time of the message, time of arrival."""
    rows: list[Any] = httpx.get(f"{url}/times", timeout=60, trust_env=False).json()
    return rows


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
