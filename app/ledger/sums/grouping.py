"""Grouping of sums: the join that finds the group of an account, and the columns that show it.

Statements group twice. The inner query groups by what is quick to compare (account ids, labels, JSON as text): the columns
`group0`, `group1` …, one for each grouping, see `group_on_day` and `group_by_stretch`. The outer query turns these few
rows into what is shown: `select_groups`.

There is at most one join, to the histories of the accounts: the intervals of the only attribute that matters or, where there are
several, the members that were found before (see `members`). It is a full join, of which the rows without a partner are dropped,
because PostgreSQL can only do one by hashing or sorting. For any other it may believe that one side has a single row, as it does
of tables it has not analyzed yet, and compare every row with every other.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from app.accounts.filter_matching import filter_condition, selects_without_attributes
from app.database.tables import account, attribute, label
from app.ledger.sums.selection import (
    ENTRY_DIMENSIONS,
    EPOCH,
    Shape,
    account_conditions,
    array_param,
    array_table,
    version_condition,
)

# The value of a day column of a calendar whose row has no day there; see `number_days`.
NO_DAY = -1


def group_on_day(columns: Sequence[Any], sums: Sequence[Any], facts: Any, shape: Shape, *, day: Any) -> sa.Select[Any]:
    """Return a query of columns and sums of facts by group, for the accounts of the selection.

    Accounts are in the groups to which they belong on a day, a column of the facts. facts: only rows that count. The query
    must not get conditions on them: these would turn its full join into another.
    """
    history = _history(shape)
    return _group(columns, sums, facts, shape, history, [] if history is None else [covers(history, day)])


def group_by_stretch(columns: Sequence[Any], sums: Sequence[Any], facts: Any, shape: Shape) -> sa.Select[Any]:
    """Return a query as `group_on_day` does, for many days at once: the parameter `days`, numbered by `number_days`.

    Sums are also separated by the stretch of days during which the accounts were in the group: from the number `since` to
    before the number `until`. That makes few more rows, since accounts seldom change groups. See `belongs_on`.
    """
    if (dated_history := _history(shape)) is None:
        return _group(columns, sums, facts, shape, None)
    history = _in_day_numbers(dated_history)
    return _group([*columns, history.c.since, history.c.until], sums, facts, shape, history)


def number_days(days: Iterable[date]) -> dict[date, int]:
    """Return the days at which accounts' groups matter with their numbers, in order: the parameter `days`."""
    return {day: number for number, day in enumerate(sorted(set(days)))}


def covers(rows: Any, day: Any) -> sa.ColumnElement[bool]:
    """Return the condition that a row's stretch, from `since` to before `until`, contains the day."""
    return sa.and_(rows.c.since <= day, rows.c.until > day)


def belongs_on(rows: Any, day: Any) -> sa.ColumnElement[bool]:
    """Return the condition that the accounts of a row of `group_by_stretch` are in their group on the day with a number.

    Accounts that never had the attribute are in the group of null at any time.
    """
    return sa.or_(rows.c.since.is_(None), covers(rows, day))


def _history(shape: Shape) -> Any:
    """Return in which group accounts are when: account_id, since, until, `value0` … of the groupings by attribute.

    It also has the column `segment` for segments and, for a filter that selects accounts without the attribute, `is_member`.
    None where the days do not matter.
    """
    if shape.has_members:
        return _members(shape)
    if not shape.attribute_keys:
        return None
    (key,) = shape.attribute_keys
    columns = [attribute.c.account_id, attribute.c.valid_from.label("since"), attribute.c.valid_to.label("until")]
    columns += [sa.cast(attribute.c.value, sa.Text).label("value0")] if shape.attribute_groupings else []
    conditions = [attribute.c.key == key, version_condition(attribute, shape), *account_conditions(attribute, shape)]
    if shape.filter is not None:
        is_member = filter_condition(shape.filter, lambda _: attribute.c.value)
        if selects_without_attributes(shape.filter):
            columns.append(is_member.label("is_member"))
        else:
            conditions.append(is_member)
    # OFFSET 0, so that PostgreSQL evaluates the columns once for each account, not again for each fact.
    return sa.select(*columns).where(*conditions).offset(sa.literal_column("0")).subquery("history")


def _members(shape: Shape) -> Any:
    """Return the members that were found before: the parameters of `selection.member_parameters`."""
    types: dict[str, Any] = {"member_account": sa.BigInteger, "member_since": sa.Integer, "member_until": sa.Integer}
    types |= {"member_segment": sa.Integer} if "segment" in shape.group_by else {}
    types |= {f"member_value{number}": sa.Text for number in range(len(shape.attribute_groupings))}
    rows = array_table("member", types)
    days = {name: sa.type_coerce(EPOCH.op("+")(rows.c[name]), sa.Date) for name in ("member_since", "member_until")}
    names = {"member_account": "account_id"}
    columns = [days.get(name, rows.c[name]).label(names.get(name, name.removeprefix("member_"))) for name in types]
    return sa.select(*columns).subquery("history")


def _in_day_numbers(history: Any) -> Any:
    """Return a history in numbers of the parameter `days`.

    since, until: the number of the first of the days within the stretch, and of the first one after it. Stretches that
    contain none of the days are left out.
    """
    days = array_param("days", sa.Date)
    since, until = (
        sa.func.width_bucket(day - sa.literal_column("1", sa.Integer), days).label(day.name)
        for day in (history.c.since, history.c.until)
    )
    other_columns = [column for column in history.c if column.name not in ("since", "until")]
    rows = sa.select(*other_columns, since, until).offset(sa.literal_column("0")).subquery("numbers")
    return sa.select(rows).where(rows.c.since < rows.c.until).subquery("stretch")


def _group(
    columns: Sequence[Any],
    sums: Sequence[Any],
    facts: Any,
    shape: Shape,
    history: Any,
    join_conditions: Sequence[Any] = (),
) -> sa.Select[Any]:
    """Return the inner query, joined to the history of the accounts if there is one."""
    source = facts
    conditions: list[Any] = []
    if history is not None:
        on = sa.and_(history.c.account_id == facts.c.account_id, *join_conditions)
        source = facts.join(history, on, isouter=True, full=True)
        conditions.append(_has_row(facts))
        if "is_member" in history.c:
            conditions.append(sa.func.coalesce(history.c.is_member, sa.true()))
        elif shape.is_narrowed:
            conditions.append(_has_row(history))
    group_columns = {"account": facts.c.account_id} if "account" in shape.group_by else {}
    group_columns |= {name: facts.c[name] for name in ENTRY_DIMENSIONS if name in shape.group_by}
    group_columns |= {"segment": history.c.segment} if "segment" in shape.group_by else {}
    group_columns |= {name: history.c[f"value{n}"] for n, name in enumerate(shape.attribute_groupings)}
    by = [*columns, *(group_columns[name].label(f"group{number}") for number, name in enumerate(shape.group_by))]
    return sa.select(*by, *sums).select_from(source).where(*conditions).group_by(*by)


def _has_row(side: Any) -> sa.ColumnElement[bool]:
    """Return the condition that a row of a full join has a row of this side."""
    # A plain condition on the side would tell PostgreSQL that it may do another kind of join. It does not look into `coalesce`.
    return sa.func.coalesce(side.c.account_id.is_not(None), sa.false())


def select_groups(columns: Sequence[Any], sums: Sequence[Any], source: Any, rows: Any, shape: Shape) -> sa.Select[Any]:
    """Return the outer query: columns and sums by the columns of the groups, each with the value that is shown for it.

    source: the FROM clause with `rows`, the inner query. The groups' values come last, in the order of `group_by`.
    """
    by: list[Any] = []
    values: list[Any] = []
    for number, name in enumerate(shape.group_by):
        column: Any = rows.c[f"group{number}"]
        value: Any = column
        if name == "account":
            value = sa.select(account.c.id).where(account.c.account_id == column).scalar_subquery()
        elif name in ENTRY_DIMENSIONS:
            value = sa.select(label.c.text).where(label.c.key == column).scalar_subquery()
        elif name != "segment":
            # As JSON, in which 1 and 1.0 are the same value.
            column = value = sa.cast(column, JSONB)
        by.append(column)
        values.append(value)
    return sa.select(*columns, *sums, *values).select_from(source).group_by(*columns, *by)
