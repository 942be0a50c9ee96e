"""The outbox: messages are written by the transaction that causes them, once, with the bytes that are sent later.

So a message exists if and only if its cause does, and an endpoint gets the same bytes each time. The cost does not depend on the
number of endpoints: a worker makes their deliveries afterwards (see `dispatch`).
"""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json

from app.database.connection import Connection
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement, bind_json_rows, json_table
from app.ingest.erase import ERASERS, Erasure
from app.metrics.offers import OFFERS, Message
from app.webhooks.define import TOPICS

_SUBSCRIBED_TOPICS = Statement("SELECT DISTINCT unnest(topics) FROM webhook_endpoint WHERE state = 'enabled'")
_INSERT = f"""
    INSERT INTO webhook_message (id, topic, body, created_at, account_id, event_id)
    SELECT row.id, row.topic, convert_to(row.body, 'UTF8'), %(at)s, row.account_id, row.event_id
    FROM {json_table("row(id text, topic text, body text, account_id bigint, event_id text)")}
    WHERE EXISTS (
        SELECT 1 FROM webhook_endpoint WHERE state = 'enabled' AND row.topic = ANY(topics))
    """
_ERASE = """
    WITH erased AS (
        DELETE FROM webhook_message WHERE account_id = %(account_id)s AND event_id = ANY(%(ids)s) RETURNING id)
    DELETE FROM webhook_delivery USING erased WHERE message_id = erased.id
    """


def load_subscribed_topics() -> QueryPlan[frozenset[str]]:
    """Return the names of the topics that an enabled endpoint subscribes to."""
    (rows,) = yield [BoundStatement(_SUBSCRIBED_TOPICS, {})]
    return frozenset(name for (name,) in rows)


async def publish_messages(connection: Connection, messages: Sequence[Message], *, at: datetime) -> None:
    """Write messages to the outbox; see `PublishMessages`. Raises KeyError for an unknown topic."""
    rows = [build_row(message, at=at) for message in messages]
    await connection.enqueue(bind_json_rows(_INSERT, rows, at=at))


def build_row(message: Message, *, at: datetime, is_test: bool = False) -> dict[str, Any]:
    """Return the row of a new message, with its body as text."""
    return {
        "id": new_message_id(),
        "topic": TOPICS[message.topic].name,
        "body": _write_body(message, at=at, is_test=is_test),
        "account_id": message.account_id,
        "event_id": message.event_id,
    }


def new_message_id() -> str:
    """Return a random id. Standard Webhooks signs it with dots around it, so it has none."""
    return f"msg_{secrets.token_hex(12)}"


def _write_body(message: Message, *, at: datetime, is_test: bool) -> str:
    """Return the payload of a message as it is sent."""
    marks = {"test": True} if is_test else {}
    return to_json({"type": message.topic, "timestamp": at.astimezone(UTC), **marks, "data": message.data}).decode()


async def erase_messages(connection: Connection, erasure: Erasure) -> None:
    """Delete the messages about erased events with their deliveries. What is being sent at this moment may still arrive."""
    await connection.execute(_ERASE, {"account_id": erasure.account_id, "ids": [*erasure.event_ids]})


OFFERS.publish_messages = publish_messages
OFFERS.subscribed_topics = load_subscribed_topics
ERASERS.append(erase_messages)
