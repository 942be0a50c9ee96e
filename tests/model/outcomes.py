"""What docs/metrics.md says of tickets, goals and onboardings: of those begun in the period, what became of them."""

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


def _opened(history: History, span: Span) -> Iterable[Fact]:
    for ticket in history.tickets:
        if _within(span, history.calendar.day(ticket.opened)):
            yield Fact("opened", ticket, channel=ticket.channel)


def _opened_and_resolved(history: History, span: Span) -> Iterable[Fact]:
    return (fact for fact in _opened(history, span) if fact.what.resolved)


def _backlog(history: History, span: Span) -> Iterable[Fact]:
    """Which tickets are open when the day after the period begins."""
    for ticket in history.tickets:
        so_far = [is_open for at, is_open in ticket.turns if history.calendar.day(at) < span.end]
        if so_far and so_far[-1]:
            yield Fact("open", ticket, channel=ticket.channel)


def _customers(history: History, span: Span) -> Iterable[Fact]:
    yield Fact("customers", history.money.mrr(span.end) > 0)


def _per_100_customers(cell: FactsByName, span: Span) -> Row:
    return ratio(len(cell["opened"]), len(cell["customers"]), per=100, nothing="no_customers")


def _at_first_contact(cell: FactsByName, span: Span) -> Row:
    opened = cell["opened"]
    at_once = sum(ticket.at_first_contact for ticket in opened)
    return ratio(at_once, len(opened), per=100, nothing="no_tickets", interval=wilson)


def _resolution_hours(cell: FactsByName, span: Span) -> Row:
    hours = Fraction(sum(_seconds(ticket.opened, ticket.resolved) for ticket in cell["opened"]), 3600)
    return ratio(hours, len(cell["opened"]), nothing="no_tickets_resolved")


def _seconds(since: datetime, until: datetime) -> int:
    return (until - since) // timedelta(seconds=1)


def _begun(of: Callable[[History], list[Attempt]], *, completed: bool = False) -> Facts:
    """The journeys that began in the period; if need be only those that were completed."""

    def facts(history: History, span: Span) -> Iterable[Fact]:
        for journey in of(history):
            if _within(span, history.calendar.day(journey.began)) and (journey.completed or not completed):
                yield Fact("begun", journey, journey.subject)

    return facts


def _completed(nothing: str) -> Formula:
    def formula(cell: FactsByName, span: Span) -> Row:
        completed = [journey for journey in cell["begun"] if journey.completed]
        return ratio(len(completed), len(cell["begun"]), per=100, nothing=nothing, interval=wilson)

    return formula


def _days_to_value(cell: FactsByName, span: Span) -> Row:
    seconds: Any = sum(_seconds(journey.began, journey.completed) for journey in cell["begun"])
    return ratio(Fraction(seconds, 86400), len(cell["begun"]), nothing="no_onboardings_completed")


_CHANNEL = ("channel",)
OUTCOMES = {
    "support_tickets": ModelMetric(_opened, count_facts("opened"), _CHANNEL),
    "tickets_per_100_customers": ModelMetric(combine(_opened, _customers), _per_100_customers),
    "first_contact_resolution_rate": ModelMetric(_opened, _at_first_contact, _CHANNEL),
    "average_resolution_hours": ModelMetric(_opened_and_resolved, _resolution_hours, _CHANNEL),
    "ticket_backlog": ModelMetric(_backlog, count_facts("open"), _CHANNEL),
    "conversion_rate": ModelMetric(_begun(lambda history: history.goals), _completed("nobody_entered"), ("subject",)),
    "onboarding_completion_rate": ModelMetric(
        _begun(lambda history: history.onboardings), _completed("no_onboardings")
    ),
    "time_to_value_days": ModelMetric(_begun(lambda history: history.onboardings, completed=True), _days_to_value),
}
