"""The numbers of sources, such as targets need: grouped into few questions, all of which are answered in one round trip.

A number is one of a metric, in one group and period, as of a day. Numbers that differ only in metric, segment or period are
asked in one question.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import NamedTuple

from app.accounts.filters import Filter, parse_filter
from app.accounts.segments import SegmentHistory, load_segment_history
from app.books.books import Books
from app.books.first_day import load_first_day
from app.core.aside import run_aside
from app.core.periods import Period, Range
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.ledger.sums.selection import Group, Selection
from app.metrics.answer import (
    AnswerTable,
    bind_inputs,
    build_answer_tables,
    context_values,
    values_in,
)
from app.metrics.define import METRICS
from app.metrics.lookup import ITEMS_PER_QUESTION, split_question
from app.metrics.number_source import NumberGroup, NumberSource
from app.metrics.pending_rows import PendingRow
from app.metrics.question import Question, fits_in_statement
from app.metrics.question_names import NO_NAMES
from app.metrics.results import Result

SEGMENT_ENDED = Result(None, reason="segment_ended")
NO_METRIC = Result(None, reason="no_such_metric")


class NumberKey(NamedTuple):
    """What tells a number from all others. days: `[start, end)`. as_of: None means everything that is recorded by now.

    account: of numbers of each account, the id of the account.
    """

    metric: str
    convention: str
    group: NumberGroup
    days: Range
    as_of: date | None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class NumberRequest:
    """A number that somebody needs. is_whole: whether the period is a whole unit of the calendar.

    each_account: whether it is one number for each account that is a customer or has data.
    """

    source: NumberSource
    period: Period
    is_whole: bool
    as_of: date | None = None
    each_account: bool = False

    @property
    def key(self) -> NumberKey:
        source, metric = self.source, self.source.find_metric()
        convention = metric.convention if metric else source.convention
        return NumberKey(source.metric, convention, source.group, (self.period.start, self.period.end), self.as_of)


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
    each_account: bool


async def load_numbers(
    connection: Connection, books: Books, requests: Sequence[NumberRequest], *, today: date
) -> dict[NumberKey, Result]:
    """Return the results of all numbers. today: the day that counts as today where a number is as of no day."""
    batches: dict[_Batch, list[NumberRequest]] = defaultdict(list)
    results: dict[NumberKey, Result] = {}
    names = {request.source.group.segment for request in requests} - {None}
    segments = await load_segment_history(connection, [name for name in names if name]) if names else SegmentHistory([])
    for request in requests:
        group = request.source.group
        if request.source.find_metric() is None:
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
    by_account = [question for question in questions if "account" in question.selection.group_by]
    tables = await build_answer_tables(connection, books, [*questions, *map(_customers_question, by_account)])
    customers = dict(zip(map(id, by_account), map(_groups_of_customers, tables[len(questions) :]), strict=True))
    for question, table in zip(questions, tables, strict=False):
        results |= await run_aside(
            partial(_results, table, customers.get(id(question), frozenset())), items=len(table.pending_rows)
        )
    return results


async def build_source_question(
    connection: Connection,
    books: Books,
    source: NumberSource,
    periods: Sequence[Period],
    *,
    today: date,
    each_account: bool = False,
) -> Question | None:
    """Return the question for the numbers of a source in whole periods; None if its metric or segment no longer exists."""
    name = source.group.segment
    segments = await load_segment_history(connection, [name]) if name is not None else SegmentHistory([])
    if source.find_metric() is None or (name is not None and segments.on(name, None) is None):
        return None
    requests = [NumberRequest(source, period, True, None, each_account) for period in periods]
    batch = _batch_of(requests[0])
    return next(_questions(batch, requests, segments, books=books, today=today, first_day=None))


def _batch_of(request: NumberRequest) -> _Batch:
    source, period = request.source, request.period
    group = source.group
    return _Batch(
        source.granularity,
        None if request.is_whole else (period.start, period.end),
        group.filter,
        group.subject,
        group.channel,
        group.segment is not None,
        request.as_of,
        request.each_account,
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
    metrics = {request.key[:2]: metric for request in requests if (metric := request.source.find_metric())}
    is_known = batch.as_of is None or (first_day is not None and first_day <= batch.as_of)
    periods = sorted({request.period for request in requests}, key=lambda period: period.start)
    filter = parse_filter(batch.filter) if batch.filter is not None else None
    names = sorted({name for request in requests if (name := request.source.group.segment) is not None})
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
        group_by=(("segment",) if batch.has_segment else ()) + (("account",) if batch.each_account else ()),
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


def _customers_question(question: Question) -> Question:
    """Return the question for the customers at the end of the last period, in the same groups.

    An account without data of a metric is in no group of its sums, but a customer without any has a number, too.
    """
    selection = replace(question.selection, subjects=(), channels=())
    return replace(question, metrics=(METRICS["customers"],), periods=question.periods[-1:], selection=selection)


def _groups_of_customers(table: AnswerTable) -> frozenset[Group]:
    return frozenset(row.group for row in table.pending_rows if table.result(row).value)


def _results(table: AnswerTable, customers: frozenset[Group]) -> dict[NumberKey, Result]:
    """Return the numbers of a question. customers: groups that have numbers also without data."""
    question = table.question
    selection = question.selection
    results: dict[NumberKey, Result] = {}
    names: dict[Group, tuple[NumberGroup, str | None]] = {}
    for row in (*table.pending_rows, *_rows_without_data(table, customers)):
        if row.group not in names:
            names[row.group] = _names_of(row.group, selection)
        group, account = names[row.group]
        # What belongs to no account is not one.
        if account != "":
            metric, period = row.metric, row.period
            days = period.start, period.end
            results[NumberKey(metric.name, metric.convention, group, days, selection.as_of, account)] = table.result(
                row
            )
    return results


def _names_of(group: Group, selection: Selection) -> tuple[NumberGroup, str | None]:
    """Return the group of a number as its source names it, and its account."""
    values = dict(zip(selection.group_by, group, strict=True))
    number_group = NumberGroup(
        selection.segments[values["segment"][1]][0] if "segment" in values else None,
        selection.filter.text if selection.filter else None,
        *(own[0] if own else None for own in (selection.subjects, selection.channels)),
    )
    return number_group, values["account"][1] if "account" in values else None


def _rows_without_data(table: AnswerTable, groups: frozenset[Group]) -> Iterator[PendingRow]:
    """Yield the rows of each metric in those groups that the answer does not have, since their sums are zero."""
    if not groups:
        return
    question = table.question
    [split], [sums] = split_question(question), table.sums
    context = context_values(question, table.margins, split.spans)
    for metric in question.metrics:
        inputs = bind_inputs(question, metric, sums, context)
        own_groups = {row.group for row in table.pending_rows if row.metric is metric}
        for group in groups - own_groups:
            values = values_in(inputs, group)
            yield from (PendingRow(metric, split, index, group, values) for index in range(len(split.periods)))
