"""Declare streams: one function per kind of stream, in a module of its own.

    @stream("subscriptions", posts=[mrr])
    def subscriptions(events, calendar):
        yield day, Line(mrr, 990000, subject="pro")

The function gets all events of one stream in order, and yields lines with the days they are true of. An event type names its
stream with `@event(..., stream=...)`; `diff_stream` posts what changes. A new stream needs nothing else.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from app.core.periods import Calendar
from app.ledger.measures import Line, Measure


class StreamEvent(NamedTuple):
    """An event of a stream. The first three fields order the events: at one instant, starts come before ends.

    rate: the value of one unit of the event's currency in the base currency; None when it is the base currency.
    """

    at: datetime
    rank: int
    id: str
    type: str
    data: Mapping[str, Any]
    rate: Decimal | None = None


DatedLine = tuple[date, Line]
Stream = Callable[[Sequence[StreamEvent], Calendar], Iterable[DatedLine]]
STREAMS: dict[str, Stream] = {}
# By kind of stream, the names of the measures that it may post.
STREAM_MEASURES: dict[str, frozenset[str]] = {}


def stream(kind: str, *, posts: Iterable[Measure]) -> Callable[[Stream], Stream]:
    """Register a function as the stream of a kind; `posts` are the measures of all lines that it may yield.

    Raises ValueError for a kind that exists.
    """

    def register(derive: Stream) -> Stream:
        if kind in STREAMS:
            raise ValueError(f"Stream {kind!r} exists already.")
        STREAMS[kind] = derive
        declare_measures(kind, posts)
        return derive

    return register


def declare_measures(kind: str, posts: Iterable[Measure]) -> None:
    """Record which measures a kind of stream may post."""
    STREAM_MEASURES[kind] = frozenset(measure.name for measure in posts)
