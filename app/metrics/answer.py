"""From a question to its rows: sums from the ledger, formulas from the catalogue."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.books.books import Books
from app.books.margins import Margin, load_margins, margin_before
from app.core.periods import Period, count_months
from app.database.connection import Connection
from app.database.query_plan import merge_plans, run_plan
from app.ledger.sums.operands import Operand, Registered, Users
from app.ledger.sums.selection import ENTRY_DIMENSIONS, Group, Span, Sums
from app.metrics.compare import compared, withheld
from app.metrics.currencies import format_amount
from app.metrics.define import Given, Metric
from app.metrics.lookup import OperandSums, PeriodSplit, filled, load_sums, split_question
from app.metrics.question import Question
from app.metrics.results import Result
from app.metrics.rows import Row, always, check_many, name_of, order, page, rounded, shown

MARGIN = Given("margin")


async def answer(books: Books, question: Question, *, limit: int, cursor: str | None) -> tuple[list[Row], str | None]:
    """A page of the rows of a question, and the cursor of the next page, None after the last.

    Rows are ordered by metric, convention, start and group, the totals of a metric after its periods. Raises Invalid for
    a cursor of another question and for an answer of more than a million rows.
    """
    table = await books.database.read(lambda connection: build_answer_table(connection, books, question))
    cells, following = page(table.cells, limit=limit, cursor=cursor)
    return [table.row(cell) for cell in cells], following


async def build_answer_table(connection: Connection, books: Books, question: Question) -> "AnswerTable":
    """All that the ledger has to say to a question, in rows that are yet to be worked out. Raises Invalid for too many."""
    operands = list(dict.fromkeys(operand for metric in question.metrics for operand in metric.sums))
    cuts = split_question(question)
    both = [load_sums(books, question, operands, spans) for cut in cuts for spans in (cut.spans, cut.before)]
    sums = iter(await run_plan(connection, merge_plans(both)))
    found = list(zip(sums, sums, strict=True))
    needed = any(MARGIN in metric.operands.values() for metric in question.metrics)
    known = await load_margins(connection) if needed else []
    cells = _cells(question, cuts, found, known)
    groups = {group: shown(group, question) for group in {cell.group for cell in cells}}
    return AnswerTable(question, books.currency, known, cells, groups, [now for now, _ in found])


# What a formula is given for one group, by the number of the span; and what is no sum, by its name.
Part = Mapping[int, Any]
Givens = Mapping[str, Part]


class PendingRow(NamedTuple):
    """A row that has not been worked out yet, of the period with that `number`.

    now, before: what there is of the metric's operands, in the order of these.
    """

    metric: Metric
    cut: PeriodSplit
    number: int
    group: Group
    now: Sequence[Part]
    before: Sequence[Part] = ()

    @property
    def period(self) -> Period:
        return self.cut.periods[self.number]

    @property
    def name(self) -> str:
        return name_of(self.metric.name, self.metric.convention, self.period.name, self.period.start, self.group)

    @property
    def has_something(self) -> bool:
        """Whether any of its sums is other than zero."""
        parts = zip(self.metric.operands.values(), self.now, strict=True)
        return any(part.get(self.number) for operand, part in parts if not isinstance(operand, Given))


def _cells(
    question: Question,
    cuts: Sequence[PeriodSplit],
    sums: Sequence[tuple[OperandSums, OperandSums]],
    margins: Sequence[Margin],
) -> list[PendingRow]:
    cells: list[PendingRow] = []
    given = [[givens_of(question, margins, spans) for spans in (cut.spans, cut.before)] for cut in cuts]
    for metric in sorted(question.metrics, key=lambda metric: metric.name):
        groups = sorted(always(question).union(*(_groups(question, metric, now) for now, _ in sums)), key=order)
        for cut, found, (of_now, of_before) in zip(cuts, sums, given, strict=True):
            many = len(cells) + len(cut.periods) * len(groups)
            check_many(many, pointer="/query/granularity", instead="ask for less at once")
            now, before = (operands_in(metric, some) for some in found)
            own = [
                (group, parts_of(question, now, of_now, group), parts_of(question, before, of_before, group))
                for group in groups
            ]
            cells += [PendingRow(metric, cut, number, *parts) for number in range(len(cut.periods)) for parts in own]
    return cells


def operands_in(metric: Metric, found: OperandSums) -> list[tuple[Operand | Given, Sums]]:
    """The operands of a metric with their sums. Once for all groups: to hash a population takes longer than all else."""
    return [(o, {} if isinstance(o, Given) else found.get(o, {})) for o in metric.operands.values()]


def givens_of(question: Question, margins: Sequence[Margin], spans: Sequence[Span]) -> Givens:
    """What is no sum, of each span."""
    return {
        "divided": dict.fromkeys(range(len(spans)), question.selection.divided),
        "months": {number: count_months(span.start, span.end) for number, span in enumerate(spans)},
        "days": {number: (span.end - span.start).days for number, span in enumerate(spans)},
        "margin": {number: margin_before(margins, span.end) for number, span in enumerate(spans)} if margins else {},
    }


def parts_of(
    question: Question, operands: Sequence[tuple[Operand | Given, Sums]], given: Givens, group: Group
) -> list[Part]:
    """What a formula is given for a group."""
    by = question.selection.group_by
    parts: list[Part] = []
    for operand, sums in operands:
        place = group
        if group not in sums and isinstance(operand, Users | Registered) and operand.whole:
            place = tuple(v for v, name in zip(group, by, strict=True) if name not in ENTRY_DIMENSIONS)
        parts.append(given[operand.name] if isinstance(operand, Given) else sums.get(place, {}))
    return parts


def _groups(question: Question, metric: Metric, found: OperandSums) -> set[Group]:
    """The groups in which there is anything of a metric."""
    width = len(question.selection.group_by)
    return {group for operand in metric.sums for group in filled(found.get(operand, {})) if len(group) == width}


class AnswerTable(NamedTuple):
    """The rows of a question that have not been worked out yet, in their order, and what they have in common.

    groups: each as it is shown. found: the sums that they are made of, of each cut.
    """

    question: Question
    currency: str
    margins: Sequence[Margin]
    cells: Sequence[PendingRow]
    groups: Mapping[Group, Mapping[str, Any]]
    found: Sequence[OperandSums]

    def row(self, cell: PendingRow) -> Row:
        """A row as it is answered."""
        metric, cut, number, group, now, _ = cell
        period = cut.periods[number]
        result = self._result(metric, now, number)
        row: Row = {
            "metric": metric.name,
            "convention": metric.convention,
            "period": period.name,
            "start": period.start,
            "end": period.end,
            "complete": period.complete,
            "group": dict(self.groups[group]),
            "value": rounded(result.value),
            "numerator": rounded(result.numerator),
            "denominator": rounded(result.denominator),
            "sample_size": result.sample_size,
            "interval": [*map(rounded, result.interval)] if result.interval else None,
        }
        if metric.unit == "money":
            row["amount"] = None if result.amount is None else format_amount(result.amount, self.currency)
        if result.reason:
            row["reason"] = result.reason
        if self.question.compare:
            place = cut.places[number]
            before = self._result(metric, cell.before, place) if place is not None else None
            row |= {name: rounded(value) for name, value in compared(result, before).items()}
        return row

    def result(self, cell: PendingRow) -> Result:
        """What the formula makes of a row's sums."""
        return self._result(cell.metric, cell.now, cell.number)

    def _result(self, metric: Metric, parts: Sequence[Part], number: int) -> Result:
        result = metric.formula(*[part.get(number, 0) for part in parts])
        return withheld(result, min_sample=self.question.min_sample) if self.question.min_sample else result
