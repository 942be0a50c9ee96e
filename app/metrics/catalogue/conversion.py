"""Metrics of goals and onboarding: how many of those who start also finish.

A completion counts in the period in which the attempt started, whenever it comes.
"""

from app.metrics.define import ExampleEvent, Result, mean, metric, proportion

GOAL_ENTRY = ExampleEvent(1, "goal.entered", {"goal": "upgrade"})
GOAL_COMPLETION = ExampleEvent(1, "goal.completed", {"goal": "upgrade"}, on="2026-03-12")
ONBOARDING_START = ExampleEvent(1, "onboarding.started", {})
ONBOARDING_COMPLETION = ExampleEvent(1, "onboarding.completed", {}, on="2026-03-12")


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"goals_completed": 1, "goals_entered": 2, "equals": 50},
    events=[GOAL_ENTRY, GOAL_COMPLETION, GOAL_ENTRY._replace(user="bob")],
)
def conversion_rate(goals_completed: int, goals_entered: int) -> Result:
    """Conversion rate: percentage of goal attempts started in the period that have been completed so far.

    An attempt starts with `goal.entered` and ends with `goal.completed`. Entering again before completing continues the
    same attempt. The rate of a recent period can still rise. Can be broken down by goal. No value when no attempt was
    started.
    """
    return proportion(goals_completed, of=goals_entered, if_empty="nobody_entered")


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"onboardings_completed": 1, "onboardings_started": 2, "equals": 50},
    events=[ONBOARDING_START, ONBOARDING_COMPLETION, ONBOARDING_START._replace(user="bob")],
)
def onboarding_completion_rate(onboardings_completed: int, onboardings_started: int) -> Result:
    """Onboarding completion rate: percentage of the onboardings started in the period that have been completed so far.

    The rate of a recent period can still rise. No value when no onboarding was started.
    """
    return proportion(onboardings_completed, of=onboardings_started, if_empty="no_onboardings")


@metric(
    unit="days",
    better="down",
    example={"onboarding_seconds": 172_800, "onboardings_completed": 1, "equals": 2},
    events=[ONBOARDING_START, ONBOARDING_COMPLETION],
)
def time_to_value_days(onboarding_seconds: int, onboardings_completed: int) -> Result:
    """Time to value: average number of days from start to completion of the onboardings started in the period.

    Onboardings that are not completed yet are left out, so the average of a recent period can still rise. No value when
    none was completed.
    """
    return mean(onboarding_seconds, of=onboardings_completed, if_empty="no_onboardings_completed", unit=86_400)
