"""Sums of entries over ranges of days: of everything that is not a whole month, which the monthly totals have."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import NamedTuple

import sqlalchemy as sa

from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement, compile_query
from app.database.tables import entry
from app.ledger.sums.grouping import group_on_day, select_groups
from app.ledger.sums.operand_sums import SumsRequest
from app.ledger.sums.selection import (
    ENTRY_DIMENSIONS,
    Shape,
    Sums,
    array_table,
    array_table_parameters,
    empty_sums,
    entry_conditions,
    group_key,
    recorded_conditions,
    selection_parameters,
)

# measure -> its sums
SumsByMeasure = dict[str, Sums]


class DayRange(NamedTuple):
    """Days `[start, end)` whose entries are added to the sum `target` or, where `sign` is -1, subtracted from it."""

    target: int
    start: date
    end: date
    sign: int
    group_day: date


def empty_sums_by_measure() -> SumsByMeasure:
    """Return empty sums for any measure."""
    return defaultdict(empty_sums)


def add_day_ranges(
    sums: SumsByMeasure, request: SumsRequest, ranges: Sequence[DayRange], *, measures: Mapping[str, int]
) -> QueryPlan[None]:
    """Add the entries of ranges of days to the sums. measures: name -> label."""
    names = {label: name for name, label in measures.items()}
    parameters = selection_parameters(request.selection, measures, request.labels)
    parameters |= array_table_parameters(DayRange._fields, ranges)
    (rows,) = yield [BoundStatement(_statement(request.selection.shape), parameters)]
    for measure, target, value, *group in rows:
        if value:
            sums[names[measure]][group_key(group)][target] += int(value)


# Statements depend on the shape of a question only, so each is built once: building costs as much as answering.
@lru_cache(maxsize=256)
def _statement(shape: Shape) -> Statement:
    """Return the query of rows (measure, target, sum, group...)."""
    types = (sa.Integer, sa.Date, sa.Date, sa.Integer, sa.Date)
    ranges = array_table("day_range", dict(zip(DayRange._fields, types, strict=True)))
    within = (entry.c.effective_on >= ranges.c.start) & (entry.c.effective_on < ranges.c.end)
    keys = [entry.c.measure, ranges.c.target, ranges.c.group_day]
    keys += [entry.c.account_id] if shape.depends_on_days or "account" in shape.group_by else []
    keys += [entry.c[name] for name in ENTRY_DIMENSIONS if name in shape.group_by]
    signed_sums = sa.select(*keys, sa.func.sum(entry.c.value * ranges.c.sign).label("sum")).join_from(
        ranges, entry, within
    )
    signed_sums = signed_sums.where(*entry_conditions(entry, shape), *recorded_conditions(entry, shape))
    # Added up by account first, so that PostgreSQL does not look up the entries of one account after the other.
    facts = signed_sums.group_by(*keys).subquery("facts")
    sums = [sa.func.sum(facts.c.sum).label("sum")]
    inner = group_on_day([facts.c.measure, facts.c.target], sums, facts, shape, day=facts.c.group_day)
    rows = inner.subquery("rows")
    return compile_query(select_groups([rows.c.measure, rows.c.target], [sa.func.sum(rows.c.sum)], rows, rows, shape))
