"""News: what is published without an alert, about targets, health and restatements.

One process at a time searches for them, under the lock of alerts, and only if somebody subscribes. How far it has searched is
noted in the transaction that writes the messages.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from app.alerts.store import try_lock
from app.books.books import Books
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.metrics.offers import OFFERS, Message

_LOAD = "SELECT day, at, is_due FROM news_search WHERE subject = %(subject)s"
_NOTE = """
    INSERT INTO news_search (subject, day, at, is_due) VALUES (%(subject)s, %(day)s, %(now)s, false)
    ON CONFLICT (subject) DO UPDATE SET day = excluded.day, at = excluded.at, is_due = false
    """
_MARK_DUE = "UPDATE news_search SET is_due = true WHERE NOT is_due"


# What happened longer ago is no news, such as after a long time without subscribers.
MAX_NEWS_AGE = timedelta(days=7)


class NewsSearch(NamedTuple):
    """The last search for news. day: the day that was today then. is_due: whether data has changed since then."""

    day: date
    at: datetime
    is_due: bool


# Returns the news since the last search, None for the first one.
FindNews = Callable[[Connection, NewsSearch | None], Awaitable[Sequence[Message]]]


async def mark_news_due(connection: Connection) -> None:
    """Note that data has changed."""
    await connection.execute(_MARK_DUE)


async def publish_news(
    books: Books, subject: str, find_news: FindNews, *, topics: Collection[str], pause: timedelta | None, today: date
) -> int:
    """Search for news and publish them, if it is time to. Return how many messages there are.

    pause: after data has changed, between two searches; None: once a day only. today: the day of the search.
    """
    now = books.now()

    async def write(connection: Connection) -> int:
        if not await try_lock(connection):
            return 0
        if (await run_plan(connection, OFFERS.subscribed_topics())).isdisjoint(topics):
            return 0
        rows = await connection.execute(_LOAD, {"subject": subject})
        last = NewsSearch(*rows[0]) if rows else None
        if last is not None and last.day == today:
            # A clock that went back does not stop it.
            is_time = pause is not None and last.is_due and not timedelta(0) <= now - last.at < pause
            if not is_time:
                return 0
        messages = await find_news(connection, last)
        await OFFERS.publish_messages(connection, messages, at=now)
        await connection.execute(_NOTE, {"subject": subject, "day": today, "now": now})
        return len(messages)

    return await books.database.write_aside(write)
