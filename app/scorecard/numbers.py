"""The numbers that targets need: grouped into few questions, all of which are answered in one round trip.

A number is one of a metric, in one group and period, as of a day. Numbers that differ only in metric, segment or period are
asked in one question.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from app.accounts.filters import Filter, parse_filter
from app.accounts.segments import SegmentHistory, load_segment_history
from app.books.books import Books
from app.books.first_day import load_first_day
from app.core.aside import run_aside
from app.core.periods import Period, Range
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.ledger.sums.selection import Selection
from app.metrics.answer import ITEMS_PER_QUESTION, AnswerTable, build_answer_tables
from app.metrics.define import Metric
from app.metrics.question import Question, fits_in_statement
from app.metrics.question_names import NO_NAMES
from app.metrics.results import Result
from app.scorecard.definition import Definition, TargetGroup

SEGMENT_ENDED = Result(None, reason="segment_ended")
NO_METRIC = Result(None, reason="no_such_metric")


class NumberKey(NamedTuple):
    """What tells a number from all others. days: `[start, end)`. as_of: None means everything that is recorded by now."""

    metric: str
    convention: str
    group: TargetGroup
    days: Range
    as_of: date | None


@dataclass(frozen=True, slots=True)
class NumberRequest:
    """A number that a target needs. is_whole: whether the period is a whole unit of the calendar."""

    definition: Definition
    period: Period
    is_whole: bool
    as_of: date | None = None

    @property
    def key(self) -> NumberKey:
        definition, metric = self.definition, self.definition.find_metric()
        convention = metric.convention if metric else definition.convention
        return NumberKey(
            definition.metric, convention, definition.group, (self.period.start, self.period.end), self.as_of
        )


class _Batch(NamedTuple):
    """What the numbers of one question have in common. days: of the only period, where it is not a whole unit.

    has_segment: segments are the groups of a question, so a number without one is asked in another.
    """

    granularity: str
    days: Range | None
    filter: str | None
    subject: str | None
    channel: str | None
    has_segment: bool
    as_of: date | None


async def load_numbers(
    connection: Connection, books: Books, requests: Sequence[NumberRequest], *, today: date
) -> dict[NumberKey, Result]:
    """Return the results of all numbers. today: the day that counts as today where a number is as of no day."""
    batches: dict[_Batch, list[NumberRequest]] = defaultdict(list)
    results: dict[NumberKey, Result] = {}
    names = {request.definition.group.segment for request in requests} - {None}
    segments = await load_segment_history(connection, [name for name in names if name]) if names else SegmentHistory([])
    for request in requests:
        group = request.definition.group
        if request.definition.find_metric() is None:
            results[request.key] = NO_METRIC
        elif group.segment is not None and segments.on(group.segment, request.as_of) is None:
            results[request.key] = SEGMENT_ENDED
        else:
            batches[_batch_of(request)].append(request)
    first_day = await run_plan(connection, load_first_day(books.first_day)) if batches else None

    def build() -> list[Question]:
        return [
            question
            for batch, own in batches.items()
            for question in _questions(batch, own, segments, books=books, today=today, first_day=first_day)
        ]

    # Filters are parsed for that.
    questions = await run_aside(build, items=len(batches) * ITEMS_PER_QUESTION)
    for table in await build_answer_tables(connection, books, questions) if questions else ():
        results |= _results(table)
    return results


def _batch_of(request: NumberRequest) -> _Batch:
    definition, period = request.definition, request.period
    group = definition.group
    return _Batch(
        definition.granularity,
        None if request.is_whole else (period.start, period.end),
        group.filter,
        group.subject,
        group.channel,
        group.segment is not None,
        request.as_of,
    )


def _questions(
    batch: _Batch,
    requests: Sequence[NumberRequest],
    segments: SegmentHistory,
    *,
    books: Books,
    today: date,
    first_day: date | None,
) -> Iterator[Question]:
    """Yield the questions of a batch: one, or several where a statement cannot hold all of its segments."""
    metrics = {request.key[:2]: metric for request in requests if (metric := request.definition.find_metric())}
    is_known = batch.as_of is None or (first_day is not None and first_day <= batch.as_of)
    periods = sorted({request.period for request in requests}, key=lambda period: period.start)
    filter = parse_filter(batch.filter) if batch.filter is not None else None
    names = sorted({name for request in requests if (name := request.definition.group.segment) is not None})
    filters = [(name, own) for name in names if (own := segments.on(name, batch.as_of)) is not None]
    last_day = batch.as_of or today
    for chosen_segments in _split_segments(filters, filter) if batch.has_segment else [()]:
        yield Question(
            metrics=tuple(metrics.values()),
            start=periods[0].start,
            end=periods[-1].end,
            unit=None,
            granularity=batch.granularity,
            calendar=books.calendar,
            periods=tuple(periods),
            selection=_selection(batch, filter, chosen_segments),
            accounts=(),
            group_day=None,
            compare=None,
            min_sample=0,
            totals=False,
            today=last_day,
            strict=False,
            names=NO_NAMES,
            is_known=is_known,
        )


def _selection(batch: _Batch, filter: Filter | None, segments: tuple[tuple[str, Filter], ...]) -> Selection:
    return Selection(
        group_by=("segment",) if batch.has_segment else (),
        filter=filter,
        segments=segments,
        subjects=(batch.subject,) if batch.subject is not None else (),
        channels=(batch.channel,) if batch.channel is not None else (),
        as_of=batch.as_of,
    )


def _split_segments(
    segments: Iterable[tuple[str, Filter]], filter: Filter | None
) -> Iterator[tuple[tuple[str, Filter], ...]]:
    """Yield the segments in parts, each of which a statement can hold."""
    part: list[tuple[str, Filter]] = []
    for segment in segments:
        if part and not fits_in_statement((), [filter, *(own for _, own in part), segment[1]]):
            yield tuple(part)
            part = []
        part.append(segment)
    yield tuple(part)


def _results(table: AnswerTable) -> Iterator[tuple[NumberKey, Result]]:
    selection = table.question.selection
    for row in table.pending_rows:
        metric: Metric = row.metric
        group = TargetGroup(
            selection.segments[row.group[0][1]][0] if selection.segments else None,
            selection.filter.text if selection.filter else None,
            *(values[0] if values else None for values in (selection.subjects, selection.channels)),
        )
        days = row.period.start, row.period.end
        yield NumberKey(metric.name, metric.convention, group, days, selection.as_of), table.result(row)
