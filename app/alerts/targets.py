"""Publish when targets are met or missed: each once in a period."""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

from app.alerts.messages import period_json
from app.alerts.news import MAX_NEWS_AGE, NewsSearch, publish_news
from app.books.books import Books
from app.database.connection import Connection
from app.database.statements import json_table
from app.metrics.offers import OFFERS, Message, TargetStanding

MET_TOPIC, MISSED_TOPIC = "target.met", "target.missed"
_TOPICS = {"met": MET_TOPIC, "missed": MISSED_TOPIC}
_PAUSE = timedelta(minutes=5)
_DAY = timedelta(days=1)

_NOTE = f"""
    INSERT INTO target_news (id, period_start, period_end, status, at)
    SELECT id, period_start, period_end, status, %(now)s
    FROM {json_table("row(id text, period_start date, period_end date, status text)")}
    ON CONFLICT DO NOTHING RETURNING id, period_start, period_end, status
    """


async def publish_target_news(books: Books) -> int:
    """Publish which targets are met, and which periods have ended without. Return how many messages there are."""
    today = await books.load_today()
    find_news = partial(_find_news, books=books, today=today)
    return await publish_news(books, "targets", find_news, topics=_TOPICS.values(), pause=_PAUSE, today=today)


async def _find_news(
    connection: Connection, last: NewsSearch | None, *, books: Books, today: date
) -> Sequence[Message]:
    standings = await books.database.read(partial(_load_standings, last=last, books=books, today=today))
    final_standings = {
        _key(own): own for own in standings if own.status == "met" or (own.status == "missed" and own.period.complete)
    }
    rows = [
        {"id": own.id, "period_start": own.period.start, "period_end": own.period.end, "status": own.status}
        for own in final_standings.values()
    ]
    new_rows = await connection.execute_rows(_NOTE, rows, now=books.now())
    new = {(row.id, row.period_start, row.period_end, row.status) for row in new_rows}
    return [_message(own, books) for key, own in sorted(final_standings.items()) if key in new]


def _key(standing: TargetStanding) -> tuple[str, date, date, str]:
    return standing.id, standing.period.start, standing.period.end, standing.status


async def _load_standings(
    connection: Connection, *, last: NewsSearch | None, books: Books, today: date
) -> list[TargetStanding]:
    """Return the standings of the running periods, and of those that have ended since the last search."""
    first = max(last.day, today - MAX_NEWS_AGE) if last else today
    days = [first + number * _DAY for number in range((today - first).days)]
    past = [
        own for day in days for own in await OFFERS.target_standings(connection, books, day=day) if own.period.complete
    ]
    return past + await OFFERS.target_standings(connection, books)


def _message(standing: TargetStanding, books: Books) -> Message:
    before = standing.trend[-2].value if len(standing.trend) > 1 else None
    amount = {} if standing.amount is None else {"amount": standing.amount}
    target_amount = {} if standing.target_amount is None else {"target_amount": standing.target_amount}
    reason = {"reason": standing.reason} if standing.reason else {}
    interval = {} if standing.interval is None else {"interval": [*standing.interval]}
    proof = {name: getattr(standing, name) for name in ("numerator", "denominator", "sample_size")}
    number: dict[str, Any] = {
        "metric": standing.metric,
        "convention": standing.convention,
        "group": dict(standing.group),
        "granularity": standing.granularity,
        **period_json(standing.period),
        "value": standing.value,
        "previous": before,
        **amount,
        "proof": proof | interval | reason,
    }
    data = {
        "target": standing.id,
        "number": number,
        "target_value": standing.target,
        **target_amount,
        "baseline": standing.baseline,
        "attainment": standing.attainment,
        "gap": standing.gap,
        "links": {"question": f"{books.public_url}{standing.question}"},
    }
    return Message(_TOPICS[standing.status], data)
