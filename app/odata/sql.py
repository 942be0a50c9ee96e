"""Turn expressions into SQL conditions, which PostgreSQL can answer from an index where there is one.

A condition is made for where it stands: within `not`, its opposite is made from the parts, so that a
plain comparison stays plain.
Null and false are the same where neither selects a row.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import sqlalchemy as sa

from app.odata.evaluate import WHITESPACE
from app.odata.expressions import (
    CallNode,
    CompareNode,
    Constant,
    Expression,
    Junction,
    Member,
    Membership,
    Negation,
    as_time,
)

Column: TypeAlias = Any
# Returns the SQL expression of a property.
ColumnOf: TypeAlias = Callable[[Member], Column]

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
}
SQL_TYPES: dict[str, Any] = {
    "text": sa.Text(),
    "integer": sa.Numeric(),
    "number": sa.Numeric(),
    "decimal": sa.Numeric(),
    "boolean": sa.Boolean(),
    "date": sa.Date(),
    "time": sa.DateTime(timezone=True),
}


def condition_to_sql(expression: Expression, column_of: ColumnOf, *, is_wanted: bool = True) -> Column:
    """Return a condition that selects the rows for which an expression is true; with is_wanted=False, is false."""
    if isinstance(expression, Negation):
        return condition_to_sql(expression.operand, column_of, is_wanted=not is_wanted)
    if isinstance(expression, Junction):
        parts = [condition_to_sql(operand, column_of, is_wanted=is_wanted) for operand in expression.operands]
        return sa.and_(*parts) if (expression.operator == "and") == is_wanted else sa.or_(*parts)
    if isinstance(expression, CompareNode):
        return _comparison(expression, column_of, is_wanted)
    if isinstance(expression, Membership):
        return _membership(expression, column_of, is_wanted)
    value = value_to_sql(expression, column_of)
    return value if is_wanted else sa.not_(value)


def value_to_sql(expression: Expression, column_of: ColumnOf) -> Column:
    """Return the value of an expression."""
    match expression:
        case Constant():
            return sa.null() if expression.value is None else constant_to_sql(expression.type, expression.value)
        case Member():
            return column_of(expression)
        case CallNode():
            return _call(expression, column_of)
        case Negation():
            # SQLAlchemy writes `NOT x = y` for `(NOT x) = y`, which PostgreSQL reads as `NOT (x = y)`.
            return value_to_sql(expression.operand, column_of) == sa.false()
        case Junction():
            parts = [value_to_sql(operand, column_of) for operand in expression.operands]
            return sa.and_(*parts) if expression.operator == "and" else sa.or_(*parts)
    # A comparison is never null.
    return sa.func.coalesce(condition_to_sql(expression, column_of), sa.false())


def constant_to_sql(type: str, value: Any) -> Column:
    """Return a bound value."""
    return sa.literal(value, SQL_TYPES[type])


def _comparison(node: CompareNode, column_of: ColumnOf, is_wanted: bool) -> Column:
    if node.operator in _OPERATORS and (_is_null(node.left) or _is_null(node.right)):
        return constant_to_sql("boolean", not is_wanted)
    left, right = (_comparable(side, node, column_of) for side in (node.left, node.right))
    if (compare := _OPERATORS.get(node.operator)) is not None:
        is_text = "text" in (node.left.type, node.right.type)
        condition = compare(*(in_code_order(left), in_code_order(right)) if is_text else (left, right))
        return condition if is_wanted else sa.not_(sa.func.coalesce(condition, sa.false()))
    is_equal = (node.operator == "eq") == is_wanted
    for side, other in ((node.left, right), (node.right, left)):
        if _is_null(side):
            return other.is_(None) if is_equal else other.is_not(None)
        if isinstance(side, Constant) and is_equal:
            return left == right
    return left.is_not_distinct_from(right) if is_equal else left.is_distinct_from(right)


def _is_null(node: Expression) -> bool:
    return isinstance(node, Constant) and node.value is None


def _comparable(side: Expression, node: CompareNode, column_of: ColumnOf) -> Column:
    """Return one side of a comparison. A date beside a time is the instant at which it begins in UTC."""
    if side.type == "date" and "time" in (node.left.type, node.right.type):
        if isinstance(side, Constant):
            return constant_to_sql("time", as_time(side.value))
        return _as_time(value_to_sql(side, column_of))
    return value_to_sql(side, column_of)


def _as_time(day: Column) -> Column:
    return sa.func.timezone("UTC", sa.cast(day, sa.DateTime()), type_=sa.DateTime(timezone=True))


def in_code_order(text: Column) -> Column:
    """Return a text that is ordered by the code points of its characters, whatever the locale of the database is."""
    return sa.collate(text, "C")


def _in_own_locale(text: Column) -> Column:
    """Return a text in the locale of the database. Ids are in that of C, which knows the case of ASCII letters only."""
    return sa.collate(text, "default")


def _membership(node: Membership, column_of: ColumnOf, is_wanted: bool) -> Column:
    item = value_to_sql(node.item, column_of)
    constants = [choice for choice in node.choices if choice.value is not None]
    values = [choice.value for choice in constants]
    if "time" in (node.item.type, *(choice.type for choice in constants)):
        item = _as_time(item) if node.item.type == "date" else item
        values = [as_time(value) for value in values]
    parts: list[Column] = [item.in_(values)] if values else []
    if len(values) < len(node.choices):
        parts.append(item.is_(None))
    condition = sa.or_(*parts)
    return condition if is_wanted else sa.not_(sa.func.coalesce(condition, sa.false()))


def _call(node: CallNode, column_of: ColumnOf) -> Column:
    arguments = [value_to_sql(argument, column_of) for argument in node.arguments]
    if node.name in _TIME_PARTS or node.name == "date":
        is_day = node.arguments[0].type == "date"
        instant = _as_time(arguments[0]) if is_day else arguments[0]
        local_time = sa.func.timezone("UTC", instant, type_=sa.DateTime())
        return sa.cast(local_time, sa.Date()) if node.name == "date" else _time_part(node.name, local_time)
    return _FUNCTIONS[node.name](*arguments)


_TIME_PARTS = frozenset({"year", "month", "day", "hour", "minute", "second"})


def _time_part(name: str, local_time: Column) -> Column:
    return sa.cast(sa.func.floor(sa.extract(name, local_time)), sa.Numeric())


def _substring(text: Column, start: Column, length: Column | None = None) -> Column:
    first = sa.func.greatest(_whole(start), 0) + 1
    if length is None:
        return sa.func.substr(text, first)
    return sa.func.substr(text, first, sa.func.greatest(_whole(length), 0))


def _whole(number: Column) -> Column:
    """Return a number as the length of a text, of which none is longer than that."""
    limit = 2**30
    return sa.cast(sa.func.trunc(sa.func.least(sa.func.greatest(number, -limit), limit)), sa.Integer())


_FUNCTIONS: dict[str, Callable[..., Column]] = {
    "contains": lambda text, part: sa.func.strpos(text, part) > 0,
    "startswith": lambda text, part: sa.func.starts_with(text, part, type_=sa.Boolean()),
    "endswith": lambda text, part: sa.func.right(text, sa.func.length(part)) == part,
    "tolower": lambda text: sa.func.lower(_in_own_locale(text), type_=sa.Text()),
    "toupper": lambda text: sa.func.upper(_in_own_locale(text), type_=sa.Text()),
    "trim": lambda text: sa.func.btrim(text, WHITESPACE, type_=sa.Text()),
    "length": lambda text: sa.cast(sa.func.length(text), sa.Numeric()),
    "indexof": lambda text, part: sa.cast(sa.func.strpos(text, part) - 1, sa.Numeric()),
    "substring": _substring,
    "concat": lambda first, second: first.concat(second),
    "round": lambda number: sa.func.round(number, type_=sa.Numeric()),
    "floor": lambda number: sa.func.floor(number, type_=sa.Numeric()),
    "ceiling": lambda number: sa.func.ceil(number, type_=sa.Numeric()),
}


def utc_text(value: datetime) -> str:
    """Return an instant as OData and cursors write it."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
