"""The stream of the onboarding of one account or one user: started, steps completed, completed, perhaps started again."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.streams.attempts import Attempt, split_attempts
from app.ledger.streams.define import DatedLine, StreamEvent, stream

KIND = "onboarding"
STARTED, STEP, COMPLETED = "onboarding.started", "onboarding.step_completed", "onboarding.completed"
_SECOND = timedelta(seconds=1)

onboardings_started = measure("onboardings_started", "Onboardings that were started.")
onboardings_completed = measure(
    "onboardings_completed", "Onboardings that were completed, counted on the day they were started."
)
onboarding_seconds = measure(
    "onboarding_seconds",
    "Seconds from start to completion of completed onboardings, counted on the day they were started.",
)
onboardings_reaching = measure(
    "onboardings_reaching",
    "Onboardings in which a step was completed, counted on the day the onboarding was started.",
    subject="step",
)
onboarding_step_positions = measure(
    "onboarding_step_positions",
    "Positions of a step among the steps of each onboarding, from 1, added up on the day the onboarding was started.",
    subject="step",
)
onboarding_step_seconds = measure(
    "onboarding_step_seconds",
    "Seconds from the start of an onboarding to a step, counted on the day the onboarding was started.",
    subject="step",
)


def stream_name(event: EventView) -> str:
    """Return the name of the stream of an onboarding's event: its user's if it names one, else the account's."""
    return KIND if event.user_id is None else f"{KIND} {event.user_id}"


@stream(
    KIND,
    posts=[
        onboardings_started,
        onboardings_completed,
        onboarding_seconds,
        onboardings_reaching,
        onboarding_step_positions,
        onboarding_step_seconds,
    ],
)
def onboarding(events: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """Yield each onboarding, its steps and its completion, all on the day on which it was started."""
    for attempt in split_attempts(events, start=STARTED, completion=COMPLETED):
        day = calendar.day(attempt.started_at)
        yield day, Line(onboardings_started, 1)
        for position, (step, at) in enumerate(_first_completions(attempt).items(), start=1):
            yield day, Line(onboardings_reaching, 1, step)
            yield day, Line(onboarding_step_positions, position, step)
            yield day, Line(onboarding_step_seconds, (at - attempt.started_at) // _SECOND, step)
        if attempt.completed_at is not None:
            yield day, Line(onboardings_completed, 1)
            yield day, Line(onboarding_seconds, attempt.seconds)


def _first_completions(attempt: Attempt) -> dict[str, datetime]:
    """Return when each step was first completed, by step, in the order of completion."""
    completed_at: dict[str, datetime] = {}
    for event in attempt.events:
        if event.type == STEP:
            completed_at.setdefault(event.data["step"], event.at)
    return completed_at
