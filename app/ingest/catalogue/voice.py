"""Event types about surveys and feedback."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError
from typing_extensions import NotRequired

from app.ingest.define import Data, event
from app.ingest.fields import WHOLE, Id, Tags, Text
from app.ledger.measures import EventView, Line, measure
from app.ledger.streams import feedback, invitations
from app.ledger.surveys import score_subject

Status = Literal["open", "in_progress", "resolved"]

survey_invitations = measure("survey_invitations", "Survey invitations that were sent.", subject="survey", channel=True)


class Voice(Data):
    channel: NotRequired[
        Annotated[
            Id, Field(description="Where it was sent or said, such as `email`. Numbers can be broken down by channel.")
        ]
    ]
    tags: NotRequired[
        Annotated[Tags, Field(description="Tags for filtering comments: at most 20, of 1–128 characters each.")]
    ]


@event(
    "survey.sent",
    example={"survey": "nps", "channel": "email"},
    posts=lambda e: [Line(survey_invitations, 1, e.data["survey"], e.data.get("channel", ""))],
    sequence=invitations.sequence_name,
)
class SurveySent(Voice):
    """A survey invitation was sent.

    Counts one invitation in `survey_response_rate`. An invitation is never a response, and responses need no invitation. By the
    convention `by_invitation`, a response belongs to the latest invitation before it to the same survey, with the same account
    and `user_id` (or both without). Events may arrive in any order; at the same instant an invitation comes before a response.
    """

    survey: Annotated[Id, Field(description="Id of the survey. `nps` and `csat` exist from the start.")]


survey_responses = measure("survey_responses", "Survey responses.", subject="survey", channel=True)
survey_scores = measure("survey_scores", "Survey responses by score.", subject="survey score", channel=True)
comments = measure("comments", "Comments, in a survey response or on their own.", subject="survey", channel=True)
nps_responses = measure("nps_responses", "Responses to NPS surveys.", subject="survey", channel=True)
nps_promoters = measure(
    "nps_promoters", "NPS responses of promoters, with a score of 9 or 10.", subject="survey", channel=True
)
nps_detractors = measure(
    "nps_detractors", "NPS responses of detractors, with a score of 6 or less.", subject="survey", channel=True
)
csat_responses = measure("csat_responses", "Responses to CSAT surveys.", subject="survey", channel=True)
csat_satisfied = measure("csat_satisfied", "CSAT responses that are satisfied.", subject="survey", channel=True)
csat_scores = measure("csat_scores", "Sum of the scores of CSAT responses.", subject="survey", channel=True)
ces_responses = measure("ces_responses", "Responses to CES surveys.", subject="survey", channel=True)
ces_easy = measure(
    "ces_easy", "CES responses on the easy side of the middle of the scale.", subject="survey", channel=True
)
ces_scores = measure("ces_scores", "Sum of the scores of CES responses.", subject="survey", channel=True)
# Each scale has a number. The sums of these numbers and of their squares show whether all responses have the same scale: that is
# so if and only if the square of the sum is the number of responses times the sum of the squares (ADR 8).
csat_scales = measure(
    "csat_scales", "Sum of the numbers of the scales of CSAT responses.", subject="survey", channel=True
)
csat_scale_squares = measure(
    "csat_scale_squares", "Sum of the squared numbers of the scales of CSAT responses.", subject="survey", channel=True
)
ces_scales = measure("ces_scales", "Sum of the numbers of the scales of CES responses.", subject="survey", channel=True)
ces_scale_squares = measure(
    "ces_scale_squares", "Sum of the squared numbers of the scales of CES responses.", subject="survey", channel=True
)


def _answer(e: EventView) -> list[Line]:
    assert e.survey is not None
    survey, score = e.survey, e.data["score"]
    score_class = survey.class_of(score)
    values = {survey_responses: 1, comments: int(feedback.has_comment(e.data))}
    if survey.kind == "nps":
        values |= {nps_responses: 1, nps_promoters: int(score_class == "promoter")}
        values |= {nps_detractors: int(score_class == "detractor")}
    elif survey.kind == "csat":
        values |= {csat_responses: 1, csat_satisfied: int(score_class == "satisfied"), csat_scores: score}
        values |= {csat_scales: survey.scale_number, csat_scale_squares: survey.scale_number**2}
    else:
        values |= {ces_responses: 1, ces_easy: int(score_class == "easy"), ces_scores: score}
        values |= {ces_scales: survey.scale_number, ces_scale_squares: survey.scale_number**2}
    channel = e.data.get("channel", "")
    lines = [Line(measure, value, survey.id, channel) for measure, value in values.items()]
    return [*lines, Line(survey_scores, 1, score_subject(survey.id, score), channel)]


def _require_score(raw: Any) -> Any:
    """Raise an error for a score that is null as for one that is missing."""
    if raw is None:
        raise PydanticCustomError("missing", 'Field "score" is required.')
    return raw


@event(
    "survey.responded",
    rank=1,
    if_missing={"score": "Without a score it is no response: send a comment alone as `feedback.received`."},
    example={"survey": "nps", "score": 9, "comment": "Fast help.", "channel": "email"},
    posts=_answer,
    stream=feedback.stream_name,
    sequence=invitations.sequence_name,
)
class SurveyResponded(Voice):
    """Someone responded to a survey.

    Counts one response in `nps`, `csat` or `ces`, according to the kind of the survey. Every response counts, also several of
    one person. With a comment it also counts in `feedback_comments`. The survey must be declared, and the score must be on its
    scale. After the first response, the scale of the survey can no longer be changed.
    """

    survey: Annotated[Id, Field(description="Id of the survey. `nps` and `csat` exist from the start.")]
    score: Annotated[
        int, Field(description="Score: a whole number on the survey's scale."), WHOLE, BeforeValidator(_require_score)
    ]
    comment: NotRequired[
        Annotated[
            Text, Field(description="What the person wrote, at most 10,000 characters. A blank text is no comment.")
        ]
    ]


@event(
    "feedback.received",
    example={"comment": "Please add dark mode.", "tags": ["ui"]},
    posts=lambda e: [Line(comments, int(feedback.has_comment(e.data)), channel=e.data.get("channel", ""))],
    stream=feedback.stream_name,
)
class FeedbackReceived(Voice):
    """Someone gave feedback without a score, such as a request in a call.

    Counts one comment in `feedback_comments` and `feedback_closed_rate`. The comment is open until `feedback.updated` gives it
    another status.
    """

    comment: Annotated[
        Text, Field(min_length=1, description="What the person said, 1–10,000 characters. A blank text counts nothing.")
    ]


def _check_has_update(data: Any) -> Any:
    if not data.keys() & {"status", "note"}:
        raise PydanticCustomError("nothing_said", '"status" or "note" is required.')
    return data


@event(
    feedback.UPDATED,
    rank=2,
    check=_check_has_update,
    example={"feedback": "feedback.received-1", "status": "resolved", "note": "Shipped in May."},
    stream=feedback.stream_name,
)
class FeedbackUpdated(Data):
    """A comment got a new status or a note about what was done.

    A comment whose last status is `resolved` counts in `feedback_closed_rate`, on the day of the comment. What is left out
    stays as it was. Events may arrive in any order, also before the comment. Of two events at the same instant, the one with
    the larger id counts.
    """

    feedback: Annotated[
        Id,
        Field(
            description="Id of the `survey.responded` or `feedback.received` event with the comment, of the same account."
        ),
    ]
    status: NotRequired[
        Annotated[Status, Field(description="`open` (the status at first), `in_progress` or `resolved`.")]
    ]
    note: NotRequired[Annotated[Text, Field(description="What was done, at most 10,000 characters. Not counted.")]]
