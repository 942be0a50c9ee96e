"""What docs/metrics.md says of the use of the product, worked out from all uses and users."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from tests.model.events import AcceptedEvent, History
from tests.model.facts import (
    EVERY_SUBJECT,
    Fact,
    FactsByName,
    Formula,
    ModelMetric,
    Row,
    Span,
    combine,
    count,
    count_events,
    count_facts,
    events_where,
    has_type,
    over_events,
    ratio,
    wilson,
)


def _active(history: History, span: Span) -> Iterable[Fact]:
    return (Fact("active", user) for user in history.people.active(*span))


def _active_days(history: History, span: Span) -> Iterable[Fact]:
    return (Fact("days", day) for day in history.people.active_days(*span))


def registered(history: History, span: Span) -> Iterable[Fact]:
    return (Fact("registered", user) for user in history.people.registered(span.end))


def registered_in(history: History, span: Span) -> Iterable[Fact]:
    return (Fact("registered", user) for user in history.people.registered_in(*span))


def adopters(history: History, span: Span) -> Iterable[Fact]:
    """Who used which feature; who was active at all is not broken down by it."""
    for user, feature in history.people.adopters(*span):
        yield Fact("adopters", (history.account, user), feature)
    for user in history.people.active(*span):
        yield Fact("active", user, EVERY_SUBJECT)


def _seats(history: History, span: Span) -> Iterable[Fact]:
    yield Fact("seats", history.money.seats(span.end))


def _minutes(sessions: list[AcceptedEvent]) -> Row:
    seconds = sum(session.data["duration_seconds"] for session in sessions)
    return ratio(Fraction(seconds, 60), len(sessions), nothing="no_sessions")


def _per_user(part: Callable[[FactsByName], Any]) -> Formula:
    return lambda cell, span: ratio(part(cell), len(cell["active"]), nothing="no_active_users")


def _engagement(cell: FactsByName, span: Span) -> Row:
    active, registered = len(cell["active"]), len(cell["registered"])
    return ratio(active, registered, per=100, nothing="no_users", interval=wilson)


def _product_usage(cell: FactsByName, span: Span) -> Row:
    return ratio(len(cell["active"]), sum(cell["seats"]), per=100, nothing="no_seats")


def _stickiness(cell: FactsByName, span: Span) -> Row:
    days = (span.end - span.start).days
    average = Fraction(len(cell["days"]), days) if days else 0
    return ratio(average, len(cell["active"]), per=100, nothing="no_active_users")


def _adoption(cell: FactsByName, span: Span) -> Row:
    # One who used several features is one user of any of them.
    adopters, active = len(set(cell["adopters"])), len(cell["active"])
    return ratio(adopters, active, per=100, nothing="no_active_users", interval=wilson)


def _minutes_in_app(cell: FactsByName) -> Fraction:
    return Fraction(sum(kept.data["duration_seconds"] for kept in cell["events"]), 60)


_sessions = events_where(has_type("session.ended"))
USAGE = {
    "sessions": ModelMetric(_sessions, over_events(count_events)),
    "average_session_minutes": ModelMetric(_sessions, over_events(_minutes)),
    "feature_uses": ModelMetric(
        events_where(has_type("feature.used")),
        over_events(lambda events: count(sum(kept.data.get("count", 1) for kept in events))),
        ("subject",),
    ),
    "active_users": ModelMetric(_active, count_facts("active")),
    "registered_users": ModelMetric(registered, count_facts("registered")),
    "customer_engagement_rate": ModelMetric(combine(_active, registered_in), _engagement),
    "product_usage_rate": ModelMetric(combine(_active, _seats), _product_usage),
    "stickiness": ModelMetric(combine(_active, _active_days), _stickiness),
    "sessions_per_active_user": ModelMetric(combine(_sessions, _active), _per_user(lambda cell: len(cell["events"]))),
    "average_time_in_app_minutes": ModelMetric(combine(_sessions, _active), _per_user(_minutes_in_app)),
    "feature_adoption_rate": ModelMetric(adopters, _adoption, ("subject",)),
}
