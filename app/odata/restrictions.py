"""What a filter demands of single properties, so that rows that it cannot select are not loaded in the first place."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import Any, NamedTuple

from app.odata.expressions import CompareNode, Constant, Expression, Junction, Member, Membership, Negation, walk

_DAY = timedelta(days=1)
_OPPOSITES = {"eq": "ne", "ne": "eq", "gt": "le", "ge": "lt", "lt": "ge", "le": "gt"}
_MIRRORED = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}


class DayWindow(NamedTuple):
    """The days on which the periods lie that a filter can select: they end after `low` and begin before `high`.

    None: no limit.
    """

    low: date | None = None
    high: date | None = None

    def intersect(self, other: "DayWindow") -> "DayWindow":
        lows = [own for own in (self.low, other.low) if own is not None]
        highs = [own for own in (self.high, other.high) if own is not None]
        return DayWindow(max(lows, default=None), min(highs, default=None))

    def unite(self, other: "DayWindow") -> "DayWindow":
        low = None if self.low is None or other.low is None else min(self.low, other.low)
        high = None if self.high is None or other.high is None else max(self.high, other.high)
        return DayWindow(low, high)


def allowed_values(node: Expression | None, name: str, *, is_wanted: bool = True) -> frozenset[Any] | None:
    """Return the values of a property for which a condition may be true; None where that is not limited.

    is_wanted: False for those for which it may be false.
    """
    if isinstance(node, Negation):
        return allowed_values(node.operand, name, is_wanted=not is_wanted)
    if isinstance(node, Junction):
        parts = [allowed_values(operand, name, is_wanted=is_wanted) for operand in node.operands]
        if (node.operator == "and") == is_wanted:
            limits = [own for own in parts if own is not None]
            return frozenset.intersection(*limits) if limits else None
        return None if None in parts else frozenset().union(*(own for own in parts if own is not None))
    if isinstance(node, CompareNode) and (pair := _pair(node)) is not None:
        member, operator, constant = pair
        if member.prop.name == name and operator == ("eq" if is_wanted else "ne"):
            return frozenset([constant.value])
    if isinstance(node, Membership) and is_wanted and _is_member(node.item, name):
        return frozenset(choice.value for choice in node.choices)
    return None


def _is_member(node: Expression, name: str) -> bool:
    return isinstance(node, Member) and node.prop.name == name


def _pair(node: CompareNode) -> tuple[Member, str, Constant] | None:
    """Return the property, the operator and the constant of a comparison of these two, the property on the left."""
    match node.left, node.right:
        case Member(), Constant():
            return node.left, node.operator, node.right
        case Constant(), Member():
            return node.right, _MIRRORED.get(node.operator, node.operator), node.left
    return None


def mentioned_values(node: Expression | None, name: str) -> Iterator[Any]:
    """Yield all constants that a property is compared with for equality, wherever in the condition."""
    for part in () if node is None else walk(node):
        if isinstance(part, CompareNode) and (pair := _pair(part)) is not None:
            member, operator, constant = pair
            if member.prop.name == name and operator in ("eq", "ne"):
                yield constant.value
        elif isinstance(part, Membership) and _is_member(part.item, name):
            yield from (choice.value for choice in part.choices)


# Returns the days of the period with a name, None for another text.
DaysOfPeriod = Callable[[str], tuple[date, date] | None]


def allowed_days(node: Expression | None, days_of: DaysOfPeriod, *, is_wanted: bool = True) -> DayWindow:
    """Return the days of the periods for which a condition on `start`, `start_at`, `end` or `period` may be true."""
    if isinstance(node, Negation):
        return allowed_days(node.operand, days_of, is_wanted=not is_wanted)
    if isinstance(node, Junction):
        windows = (allowed_days(operand, days_of, is_wanted=is_wanted) for operand in node.operands)
        is_conjunction = (node.operator == "and") == is_wanted
        return reduce(DayWindow.intersect if is_conjunction else DayWindow.unite, windows)
    if isinstance(node, CompareNode) and (pair := _pair(node)) is not None:
        member, operator, constant = pair
        return _window(member.prop.name, operator if is_wanted else _OPPOSITES[operator], constant.value, days_of)
    if isinstance(node, Membership) and isinstance(node.item, Member) and is_wanted:
        name = node.item.prop.name
        return reduce(DayWindow.unite, (_window(name, "eq", choice.value, days_of) for choice in node.choices))
    return DayWindow()


def _window(name: str, operator: str, value: Any, days_of: DaysOfPeriod) -> DayWindow:
    if name == "period" and operator == "eq" and isinstance(value, str):
        return DayWindow(*(days_of(value) or (None, None)))
    if name not in ("start", "start_at", "end") or value is None:
        return DayWindow()
    first, last = _days(value)
    try:
        return _END_WINDOWS[operator](first, last) if name == "end" else _START_WINDOWS[operator](first, last)
    except OverflowError:
        return DayWindow()


def _days(value: date | datetime) -> tuple[date, date]:
    """Return the last day that begins at or before a time in UTC, and the first that begins at or after it."""
    if not isinstance(value, datetime):
        return value, value
    instant = value.astimezone(UTC)
    day = instant.date()
    begins = (instant.hour, instant.minute, instant.second, instant.microsecond) == (0, 0, 0, 0)
    return day, day if begins or day == date.max else day + _DAY


_Windows = dict[str, Callable[[date, date], DayWindow]]
# By how the first day of a period is compared. first, last: as `_days` returns them.
_START_WINDOWS: _Windows = {
    "eq": lambda first, last: DayWindow(first, first + _DAY),
    "ne": lambda first, last: DayWindow(),
    "gt": lambda first, last: DayWindow(first, None),
    "ge": lambda first, last: DayWindow(first, None),
    "lt": lambda first, last: DayWindow(None, last),
    "le": lambda first, last: DayWindow(None, first + _DAY),
}
# By how the day after the last day of a period is compared.
_END_WINDOWS: _Windows = {
    "eq": lambda first, last: DayWindow(first - _DAY, first),
    "ne": lambda first, last: DayWindow(),
    "gt": lambda first, last: DayWindow(first, None),
    "ge": lambda first, last: DayWindow(first - _DAY, None),
    "lt": lambda first, last: DayWindow(None, last),
    "le": lambda first, last: DayWindow(None, last),
}
