"""Delete old messages and their deliveries."""

from datetime import timedelta

from app.books.books import Books
from app.database.connection import Connection

CLEANING_PAUSE = timedelta(minutes=10)
_MAX_ROWS = 5_000
# What waits is kept, unless its endpoint is gone. A message goes after its deliveries.
_DELETE_DELIVERIES = f"""
    DELETE FROM webhook_delivery USING (
        SELECT endpoint_id, message_id FROM webhook_delivery
        WHERE created_at < %(before)s AND (
            state <> 'pending' OR NOT EXISTS (SELECT 1 FROM webhook_endpoint WHERE id = endpoint_id))
        ORDER BY created_at LIMIT {_MAX_ROWS} FOR UPDATE SKIP LOCKED) AS old
    WHERE webhook_delivery.endpoint_id = old.endpoint_id AND webhook_delivery.message_id = old.message_id
    """
_DELETE_MESSAGES = f"""
    DELETE FROM webhook_message USING (
        SELECT id FROM webhook_message AS message
        WHERE created_at < %(before)s AND dispatched AND NOT EXISTS (
            SELECT 1 FROM webhook_endpoint AS endpoint JOIN webhook_delivery AS delivery ON delivery.endpoint_id = endpoint.id
            WHERE delivery.message_id = message.id)
        ORDER BY created_at LIMIT {_MAX_ROWS} FOR UPDATE SKIP LOCKED) AS old
    WHERE webhook_message.id = old.id
    """


async def delete_history(books: Books, *, days: int) -> int:
    """Delete what is older than so many days, up to a limit. Return how many rows that were."""
    parameters = {"before": books.clock() - timedelta(days=days)}

    async def write(connection: Connection) -> int:
        counts = [
            (await connection.execute(statement, parameters)).row_count
            for statement in (_DELETE_DELIVERIES, _DELETE_MESSAGES)
        ]
        return sum(counts)

    return await books.database.write_aside(write)
