"""Evaluate expressions on one row, in Python. `sql` does the same in SQL, and a test compares them."""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from enum import Enum
from typing import Any, TypeAlias

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


class _Unknown(Enum):
    UNKNOWN = "unknown"


# Of a property of which only some rows are looked at. What depends on it is unknown, too.
UNKNOWN = _Unknown.UNKNOWN

Row: TypeAlias = Mapping[str, Any]
Evaluator: TypeAlias = Callable[[Any], Any]

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
WHITESPACE = " \t\n\r\f\v"


def compile_condition(expression: Expression | None) -> Callable[[Row], bool]:
    """Return the function that says whether a row satisfies a condition. Null does not."""
    if expression is None:
        return lambda row: True
    evaluate = compile_expression(expression)
    return lambda row: evaluate(row) is True


def compile_expression(
    expression: Expression, read: Callable[[Member], Evaluator] = lambda member: member.prop.read
) -> Evaluator:
    """Return the function of the value of an expression. read: returns the function that reads a property of a row."""

    def build(node: Expression) -> Evaluator:
        match node:
            case Constant():
                return _constant(node.value)
            case Member():
                return read(node)
            case CallNode():
                return _call(node.name, [build(argument) for argument in node.arguments])
            case CompareNode():
                return _comparison(node.operator, build(node.left), build(node.right))
            case Membership():
                return _membership(build(node.item), [choice.value for choice in node.choices])
            case Negation():
                return _negation(build(node.operand))
            case Junction():
                return _junction(node.operator, [build(operand) for operand in node.operands])

    return build(expression)


def _constant(value: Any) -> Evaluator:
    return lambda row: value


def _comparison(name: str, left: Evaluator, right: Evaluator) -> Evaluator:
    compare = _ORDER.get(name)

    def evaluate(row: Any) -> Any:
        a, b = left(row), right(row)
        if a is UNKNOWN or b is UNKNOWN:
            return UNKNOWN
        if compare is None:
            return are_equal(a, b) == (name == "eq")
        return a is not None and b is not None and compare(*_alike(a, b))

    return evaluate


def are_equal(a: Any, b: Any) -> bool:
    """Return whether two values of one kind are equal; null equals null."""
    if a is None or b is None:
        return a is b
    a, b = _alike(a, b)
    return bool(a == b)


def _alike(a: Any, b: Any) -> tuple[Any, Any]:
    """Return two values of one kind so that Python compares them: a decimal beside a float as a float, a date as a time."""
    if isinstance(a, float) or isinstance(b, float):
        return float(a), float(b)
    if isinstance(a, datetime) or isinstance(b, datetime):
        return as_time(a), as_time(b)
    return a, b


def _membership(item: Evaluator, choices: Sequence[Any]) -> Evaluator:
    """Return whether a value equals one of the choices, as `are_equal` has it, in a time that does not grow with them."""
    exact = frozenset(choices)
    floats = frozenset(float(own) for own in choices if isinstance(own, Decimal))
    times = frozenset(as_time(own) for own in choices if isinstance(own, date))

    def evaluate(row: Any) -> Any:
        value = item(row)
        if value is UNKNOWN:
            return UNKNOWN
        if isinstance(value, float):
            return value in floats
        return value in exact or (isinstance(value, date) and as_time(value) in times)

    return evaluate


def _negation(operand: Evaluator) -> Evaluator:
    def evaluate(row: Any) -> Any:
        value = operand(row)
        return value if value is None or value is UNKNOWN else not value

    return evaluate


def _junction(name: str, operands: Sequence[Evaluator]) -> Evaluator:
    decisive = name == "or"

    def evaluate(row: Any) -> Any:
        result: Any = not decisive
        for operand in operands:
            value = operand(row)
            if value is decisive:
                return decisive
            if value is UNKNOWN or (value is None and result is not UNKNOWN):
                result = value
        return result

    return evaluate


def _call(name: str, arguments: Sequence[Evaluator]) -> Evaluator:
    function = _FUNCTIONS[name]

    def evaluate(row: Any) -> Any:
        values = [argument(row) for argument in arguments]
        if None in values:
            return None
        return UNKNOWN if UNKNOWN in values else function(*values)

    return evaluate


def _substring(text: str, start: Any, length: Any = None) -> str:
    first = max(0, int(start))
    return text[first:] if length is None else text[first : first + max(0, int(length))]


def _rounding(mode: str) -> Callable[[Any], Any]:
    def round_number(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return value
        result = Decimal(repr(value) if isinstance(value, float) else value).to_integral_value(rounding=mode)
        return float(result) if isinstance(value, float) else result

    return round_number


def _in_utc(value: date | datetime) -> datetime:
    return as_time(value).astimezone(UTC)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "contains": lambda text, part: part in text,
    "startswith": lambda text, part: text.startswith(part),
    "endswith": lambda text, part: text.endswith(part),
    "tolower": lambda text: text.lower(),
    "toupper": lambda text: text.upper(),
    "trim": lambda text: text.strip(WHITESPACE),
    "length": len,
    "indexof": lambda text, part: text.find(part),
    "substring": _substring,
    "concat": lambda first, second: first + second,
    "year": lambda value: _in_utc(value).year,
    "month": lambda value: _in_utc(value).month,
    "day": lambda value: _in_utc(value).day,
    "hour": lambda value: _in_utc(value).hour,
    "minute": lambda value: _in_utc(value).minute,
    "second": lambda value: _in_utc(value).second,
    "date": lambda value: _in_utc(value).date(),
    "round": _rounding(ROUND_HALF_UP),
    "floor": _rounding(ROUND_FLOOR),
    "ceiling": _rounding(ROUND_CEILING),
}
