"""Flows and balances: sums of entries within spans, and before their starts and ends.

Whole months are read from the monthly totals, everything else (days, weeks, clipped edges) from the entries. What was known
on a day has no totals; they are made of the entries then, in the same shape.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache, reduce
from operator import add
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.database.query_plan import QueryPlan, merge_plans
from app.database.statements import BoundStatement, Statement, compile_query
from app.database.tables import MIN_DATE, MONTH_COLUMNS, entry, grand_total, total
from app.ledger.sums.grouping import grouped, holds, numbered, shown
from app.ledger.sums.selection import (
    ENTRY_DIMENSIONS,
    Selection,
    Shape,
    Span,
    Sums,
    array_columns,
    array_param,
    array_table_clause,
    empty_sums,
    group_key,
    narrowing_conditions,
    parameters_of,
)

# The number of no day.
_NEVER = -1
# measure -> group -> sum by the index of the span
ByMeasure = dict[str, Sums]


class Edge(NamedTuple):
    """A stretch of days that is read from the entries, added to a span or, where `sign` is -1, taken off it."""

    span: int
    start: date
    end: date
    sign: int
    member_on: date


def nothing() -> ByMeasure:
    """Sums to be added to."""
    return defaultdict(empty_sums)


def flows(
    selection: Selection,
    spans: Mapping[int, Span],
    *,
    measures: Mapping[str, int],
    labels: Mapping[str, int],
    tomorrow: date,
    by_month: bool = True,
) -> QueryPlan[ByMeasure]:
    """Sums of entries whose day lies in each span; spans do not overlap and end tomorrow at the latest.

    measures: name -> number; labels: the numbers of the selection's subjects and channels, as far as they have one.
    by_month: whether the measures have monthly totals. Groups without an entry are left out.
    """
    found = nothing()
    if by_month:
        months, edges = _parts(spans, tomorrow)
    else:
        months, edges = {}, [Edge(index, start, end, 1, member_on) for index, (start, end, member_on) in spans.items()]
    parts: list[QueryPlan[None]] = []
    if measures and months:
        parts.append(_add_months(found, selection, months, spans, measures=measures, labels=labels))
    if measures and edges:
        parts.append(_add_edges(found, selection, edges, measures=measures, labels=labels))
    yield from merge_plans(parts)
    return found


def balances(
    selection: Selection,
    bounds: Mapping[int, tuple[date, date]],
    *,
    measures: Mapping[str, int],
    labels: Mapping[str, int],
) -> QueryPlan[ByMeasure]:
    """Sums of all entries of stocks before each bound: `(day, member_on)` under a number of the caller's."""
    found = nothing()
    if not measures or not bounds:
        return found
    # Where accounts are nowhere in particular, all that matters of a bound is its day.
    divided = bool(selection.shape.keys)
    places: dict[tuple[date, date], int] = {}
    for day, member_on in bounds.values():
        places.setdefault((day, member_on if divided else MIN_DATE), len(places))
    distinct = nothing()
    parts = [_add_starts(distinct, selection, places, measures=measures, labels=labels)]
    edges = [Edge(n, day.replace(day=1), day, 1, member) for (day, member), n in places.items() if day.day > 1]
    if edges:
        parts.append(_add_edges(distinct, selection, edges, measures=measures, labels=labels))
    yield from merge_plans(parts)
    for number, (day, member_on) in bounds.items():
        place = places[day, member_on if divided else MIN_DATE]
        for measure, sums in distinct.items():
            for group, values in sums.items():
                if place in values:
                    found[measure][group][number] = values[place]
    return found


def _parts(spans: Mapping[int, Span], tomorrow: date) -> tuple[dict[tuple[int, int], int], list[Edge]]:
    """How the spans are made of whole months, (year, month) -> index, and of edges.

    The running month is read whole too; what is dated after today is then taken off again, since that is little.
    """
    months: dict[tuple[int, int], int] = {}
    edges: list[Edge] = []
    for index, (start, end, member_on) in spans.items():
        at = start
        while at < end:
            following = next_month(at)
            if at.day == 1 and (following <= end or end == tomorrow):
                months[at.year, at.month] = index
                if following > end:
                    edges.append(Edge(index, end, following, -1, member_on))
            else:
                edges.append(Edge(index, at, min(following, end), 1, member_on))
            at = following
    return months, edges


def next_month(day: date) -> date:
    """The first day of the month after a day's."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _add_months(
    found: ByMeasure,
    selection: Selection,
    months: Mapping[tuple[int, int], int],
    spans: Mapping[int, Span],
    *,
    measures: Mapping[str, int],
    labels: Mapping[str, int],
) -> QueryPlan[None]:
    years = sorted({year for year, _ in months})
    together: dict[tuple[int | None, ...], list[int]] = {}
    for month in range(1, 13):
        together.setdefault(tuple(months.get((year, month)) for year in years), []).append(month)
    # Months that belong to the same span in every year are added up at once.
    sets = {spans_of: tuple(numbers) for spans_of, numbers in together.items() if any(i is not None for i in spans_of)}
    days = numbered(spans[index].member_on for index in months.values())
    parameters = parameters_of(selection, measures, labels) | {"days": list(days), "year": years}
    for number, spans_of in enumerate(sets):
        parameters[f"day{number}"] = [_NEVER if i is None else days[spans[i].member_on] for i in spans_of]
    first, last = min(months), max(months)
    parameters |= {"since": date(*first, 1), "until": next_month(date(*last, 1))}
    names = {number: name for name, number in measures.items()}
    statement = _of_months(selection.shape, tuple(sets.values()))
    (rows,) = yield [BoundStatement(statement, parameters)]
    of_year = {year: [spans_of[number] for spans_of in sets] for number, year in enumerate(years)}
    for measure, year, *rest in rows:
        of_row = zip(of_year[year], rest, strict=False)
        if values := [(index, int(value)) for index, value in of_row if value and index is not None]:
            target = found[names[measure]][group_key(rest[len(sets) :])]
            for index, value in values:
                target[index] += value


def _add_edges(
    found: ByMeasure,
    selection: Selection,
    edges: Sequence[Edge],
    *,
    measures: Mapping[str, int],
    labels: Mapping[str, int],
) -> QueryPlan[None]:
    names = {number: name for name, number in measures.items()}
    parameters = parameters_of(selection, measures, labels) | array_columns(Edge._fields, edges)
    (rows,) = yield [BoundStatement(_of_entries(selection.shape), parameters)]
    for measure, index, value, *group in rows:
        if value:
            found[names[measure]][group_key(group)][index] += int(value)


def _add_starts(
    found: ByMeasure,
    selection: Selection,
    places: Mapping[tuple[date, date], int],
    *,
    measures: Mapping[str, int],
    labels: Mapping[str, int],
) -> QueryPlan[None]:
    """The balances at the starts of the bounds' months."""
    # Bounds of one month that differ in who belongs where need a row of the calendar each.
    slots: dict[tuple[int, int], dict[int, tuple[date, list[int]]]] = {}
    turns: dict[tuple[int, int], dict[date, int]] = {}
    for (day, member_on), number in places.items():
        turn = turns.setdefault((day.year, day.month), {})
        slot = turn.setdefault(member_on, len(turn))
        slots.setdefault((slot, day.year), {}).setdefault(day.month, (member_on, []))[1].append(number)
    months = tuple(sorted({month for row in slots.values() for month in row}))
    days = numbered(member_on for _, member_on in places)
    parameters = parameters_of(selection, measures, labels) | {"days": list(days)}
    parameters |= array_columns(("slot", "year"), list(slots))
    for month in months:
        parameters[f"day{month}"] = [days[row[month][0]] if month in row else _NEVER for row in slots.values()]
    until = max(day for day, _ in places)
    parameters |= {"since": MIN_DATE, "until": until, "last": until.year}
    names = {number: name for name, number in measures.items()}
    (rows,) = yield [BoundStatement(_of_starts(selection.shape, months), parameters)]
    places_of = {key: [row[month][1] if month in row else [] for month in months] for key, row in slots.items()}
    for measure, slot, year, *rest in rows:
        of_row = zip(places_of[slot, year], rest, strict=False)
        if values := [(numbers, int(value)) for numbers, value in of_row if value and numbers]:
            target = found[names[measure]][group_key(rest[len(months) :])]
            for numbers, value in values:
                for number in numbers:
                    target[number] += value


# Statements depend on the shape of a question only, so each is built once: building costs as much as answering.
@lru_cache(maxsize=256)
def _of_months(shape: Shape, sets: tuple[tuple[int, ...], ...]) -> Statement:
    """Rows (measure, year, a sum for each set of months, group...), of the accounts that belong to the group for it."""
    totals = _totals(shape, stock=False)
    sums = [
        sa.func.sum(reduce(add, (totals.c[MONTH_COLUMNS[month - 1].name] for month in months))).label(f"sum{number}")
        for number, months in enumerate(sets)
    ]
    of_year = totals.c.year == sa.any_(array_param("year", sa.Integer))
    inner = grouped([totals.c.measure, totals.c.year], sums, totals, totals, shape)
    rows = inner.where(of_year, *narrowing_conditions(totals, shape)).subquery("rows")
    added = [sa.func.sum(rows.c[sum.name]) for sum in sums]
    if not shape.keys:
        return compile_query(shown([rows.c.measure, rows.c.year], added, rows, rows, shape))
    days = [f"day{number}" for number in range(len(sets))]
    calendar = array_table_clause("calendar", {"year": sa.Integer} | dict.fromkeys(days, sa.Integer))
    source = rows.join(calendar, calendar.c.year == rows.c.year)
    there = [sum.filter(_there(rows, calendar.c[day])) for sum, day in zip(added, days, strict=True)]
    return compile_query(shown([rows.c.measure, rows.c.year], there, source, rows, shape))


@lru_cache(maxsize=256)
def _of_starts(shape: Shape, months: tuple[int, ...]) -> Statement:
    """Rows (measure, slot, year, the balance at the start of each month, group...)."""
    totals = _totals(shape, stock=True)
    columns = {MONTH_COLUMNS[month - 2].name for month in months if month > 1} | {MONTH_COLUMNS[-1].name}
    sums = [sa.func.sum(totals.c[name]).label(name) for name in sorted(columns)]
    inner = grouped([totals.c.measure, totals.c.year], sums, totals, totals, shape)
    until_then = totals.c.year <= sa.bindparam("last", type_=sa.Integer)
    rows = inner.where(until_then, *narrowing_conditions(totals, shape)).subquery("rows")
    kinds = {"slot": sa.Integer, "year": sa.Integer} | {f"day{month}": sa.Integer for month in months}
    calendar = array_table_clause("calendar", kinds)
    source = rows.join(calendar, rows.c.year <= calendar.c.year)
    earlier = rows.c.year < calendar.c.year
    ends = [
        sa.case(
            (earlier, rows.c[MONTH_COLUMNS[-1].name]), else_=rows.c[MONTH_COLUMNS[month - 2].name] if month > 1 else 0
        )
        for month in months
    ]
    added: list[Any] = [sa.func.sum(end) for end in ends]
    if shape.keys:
        added = [sum.filter(_there(rows, calendar.c[f"day{m}"])) for sum, m in zip(added, months, strict=True)]
    return compile_query(shown([rows.c.measure, calendar.c.slot, calendar.c.year], added, source, rows, shape))


def _there(rows: Any, day: Any) -> sa.ColumnElement[bool]:
    """Whether the rows are of accounts that are in their group on a day: at any time, if they never had the attribute."""
    return sa.or_(rows.c.since.is_(None), holds(rows, day))


def _totals(shape: Shape, *, stock: bool) -> Any:
    """The monthly totals or, of what was known on a day, the same made of entries."""
    if not shape.as_of:
        # Where it does not matter which account it is, those of all together.
        return total if shape.keys or shape.by_account or {"account", "segment"} & set(shape.group_by) else grand_total
    year, month = (sa.cast(sa.extract(part, entry.c.effective_on), sa.Integer) for part in ("year", "month"))
    keys = (entry.c.measure, entry.c.account_id, entry.c.subject, entry.c.channel)
    sums = [
        sa.func.coalesce(sa.func.sum(entry.c.value).filter(month <= number if stock else month == number), 0)
        for number in range(1, 13)
    ]
    known = sa.select(*keys, year.label("year"), *(s.label(m.name) for s, m in zip(sums, MONTH_COLUMNS, strict=True)))
    known = known.where(
        entry.c.recorded_on <= sa.bindparam("as_of", type_=sa.Date),
        entry.c.effective_on >= sa.bindparam("since", type_=sa.Date),
        entry.c.effective_on < sa.bindparam("until", type_=sa.Date),
    )
    return known.group_by(*keys, year).subquery("known")


@lru_cache(maxsize=256)
def _of_entries(shape: Shape) -> Statement:
    """Rows (measure, index of the span, sum, group...)."""
    kinds = (sa.Integer, sa.Date, sa.Date, sa.Integer, sa.Date)
    edge = array_table_clause("edge", dict(zip(Edge._fields, kinds, strict=True)))
    within = (entry.c.effective_on >= edge.c.start) & (entry.c.effective_on < edge.c.end)
    keys = [entry.c.measure, edge.c.span, edge.c.member_on]
    keys += [entry.c.account_id] if shape.keys or "account" in shape.group_by else []
    keys += [entry.c[name] for name in ENTRY_DIMENSIONS if name in shape.group_by]
    own = sa.select(*keys, sa.func.sum(entry.c.value * edge.c.sign).label("sum")).join_from(edge, entry, within)
    own = own.where(*narrowing_conditions(entry, shape))
    if shape.as_of:
        own = own.where(entry.c.recorded_on <= sa.bindparam("as_of", type_=sa.Date))
    # First for each account, so that PostgreSQL does not look for the entries of one account after the other.
    facts = own.group_by(*keys).subquery("own")
    sums = [sa.func.sum(facts.c.sum).label("sum")]
    inner = grouped([facts.c.measure, facts.c.span], sums, facts, facts, shape, day=facts.c.member_on)
    rows = inner.subquery("rows")
    return compile_query(shown([rows.c.measure, rows.c.span], [sa.func.sum(rows.c.sum)], rows, rows, shape))
