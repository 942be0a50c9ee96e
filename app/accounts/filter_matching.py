"""Evaluate filters: on the attributes of one account, or as a condition in SQL. Both give the same answers."""

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Text, and_, cast, collate, false, func, literal, literal_column, not_, or_
from sqlalchemy.dialects.postgresql import JSONB

from app.accounts.filter_tokens import format_value
from app.accounts.filters import Condition, Filter, Tree

AttributeValue: TypeAlias = str | int | float | Decimal | bool | None
T = TypeVar("T")

_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_COMPARE = {"=": operator.eq, "!=": operator.ne} | _ORDER


def filter_matches(filter: Filter, attributes: Mapping[str, AttributeValue]) -> bool:
    """Return whether a filter selects an account with these attributes. A missing key and None are the same."""
    combine = {"and": lambda *items: all(items), "or": lambda *items: any(items), "not": operator.not_}
    return _evaluate(filter.tree, lambda condition: _is_true(condition, attributes.get(condition.key)), combine)


def selects_without_attributes(filter: Filter) -> bool:
    """Return whether a filter selects an account that has none of its attributes."""
    return filter_matches(filter, {})


def filter_condition(filter: Filter, column_of: Callable[[str], ColumnElement[Any]]) -> ColumnElement[bool]:
    """Return a filter as a condition in SQL, which is true or false, never NULL.

    column_of: returns the JSONB column with the accounts' values of an attribute key; a missing value is NULL (or JSON null).
    """
    return combine_conditions(filter, lambda condition: condition_to_sql(condition, column_of(condition.key)))


def combine_conditions(filter: Filter, evaluate: Callable[[Condition], ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return a filter as a condition in SQL. evaluate: returns each of its conditions in SQL, never NULL."""
    combine: dict[str, Callable[..., ColumnElement[bool]]] = {"and": and_, "or": or_, "not": not_}
    return _evaluate(filter.tree, evaluate, combine)


def _evaluate(tree: Tree, evaluate: Callable[[Condition], T], combine: Mapping[str, Callable[..., T]]) -> T:
    if isinstance(tree, Condition):
        return evaluate(tree)
    return combine[tree.word](*(_evaluate(item, evaluate, combine) for item in tree.items))


def _is_true(condition: Condition, attribute: AttributeValue) -> bool:
    if condition.operator == "is null":
        return attribute is None
    left, *rights = map(_with_type, (attribute, *condition.values))
    if condition.operator in ("=", "in"):
        return left in rights
    (left_type, left_value), (right_type, right_value) = left, rights[0]
    if left_type != right_type or (left_type == "boolean" and condition.operator in _ORDER):
        return False
    return bool(_COMPARE[condition.operator](left_value, right_value))


def _with_type(value: AttributeValue) -> tuple[str, Any]:
    """Return the type of a value as jsonb_typeof names it, and what to compare; a float is the decimal that JSON writes."""
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, int | float | Decimal):
        number = Decimal(str(value) if isinstance(value, float) else value)
        return ("number", number) if number.is_finite() else ("not JSON", None)
    return ("string", value) if isinstance(value, str) else ("null", None)


def condition_to_sql(condition: Condition, column: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return a condition in SQL, true or false, never NULL. column: the JSONB values of its attribute."""
    if condition.operator == "is null":
        return func.coalesce(func.jsonb_typeof(column), "null") == "null"
    values: list[ColumnElement[Any]] = [cast(literal(format_value(value), Text), JSONB) for value in condition.values]
    if condition.operator in ("=", "in"):
        return column.in_(values).is_(True)
    value_type, value = _with_type(condition.values[0])
    if value_type == "boolean" and condition.operator in _ORDER:
        return false()
    # The account's value is never cast: PostgreSQL might do that before it tests the type, and fail. JSONB compares numbers
    # as numeric, and `#>>` reads any JSONB as text.
    left, right = column, values[0]
    if value_type == "string":
        left = collate(column.op("#>>", return_type=Text())(literal_column("'{}'")), "C")
        right = literal(value, Text)
    return and_(func.jsonb_typeof(column) == value_type, _COMPARE[condition.operator](left, right)).is_(True)
