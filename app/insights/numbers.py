"""The series that detectors read: grouped into few questions, all of which are answered in one round trip."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from app.books.books import Books
from app.core.periods import Calendar, Period, months_before, split_range
from app.database.connection import Connection
from app.insights.sources import MetricSource, Moment, Series, SeriesPoint, Source
from app.ledger.sums.selection import Selection
from app.metrics.answer import AnswerTable, build_answer_tables
from app.metrics.define import METRICS, Metric
from app.metrics.question import Question
from app.metrics.question_names import NO_NAMES


class _SeriesBatch(NamedTuple):
    """What the sources of one question have in common. months: of the only period of a `total`, else None."""

    granularity: str
    months: int | None
    skip: int
    by_subject: bool
    days_ago: int
    is_earlier: bool


async def load_series(
    connection: Connection, books: Books, sources: Collection[MetricSource], moment: Moment, *, first_day: date | None
) -> dict[Source, Any]:
    """Return the value of each source: a Series or, by subject, a series for each. first_day: on which anything was recorded."""
    batches: dict[_SeriesBatch, list[MetricSource]] = defaultdict(list)
    for source in sources:
        batches[_batch_of(source)].append(source)
    questions = [
        _question(batch, own, moment, calendar=books.calendar, first_day=first_day) for batch, own in batches.items()
    ]
    tables = await build_answer_tables(connection, books, questions) if questions else []
    return {
        source: value
        for own, table in zip(batches.values(), tables, strict=True)
        for source, value in _values(own, table, moment)
    }


def find_metric(source: MetricSource) -> Metric:
    """Return the metric of a source, by its convention."""
    metric = METRICS[source.metric]
    return metric.conventions[source.convention or metric.convention]


def _batch_of(source: MetricSource) -> _SeriesBatch:
    months = source.count if source.granularity == "total" else None
    return _SeriesBatch(source.granularity, months, source.skip, source.by_subject, source.days_ago, source.is_earlier)


def _question(
    batch: _SeriesBatch, sources: Sequence[MetricSource], moment: Moment, *, calendar: Calendar, first_day: date | None
) -> Question:
    """Return the question about all metrics of a batch, in as many periods as the longest of its series has."""
    last_day = moment.today - timedelta(days=batch.days_ago)
    periods = _periods(batch, max(source.count for source in sources), calendar=calendar, today=last_day)
    as_of = last_day if batch.is_earlier else moment.as_of
    metrics = {(source.metric, source.convention): find_metric(source) for source in sources}
    return Question(
        metrics=tuple(metrics.values()),
        start=periods[0].start,
        end=periods[-1].end,
        unit=None,
        granularity=batch.granularity,
        calendar=calendar,
        periods=tuple(periods),
        selection=Selection(group_by=("subject",) if batch.by_subject else (), as_of=as_of),
        accounts=(),
        group_day=None,
        compare=None,
        min_sample=0,
        totals=False,
        today=last_day if batch.is_earlier else moment.today,
        strict=False,
        names=NO_NAMES,
        is_known=as_of is None or (first_day is not None and first_day <= as_of),
    )


def _periods(batch: _SeriesBatch, count: int, *, calendar: Calendar, today: date) -> list[Period]:
    """Return the last complete periods, the oldest first."""
    if batch.granularity == "day":
        return split_range(today - timedelta(days=count), today, granularity="day", calendar=calendar, today=today)
    end = months_before(today.replace(day=1), batch.skip)
    return split_range(months_before(end, count), end, granularity=batch.granularity, calendar=calendar, today=today)


def _values(sources: Sequence[MetricSource], table: AnswerTable, moment: Moment) -> Iterator[tuple[MetricSource, Any]]:
    points: dict[tuple[str, str], dict[Any, list[SeriesPoint]]] = defaultdict(lambda: defaultdict(list))
    for row in table.pending_rows:
        points[row.metric.name, row.metric.convention][row.group].append(SeriesPoint(row.period, table.result(row)))
    for source in sources:
        metric = find_metric(source)
        own = points[metric.name, metric.convention]
        if source.by_subject:
            subjects = {table.groups[group]["subject"]: own_points for group, own_points in own.items()}
            yield source, _by_subject(source, subjects, moment)
        else:
            yield source, _series(source, own[()], moment)


def _by_subject(source: MetricSource, points: Mapping[str | None, Sequence[SeriesPoint]], moment: Moment) -> Any:
    return {
        subject: _series(source, own, moment, subject=subject) for subject, own in points.items() if subject is not None
    }


def _series(
    source: MetricSource, points: Sequence[SeriesPoint], moment: Moment, *, subject: str | None = None
) -> Series:
    own = points[-source.count :] if source.granularity != "total" else points
    question = moment.path(
        source.metric,
        own[0].period.start,
        own[-1].period.end,
        granularity=source.granularity,
        convention=source.convention,
        subject=subject,
    )
    return Series(own, question)
