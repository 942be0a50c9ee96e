"""What docs/metrics.md says of the use of the product, worked out from all uses and users."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from tests.model.events import History, Kept
from tests.model.facts import (
    EVERY,
    Cell,
    Fact,
    Formula,
    Metric,
    Row,
    Span,
    are,
    count,
    events_that,
    how_many,
    number,
    plain,
    ratio,
    together,
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
        yield Fact("active", user, EVERY)


def _seats(history: History, span: Span) -> Iterable[Fact]:
    yield Fact("seats", history.money.seats(span.end))


def _minutes(sessions: list[Kept]) -> Row:
    seconds = sum(session.data["duration_seconds"] for session in sessions)
    return ratio(Fraction(seconds, 60), len(sessions), nothing="no_sessions")


def _per_user(part: Callable[[Cell], Any]) -> Formula:
    return lambda cell, span: ratio(part(cell), len(cell["active"]), nothing="no_active_users")


def _engagement(cell: Cell, span: Span) -> Row:
    active, registered = len(cell["active"]), len(cell["registered"])
    return ratio(active, registered, per=100, nothing="no_users", interval=wilson)


def _product_usage(cell: Cell, span: Span) -> Row:
    return ratio(len(cell["active"]), sum(cell["seats"]), per=100, nothing="no_seats")


def _stickiness(cell: Cell, span: Span) -> Row:
    days = (span.end - span.start).days
    average = Fraction(len(cell["days"]), days) if days else 0
    return ratio(average, len(cell["active"]), per=100, nothing="no_active_users")


def _adoption(cell: Cell, span: Span) -> Row:
    # One who used several features is one user of any of them.
    adopters, active = len(set(cell["adopters"])), len(cell["active"])
    return ratio(adopters, active, per=100, nothing="no_active_users", interval=wilson)


def _minutes_in_app(cell: Cell) -> Fraction:
    return Fraction(sum(kept.data["duration_seconds"] for kept in cell["events"]), 60)


_sessions = events_that(are("session.ended"))
USAGE = {
    "sessions": Metric(_sessions, plain(how_many)),
    "average_session_minutes": Metric(_sessions, plain(_minutes)),
    "feature_uses": Metric(
        events_that(are("feature.used")),
        plain(lambda events: count(sum(kept.data.get("count", 1) for kept in events))),
        ("subject",),
    ),
    "active_users": Metric(_active, number("active")),
    "registered_users": Metric(registered, number("registered")),
    "customer_engagement_rate": Metric(together(_active, registered_in), _engagement),
    "product_usage_rate": Metric(together(_active, _seats), _product_usage),
    "stickiness": Metric(together(_active, _active_days), _stickiness),
    "sessions_per_active_user": Metric(together(_sessions, _active), _per_user(lambda cell: len(cell["events"]))),
    "average_time_in_app_minutes": Metric(together(_sessions, _active), _per_user(_minutes_in_app)),
    "feature_adoption_rate": Metric(adopters, _adoption, ("subject",)),
}
