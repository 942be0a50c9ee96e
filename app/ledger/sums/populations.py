"""Sums over accounts that are looked at one by one: populations by their own balances, and distinct users of odd ranges."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement, compile_query
from app.database.tables import MIN_DATE, MONTH_COLUMNS, entry, presence, registration
from app.ledger.sums.grouping import grouped, shown
from app.ledger.sums.operands import AccountValue, Population
from app.ledger.sums.selection import (
    Selection,
    Shape,
    Span,
    Sums,
    account_conditions,
    array_columns,
    array_param,
    array_table_clause,
    empty_sums,
    group_key,
    known_rows,
    parameters_of,
)

_DAY = timedelta(days=1)


def populations(
    selection: Selection,
    spans: Mapping[int, Span],
    *,
    wanted: Sequence[Population],
    measures: Mapping[str, int],
) -> QueryPlan[dict[Population, Sums]]:
    """Sums over the accounts that satisfy each population's condition, by their balances at the spans' bounds.

    Only accounts with an entry of its measures within the span are looked at.
    """
    found = {population: empty_sums() for population in wanted}
    # Balances are added up in the order of time: before the first span, the spans, and what may lie between two of them.
    stretches: list[tuple[date, int, date]] = [(MIN_DATE, -1, MIN_DATE)]
    for index, (start, end, member_on) in sorted(spans.items(), key=lambda item: item[1].start):
        if start < end:
            stretches += [(start, index, member_on), (end, -1, MIN_DATE)]
    # Where a span begins as another ends, it begins.
    by_start = {start: (span, member_on) for start, span, member_on in sorted(stretches, key=lambda s: (s[0], s[1]))}
    places = list(by_start.values())
    if len(places) == 1:
        return found
    numbers = {f"measure{n}": measures[name] for n, name in enumerate(_measures(tuple(wanted)))}
    parameters = parameters_of(selection, measures, {}) | numbers
    parameters |= {"starts": list(by_start), "until": max(by_start), "members": [member_on for _, member_on in places]}
    # In their order; to hash a population for each row would take longer than to add it up.
    targets = [found[population] for population in wanted]
    (rows,) = yield [BoundStatement(_of_populations(selection.shape, tuple(wanted)), parameters)]
    for place, *rest in rows:
        index, _ = places[place - 1]
        group = group_key(rest[len(wanted) :])
        for target, value in zip(targets, rest, strict=False):
            if value and index >= 0:
                target[group][index] += int(value)
    return found


def _measures(wanted: tuple[Population, ...]) -> list[str]:
    return sorted(frozenset().union(*(population.measures for population in wanted)))


@lru_cache(maxsize=256)
def _of_populations(shape: Shape, wanted: tuple[Population, ...]) -> Statement:
    """Rows (place among the starts, a sum for each population, group...)."""
    place = sa.func.width_bucket(entry.c.effective_on, array_param("starts", sa.Date)).label("place")
    numbers = {name: sa.bindparam(f"measure{n}", type_=sa.Integer) for n, name in enumerate(_measures(wanted))}
    # A single account's balance is a 64-bit integer, as every total is.
    moved = [_added(entry.c.value).filter(entry.c.measure == number).label(name) for name, number in numbers.items()]
    within = sa.select(place, entry.c.account_id, *moved)
    within = within.where(
        entry.c.measure.in_(numbers.values()),
        entry.c.effective_on < sa.bindparam("until", type_=sa.Date),
        *account_conditions(entry, shape),
    )
    if shape.as_of:
        within = within.where(entry.c.recorded_on <= sa.bindparam("as_of", type_=sa.Date))
    moves = within.group_by(place, entry.c.account_id).subquery("moves")
    running: dict[str, Any] = {"partition_by": moves.c.account_id, "order_by": moves.c.place, "rows": (None, 0)}
    closing = [_added(moves.c[name]).over(**running).label(f"closing {name}") for name in numbers]
    balances = sa.select(moves, *closing).subquery("balances")
    values = _own(balances, numbers)
    # A list in a function, since PostgreSQL would read `list::date[][place]` as a type.
    member_on = sa.func.coalesce(array_param("members", sa.Date), type_=sa.ARRAY(sa.Date))[balances.c.place]
    counted = [
        (sa.func.sum(_sql(population.total, values)) if population.total else sa.func.count())
        .filter(_sql(population.where, values))
        .label(f"sum{number}")
        for number, population in enumerate(wanted)
    ]
    # Most accounts that move are in no population: they need not be looked up further.
    meant = sa.or_(*(_sql(population.where, values) for population in wanted))
    inner = grouped([balances.c.place], counted, balances, balances, shape, day=member_on).where(meant)
    rows = inner.where(balances.c.place != 1).subquery("rows")
    return compile_query(shown([rows.c.place], [sa.func.sum(rows.c[sum.name]) for sum in counted], rows, rows, shape))


def _added(column: Any) -> Any:
    """The sum, 0 of nothing, as a bigint: PostgreSQL's own is numeric, and slow to make and to compare."""
    return sa.func.bigint_sum(column, type_=sa.BigInteger)


def _own(rows: Any, names: Iterable[str]) -> dict[tuple[str, str], Any]:
    """The balances of an account at the bounds of a span."""
    closing = {("closing", name): rows.c[f"closing {name}"] for name in names}
    return closing | {("opening", name): rows.c[f"closing {name}"] - rows.c[name] for name in names}


_OPERATORS: dict[str, Callable[..., Any]] = {
    "-": lambda one, other: one - other,
    ">": lambda one, other: one > other,
    "and": sa.and_,
    "or": sa.or_,
    "not": sa.not_,
}


def _sql(own: AccountValue, values: Mapping[tuple[str, str], Any]) -> Any:
    if own.operator in ("opening", "closing"):
        return values[own.operator, own.parts[0]]
    parts = (_sql(part, values) if isinstance(part, AccountValue) else part for part in own.parts)
    return _OPERATORS[own.operator](*parts)


def users(
    selection: Selection,
    spans: Mapping[int, Span],
    *,
    at: int,
    subjects: Sequence[int],
    by_subject: bool,
) -> QueryPlan[Sums]:
    """Distinct users who were present in each span, whatever its bounds.

    at: the number of the presence; subjects: the numbers of those at which it counts, none for any.
    """
    if not any(span.start < span.end for span in spans.values()):
        return empty_sums()
    parameters = parameters_of(selection, {}, {}) | calendar_of(spans) | {"at": at, "subjects": list(subjects)}
    # A user has a row for each year and subject: where no more than one can count, nothing needs to be told apart.
    once = all((span.end - _DAY).year == span.start.year for span in spans.values()) and (
        by_subject or len(subjects) < 2
    )
    (rows,) = yield [BoundStatement(_of_users(selection.shape, by_subject, bool(subjects), once), parameters)]
    return _read(rows)


def calendar_of(spans: Mapping[int, Span]) -> dict[str, list[Any]]:
    """What the calendar of a statement is made of: for each span and year the days of each month, in bits."""
    rows = [
        (index, span.member_on, year, *_masks(span, year))
        for index, span in spans.items()
        for year in range(span.start.year, span.end.year + 1)
        if span.start < span.end
    ]
    return array_columns(("span", "member_on", "year", *(month.name for month in MONTH_COLUMNS)), rows)


def _masks(span: Span, year: int) -> list[int]:
    """For each month of a year the bits of its days in the span."""
    masks = []
    for month in range(1, 13):
        first = date(year, month, 1).toordinal()
        days = range(max(span.start.toordinal() - first, 0), min(span.end.toordinal() - first, 31))
        masks.append(sum(1 << day for day in days))
    return masks


def was_there() -> tuple[Any, sa.ColumnElement[bool]]:
    """The calendar of a statement, and whether a user was present in a row's span."""
    names = {"span": sa.Integer, "member_on": sa.Date, "year": sa.Integer}
    calendar = array_table_clause("calendar", names | {month.name: sa.Integer for month in MONTH_COLUMNS})
    days = sa.or_(*(presence.c[month.name].op("&")(calendar.c[month.name]) != 0 for month in MONTH_COLUMNS))
    return calendar, (presence.c.year == calendar.c.year) & days


@lru_cache(maxsize=256)
def _of_users(shape: Shape, by_subject: bool, narrowed: bool, once: bool) -> Statement:
    """Rows (index of the span, distinct users, group...)."""
    calendar, there = was_there()
    keys = [calendar.c.span, calendar.c.member_on, presence.c.account_id, *([presence.c.subject] if by_subject else [])]
    users = presence.c.user_key if once else presence.c.user_key.distinct()
    counted = sa.select(*keys, sa.func.count(users).label("users"))
    counted = counted.join_from(calendar, presence, there)
    counted = counted.where(
        presence.c.presence == sa.bindparam("at", type_=sa.Integer),
        *account_conditions(presence, shape),
        known_rows(presence, shape),
    )
    if narrowed:
        counted = counted.where(presence.c.subject == sa.any_(array_param("subjects", sa.Integer)))
    return _over_accounts(counted.group_by(*keys), shape)


def registered(selection: Selection, spans: Mapping[int, Span]) -> QueryPlan[Sums]:
    """Distinct users who were registered at any time of each span, whatever its bounds."""
    rows = [(index, *span) for index, span in spans.items()]
    names = ("span", "start", "end", "member_on")
    parameters = parameters_of(selection, {}, {}) | array_columns(names, rows)
    (rows,) = yield [BoundStatement(_of_registered(selection.shape), parameters)]
    return _read(rows)


@lru_cache(maxsize=256)
def _of_registered(shape: Shape) -> Statement:
    """Rows (index of the span, distinct users, group...)."""
    span = array_table_clause("spans", {"span": sa.Integer, "start": sa.Date, "end": sa.Date, "member_on": sa.Date})
    keys = (span.c.span, span.c.member_on, registration.c.account_id)
    # Whoever comes after a span that has no days was not registered in it; whoever was registered at its start was.
    within = (registration.c.since < sa.func.greatest(span.c.end, span.c.start)) & (registration.c.until > span.c.start)
    counted = sa.select(*keys, sa.func.count(registration.c.user_key.distinct()).label("users"))
    counted = counted.join_from(span, registration, within)
    counted = counted.where(*account_conditions(registration, shape), known_rows(registration, shape))
    return _over_accounts(counted.group_by(*keys), shape)


def _over_accounts(counted: sa.Select[Any], shape: Shape) -> Statement:
    """Users, counted for each account and span, by groups of accounts."""
    own = counted.subquery("own")
    rows = grouped([own.c.span], [sa.func.sum(own.c.users).label("users")], own, own, shape, day=own.c.member_on)
    told = rows.subquery("rows")
    return compile_query(shown([told.c.span], [sa.func.sum(told.c.users)], told, told, shape))


def _read(rows: Any) -> Sums:
    found = empty_sums()
    for index, value, *group in rows:
        if value:
            found[group_key(group)][index] += int(value)
    return found
