"""The parts of accounts that are sums of entries over windows of days."""

from collections.abc import Sequence
from dataclasses import dataclass
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
    Part,
    Window,
    block_of_rows,
    empty_block,
)


@dataclass(frozen=True, slots=True)
class EntrySum(Part):
    """The sum of the entries of a measure in a window. subjects, channels: of which only these count; empty for all."""

    measure: str
    window: Window
    subjects: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    @property
    def label_texts(self) -> frozenset[str]:
        return frozenset({self.measure, *self.subjects, *self.channels})

    @classmethod
    def load(cls, request: AccountSumsRequest, parts: Sequence[Self]) -> QueryPlan[Block]:
        """Return the block of the parts, in one statement."""
        bounds = tuple(dict.fromkeys(bound for part in parts for bound in part.window))
        shape = _EntryShape(tuple(parts), bounds, request.accounts is not None)
        if not request.labels.keys() & {part.measure for part in parts}:
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
    def dimensions(self) -> list[str]:
        """The dimensions of entries to which a part is narrowed."""
        return [name for name in ("subject", "channel") if any(getattr(part, f"{name}s") for part in self.parts)]

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
    """Return the parameters about the days: of each bound, the number of its day among the different days of all bounds."""
    measures = [*dict.fromkeys(part.measure for part in parts)]
    starts = [[part.window.start for part in parts if part.measure == measure] for measure in measures]
    own: dict[str, Any] = {name: [] for name in ("recorded_by", "until", "bounds", *_since_names(len(measures)))}
    ranks: list[list[int]] = []
    for at in days:
        tomorrow = at.tomorrow
        dates = {bound: bound.on(tomorrow) for bound in bounds}
        dates_in_order = sorted(set(dates.values()))
        rank = {day: number for number, day in enumerate(dates_in_order, start=1)}
        ranks.append([rank[day] for day in dates.values()])
        own["recorded_by"].append(at.recorded_by)
        for name, bounds_of_measure in zip(_since_names(len(measures)), starts, strict=True):
            own[name].append(min(dates[bound] for bound in bounds_of_measure))
        own["until"].append(dates_in_order[-1])
        own["bounds"].append("{" + ",".join(map(str, dates_in_order)) + "}")
    limits = {"earliest": min(min(own[name]) for name in _since_names(len(measures))), "latest": max(own["until"])}
    columns = zip(*ranks, strict=True)
    return own | limits | {"index": range(len(days))} | {f"b{n}": list(column) for n, column in enumerate(columns)}


def _since_names(count: int) -> list[str]:
    """Return the names of the parameters with the first day that matters of each measure."""
    return [f"since{number}" for number in range(count)]


@lru_cache(maxsize=64)
def _statement(shape: _EntryShape) -> Statement:
    """Return the query of rows (index of the day, account_id, a value for each part).

    Entries are added up by account, measure and stretch of days between two bounds first. That makes few rows, and what each
    part adds up of them is found by comparing small numbers.
    """
    ranks = [f"b{n}" for n in range(len(shape.bounds))]
    since = _since_names(len(shape.measures))
    types = {"index": "int", "recorded_by": "date", "until": "date", "bounds": "text"}
    types |= dict.fromkeys(since, "date") | dict.fromkeys(ranks, "int")
    arrays = ", ".join(f"CAST(%({name})s AS {type}[])" for name, type in types.items())
    columns = ",\n            ".join(f"{_value(shape, part)} AS v{n}" for n, part in enumerate(shape.parts))
    measures = ", ".join(f"%(m{n})s" for n in range(len(shape.measures)))
    keys = ", ".join(("account_id", "measure", *shape.dimensions))
    facts = " UNION ALL ".join(
        f"""
            SELECT {keys}, width_bucket(effective_on, day.bounds) AS stretch, bigint_sum(value) AS value
            FROM {"own_entry" if shape.by_account else "entry"}
            WHERE measure = %(m{number})s AND effective_on >= day.{name} AND effective_on < day.until
                AND recorded_on <= day.recorded_by AND account_id <> {WHOLE_BUSINESS}
            GROUP BY {keys}, stretch"""
        for number, name in enumerate(since)
    )
    text = f"""
    WITH day AS MATERIALIZED (
        SELECT index, recorded_by, until, CAST(bounds AS date[]) AS bounds, {", ".join([*since, *ranks])}
        FROM unnest({arrays}) AS day({", ".join(types)}))
    {_OWN_ENTRIES.format(measures=measures) if shape.by_account else ""}
    SELECT day.index, own.*
    FROM day CROSS JOIN LATERAL (
        SELECT account_id,
            {columns}
        FROM ({facts}) AS fact
        GROUP BY account_id OFFSET 0) AS own
    """
    formats = {name: str for name, type in types.items() if type != "text"}
    return Statement(text, array_formats=formats | ({"accounts": str} if shape.by_account else {}))


# The entries of a few accounts, which are read once for all days.
_OWN_ENTRIES = """, own_entry AS MATERIALIZED (
        SELECT measure, account_id, subject, channel, effective_on, recorded_on, value FROM entry
        WHERE account_id = ANY(CAST(%(accounts)s AS bigint[])) AND measure IN ({measures})
            AND effective_on >= %(earliest)s AND effective_on < %(latest)s)"""


def _value(shape: _EntryShape, part: EntrySum) -> str:
    """Return the SQL of a part's value."""
    first, stop = (shape.bounds.index(bound) for bound in part.window)
    conditions = [f"measure = %(m{shape.measures.index(part.measure)})s"]
    conditions.append(f"stretch >= day.b{first} AND stretch < day.b{stop}")
    for column, texts in (("subject", part.subjects), ("channel", part.channels)):
        if texts:
            conditions.append(f"{column} = ANY(%(texts{shape.text_lists.index(texts)})s)")
    return f"bigint_sum(value) FILTER (WHERE {' AND '.join(conditions)})"
