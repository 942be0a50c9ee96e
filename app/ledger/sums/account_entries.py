"""The parts of accounts that are read from the entries: sums over windows, balances, and whether there was ever anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple, Self

from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement
from app.database.tables import MIN_DATE, WHOLE_BUSINESS
from app.ledger.sums.account_sums import AccountSumsRequest, Block, DayBound, KnownDay, Part, blocks_of_rows


@dataclass(frozen=True, slots=True)
class EntrySum(Part):
    """The sum of the entries of a measure from a day, or from the beginning, to before another.

    subjects, channels: of which only these count; empty for all. counts_days: the number of days with entries that do not cancel
    out, instead of their sum; only from the beginning.
    """

    measure: str
    end: DayBound
    start: DayBound | None = None
    subjects: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    counts_days: bool = False

    @property
    def label_texts(self) -> frozenset[str]:
        return frozenset({self.measure, *self.subjects, *self.channels})

    @classmethod
    def load(cls, request: AccountSumsRequest, parts: Sequence[Self]) -> QueryPlan[list[Block]]:
        """Return a block for each day, in one statement."""
        labels = request.labels
        measures = [*dict.fromkeys(part.measure for part in parts)]
        if not labels.keys() & set(measures):
            return [Block((), [()] * len(parts))] * len(request.days)
        bounds = [*dict.fromkeys(bound for part in parts for bound in (part.start, part.end) if bound is not None)]
        shape = _Shape(tuple(parts), tuple(measures), tuple(bounds), request.accounts is not None)
        parameters: dict[str, Any] = {f"m{n}": labels.get(measure, -1) for n, measure in enumerate(measures)}
        for dimension in ("subjects", "channels"):
            for texts in {getattr(part, dimension) for part in parts} - {()}:
                parameters[shape.name_of(texts)] = [labels.get(text, -1) for text in texts]
        parameters |= _day_parameters(request.days, parts, bounds) | request.account_parameters
        (rows,) = yield [BoundStatement(_statement(shape), parameters)]
        return blocks_of_rows(rows, len(request.days), len(parts))


class _Shape(NamedTuple):
    """What decides the text of a statement."""

    parts: tuple[EntrySum, ...]
    measures: tuple[str, ...]
    bounds: tuple[DayBound, ...]
    by_account: bool

    def name_of(self, texts: tuple[str, ...]) -> str:
        """Return the name of the parameter with the labels of some subjects or channels."""
        lists = [*dict.fromkeys(own for part in self.parts for own in (part.subjects, part.channels) if own)]
        return f"texts{lists.index(texts)}"

    def measures_of(self, *, stocks: bool) -> list[str]:
        """Return the parameters of the measures that are added up from the beginning, or of all others."""
        from_beginning = {part.measure for part in self.parts if part.start is None}
        return [f"%(m{n})s" for n, measure in enumerate(self.measures) if (measure in from_beginning) == stocks]


def _day_parameters(days: Sequence[KnownDay], parts: Sequence[EntrySum], bounds: Sequence[DayBound]) -> dict[str, Any]:
    starts = [part.start for part in parts if part.start is not None]
    since: list[date] = []
    until: list[date] = []
    for known in days:
        since.append(min((start.on(known.tomorrow) for start in starts), default=known.tomorrow))
        until.append(max(part.end.on(known.tomorrow) for part in parts))
    own: dict[str, Any] = {
        "index": range(len(days)),
        "recorded_by": [known.recorded_by for known in days],
        "since": since,
        "until": until,
        "earliest": min(since, default=MIN_DATE),
        "latest": max(until, default=MIN_DATE),
    }
    return own | {f"b{n}": [bound.on(known.tomorrow) for known in days] for n, bound in enumerate(bounds)}


@lru_cache(maxsize=64)
def _statement(shape: _Shape) -> Statement:
    """Return the query of rows (index of the day, account_id, a value for each part)."""
    dates = ["recorded_by", "since", "until", *(f"b{n}" for n in range(len(shape.bounds)))]
    arrays = ["CAST(%(index)s AS int[])", *(f"CAST(%({name})s AS date[])" for name in dates)]
    columns = ",\n            ".join(f"{_value(shape, part)} AS v{n}" for n, part in enumerate(shape.parts))
    text = f"""
    {_own_entries(shape) if shape.by_account else ""}
    SELECT day.index, own.*
    FROM unnest({", ".join(arrays)}) AS day(index, {", ".join(dates)})
    CROSS JOIN LATERAL (
        SELECT account_id,
            {columns}
        FROM ({_facts(shape)}) AS fact
        GROUP BY account_id OFFSET 0) AS own
    """
    formats = {"index": str} | dict.fromkeys(dates, str) | ({"accounts": str} if shape.by_account else {})
    return Statement(text, array_formats=formats)


def _own_entries(shape: _Shape) -> str:
    """Return the entries of the accounts that are looked at, which are read once for all days."""
    flows = shape.measures_of(stocks=False)
    is_late = f"AND (effective_on >= %(earliest)s OR measure NOT IN ({', '.join(flows)}))" if flows else ""
    return f"""WITH own_entry AS MATERIALIZED (
        SELECT measure, account_id, subject, channel, effective_on, recorded_on, value FROM entry
        WHERE account_id = ANY(CAST(%(accounts)s AS bigint[]))
            AND measure IN ({", ".join(f"%(m{n})s" for n in range(len(shape.measures)))})
            AND effective_on < %(latest)s {is_late})"""


def _facts(shape: _Shape) -> str:
    """Return the entries that count on a day: all of some measures, and of others those of the days that matter."""
    source = "own_entry" if shape.by_account else "entry"
    keys = "account_id, measure, subject, channel, effective_on"
    known = f"effective_on < day.until AND recorded_on <= day.recorded_by AND account_id <> {WHOLE_BUSINESS}"
    queries = []
    if stocks := shape.measures_of(stocks=True):
        # Added up by day, so that what was taken back counts as if it had never been.
        queries.append(
            f"SELECT {keys}, bigint_sum(value) AS value FROM {source} WHERE measure IN ({', '.join(stocks)}) AND {known} "
            f"GROUP BY {keys} HAVING bigint_sum(value) <> 0"
        )
    if flows := shape.measures_of(stocks=False):
        queries.append(
            f"SELECT {keys}, value FROM {source} "
            f"WHERE measure IN ({', '.join(flows)}) AND effective_on >= day.since AND {known}"
        )
    return " UNION ALL ".join(queries)


def _value(shape: _Shape, part: EntrySum) -> str:
    """Return the SQL of a part's value."""
    conditions = [f"measure = %(m{shape.measures.index(part.measure)})s"]
    if part.start is not None:
        conditions.append(f"effective_on >= day.b{shape.bounds.index(part.start)}")
    conditions.append(f"effective_on < day.b{shape.bounds.index(part.end)}")
    for column, texts in (("subject", part.subjects), ("channel", part.channels)):
        if texts:
            conditions.append(f"{column} = ANY(%({shape.name_of(texts)})s)")
    value = "count(*)" if part.counts_days else "bigint_sum(value)"
    return f"{value} FILTER (WHERE {' AND '.join(conditions)})"
