"""Evaluate filters over many attributes for all accounts at once.

To join the values of each attribute to the accounts would leave it to the planner in which order and how, and a planner that
guesses wrongly compares every account with every other. Here nothing is joined: a row of the table `attribute` becomes a number
with a bit for each condition that its value satisfies, and the numbers of an account are added up. The conditions of one
attribute have bits of their own and an account has one value of it at a time, so the sum has the bits of all conditions that the
account satisfies: what the filter combines.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.accounts.filter_matching import combine_conditions, condition_to_sql
from app.accounts.filters import Condition, Filter

# Of a number; a bigint has 63 besides the sign.
_BITS = 62


@dataclass(frozen=True, slots=True)
class ConditionBits:
    """The conditions of filters, each with the bit that stands for it: `bits % 62` of the number `bits // 62`."""

    conditions: Sequence[Condition]
    _positions: Mapping[Any, int]

    @classmethod
    def of(cls, filters: Iterable[Filter]) -> "ConditionBits":
        """Return the bits of all conditions of some filters. The same condition has the same bit in all of them."""
        conditions: dict[Any, Condition] = {}
        for filter in filters:
            for condition in filter.conditions():
                conditions.setdefault(_identity(condition), condition)
        return cls(tuple(conditions.values()), {identity: number for number, identity in enumerate(conditions)})

    @property
    def names(self) -> list[str]:
        """The names of the columns that hold the numbers."""
        return [f"bits{number}" for number in range(-(-len(self.conditions) // _BITS))]

    def columns(self, key: Any, value: Any) -> list[sa.Label[int]]:
        """Return the numbers of a row of the table `attribute`, which have to be added up by account.

        key, value: the columns of that row.
        """
        numbers: list[dict[str, list[Any]]] = [{} for _ in self.names]
        for position, condition in enumerate(self.conditions):
            number, bit = divmod(position, _BITS)
            numbers[number].setdefault(condition.key, []).append(_bit_of(condition, bit, value))
        return [
            sa.cast(
                sa.case(*((key == name, _add(bits)) for name, bits in by_key.items()), else_=0), sa.BigInteger
            ).label(column)
            for column, by_key in zip(self.names, numbers, strict=True)
        ]

    def evaluate(self, filter: Filter, numbers: Sequence[Any]) -> sa.ColumnElement[bool]:
        """Return whether a filter selects an account, from its numbers, which must not be null."""

        def is_satisfied(condition: Condition) -> sa.ColumnElement[bool]:
            number, bit = divmod(self._positions[_identity(condition)], _BITS)
            is_set: sa.ColumnElement[bool] = numbers[number].op("&")(_literal(1 << bit)) != 0
            # The bit of this one says the opposite, since accounts without the attribute have no row and no bit.
            return sa.not_(is_set) if condition.operator == "is null" else is_set

        return combine_conditions(filter, is_satisfied)


def _identity(condition: Condition) -> Any:
    # True and 1 are the same key of a dict, but not the same value of an attribute.
    return condition, tuple(map(type, condition.values))


def _bit_of(condition: Condition, bit: int, value: Any) -> sa.ColumnElement[int]:
    is_true = condition_to_sql(condition, value)
    if condition.operator == "is null":
        is_true = sa.not_(is_true)
    return sa.case((is_true, _literal(1 << bit)), else_=_literal(0))


def _add(bits: Sequence[Any]) -> Any:
    total = bits[0]
    for bit in bits[1:]:
        total = total + bit
    return total


def _literal(number: int) -> Any:
    return sa.literal_column(f"{number}::bigint", sa.BigInteger)
