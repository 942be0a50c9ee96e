"""Event types about goals and onboarding."""

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired

from app.ingest.define import Data, event
from app.ingest.fields import Id
from app.ledger.streams import goals, onboarding


class Goal(Data):
    goal: Annotated[
        Id, Field(description="Name of the goal, such as `upgrade`. Conversion can be broken down by goal (`subject`).")
    ]
    who: NotRequired[
        Annotated[
            Id,
            Field(
                description="Who pursues the goal: the id of a user, or an id of your own, such as a lead's. "
                "Default: `user_id`, or without one the account."
            ),
        ]
    ]


@event("goal.entered", stream=goals.stream_name, example={"goal": "upgrade", "who": "lead-7"})
class GoalEntered(Goal):
    """Someone started an attempt to reach a goal: saw an offer, opened a form.

    Counts one attempt in `conversion_rate`. Entering again before the goal is reached changes nothing; after that, it starts
    another attempt. Events may arrive in any order.
    """


@event("goal.completed", rank=1, stream=goals.stream_name, example={"goal": "upgrade", "who": "lead-7"})
class GoalCompleted(Goal):
    """Someone reached a goal.

    The completion counts on the day on which the attempt was started, so the rate of a past period can still rise. Without a
    `goal.entered` before it, the attempt counts as started at the same time. Completing again without entering again changes
    nothing.
    """


@event("onboarding.started", stream=onboarding.stream_name, example={})
class OnboardingStarted(Data):
    """The onboarding of an account, or of one of its users, started.

    With `user_id` it is the user's onboarding, without it the account's. Counts one onboarding in
    `onboarding_completion_rate`. Starting again before the completion changes nothing; after it, another onboarding starts.
    Events may arrive in any order.
    """


@event("onboarding.step_completed", rank=1, stream=onboarding.stream_name, example={"step": "invite-team"})
class OnboardingStepCompleted(Data):
    """A step of an onboarding was completed.

    Counts in the onboarding funnel, on the day on which the onboarding was started. Only the first completion of a step counts.
    A step that comes before any `onboarding.started` starts the onboarding; a step after the completion still belongs to it.
    """

    step: Annotated[Id, Field(description="Name of the step, such as `invite-team`.")]


@event("onboarding.completed", rank=2, stream=onboarding.stream_name, example={})
class OnboardingCompleted(Data):
    """An onboarding was completed: the account or user reached the first value.

    The completion, and the days it took (`time_to_value_days`), count on the day on which the onboarding was started. Without
    an earlier event of the onboarding, it counts as started at the same time. Completing again without starting again changes
    nothing.
    """
