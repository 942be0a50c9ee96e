"""Trials, onboarding with its steps, and the goals that show whether new customers get started."""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

from app.demo.events import DemoEvent, make_event
from app.demo.lifecycle import Lifecycle
from app.demo.surveys import effort_events
from app.demo.timeline import ONBOARDING_OVERHAUL, Timeline, opening_time, working_time
from app.demo.users import DemoUser, users_on

STEPS = ("invite_team", "import_sites", "first_work_order", "first_report")
# The probability of reaching each step after the one before, before and after the overhaul: many gave up at the site import.
STEP_CHANCES = ((0.96, 0.8, 0.92, 0.9), (0.98, 0.95, 0.96, 0.95))


def trial_events(lifecycle: Lifecycle, *, rng: Random) -> Iterator[DemoEvent]:
    """Yield `trial.started`, then `trial.converted` or `trial.expired`, of each trial."""
    account = lifecycle.account
    for number, trial in enumerate(lifecycle.trials, start=1):
        trial_id = f"trial-{account.number:04}-{number}"
        started_at = opening_time(trial.started_on, account.region)
        yield make_event("trial.started", started_at, trial_id=trial_id, plan=trial.plan)
        type = "trial.converted" if trial.is_converted else "trial.expired"
        decided_at = working_time(trial.decided_on, account.region, rng)
        yield make_event(type, decided_at, trial_id=trial_id, plan=trial.plan)


def onboarding_events(
    lifecycle: Lifecycle, users: list[DemoUser], *, timeline: Timeline, rng: Random
) -> Iterator[DemoEvent]:
    """Yield `onboarding.started`, the steps that the account reaches, `onboarding.completed` and the effort survey.

    An account that returns is onboarded again.
    """
    region = lifecycle.account.region
    for start, end in lifecycle.access_periods(timeline.last_day):
        if start < timeline.first_day:
            continue
        is_overhauled = timeline.position(start) >= ONBOARDING_OVERHAUL
        day, steps_reached = start, 0
        yield make_event("onboarding.started", opening_time(day, region))
        for step, chance in zip(STEPS, STEP_CHANCES[is_overhauled], strict=True):
            day += timedelta(days=rng.randint(1, 4) if is_overhauled else rng.randint(2, 9))
            if lifecycle.account.won_on is None:
                chance *= 0.8
            if rng.random() >= chance or day >= end:
                break
            steps_reached += 1
            yield make_event("onboarding.step_completed", working_time(day, region, rng), step=step)
        if steps_reached == len(STEPS):
            day += timedelta(days=1)
            yield make_event("onboarding.completed", working_time(day, region, rng))
            current_users = users_on(users, day)
            for user in rng.sample(current_users, min(4, len(current_users))):
                yield from effort_events(lifecycle, user, day, timeline=timeline, rng=rng)


def goal_events(lifecycle: Lifecycle, users: list[DemoUser], *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """Yield `goal.entered` and `goal.completed`: of users (a first plan), the account (a calendar) and referred people."""
    access_end = lifecycle.access_periods(timeline.last_day)[-1][1]
    for user in users:
        if rng.random() < 0.55 and user.joined_on >= timeline.first_day:
            chance = 0.46 if timeline.position(user.joined_on) < ONBOARDING_OVERHAUL else 0.68
            entered_on = user.joined_on + timedelta(days=rng.randint(0, 6))
            days = (entered_on, entered_on + timedelta(days=rng.randint(1, 12)), user.left_on)
            yield from _goal_events(lifecycle, days, chance, rng, user=user.id, goal="publish_first_plan")
    entered_on = lifecycle.account.joined_on + timedelta(days=rng.randint(3, 10))
    days = (entered_on, entered_on + timedelta(days=rng.randint(1, 30)), access_end)
    if lifecycle.account.joined_on >= timeline.first_day:
        yield from _goal_events(lifecycle, days, 0.6, rng, goal="connect_calendar")
    for number in range(1, timeline.months + 2, 4):
        invited_on = timeline.first_of_month(number) + timedelta(days=rng.randint(0, 25))
        if lifecycle.step_on(invited_on) and rng.random() < 0.12:
            days = (invited_on, invited_on + timedelta(days=rng.randint(3, 25)), access_end)
            who = f"invited-{lifecycle.account.number:04}-{number}"
            yield from _goal_events(lifecycle, days, 0.3, rng, goal="refer_a_colleague", who=who)


def _goal_events(
    lifecycle: Lifecycle,
    days: tuple[date, date, date],
    chance: float,
    rng: Random,
    *,
    user: str | None = None,
    **data: str,
) -> Iterator[DemoEvent]:
    """Yield the events of one goal.

    days: when the goal is entered, when it is completed, with the probability `chance`, and the first day without access.
    """
    entered_on, completed_on, access_end = days
    region = lifecycle.account.region
    if entered_on < access_end:
        yield make_event("goal.entered", working_time(entered_on, region, rng), user=user, **data)
        if completed_on < access_end and rng.random() < chance:
            yield make_event("goal.completed", working_time(completed_on, region, rng), user=user, **data)
