"""Flows: sums of the entries of measures within spans.

Whole months are read from the monthly totals, everything else (days, weeks, clipped months) from the entries.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache, reduce
from operator import add
from typing import Any, NamedTuple, Self

import sqlalchemy as sa

from app.database.query_plan import QueryPlan, merge_plans
from app.database.statements import BoundStatement, Statement, compile_query
from app.database.tables import MONTH_COLUMNS
from app.ledger.measures import MEASURES
from app.ledger.sums.entry_sums import DayRange, SumsByMeasure, add_day_ranges, empty_sums_by_measure
from app.ledger.sums.grouping import NO_DAY, belongs_on, group_by_stretch, number_days, select_groups
from app.ledger.sums.operand_sums import OperandTerm, SumsRequest
from app.ledger.sums.selection import (
    Shape,
    Span,
    Sums,
    array_param,
    array_table,
    entry_conditions,
    group_key,
    selection_parameters,
)
from app.ledger.sums.totals import totals_source

# (year, month) -> index of the span
_Months = dict[tuple[int, int], int]


@dataclass(frozen=True, slots=True)
class FlowTerm(OperandTerm):
    """The flow of a measure in some of the spans."""

    measure: str
    spans: frozenset[int]

    @classmethod
    def load(cls, request: SumsRequest, terms: Sequence[Self]) -> QueryPlan[list[Sums]]:
        """Return the sums of each term: one statement for the measures that are needed in the same spans."""
        spans_by_measure: dict[str, frozenset[int]] = {}
        for term in terms:
            other = spans_by_measure.get(term.measure)
            spans_by_measure[term.measure] = term.spans if other is None else other | term.spans
        alike: dict[tuple[frozenset[int], bool], dict[str, int]] = defaultdict(dict)
        for measure, spans in spans_by_measure.items():
            if measure in request.labels:
                alike[spans, MEASURES[measure].by_month][measure] = request.labels[measure]
        plans = [
            _sum_flows(request, sorted(spans), measures, by_month=by_month)
            for (spans, by_month), measures in alike.items()
        ]
        sums = {measure: own for part in (yield from merge_plans(plans)) for measure, own in part.items()}
        return [_within(sums.get(term.measure, {}), term.spans, of=spans_by_measure[term.measure]) for term in terms]


def _within(sums: Sums, spans: frozenset[int], *, of: frozenset[int]) -> Sums:
    """Return the part of sums over the spans `of` that is about some of these spans."""
    if spans == of:
        return sums
    return {group: {index: values[index] for index in spans & values.keys()} for group, values in sums.items()}


def _sum_flows(
    request: SumsRequest, indices: Sequence[int], measures: Mapping[str, int], *, by_month: bool
) -> QueryPlan[SumsByMeasure]:
    """Return the flows of measures (name -> label) in some spans. by_month: whether the measures have monthly totals."""
    spans = {index: request.spans[index] for index in indices}
    sums = empty_sums_by_measure()
    if by_month:
        months, ranges = _split_by_month(spans, request.tomorrow)
    else:
        months, ranges = {}, [DayRange(index, *span[:2], 1, span.group_day) for index, span in spans.items()]
    plans: list[QueryPlan[None]] = []
    if months:
        plans.append(_add_months(sums, request, months, measures=measures))
    if ranges:
        plans.append(add_day_ranges(sums, request, ranges, measures=measures))
    yield from merge_plans(plans)
    return sums


def _split_by_month(spans: Mapping[int, Span], tomorrow: date) -> tuple[_Months, list[DayRange]]:
    """Return the whole months of the spans, and the ranges of days that remain.

    The running month is read as a whole too; entries that are dated after today, which are few, are subtracted again.
    """
    months: _Months = {}
    ranges: list[DayRange] = []
    for index, (start, end, group_day) in spans.items():
        day = start
        while day < end:
            following = _next_month(day)
            if day.day == 1 and (following <= end or end == tomorrow):
                months[day.year, day.month] = index
                if following > end:
                    ranges.append(DayRange(index, end, following, -1, group_day))
            else:
                ranges.append(DayRange(index, day, min(following, end), 1, group_day))
            day = following
    return months, ranges


def _next_month(day: date) -> date:
    """Return the first day of the month after the day's."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


class _MonthSet(NamedTuple):
    """Calendar months that are added up together, since in every year of the question they belong to the same span.

    spans: in each year the index of that span, None for no span.
    """

    months: tuple[int, ...]
    spans: tuple[int | None, ...]


def _month_sets(months: _Months, years: Sequence[int]) -> list[_MonthSet]:
    """Return the sets of the calendar months that belong to a span in any year."""
    months_by_spans: dict[tuple[int | None, ...], list[int]] = {}
    for month in range(1, 13):
        spans = tuple(months.get((year, month)) for year in years)
        months_by_spans.setdefault(spans, []).append(month)
    return [
        _MonthSet(tuple(alike), spans)
        for spans, alike in months_by_spans.items()
        if any(index is not None for index in spans)
    ]


def _add_months(
    sums: SumsByMeasure, request: SumsRequest, months: _Months, *, measures: Mapping[str, int]
) -> QueryPlan[None]:
    """Add the totals of whole months to the sums of their spans."""
    years = sorted({year for year, _ in months})
    sets = _month_sets(months, years)
    statement = _months_statement(request.selection.shape, tuple(month_set.months for month_set in sets))
    parameters = selection_parameters(request.selection, measures, request.labels)
    parameters |= _months_parameters(request.spans, months, years, sets)
    names = {label: name for name, label in measures.items()}
    spans_by_year = {year: [spans[number] for _, spans in sets] for number, year in enumerate(years)}
    (rows,) = yield [BoundStatement(statement, parameters)]
    for measure, year, *values in rows:
        in_spans = zip(spans_by_year[year], values, strict=False)
        if parts := [(index, int(value)) for index, value in in_spans if value and index is not None]:
            target = sums[names[measure]][group_key(values[len(sets) :])]
            for index, value in parts:
                target[index] += value


def _months_parameters(
    spans: Sequence[Span], months: _Months, years: Sequence[int], sets: Sequence[_MonthSet]
) -> dict[str, Any]:
    days = number_days(spans[index].group_day for index in months.values())
    group_days = {
        f"day{number}": [NO_DAY if index is None else days[spans[index].group_day] for index in month_set.spans]
        for number, month_set in enumerate(sets)
    }
    first, last = date(*min(months), 1), date(*max(months), 1)
    return group_days | {"days": list(days), "year": years, "since": first, "until": _next_month(last)}


# Statements depend on the shape of a question only, so each is built once: building costs as much as answering.
@lru_cache(maxsize=256)
def _months_statement(shape: Shape, sets: tuple[tuple[int, ...], ...]) -> Statement:
    """Return the query of rows (measure, year, sum of each set of months, group...), of the group's accounts."""
    source = totals_source(shape, stock=False)
    in_years = source.c.year == sa.any_(array_param("year", sa.Integer))
    totals = sa.select(source).where(in_years, *entry_conditions(source, shape)).subquery("facts")
    sums = [
        sa.func.sum(reduce(add, (totals.c[MONTH_COLUMNS[month - 1].name] for month in months))).label(f"sum{number}")
        for number, months in enumerate(sets)
    ]
    rows = group_by_stretch([totals.c.measure, totals.c.year], sums, totals, shape).subquery("rows")
    outer_sums = [sa.func.sum(rows.c[sum.name]) for sum in sums]
    if not shape.depends_on_days:
        return compile_query(select_groups([rows.c.measure, rows.c.year], outer_sums, rows, rows, shape))
    # A row for each year: the number of the group day of each set of months.
    days = [f"day{number}" for number in range(len(sets))]
    calendar = array_table("calendar", {"year": sa.Integer} | dict.fromkeys(days, sa.Integer))
    source = rows.join(calendar, calendar.c.year == rows.c.year)
    own_sums = [sum.filter(belongs_on(rows, calendar.c[day])) for sum, day in zip(outer_sums, days, strict=True)]
    return compile_query(select_groups([rows.c.measure, rows.c.year], own_sums, source, rows, shape))
