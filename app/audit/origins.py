"""The origins of a metric: the event types and streams whose postings make its operands.

They are read from the catalogues of event types, streams and metrics, so that nothing has to be declared twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from app.ledger.measures import POSTING_RULES, Activity, EventView, Line, activities_of, lines_of
from app.ledger.registrations import ACTIVE_USERS
from app.ledger.streams import invitations, registration
from app.ledger.streams.define import STREAM_MEASURES
from app.ledger.sums.operand_sums import Operand

# An event about a subscription may say that something changed before it.
_BACKDATING_KINDS = frozenset({"subscriptions"})


class Days(NamedTuple):
    """The days `[start, end)` of a period that count so far."""

    start: date
    end: date


class DimensionFilter(NamedTuple):
    """The subjects and channels that a number is about; empty means all of them."""

    subjects: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    def includes(self, subject: str, channel: str = "") -> bool:
        return self.includes_subject(subject) and (not self.channels or channel in self.channels)

    def includes_subject(self, subject: str) -> bool:
        return not self.subjects or subject in self.subjects


class Source(NamedTuple):
    """What makes an operand: postings to measures and presences, and which of them count.

    is_cumulative: also those before the period. ignores_dimensions: those of all subjects and channels.
    """

    postings: frozenset[str]
    is_cumulative: bool
    ignores_dimensions: bool

    def counts_on(self, day: date, days: Days) -> bool:
        """Return whether what is true of a day counts in the period."""
        return day < days.end and (self.is_cumulative or day >= days.start)

    def includes(self, name: str, dimensions: DimensionFilter, subject: str, channel: str = "") -> bool:
        """Return whether a posting to the measure or presence of that name counts."""
        return name in self.postings and (self.ignores_dimensions or dimensions.includes(subject, channel))

    def includes_any_line(self, lines: Iterable[Line], dimensions: DimensionFilter) -> bool:
        return any(self.includes(line.measure.name, dimensions, line.subject, line.channel) for line in lines)

    def includes_any_activity(self, activities: Sequence[Activity], dimensions: DimensionFilter) -> bool:
        # A user who is active becomes registered by that.
        if registration.registered_users.name in self.postings and any(
            activity.presence.name == ACTIVE_USERS for activity in activities
        ):
            return True
        return any(self.includes(activity.presence.name, dimensions, activity.subject) for activity in activities)


@dataclass(frozen=True, slots=True)
class Origins:
    """The sources of a metric's operands, and where to look for the events behind them.

    event_types: the types whose events post by themselves or by presence. stream_kinds: the kinds of streams that post.
    flow_kinds: those of them whose events count whenever they happened, if what the stream posts lies in the period.
    sequence_types: the types whose events belong to a sequence that posts.
    """

    sources: tuple[Source, ...]
    event_types: tuple[str, ...]
    stream_kinds: tuple[str, ...]
    flow_kinds: tuple[str, ...]
    sequence_types: tuple[str, ...]

    @property
    def backdating_kinds(self) -> frozenset[str]:
        """The kinds of streams whose events may change what is true of earlier days."""
        return _BACKDATING_KINDS.intersection(self.stream_kinds)

    @property
    def are_cumulative(self) -> bool:
        """Whether events from before the period count, too."""
        return any(source.is_cumulative for source in self.sources)

    def include_event(self, event: EventView, day: date, days: Days, dimensions: DimensionFilter) -> bool:
        """Return whether an event posts by itself, or by its user's presence, something that counts in the period."""
        lines, activities = lines_of(event), list(activities_of(event))
        return any(
            source.counts_on(day, days)
            and (source.includes_any_line(lines, dimensions) or source.includes_any_activity(activities, dimensions))
            for source in self.sources
        )

    def include_line(self, line: tuple[date, Line], days: Days, dimensions: DimensionFilter) -> bool:
        """Return whether a dated line of a stream counts in the period."""
        return any(
            source.counts_on(line[0], days) and source.includes_any_line([line[1]], dimensions)
            for source in self.sources
        )


def origins_of(operands: Iterable[Operand]) -> Origins:
    """Return the origins of a metric's operands."""
    sources = tuple(Source(o.postings, o.is_cumulative, o.ignores_dimensions) for o in operands)
    postings = frozenset().union(*(source.postings for source in sources))
    active = {ACTIVE_USERS} if registration.registered_users.name in postings else set()
    event_types = tuple(type for type, rule in POSTING_RULES.items() if rule.targets & (postings | active))
    kinds = {kind: measures & postings for kind, measures in STREAM_MEASURES.items() if measures & postings}
    flows = frozenset().union(*(source.postings for source in sources if not source.is_cumulative))
    flow_kinds = tuple(kind for kind, measures in kinds.items() if measures & flows)
    sequence_types = invitations.TYPES if invitations.KIND in kinds else ()
    return Origins(sources, event_types, tuple(kinds), flow_kinds, sequence_types)
