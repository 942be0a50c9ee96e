"""The stream of one goal and one person or account that pursues it: entered, completed, perhaps entered again."""

import json
from collections.abc import Iterator, Sequence

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.streams.attempts import split_attempts
from app.ledger.streams.define import DatedLine, StreamEvent, stream

KIND = "goal"
ENTERED, COMPLETED = "goal.entered", "goal.completed"

goals_entered = measure("goals_entered", "Goal attempts that were started.", subject="goal")
goals_completed = measure(
    "goals_completed", "Goal attempts that were completed, counted on the day they were started.", subject="goal"
)


def stream_name(event: EventView) -> str:
    """Return the name of the stream of a goal's event: goal and `who`; default of `who`: the user, else the account.

    A `who` and a user with the same id are the same person. The account is null here, so nobody has its name. The name is
    JSON because goals and ids may contain spaces.
    """
    return f"{KIND} {json.dumps([event.data['goal'], event.data.get('who', event.user_id)], ensure_ascii=False)}"


@stream(KIND, posts=[goals_entered, goals_completed])
def goal(events: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """Yield each attempt, and its completion, on the day on which the attempt was started."""
    for attempt in split_attempts(events, start=ENTERED, completion=COMPLETED):
        day, subject = calendar.day(attempt.started_at), attempt.events[0].data["goal"]
        yield day, Line(goals_entered, 1, subject)
        if attempt.completed_at is not None:
            yield day, Line(goals_completed, 1, subject)
