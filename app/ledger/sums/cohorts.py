"""Cohorts: accounts by the span of their first payment or order, users by that of their first use, and their later spans."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement, compile_query
from app.database.tables import entry, presence
from app.ledger.sums.distinct_users import calendar_parameters, presence_calendar
from app.ledger.sums.grouping import group_on_day, select_groups
from app.ledger.sums.members import find_members
from app.ledger.sums.selection import (
    Group,
    Selection,
    Shape,
    Span,
    account_conditions,
    array_item,
    array_param,
    group_key,
    recorded_conditions,
    selection_parameters,
    version_condition,
)

# The index of the span of all days before the first span.
_BEFORE = -1
_FIRST_DAY = date(1970, 1, 1)

# group -> (index of the cohort's span, index of a span) -> sum
Triangle = dict[Group, dict[tuple[int, int], int]]


def empty_triangle() -> Triangle:
    """Return an empty triangle, in which every number starts at 0."""
    return defaultdict(lambda: defaultdict(int))


def sum_account_cohorts(
    selection: Selection,
    spans: Sequence[Span],
    *,
    first: int,
    measures: Mapping[str, int],
    count_accounts: bool = False,
) -> QueryPlan[dict[str, Triangle]]:
    """Return the flow of each measure in each span, of the accounts that had their first entry of a measure in a span.

    first: the label of that measure, which an account has once. spans: in order and without gap; a cohort is in the groups of
    its own span. measures: name -> label. count_accounts: return the number of accounts with such a flow instead.
    """
    selection = yield from find_members(selection, [span.group_day for span in spans])
    parameters = selection_parameters(selection, measures, {}) | {
        "first": first,
        "starts": [span.start for span in spans],
        "until": max(span.end for span in spans),
        "group_days": [span.group_day for span in spans],
    }
    names = {label: name for name, label in measures.items()}
    triangles = {name: empty_triangle() for name in measures}
    (rows,) = yield [BoundStatement(_accounts_statement(selection.shape, count_accounts), parameters)]
    for measure, cohort, position, value, *group in rows:
        if value:
            # Positions count from 1.
            triangles[names[measure]][group_key(group)][cohort - 1, position - 1] += int(value)
    return triangles


@lru_cache(maxsize=256)
def _accounts_statement(shape: Shape, count_accounts: bool) -> Statement:
    """Return the query of rows (measure, position of the cohort among the starts, position of the span, sum, group...)."""
    position = sa.func.width_bucket(entry.c.effective_on, array_param("starts", sa.Date)).label("position")
    conditions = [
        entry.c.effective_on < sa.bindparam("until", type_=sa.Date),
        *account_conditions(entry, shape),
        *recorded_conditions(entry, shape),
    ]
    is_first = entry.c.measure == sa.bindparam("first", type_=sa.Integer)
    firsts = sa.select(entry.c.account_id, position).where(is_first, *conditions)
    # A first payment that was posted and taken back again adds up to 0. Before the first span there is no cohort.
    is_member = (sa.func.sum(entry.c.value) > 0, position > 0)
    cohorts = firsts.group_by(entry.c.account_id, position).having(*is_member).subquery("cohorts")
    is_counted = entry.c.measure == sa.any_(array_param("measures", sa.Integer))
    keys = [entry.c.measure, entry.c.account_id, position]
    flow: Any = sa.func.sum(entry.c.value)
    flow = sa.cast(flow > 0, sa.Integer) if count_accounts else flow
    changes = sa.select(*keys, flow.label("change")).where(is_counted, *conditions).group_by(*keys).subquery("changes")
    of_cohorts = sa.select(changes, cohorts.c.position.label("cohort"))
    own = of_cohorts.join_from(cohorts, changes, cohorts.c.account_id == changes.c.account_id).subquery("own")
    return _by_groups(own, [own.c.measure, own.c.cohort, own.c.position], own.c.change, own.c.cohort, shape)


def sum_user_cohorts(selection: Selection, spans: Sequence[Span], *, presence_label: int) -> QueryPlan[Triangle]:
    """Return the distinct users who were present in each span, by the first span in which they were.

    spans: in order and without gap; a cohort is in the groups of its own span.
    """
    selection = yield from find_members(selection, [span.group_day for span in spans])
    before = Span(_FIRST_DAY, spans[0].start, _FIRST_DAY)
    parameters = selection_parameters(selection, {}, {})
    parameters |= {"presence": presence_label, "group_days": [span.group_day for span in spans]}
    parameters |= calendar_parameters(dict(enumerate(spans)) | {_BEFORE: before})
    triangle = empty_triangle()
    (rows,) = yield [BoundStatement(_users_statement(selection.shape), parameters)]
    for cohort, span, value, *group in rows:
        triangle[group_key(group)][cohort, span] += int(value)
    return triangle


@lru_cache(maxsize=256)
def _users_statement(shape: Shape) -> Statement:
    """Return the query of rows (index of the cohort's span, index of the span, distinct users, group...)."""
    calendar, is_present = presence_calendar()
    user = (presence.c.account_id, presence.c.user_key)
    cohort = sa.func.min(calendar.c.span).over(partition_by=user).label("cohort")
    # Distinct, since a span may be in two calendar years, for which a user has a row each.
    query = sa.select(*user, calendar.c.span, cohort).join_from(calendar, presence, is_present).distinct()
    query = query.where(
        presence.c.presence == sa.bindparam("presence", type_=sa.Integer),
        *account_conditions(presence, shape),
        version_condition(presence, shape),
    )
    users = query.subquery("users")
    keys = [users.c.account_id, users.c.cohort, users.c.span]
    counts = sa.select(*keys, sa.func.count().label("users")).where(users.c.cohort != _BEFORE).group_by(*keys)
    own = counts.subquery("own")
    return _by_groups(own, [own.c.cohort, own.c.span], own.c.users, own.c.cohort + 1, shape)


def _by_groups(own: Any, keys: Sequence[Any], value: Any, position: Any, shape: Shape) -> Statement:
    """Return the statement that adds up a value of accounts by keys and group.

    position: that of the cohort's span, counted from 1; its group day decides about the groups.
    """
    day = array_item(array_param("group_days", sa.Date), position)
    rows = group_on_day(keys, [sa.func.sum(value).label("sum")], own, shape, day=day).subquery("rows")
    return compile_query(
        select_groups([rows.c[key.name] for key in keys], [sa.func.sum(rows.c.sum)], rows, rows, shape)
    )
