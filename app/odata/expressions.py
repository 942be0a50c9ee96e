"""Expressions of `$filter` and `$orderby`: typed trees, whose names are properties of an entity set."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, TypeAlias

from app.odata.model import NUMBERS, Property

# A type of `model.Type`, or `null` of the constant null.
ExpressionType: TypeAlias = str
COMPARISONS = ("eq", "ne", "gt", "ge", "lt", "le")


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal. Numbers are `Decimal`."""

    type: ExpressionType
    value: Any


@dataclass(frozen=True, slots=True)
class Member:
    """The value of a property."""

    prop: Property

    @property
    def type(self) -> ExpressionType:
        return self.prop.type


@dataclass(frozen=True, slots=True)
class CallNode:
    """A function of other values; null where one of them is null."""

    name: str
    arguments: tuple["Expression", ...]
    type: ExpressionType


@dataclass(frozen=True, slots=True)
class CompareNode:
    """A comparison by one of COMPARISONS. Null equals only null, and is neither greater nor less than anything."""

    operator: str
    left: "Expression"
    right: "Expression"
    type: ExpressionType = "boolean"


@dataclass(frozen=True, slots=True)
class Membership:
    """Whether a value equals one of some constants."""

    item: "Expression"
    choices: tuple[Constant, ...]
    type: ExpressionType = "boolean"


@dataclass(frozen=True, slots=True)
class Negation:
    """`not`. Of null, it is null."""

    operand: "Expression"
    type: ExpressionType = "boolean"


@dataclass(frozen=True, slots=True)
class Junction:
    """`and` or `or` of several conditions."""

    operator: str
    operands: tuple["Expression", ...]
    type: ExpressionType = "boolean"


Expression: TypeAlias = Constant | Member | CallNode | CompareNode | Membership | Negation | Junction


def kind_of(type: ExpressionType) -> str:
    """Return what a type can be compared with: all numbers are of one kind, and so are dates and times."""
    return "number" if type in NUMBERS else "time" if type == "date" else type


def children(node: Expression) -> tuple[Expression, ...]:
    """Return the parts of an expression."""
    match node:
        case CallNode():
            return node.arguments
        case CompareNode():
            return (node.left, node.right)
        case Membership():
            return (node.item, *node.choices)
        case Negation():
            return (node.operand,)
        case Junction():
            return node.operands
    return ()


def walk(node: Expression) -> Iterator[Expression]:
    """Yield an expression and all parts of it."""
    yield node
    for part in children(node):
        yield from walk(part)


def count_steps(node: Expression | None) -> int:
    """Return how many steps it takes to evaluate an expression on a row, about."""
    return 1 if node is None else sum(1 for part in walk(node) if not isinstance(part, Constant))


def members_of(node: Expression | None) -> set[str]:
    """Return the names of the properties in an expression."""
    return set() if node is None else {part.prop.name for part in walk(node) if isinstance(part, Member)}


def join_conditions(*conditions: Expression | None) -> Expression | None:
    """Return the conjunction of the conditions that there are."""
    present = tuple(condition for condition in conditions if condition is not None)
    return Junction("and", present) if len(present) > 1 else present[0] if present else None


def as_time(value: date | datetime) -> datetime:
    """Return a date as the instant at which it begins in UTC, with which times are compared; a time as it is."""
    return value if isinstance(value, datetime) else datetime.combine(value, time.min, UTC)


# Of each function, the kinds of its arguments, how many of them may be left out, and its type. None: that of the argument.
Signature: TypeAlias = tuple[tuple[str, ...], int, str | None]
_TEXT_TEST: Signature = (("text", "text"), 0, "boolean")
_TEXT: Signature = (("text",), 0, "text")
_TIME_PART: Signature = (("time",), 0, "integer")
_ROUNDING: Signature = (("number",), 0, None)
FUNCTIONS: dict[str, Signature] = {
    "contains": _TEXT_TEST,
    "startswith": _TEXT_TEST,
    "endswith": _TEXT_TEST,
    "tolower": _TEXT,
    "toupper": _TEXT,
    "trim": _TEXT,
    "length": (("text",), 0, "integer"),
    "indexof": (("text", "text"), 0, "integer"),
    "substring": (("text", "number", "number"), 1, "text"),
    "concat": (("text", "text"), 0, "text"),
    "year": _TIME_PART,
    "month": _TIME_PART,
    "day": _TIME_PART,
    "hour": _TIME_PART,
    "minute": _TIME_PART,
    "second": _TIME_PART,
    "date": (("time",), 0, "date"),
    "round": _ROUNDING,
    "floor": _ROUNDING,
    "ceiling": _ROUNDING,
}
