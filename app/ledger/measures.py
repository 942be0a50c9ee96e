"""The catalogue of measures, the countable things that entries are about, and of the rules by which events post them.

It is filled at start by the vocabulary of events. A measure is a block of one line:

    sessions = measure("sessions", "Sessions that ended.")
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.ledger.surveys import Survey


@dataclass(frozen=True, slots=True)
class Measure:
    """A countable thing. `subject` says what a subject of it is (a survey, a feature); both dimensions may be absent."""

    name: str
    description: str
    subject: str | None = None
    channel: bool = False


class Fact(NamedTuple):
    """What a posting rule may look at of one event. `survey` is the definition that `data["survey"]` names."""

    type: str
    user_id: str | None
    data: Mapping[str, Any]
    survey: Survey | None = None


class Line(NamedTuple):
    """What one event adds to one measure on the day it is true of; counts, seconds, or ten-thousandths of money."""

    measure: Measure
    value: int
    subject: str = ""
    channel: str = ""


MEASURES: dict[str, Measure] = {}
RULES: dict[str, Callable[[Fact], Iterable[Line]]] = {}


def measure(name: str, description: str, *, subject: str | None = None, channel: bool = False) -> Measure:
    """Register a measure. Raises ValueError for a name that is taken."""
    if name in MEASURES:
        raise ValueError(f"The measure {name} exists already.")
    MEASURES[name] = Measure(name, description, subject, channel)
    return MEASURES[name]


def lines_of(fact: Fact) -> list[Line]:
    """What one event posts; nothing for an event whose type does not post directly."""
    rule = RULES.get(fact.type)
    return [line for line in rule(fact) if line.value] if rule else []
