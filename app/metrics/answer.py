"""From a question to its rows: sums from the ledger, formulas from the catalogue."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import Invalid
from app.ledger.sums import Group, Span, Sums, flows
from app.metrics.define import Metric, Result
from app.metrics.question import Question
from app.periods import Period
from app.store.books import Books
from app.store.database import recall

_DIGITS = 6
_DAY = timedelta(days=1)

Row = dict[str, Any]


async def answer(books: Books, question: Question) -> list[Row]:
    """The rows of a question, ordered by metric, start and group, the totals of a metric after its periods."""
    measures = {name for metric in question.metrics for name in metric.operands}
    words = {*measures, *question.selection.subjects, *question.selection.channels}
    labels = await recall(books.database, words)
    cuts = [list(question.periods)]
    if question.totals:
        whole = question.periods[0]
        last = question.periods[-1]
        cuts.append([Period("total", whole.start, last.end, last.complete)])

    async def sum_up(connection: AsyncConnection) -> list[Sums]:
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
    rows: list[Row] = []
    for metric in sorted(question.metrics, key=lambda metric: metric.name):
        for periods, found in zip(cuts, sums, strict=True):
            rows += _rows(metric, periods, found, question)
    return rows


def _member_on(question: Question, period: Period) -> Any:
    """The day at whose start an account is in its groups: the period's first, or tomorrow, which sees all of today."""
    return period.start if question.members_on is None else question.members_on + _DAY


def _rows(metric: Metric, periods: Sequence[Period], sums: Sums, question: Question) -> list[Row]:
    by = question.selection.group_by
    groups = sorted({group for group in sums if _has_any(sums[group], metric)} | _always(question), key=_order)
    shown = [dict(zip(by, _shown(group, question), strict=True)) for group in groups]
    return [
        _row(metric, period, dict(names), _at(metric, sums.get(group, {}), index))
        for index, period in enumerate(periods)
        for group, names in zip(groups, shown, strict=True)
    ]


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


def _at(metric: Metric, found: Mapping[str, Mapping[int, int]], index: int) -> Result:
    return metric.formula(*(found.get(name, {}).get(index, 0) for name in metric.operands))


def _row(metric: Metric, period: Period, group: dict[str, Any], result: Result) -> Row:
    row: Row = {
        "metric": metric.name,
        "period": period.name,
        "start": period.start,
        "end": period.end,
        "complete": period.complete,
        "group": group,
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


def page(rows: Sequence[Row], *, limit: int, cursor: str | None) -> tuple[Sequence[Row], str | None]:
    """Rows after the one that the cursor names, at most `limit`, and the cursor of what follows; None: nothing does.

    The cursor names a row, not its number, so that rows that appear meanwhile shift nothing.
    """
    first = 0
    if cursor is not None:
        after = [index for index, row in enumerate(rows) if _name_of(row) == cursor]
        if not after:
            raise Invalid.at("/query/cursor", "The cursor does not belong to this question.", code="invalid_cursor")
        first = after[0] + 1
    shown = rows[first : first + limit]
    more = first + limit < len(rows)
    return shown, _name_of(shown[-1]) if more else None


def _name_of(row: Row) -> str:
    # Of its JSON, in which true and 1 are not the same; a hash, since the values of a group may be long.
    place = to_json([row["metric"], row["period"], row["start"], list(row["group"].values())])
    return hashlib.blake2b(place, digest_size=16).hexdigest()
