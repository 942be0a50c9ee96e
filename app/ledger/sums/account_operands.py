"""The operands of formulas for every account on its own: of which parts each consists, and how it is computed from them.

It answers the same as `sum_operands` grouped by account does, for a window of days before each of several days.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from app.ledger.money import per_month
from app.ledger.sums.account_entries import EntrySum
from app.ledger.sums.account_sums import DayBound, Part, Window
from app.ledger.sums.account_totals import SumBeforeMonth
from app.ledger.sums.account_users import PresentUsers, RegisteredUsers
from app.ledger.sums.account_values import AccountValue
from app.ledger.sums.operand_sums import Operand
from app.ledger.sums.operands import Balance, Flow, Population, Registered, Trailing, Users

# The columns of parts, each with a value for every account.
Columns = Mapping[Part, Sequence[Any]]


class Narrowing(NamedTuple):
    """The subjects and channels to which an operand is narrowed; empty for all."""

    subjects: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


class OwnOperand(NamedTuple):
    """An operand of accounts: its parts, and the function of their columns that returns its column."""

    parts: Sequence[Part]
    compute: Callable[[Columns], Sequence[Any]]


def is_by_account(operand: Operand) -> bool:
    """Return whether an operand can be computed for every account on its own."""
    if isinstance(operand, Trailing):
        return is_by_account(operand.of)
    return isinstance(operand, (Flow, Balance, Users, Registered, Population))


def own_operand(operand: Operand, window: Window, narrowing: Narrowing) -> OwnOperand:
    """Return how an operand is computed over a window, for every account. Raises TypeError for one that cannot be."""
    subjects, channels = Narrowing() if operand.ignores_dimensions else narrowing
    own: OwnOperand
    match operand:
        case Flow(measure=measure, any_subject=any_subject):
            name = measure if subjects else any_subject or measure
            own = _single(EntrySum(name, window, subjects, channels))
        case Balance(measure=measure, closing=closing):
            own = sum_before(measure, window.end if closing else window.start, Narrowing(subjects, channels))
        case Users(presence=presence, any_subject=any_subject):
            own = _single(PresentUsers(presence if subjects else any_subject or presence, window, subjects))
        case Registered():
            own = _single(RegisteredUsers(window))
        case Population():
            own = _population(operand, window)
        case Trailing():
            own = _trailing(operand, window, narrowing)
        case _:
            raise TypeError(f"{type(operand).__name__} cannot be computed by account.")
    return _monthly(own) if operand.is_per_year else own


def sum_before(measure: str, bound: DayBound, narrowing: Narrowing) -> OwnOperand:
    """Return the sum of all entries of a measure before a day: of a stock its balance, of a flow all that ever happened."""
    month = SumBeforeMonth(measure, bound, *narrowing)
    if bound.months is not None:
        return _single(month)
    days = EntrySum(measure, Window(DayBound(bound.days, months=0), bound), *narrowing)
    return OwnOperand(
        [month, days], lambda columns: [a + b for a, b in zip(columns[month], columns[days], strict=True)]
    )


def _single(part: Part) -> OwnOperand:
    return OwnOperand([part], lambda columns: columns[part])


def _monthly(own: OwnOperand) -> OwnOperand:
    return OwnOperand(own.parts, lambda columns: [per_month(value) for value in own.compute(columns)])


def _population(operand: Population, window: Window) -> OwnOperand:
    """Return 1 or, with `total`, the value of the accounts that satisfy the condition, and 0 of all others."""
    balances = {
        (operator, measure): sum_before(measure, bound, Narrowing())
        for measure in sorted(operand.label_texts)
        for operator, bound in (("opening", window.start), ("closing", window.end))
    }
    positions = {key: position for position, key in enumerate(balances)}
    where = _evaluator(operand.where, positions)
    total = _evaluator(operand.total, positions) if operand.total else lambda _: 1
    parts = [part for own in balances.values() for part in own.parts]

    def compute(columns: Columns) -> list[Any]:
        rows = zip(*(own.compute(columns) for own in balances.values()), strict=True)
        return [total(row) if where(row) else 0 for row in rows]

    return OwnOperand(parts, compute)


_OPERATORS: dict[str, Callable[..., Any]] = {
    "-": lambda left, right: left - right,
    ">": lambda left, right: left > right,
    "and": lambda left, right: left and right,
    "or": lambda left, right: left or right,
    "not": lambda value: not value,
}


def _evaluator(value: AccountValue, positions: Mapping[tuple[str, str], int]) -> Callable[[Sequence[int]], Any]:
    """Return the function that computes an account's value from the row of its balances."""
    if (value.operator, value.parts[0]) in positions:
        position = positions[value.operator, value.parts[0]]
        return lambda row: row[position]
    operator = _OPERATORS[value.operator]
    parts = [_evaluator(part, positions) if isinstance(part, AccountValue) else _constant(part) for part in value.parts]
    return lambda row: operator(*(part(row) for part in parts))


def _constant(value: Any) -> Callable[[Sequence[int]], Any]:
    return lambda _: value


def _trailing(operand: Trailing, window: Window, narrowing: Narrowing) -> OwnOperand:
    """Return the sum of an operand over each of the last whole months before the window's end."""
    bounds = [DayBound(window.end.days, number) for number in range(operand.months, -1, -1)]
    months = [own_operand(operand.of, Window(start, end), narrowing) for start, end in pairwise(bounds)]
    parts = [part for month in months for part in month.parts]

    def compute(columns: Columns) -> list[Any]:
        return [sum(values) for values in zip(*(month.compute(columns) for month in months), strict=True)]

    return OwnOperand(parts, compute)
