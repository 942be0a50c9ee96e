"""What formulas are made of: the kinds of operands, each a sum of ledger entries in its own way. Data only.

The own values of an account, `own_opening` and `own_closing`, can be compared, subtracted and combined to say which
accounts of a population are meant and what is summed over them.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Flow:
    """The sum of the entries of a measure within the period.

    any_subject: the measure that answers where subjects are not told apart, of which there are fewer entries.
    """

    measure: str
    any_subject: str | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """The sum of the entries of a stock before the period's start or, when it is `closing`, before its end."""

    measure: str
    closing: bool


@dataclass(frozen=True, slots=True)
class Users:
    """Distinct users who were there in the period, over the whole of it.

    any_subject: the presence that answers where subjects are not told apart. whole: never by subject or channel.
    """

    presence: str
    any_subject: str | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Registered:
    """Distinct users who were registered at any time of the period: at its start, or joined in it.

    stock: the measure of those who are registered; joined: what its measures by unit begin with. whole: never by subject
    or channel.
    """

    stock: str
    joined: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class AccountValue:
    """A value of one account's own, or a condition on such values: an operator and its parts."""

    operator: str
    parts: tuple[Any, ...]

    def __sub__(self, other: "AccountValue") -> "AccountValue":
        return AccountValue("-", (self, other))

    def __gt__(self, other: "AccountValue | int") -> "AccountValue":
        return AccountValue(">", (self, other))

    def __and__(self, other: "AccountValue") -> "AccountValue":
        return AccountValue("and", (self, other))

    def __or__(self, other: "AccountValue") -> "AccountValue":
        return AccountValue("or", (self, other))

    def __invert__(self) -> "AccountValue":
        return AccountValue("not", (self,))

    def __str__(self) -> str:
        if self.operator in ("opening", "closing"):
            return f"{self.operator} {self.parts[0]}"
        if self.operator == "not":
            return f"not {self.parts[0]}"
        return f" {self.operator} ".join(f"({p})" if _is_or(p) else str(p) for p in self.parts)

    @property
    def measures(self) -> frozenset[str]:
        """The measures whose balances it looks at."""
        if self.operator in ("opening", "closing"):
            return frozenset(self.parts)
        return frozenset().union(*(part.measures for part in self.parts if isinstance(part, AccountValue)))


def _is_or(part: Any) -> bool:
    return isinstance(part, AccountValue) and part.operator == "or"


def own_opening(measure: str) -> AccountValue:
    """An account's own balance at the period's start."""
    return AccountValue("opening", (measure,))


def own_closing(measure: str) -> AccountValue:
    """An account's own balance at the period's end."""
    return AccountValue("closing", (measure,))


@dataclass(frozen=True, slots=True)
class Population:
    """How many accounts satisfy a condition or, with `total`, the sum of a value of theirs over them.

    Only accounts whose balances move within the period are looked at: the condition has to be false for all others.
    """

    where: AccountValue
    total: AccountValue | None = None

    @property
    def measures(self) -> frozenset[str]:
        """The measures whose balances it looks at."""
        return self.where.measures | (self.total.measures if self.total else frozenset())


@dataclass(frozen=True, slots=True)
class Trailing:
    """The sum of what an operand comes to in each of the last whole calendar months up to the period's end.

    Accounts are in these months where the period has them: its groups do not change sides.
    """

    of: Balance | Population
    months: int


Operand: TypeAlias = Flow | Balance | Users | Registered | Population | Trailing
