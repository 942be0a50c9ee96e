"""The lookup of a question's sums: the days of its periods, and what the ledger has for them."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from app.accounts.listing import day_after
from app.books.books import Books
from app.core.periods import Period, counted_end
from app.database.connection import Connection
from app.database.labels import lookup_labels
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.database.question_slots import LARGE_SUMS
from app.ledger.sums.members import find_members
from app.ledger.sums.operand_sums import Operand, SumsRequest, operand_label_texts, sum_operands
from app.ledger.sums.selection import Group, Selection, Span
from app.metrics.answer_size import check_size
from app.metrics.compare import previous_days
from app.metrics.question import Question
from app.metrics.question_names import check_names

# To write the statements of a question takes a few milliseconds, as to look at so many items does; of a long filter, more.
ITEMS_PER_QUESTION = 100
# By the index of the span.
SumsByGroup = Mapping[Group, Mapping[int, Any]]
OperandSums = Mapping[Operand, SumsByGroup]


class PeriodSplit(NamedTuple):
    """Periods with the span of each, and the spans of the earlier periods that they are compared with.

    previous_spans: each span once. previous_indices: for each period the index of its earlier one in `previous_spans`,
    None where there is none.
    """

    periods: Sequence[Period]
    spans: Sequence[Span]
    previous_spans: Sequence[Span]
    previous_indices: Sequence[int | None]


def split_question(question: Question) -> list[PeriodSplit]:
    """Return the range of a question split into periods and, if it asks for totals, the range as one period."""
    splits = [_split(question, question.periods)]
    if question.totals and question.granularity != "total" and question.periods:
        first, last = question.periods[0], question.periods[-1]
        splits.append(_split(question, [Period("total", first.start, last.end, last.complete)]))
    return splits


def _split(question: Question, periods: Sequence[Period]) -> PeriodSplit:
    previous: dict[Span, int] = {}
    indices: list[int | None] = []
    for period in periods:
        days = previous_days(period, question)
        # Spans must not overlap, but two days may have the same day a year before: 28 February.
        indices.append(previous.setdefault(_span(question, *days), len(previous)) if days else None)
    return PeriodSplit(periods, [period_span(question, period) for period in periods], list(previous), indices)


def period_span(question: Question, period: Period) -> Span:
    """Return the days of a period that count so far, and the day at whose start accounts' groups are decided."""
    return _span(question, period.start, counted_end(period, question.today))


def _span(question: Question, start: date, end: date) -> Span:
    return Span(start, end, question.group_day or start)


def operands_of(question: Question) -> list[Operand]:
    """Return the operands of all metrics of a question, each once."""
    return list(dict.fromkeys(operand for metric in question.metrics for operand in metric.operands))


async def is_large(books: Books, question: Question) -> bool:
    """Return whether to load the sums of a question takes seconds.

    Raises Invalid for names that were never recorded, and for an answer of too many rows, as the answer itself does.
    """
    spans = [spans for split in split_question(question) for spans in (split.spans, split.previous_spans)]

    async def measure(connection: Connection) -> int:
        plans: list[QueryPlan[Any]] = [check_names(books.database, question.names)]
        plans.append(measure_question(books, question, operands_of(question), spans))
        _, (_, size) = await run_plan(connection, merge_plans(plans), items=ITEMS_PER_QUESTION)
        return int(size)

    return await books.database.ask(measure) > LARGE_SUMS


def load_sums(
    books: Books, question: Question, operands: Sequence[Operand], spans: Sequence[Span]
) -> QueryPlan[OperandSums]:
    """Load the sums of operands in spans, for the selection of a question. Raises Invalid when they are too many."""
    selection, _ = yield from measure_question(books, question, operands, [spans])
    return (yield from load_measured_sums(books, question, selection, operands, spans))


def measure_question(
    books: Books, question: Question, operands: Sequence[Operand], spans_of_splits: Sequence[Sequence[Span]]
) -> QueryPlan[tuple[Selection, int]]:
    """Return the selection of a question with its members, and a bound of the number of its sums.

    Raises Invalid when they are too many.
    """
    spans = [span for own_spans in spans_of_splits for span in own_spans]
    if not spans:  # no period of the range has ended, and others are left out
        return question.selection, 0
    selection = yield from find_members(question.selection, [span.group_day for span in spans])
    per_group = len(operands) * len(spans)
    return (yield from check_size(books.database, selection, operands, spans, per_group=per_group))


def load_measured_sums(
    books: Books, question: Question, selection: Selection, operands: Sequence[Operand], spans: Sequence[Span]
) -> QueryPlan[OperandSums]:
    """Load the sums of operands in spans for a selection from `measure_question`."""
    if not spans:
        return {}
    texts = {*operand_label_texts(operands), *selection.subjects, *selection.channels}
    # Labels are read in the same transaction: one that is new to this process must not leave a part out.
    labels = yield from lookup_labels(books.database, texts)
    request = SumsRequest(selection, spans, labels, books.calendar, tomorrow=day_after(question.today))
    return (yield from sum_operands(operands, request))


def groups_with_data(sums: SumsByGroup) -> list[Group]:
    """Return the groups with a number other than 0. Entries that cancelled out are as if they had never been."""
    return [group for group, values in sums.items() if any(values.values())]
