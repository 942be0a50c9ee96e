"""One goal of one who pursues it: entered, completed, perhaps entered again."""

import json
from collections.abc import Iterator, Sequence

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.streams.attempts import attempts
from app.ledger.streams.define import DatedLine, StreamEvent, stream

KIND = "goal"
ENTERED, COMPLETED = "goal.entered", "goal.completed"

goals_entered = measure("goals_entered", "Times that somebody entered the way to a goal.", subject="goal")
goals_completed = measure(
    "goals_completed", "Times that somebody reached a goal, by the day on which the way was entered.", subject="goal"
)


def name(fact: EventView) -> str:
    """The name of the stream that an event of a goal belongs to: that of its `who`, the user, or else the account.

    Whether it was `who` or the user that was called ada, it is the same ada. The account is null, and so nobody of its
    name. As JSON, since names may hold spaces.
    """
    return f"{KIND} {json.dumps([fact.data['goal'], fact.data.get('who', fact.user_id)], ensure_ascii=False)}"


@stream(KIND)
def goal(happenings: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """Each time that it was entered, and whether it was completed after that, on the day of the entry."""
    for attempt in attempts(happenings, start=ENTERED, completion=COMPLETED):
        day, subject = calendar.day(attempt.began_at), attempt.happenings[0].data["goal"]
        yield day, Line(goals_entered, 1, subject)
        if attempt.completed_at is not None:
            yield day, Line(goals_completed, 1, subject)
