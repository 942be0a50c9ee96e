"""The catalogue of measures, the countable things that entries are about, and of how each type of event reaches them.

It is filled at start by the vocabulary of events and by the streams. A measure is a block of one line:

    sessions = measure("sessions", "Sessions that ended.")
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from app.core.periods import UNITS
from app.ledger.surveys import Survey


@dataclass(frozen=True, slots=True)
class Measure:
    """A countable thing. `subject` says what a subject of it is (a survey, a feature); both dimensions may be absent.

    by_month: whether monthly totals of it are kept; what is only ever asked by days or weeks needs none. stock: what it
    stands at is asked, not how much came: its totals are cumulated within the year.
    """

    name: str
    description: str
    subject: str | None = None
    channel: bool = False
    by_month: bool = True
    stock: bool = False


@dataclass(frozen=True, slots=True)
class Presence:
    """Distinct users who were there. `units` are its measures: users by the first day on which they were there in it."""

    name: str
    description: str
    subject: str | None
    units: Mapping[str, Measure]


class EventView(NamedTuple):
    """What a posting rule may look at of one event. `survey` is the definition that `data["survey"]` names.

    rate: what one unit of its currency is worth; None when it is the base currency. whole_business: it has no account.
    """

    type: str
    user_id: str | None
    data: Mapping[str, Any]
    survey: Survey | None = None
    rate: Decimal | None = None
    whole_business: bool = False
    id: str = ""


class Line(NamedTuple):
    """What is added to one measure on the day it is true of; counts, seconds, or ten-thousandths of money."""

    measure: Measure
    value: int
    subject: str = ""
    channel: str = ""


class Activity(NamedTuple):
    """That the event's user was there on its day, in the product or at a subject of it."""

    presence: Presence
    subject: str = ""


@dataclass(frozen=True, slots=True)
class PostingRule:
    """How events of a type reach the ledger: directly, by presence, and through the stream that `stream` names.

    rank: orders the events of one instant, starts and changes before ends. A stream's name is its kind's and, after a
    space, what it is about: `subscriptions`, `user ada`, `ticket 17`; an event may be of none.
    """

    rank: int = 0
    directly: Callable[[EventView], Iterable[Line]] | None = None
    sees: Callable[[EventView], Iterable[Activity]] | None = None
    stream: Callable[[EventView], str | None] | None = None
    # The names of the measures and presences that `directly` and `sees` post to.
    targets: frozenset[str] = frozenset()


# Units that lie wholly in a longer one: the first day in this is also the first in them, and is entered under this alone.
LONGER_UNIT = {"month": "quarter", "quarter": "year"}

MEASURES: dict[str, Measure] = {}
PRESENCES: dict[str, Presence] = {}
POSTING_RULES: dict[str, PostingRule] = {}
_NOTHING = PostingRule()


def measure(
    name: str,
    description: str,
    *,
    subject: str | None = None,
    channel: bool = False,
    by_month: bool = True,
    stock: bool = False,
) -> Measure:
    """Register a measure. Raises ValueError for a name that is taken."""
    if name in MEASURES:
        raise ValueError(f"The measure {name} exists already.")
    MEASURES[name] = Measure(name, description, subject, channel, by_month, stock)
    return MEASURES[name]


def measures_by_unit(
    name: str, description: str, *, subject: str | None = None, units: Iterable[str] = UNITS, days: bool = False
) -> dict[str, Measure]:
    """Register a measure for each unit of time, `name_day` to `name_year`. days: whether user-days are asked by months.

    Of a unit within others it has those first days that are not the first in the longer one: see `entry_units`.
    """
    return {
        unit: measure(
            f"{name}_{unit}",
            description.format(unit=unit)
            + (f" Entries of the {LONGER_UNIT[unit]}'s measure count here, too." if unit in LONGER_UNIT else ""),
            subject=subject,
            by_month=unit != "week" and (unit != "day" or days),
        )
        for unit in units
    }


def entry_units(unit: str) -> Iterator[str]:
    """The units under which first days in a unit are entered: its own, and the longer ones that it lies in."""
    longer: str | None = unit
    while longer:
        yield longer
        longer = LONGER_UNIT.get(longer)


def presence(
    name: str, description: str, *, subject: str | None = None, units: Iterable[str] = UNITS, days: bool = False
) -> Presence:
    """Register a presence with its measures.

    units: those that have a measure. In others, as in odd ranges, users are counted one by one: slower to read, but each
    unit more is to be written whenever a user is there.
    """
    by_unit = f"{description.removesuffix('.')} in a {{unit}}, counted on the first such day."
    measures = measures_by_unit(name, by_unit, subject=subject, units=units, days=days)
    PRESENCES[name] = Presence(name, description, subject, measures)
    return PRESENCES[name]


def rank_of(type: str) -> int:
    """Where events of a type stand among those of the same instant."""
    return POSTING_RULES.get(type, _NOTHING).rank


def lines_of(fact: EventView) -> list[Line]:
    """What one event posts by itself."""
    directly = POSTING_RULES.get(fact.type, _NOTHING).directly
    return [line for line in directly(fact) if line.value] if directly else []


def activities_of(fact: EventView) -> Iterable[Activity]:
    """Where one event saw its user."""
    sees = POSTING_RULES.get(fact.type, _NOTHING).sees
    return sees(fact) if sees else ()


def stream_name_of(fact: EventView) -> str | None:
    """The stream with whose other events one event has to be seen."""
    stream = POSTING_RULES.get(fact.type, _NOTHING).stream
    return stream(fact) if stream else None
