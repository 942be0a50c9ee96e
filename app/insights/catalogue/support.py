"""Detectors of support: how soon customers hear from an agent."""

from collections.abc import Iterator

from app.insights.define import Example, Finding, detector, inputs, threshold
from app.insights.examples import months
from app.insights.sources import Series, history
from app.metrics.phrases import number, plural
from app.metrics.results import Result, mean


def _hours(hours: int, tickets: int) -> Result:
    return mean(hours * 3_600, of=tickets, if_empty="no_tickets_responded", unit=3_600)


@detector(
    sample="tickets of the month with a reply",
    advice="Compare the channels (`group_by=channel`) and the backlog: there are more tickets, or fewer people to answer them.",
    fires=Example(
        "warning",
        "First replies took 4 hours on average in 2026-02 (30 tickets), against 2 hours in the three months before. It fires "
        "from 1.5 times and 1 hour more.",
        inputs(hours=months(_hours(60, 30), _hours(60, 30), _hours(60, 30), _hours(120, 30))),
    ),
    quiet=inputs(hours=months(_hours(60, 30), _hours(60, 30), _hours(60, 30), _hours(89, 30))),
)
def first_response_slower(
    hours: Series = history("average_first_response_hours", months=4),
    *,
    factor: float = threshold(1.5, "times", "How much longer from which it fires."),
    least: float = threshold(1, "hours", "And how many hours longer."),
    severe: float = threshold(3, "times", "How much longer from which it is critical."),
) -> Iterator[Finding]:
    """First response slower: customers wait longer for the first reply than in the three months before.

    The average over the tickets of the last month against that over all tickets of the three months before. Tickets without a
    reply are left out, so it may still rise.
    """
    value = hours.last.value
    tickets = sum(own.denominator or 0 for own in hours.earlier)
    usual = sum(own.numerator or 0 for own in hours.earlier) / tickets if tickets else 0
    if value is None or not usual or value < factor * usual or value - usual < least:
        return
    yield Finding(
        "critical" if value >= severe * usual else "warning",
        f"First replies took {_text(value)} on average in {hours.period.name} "
        f"({plural(hours.last.sample_size or 0, 'ticket')}), against {_text(usual)} in the three months before. It fires from "
        f"{number(factor)} times and {_text(least)} more.",
        hours.period,
        hours.last.sample_size,
        hours.question,
    )


def _text(hours: float) -> str:
    text = number(hours)
    return f"{text} hour" if text == "1" else f"{text} hours"
