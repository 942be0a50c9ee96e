"""Rows of an entity set that PostgreSQL selects, filters, sorts, counts and cuts into pages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.database.connection import Connection
from app.odata.expressions import Member
from app.odata.position import PagePosition, instant_of, invalid_position
from app.odata.query import Query
from app.odata.sources import EntityPage, cut_page
from app.odata.sql import condition_to_sql, constant_to_sql, in_code_order, value_to_sql

Column = Any


class KeyColumn(NamedTuple):
    """A column of the set's own order, and the type of its values in a position."""

    column: Column
    type: type


@dataclass(frozen=True, slots=True)
class SqlRows:
    """The rows of an entity set.

    select_from: returns the FROM clause, when all columns are known that the query uses. conditions: of all rows. parts: the
    columns of rows by name. column_of: returns the column by which a property is filtered and sorted. key: the columns of the
    set's own order, the first of which an index has.
    """

    select_from: Callable[[], Any]
    conditions: Sequence[Column]
    parts: Mapping[str, Column]
    column_of: Callable[[Member], Column]
    key: Sequence[KeyColumn]


async def read_sql_page(connection: Connection, rows: SqlRows, query: Query) -> EntityPage:
    """Return the page of a query."""
    filter = [condition_to_sql(query.filter, rows.column_of)] if query.filter is not None else []
    orders = [(_sort_column(order.expression, rows), order.is_descending) for order in query.orders]
    conditions = [*rows.conditions, *filter]
    count = None
    if query.wants_count:
        count = await connection.scalar(
            sa.select(sa.func.count()).select_from(rows.select_from()).where(sa.and_(*conditions))
        )
    if not query.limit:
        return EntityPage([], count)
    names = sorted(query.used_parts & rows.parts.keys())
    key_columns = [own.column for own in rows.key]
    columns = [*key_columns, *(column for column, _ in orders), *(rows.parts[name] for name in names)]
    labels = [column.label(f"c{number}") for number, column in enumerate(columns)]
    if query.after is not None:
        conditions.append(_after(query.after, orders, query, rows.key))
    statement = (
        sa.select(*labels)
        .select_from(rows.select_from())
        .where(sa.and_(*conditions))
        .order_by(*(_direction(column, is_descending) for column, is_descending in orders), *key_columns)
        .limit(query.limit + 1)
    )
    if query.skip:
        statement = statement.offset(query.skip)
    records = await connection.execute(statement)
    key_size, first_part = len(key_columns), len(columns) - len(names)
    page_and_next = [dict(zip(names, own[first_part:], strict=True)) for own in records]
    return cut_page(
        page_and_next, count, query, lambda last: (records[last][key_size:first_part], records[last][:key_size])
    )


def _sort_column(expression: Any, rows: SqlRows) -> Column:
    column = value_to_sql(expression, rows.column_of)
    return in_code_order(column) if expression.type == "text" else column


def _direction(column: Column, is_descending: bool) -> Column:
    return column.desc().nulls_last() if is_descending else column.asc().nulls_first()


def _after(
    after: PagePosition, orders: Sequence[tuple[Column, bool]], query: Query, key: Sequence[KeyColumn]
) -> sa.ColumnElement[bool]:
    """Return the condition that a row comes after a position."""
    condition = _after_key(after.key, key)
    for (column, is_descending), order, value in reversed(list(zip(orders, query.orders, after.values, strict=True))):
        is_same = column.is_(None) if value is None else column == constant_to_sql(order.expression.type, value)
        condition = sa.or_(
            _comes_after(column, order.expression.type, value, is_descending), sa.and_(is_same, condition)
        )
    return condition


def _comes_after(column: Column, type: str, value: Any, is_descending: bool) -> Column:
    """Return the condition that a value comes after another. Null is first, in descending order last."""
    if value is None:
        return sa.false() if is_descending else column.is_not(None)
    bound = constant_to_sql(type, value)
    return sa.or_(column < bound, column.is_(None)) if is_descending else column > bound


def _after_key(values: Sequence[Any], key: Sequence[KeyColumn]) -> sa.ColumnElement[bool]:
    """Return the condition that a row comes after a key: a comparison of rows, which an index answers."""
    if len(values) != len(key):
        raise invalid_position()
    try:
        bounds = [_bound(value, own) for value, own in zip(values, key, strict=True)]
    except (ValueError, TypeError):
        raise invalid_position() from None
    if len(bounds) == 1:
        is_after: sa.ColumnElement[bool] = key[0].column > bounds[0]
        return is_after
    return sa.tuple_(*(own.column for own in key)) > sa.tuple_(*bounds)


def _bound(value: Any, own: KeyColumn) -> Any:
    """Return a value of a position as it is bound. Raises TypeError or ValueError for one of another type."""
    if own.type is not int and not isinstance(value, str):
        raise TypeError("a text is expected")
    if own.type is int and (type(value) is not int or not -(2**63) <= value < 2**63):
        raise TypeError("a number of 64 bits is expected")
    if own.type is str or own.type is int:
        return sa.literal(value, own.column.type)
    return sa.literal(instant_of(value), own.column.type)
