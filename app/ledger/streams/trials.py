"""The stream of one trial id: started, then converted or expired, perhaps started again.

A conversion counts on the day on which the trial was started, so that a month never has more conversions than trials. The
day of the end is counted by measures of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.streams.define import DatedLine, StreamEvent, stream

STARTED, CONVERTED, EXPIRED = "trial.started", "trial.converted", "trial.expired"

trials_started = measure("trials_started", "Trials that were started.")
trials_converted = measure("trials_converted", "Trials that converted, counted on the day they were started.")
trials_ended = measure("trials_ended", "Trials that ended by converting or expiring.")
trials_ended_converted = measure("trials_ended_converted", "Trials that converted, counted on the day they ended.")


def stream_name(event: EventView) -> str:
    """Return the name of the stream of a trial's event."""
    return f"trial {event.data['trial_id']}"


@dataclass(slots=True)
class _TrialPeriod:
    """The days on which a trial was started and ended; ended_on: None while it is running."""

    started_on: date
    ended_on: date | None = None
    converted: bool = False


@stream("trial", posts=[trials_started, trials_converted, trials_ended, trials_ended_converted])
def trials(events: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """Yield the trials of one id: a start after an end is another trial."""
    for trial in _split_trials(events, calendar):
        yield trial.started_on, Line(trials_started, 1)
        yield trial.started_on, Line(trials_converted, int(trial.converted))
        if trial.ended_on is not None:
            yield trial.ended_on, Line(trials_ended, 1)
            yield trial.ended_on, Line(trials_ended_converted, int(trial.converted))


def _split_trials(events: Sequence[StreamEvent], calendar: Calendar) -> list[_TrialPeriod]:
    """Return the trials in order.

    A trial whose first event is its end started on that day. An expired trial may still convert; the conversion is then its
    end.
    """
    trials: list[_TrialPeriod] = []
    for event in events:
        day = calendar.day(event.at)
        if not trials or (event.type == STARTED and trials[-1].ended_on is not None):
            trials.append(_TrialPeriod(day))
        trial = trials[-1]
        if event.type == CONVERTED and not trial.converted:
            trial.ended_on, trial.converted = day, True
        elif event.type == EXPIRED and trial.ended_on is None:
            trial.ended_on = day
    return trials
