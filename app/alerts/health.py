"""Publish when the health of a customer has moved to another band."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any, NamedTuple

from app.accounts.cards import load_cards, overview_link
from app.alerts.news import NewsSearch, publish_news
from app.books.books import Books
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.database.statements import bind_json_rows, json_table
from app.metrics.offers import OFFERS, CustomerHealth, Message

BAND_TOPIC = "health.band_changed"
_ORDER = {"critical": 0, "at_risk": 1, "healthy": 2}
# All customers are scored, so not each minute.
_PAUSE = timedelta(minutes=10)
_DAY = timedelta(days=1)

_LOAD = "SELECT account_id, band, score FROM account_band"
_WRITE = f"""
    INSERT INTO account_band (account_id, band, score)
    SELECT account_id, band, score FROM {json_table("row(account_id bigint, band text, score integer)")}
    ON CONFLICT (account_id) DO UPDATE SET band = excluded.band, score = excluded.score
    """


class _Band(NamedTuple):
    """The band of the last message, or that of the day before the first search. score: in hundredths of a point."""

    band: str
    score: int


async def publish_health_news(books: Books) -> int:
    """Publish which customers are in another band than before. Return how many messages there are."""
    today = await books.load_today()
    find_news = partial(_find_news, books=books, today=today)
    return await publish_news(books, "health", find_news, topics=[BAND_TOPIC], pause=_PAUSE, today=today)


async def _find_news(
    connection: Connection, last: NewsSearch | None, *, books: Books, today: date
) -> Sequence[Message]:
    rows = await connection.execute(_LOAD)
    stored = {row.account_id: _Band(row.band, row.score) for row in rows}
    customers, earlier = await books.database.read(partial(_load_health, stored=stored, books=books, today=today))
    known_bands = earlier | stored
    moves = [own for own in customers if own.account in known_bands and known_bands[own.account].band != own.band]
    changed_bands = {own.account: _Band(own.band, own.score) for own in moves}
    first_bands = {
        own.account: known_bands.get(own.account, _Band(own.band, own.score))
        for own in customers
        if own.account not in stored
    }
    writes = [
        {"account_id": account} | band._asdict() for account, band in sorted((first_bands | changed_bands).items())
    ]
    await connection.enqueue(bind_json_rows(_WRITE, writes))
    cards = await run_plan(connection, load_cards([own.account for own in moves], today=today))
    return [
        _message(own, known_bands[own.account], cards[own.account], books=books, today=today)
        for own in moves
        if own.account in cards
    ]


async def _load_health(
    connection: Connection, *, stored: Mapping[int, _Band], books: Books, today: date
) -> tuple[list[CustomerHealth], dict[int, _Band]]:
    """Return the health of all customers today, and the bands of the day before, for those of whom nothing is stored."""
    customers = await OFFERS.customer_health(connection, books, day=today)
    if all(own.account in stored for own in customers):
        return customers, {}
    earlier = await OFFERS.customer_health(connection, books, day=today - _DAY)
    return customers, {own.account: _Band(own.band, own.score) for own in earlier}


def _message(own: CustomerHealth, before: _Band, card: Mapping[str, Any], *, books: Books, today: date) -> Message:
    data = {
        "account": card,
        "on": today.isoformat(),
        "score": own.score / 100,
        "previous": before.score / 100,
        "band": own.band,
        "previous_band": before.band,
        "direction": "up" if _ORDER[own.band] > _ORDER[before.band] else "down",
        "model_version": own.model_version,
        "coverage": own.coverage,
        "mrr": own.mrr,
        "weakest": [part._asdict() for part in own.load_weakest()],
        "links": {"account": overview_link(books.public_url, card["id"])},
    }
    return Message(BAND_TOPIC, data)
