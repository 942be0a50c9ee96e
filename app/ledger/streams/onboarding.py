"""The onboarding of an account, or of a user of it: started, step by step completed, perhaps started again."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.streams.attempts import Attempt, attempts
from app.ledger.streams.define import DatedLine, StreamEvent, stream

KIND = "onboarding"
STARTED, STEP, COMPLETED = "onboarding.started", "onboarding.step_completed", "onboarding.completed"
_SECOND = timedelta(seconds=1)

onboardings_started = measure("onboardings_started", "Onboardings that were started.")
onboardings_completed = measure("onboardings_completed", "Onboardings that were completed, by the day of their start.")
onboarding_seconds = measure(
    "onboarding_seconds",
    "Seconds from start to completion of onboardings that were completed, by the day of their start.",
)
onboardings_reaching = measure(
    "onboardings_reaching", "Onboardings in which a step was completed, by the day of their start.", subject="step"
)

onboarding_step_positions = measure(
    "onboarding_step_positions",
    "Sum of the places of a step among the steps of each onboarding, from 1, by the day of their start.",
    subject="step",
)
onboarding_step_seconds = measure(
    "onboarding_step_seconds", "Seconds from start to a step, by the day of the onboardings' start.", subject="step"
)


def name(fact: EventView) -> str:
    """The name of the stream that an event of an onboarding belongs to: the user's whom it names, else the account's."""
    return KIND if fact.user_id is None else f"{KIND} {fact.user_id}"


@stream(KIND)
def onboarding(happenings: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """Each onboarding, with all that became of it, on the day on which it was started."""
    for attempt in attempts(happenings, start=STARTED, completion=COMPLETED):
        day = calendar.day(attempt.began_at)
        yield day, Line(onboardings_started, 1)
        for place, (step, at) in enumerate(_steps(attempt).items(), start=1):
            yield day, Line(onboardings_reaching, 1, step)
            yield day, Line(onboarding_step_positions, place, step)
            yield day, Line(onboarding_step_seconds, (at - attempt.began_at) // _SECOND, step)
        if attempt.completed_at is not None:
            yield day, Line(onboardings_completed, 1)
            yield day, Line(onboarding_seconds, attempt.seconds)


def _steps(attempt: Attempt) -> dict[str, datetime]:
    """When each step was first completed, in order."""
    found: dict[str, datetime] = {}
    for happening in attempt.happenings:
        if happening.type == STEP:
            found.setdefault(happening.data["step"], happening.at)
    return found
