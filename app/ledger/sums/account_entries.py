"""The parts of accounts that are sums of entries over windows of days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple, Self

from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement
from app.database.tables import WHOLE_BUSINESS
from app.ledger.sums.account_sums import (
    AccountSumsRequest,
    Block,
    DayBound,
    KnownDay,
    MeasurePart,
    Window,
    block_of_rows,
    empty_block,
)


@dataclass(frozen=True, slots=True)
class EntrySum(MeasurePart):
    """The sum of the entries of a measure in a window."""

    measure: str
    window: Window
    subjects: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    @classmethod
    def load(cls, request: AccountSumsRequest, parts: Sequence[Self]) -> QueryPlan[Block]:
        """Return the block of the parts, in one statement."""
        bounds = tuple(dict.fromkeys(bound for part in parts for bound in part.window))
        shape = _EntryShape(tuple(parts), bounds, request.accounts is not None)
        if not cls.have_entries(request, parts):
            return empty_block(len(parts))
        parameters = shape.label_parameters(request) | _day_parameters(request.days, parts, bounds)
        (rows,) = yield [BoundStatement(_statement(shape), parameters | request.account_parameters)]
        return block_of_rows(rows, len(parts))


class _EntryShape(NamedTuple):
    """What decides the text of a statement."""

    parts: tuple[EntrySum, ...]
    bounds: tuple[DayBound, ...]
    by_account: bool

    @property
    def measures(self) -> list[str]:
        return [*dict.fromkeys(part.measure for part in self.parts)]

    @property
    def text_lists(self) -> list[tuple[str, ...]]:
        """The lists of subjects and channels to which parts are narrowed."""
        return [*dict.fromkeys(own for part in self.parts for own in (part.subjects, part.channels) if own)]

    def label_parameters(self, request: AccountSumsRequest) -> dict[str, Any]:
        """Return the parameters that are labels; a text without one has no entries."""
        labels = request.labels
        measures = {f"m{n}": labels.get(measure, -1) for n, measure in enumerate(self.measures)}
        return measures | {
            f"texts{n}": [labels.get(text, -1) for text in texts] for n, texts in enumerate(self.text_lists)
        }


def _day_parameters(days: Sequence[KnownDay], parts: Sequence[EntrySum], bounds: Sequence[DayBound]) -> dict[str, Any]:
    """Return the parameters about the days: the day of each bound, and the first day that matters of each measure."""
    columns = [[bound.on(tomorrow) for tomorrow in (at.tomorrow for at in days)] for bound in bounds]
    by_bound = dict(zip(bounds, columns, strict=True))
    starts: dict[str, list[list[date]]] = {}
    for part in parts:
        starts.setdefault(part.measure, []).append(by_bound[part.window.start])
    since = [[*map(min, zip(*own, strict=True))] for own in starts.values()]
    return (
        {"index": range(len(days)), "recorded_by": [at.recorded_by for at in days]}
        | {f"b{number}": column for number, column in enumerate(columns)}
        | {f"since{number}": column for number, column in enumerate(since)}
        | {"until": [*map(max, zip(*columns, strict=True))]}
        | {"earliest": min(map(min, since)), "latest": max(map(max, columns))}
    )


@lru_cache(maxsize=64)
def _statement(shape: _EntryShape) -> Statement:
    """Return the query of rows (index of the day, account_id, a value for each part).

    The entries of each measure are added up by account at once, for all of its parts: there are as many rows then as accounts.
    """
    dates = ["recorded_by", "until", *(f"since{n}" for n in range(len(shape.measures)))]
    dates += [f"b{n}" for n in range(len(shape.bounds))]
    arrays = ", ".join(["CAST(%(index)s AS int[])", *(f"CAST(%({name})s AS date[])" for name in dates)])
    measures = ", ".join(f"%(m{n})s" for n in range(len(shape.measures)))
    own_entries = _OWN_ENTRIES.format(measures=measures) if shape.by_account else ""
    text = f"""
    {own_entries}
    SELECT day.index, own.*
    FROM unnest({arrays}) AS day(index, {", ".join(dates)})
    CROSS JOIN LATERAL (
        SELECT account_id, {", ".join(f"bigint_sum(v{n})" for n in range(len(shape.parts)))}
        FROM ({" UNION ALL ".join(_measure_sums(shape, number) for number in range(len(shape.measures)))}) AS sums
        GROUP BY account_id OFFSET 0) AS own
    """
    formats = {"index": str} | dict.fromkeys(dates, str) | ({"accounts": str} if shape.by_account else {})
    return Statement(text, array_formats=formats)


# The entries of a few accounts, which are read once for all days.
_OWN_ENTRIES = """WITH own_entry AS MATERIALIZED (
        SELECT measure, account_id, subject, channel, effective_on, recorded_on, value FROM entry
        WHERE account_id = ANY(CAST(%(accounts)s AS bigint[])) AND measure IN ({measures})
            AND effective_on >= %(earliest)s AND effective_on < %(latest)s)"""


def _measure_sums(shape: _EntryShape, number: int) -> str:
    """Return the query of rows (account_id, a value for each part) of the measure with that number, 0 for all other parts."""
    columns = ", ".join(
        f"{_value(shape, part) if part.measure == shape.measures[number] else 'CAST(0 AS bigint)'} AS v{n}"
        for n, part in enumerate(shape.parts)
    )
    return f"""
            SELECT account_id, {columns}
            FROM {"own_entry" if shape.by_account else "entry"}
            WHERE measure = %(m{number})s AND effective_on >= day.since{number} AND effective_on < day.until
                AND recorded_on <= day.recorded_by AND account_id <> {WHOLE_BUSINESS}
            GROUP BY account_id"""


def _value(shape: _EntryShape, part: EntrySum) -> str:
    """Return the SQL of a part's value."""
    first, stop = (shape.bounds.index(bound) for bound in part.window)
    conditions = [f"effective_on >= day.b{first} AND effective_on < day.b{stop}"]
    for column, texts in (("subject", part.subjects), ("channel", part.channels)):
        if texts:
            conditions.append(f"{column} = ANY(%(texts{shape.text_lists.index(texts)})s)")
    return f"bigint_sum(value) FILTER (WHERE {' AND '.join(conditions)})"
