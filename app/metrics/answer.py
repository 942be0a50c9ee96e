"""From a question to its rows: sums from the ledger, formulas from the catalogue.

Question -> splits into spans -> sums of all operands -> an AnswerTable of pending rows -> the rows of one page
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

from app.books.books import Books
from app.books.margins import Margin, load_margins, margin_before
from app.core import meters
from app.core.aside import run_aside
from app.core.periods import count_months
from app.database.connection import Connection
from app.database.query_plan import QueryPlan, merge_plans, run_plan
from app.database.question_slots import LARGE_SUMS
from app.ledger.sums.selection import ENTRY_DIMENSIONS, Group, Span
from app.metrics.compact_sums import load_compact_sums
from app.metrics.compare import compare_results, withhold_small_sample
from app.metrics.currencies import format_amount
from app.metrics.define import ContextValue, Metric
from app.metrics.lookup import (
    ITEMS_PER_QUESTION,
    OperandSums,
    PeriodSplit,
    SumsByGroup,
    groups_with_data,
    load_measured_sums,
    measure_question,
    operands_of,
    split_question,
)
from app.metrics.pending_rows import InputValues, PendingRow, PendingRows, RowBlock
from app.metrics.question import Question
from app.metrics.question_names import check_names
from app.metrics.results import NOTHING_KNOWN, Result
from app.metrics.rows import (
    Row,
    check_row_count,
    default_groups,
    format_group,
    group_sort_key,
    paginate,
    round_number,
)

_MARGIN = ContextValue("margin")
# A page of more rows is computed while it is sent.
_MAX_COMPUTED_ROWS = 10_000

# The values of an input of a metric in a group.
Input = Callable[[Group], InputValues]


class Page(NamedTuple):
    """A page of the rows of an answer.

    rows: of a large page, computed only as they are taken. row_count: of this page. next: the cursor of the next page, None
    after the last. tag: of a large page, what changes whenever its rows do.
    """

    rows: Iterable[Row]
    row_count: int
    next: str | None
    tag: str | None = None


async def answer(books: Books, question: Question, *, limit: int, cursor: str | None) -> Page:
    """Return a page of the rows of a question.

    Rows are ordered by metric, convention, start and group, the totals of a metric after its periods. Raises Invalid for
    a cursor of another question and for an answer of more than a million rows.
    """
    started_at = perf_counter()
    table = await books.database.ask(lambda connection: build_answer_table(connection, books, question))

    def compute_page() -> Page:
        pending, next_cursor = paginate(table.pending_rows, limit=limit, cursor=cursor)
        if len(pending) > _MAX_COMPUTED_ROWS:
            return Page(map(table.row, pending), len(pending), next_cursor, table.fingerprint())
        return Page([table.row(row) for row in pending], len(pending), next_cursor)

    page = await run_aside(compute_page, items=len(table.pending_rows))
    _count(question, len(table.pending_rows), perf_counter() - started_at)
    return page


def _count(question: Question, row_count: int, seconds: float) -> None:
    meters.QUESTIONS.labels(question.granularity).observe(seconds)
    meters.QUESTION_ROWS.observe(row_count)
    for name in {metric.name for metric in question.metrics}:
        meters.QUESTION_METRICS.labels(name).inc()


async def build_answer_table(connection: Connection, books: Books, question: Question) -> "AnswerTable":
    """Load everything that the answer to a question needs.

    Raises Invalid for names that were never recorded, and for an answer of too many rows.
    """
    [table] = await build_answer_tables(connection, books, [question])
    return table


async def build_answer_tables(
    connection: Connection, books: Books, questions: Sequence[Question]
) -> list["AnswerTable"]:
    """Load everything that the answers to several questions need, in as many round trips as one of them takes.

    Raises Invalid as `build_answer_table` does.
    """
    operands = [operands_of(question) for question in questions]
    splits = [split_question(question) for question in questions]
    spans = [[spans for split in own for spans in (split.spans, split.previous_spans)] for own in splits]
    parts = list(zip(questions, operands, spans, strict=True))
    items = len(questions) * ITEMS_PER_QUESTION
    # This seldom needs a statement.
    sizes = await run_plan(connection, merge_plans([measure_question(books, *part) for part in parts]), items=items)
    await books.database.reserve_memory(sum(size for _, size in sizes))
    plans: list[QueryPlan[Any]] = [check_names(books.database, question.names) for question in questions]
    is_large = sum(size for _, size in sizes) > LARGE_SUMS
    if not is_large:
        plans += [
            load_measured_sums(books, question, selection, own_operands, own_spans)
            for (question, own_operands, spans_of_splits), (selection, _) in zip(parts, sizes, strict=True)
            for own_spans in spans_of_splits
        ]
    all_sums = (await run_plan(connection, merge_plans(plans), items=items))[len(questions) :]
    if is_large:
        for part, size in zip(parts, sizes, strict=True):
            all_sums += await load_compact_sums(connection, books, *part, *size)
    loaded_sums = iter(all_sums)
    sums = [[(next(loaded_sums), next(loaded_sums)) for _ in own] for own in splits]
    inputs = [input for question in questions for metric in question.metrics for input in metric.inputs.values()]
    margins = await load_margins(connection) if _MARGIN in inputs else []
    tables = zip(questions, splits, sums, strict=True)
    # The rows of one question may be many.
    return [
        await run_aside(
            partial(_build_table, *parts_of_table, books.currency, margins),
            items=sum(len(own) for current, _ in parts_of_table[2] for own in current.values()),
        )
        for parts_of_table in tables
    ]


def _build_table(
    question: Question,
    splits: Sequence[PeriodSplit],
    sums: Sequence[tuple[OperandSums, OperandSums]],
    currency: str,
    margins: Sequence[Margin],
) -> "AnswerTable":
    rows = _pending_rows(question, splits, sums, margins)
    groups = {part[0]: format_group(part[0], question) for block in rows.blocks for part in block.parts}
    return AnswerTable(question, currency, margins, rows, groups, [current for current, _ in sums])


def _pending_rows(
    question: Question,
    splits: Sequence[PeriodSplit],
    sums: Sequence[tuple[OperandSums, OperandSums]],
    margins: Sequence[Margin],
) -> PendingRows:
    """Return the rows of an answer in order. sums: of each split, in its spans and in its earlier ones."""
    contexts = [
        [context_values(question, margins, spans) for spans in (split.spans, split.previous_spans)] for split in splits
    ]
    groups_by_metric = [
        (metric, default_groups(question).union(*(_groups(question, metric, current) for current, _ in sums)))
        for metric in sorted(question.metrics, key=lambda metric: metric.name)
    ]
    row_count = sum(len(groups) for _, groups in groups_by_metric) * sum(len(split.periods) for split in splits)
    check_row_count(row_count, pointer="/query/granularity", instead="ask for fewer groups or periods")
    blocks: list[RowBlock] = []
    for metric, groups_with_rows in groups_by_metric:
        groups = sorted(groups_with_rows, key=group_sort_key)
        for split, own_sums, own_contexts in zip(splits, sums, contexts, strict=True):
            current, previous = (
                bind_inputs(question, metric, *values) for values in zip(own_sums, own_contexts, strict=True)
            )
            parts = [(group, values_in(current, group), values_in(previous, group)) for group in groups]
            blocks.append(RowBlock(metric, split, parts))
    return PendingRows(blocks)


def context_values(question: Question, margins: Sequence[Margin], spans: Sequence[Span]) -> dict[str, InputValues]:
    """Return the context values of formulas by name, each by the index of the span."""
    is_divided = not question.selection.covers_whole_business
    return {
        "divided": dict.fromkeys(range(len(spans)), is_divided),
        "months": {index: count_months(span.start, span.end) for index, span in enumerate(spans)},
        "days": {index: (span.end - span.start).days for index, span in enumerate(spans)},
        "margin": {index: margin_before(margins, span.end) for index, span in enumerate(spans)} if margins else {},
    }


def bind_inputs(
    question: Question, metric: Metric, sums: OperandSums, context: Mapping[str, InputValues]
) -> list[Input]:
    """Return the inputs of a metric's formula, in their order, as functions of the group.

    Sums are found here, once for all groups: to hash the operand of a population takes longer than everything else.
    """
    group_by = question.selection.group_by
    account_positions = [position for position, name in enumerate(group_by) if name not in ENTRY_DIMENSIONS]
    inputs: list[Input] = []
    for input in metric.inputs.values():
        if isinstance(input, ContextValue):
            inputs.append(partial(_in_any_group, context[input.name]))
        elif input.ignores_dimensions:
            inputs.append(partial(_in_group_without_dimensions, sums.get(input, {}), account_positions))
        else:
            inputs.append(partial(_in_group, sums.get(input, {})))
    return inputs


def _in_any_group(values: InputValues, _: Group) -> InputValues:
    return values


def _in_group(sums: SumsByGroup, group: Group) -> InputValues:
    return sums.get(group, {})


def _in_group_without_dimensions(sums: SumsByGroup, positions: Sequence[int], group: Group) -> InputValues:
    return sums[group] if group in sums else sums.get(tuple(group[position] for position in positions), {})


def values_in(inputs: Sequence[Input], group: Group) -> list[InputValues]:
    """Return the values of all inputs in a group."""
    return [values_of(group) for values_of in inputs]


def _groups(question: Question, metric: Metric, sums: OperandSums) -> set[Group]:
    """Return the groups in which a metric has data. Groups without the dimensions of the question are no rows."""
    width = len(question.selection.group_by)
    return {
        group for operand in metric.operands for group in groups_with_data(sums.get(operand, {})) if len(group) == width
    }


class AnswerTable(NamedTuple):
    """The rows of a question in their order, and what is needed to compute them.

    groups: each group as answers show it. sums: those of each split's spans.
    """

    question: Question
    currency: str
    margins: Sequence[Margin]
    pending_rows: PendingRows
    groups: Mapping[Group, Mapping[str, Any]]
    sums: Sequence[OperandSums]

    def fingerprint(self) -> str:
        """Return what changes whenever a row does: a hash of all that the rows are computed from."""
        content = hashlib.blake2b(digest_size=16)
        question = self.question
        content.update(repr((question.as_json(), question.today, question.is_known, self.currency)).encode())
        for block in self.pending_rows.blocks:
            content.update(repr((block.metric.name, block.metric.convention, block.split)).encode())
            for group, *inputs in block.parts:
                # Sums are in the order in which the database returned them.
                values = [[sorted(own.items()) for own in side] for side in inputs]
                content.update(repr((group, values)).encode())
        return content.hexdigest()

    def row(self, pending: PendingRow) -> Row:
        """Return a row as it is answered."""
        metric, split, index, group, inputs, _ = pending
        period = split.periods[index]
        result = self._compute(metric, inputs, index)
        row: Row = {
            "metric": metric.name,
            "convention": metric.convention,
            "period": period.name,
            "start": period.start,
            "end": period.end,
            "complete": period.complete,
            "group": dict(self.groups[group]),
            "value": round_number(result.value),
            "numerator": round_number(result.numerator),
            "denominator": round_number(result.denominator),
            "sample_size": result.sample_size,
            "interval": [*map(round_number, result.interval)] if result.interval else None,
        }
        if metric.unit == "money":
            row["amount"] = None if result.amount is None else format_amount(result.amount, self.currency)
        if result.reason:
            row["reason"] = result.reason
        if self.question.compare:
            earlier = split.previous_indices[index]
            previous = self._compute(metric, pending.previous_inputs, earlier) if earlier is not None else None
            row |= {name: round_number(value) for name, value in compare_results(result, previous).items()}
        return row

    def result(self, pending: PendingRow) -> Result:
        """Return the result of a row's formula."""
        return self._compute(pending.metric, pending.inputs, pending.period_index)

    def _compute(self, metric: Metric, inputs: Sequence[InputValues], index: int) -> Result:
        if not self.question.is_known:
            return NOTHING_KNOWN
        result = metric.formula(*[values.get(index, 0) for values in inputs])
        min_sample = self.question.min_sample
        return withhold_small_sample(result, min_sample=min_sample) if min_sample else result
