"""What customers say: NPS, CSAT, CES and how many answer."""

from app.metrics.define import (
    Happens,
    Result,
    count,
    mean,
    mean_over_range,
    metric,
    percentage,
    proportion,
    score,
    unless_mixed,
)

NO_RESPONSES = "no_responses"
EASY = [
    Happens(3, "survey.responded", {"survey": "effort", "score": 6}),
    Happens(1, "survey.responded", {"survey": "effort", "score": 4}),
]


@metric(
    unit="points",
    better="up",
    range=(-100, 100),
    example={"nps_promoters": 6, "nps_detractors": 2, "nps_responses": 10, "equals": 40},
    events=[
        Happens(6, "survey.responded", {"survey": "nps", "score": 9}),
        Happens(2, "survey.responded", {"survey": "nps", "score": 8}),
        Happens(2, "survey.responded", {"survey": "nps", "score": 6}),
    ],
)
def nps(nps_promoters: int, nps_detractors: int, nps_responses: int) -> Result:
    """Net Promoter Score: promoters (9-10) less detractors (0-6), per hundred responses."""
    return score(nps_promoters, nps_detractors, of=nps_responses, none=NO_RESPONSES)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"csat_satisfied": 14, "csat_responses": 16, "equals": 87.5},
    events=[
        Happens(10, "survey.responded", {"survey": "csat", "score": 5}),
        Happens(4, "survey.responded", {"survey": "csat", "score": 4}),
        Happens(2, "survey.responded", {"survey": "csat", "score": 2}),
    ],
    convention="top_scores",
    counted_by="Delighted and Formbricks: the two best scores of five.",
)
def csat(csat_satisfied: int, csat_responses: int) -> Result:
    """Customer Satisfaction Score: satisfied answers, per hundred; by default the top two of five scores are satisfied."""
    return proportion(csat_satisfied, of=csat_responses, none=NO_RESPONSES)


@csat.also(
    "mean_over_range",
    counted_by="Pisano: the worst score is 0, the best 100, and those between as far as they are.",
    example={"csat_scores": 21, "csat_responses": 5, "csat_scales": 1060, "csat_scale_squares": 224720, "equals": 80},
    events=[
        Happens(2, "survey.responded", {"survey": "csat", "score": 5}),
        Happens(2, "survey.responded", {"survey": "csat", "score": 4}),
        Happens(1, "survey.responded", {"survey": "csat", "score": 3}),
    ],
)
def _(csat_scores: int, csat_responses: int, csat_scales: int, csat_scale_squares: int) -> Result:
    """How far the mean score is on the way from the lowest to the highest; no answer over surveys of different scales."""
    return mean_over_range(csat_scores, csat_scales, csat_scale_squares, of=csat_responses, none=NO_RESPONSES)


@metric(
    unit="score",
    better="up",
    range=(0, 100),
    example={"csat_scores": 21, "csat_responses": 5, "csat_scales": 1060, "csat_scale_squares": 224720, "equals": 4.2},
    events=[
        Happens(2, "survey.responded", {"survey": "csat", "score": 5}),
        Happens(2, "survey.responded", {"survey": "csat", "score": 4}),
        Happens(1, "survey.responded", {"survey": "csat", "score": 3}),
    ],
)
def csat_average(csat_scores: int, csat_responses: int, csat_scales: int, csat_scale_squares: int) -> Result:
    """Average satisfaction: the mean score, in the survey's own scale; no answer over surveys of different scales."""
    average = mean(csat_scores, of=csat_responses, none=NO_RESPONSES)
    return unless_mixed(average, csat_scales, csat_scale_squares, of=csat_responses)


@metric(
    unit="score",
    better="neither",
    range=(0, 100),
    example={"ces_scores": 14, "ces_responses": 3, "ces_scales": 648, "ces_scale_squares": 139968, "equals": 14 / 3},
    events=[
        Happens(1, "survey.responded", {"survey": "effort", "score": 7}),
        Happens(1, "survey.responded", {"survey": "effort", "score": 6}),
        Happens(1, "survey.responded", {"survey": "effort", "score": 1}),
    ],
    convention="mean",
    counted_by="Formbricks: the mean score.",
)
def ces(ces_scores: int, ces_responses: int, ces_scales: int, ces_scale_squares: int) -> Result:
    """Customer Effort Score: the mean score, in the survey's own scale; the survey says whether low or high is easy."""
    average = mean(ces_scores, of=ces_responses, none=NO_RESPONSES)
    return unless_mixed(average, ces_scales, ces_scale_squares, of=ces_responses)


@ces.also(
    "easy_rate",
    counted_by="Delighted: who agrees that it was easy.",
    unit="percent",
    better="up",
    example={"ces_easy": 3, "ces_responses": 4, "equals": 75},
    events=EASY,
)
def _(ces_easy: int, ces_responses: int) -> Result:
    """Answers on the easy side of the scale's middle, per hundred; the metric `ces_easy_rate`."""
    return proportion(ces_easy, of=ces_responses, none=NO_RESPONSES)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"ces_easy": 3, "ces_responses": 4, "equals": 75},
    events=EASY,
)
def ces_easy_rate(ces_easy: int, ces_responses: int) -> Result:
    """Easy experiences: answers on the easy side of the scale's middle, per hundred; comparable across surveys."""
    return proportion(ces_easy, of=ces_responses, none=NO_RESPONSES)


@metric(
    unit="count",
    better="up",
    adds_over=("groups", "time"),
    example={"survey_responses": 3, "equals": 3},
    events=[
        Happens(2, "survey.responded", {"survey": "nps", "score": 9}),
        Happens(1, "survey.responded", {"survey": "csat", "score": 3}),
    ],
)
def survey_responses(survey_responses: int) -> Result:
    """Survey responses: answers to surveys of every kind; every answer counts, invitations never do."""
    return count(survey_responses)


@metric(
    unit="percent",
    better="up",
    example={"survey_responses": 1, "survey_invitations": 4, "equals": 25},
    events=[
        Happens(4, "survey.sent", {"survey": "nps"}),
        Happens(1, "survey.responded", {"survey": "nps", "score": 9}),
    ],
)
def survey_response_rate(survey_responses: int, survey_invitations: int) -> Result:
    """Response rate: answers of the period per hundred invitations of the period; the two need not be of one another."""
    return percentage(survey_responses, survey_invitations, none="no_invitations")


@metric(
    unit="count",
    better="neither",
    adds_over=("groups", "time"),
    example={"comments": 3, "equals": 3},
    events=[
        Happens(1, "survey.responded", {"survey": "nps", "score": 9, "comment": "Fast help."}),
        Happens(2, "feedback.received", {"comment": "Please add dark mode."}),
    ],
)
def feedback_comments(comments: int) -> Result:
    """Feedback comments: comments that came with an answer to a survey or on their own."""
    return count(comments)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"comments_resolved": 1, "comments": 4, "equals": 25},
    events=[
        Happens(3, "feedback.received", {"comment": "Please add dark mode."}),
        Happens(1, "survey.responded", {"survey": "nps", "score": 9, "comment": "Fast help."}),
        Happens(1, "feedback.updated", {"feedback": "0-0", "status": "resolved"}),
    ],
)
def feedback_closed_rate(comments_resolved: int, comments: int) -> Result:
    """Closed feedback: comments that are resolved, whenever that was, per hundred comments that came in the period."""
    return proportion(comments_resolved, of=comments, none="no_comments")
