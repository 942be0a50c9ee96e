"""Publish which numbers of closed periods have changed: once a day, about the days that are over.

A period is closed some days after its end, when its numbers have settled. It is about the metrics that alerts and targets name.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlencode

import structlog

from app.accounts.cards import load_cards_by_id, overview_link
from app.alerts.messages import number_json
from app.alerts.news import MAX_NEWS_AGE, NewsSearch, publish_news
from app.alerts.store import load_alerts
from app.books.books import Books
from app.core.errors import Invalid
from app.core.periods import FIRST_DAY, Period
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.metrics.define import DEFAULT
from app.metrics.number_source import NumberGroup, NumberSource
from app.metrics.numbers import build_source_question
from app.metrics.offers import OFFERS, Message, Restatement

log = structlog.get_logger(__name__)

RESTATED_TOPIC = "metric.restated"
# How many closed periods are searched.
_PERIODS = {"day": 62, "week": 26, "month": 13, "quarter": 5, "year": 2}


async def publish_restatements(books: Books, *, closing_days: int) -> int:
    """Publish which numbers of closed periods have changed on days that are over. Return how many messages there are."""
    today = await books.load_today()
    find_news = partial(_find_news, books=books, today=today, closing_days=closing_days)
    return await publish_news(books, "restatements", find_news, topics=[RESTATED_TOPIC], pause=None, today=today)


async def _find_news(
    connection: Connection, last: NewsSearch | None, *, books: Books, today: date, closing_days: int
) -> Sequence[Message]:
    if last is None:
        # What was restated before anybody wanted to know is history.
        return []
    since = max(last.day, today - MAX_NEWS_AGE)
    load = partial(_load_restatements, books=books, since=since, today=today, closing_days=closing_days)
    restatements = await books.database.read(load)
    cards = await run_plan(connection, load_cards_by_id([own.account for _, own in restatements], today=today))
    return [_message(named_source, own, cards.get(own.account or ""), books) for named_source, own in restatements]


async def _load_restatements(
    connection: Connection, *, books: Books, since: date, today: date, closing_days: int
) -> list[tuple["_NamedSource", Restatement]]:
    restatements: list[tuple[_NamedSource, Restatement]] = []
    for named_source in await _load_sources(connection, books):
        source, each_account = named_source.source, named_source.each_account
        periods = _closed_periods(source, books, today=today, closing_days=closing_days)
        if not periods:
            continue
        question = await build_source_question(
            connection, books, source, periods, today=today, each_account=each_account
        )
        if question is None:
            continue
        try:
            all_restatements = await OFFERS.restatements(connection, books, question, since=since)
        except Invalid as error:
            # An import of a whole history. The next source is another question.
            log.warning("there are too many restatements to publish", metric=source.metric, reason=str(error))
            continue
        restatements += [
            (named_source, own)
            for own in all_restatements
            if own.recorded_on < today and own.recorded_on >= own.period.end + timedelta(days=closing_days)
            # What belongs to no account is not one.
            if not each_account or own.account
        ]
    return restatements


class _NamedSource(NamedTuple):
    """A source with the ids of the alerts and targets that name it. each_account: whether they are on each account."""

    source: NumberSource
    each_account: bool
    names: Sequence[str]


async def _load_sources(connection: Connection, books: Books) -> list[_NamedSource]:
    """Return the sources that alerts and targets name, each once."""
    names: dict[tuple[NumberSource, bool], set[str]] = defaultdict(set)
    for alert in await run_plan(connection, load_alerts()):
        own = alert.definition
        source = NumberSource(own.metric, _convention(own), own.group, own.granularity)
        names[source, own.each_account].add(alert.id)
    for target in await OFFERS.target_standings(connection, books):
        if target.granularity in _PERIODS:
            group = NumberGroup(**target.group)
            names[NumberSource(target.metric, target.convention, group, target.granularity), False].add(target.id)
    return [_NamedSource(*key, sorted(own)) for key, own in names.items()]


def _convention(source: NumberSource) -> str:
    """Return the name of the convention, also where it is the default of the metric."""
    metric = source.find_metric()
    return metric.convention if metric and source.convention == DEFAULT else source.convention


def _closed_periods(source: NumberSource, books: Books, *, today: date, closing_days: int) -> list[Period]:
    calendar, unit = books.calendar, source.granularity
    last = calendar.unit_number(today, unit)
    periods = []
    for number in range(last - _PERIODS[unit], last):
        start, end = calendar.unit_range(number, number + 1, unit)
        if start >= FIRST_DAY and end + timedelta(days=closing_days) < today:
            periods.append(Period(calendar.unit_name(start, unit), start, end, complete=True))
    return periods


def _message(named_source: _NamedSource, own: Restatement, card: Mapping[str, Any] | None, books: Books) -> Message:
    source, account = named_source.source, own.account
    number = number_json(source, own.period, own.after, own.before, currency=books.currency, account=account or "")
    narrowing = number["group"] | ({"strict": "false"} if number["group"] else {})
    parameters = {"start": own.period.start, "end": own.period.end, "granularity": source.granularity}
    query = urlencode(parameters | {"convention": source.convention} | narrowing)
    account_links = {"account": overview_link(books.public_url, account)} if account else {}
    data = {
        **({"account": card} if card else {}),
        "number": number,
        "recorded_on": own.recorded_on.isoformat(),
        "events": [dict(event) for event in own.events],
        "event_ids": list(own.event_ids),
        "named_by": list(named_source.names),
        "links": account_links | {"question": f"{books.public_url}/v1/metrics/{source.metric}/restatements?{query}"},
    }
    return Message(RESTATED_TOPIC, data)
