"""How far news were looked for that are not alerts: about targets, health and restatements.

One process at a time looks, under the lock of alerts, and only if somebody subscribes. What was told is noted in the transaction
that writes the messages.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from app.alerts.store import try_lock
from app.books.books import Books
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.metrics.offers import OFFERS, Message

_LOAD = "SELECT day, at, is_due FROM told_day WHERE subject = %(subject)s"
_NOTE = """
    INSERT INTO told_day (subject, day, at, is_due) VALUES (%(subject)s, %(day)s, %(now)s, false)
    ON CONFLICT (subject) DO UPDATE SET day = excluded.day, at = excluded.at, is_due = false
    """
_MARK_DUE = "UPDATE told_day SET is_due = true WHERE NOT is_due"


class LastLook(NamedTuple):
    """When news were looked for last. day: the day that was today then. is_due: whether data has changed since then."""

    day: date
    at: datetime
    is_due: bool


# Returns the news since the last look, None for the first one.
FindNews = Callable[[Connection, LastLook | None], Awaitable[Sequence[Message]]]


async def mark_due(connection: Connection) -> None:
    """Note that data has changed."""
    await connection.execute(_MARK_DUE)


async def look_for_news(
    books: Books, subject: str, find_news: FindNews, *, topics: Collection[str], pause: timedelta | None, today: date
) -> int:
    """Publish what is new, if it is time to look. Return how many messages there are.

    pause: after data has changed, between two looks; None: once a day only. today: the day on which it is looked.
    """
    now = books.now()

    async def write(connection: Connection) -> int:
        if not await try_lock(connection):
            return 0
        if (await run_plan(connection, OFFERS.subscribed_topics())).isdisjoint(topics):
            return 0
        rows = await connection.execute(_LOAD, {"subject": subject})
        last = LastLook(*rows[0]) if rows else None
        if last is not None and last.day == today:
            # A clock that went back does not stop it.
            is_time = pause is not None and last.is_due and not timedelta(0) <= now - last.at < pause
            if not is_time:
                return 0
        messages = await find_news(connection, last)
        await OFFERS.publish_messages(connection, messages, at=now)
        await connection.execute(_NOTE, {"subject": subject, "day": today, "now": now})
        return len(messages)

    return await books.database.write(write)
