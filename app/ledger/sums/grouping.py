"""Grouping of sums: joins that find the group of an account, and the columns that show it.

Statements group twice. The inner query groups by what is quick to compare (account ids, labels, JSON as text): the columns
`group0`, `group1` …, one for each grouping, see `group_on_day` and `group_by_stretch`. The outer query turns these few
rows into what is shown: `select_groups`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from app.accounts.filter_matching import filter_condition
from app.database.tables import account, attribute, label
from app.ledger.sums.selection import (
    ENTRY_DIMENSIONS,
    Shape,
    account_conditions,
    array_param,
    version_condition,
)

# The value of a day column of a calendar whose row has no day there; see `number_days`.
NO_DAY = -1


def group_on_day(
    columns: Sequence[Any], sums: Sequence[Any], source: Any, facts: Any, shape: Shape, *, day: Any
) -> sa.Select[Any]:
    """Return a query of columns and sums of facts by group, for the accounts that pass the filter.

    Accounts are in the groups to which they belong on a day, a column of the facts. source: the FROM clause with the facts.
    """
    histories: dict[str, Any] = {}
    for number, key in enumerate(shape.attribute_keys):
        history = _intervals(key, shape, attribute.c.valid_from, attribute.c.valid_to).subquery(f"attribute{number}")
        source = source.outerjoin(history, sa.and_(history.c.account_id == facts.c.account_id, covers(history, day)))
        histories[key] = history
    return _group(columns, sums, source, facts, shape, histories)


def group_by_stretch(
    columns: Sequence[Any], sums: Sequence[Any], source: Any, facts: Any, shape: Shape
) -> sa.Select[Any]:
    """Return a query as `group_on_day` does, for many days at once: the parameter `days`, numbered by `number_days`.

    Sums are also separated by the stretch of days during which the accounts were in the group: from the number `since` to
    before the number `until`. That makes few more rows, since accounts seldom change groups. See `belongs_on`.
    """
    histories: dict[str, Any] = {}
    for number, key in enumerate(shape.attribute_keys):
        history = _numbered_history(key, shape, f"attribute{number}")
        overlaps = [_overlap(history, other) for other in histories.values()]
        source = source.outerjoin(history, sa.and_(history.c.account_id == facts.c.account_id, *overlaps))
        histories[key] = history
    stretch = []
    if histories:
        stretch.append(sa.func.greatest(*(history.c.since for history in histories.values())).label("since"))
        stretch.append(sa.func.least(*(history.c.until for history in histories.values())).label("until"))
    return _group([*columns, *stretch], sums, source, facts, shape, histories)


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


def _overlap(history: Any, other: Any) -> sa.ColumnElement[bool]:
    """Return the condition that two stretches overlap. An attribute that the account never had has only nulls."""
    return sa.or_(other.c.since.is_(None), sa.and_(other.c.since < history.c.until, history.c.since < other.c.until))


def _numbered_history(key: str, shape: Shape, name: str) -> Any:
    """Return the intervals of an attribute in numbers of the parameter `days`.

    since, until: the number of the first of the days within the interval, and of the first one after it. Intervals that
    contain none of the days are left out: two long histories would make many pairs.
    """
    days = array_param("days", sa.Date)
    since, until = (
        sa.func.width_bucket(day - sa.literal_column("1", sa.Integer), days)
        for day in (attribute.c.valid_from, attribute.c.valid_to)
    )
    rows = _intervals(key, shape, since, until).subquery()
    return sa.select(rows).where(rows.c.since < rows.c.until).subquery(name)


def _intervals(key: str, shape: Shape, since: Any, until: Any) -> sa.Select[Any]:
    """Return a query of the intervals of an attribute: account_id, value, its JSON as `text`, since, until."""
    columns = [attribute.c.account_id, attribute.c.value, sa.cast(attribute.c.value, sa.Text).label("text")]
    query = sa.select(*columns, since.label("since"), until.label("until"))
    query = query.where(
        attribute.c.key == key, version_condition(attribute, shape), *account_conditions(attribute, shape)
    )
    # OFFSET 0, so that PostgreSQL evaluates the query once for each account, not again for each fact.
    return query.offset(sa.literal_column("0"))


def _group(
    columns: Sequence[Any],
    sums: Sequence[Any],
    source: Any,
    facts: Any,
    shape: Shape,
    histories: Mapping[str, Any],
) -> sa.Select[Any]:
    """Return the inner query, with the accounts' attributes already joined. histories: attribute -> its intervals."""
    values = {key: history.c.value for key, history in histories.items()}
    group_columns = {"account": facts.c.account_id} if "account" in shape.group_by else {}
    group_columns |= {name: facts.c[name] for name in ENTRY_DIMENSIONS if name in shape.group_by}
    if "segment" in shape.group_by:
        segment = _segment_numbers(shape)
        is_member = [
            (segment.c.number == number) & filter_condition(filter, values.__getitem__)
            for number, filter in enumerate(shape.segments)
        ]
        source = source.join(segment, sa.or_(sa.false(), *is_member))
        group_columns["segment"] = segment.c.number
    by = [*columns]
    for number, name in enumerate(shape.group_by):
        column = group_columns[name] if name in group_columns else histories[name].c.text
        by.append(column.label(f"group{number}"))
    query = sa.select(*by, *sums).select_from(source).group_by(*by)
    return query.where(filter_condition(shape.filter, values.__getitem__)) if shape.filter else query


def _segment_numbers(shape: Shape) -> Any:
    numbers = sa.func.unnest(sa.literal(list(range(len(shape.segments))), sa.ARRAY(sa.Integer)))
    return numbers.table_valued(sa.column("number", sa.Integer), name="segment").render_derived()


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
