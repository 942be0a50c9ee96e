"""Batches of events: as many as one request takes, compressed, and what became of them together."""

import gzip
import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
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


class Batcher:
    """Makes batches of events that come one after the other, in their order. Only one batch is in memory at a time.

    max_events, max_bytes: of a batch; an event that is larger is a batch of its own. compress: with gzip.
    """

    def __init__(self, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES, compress: bool = True) -> None:
        self._max_events, self._max_bytes, self._compress = max_events, max_bytes, compress
        self._lines: list[bytes] = []
        self._size = self._offset = 0

    def add(self, event: Event) -> Batch | None:
        """Add an event, and return the batch of those before it if it has no place there."""
        line = json.dumps(event, default=_as_json, ensure_ascii=False, allow_nan=False).encode()
        is_full = len(self._lines) >= self._max_events or self._size + len(line) > self._max_bytes
        batch = self.rest() if is_full else None
        self._lines.append(line)
        self._size += len(line) + 1
        return batch

    def rest(self) -> Batch | None:
        """Return the batch of the events that are in none yet; None without any."""
        if not self._lines:
            return None
        content = b"\n".join(self._lines)
        is_large = self._compress and len(content) >= _COMPRESSED_FROM
        batch = Batch(self._offset, gzip.compress(content, 5) if is_large else content)
        self._offset += len(self._lines)
        self._lines, self._size = [], 0
        return batch


def split_events(events: Iterable[Event], batcher: Batcher) -> Iterator[Batch]:
    """Yield batches of events. Events are read as far as the batch needs, and one more."""
    for event in events:
        if batch := batcher.add(event):
            yield batch
    if batch := batcher.rest():
        yield batch


async def split_async_events(events: Iterable[Event] | AsyncIterable[Event], batcher: Batcher) -> AsyncIterator[Batch]:
    """Yield batches of events as `split_events` does."""
    if not isinstance(events, AsyncIterable):
        for batch in split_events(events, batcher):
            yield batch
        return
    async for event in events:
        if own := batcher.add(event):
            yield own
    if own := batcher.rest():
        yield own


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
