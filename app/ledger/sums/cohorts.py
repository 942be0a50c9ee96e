"""Cohorts: accounts by the span of their first payment, users by that of their first use, and what they are later on."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement, compile_query
from app.database.tables import entry, presence
from app.ledger.sums.grouping import grouped, shown
from app.ledger.sums.populations import calendar_of, was_there
from app.ledger.sums.selection import (
    Group,
    Selection,
    Shape,
    Span,
    account_conditions,
    array_param,
    group_key,
    known_rows,
    parameters_of,
)

FIRST = "customers_new"
_BEFORE = -1
_FIRST_DAY = date(1970, 1, 1)

# group -> (index of the cohort's span, index of a span) -> sum
Triangle = dict[Group, dict[tuple[int, int], int]]


def no_triangle() -> Triangle:
    """A triangle to be added to."""
    return defaultdict(lambda: defaultdict(int))


def customers(
    selection: Selection, spans: Sequence[Span], *, measures: Mapping[str, int]
) -> QueryPlan[dict[str, Triangle]]:
    """The flows of measures in each span, of the accounts that paid for the first time in a span: by measure.

    spans: without gap, in order; a cohort is in the groups of its own span's day. measures: name -> number, `FIRST` among
    them.
    """
    parameters = parameters_of(selection, measures, {}) | {"first": measures[FIRST]}
    parameters |= {"starts": [span.start for span in spans], "until": max(span.end for span in spans)}
    parameters |= {"members": [span.member_on for span in spans]}
    names = {number: name for name, number in measures.items()}
    found: dict[str, Triangle] = {name: no_triangle() for name in measures}
    (rows,) = yield [BoundStatement(_of_customers(selection.shape), parameters)]
    for measure, cohort, place, value, *group in rows:
        if value:
            found[names[measure]][group_key(group)][cohort - 1, place - 1] += int(value)
    return found


@lru_cache(maxsize=256)
def _of_customers(shape: Shape) -> Statement:
    """Rows (measure, place of the cohort among the starts, place, sum, group...)."""
    place = sa.func.width_bucket(entry.c.effective_on, array_param("starts", sa.Date)).label("place")
    mine = [entry.c.effective_on < sa.bindparam("until", type_=sa.Date), *account_conditions(entry, shape)]
    if shape.as_of:
        mine.append(entry.c.recorded_on <= sa.bindparam("as_of", type_=sa.Date))
    first = entry.c.measure == sa.bindparam("first", type_=sa.Integer)
    firsts = sa.select(entry.c.account_id, place).where(first, *mine)
    # What was posted and taken back again was no first payment; before the first span there is no cohort.
    begun = (
        firsts.group_by(entry.c.account_id, place).having(sa.func.sum(entry.c.value) > 0, place > 0).subquery("begun")
    )
    wanted = entry.c.measure == sa.any_(array_param("measures", sa.Integer))
    moves = sa.select(entry.c.measure, entry.c.account_id, place, sa.func.sum(entry.c.value).label("moved"))
    moved = moves.where(wanted, *mine).group_by(entry.c.measure, entry.c.account_id, place).subquery("moves")
    of_cohorts = sa.select(moved, begun.c.place.label("cohort"))
    own = of_cohorts.join_from(begun, moved, begun.c.account_id == moved.c.account_id).subquery("own")
    keys = [own.c.measure, own.c.cohort, own.c.place]
    return _over_accounts(own, keys, own.c.moved, shape)


def users(selection: Selection, spans: Sequence[Span], *, at: int) -> QueryPlan[Triangle]:
    """Distinct users who were present in each span, by the span in which they were for the first time.

    spans: without gap, in order; a cohort is in the groups of its own span's day. at: the number of the presence.
    """
    before = Span(_FIRST_DAY, spans[0].start, _FIRST_DAY)
    parameters = parameters_of(selection, {}, {}) | {"at": at, "members": [span.member_on for span in spans]}
    parameters |= calendar_of(dict(enumerate(spans)) | {_BEFORE: before})
    found = no_triangle()
    (rows,) = yield [BoundStatement(_of_users(selection.shape), parameters)]
    for cohort, span, value, *group in rows:
        found[group_key(group)][cohort, span] += int(value)
    return found


@lru_cache(maxsize=256)
def _of_users(shape: Shape) -> Statement:
    """Rows (index of the cohort's span, index of the span, distinct users, group...)."""
    calendar, there = was_there()
    user = (presence.c.account_id, presence.c.user_key)
    # A span may be of two calendar years, of which a user has a row each.
    first = sa.func.min(calendar.c.span).over(partition_by=user).label("cohort")
    seen = sa.select(*user, calendar.c.span, first).join_from(calendar, presence, there).distinct()
    seen = seen.where(
        presence.c.presence == sa.bindparam("at", type_=sa.Integer),
        *account_conditions(presence, shape),
        known_rows(presence, shape),
    )
    rows = seen.subquery("seen")
    keys = [rows.c.account_id, rows.c.cohort, rows.c.span]
    counted = sa.select(*keys, sa.func.count().label("users")).where(rows.c.cohort != _BEFORE).group_by(*keys)
    own = counted.subquery("own")
    return _over_accounts(own, [own.c.cohort, own.c.span], own.c.users, shape, first=0)


def _over_accounts(own: Any, keys: Sequence[Any], value: Any, shape: Shape, *, first: int = 1) -> Statement:
    """Sums of a value of accounts by groups. first: the number of the first cohort."""
    # A list in a function, since PostgreSQL would read `list::date[][place]` as a type.
    members = sa.func.coalesce(array_param("members", sa.Date), type_=sa.ARRAY(sa.Date))
    day = members[own.c.cohort + (1 - first)]
    inner = grouped(keys, [sa.func.sum(value).label("sum")], own, own, shape, day=day)
    rows = inner.subquery("rows")
    return compile_query(shown([rows.c[key.name] for key in keys], [sa.func.sum(rows.c.sum)], rows, rows, shape))
