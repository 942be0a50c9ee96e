"""From a question to its rows: sums from the ledger, formulas from the catalogue."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.book import tomorrow
from app.errors import Invalid
from app.ledger.sums.figures import figures, words_of
from app.ledger.sums.operands import Operand, Users
from app.ledger.sums.selection import OF_ENTRIES, Group, Span, Sums
from app.metrics.currencies import in_digits
from app.metrics.define import Given, Metric
from app.metrics.question import Question
from app.periods import Period, counted_end, months_in
from app.store.books import Books, Margin, margin_of, margins
from app.store.database import recall

_DIGITS = 6
_MOST_CELLS = 1_000_000

Row = dict[str, Any]
Found = Mapping[Operand, Sums]
MARGIN = Given("margin")


async def answer(books: Books, question: Question, *, limit: int, cursor: str | None) -> tuple[list[Row], str | None]:
    """A page of the rows of a question, and the cursor of the next page, None after the last.

    Rows are ordered by metric, start and group, the totals of a metric after its periods. Raises Invalid for a cursor
    of another question and for an answer of more than a million rows.
    """
    operands = list(dict.fromkeys(operand for metric in question.metrics for operand in metric.sums))
    words = {*words_of(operands), *question.selection.subjects, *question.selection.channels}
    cuts = [list(question.periods)]
    if question.totals and question.granularity != "total":
        first, last = question.periods[0], question.periods[-1]
        cuts.append([Period("total", first.start, last.end, last.complete)])

    async def sum_up(connection: AsyncConnection) -> tuple[list[Found], list[Margin]]:
        # The words' numbers too as of this moment: one that is new to us must not leave a part out.
        labels = await recall(connection, books.database, words)
        found: list[Found] = [
            await figures(
                connection,
                operands,
                spans=[_span(question, period) for period in periods],
                selection=question.selection,
                labels=labels,
                calendar=books.calendar,
                tomorrow=tomorrow(question.today),
            )
            for periods in cuts
        ]
        needed = any(MARGIN in metric.operands.values() for metric in question.metrics)
        return found, await margins(connection) if needed else []

    found, known = await books.database.read(sum_up)
    answering = _Answering(question, books.currency, known)
    shown, following = _page(_cells(question, cuts, found), limit=limit, cursor=cursor)
    return [answering.row(cell) for cell in shown], following


def _span(question: Question, period: Period) -> Span:
    return Span(period.start, counted_end(period, question.today), question.members_on or period.start)


class _Cell(NamedTuple):
    """A row that has not been worked out yet. `operands`: those of the metric, each with its sums."""

    metric: Metric
    period: Period
    span: int
    group: Group
    operands: Sequence[tuple[Operand | Given, Sums]]

    @property
    def name(self) -> str:
        # Of its JSON, in which true and 1 are not the same; a hash, since the values of a group may be long.
        place = to_json([self.metric.name, self.period.name, self.period.start, self.group])
        return hashlib.blake2b(place, digest_size=16).hexdigest()


def _cells(question: Question, cuts: Sequence[Sequence[Period]], sums: Sequence[Found]) -> list[_Cell]:
    cells: list[_Cell] = []
    for metric in sorted(question.metrics, key=lambda metric: metric.name):
        groups = sorted(_always(question).union(*(_groups(question, metric, found) for found in sums)), key=_order)
        for periods, found in zip(cuts, sums, strict=True):
            if len(cells) + len(periods) * len(groups) > _MOST_CELLS:
                detail = f"The answer has more than {_MOST_CELLS} rows; ask for less at once."
                raise Invalid.at("/query/granularity", detail, code="too_many_rows")
            # Looked up once: to hash a population takes longer than all else of a row.
            operands = [(o, {} if isinstance(o, Given) else found.get(o, {})) for o in metric.operands.values()]
            cells += [
                _Cell(metric, period, index, group, operands)
                for index, period in enumerate(periods)
                for group in groups
            ]
    return cells


def _page(cells: Sequence[_Cell], *, limit: int, cursor: str | None) -> tuple[Sequence[_Cell], str | None]:
    """The cells after the one that the cursor names, so that those that appear meanwhile shift nothing."""
    first = 0
    if cursor is not None:
        after = next((number for number, cell in enumerate(cells, start=1) if cell.name == cursor), None)
        if after is None:
            raise Invalid.at("/query/cursor", "The cursor does not belong to this question.", code="invalid_cursor")
        first = after
    shown = cells[first : first + limit]
    return shown, shown[-1].name if first + limit < len(cells) else None


def _always(question: Question) -> set[Group]:
    """Groups that have rows even without anything in them: the whole, and segments that were asked for."""
    by = question.selection.group_by
    if by == ("segment",):
        return {(("int", number),) for number in range(len(question.selection.segments))}
    return set() if by else {()}


def _groups(question: Question, metric: Metric, found: Found) -> set[Group]:
    """The groups in which there is anything of a metric. What cancelled out is as if it had never been."""
    width = len(question.selection.group_by)
    return {
        group
        for operand in metric.sums
        for group, values in found.get(operand, {}).items()
        if len(group) == width and any(values.values())
    }


def _order(group: Group) -> Any:
    # Null before all else; whole numbers and others are of one kind.
    kinds = {"NoneType": "", "int": "number", "float": "number"}
    return [(kinds.get(kind, kind), value if value is not None else 0) for kind, value in group]


def _shown(group: Group, question: Question) -> list[Any]:
    names: list[Any] = []
    for by, (_, value) in zip(question.selection.group_by, group, strict=True):
        if by == "segment":
            names.append(question.selection.segments[value][0])
        else:
            # No subject, no channel and no account are the empty word inside.
            names.append(None if by in ("account", *OF_ENTRIES) and value == "" else value)
    return names


class _Answering(NamedTuple):
    """What the rows of an answer have in common."""

    question: Question
    currency: str
    margins: Sequence[Margin]

    def row(self, cell: _Cell) -> Row:
        metric, period = cell.metric, cell.period
        result = metric.formula(*[self._value(cell, operand, sums) for operand, sums in cell.operands])
        shown = _shown(cell.group, self.question)
        row: Row = {
            "metric": metric.name,
            "period": period.name,
            "start": period.start,
            "end": period.end,
            "complete": period.complete,
            "group": dict(zip(self.question.selection.group_by, shown, strict=True)),
            "value": _rounded(result.value),
            "numerator": _rounded(result.numerator),
            "denominator": _rounded(result.denominator),
            "sample_size": result.sample_size,
            "interval": [_rounded(bound) for bound in result.interval] if result.interval else None,
        }
        if metric.unit == "money":
            row["amount"] = None if result.amount is None else in_digits(result.amount, self.currency)
        if result.reason:
            row["reason"] = result.reason
        return row

    def _value(self, cell: _Cell, operand: Operand | Given, sums: Sums) -> Any:
        if isinstance(operand, Given):
            return self._given(cell.period, operand.name)
        group = cell.group
        if group not in sums and isinstance(operand, Users) and operand.whole:
            by = self.question.selection.group_by
            group = tuple(v for v, name in zip(group, by, strict=True) if name not in OF_ENTRIES)
        return sums[group].get(cell.span, 0) if group in sums else 0

    def _given(self, period: Period, name: str) -> Any:
        if name == "divided":
            return self.question.selection.divided
        end = counted_end(period, self.question.today)
        if name == "months":
            return months_in(period.start, end)
        if name == "days":
            return (end - period.start).days
        return margin_of(self.margins, end)


def _rounded(number: float | int | None) -> float | int | None:
    return round(number, _DIGITS) if isinstance(number, float) else number
