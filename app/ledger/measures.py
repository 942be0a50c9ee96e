"""The catalogue of measures, and of the posting rules that say how events reach them.

A measure is declared once, in one line beside the event type or the stream that posts it:

    sessions = measure("sessions", "Sessions that ended.")

A posting rule belongs to an event type (`@event(...)`, see `app.ingest.define`). For example, a `feature.used` event of user
ada, with the feature `export` used 3 times, has a rule by which

- `lines` posts 3 for the measure `feature_uses` with the subject `export`, and 3 for `any_feature_uses`;
- `activities` marks ada as active on that day in the product (`active_users`), with any feature, and with `export`;
- `stream` is absent: the event is complete in itself. A `ticket.resolved` event has only that: it belongs to the stream
  `ticket 17`, whose events are looked at together.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from app.core.periods import UNITS
from app.ledger.surveys import Survey


@dataclass(frozen=True, slots=True)
class Measure:
    """Something countable. Its values are integers: counts, seconds, or money in ten-thousandths of the base currency.

    subject: what it can be broken down by besides the account (a survey, a feature). channel: whether also by channel.
    by_month: whether monthly totals are kept; a measure that is only asked for by days or weeks needs none.
    stock: whether its balance is asked for and not its flow; then the totals are cumulated within the year.
    per_year: whether it is money per month that is kept as money per year, so that nothing is rounded before it is added up;
    its sums are exact twelfths.
    """

    name: str
    description: str
    subject: str | None = None
    channel: bool = False
    by_month: bool = True
    stock: bool = False
    per_year: bool = False


@dataclass(frozen=True, slots=True)
class Presence:
    """Distinct users who were active. `units` are its measures by unit: users, on their first active day in the unit."""

    name: str
    description: str
    subject: str | None
    units: Mapping[str, Measure]


class EventView(NamedTuple):
    """What a posting rule may use of an event.

    survey: the survey that `data["survey"]` names. rate: the value of one unit of the event's currency in the base currency;
    None when it is the base currency. whole_business: whether the event has no account.
    """

    type: str
    user_id: str | None
    data: Mapping[str, Any]
    survey: Survey | None = None
    rate: Decimal | None = None
    whole_business: bool = False
    id: str = ""


class Line(NamedTuple):
    """A value that is added to one measure."""

    measure: Measure
    value: int
    subject: str = ""
    channel: str = ""


class Activity(NamedTuple):
    """Says that the event's user was active on its day: in the product, or with a subject of it (a feature)."""

    presence: Presence
    subject: str = ""


@dataclass(frozen=True, slots=True)
class PostingRule:
    """How events of a type reach the ledger; the module's docstring has an example.

    rank: orders events of the same instant; those that start or change something come before those that end it.
    lines: returns the lines that an event posts directly. activities: returns where its user was active.
    stream: returns the name of the event's stream, or None. A name is a kind, followed by a space and what it is about if the
    account has several streams of the kind: `subscriptions`, `user ada`, `ticket 17`.
    sequence: returns the name of the event's sequence, a stream that is not stored with the event; see `ledger.sequences`.
    targets: the names of the measures and presences that `lines` and `activities` post to, recorded by `ledger.recording`.
    """

    rank: int = 0
    lines: Callable[[EventView], Iterable[Line]] | None = None
    activities: Callable[[EventView], Iterable[Activity]] | None = None
    stream: Callable[[EventView], str | None] | None = None
    sequence: Callable[[EventView], str] | None = None
    targets: frozenset[str] = frozenset()


# Units that lie entirely within a longer one. The first day in the longer one is also the first in them, and is entered only
# under the longer one.
LONGER_UNIT = {"month": "quarter", "quarter": "year"}

MEASURES: dict[str, Measure] = {}
PRESENCES: dict[str, Presence] = {}
POSTING_RULES: dict[str, PostingRule] = {}
_EMPTY_RULE = PostingRule()


def measure(
    name: str,
    description: str,
    *,
    subject: str | None = None,
    channel: bool = False,
    by_month: bool = True,
    stock: bool = False,
    per_year: bool = False,
) -> Measure:
    """Register a measure; see `Measure`. Raises ValueError for a name that exists."""
    if name in MEASURES:
        raise ValueError(f"Measure {name!r} exists already.")
    MEASURES[name] = Measure(name, description, subject, channel, by_month, stock, per_year)
    return MEASURES[name]


def related_measures(names: Iterable[str], dimension: str) -> frozenset[str]:
    """Return the measures of these names and all others with subjects of the same kind or, for channels, with those as well.

    So a ticket's channel is known before the first ticket is resolved, and a survey's before the first response to it.
    """
    names = frozenset(names)
    kinds = {MEASURES[name].subject for name in names if name in MEASURES and _has(MEASURES[name], dimension)}
    return names | {m.name for m in MEASURES.values() if m.subject in kinds and _has(m, dimension)}


def _has(measure: Measure, dimension: str) -> bool:
    return measure.channel if dimension == "channel" else measure.subject is not None


def measures_by_unit(
    name: str, description: str, *, subject: str | None = None, units: Iterable[str] = UNITS, days: bool = False
) -> dict[str, Measure]:
    """Register a measure for each unit of time, `{name}_day` to `{name}_year`; `{unit}` in the description is replaced.

    days: whether the measure of days has monthly totals, which user-days of a month need.

    The measure of a unit that lies within a longer one does not contain the first days of the longer one: see `entry_units`.
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
    """Yield the units under which the first days in a unit are entered: its own, and the longer ones that contain it."""
    longer: str | None = unit
    while longer:
        yield longer
        longer = LONGER_UNIT.get(longer)


def presence(
    name: str, description: str, *, subject: str | None = None, units: Iterable[str] = UNITS, days: bool = False
) -> Presence:
    """Register a presence with its measures, see `measures_by_unit`.

    units: those that have a measure. In other units, and in ranges that are no units, users are counted one by one: slower to
    read, but every unit costs a write for each active user.
    """
    by_unit = f"{description.removesuffix('.')} in a {{unit}}, counted on the first such day."
    measures = measures_by_unit(name, by_unit, subject=subject, units=units, days=days)
    PRESENCES[name] = Presence(name, description, subject, measures)
    return PRESENCES[name]


def rank_of(type: str) -> int:
    """Return the rank of an event type among events of the same instant."""
    return POSTING_RULES.get(type, _EMPTY_RULE).rank


def lines_of(event: EventView) -> list[Line]:
    """Return the lines that an event posts directly, without lines of zero."""
    lines = POSTING_RULES.get(event.type, _EMPTY_RULE).lines
    return [line for line in lines(event) if line.value] if lines else []


def activities_of(event: EventView) -> Iterable[Activity]:
    """Return where the event's user was active."""
    activities = POSTING_RULES.get(event.type, _EMPTY_RULE).activities
    return activities(event) if activities else ()


def stream_name_of(event: EventView) -> str | None:
    """Return the name of the stream that an event belongs to; None for an event that belongs to no stream."""
    stream = POSTING_RULES.get(event.type, _EMPTY_RULE).stream
    return stream(event) if stream else None


def sequence_name_of(event: EventView) -> str | None:
    """Return the name of the sequence that an event belongs to; None for an event that belongs to none."""
    sequence = POSTING_RULES.get(event.type, _EMPTY_RULE).sequence
    return sequence(event) if sequence else None
