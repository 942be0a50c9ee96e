"""Order within a moment: several deliveries about one object whose times are the same, as far as their contents tell.

Each gets a position when it first comes, in microseconds, and keeps it: the time of an event never changes. Of the first and the
third of three changes, only the second tells the order. If it comes last, it gets the last position, and the third one is its
successor, whose state is repeated after it.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.books.books import Books
from app.core.errors import Problem
from app.database.connection import Connection
from app.database.inbound_tables import delivery
from app.inbound.define import Ordering, Vendor
from app.inbound.deliveries import RawDelivery
from app.ingest.payload import Untranslatable

FIRST_POSITION = 400_000
_STEP = 4_000
_END = 999_999


class MomentChanged(Exception):
    """Another delivery of the same moment was stored meanwhile."""


# A longer text could not be in an index.
_MAX_MOMENT_LENGTH = 300


class Neighbor(NamedTuple):
    """A delivery of a moment, with its position."""

    position: int
    payload: Any


class PositionedDeliveries(NamedTuple):
    """Deliveries with their positions, and how many were stored of their moments."""

    deliveries: Sequence[RawDelivery]
    counts: Mapping[str, int]


async def place_deliveries(
    books: Books, source_id: str, vendor: Vendor, deliveries: Sequence[RawDelivery]
) -> PositionedDeliveries:
    """Return the deliveries, each that needs one with its position among those of its moment."""
    ordering = vendor.ordering
    if ordering is None:
        return PositionedDeliveries(deliveries, {})
    payloads = [_parse(vendor.parse, own.body) for own in deliveries]
    moments = [None if payload is None else _find_moment(payload, ordering) for payload in payloads]
    new_moments = {
        moment
        for own, moment in zip(deliveries, moments, strict=True)
        if moment is not None and (own.position is None or own.moment != moment)
    }
    neighbors, counts = await _load_neighbors(books, source_id, vendor, {own for own in moments if own is not None})
    results = []
    for own, moment, payload in zip(deliveries, moments, payloads, strict=True):
        if moment is not None:
            position = own.position
            if position is None or own.moment != moment:
                position = find_position(neighbors[moment], payload, ordering)
                neighbors[moment].append(Neighbor(position, payload))
            successor = find_successor(neighbors[moment], Neighbor(position, payload), ordering)
            own = own._replace(moment=moment, position=position, successor=successor)
        results.append(own)
    return PositionedDeliveries(results, {moment: counts[moment] for moment in new_moments})


def _find_moment(payload: Any, ordering: Ordering) -> str | None:
    moment = ordering.find_moment(payload)
    if moment is None or (moment.isprintable() and len(moment) <= _MAX_MOMENT_LENGTH):
        return moment
    return hashlib.sha256(moment.encode()).hexdigest()


async def _load_neighbors(
    books: Books, source_id: str, vendor: Vendor, moments: Collection[str]
) -> tuple[dict[str, list[Neighbor]], dict[str, int]]:
    """Return the deliveries of moments that have a body, and how many there are of each moment."""
    neighbors: dict[str, list[Neighbor]] = {moment: [] for moment in moments}
    counts = dict.fromkeys(moments, 0)
    if not moments:
        return neighbors, counts
    columns = [delivery.c[name] for name in ("moment", "position", "body")]
    query = sa.select(*columns).where(delivery.c.source == source_id, delivery.c.moment.in_(moments))
    for row in await books.database.read(lambda connection: connection.execute(query)):
        counts[row.moment] += 1
        if (payload := _parse(vendor.parse, row.body)) is not None:
            neighbors[row.moment].append(Neighbor(row.position, payload))
    return neighbors, counts


def _parse(parse: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return parse(body)
    except (Problem, Untranslatable):
        return None


def find_position(neighbors: Sequence[Neighbor], payload: Any, ordering: Ordering) -> int:
    """Return a position after all neighbors that came before the payload, and before those that came after it.

    Among neighbors of which the contents do not say it, the id decides. The same event has the same position again.
    """
    id = ordering.identify(payload)
    for own in neighbors:
        if ordering.identify(own.payload) == id:
            return own.position
    orders = [
        (own.position, ordering.compare(own.payload, payload), ordering.identify(own.payload)) for own in neighbors
    ]
    lower = max((position for position, order, _ in orders if order < 0), default=-1)
    upper = min((position for position, order, _ in orders if order > 0 and position > lower), default=_END)
    between = [(position, other) for position, _, other in orders if lower < position < upper]
    lower = max((position for position, other in between if other < id), default=lower)
    upper = min((position for position, _ in between if position > lower), default=upper)
    updates = [*neighbors, Neighbor(_position_between(lower, upper), payload)]
    latest = max(updates, key=lambda update: update.position)
    if _find_last(updates, latest, ordering) is not None:
        # What came last has an earlier position, so its state is repeated after the latest one.
        return _position_between(max(own.position for own in neighbors) + 1, _END)
    return updates[-1].position


def _position_between(lower: int, upper: int) -> int:
    if lower < 0:
        return FIRST_POSITION if upper == _END else max(upper - _STEP, upper // 2, 1)
    return (lower + min(upper, lower + 2 * _STEP)) // 2


def find_successor(updates: Sequence[Neighbor], own: Neighbor, ordering: Ordering) -> Any:
    """Return the payload that is to count after `own`, if that has the last position of all updates; else None."""
    if any(other.position > own.position for other in updates):
        return None
    last = _find_last(updates, own, ordering)
    return None if last is None else last.payload


def _find_last(updates: Sequence[Neighbor], own: Neighbor, ordering: Ordering) -> Neighbor | None:
    """Return the update that came last, if it is known that `own` did not; else None."""
    if not any(ordering.compare(own.payload, other.payload) < 0 for other in updates):
        return None
    ends = [
        update
        for update in updates
        if not any(ordering.compare(update.payload, other.payload) < 0 for other in updates)
    ]
    return max(ends, key=lambda end: end.position, default=None)


async def check_moments(connection: Connection, source_id: str, counts: Mapping[str, int]) -> None:
    """Raise MomentChanged if another delivery of the moments was stored since they were read.

    The accounts of the events are locked, so from here on no other one can be.
    """
    if not counts:
        return
    count = sa.func.count().label("number")
    query = sa.select(delivery.c.moment, count).where(delivery.c.source == source_id, delivery.c.moment.in_(counts))
    numbers = {row.moment: row.number for row in await connection.execute(query.group_by(delivery.c.moment))}
    if any(numbers.get(moment, 0) != number for moment, number in counts.items()):
        raise MomentChanged
