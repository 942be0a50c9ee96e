"""The metrics of product usage by docs/metrics.md, computed from all events of all users."""

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


def _active_users(history: History, span: Span) -> Iterable[Fact]:
    return (Fact("active", user) for user in history.people.active(*span))


def _active_days(history: History, span: Span) -> Iterable[Fact]:
    return (Fact("days", day) for day in history.people.active_days(*span))


def registered_users(history: History, span: Span) -> Iterable[Fact]:
    return (Fact("registered", user) for user in history.people.registered(span.end))


def registered_users_in(history: History, span: Span) -> Iterable[Fact]:
    return (Fact("registered", user) for user in history.people.registered_in(*span))


def adopters(history: History, span: Span) -> Iterable[Fact]:
    """Yield who used which feature, and who was active, which is not broken down by feature."""
    for user, feature in history.people.adopters(*span):
        yield Fact("adopters", (history.account, user), feature)
    for user in history.people.active(*span):
        yield Fact("active", user, EVERY_SUBJECT)


def _seats(history: History, span: Span) -> Iterable[Fact]:
    yield Fact("seats", history.money.seats(span.end))


def _minutes(sessions: list[AcceptedEvent]) -> Row:
    seconds = sum(session.data["duration_seconds"] for session in sessions)
    return ratio(Fraction(seconds, 60), len(sessions), if_empty="no_sessions")


def _per_user(part: Callable[[FactsByName], Any]) -> Formula:
    return lambda facts, span: ratio(part(facts), len(facts["active"]), if_empty="no_active_users")


def _engagement(facts: FactsByName, span: Span) -> Row:
    active, registered = len(facts["active"]), len(facts["registered"])
    return ratio(active, registered, per=100, if_empty="no_users", interval=wilson)


def _product_usage(facts: FactsByName, span: Span) -> Row:
    return ratio(len(facts["active"]), sum(facts["seats"]), per=100, if_empty="no_seats")


def _stickiness(facts: FactsByName, span: Span) -> Row:
    days = (span.end - span.start).days
    average = Fraction(len(facts["days"]), days) if days else 0
    return ratio(average, len(facts["active"]), per=100, if_empty="no_active_users")


def _adoption(facts: FactsByName, span: Span) -> Row:
    # A user of several features is one user of any of them.
    adopters, active = len(set(facts["adopters"])), len(facts["active"])
    return ratio(adopters, active, per=100, if_empty="no_active_users", interval=wilson)


def _minutes_in_app(facts: FactsByName) -> Fraction:
    return Fraction(sum(event.data["duration_seconds"] for event in facts["events"]), 60)


_sessions = events_where(has_type("session.ended"))
USAGE = {
    "sessions": ModelMetric(_sessions, over_events(count_events)),
    "average_session_minutes": ModelMetric(_sessions, over_events(_minutes)),
    "feature_uses": ModelMetric(
        events_where(has_type("feature.used")),
        over_events(lambda events: count(sum(event.data.get("count", 1) for event in events))),
        ("subject",),
    ),
    "active_users": ModelMetric(_active_users, count_facts("active")),
    "registered_users": ModelMetric(registered_users, count_facts("registered")),
    "customer_engagement_rate": ModelMetric(combine(_active_users, registered_users_in), _engagement),
    "product_usage_rate": ModelMetric(combine(_active_users, _seats), _product_usage),
    "active_user_days": ModelMetric(_active_days, count_facts("days")),
    "stickiness": ModelMetric(combine(_active_users, _active_days), _stickiness),
    "sessions_per_active_user": ModelMetric(
        combine(_sessions, _active_users), _per_user(lambda facts: len(facts["events"]))
    ),
    "average_time_in_app_minutes": ModelMetric(combine(_sessions, _active_users), _per_user(_minutes_in_app)),
    "feature_adoption_rate": ModelMetric(adopters, _adoption, ("subject",)),
}
