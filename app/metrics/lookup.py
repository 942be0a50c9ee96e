"""What the ledger says to a question: how its range is cut into days, and the sums of these."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from app.accounts.listing import day_after
from app.books.books import Books
from app.core.periods import Period, counted_end
from app.database.labels import lookup_labels
from app.database.query_plan import QueryPlan
from app.ledger.sums.operand_sums import operand_label_texts, sum_operands
from app.ledger.sums.operands import Operand
from app.ledger.sums.selection import Group, Span, Sums
from app.metrics.compare import earlier
from app.metrics.question import Question

OperandSums = Mapping[Operand, Sums]


class PeriodSplit(NamedTuple):
    """A range in periods, and the days of each. before: the days of those earlier that they are compared with, each once.

    places: for each period the number of its earlier one among `live_before`, None where there is none.
    """

    periods: Sequence[Period]
    spans: Sequence[Span]
    before: Sequence[Span]
    places: Sequence[int | None]


def split_question(question: Question) -> list[PeriodSplit]:
    """The range of a question in periods and, where totals are asked for, as a whole."""
    cuts = [_cut(question, question.periods)]
    if question.totals and question.granularity != "total":
        first, last = question.periods[0], question.periods[-1]
        cuts.append(_cut(question, [Period("total", first.start, last.end, last.complete)]))
    return cuts


def _cut(question: Question, periods: Sequence[Period]) -> PeriodSplit:
    before: dict[Span, int] = {}
    places: list[int | None] = []
    for period in periods:
        days = earlier(period, question) if question.compare else None
        # The 28th of February is a year before two days: spans must not overlap.
        places.append(before.setdefault(_span(question, *days), len(before)) if days else None)
    return PeriodSplit(periods, [span_of(question, period) for period in periods], list(before), places)


def span_of(question: Question, period: Period) -> Span:
    """The days of a period that count, and the day at whose start accounts are in their groups."""
    return _span(question, period.start, counted_end(period, question.today))


def _span(question: Question, start: date, end: date) -> Span:
    return Span(start, end, question.members_on or start)


def load_sums(
    books: Books, question: Question, operands: Sequence[Operand], spans: Sequence[Span]
) -> QueryPlan[OperandSums]:
    """The sums of operands in spans, of what a question is about."""
    if not spans:
        return {}
    words = {*operand_label_texts(operands), *question.selection.subjects, *question.selection.channels}
    # The words' numbers too as of this moment: one that is new to us must not leave a part out.
    labels = yield from lookup_labels(books.database, words)
    return (
        yield from sum_operands(
            operands,
            spans=spans,
            selection=question.selection,
            labels=labels,
            calendar=books.calendar,
            tomorrow=day_after(question.today),
        )
    )


def filled(sums: Sums) -> list[Group]:
    """The groups in which there is anything. What cancelled out is as if it had never been."""
    return [group for group, values in sums.items() if any(values.values())]
