"""Balances: sums of all entries of stocks before a day.

The start of the day's month is read from the monthly totals, which are cumulated within their year; the days after it
from the entries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple, Self

import sqlalchemy as sa

from app.database.query_plan import QueryPlan, merge_plans
from app.database.statements import BoundStatement, Statement, compile_query
from app.database.tables import MIN_DATE, MONTH_COLUMNS
from app.ledger.sums.entry_sums import DayRange, SumsByMeasure, add_day_ranges, empty_sums_by_measure
from app.ledger.sums.grouping import NO_DAY, belongs_on, group_by_stretch, number_days, select_groups
from app.ledger.sums.operand_sums import OperandTerm, SumsRequest
from app.ledger.sums.selection import (
    Shape,
    Sums,
    array_table,
    array_table_parameters,
    entry_conditions,
    group_key,
    selection_parameters,
)
from app.ledger.sums.totals import totals_source


class _Bound(NamedTuple):
    """The start of a day, and the day at whose start an account's group is decided."""

    day: date
    group_day: date


@dataclass(frozen=True, slots=True)
class BalanceTerm(OperandTerm):
    """The balance of a stock at the start or, when it is `closing`, at the end of some of the spans."""

    measure: str
    closing: bool
    spans: frozenset[int]

    @classmethod
    def load(cls, request: SumsRequest, terms: Sequence[Self]) -> QueryPlan[list[Sums]]:
        """Return the sums of each term: one statement for all measures at all bounds."""
        measures = {term.measure: request.labels[term.measure] for term in terms if term.measure in request.labels}
        positions, bounds = _positions(request, terms)
        sums = (yield from _sum_balances(request, bounds, measures)) if measures and bounds else {}
        return [_at(sums.get(term.measure, {}), term.spans, positions[term.closing]) for term in terms]


def _positions(request: SumsRequest, terms: Sequence[BalanceTerm]) -> tuple[dict[bool, dict[int, int]], list[_Bound]]:
    """Return the distinct bounds of the terms, and where among them the start or end of each span is.

    The positions are by `closing` and index of the span. Many are the same: one span ends where another starts.
    """
    # Where groups do not depend on attributes, only the day of a bound matters.
    by_attribute = request.selection.shape.depends_on_days
    numbers: dict[_Bound, int] = {}
    positions: dict[bool, dict[int, int]] = {}
    for closing in (False, True):
        positions[closing] = {}
        for index in sorted(frozenset().union(*(term.spans for term in terms if term.closing == closing))):
            start, end, group_day = request.spans[index]
            bound = _Bound(end if closing else start, group_day if by_attribute else MIN_DATE)
            positions[closing][index] = numbers.setdefault(bound, len(numbers))
    return positions, list(numbers)


def _at(sums: Sums, spans: frozenset[int], positions: Mapping[int, int]) -> Sums:
    """Return sums by position as sums by span."""
    by_span = {
        group: {index: values[positions[index]] for index in spans if positions[index] in values}
        for group, values in sums.items()
    }
    return {group: values for group, values in by_span.items() if values}


def _sum_balances(
    request: SumsRequest, bounds: Sequence[_Bound], measures: Mapping[str, int]
) -> QueryPlan[SumsByMeasure]:
    """Return the balances of measures (name -> label), by group and position of the bound."""
    sums = empty_sums_by_measure()
    plans = [_add_month_starts(sums, request, bounds, measures=measures)]
    ranges = [
        DayRange(position, day.replace(day=1), day, 1, group_day)
        for position, (day, group_day) in enumerate(bounds)
        if day.day > 1
    ]
    if ranges:
        plans.append(add_day_ranges(sums, request, ranges, measures=measures))
    yield from merge_plans(plans)
    return sums


class _MonthStart(NamedTuple):
    """The start of a month: the day that decides about groups, and the positions of the bounds in that month."""

    group_day: date
    positions: list[int]


# (slot, year) -> month -> its start
_MonthStarts = dict[tuple[int, int], dict[int, _MonthStart]]


def _month_starts(bounds: Sequence[_Bound]) -> _MonthStarts:
    """Return the months in which there are bounds, a row for each year.

    A row has one group day for each month. Where a month has bounds with several group days, the year has a row more for
    each of them: its slots.
    """
    rows: _MonthStarts = {}
    slots_by_month: dict[tuple[int, int], dict[date, int]] = {}
    for position, (day, group_day) in enumerate(bounds):
        slots = slots_by_month.setdefault((day.year, day.month), {})
        slot = slots.setdefault(group_day, len(slots))
        row = rows.setdefault((slot, day.year), {})
        row.setdefault(day.month, _MonthStart(group_day, [])).positions.append(position)
    return rows


def _add_month_starts(
    sums: SumsByMeasure, request: SumsRequest, bounds: Sequence[_Bound], *, measures: Mapping[str, int]
) -> QueryPlan[None]:
    """Add the balances at the starts of the bounds' months to the sums of the bounds."""
    starts = _month_starts(bounds)
    months = tuple(sorted({month for row in starts.values() for month in row}))
    parameters = selection_parameters(request.selection, measures, request.labels)
    parameters |= _month_start_parameters(bounds, starts, months)
    names = {label: name for name, label in measures.items()}
    positions_by_row = {
        key: [row[month].positions if month in row else [] for month in months] for key, row in starts.items()
    }
    (rows,) = yield [BoundStatement(_month_starts_statement(request.selection.shape, months), parameters)]
    for measure, slot, year, *values in rows:
        at_bounds = zip(positions_by_row[slot, year], values, strict=False)
        if parts := [(positions, int(value)) for positions, value in at_bounds if value and positions]:
            target = sums[names[measure]][group_key(values[len(months) :])]
            for positions, value in parts:
                for position in positions:
                    target[position] += value


def _month_start_parameters(bounds: Sequence[_Bound], starts: _MonthStarts, months: Sequence[int]) -> dict[str, Any]:
    days = number_days(group_day for _, group_day in bounds)
    group_days = {
        f"day{month}": [days[row[month].group_day] if month in row else NO_DAY for row in starts.values()]
        for month in months
    }
    until = max(day for day, _ in bounds)
    calendar = array_table_parameters(("slot", "year"), list(starts)) | group_days
    return calendar | {"days": list(days), "since": MIN_DATE, "until": until, "last": until.year}


# Statements depend on the shape of a question only, so each is built once: building costs as much as answering.
@lru_cache(maxsize=256)
def _month_starts_statement(shape: Shape, months: tuple[int, ...]) -> Statement:
    """Return the query of rows (measure, slot, year, balance at the start of each month, group...), of the group's accounts.

    A balance is the last column of all earlier years and, of the year itself, the column of the month before.
    """
    source = totals_source(shape, stock=True)
    until_last = source.c.year <= sa.bindparam("last", type_=sa.Integer)
    totals = sa.select(source).where(until_last, *entry_conditions(source, shape)).subquery("facts")
    last_column = MONTH_COLUMNS[-1].name
    column_before = {month: MONTH_COLUMNS[month - 2].name for month in months if month > 1}
    sums = [sa.func.sum(totals.c[name]).label(name) for name in sorted({last_column, *column_before.values()})]
    rows = group_by_stretch([totals.c.measure, totals.c.year], sums, totals, shape).subquery("rows")
    columns = {"slot": sa.Integer, "year": sa.Integer} | {f"day{month}": sa.Integer for month in months}
    calendar = array_table("calendar", columns)
    by_year = rows.join(calendar, rows.c.year <= calendar.c.year)
    is_earlier = rows.c.year < calendar.c.year
    balances: list[Any] = []
    for month in months:
        in_year = rows.c[column_before[month]] if month in column_before else 0
        balance: Any = sa.func.sum(sa.case((is_earlier, rows.c[last_column]), else_=in_year))
        if shape.depends_on_days:
            balance = balance.filter(belongs_on(rows, calendar.c[f"day{month}"]))
        balances.append(balance)
    keys = [rows.c.measure, calendar.c.slot, calendar.c.year]
    return compile_query(select_groups(keys, balances, by_year, rows, shape))
