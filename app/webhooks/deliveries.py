"""Deliveries: what became of each message for one endpoint, and sending one again."""

from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from app.books.books import Books
from app.core.cursors import ListPosition, parse_position
from app.core.errors import Conflict, NotFound
from app.database.connection import Connection
from app.database.webhook_tables import webhook_delivery as delivery
from app.database.webhook_tables import webhook_endpoint as endpoint
from app.database.webhook_tables import webhook_message as message
from app.http.openapi import list_schema, map_schema, name_schema, object_schema
from app.metrics.offers import Message
from app.webhooks.define import TOPICS
from app.webhooks.deliver import RESULTS
from app.webhooks.dispatch import LEASE_SECONDS, DueDelivery
from app.webhooks.endpoints import endpoint_not_found, fetch_endpoint
from app.webhooks.outbox import build_row

DeliveryState = Literal["pending", "delivered", "failed"]

_TEXT: dict[str, Any] = {"type": "string"}
_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
_OPTIONAL_TIME: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
DELIVERY: dict[str, Any] = {
    "id": _TEXT | {"description": "The id of the message, which is the header `webhook-id`."},
    "topic": name_schema("TopicName"),
    "state": {"type": "string", "enum": ["pending", "delivered", "failed"]},
    "attempts": {"type": "integer", "description": "Since the delivery became pending."},
    "next_attempt_at": _OPTIONAL_TIME | {"description": "Of a pending delivery."},
    "created_at": _TIME,
    "finished_at": _OPTIONAL_TIME,
    "log": list_schema(
        "WebhookAttempt",
        {
            "at": _TIME,
            "result": {"type": "string", "enum": list(RESULTS)},
            "status": {"type": ["integer", "null"], "description": "Of the response."},
            "seconds": {"type": "number"},
            "detail": {
                "type": ["string", "null"],
                "description": "What is wrong with the URL, the certificate or TLS.",
            },
        },
    )
    | {"description": "The last 20 attempts, the latest at the end."},
}
DELIVERIES_SCHEMA = object_schema(
    "WebhookDeliveryPage",
    {
        "deliveries": list_schema("WebhookDelivery", DELIVERY),
        "next": {"type": ["string", "null"], "description": "The next page."},
    },
)
DELIVERY_SCHEMA = object_schema(
    "WebhookDeliveryWithPayload",
    DELIVERY,
    {"payload": map_schema("WebhookPayload", description="The body of the message.")},
)


def _as_json(row: Any) -> dict[str, Any]:
    next_attempt_at = row.next_attempt_at if row.state == "pending" else None
    fields = {name: getattr(row, name) for name in DELIVERY if name != "id"}
    return {"id": row.message_id} | fields | {"next_attempt_at": next_attempt_at}


async def list_deliveries(
    books: Books, endpoint_id: str, *, state: str | None, topic: str | None, limit: int, cursor: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of deliveries, the newest first, and the cursor of the next page. Raises NotFound."""
    query = sa.select(delivery).where(delivery.c.endpoint_id == endpoint_id)
    query = query.order_by(delivery.c.created_at.desc(), delivery.c.message_id.desc()).limit(limit + 1)
    query = query if state is None else query.where(delivery.c.state == state)
    query = query if topic is None else query.where(delivery.c.topic == topic)
    if cursor is not None:
        position = sa.tuple_(delivery.c.created_at, delivery.c.message_id)
        query = query.where(position < sa.tuple_(*map(sa.literal, parse_position(cursor))))

    async def read(connection: Connection) -> list[Any]:
        await fetch_endpoint(connection, endpoint_id)
        return await connection.execute(query)

    rows = await books.database.read(read)
    last = rows[limit - 1] if len(rows) > limit else None
    next_cursor = None if last is None else ListPosition(last.created_at, last.message_id).encode()
    return [_as_json(row) for row in rows[:limit]], next_cursor


async def load_delivery(books: Books, endpoint_id: str, id: str) -> dict[str, Any]:
    """Return a delivery with the body of its message. Raises NotFound."""
    return await books.database.read(lambda connection: _fetch(connection, endpoint_id, id))


async def _fetch(connection: Connection, endpoint_id: str, id: str) -> dict[str, Any]:
    await fetch_endpoint(connection, endpoint_id)
    payload = sa.cast(sa.func.convert_from(message.c.body, "UTF8"), sa.JSON).label("payload")
    query = sa.select(delivery, payload).join(message, message.c.id == delivery.c.message_id)
    query = query.where(delivery.c.endpoint_id == endpoint_id, delivery.c.message_id == id)
    row = next(iter(await connection.execute(query)), None)
    if row is None:
        raise NotFound("The endpoint has no delivery with this id. GET …/deliveries lists them; old ones are deleted.")
    return _as_json(row) | {"payload": row.payload}


async def redeliver(books: Books, endpoint_id: str, id: str) -> dict[str, Any]:
    """Let a delivery be tried again, at once and as often as a new one, and return it. Raises NotFound and Conflict."""
    now = books.clock()

    async def write(connection: Connection) -> dict[str, Any]:
        await _fetch(connection, endpoint_id, id)
        await _restart(connection, endpoint_id, delivery.c.message_id == id, now)
        return await _fetch(connection, endpoint_id, id)

    return await books.database.write_aside(write)


async def redeliver_failed(books: Books, endpoint_id: str, *, since: datetime) -> int:
    """Let all failed deliveries of messages since a time be tried again. Return how many. Raises NotFound and Conflict.

    Those of tests stay as they are: nobody has missed anything.
    """
    now = books.clock()
    body = sa.cast(sa.func.convert_from(message.c.body, "UTF8"), sa.JSON)
    is_test = sa.exists().where(message.c.id == delivery.c.message_id, body["test"].as_string() == "true")
    is_meant = sa.and_(delivery.c.state == "failed", delivery.c.created_at >= since, ~is_test)

    async def write(connection: Connection) -> int:
        await fetch_endpoint(connection, endpoint_id)
        return await _restart(connection, endpoint_id, is_meant, now)

    return await books.database.write_aside(write)


async def _restart(connection: Connection, endpoint_id: str, condition: sa.ColumnElement[bool], now: datetime) -> int:
    """Make deliveries pending, and end the pause of their endpoint. One that is being sent stays as it is."""
    unpause = sa.update(endpoint).where(endpoint.c.id == endpoint_id, endpoint.c.state == "enabled")
    if not (await connection.execute(unpause.values(paused_until=None))).row_count:
        raise Conflict(
            "The endpoint is disabled. Enable it first: PATCH with the state `enabled`.", code="endpoint_disabled"
        )
    is_idle = sa.or_(delivery.c.leased_until.is_(None), delivery.c.leased_until < sa.func.clock_timestamp())
    fresh = {"state": "pending", "attempts": 0, "first_attempt_at": None, "next_attempt_at": now, "finished_at": None}
    statement = sa.update(delivery).where(delivery.c.endpoint_id == endpoint_id, condition, is_idle).values(fresh)
    return (await connection.execute(statement)).row_count


async def create_test(books: Books, endpoint_id: str, topic: str | None, *, lease: str) -> DueDelivery:
    """Make a delivery of the example of a topic, leased by the caller. topic: None for the first that is subscribed to.

    It has failed until the attempt is recorded. So if this process dies, no worker makes an attempt nobody waits for. Raises
    NotFound.
    """
    now = books.clock()

    async def write(connection: Connection) -> DueDelivery:
        row = next(iter(await connection.execute(sa.select(endpoint).where(endpoint.c.id == endpoint_id))), None)
        if row is None:
            raise endpoint_not_found()
        name = topic or row.topics[0]
        new = build_row(Message(name, TOPICS[name].example), at=now, is_test=True)
        body = new.pop("body").encode()
        await connection.execute(sa.insert(message).values(new | {"body": body, "created_at": now, "dispatched": True}))
        lease_end = sa.func.clock_timestamp() + sa.text(f"interval '{LEASE_SECONDS} seconds'")
        values = {"endpoint_id": endpoint_id, "message_id": new["id"], "topic": name, "state": "failed"}
        values |= {
            "next_attempt_at": now,
            "created_at": now,
            "finished_at": now,
            "lease": lease,
            "leased_until": lease_end,
        }
        await connection.execute(sa.insert(delivery).values(values))
        return DueDelivery(endpoint_id, new["id"], row.url, row.secrets, body, 0, None, row.failing_since)

    return await books.database.write_aside(write)
