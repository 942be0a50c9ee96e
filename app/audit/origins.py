"""From which events a metric's operands come: read off the catalogues, so that nothing is to be declared twice."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from app.ledger.measures import POSTING_RULES, Activity, EventView, Line, activities_of, lines_of
from app.ledger.registrations import ACTIVE_USERS
from app.ledger.streams import registration
from app.ledger.streams.define import STREAM_MEASURES
from app.ledger.sums.operands import Balance, Flow, Operand, Registered, Trailing, Users


class Days(NamedTuple):
    """The days `[start, end)` of a period, as far as they have come."""

    start: date
    end: date


class Side(NamedTuple):
    """The subjects and channels that are meant; none: all of them."""

    subjects: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    def takes(self, subject: str, channel: str = "") -> bool:
        return (not self.subjects or subject in self.subjects) and (not self.channels or channel in self.channels)


class Source(NamedTuple):
    """What makes an operand: entries of measures, or days of presences.

    whole: whatever their subject and channel. before: all that was before the period's end, not only what was in it.
    """

    names: frozenset[str]
    whole: bool
    before: bool

    def reaches(self, day: date, days: Days) -> bool:
        """Whether what is true of a day counts in the period."""
        return day < days.end and (self.before or day >= days.start)

    def has(self, name: str, side: Side, subject: str, channel: str = "") -> bool:
        return name in self.names and (self.whole or side.takes(subject, channel))


def source_of(operand: Operand) -> Source:
    """What makes an operand."""
    if isinstance(operand, Trailing):
        return source_of(operand.of)
    if isinstance(operand, Flow):
        return Source(frozenset({operand.measure}), whole=False, before=False)
    if isinstance(operand, Balance):
        return Source(frozenset({operand.measure}), whole=False, before=True)
    if isinstance(operand, Users):
        names = frozenset(filter(None, (operand.presence, operand.any_subject)))
        return Source(names, whole=operand.whole, before=False)
    if isinstance(operand, Registered):
        return Source(frozenset({operand.stock}), whole=True, before=True)
    return Source(operand.measures, whole=True, before=True)


@dataclass(frozen=True, slots=True)
class Origins:
    """The sources of a metric, and where to look for their events.

    types: of events that post by themselves or by presence; kinds: of streams; flowing: of these, those that post what
    counts within the period, whenever their events were.
    """

    sources: tuple[Source, ...]
    types: tuple[str, ...]
    kinds: tuple[str, ...]
    flowing: tuple[str, ...]

    def at_once(self, fact: EventView, day: date, days: Days, side: Side) -> bool:
        """Whether an event posts by itself, or by its user's presence, what counts in the period."""
        lines, seen = lines_of(fact), list(activities_of(fact))
        return any(
            source.reaches(day, days) and (_is_in(source, lines, side) or _is_seen(source, seen, side))
            for source in self.sources
        )

    def together(self, dated: Iterable[tuple[date, Line]], days: Days, side: Side) -> bool:
        """Whether what a stream posts counts in the period."""
        return any(
            source.reaches(day, days) and _is_in(source, [line], side) for day, line in dated for source in self.sources
        )


def _is_in(source: Source, lines: Iterable[Line], side: Side) -> bool:
    return any(source.has(line.measure.name, side, line.subject, line.channel) for line in lines)


def _is_seen(source: Source, seen: Sequence[Activity], side: Side) -> bool:
    # Who is seen to be active is registered by that.
    registered = registration.registered_users.name in source.names and any(
        one.presence.name == ACTIVE_USERS for one in seen
    )
    return registered or any(source.has(one.presence.name, side, one.subject) for one in seen)


def origins_of(operands: Iterable[Operand]) -> Origins:
    """Where the events of operands are to be looked for."""
    sources = tuple(source_of(operand) for operand in operands)
    names = frozenset().union(*(source.names for source in sources))
    kinds = {kind: measures & names for kind, measures in STREAM_MEASURES.items()}
    active = {ACTIVE_USERS} if registration.registered_users.name in names else set()
    types = [type for type, rule in POSTING_RULES.items() if rule.targets & (names | active)]
    flows = frozenset().union(*(source.names for source in sources if not source.before))
    found = tuple(kind for kind, named in kinds.items() if named)
    return Origins(sources, tuple(types), found, tuple(kind for kind in found if kinds[kind] & flows))
