"""How a stream is declared: one function, in a file of its own.

    @stream("subscriptions")
    def subscriptions(happenings, calendar):
        yield day, Line(mrr, 990000, subject="pro")

It is given all its events in order and says what is true on which days. Nothing else is to be written or changed: the type
of an event names its stream (`@event(..., stream=...)`), the engine in `diff_stream` posts.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from app.core.periods import Calendar
from app.ledger.measures import Line


class StreamEvent(NamedTuple):
    """An event of a stream. They are ordered by their first three fields: at one instant starts come before ends.

    rate: what one unit of the event's currency is worth in the base currency; None when it is the base currency.
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


def stream(kind: str) -> Callable[[Stream], Stream]:
    """Register a kind of stream. Raises ValueError for one that is taken."""

    def register(derive: Stream) -> Stream:
        if kind in STREAMS:
            raise ValueError(f"The stream {kind} exists already.")
        STREAMS[kind] = derive
        return derive

    return register
