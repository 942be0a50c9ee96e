"""Delete the history of alerts that is older than it is kept."""

from datetime import timedelta

from app.books.books import Books
from app.database.connection import Connection

CLEANING_PAUSE = timedelta(hours=1)
_MAX_ROWS = 5_000
_DELETE_TRANSITIONS = """
    DELETE FROM alert_transition WHERE key IN (
        SELECT key FROM alert_transition WHERE at < %(before)s ORDER BY at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    """
# What was published of the periods of targets; they ended before that.
_DELETE_TARGET_NEWS = "DELETE FROM target_news WHERE at < %(before)s AND period_end < %(before)s"


async def delete_transitions(books: Books, *, days: int) -> None:
    """Delete the transitions and the news of targets that are older than so many days. What is triggered stays triggered."""
    parameters = {"before": books.clock() - timedelta(days=days), "limit": _MAX_ROWS}

    async def write(connection: Connection) -> int:
        await connection.execute(_DELETE_TARGET_NEWS, parameters)
        return (await connection.execute(_DELETE_TRANSITIONS, parameters)).row_count

    while await books.database.write_aside(write) == _MAX_ROWS:
        pass
