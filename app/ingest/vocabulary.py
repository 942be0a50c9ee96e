"""The vocabulary: every event type the service understands. One block says what an event needs, means and posts."""

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError
from typing_extensions import NotRequired

from app.ingest.define import Data, event
from app.ingest.fields import Attributes, Currency, Id, Moment, Money, Tags, Text
from app.ledger.measures import Fact, Line, measure

# A month is the longest that a session is believed to last.
_LONGEST_SESSION = 31 * 86_400


@event(
    "account.updated",
    example={"name": "Acme", "attributes": {"plan": "pro", "region": "emea", "seats": 40}},
)
class AccountUpdated(Data):
    """An account has a name or attributes from this moment on; null ends an attribute."""

    name: NotRequired[Annotated[Id, Field(description="Kept as the attribute `name`.")]]
    attributes: NotRequired[Attributes]


@event("user.registered", user=True, example={})
class UserRegistered(Data):
    """A person became a user of the account."""


@event("user.removed", user=True, rank=1, example={})
class UserRemoved(Data):
    """A person is no longer a user of the account."""


sessions = measure("sessions", "Sessions that ended.")
session_seconds = measure("session_seconds", "Seconds that sessions lasted.")


@event(
    "session.ended",
    user=True,
    example={"duration_seconds": 1260},
    posts=lambda e: [Line(sessions, 1), Line(session_seconds, e.data["duration_seconds"])],
)
class SessionEnded(Data):
    """A user's session in the product has ended."""

    duration_seconds: Annotated[int, Field(ge=0, le=_LONGEST_SESSION)]


feature_uses = measure("feature_uses", "Times a feature was used.", subject="feature")


@event(
    "feature.used",
    user=True,
    example={"feature": "export", "count": 3},
    posts=lambda e: [Line(feature_uses, e.data.get("count", 1), e.data["feature"])],
)
class FeatureUsed(Data):
    """A user used a feature, once or `count` times."""

    feature: Id
    count: NotRequired[Annotated[int, Field(ge=1, le=1_000_000_000)]]


def _one_price(data: Any) -> Any:
    if ("mrr" in data) == ("amount" in data) or ("amount" in data) != ("interval" in data):
        raise PydanticCustomError("price", "Either `mrr`, or `amount` with `interval`, is needed.")
    if "interval_count" in data and "amount" not in data:
        raise PydanticCustomError("price", "`interval_count` belongs to `amount` and `interval`.")
    return data


class Subscription(Data):
    subscription_id: Id
    mrr: NotRequired[Annotated[Money, Field(description="What it brings per month.")]]
    amount: NotRequired[Annotated[Money, Field(description="The price of `interval_count` intervals.")]]
    interval: NotRequired[Literal["week", "month", "quarter", "year"]]
    interval_count: NotRequired[Annotated[int, Field(ge=1, le=120)]]
    currency: NotRequired[Currency]
    plan: NotRequired[Id]
    seats: NotRequired[Annotated[int, Field(ge=0, le=1_000_000_000)]]


@event(
    "subscription.changed",
    check=_one_price,
    example={"subscription_id": "sub-1", "amount": "1188", "interval": "year", "plan": "pro", "seats": 10},
)
class SubscriptionChanged(Subscription):
    """A subscription began, or has another price, plan or number of seats from this moment on."""


@event(
    "subscription.canceled",
    rank=1,
    example={"subscription_id": "sub-1", "ends_at": "2026-03-31T00:00:00Z", "reason": "price"},
)
class SubscriptionCanceled(Data):
    """A subscription was cancelled; it ends with the paid period, or now."""

    subscription_id: Id
    ends_at: NotRequired[Annotated[Moment, Field(description="When the paid period ends.")]]
    reason: NotRequired[Id]


class Trial(Data):
    trial_id: Id
    plan: NotRequired[Id]


@event("trial.started", example={"trial_id": "trial-1", "plan": "pro"})
class TrialStarted(Trial):
    """A trial began."""


@event("trial.converted", rank=1, example={"trial_id": "trial-1", "plan": "pro"})
class TrialConverted(Trial):
    """A trial became a paid subscription."""


@event("trial.expired", rank=2, example={"trial_id": "trial-1"})
class TrialExpired(Trial):
    """A trial ended without a subscription."""


class Renewal(Data):
    contract_id: Id
    amount: NotRequired[Money]
    currency: NotRequired[Currency]


@event("renewal.due", example={"contract_id": "contract-1", "amount": "12000"})
class RenewalDue(Renewal):
    """A contract is up for renewal."""


@event("renewal.completed", rank=1, example={"contract_id": "contract-1", "amount": "12600"})
class RenewalCompleted(Renewal):
    """A contract was renewed."""


@event("renewal.declined", rank=2, example={"contract_id": "contract-1"})
class RenewalDeclined(Renewal):
    """A contract was not renewed."""


class Purchase(Data):
    order_id: Id
    amount: Money
    currency: NotRequired[Currency]


@event("purchase.completed", example={"order_id": "order-1", "amount": "49.90", "currency": "USD"})
class PurchaseCompleted(Purchase):
    """Something was bought."""


@event("purchase.refunded", rank=1, example={"order_id": "order-1", "amount": "49.90"})
class PurchaseRefunded(Purchase):
    """Money for a purchase was given back."""


tickets_opened = measure("tickets_opened", "Support tickets that were opened.", channel=True)


class Ticket(Data):
    ticket_id: Id
    channel: NotRequired[Id]
    priority: NotRequired[Id]
    by: NotRequired[Literal["agent", "customer"]]
    first_contact: NotRequired[Annotated[bool, Field(description="What the helpdesk says of it.")]]


@event(
    "ticket.opened",
    example={"ticket_id": "ticket-1", "channel": "email", "priority": "high"},
    posts=lambda e: [Line(tickets_opened, 1, channel=e.data.get("channel", ""))],
)
class TicketOpened(Ticket):
    """A customer asked for help."""


@event("ticket.replied", rank=1, example={"ticket_id": "ticket-1", "by": "agent"})
class TicketReplied(Ticket):
    """Somebody wrote in a ticket."""


@event("ticket.reopened", rank=2, example={"ticket_id": "ticket-1", "by": "customer"})
class TicketReopened(Ticket):
    """A ticket that was resolved is open again."""


@event("ticket.resolved", rank=3, example={"ticket_id": "ticket-1", "first_contact": True})
class TicketResolved(Ticket):
    """A ticket was resolved."""


class Goal(Data):
    goal: Id
    who: NotRequired[Annotated[Id, Field(description="Who pursues it; default: the user, or else the account.")]]


@event("goal.entered", example={"goal": "upgrade", "who": "lead-7"})
class GoalEntered(Goal):
    """Somebody entered the way to a goal: saw the offer, opened the form."""


@event("goal.completed", rank=1, example={"goal": "upgrade", "who": "lead-7"})
class GoalCompleted(Goal):
    """Somebody reached a goal."""


@event("onboarding.started", example={})
class OnboardingStarted(Data):
    """An account, or a user of it, began its onboarding."""


@event("onboarding.step_completed", rank=1, example={"step": "invite-team"})
class OnboardingStepCompleted(Data):
    """A step of the onboarding is done."""

    step: Id


@event("onboarding.completed", rank=2, example={})
class OnboardingCompleted(Data):
    """The onboarding is done: first value was reached."""


survey_invitations = measure("survey_invitations", "Surveys sent out.", subject="survey", channel=True)


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


def _answer(e: Fact) -> list[Line]:
    assert e.survey is not None
    survey, score = e.survey, e.data["score"]
    posted = {survey_responses: 1, comments: int(bool(e.data.get("comment")))}
    if survey.kind == "nps":
        posted |= {nps_responses: 1, nps_promoters: int(score >= 9), nps_detractors: int(score <= 6)}
    elif survey.kind == "csat":
        assert survey.satisfied_from is not None
        posted |= {csat_responses: 1, csat_satisfied: int(score >= survey.satisfied_from), csat_scores: score}
        posted |= {csat_scales: survey.scale, csat_scale_squares: survey.scale**2}
    else:
        posted |= {ces_responses: 1, ces_easy: int(survey.is_easy(score)), ces_scores: score}
        posted |= {ces_scales: survey.scale, ces_scale_squares: survey.scale**2}
    channel = e.data.get("channel", "")
    return [Line(what, value, survey.id, channel) for what, value in posted.items()]


@event(
    "survey.responded",
    rank=1,
    example={"survey": "nps", "score": 9, "comment": "Fast help.", "channel": "email"},
    posts=_answer,
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
)
class FeedbackReceived(Voice):
    """Somebody said something, without a score."""

    comment: Annotated[Text, Field(min_length=1)]


@event(
    "cost.recorded",
    account=False,
    example={"category": "acquisition", "amount": "2400"},
)
class CostRecorded(Data):
    """Money was spent to win or to keep customers; without an account, for the whole business."""

    category: Literal["acquisition", "retention"]
    amount: Money
    currency: NotRequired[Currency]
