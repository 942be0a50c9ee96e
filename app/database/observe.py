"""Observe the database: the time of each round trip as meter and as span, and the connections of a pool."""

from collections.abc import Sequence
from time import perf_counter
from types import TracebackType
from typing import Any

import sqlalchemy as sa
from opentelemetry.util.types import AttributeValue
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core import meters, traces

_MAX_TEXT = 4_000  # characters of SQL in a span
_OPERATIONS = ("begin", "execute", "batch", "copy", "flush", "commit")
_METERS = {operation: meters.STATEMENTS.labels(operation) for operation in _OPERATIONS}


class RoundTrip:
    """Context manager of one round trip to the database. The SQL has no values: those are sent beside it."""

    __slots__ = ("_operation", "_started_at", "_texts")

    def __init__(self, operation: str, texts: Sequence[str]) -> None:
        self._operation, self._texts = operation, texts

    def __enter__(self) -> None:
        self._started_at = perf_counter()

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        seconds = perf_counter() - self._started_at
        _METERS[self._operation].observe(seconds)
        if traces.is_on():
            name, attributes = _describe(self._operation, self._texts, error)
            traces.record(name, seconds=seconds, attributes=attributes, error=error)


def _describe(
    operation: str, texts: Sequence[str], error: BaseException | None
) -> tuple[str, dict[str, AttributeValue]]:
    """Return the name and the attributes of a span, by the semantic conventions of OpenTelemetry for databases."""
    name = _first_word(texts[0]) if len(texts) == 1 else operation.upper()
    attributes: dict[str, AttributeValue] = {
        "db.system.name": "postgresql",
        "db.operation.name": name,
        "db.query.text": ";\n".join(texts)[:_MAX_TEXT],
    }
    if len(texts) > 1:
        attributes["db.operation.batch.size"] = len(texts)
    if state := getattr(error, "sqlstate", None):
        attributes["db.response.status_code"] = state
    return name, attributes


def _first_word(text: str) -> str:
    return next(iter(text.split(None, 1)), "").upper()


def observe_pool(engine: AsyncEngine, *, name: str, size: int) -> None:
    """Keep the meters of a pool up to date. name: which pool it is, where there are several."""
    count = {"used": 0, "open": 0}
    used, idle = (meters.POOL_CONNECTIONS.labels(name, state) for state in ("used", "idle"))
    for gauge in (used, idle):
        gauge.set(0)
    meters.POOL_LIMIT.labels(name).set(size)
    # It begins with zero, so that the first timeout is an increase.
    meters.POOL_TIMEOUTS.labels(name)

    def add(**changes: int) -> Any:
        def change(*_: Any) -> None:
            for key, difference in changes.items():
                count[key] += difference
            used.set(count["used"])
            idle.set(count["open"] - count["used"])

        return change

    listeners = {
        "connect": add(open=1),
        "checkout": add(used=1),
        "checkin": add(used=-1),
        "close": add(open=-1),
        # `Database` closes a detached connection itself.
        "detach": add(used=-1, open=-1),
    }
    for event, listener in listeners.items():
        sa.event.listen(engine.sync_engine, event, listener)
