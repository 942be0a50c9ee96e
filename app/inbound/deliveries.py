"""The inbox: deliveries as they were received, what became of each, and why. They are kept for some days."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, get_args

import sqlalchemy as sa

from app.books.books import Books
from app.core.cursors import ListPosition, parse_position
from app.core.errors import NotFound
from app.database.connection import Connection
from app.database.inbound_tables import delivery
from app.database.statements import bind_json_rows, json_table
from app.database.tables import account

Status = Literal["accepted", "rejected", "ignored", "erased"]
# What a replay may do again: an erased delivery has no body.
ReplayableStatus = Literal["accepted", "rejected", "ignored"]
REPLAYABLE: tuple[ReplayableStatus, ...] = get_args(ReplayableStatus)
MAX_PAGE = 1_000


class RawDelivery(NamedTuple):
    """A delivery as it was received. headers: those that its translation reads. body: without its content encoding.

    moment, position: where it stands among the deliveries about the same object at the same time; see `order`. successor: the
    payload that is to count after it, though its position is an earlier one; None for nearly all.
    """

    id: str
    received_at: datetime
    headers: dict[str, str]
    body: bytes
    moment: str | None = None
    position: int | None = None
    successor: Any = None


# As they are stored: the successor is found again.
_STORED = [name for name in RawDelivery._fields if name != "successor"]


class DeliveryResult(NamedTuple):
    """What became of a delivery. reasons: one for each part with a remark. events: account_id and id."""

    status: Status
    reasons: list[dict[str, Any]]
    events: Sequence[tuple[int, str]]


_WRITE = f"""
    INSERT INTO delivery (
        source, id, received_at, attempts, status, reasons, headers, body, account_ids, event_ids, moment, position)
    SELECT %(source)s, id, received_at, 1, status, reasons, headers, decode(body, 'base64'), account_ids, event_ids,
        moment, position
    FROM {
    json_table('''row(id text, received_at timestamptz, status text, reasons jsonb, headers jsonb, body text,
        account_ids bigint[], event_ids text[], moment text, position integer)''')
}
    ORDER BY id COLLATE "C"
    ON CONFLICT (source, id) DO UPDATE SET
        attempts = delivery.attempts + 1, status = excluded.status, reasons = excluded.reasons, headers = excluded.headers,
        body = excluded.body, account_ids = excluded.account_ids, event_ids = excluded.event_ids,
        moment = excluded.moment, position = excluded.position
        WHERE delivery.status <> 'erased'
    """


async def write_deliveries(
    connection: Connection, source_id: str, deliveries: Sequence[RawDelivery], results: Sequence[DeliveryResult]
) -> None:
    """Store deliveries and what became of them. Erased ones stay erased."""
    rows = [
        {
            "id": own.id,
            "received_at": own.received_at,
            "status": result.status,
            "reasons": result.reasons,
            "headers": own.headers,
            "body": base64.b64encode(own.body).decode(),
            "account_ids": [account_id for account_id, _ in result.events],
            "event_ids": [id for _, id in result.events],
            "moment": own.moment,
            "position": own.position,
        }
        for own, result in zip(deliveries, results, strict=True)
    ]
    for bound in bind_json_rows(_WRITE, rows, source=source_id):
        await connection.execute(_WRITE, bound.parameters)


async def lock_deliveries(connection: Connection, source_id: str, deliveries: Sequence[RawDelivery]) -> int:
    """Lock those deliveries that are still kept and not erased; return how many these are."""
    is_chosen = sa.and_(delivery.c.source == source_id, delivery.c.id.in_([own.id for own in deliveries]))
    query = sa.select(delivery.c.id).where(is_chosen, delivery.c.status != "erased")
    return len(await connection.execute(query.order_by(delivery.c.id).with_for_update()))


def to_raw_delivery(row: Any) -> RawDelivery:
    """Return the delivery of a row."""
    return RawDelivery(*(getattr(row, name) for name in _STORED))


async def load_delivery(books: Books, source_id: str, id: str) -> Any:
    """Return the row of a delivery. Raises NotFound."""

    async def load(connection: Connection) -> Any:
        query = sa.select(*delivery.c).where(delivery.c.source == source_id, delivery.c.id == id)
        return next(iter(await connection.execute(query)), None)

    row = await books.database.read(load)
    if row is None:
        raise NotFound("There is no such delivery. It may have been deleted: deliveries are kept for some days.")
    return row


async def load_events(books: Books, row: Any) -> list[dict[str, Any]]:
    """Return the accounts and ids of the events that a delivery became."""
    keys = set(row.account_ids)

    async def load(connection: Connection) -> dict[int, str]:
        query = sa.select(account.c.account_id, account.c.id).where(account.c.account_id.in_(keys))
        return {own.account_id: own.id for own in await connection.execute(query)}

    ids = await books.database.read(load) if keys else {}
    pairs = zip(row.account_ids, row.event_ids, strict=True)
    return [{"account_id": ids.get(account_id), "id": id} for account_id, id in pairs]


async def list_deliveries(
    books: Books, source_id: str, *, status: Status | None, limit: int, cursor: str | None
) -> tuple[list[Any], str | None]:
    """Return a page of deliveries without their bodies, the latest first, and the cursor of the next page."""
    columns = [delivery.c[name] for name in ("id", "received_at", "attempts", "status", "reasons", "event_ids")]
    query = sa.select(*columns).where(delivery.c.source == source_id)
    if status is not None:
        query = query.where(delivery.c.status == status)
    if cursor is not None:
        query = query.where(sa.tuple_(delivery.c.received_at, delivery.c.id) < _literal(parse_position(cursor)))
    query = query.order_by(delivery.c.received_at.desc(), delivery.c.id.desc()).limit(limit + 1)
    rows = await books.database.read(lambda connection: connection.execute(query))
    page = rows[:limit]
    has_more = len(rows) > limit
    return page, ListPosition(page[-1].received_at, page[-1].id).encode() if has_more else None


def _literal(position: ListPosition) -> Any:
    return sa.tuple_(sa.literal(position.at, sa.DateTime(timezone=True)), sa.literal(position.id, sa.Text))


async def load_page(
    books: Books,
    source_id: str,
    *,
    status: Status | None,
    after: ListPosition | None,
    until: datetime,
    limit: int,
) -> list[RawDelivery]:
    """Return deliveries with their bodies that were received until a time, the earliest first, those after `after`."""
    columns = [delivery.c[name] for name in _STORED]
    statuses = REPLAYABLE if status is None else (status,)
    is_chosen = delivery.c.status.in_(statuses) & (delivery.c.received_at <= until)
    query = sa.select(*columns).where(delivery.c.source == source_id, is_chosen)
    if after is not None:
        query = query.where(sa.tuple_(delivery.c.received_at, delivery.c.id) > _literal(after))
    query = query.order_by(delivery.c.received_at, delivery.c.id).limit(limit)
    rows = await books.database.read(lambda connection: connection.execute(query))
    return [to_raw_delivery(row) for row in rows]
