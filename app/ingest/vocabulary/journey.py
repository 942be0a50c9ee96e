"""Goals and onboarding."""

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired

from app.ingest.define import Data, event
from app.ingest.fields import Id


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
