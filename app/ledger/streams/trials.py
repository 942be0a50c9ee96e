"""The stream of one trial: started, then converted or expired.

A conversion counts on the day on which the trial was started, so that a month never has more conversions than trials. The
day of the end is counted by measures of its own.
"""

from collections.abc import Iterator, Sequence

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


@stream("trial", posts=[trials_started, trials_converted, trials_ended, trials_ended_converted])
def trials(events: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """Yield the trial and its end. Without a start, its first event starts it.

    It starts once: other starts change nothing, and an end that is dated before the start counts at the time of the start. An
    expired trial may still convert; the conversion is then its end.
    """
    if not events:
        return
    started_at = next((event.at for event in events if event.type == STARTED), events[0].at)
    started_on = calendar.day(started_at)
    yield started_on, Line(trials_started, 1)
    for type in (CONVERTED, EXPIRED):
        if ended_at := next((event.at for event in events if event.type == type), None):
            ended_on, converted = calendar.day(max(ended_at, started_at)), int(type == CONVERTED)
            yield started_on, Line(trials_converted, converted)
            yield ended_on, Line(trials_ended, 1)
            yield ended_on, Line(trials_ended_converted, converted)
            return
