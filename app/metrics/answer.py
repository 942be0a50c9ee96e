"""From a question to its rows: sums from the ledger, formulas from the catalogue."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import Invalid
from app.ledger.sums import Group, Span, Sums, flows
from app.metrics.define import Metric
from app.metrics.question import Question
from app.periods import Period
from app.store.books import Books
from app.store.database import recall

_DIGITS = 6
_MOST_CELLS = 1_000_000

Row = dict[str, Any]


async def answer(books: Books, question: Question, *, limit: int, cursor: str | None) -> tuple[list[Row], str | None]:
    """A page of the rows of a question, and the cursor of the next page, None after the last.

    Rows are ordered by metric, start and group, the totals of a metric after its periods. Raises Invalid for a cursor
    of another question and for an answer of more than a million rows.
    """
    measures = {name for metric in question.metrics for name in metric.operands}
    words = {*measures, *question.selection.subjects, *question.selection.channels}
    cuts = [list(question.periods)]
    if question.totals and question.granularity != "total":
        first, last = question.periods[0], question.periods[-1]
        cuts.append([Period("total", first.start, last.end, last.complete)])

    async def sum_up(connection: AsyncConnection) -> list[Sums]:
        # The words' numbers too as of this moment: one that is new to us must not leave a part out.
        labels = await recall(connection, books.database, words)
        return [
            await flows(
                connection,
                measures={name: labels[name] for name in measures if name in labels},
                spans=[Span(p.start, p.end, _member_on(question, p)) for p in periods],
                selection=question.selection,
                labels=labels,
                today=question.today,
            )
            for periods in cuts
        ]

    sums = await books.database.read(sum_up)
    cells = _cells(question, cuts, sums)
    shown, following = _page(cells, limit=limit, cursor=cursor)
    return [_row(cell, question) for cell in shown], following


def _member_on(question: Question, period: Period) -> date:
    return question.members_on or period.start


class _Cell(NamedTuple):
    """A row that has not been worked out yet."""

    metric: Metric
    period: Period
    span: int
    group: Group
    found: Mapping[str, Mapping[int, int]]

    @property
    def name(self) -> str:
        # Of its JSON, in which true and 1 are not the same; a hash, since the values of a group may be long.
        place = to_json([self.metric.name, self.period.name, self.period.start, self.group])
        return hashlib.blake2b(place, digest_size=16).hexdigest()


def _cells(question: Question, cuts: Sequence[Sequence[Period]], sums: Sequence[Sums]) -> list[_Cell]:
    cells: list[_Cell] = []
    for metric in sorted(question.metrics, key=lambda metric: metric.name):
        for periods, found in zip(cuts, sums, strict=True):
            groups = sorted(
                {group for group in found if _has_any(found[group], metric)} | _always(question), key=_order
            )
            if len(cells) + len(periods) * len(groups) > _MOST_CELLS:
                detail = f"The answer has more than {_MOST_CELLS} rows; ask for less at once."
                raise Invalid.at("/query/granularity", detail, code="too_many_rows")
            cells += [
                _Cell(metric, period, index, group, found.get(group, {}))
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


def _has_any(found: Mapping[str, Mapping[int, int]], metric: Metric) -> bool:
    # Sums that cancelled out are as if they had never been.
    return any(any(found.get(name, {}).values()) for name in metric.operands)


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
            names.append(None if by in ("subject", "channel", "account") and value == "" else value)
    return names


def _row(cell: _Cell, question: Question) -> Row:
    metric, period, span, group, found = cell
    result = metric.formula(*(found.get(name, {}).get(span, 0) for name in metric.operands))
    row: Row = {
        "metric": metric.name,
        "period": period.name,
        "start": period.start,
        "end": period.end,
        "complete": period.complete,
        "group": dict(zip(question.selection.group_by, _shown(group, question), strict=True)),
        "value": _rounded(result.value),
        "numerator": _rounded(result.numerator),
        "denominator": _rounded(result.denominator),
        "sample_size": result.sample_size,
        "interval": [_rounded(bound) for bound in result.interval] if result.interval else None,
    }
    if result.reason:
        row["reason"] = result.reason
    return row


def _rounded(number: float | int | None) -> float | int | None:
    return round(number, _DIGITS) if isinstance(number, float) else number
