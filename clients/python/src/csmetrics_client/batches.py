"""Batches of events: as many as one request takes, compressed, and what became of them together."""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

# An event as the API takes it: id, type, account_id, occurred_at, data …
Event = Mapping[str, Any]

# What one request takes at most: 10,000 events, and a few megabytes in reasonable time.
MAX_EVENTS = 10_000
MAX_BYTES = 4_000_000
_COMPRESSED_FROM = 1_000


@dataclass
class BatchResult:
    """What became of events: how many are new, how many were stored already, and the others with what is wrong with each.

    rejected: each with `index` (its position among all events that were sent, from 0), `id`, `code`, `detail` and `errors`.
    """

    accepted: int = 0
    duplicates: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)

    def add(self, body: Mapping[str, Any], *, offset: int) -> None:
        """Add what became of a batch. offset: the position of its first event among all."""
        self.accepted += body["accepted"]
        self.duplicates += body["duplicates"]
        self.rejected += ({**rejection, "index": rejection["index"] + offset} for rejection in body["rejected"])


@dataclass(frozen=True)
class Batch:
    """The body of a request. offset: the position of its first event among all."""

    offset: int
    content: bytes

    @property
    def headers(self) -> dict[str, str]:
        """The headers that say what the body is."""
        encoding = {"Content-Encoding": "gzip"} if self.content[:2] == b"\x1f\x8b" else {}
        return {"Content-Type": "application/x-ndjson", **encoding}


def split_events(
    events: Iterable[Event], *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES, compress: bool = True
) -> Iterator[Batch]:
    """Yield batches of events, in their order. Only one of them is in memory at a time."""
    lines: list[bytes] = []
    size = position = 0
    for position, event in enumerate(events):
        line = json.dumps(event, default=_as_json, ensure_ascii=False, allow_nan=False).encode()
        if lines and (len(lines) >= max_events or size + len(line) > max_bytes):
            yield _build_batch(lines, position - len(lines), compress)
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield _build_batch(lines, position + 1 - len(lines), compress)


def _build_batch(lines: list[bytes], offset: int, compress: bool) -> Batch:
    content = b"\n".join(lines)
    return Batch(offset, gzip.compress(content, 5) if compress and len(content) >= _COMPRESSED_FROM else content)


def _as_json(value: object) -> str:
    """Return what JSON has no type for: times with an offset, days, and exact amounts as texts."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("A time needs an offset from UTC: datetime.now(UTC), not datetime.now().")
        return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"A {type(value).__name__} has no form in JSON.")
