"""Goals and onboarding."""

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired

from app.ingest.define import Data, event
from app.ingest.fields import Id
from app.ledger.streams import goals, onboarding


class Goal(Data):
    goal: Id
    who: NotRequired[
        Annotated[
            Id, Field(description="Who pursues it, a user's id being that user; default: the user, or the account.")
        ]
    ]


@event("goal.entered", stream=goals.stream_name, example={"goal": "upgrade", "who": "lead-7"})
class GoalEntered(Goal):
    """Somebody entered the way to a goal: saw the offer, opened the form. Again only counts after the goal was reached."""


@event("goal.completed", rank=1, stream=goals.stream_name, example={"goal": "upgrade", "who": "lead-7"})
class GoalCompleted(Goal):
    """Somebody reached a goal; who had not entered the way to it did so then."""


@event("onboarding.started", stream=onboarding.stream_name, example={})
class OnboardingStarted(Data):
    """An account, or the user that is named, began its onboarding. After a completion it is another one."""


@event("onboarding.step_completed", rank=1, stream=onboarding.stream_name, example={"step": "invite-team"})
class OnboardingStepCompleted(Data):
    """A step of the onboarding is done."""

    step: Id


@event("onboarding.completed", rank=2, stream=onboarding.stream_name, example={})
class OnboardingCompleted(Data):
    """The onboarding is done: first value was reached. One that had not started did so then."""
