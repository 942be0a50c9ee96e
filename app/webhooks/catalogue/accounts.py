"""Topics about single accounts: feedback, MRR and health."""

from typing import Annotated, Literal

from pydantic import Field, with_config
from typing_extensions import NotRequired, TypedDict

from app.webhooks.define import CLOSED, AccountCard, Day, MessageData, Number, Time, topic

_ACCOUNT = {"id": "acme", "name": "Acme", "attributes": {"name": "Acme", "plan": "pro", "region": "emea"}}
_OVERVIEW = "https://metrics.example.com/v1/accounts/acme/overview"


@topic(
    "feedback.received",
    title="Feedback received",
    example={
        "id": "YWNtZQByLTE3",
        "event_id": "r-17",
        "account": _ACCOUNT,
        "user_id": "ada",
        "survey": "nps",
        "score": 4,
        "class": "detractor",
        "comment": "The export takes too long.",
        "tags": ["export"],
        "channel": "email",
        "occurred_at": "2026-03-14T09:30:00+00:00",
        "links": {"account": _OVERVIEW, "feedback": "https://metrics.example.com/v1/feedback/YWNtZQByLTE3"},
    },
)
class FeedbackMessage(MessageData):
    """Somebody has answered a survey or left a comment.

    Each response to a survey and each `feedback.received` event makes one message, as soon as it is stored. `class` says which
    of them to act on: `detractor`, `unsatisfied`, `difficult`. The message is deleted when its user or its comment is erased.
    """

    id: Annotated[str, Field(description="The id for `/v1/feedback/{id}`, where a comment is found.")]
    event_id: Annotated[str, Field(description="Your id of the event.")]
    account: AccountCard
    user_id: str | None
    survey: str | None
    score: int | None
    score_class: Annotated[
        Literal["promoter", "passive", "detractor", "satisfied", "unsatisfied", "easy", "neutral", "difficult"] | None,
        Field(alias="class", description="The class of the score; null without a score."),
    ]
    comment: str | None
    tags: list[str]
    channel: str | None
    occurred_at: Time


@with_config(CLOSED)
class MrrMovement(TypedDict):
    """What the change adds to the MRR movements of one day; less than zero where it takes something back."""

    kind: Literal["new", "expansion", "contraction", "churned", "reactivated"]
    effective_on: Day
    is_scheduled: Annotated[bool, Field(alias="scheduled", description="Whether that day is still ahead.")]
    amount: Annotated[str, Field(description="In the base currency, per month; of losses above zero, too.")]
    reason: NotRequired[Annotated[str, Field(description="Why an account has churned.")]]


@topic(
    "mrr.moved",
    title="MRR moved",
    example={
        "account": _ACCOUNT,
        "metric": "mrr",
        "currency": "USD",
        "value": 1200,
        "previous": 1000,
        "change": 200,
        "amount": "1200.00",
        "on": "2026-03-14",
        "movements": [
            {"kind": "expansion", "effective_on": "2026-03-14", "scheduled": False, "amount": "200.00"},
        ],
        "events": ["sub-17-upgrade"],
        "links": {
            "account": _OVERVIEW,
            "question": "https://metrics.example.com/v1/metrics/mrr?account=acme&period=2026-03",
        },
    },
)
class MrrMessage(MessageData):
    """The MRR of an account has moved, or will move on a day that is known already.

    The events of a request make one message for each account, together with those of requests that arrive at the same moment. An
    event that arrives late, or is retracted, moves what was reported before, and `movements` has the differences. `value` and
    `previous` are the MRR of today with and without the change; `movements` and `events` are its proof.
    """

    account: AccountCard
    metric: Literal["mrr"]
    currency: str
    value: Number
    previous: Number
    change: Number
    amount: Annotated[str, Field(description="`value` with the digits of the currency.")]
    on: Annotated[Day, Field(description="Today: the day of `value` and `previous`.")]
    movements: list[MrrMovement]
    events: Annotated[list[str], Field(description="Your ids of the events that caused it; at most 20 of them.")]


@with_config(CLOSED)
class WeakComponent(TypedDict):
    """A component of health that costs the account points."""

    component: str
    title: str
    value: Number | None
    unit: str
    points_lost: Number


@topic(
    "health.band_changed",
    title="Health band changed",
    example={
        "account": _ACCOUNT,
        "on": "2026-03-14",
        "score": 34.5,
        "previous": 47.25,
        "band": "critical",
        "previous_band": "at_risk",
        "direction": "down",
        "model_version": 3,
        "coverage": 100,
        "mrr": "1200.00",
        "weakest": [{"component": "usage", "title": "Active users", "value": 2, "unit": "count", "points_lost": 21.5}],
        "links": {"account": _OVERVIEW},
    },
)
class HealthMessage(MessageData):
    """The health of a customer has moved to another band.

    A band is left as soon as the score is outside of it. `previous` is the score of the message before or, before the first one,
    of the day before.
    """

    account: AccountCard
    on: Annotated[Day, Field(description="The day whose score it is.")]
    score: Number | None
    previous: Number | None
    band: Literal["critical", "at_risk", "healthy"] | None
    previous_band: Literal["critical", "at_risk", "healthy"] | None
    direction: Literal["up", "down"] | None
    model_version: int
    coverage: Annotated[Number, Field(description="The percentage of the model's weight that had data.")]
    mrr: Annotated[str, Field(description="MRR at the end of the day, in the base currency.")]
    weakest: Annotated[list[WeakComponent], Field(description="What costs the account most points, at most 3.")]
