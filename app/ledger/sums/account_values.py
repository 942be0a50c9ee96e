"""Values of a single account: its balances at the bounds of a span, and what can be computed from them.

They can be compared, subtracted and combined to say which accounts a population has and what is summed over them.
"""

from dataclasses import dataclass
from typing import Any

BALANCES = ("opening", "closing")


@dataclass(frozen=True, slots=True)
class AccountValue:
    """A value of one account, or a condition on such values: an operator and its parts.

    The parts of the operators `opening` and `closing` are the name of a measure; those of all others are values.
    """

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

    @property
    def measures(self) -> frozenset[str]:
        """The measures whose balances the value uses."""
        if self.operator in BALANCES:
            return frozenset(self.parts)
        return frozenset().union(*(part.measures for part in self.parts if isinstance(part, AccountValue)))


def own_opening(measure: str) -> AccountValue:
    """Return an account's own balance of a measure at the start of the period."""
    return AccountValue("opening", (measure,))


def own_closing(measure: str) -> AccountValue:
    """Return an account's own balance of a measure at the end of the period."""
    return AccountValue("closing", (measure,))


def own_flow(measure: str) -> AccountValue:
    """Return an account's own sum of a measure within the period."""
    return own_closing(measure) - own_opening(measure)
