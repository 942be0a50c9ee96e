"""Surveys and feedback."""

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError
from typing_extensions import NotRequired

from app.ingest.define import Data, event
from app.ingest.fields import Id, Tags, Text
from app.ledger.measures import EventView, Line, measure
from app.ledger.streams import feedback
from app.ledger.surveys import score_subject

survey_invitations = measure("survey_invitations", "Surveys sent out.", subject="survey", channel=True)


Status = Literal["open", "in_progress", "resolved"]


class Voice(Data):
    channel: NotRequired[Id]
    tags: NotRequired[Tags]


@event(
    "survey.sent",
    example={"survey": "nps", "channel": "email"},
    posts=lambda e: [Line(survey_invitations, 1, e.data["survey"], e.data.get("channel", ""))],
)
class SurveySent(Voice):
    """Somebody was asked to answer a survey."""

    survey: Id


survey_responses = measure("survey_responses", "Answers to surveys.", subject="survey", channel=True)
survey_scores = measure("survey_scores", "Answers with a score.", subject="survey and score", channel=True)
comments = measure("comments", "Comments, with an answer or without.", subject="survey", channel=True)
nps_responses = measure("nps_responses", "Answers to NPS surveys.", subject="survey", channel=True)
nps_promoters = measure("nps_promoters", "Answers of 9 or 10.", subject="survey", channel=True)
nps_detractors = measure("nps_detractors", "Answers of 6 or less.", subject="survey", channel=True)
csat_responses = measure("csat_responses", "Answers to CSAT surveys.", subject="survey", channel=True)
csat_satisfied = measure("csat_satisfied", "Answers that mean satisfied.", subject="survey", channel=True)
csat_scores = measure("csat_scores", "Sum of the scores.", subject="survey", channel=True)
ces_responses = measure("ces_responses", "Answers to CES surveys.", subject="survey", channel=True)
ces_easy = measure("ces_easy", "Answers on the easy side of the scale's middle.", subject="survey", channel=True)
ces_scores = measure("ces_scores", "Sum of the scores.", subject="survey", channel=True)
# Sums of a scale's number and of its square tell whether all answers were on one scale: then, and only then, the square
# of the sum is the number of answers times the sum of the squares.
csat_scales = measure("csat_scales", "Sum of the scales' numbers.", subject="survey", channel=True)
csat_scale_squares = measure("csat_scale_squares", "Sum of their squares.", subject="survey", channel=True)
ces_scales = measure("ces_scales", "Sum of the scales' numbers.", subject="survey", channel=True)
ces_scale_squares = measure("ces_scale_squares", "Sum of their squares.", subject="survey", channel=True)


def _answer(e: EventView) -> list[Line]:
    assert e.survey is not None
    survey, score = e.survey, e.data["score"]
    score_class = survey.class_of(score)
    posted = {survey_responses: 1, comments: int(bool(e.data.get("comment")))}
    if survey.kind == "nps":
        posted |= {nps_responses: 1, nps_promoters: int(score_class == "promoter")}
        posted |= {nps_detractors: int(score_class == "detractor")}
    elif survey.kind == "csat":
        posted |= {csat_responses: 1, csat_satisfied: int(score_class == "satisfied"), csat_scores: score}
        posted |= {csat_scales: survey.scale_number, csat_scale_squares: survey.scale_number**2}
    else:
        posted |= {ces_responses: 1, ces_easy: int(score_class == "easy"), ces_scores: score}
        posted |= {ces_scales: survey.scale_number, ces_scale_squares: survey.scale_number**2}
    channel = e.data.get("channel", "")
    lines = [Line(what, value, survey.id, channel) for what, value in posted.items()]
    return [*lines, Line(survey_scores, 1, score_subject(survey.id, score), channel)]


@event(
    "survey.responded",
    rank=1,
    example={"survey": "nps", "score": 9, "comment": "Fast help.", "channel": "email"},
    posts=_answer,
    stream=feedback.stream_name,
)
class SurveyResponded(Voice):
    """Somebody answered a survey."""

    survey: Id
    score: Annotated[int, Field(description="A whole number on the survey's scale.")]
    comment: NotRequired[Text]


@event(
    "feedback.received",
    example={"comment": "Please add dark mode.", "tags": ["ui"]},
    posts=lambda e: [Line(comments, 1, channel=e.data.get("channel", ""))],
    stream=feedback.stream_name,
)
class FeedbackReceived(Voice):
    """Somebody said something, without a score."""

    comment: Annotated[Text, Field(min_length=1)]


def _something(data: Any) -> Any:
    if not data.keys() & {"status", "note"}:
        raise PydanticCustomError("nothing_said", "An update has a status, a note or both.")
    return data


@event(
    feedback.UPDATED,
    rank=2,
    check=_something,
    example={"feedback": "feedback.received-1", "status": "resolved", "note": "Shipped in May."},
    stream=feedback.stream_name,
)
class FeedbackUpdated(Data):
    """Something was done about a comment: what is not named stays as it was."""

    feedback: Annotated[Id, Field(description="The id of the event that brought the comment, of the same account.")]
    status: NotRequired[Status]
    note: NotRequired[Text]
