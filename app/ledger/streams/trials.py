"""One trial: started, and converted or expired.

Whether it converted counts on the day on which it was started, so that of a month's trials never more than all convert. When
it ended is kept beside that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.streams.define import DatedLine, StreamEvent, stream

STARTED, CONVERTED, EXPIRED = "trial.started", "trial.converted", "trial.expired"

trials_started = measure("trials_started", "Trials that were started.")
trials_converted = measure(
    "trials_converted", "Of the trials started on a day, those that converted, whenever that was."
)
trials_ended = measure("trials_ended", "Trials that ended: they converted or expired.")
trials_ended_converted = measure("trials_ended_converted", "Of the trials that ended on a day, those that converted.")


def name(fact: EventView) -> str:
    """The name of the stream that an event of a trial belongs to."""
    return f"trial {fact.data['trial_id']}"


@dataclass(slots=True)
class _Trial:
    """ended: None as long as it runs."""

    started: date
    ended: date | None = None
    converted: bool = False


@stream("trial")
def trials(happenings: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """The trials that one id stands for: a start after an end is another one."""
    for trial in _trials(happenings, calendar):
        yield trial.started, Line(trials_started, 1)
        yield trial.started, Line(trials_converted, int(trial.converted))
        if trial.ended is not None:
            yield trial.ended, Line(trials_ended, 1)
            yield trial.ended, Line(trials_ended_converted, int(trial.converted))


def _trials(happenings: Sequence[StreamEvent], calendar: Calendar) -> list[_Trial]:
    """A trial that is said to end before it was said to start began as it ended; one that expired may still convert."""
    found: list[_Trial] = []
    for happening in happenings:
        day = calendar.day(happening.at)
        if not found or (happening.type == STARTED and found[-1].ended is not None):
            found.append(_Trial(day))
        last = found[-1]
        if happening.type == CONVERTED and not last.converted:
            last.ended, last.converted = day, True
        elif happening.type == EXPIRED and last.ended is None:
            last.ended = day
    return found
