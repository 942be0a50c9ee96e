"""The worst batches of a key that may only ingest: valid ones that cost most, invalid ones, and bodies that grow."""

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

from bench.client import build_request

_EVENTS = 10_000
_LAST = date(2026, 11, 1)
_Event = dict[str, Any]


def build_batches(key: str, *, run: str) -> Iterator[tuple[str, bytes]]:
    """Yield titles and requests. run: makes the ids of the events those of this run, so that none is a duplicate."""
    for title, build in {**_VALID, **_INVALID}.items():
        events = [_complete(build(number), f"{run}-{title}-{number}") for number in range(_EVENTS)]
        yield title, _request(key, _json(events))
    for title, body, headers in _bombs(run):
        yield title, _request(key, body, *headers)


def _session(number: int, *, accounts: int, users: int, **more: Any) -> _Event:
    owner = {"account_id": f"a{number % accounts}", "user_id": f"u{number % users}"}
    return {"type": "session.ended", "day": number % 300, "data": {"duration_seconds": 60, **more}} | owner


def _of(account: str, type: str, *, day: int, **data: Any) -> _Event:
    return {"type": type, "day": day, "account_id": account, "data": data}


# What makes the event of each number.
_VALID: dict[str, Callable[[int], _Event]] = {
    "sessions": lambda n: _session(n, accounts=500, users=3_000),
    "one user on 10,000 days": lambda n: _session(0, accounts=1, users=1) | {"day": n},
    "10,000 accounts": lambda n: _of(f"n{n}", "account.updated", day=3, attributes={"k00": "a", "k01": n}),
    "updates of one account": lambda n: _of(
        "one", "account.updated", day=n % 4_000, attributes={f"k{k:02}": f"{n}-{k}" for k in range(5)}
    ),
    "a stream of 10,000 events": lambda n: _of(
        "stream", "subscription.changed", day=n, subscription_id="s", mrr=str(n)
    ),
    "2,000 streams": lambda n: _of(
        f"s{n % 2_000}", "subscription.changed", day=n // 9, subscription_id="s", mrr=str(n)
    ),
    "10,000 features": lambda n: _of(f"a{n % 500}", "feature.used", day=n % 30, feature=f"f{n}") | {"user_id": "u"},
    "a user who comes and goes": lambda n: (
        _of("gone", ("user.registered", "user.removed")[n % 2], day=n // 2) | {"user_id": "u"}
    ),
    "16 MiB of extras": lambda n: _session(n, accounts=500, users=3_000, extra={"text": "x" * 1_300}),
}
_INVALID: dict[str, Callable[[int], _Event]] = {
    "60 unknown fields each": lambda n: {"type": "session.ended"} | {f"x{n}_{field}": 1 for field in range(60)},
    "unknown types": lambda n: _of("a", f"sesion.ended{n}", day=1),
    "unknown surveys": lambda n: _of("a", "survey.responded", day=1, survey=f"none{n}", score=3),
    "unknown currencies": lambda n: _of(
        "a", "subscription.changed", day=1, subscription_id="s", mrr="1", currency=f"{_letter(n)}{_letter(n // 26)}Q"
    ),
}


def _letter(number: int) -> str:
    return chr(ord("A") + number % 26)


def _complete(event: _Event, id: str) -> _Event:
    """Return an event with its id, and with its time in place of the days before the last one."""
    if "day" in event:
        event = event | {"occurred_at": f"{_LAST - timedelta(event.pop('day'))}T10:00:00Z"}
    return {"id": id} | event


def _bombs(run: str) -> Iterator[tuple[str, bytes, list[str]]]:
    """Yield titles, bodies and headers of bodies that take much more memory or time than they have bytes."""
    ndjson, compressed = "Content-Type: application/x-ndjson", "Content-Encoding: gzip"
    decimals = b"".join(b'{"id": "%d", "data": [%s]}\n' % (n, b"0.1," * 1_500 + b"0.1") for n in range(_EVENTS))
    yield "15 million decimals", gzip.compress(decimals, 1), [ndjson, compressed]
    extra = {"text": "x" * 6_000}
    events = [_complete(_session(n, accounts=1, users=1, extra=extra), f"{run}-bomb-{n}") for n in range(_EVENTS)]
    yield "60 MB of extras", gzip.compress(_json(events), 1), [compressed]
    yield "60 MB of texts", gzip.compress(_json(["x" * 6_000] * _EVENTS), 1), [compressed]
    yield "numbers of 4,000 digits", b"[" + b",".join([b'{"id": %s}' % (b"9" * 4_000)] * 4_000) + b"]", []
    yield "90 events of 10,000 fields", _json([{"type": "session.ended"} | {f"f{n}": 1 for n in range(9_990)}] * 90), []


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _request(key: str, body: bytes, *headers: str) -> bytes:
    request = build_request("POST", "/v1/events", key=key, body=body)
    if not headers:
        return request
    head, _, content = request.partition(b"\r\n\r\n")
    lines = [line for line in head.decode().split("\r\n") if not line.startswith("Content-Type") or len(headers) == 1]
    return "\r\n".join([*lines, *headers, "\r\n"]).encode() + content
