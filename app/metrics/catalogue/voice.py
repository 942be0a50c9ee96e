"""Metrics of surveys and feedback: NPS, CSAT, CES, response rates and comments."""

from app.metrics.define import (
    ExampleEvent,
    Result,
    count,
    mean,
    mean_over_range,
    metric,
    percentage,
    proportion,
    require_one_scale,
    score,
)

NO_RESPONSES = "no_responses"
NO_INVITATIONS = "no_invitations"
# On a scale from 1 to 7 where high is easy, 6 is an easy score and 4 is in the middle.
EFFORT_RESPONSES = [
    ExampleEvent(3, "survey.responded", {"survey": "effort", "score": 6}),
    ExampleEvent(1, "survey.responded", {"survey": "effort", "score": 4}),
]


@metric(
    unit="points",
    better="up",
    range=(-100, 100),
    example={"nps_promoters": 6, "nps_detractors": 2, "nps_responses": 10, "equals": 40},
    events=[
        ExampleEvent(6, "survey.responded", {"survey": "nps", "score": 9}),
        ExampleEvent(2, "survey.responded", {"survey": "nps", "score": 8}),
        ExampleEvent(2, "survey.responded", {"survey": "nps", "score": 6}),
    ],
)
def nps(nps_promoters: int, nps_detractors: int, nps_responses: int) -> Result:
    """Net Promoter Score (NPS): percentage of promoters (scores 9–10) minus percentage of detractors (0–6).

    Ranges from −100 to 100. Scores of 7 and 8 (passives) count as responses, but neither as promoters nor as
    detractors. Can be broken down by survey and channel. No value when there are no responses.
    """
    return score(nps_promoters, nps_detractors, of=nps_responses, if_empty=NO_RESPONSES)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"csat_satisfied": 14, "csat_responses": 16, "equals": 87.5},
    events=[
        ExampleEvent(10, "survey.responded", {"survey": "csat", "score": 5}),
        ExampleEvent(4, "survey.responded", {"survey": "csat", "score": 4}),
        ExampleEvent(2, "survey.responded", {"survey": "csat", "score": 2}),
    ],
    convention="top_scores",
    counted_by="Delighted and Formbricks, which count the two best of five scores.",
)
def csat(csat_satisfied: int, csat_responses: int) -> Result:
    """Customer satisfaction score (CSAT): percentage of responses that are satisfied, by default the top two of five
    scores.

    On other scales the default is the top 40% of the scores. A survey can set its own lowest satisfied score
    (`satisfied_from`). Can be broken down by survey and channel. No value when there are no responses.
    """
    return proportion(csat_satisfied, of=csat_responses, if_empty=NO_RESPONSES)


@csat.also(
    "mean_over_range",
    counted_by="Pisano, which gives every score a value from 0 to 100 instead of counting satisfied responses.",
    example={"csat_scores": 21, "csat_responses": 5, "csat_scales": 1060, "csat_scale_squares": 224720, "equals": 80},
    events=[
        ExampleEvent(2, "survey.responded", {"survey": "csat", "score": 5}),
        ExampleEvent(2, "survey.responded", {"survey": "csat", "score": 4}),
        ExampleEvent(1, "survey.responded", {"survey": "csat", "score": 3}),
    ],
)
def _(csat_scores: int, csat_responses: int, csat_scales: int, csat_scale_squares: int) -> Result:
    """Average score converted to a scale of 0 to 100, where 0 is the survey's lowest score and 100 its highest.

    No value when the responses come from surveys with different scales.
    """
    return mean_over_range(csat_scores, csat_scales, csat_scale_squares, of=csat_responses, if_empty=NO_RESPONSES)


@metric(
    unit="score",
    better="up",
    range=(0, 100),
    example={"csat_scores": 21, "csat_responses": 5, "csat_scales": 1060, "csat_scale_squares": 224720, "equals": 4.2},
    events=[
        ExampleEvent(2, "survey.responded", {"survey": "csat", "score": 5}),
        ExampleEvent(2, "survey.responded", {"survey": "csat", "score": 4}),
        ExampleEvent(1, "survey.responded", {"survey": "csat", "score": 3}),
    ],
)
def csat_average(csat_scores: int, csat_responses: int, csat_scales: int, csat_scale_squares: int) -> Result:
    """Average satisfaction: average CSAT score on the survey's own scale.

    Can be broken down by survey and channel. No value when there are no responses, or when they come from surveys with
    different scales.
    """
    average = mean(csat_scores, of=csat_responses, if_empty=NO_RESPONSES)
    return require_one_scale(average, csat_scales, csat_scale_squares, of=csat_responses)


@metric(
    unit="score",
    better="neither",
    range=(0, 100),
    example={"ces_scores": 14, "ces_responses": 3, "ces_scales": 648, "ces_scale_squares": 139968, "equals": 14 / 3},
    events=[
        ExampleEvent(1, "survey.responded", {"survey": "effort", "score": 7}),
        ExampleEvent(1, "survey.responded", {"survey": "effort", "score": 6}),
        ExampleEvent(1, "survey.responded", {"survey": "effort", "score": 1}),
    ],
    convention="mean",
    counted_by="Formbricks, which reports the average score.",
)
def ces(ces_scores: int, ces_responses: int, ces_scales: int, ces_scale_squares: int) -> Result:
    """Customer effort score (CES): average effort score on the survey's own scale.

    Each survey declares whether a low or a high score means easy. Can be broken down by survey and channel. No value when there
    are no responses, or when they come from surveys that differ in scale or direction.
    """
    average = mean(ces_scores, of=ces_responses, if_empty=NO_RESPONSES)
    return require_one_scale(average, ces_scales, ces_scale_squares, of=ces_responses)


@ces.also(
    "easy_rate",
    counted_by="Delighted, which counts the people who agree that it was easy.",
    unit="percent",
    better="up",
    example={"ces_easy": 3, "ces_responses": 4, "equals": 75},
    events=EFFORT_RESPONSES,
)
def _(ces_easy: int, ces_responses: int) -> Result:
    """Percentage of responses on the easy side of the middle of the survey's scale.

    The same as the metric `ces_easy_rate`.
    """
    return proportion(ces_easy, of=ces_responses, if_empty=NO_RESPONSES)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"ces_easy": 3, "ces_responses": 4, "equals": 75},
    events=EFFORT_RESPONSES,
)
def ces_easy_rate(ces_easy: int, ces_responses: int) -> Result:
    """CES easy rate: percentage of effort survey responses on the easy side of the middle of the survey's scale.

    A score exactly in the middle is not easy. Comparable across surveys with different scales. Can be broken down by
    survey and channel. No value when there are no responses.
    """
    return proportion(ces_easy, of=ces_responses, if_empty=NO_RESPONSES)


@metric(
    unit="count",
    better="up",
    adds_over=("groups", "time"),
    example={"survey_responses": 3, "equals": 3},
    events=[
        ExampleEvent(2, "survey.responded", {"survey": "nps", "score": 9}),
        ExampleEvent(1, "survey.responded", {"survey": "csat", "score": 3}),
    ],
)
def survey_responses(survey_responses: int) -> Result:
    """Survey responses: number of responses to surveys of all kinds in the period.

    Every response counts, even several from one person. Can be broken down by survey and channel.
    """
    return count(survey_responses)


@metric(
    unit="percent",
    better="up",
    example={"survey_responses": 1, "survey_invitations": 4, "equals": 25},
    events=[
        ExampleEvent(4, "survey.sent", {"survey": "nps"}),
        ExampleEvent(1, "survey.responded", {"survey": "nps", "score": 9}),
    ],
    convention="by_response",
    counted_by="Who counts so: teams that also count responses without an invitation, such as those of a form on a web page.",
)
def survey_response_rate(survey_responses: int, survey_invitations: int) -> Result:
    """Survey response rate: responses received in the period as a percentage of invitations sent in the period.

    Responses may answer earlier invitations, so the rate can exceed 100%. Can be broken down by survey and channel. No
    value when no invitation was sent.
    """
    return percentage(survey_responses, of=survey_invitations, if_empty=NO_INVITATIONS)


@survey_response_rate.also(
    "by_invitation",
    counted_by="Survey tools, which know to which invitation each response belongs.",
    range=(0, 100),
    example={"survey_invitations_answered": 1, "survey_invitations": 2, "equals": 50},
    events=[
        ExampleEvent(1, "survey.sent", {"survey": "nps"}, user="ada"),
        ExampleEvent(1, "survey.sent", {"survey": "nps"}, user="grace"),
        ExampleEvent(2, "survey.responded", {"survey": "nps", "score": 9}, on="2026-03-12", user="ada"),
    ],
)
def _(survey_invitations_answered: int, survey_invitations: int) -> Result:
    """Percentage of invitations sent in the period that have been answered so far.

    A response belongs to the latest invitation before it to the same survey, with the same account and user (or both without
    a user). Several responses answer an invitation once, and responses without an invitation do not count, so the rate never
    exceeds 100%. The channel is that of the invitation. The rate of a recent period can still rise. No value when no invitation
    was sent.
    """
    return proportion(survey_invitations_answered, of=survey_invitations, if_empty=NO_INVITATIONS)


@metric(
    unit="count",
    better="neither",
    adds_over=("groups", "time"),
    example={"comments": 3, "equals": 3},
    events=[
        ExampleEvent(1, "survey.responded", {"survey": "nps", "score": 9, "comment": "Fast help."}),
        ExampleEvent(2, "feedback.received", {"comment": "Please add dark mode."}),
    ],
)
def feedback_comments(comments: int) -> Result:
    """Feedback comments: number of comments received in the period, with a survey response or on their own.

    A text of nothing but spaces and line ends is no comment. Can be broken down by survey and channel.
    """
    return count(comments)


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"comments_resolved": 1, "comments": 4, "equals": 25},
    events=[
        ExampleEvent(3, "feedback.received", {"comment": "Please add dark mode."}),
        ExampleEvent(1, "survey.responded", {"survey": "nps", "score": 9, "comment": "Fast help."}),
        ExampleEvent(1, "feedback.updated", {"feedback": "0-0", "status": "resolved"}),
    ],
)
def feedback_closed_rate(comments_resolved: int, comments: int) -> Result:
    """Closed feedback rate: percentage of comments received in the period that have been resolved so far.

    The rate of a recent period can still rise. Can be broken down by survey and channel. No value when there are no
    comments.
    """
    return proportion(comments_resolved, of=comments, if_empty="no_comments")
