"""The metrics of tickets, goals and onboardings by docs/metrics.md: how those that were started in the period ended."""

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.model.events import History
from tests.model.facts import (
    Fact,
    Facts,
    FactsByName,
    Formula,
    ModelMetric,
    Row,
    Span,
    combine,
    count_facts,
    ratio,
    wilson,
)
from tests.model.lifecycles import Attempt


def _within(span: Span, day: date) -> bool:
    return span.start <= day < span.end


def _opened_tickets(history: History, span: Span) -> Iterable[Fact]:
    for ticket in history.tickets:
        if _within(span, history.calendar.day(ticket.opened)):
            yield Fact("opened", ticket, channel=ticket.channel)


def _resolved_tickets(history: History, span: Span) -> Iterable[Fact]:
    return (fact for fact in _opened_tickets(history, span) if fact.value.resolved)


def _open_tickets(history: History, span: Span) -> Iterable[Fact]:
    """Yield the tickets that are open at the end of the period."""
    for ticket in history.tickets:
        states = [is_open for at, is_open in ticket.changes if history.calendar.day(at) < span.end]
        if states and states[-1]:
            yield Fact("open", ticket, channel=ticket.channel)


def _customers(history: History, span: Span) -> Iterable[Fact]:
    yield Fact("customers", history.money.mrr(span.end) > 0)


def _per_100_customers(facts: FactsByName, span: Span) -> Row:
    return ratio(len(facts["opened"]), len(facts["customers"]), per=100, if_empty="no_customers")


def _at_first_contact(facts: FactsByName, span: Span) -> Row:
    opened = facts["opened"]
    resolved = sum(ticket.at_first_contact for ticket in opened)
    return ratio(resolved, len(opened), per=100, if_empty="no_tickets", interval=wilson)


def _resolution_hours(facts: FactsByName, span: Span) -> Row:
    hours = Fraction(sum(_seconds(ticket.opened, ticket.resolved) for ticket in facts["opened"]), 3600)
    return ratio(hours, len(facts["opened"]), if_empty="no_tickets_resolved")


def _seconds(since: datetime, until: datetime) -> int:
    return (until - since) // timedelta(seconds=1)


def _attempts(attempts_of: Callable[[History], list[Attempt]], *, completed: bool = False) -> Facts:
    """Return the facts `attempts`: those that were started in the period; completed: only those that were completed."""

    def facts(history: History, span: Span) -> Iterable[Fact]:
        for attempt in attempts_of(history):
            if _within(span, history.calendar.day(attempt.started)) and (attempt.completed or not completed):
                yield Fact("attempts", attempt, attempt.subject)

    return facts


def _completion_rate(if_empty: str) -> Formula:
    def formula(facts: FactsByName, span: Span) -> Row:
        completed = [attempt for attempt in facts["attempts"] if attempt.completed]
        return ratio(len(completed), len(facts["attempts"]), per=100, if_empty=if_empty, interval=wilson)

    return formula


def _days_to_value(facts: FactsByName, span: Span) -> Row:
    seconds: Any = sum(_seconds(attempt.started, attempt.completed) for attempt in facts["attempts"])
    return ratio(Fraction(seconds, 86400), len(facts["attempts"]), if_empty="no_onboardings_completed")


_CHANNEL = ("channel",)
OUTCOMES = {
    "support_tickets": ModelMetric(_opened_tickets, count_facts("opened"), _CHANNEL),
    "tickets_per_100_customers": ModelMetric(combine(_opened_tickets, _customers), _per_100_customers),
    "first_contact_resolution_rate": ModelMetric(_opened_tickets, _at_first_contact, _CHANNEL),
    "average_resolution_hours": ModelMetric(_resolved_tickets, _resolution_hours, _CHANNEL),
    "ticket_backlog": ModelMetric(_open_tickets, count_facts("open"), _CHANNEL),
    "conversion_rate": ModelMetric(
        _attempts(lambda history: history.goals), _completion_rate("nobody_entered"), ("subject",)
    ),
    "onboarding_completion_rate": ModelMetric(
        _attempts(lambda history: history.onboardings), _completion_rate("no_onboardings")
    ),
    "time_to_value_days": ModelMetric(_attempts(lambda history: history.onboardings, completed=True), _days_to_value),
}
