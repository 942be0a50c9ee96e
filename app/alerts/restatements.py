"""Publish which numbers of closed periods have changed: once a day, about the days that are over.

A period is closed some days after its end, when its numbers have settled. It is about the metrics that alerts and targets name.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from urllib.parse import urlencode

from app.alerts.messages import number_json
from app.alerts.news import NewsSearch, publish_news
from app.alerts.store import load_alerts
from app.books.books import Books
from app.core.periods import FIRST_DAY, Period
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.metrics.define import DEFAULT
from app.metrics.number_source import NumberGroup, NumberSource
from app.metrics.numbers import build_source_question
from app.metrics.offers import OFFERS, Message, Restatement

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
    return await books.database.read(
        partial(_load_messages, books=books, since=last.day, today=today, closing_days=closing_days)
    )


async def _load_messages(
    connection: Connection, *, books: Books, since: date, today: date, closing_days: int
) -> list[Message]:
    messages: list[Message] = []
    for source, names in (await _load_sources(connection, books)).items():
        periods = _closed_periods(source, books, today=today, closing_days=closing_days)
        question = await build_source_question(connection, books, source, periods, today=today) if periods else None
        if question is None:
            continue
        for own in await OFFERS.restatements(connection, books, question, since=since):
            is_closed = own.recorded_on >= own.period.end + timedelta(days=closing_days)
            if is_closed and own.recorded_on < today:
                messages.append(_message(source, own, names, books))
    return messages


async def _load_sources(connection: Connection, books: Books) -> Mapping[NumberSource, list[str]]:
    """Return the sources that alerts and targets name, each with their ids."""
    names: dict[NumberSource, set[str]] = defaultdict(set)
    for alert in await run_plan(connection, load_alerts()):
        own = alert.definition
        names[NumberSource(own.metric, _convention(own), own.group, own.granularity)].add(alert.id)
    for target in await OFFERS.target_standings(connection, books):
        if target.granularity in _PERIODS:
            group = NumberGroup(**target.group)
            names[NumberSource(target.metric, target.convention, group, target.granularity)].add(target.id)
    return {source: sorted(own) for source, own in names.items()}


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


def _message(source: NumberSource, own: Restatement, names: Sequence[str], books: Books) -> Message:
    group = source.group
    parameters = {"start": own.period.start, "end": own.period.end, "granularity": source.granularity}
    narrowing = {"convention": source.convention, **group.as_json(), **({"strict": "false"} if any(group) else {})}
    query = urlencode(parameters | narrowing)
    data = {
        "number": number_json(source, own.period, own.after, own.before, currency=books.currency),
        "recorded_on": own.recorded_on.isoformat(),
        "events": [dict(event) for event in own.events],
        "event_ids": list(own.event_ids),
        "named_by": list(names),
        "links": {"question": f"{books.public_url}/v1/metrics/{source.metric}/restatements?{query}"},
    }
    return Message(RESTATED_TOPIC, data)
