"""Translate kept deliveries again, one or all of a status, in transactions of limited size."""

from collections.abc import Sequence

from app.books.books import Books
from app.core.cursors import ListPosition
from app.core.errors import Conflict
from app.inbound.complete import complete_deliveries
from app.inbound.deliveries import RawDelivery, Status, load_delivery, load_page, to_raw_delivery
from app.inbound.receive import Receipt, count_events_at_most, erased_delivery, process_deliveries
from app.inbound.sources import DeliverySource

# Of one transaction of a replay.
_REPLAYED_AT_ONCE = 100
_MAX_REPLAYED_BYTES = 2**23
_MAX_REPLAYED_EVENTS = 10_000


async def replay(books: Books, source: DeliverySource, id: str) -> Receipt:
    """Translate a kept delivery again, by the current mapping. Raises NotFound, and Conflict for an erased one."""
    row = await load_delivery(books, source.id, id)
    if row.status == "erased":
        raise erased_delivery()
    delivery = to_raw_delivery(row)
    [receipt] = await process_deliveries(books, source, await complete_deliveries(source, [delivery]), is_replay=True)
    return receipt


async def replay_all(books: Books, source: DeliverySource, *, status: Status | None) -> dict[str, int]:
    """Replay the deliveries of a status that there are now, the earliest first; return how many have which status then.

    What is erased or deleted meanwhile is left out. Raises NotFound if the source is.
    """
    counts: dict[str, int] = {"accepted": 0, "rejected": 0, "ignored": 0}
    after, until = None, books.clock()
    while page := await load_page(books, source.id, status=status, after=after, until=until, limit=_REPLAYED_AT_ONCE):
        after = ListPosition(page[-1].received_at, page[-1].id)
        for batch in _split(source, page):
            for receipt in await _replay_batch(books, source, batch):
                counts[receipt.result.status] += 1
    return counts


async def _replay_batch(books: Books, source: DeliverySource, batch: Sequence[RawDelivery]) -> list[Receipt]:
    try:
        return await process_deliveries(books, source, await complete_deliveries(source, batch), is_replay=True)
    except Conflict:
        if len(batch) == 1:
            return []
    return [receipt for own in batch for receipt in await _replay_batch(books, source, [own])]


def _split(source: DeliverySource, deliveries: Sequence[RawDelivery]) -> list[list[RawDelivery]]:
    """Split deliveries into batches of limited size and, as far as can be foreseen, of a limited number of events."""
    batches: list[list[RawDelivery]] = []
    size = count = 0
    for own in deliveries:
        size, count = size + len(own.body), count + count_events_at_most(source, own.body)
        if not batches or size > _MAX_REPLAYED_BYTES or count > _MAX_REPLAYED_EVENTS:
            batches.append([])
            size, count = len(own.body), count_events_at_most(source, own.body)
        batches[-1].append(own)
    return batches
