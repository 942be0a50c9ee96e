"""How many arrive: goals and onboardings, told of the period in which they were begun, whenever they were completed."""

from app.metrics.define import Happens, Result, mean, metric, proportion

ENTERED = Happens(1, "goal.entered", {"goal": "upgrade"})
REACHED = Happens(1, "goal.completed", {"goal": "upgrade"}, on="2026-03-12")
STARTED = Happens(1, "onboarding.started", {})
ONBOARDED = Happens(1, "onboarding.completed", {}, on="2026-03-12")


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"goals_completed": 1, "goals_entered": 2, "equals": 50},
    events=[ENTERED, REACHED, ENTERED._replace(user="bob")],
)
def conversion_rate(goals_completed: int, goals_entered: int) -> Result:
    """Conversion rate: of those who entered the way to a goal in the period, how many per hundred reached it; by subject,
    each goal."""
    return proportion(goals_completed, of=goals_entered, none="nobody_entered")


@metric(
    unit="percent",
    better="up",
    range=(0, 100),
    example={"onboardings_completed": 1, "onboardings_started": 2, "equals": 50},
    events=[STARTED, ONBOARDED, STARTED._replace(user="bob")],
)
def onboarding_completion_rate(onboardings_completed: int, onboardings_started: int) -> Result:
    """Onboarding completion rate: of the onboardings that were started in the period, how many per hundred were completed."""
    return proportion(onboardings_completed, of=onboardings_started, none="no_onboardings")


@metric(
    unit="days",
    better="down",
    example={"onboarding_seconds": 172_800, "onboardings_completed": 1, "equals": 2},
    events=[STARTED, ONBOARDED],
)
def time_to_value_days(onboarding_seconds: int, onboardings_completed: int) -> Result:
    """Time to value: days from start to completion, of onboardings that were started in the period and completed."""
    return mean(onboarding_seconds, of=onboardings_completed, none="no_onboardings_completed", unit=86_400)
