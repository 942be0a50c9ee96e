"""From the day that counts as today to its insights: everything that detectors read in one snapshot, then the detectors.

The number of statements depends on the shapes of the sources, never on the accounts, and but little on the number of detectors.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any, NamedTuple

from app.accounts.all_accounts import load_ids, reserve_account_rows
from app.books.books import Books
from app.books.first_day import load_first_day
from app.core.aside import run_aside
from app.core.period_names import parse_as_of
from app.core.periods import FIRST_DAY, Period, months_before
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.insights.account_table import load_account_rows
from app.insights.define import SEVERITIES, Detector, Finding
from app.insights.numbers import load_series
from app.insights.sources import AccountSource, MetricSource, Moment, MomentSource, OfferSource, Source
from app.metrics.offers import OFFERS

# Samples smaller than the first are no evidence; then the confidence is low, medium or high.
MIN_SAMPLE, _MEDIUM_FROM, _HIGH_FROM = 5, 20, 100
CONFIDENCES = ("low", "medium", "high")
_FIRST_MOMENT = FIRST_DAY + timedelta(days=800)


class Insight(NamedTuple):
    """What needs attention. id: of the detector and the subject, so that it stays the same as long as it fires."""

    id: str
    detector: Detector
    finding: Finding
    confidence: str

    @property
    def name(self) -> str:
        """The name of its row for the cursor."""
        return self.id


class Insights(NamedTuple):
    """All insights of a moment, the most urgent first. small_samples: how many are left out, for their sample is too small.

    is_known: whether anything had been recorded by then.
    """

    moment: Moment
    insights: Sequence[Insight]
    small_samples: int
    is_known: bool


async def load_moment(books: Books, as_of: date | None) -> Moment:
    """Return the moment of now, or the end of the day `as_of`. Raises Invalid."""
    today = await books.load_today(as_of=as_of)
    last_day = parse_as_of(as_of, today=today, first=_FIRST_MOMENT)
    month_end = last_day.replace(day=1)
    start = months_before(month_end, 1)
    month = Period(books.calendar.unit_name(start, "month"), start, month_end, complete=True)
    # As of today is everything that is recorded.
    return Moment(last_day, None if last_day == today else last_day, books.currency, month)


async def find_insights(
    connection: Connection, books: Books, moment: Moment, detectors: Collection[Detector]
) -> Insights:
    """Return what the detectors find, all of it from the snapshot of the connection."""
    first_day = await run_plan(connection, load_first_day(books.first_day))
    if first_day is None or first_day > moment.today:
        return Insights(moment, [], 0, is_known=moment.as_of is None)
    sources = dict.fromkeys(source for detector in detectors for source in detector.sources.values())
    values = await _load_values(connection, books, sources, moment, first_day=first_day)
    return await run_aside(partial(_detect, detectors, values, moment), items=_count_rows(values))


async def _load_values(
    connection: Connection, books: Books, sources: Collection[Source], moment: Moment, *, first_day: date
) -> dict[Source, Any]:
    metrics = [source for source in sources if isinstance(source, MetricSource)]
    accounts = [source for source in sources if isinstance(source, AccountSource)]
    if accounts:
        columns = sum(len(source.columns) for source in accounts)
        advice = "Choose detectors that do not look at each of them."
        await reserve_account_rows(
            connection, books.database, columns=columns, pointer="/query/detector", advice=advice
        )
    values: dict[Source, Any] = {}
    values.update(await load_series(connection, books, metrics, moment, first_day=first_day))
    values.update(await run_plan(connection, load_account_rows(books.database, accounts, moment)))
    for source in sources:
        if isinstance(source, OfferSource):
            values[source] = await _load_offer(connection, books, source, moment)
        elif isinstance(source, MomentSource):
            values[source] = moment
    return values


async def _load_offer(connection: Connection, books: Books, source: OfferSource, moment: Moment) -> Any:
    parameters = dict(source.parameters)
    # Two days are compared, both of which are over.
    if (days := parameters.pop("days_between", None)) is not None:
        yesterday = moment.today - timedelta(days=1)
        parameters |= {"day": yesterday, "earlier_day": yesterday - timedelta(days=days)}
    return await getattr(OFFERS, source.name)(connection, books, as_of=moment.as_of, **parameters)


def _count_rows(values: Mapping[Source, Any]) -> int:
    return sum(len(value) for value in values.values() if isinstance(value, list))


def _detect(detectors: Collection[Detector], values: Mapping[Source, Any], moment: Moment) -> Insights:
    insights: list[Insight] = []
    small_samples = 0
    for detector in detectors:
        for finding in detector.detect({name: values[source] for name, source in detector.sources.items()}):
            confidence = confidence_of(finding.sample_size)
            if confidence is None:
                small_samples += 1
            else:
                id = detector.name if finding.subject is None else f"{detector.name}:{finding.subject}"
                insights.append(Insight(id, detector, finding, confidence))
    insights.sort(key=lambda insight: (SEVERITIES.index(insight.finding.severity), insight.id))
    return Insights(moment, insights, small_samples, is_known=True)


def confidence_of(sample_size: int | None) -> str | None:
    """Return the confidence in what so many observations say; None where they are too few. A fact has no sample: it is high."""
    if sample_size is None or sample_size >= _HIGH_FROM:
        return "high"
    if sample_size < MIN_SAMPLE:
        return None
    return "low" if sample_size < _MEDIUM_FROM else "medium"


async def load_account_ids(connection: Connection, keys: Collection[Any]) -> dict[Any, str]:
    """Return the ids of accounts by their keys; an id stands for itself."""
    numbers = sorted({key for key in keys if isinstance(key, int)})
    return {key: key for key in keys} | await run_plan(connection, load_ids(numbers))
