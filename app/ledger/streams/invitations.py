"""The sequence of the invitations to one survey and the responses to it, of one user or of the account without a user.

A response belongs to the latest invitation before it. An invitation counts as answered once, on the day it was sent, however
many responses belong to it.
"""

import json
from collections.abc import Iterator, Sequence

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.streams.define import DatedLine, StreamEvent, stream

KIND = "survey"
SENT, RESPONDED = "survey.sent", "survey.responded"
TYPES = (SENT, RESPONDED)

survey_invitations_answered = measure(
    "survey_invitations_answered",
    "Survey invitations that were answered, counted on the day they were sent.",
    subject="survey",
    channel=True,
)


def sequence_name(event: EventView) -> str:
    """Return the name of the sequence of an invitation or response. It is JSON because ids may contain spaces."""
    return f"{KIND} {json.dumps([event.data['survey'], event.user_id], ensure_ascii=False)}"


@stream(KIND, posts=[survey_invitations_answered])
def invitations(events: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """Yield each invitation that was answered, with its own channel."""
    open_invitation: StreamEvent | None = None
    for event in events:
        if event.type == SENT:
            open_invitation = event
        elif open_invitation is not None:
            survey, channel = open_invitation.data["survey"], open_invitation.data.get("channel", "")
            yield calendar.day(open_invitation.at), Line(survey_invitations_answered, 1, survey, channel)
            open_invitation = None
