"""The way in: trials, onboarding with its steps, and the goals that show whether people arrive."""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

from app.demo.events import DemoEvent, event
from app.demo.lifecycle import Life
from app.demo.people import User, present
from app.demo.timeline import OVERHAUL, Timeline, at_work, opening
from app.demo.voice import effort

STEPS = ("invite_team", "import_sites", "first_work_order", "first_report")
# The chance to go on to each step, before and after the overhaul: the site import was where people gave up.
GOING_ON = ((0.96, 0.8, 0.92, 0.9), (0.98, 0.95, 0.96, 0.95))


def trials(life: Life, *, rng: Random) -> Iterator[DemoEvent]:
    """`trial.started` and, when it has been decided, `trial.converted` or `trial.expired`."""
    for number, trial in enumerate(life.trials, start=1):
        name = f"trial-{life.account.number:04}-{number}"
        yield event("trial.started", opening(trial.started, life.account.region), trial_id=name, plan=trial.plan)
        kind = "trial.converted" if trial.converted else "trial.expired"
        yield event(kind, at_work(trial.decided, life.account.region, rng), trial_id=name, plan=trial.plan)


def onboarding(life: Life, users: list[User], *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """`onboarding.started`, its steps as far as the account gets, `onboarding.completed` and the effort survey.

    An account that comes back is onboarded again, with the onboarding of that time.
    """
    for first, until in life.spells(timeline.end):
        region, better = life.account.region, timeline.position(first) >= OVERHAUL
        day, reached = first, 0
        yield event("onboarding.started", opening(day, region))
        for step, chance in zip(STEPS, GOING_ON[better], strict=True):
            day += timedelta(days=rng.randint(1, 4) if better else rng.randint(2, 9))
            if life.account.won is None:
                chance *= 0.8
            if rng.random() >= chance or day >= until:
                break
            reached += 1
            yield event("onboarding.step_completed", at_work(day, region, rng), step=step)
        if reached == len(STEPS):
            day += timedelta(days=1)
            yield event("onboarding.completed", at_work(day, region, rng))
            here = present(users, day)
            for user in rng.sample(here, min(4, len(here))):
                yield from effort(life, user, day, timeline=timeline, rng=rng)


def goals(life: Life, users: list[User], *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """`goal.entered` and `goal.completed`: a plan (users), a calendar (the account), a referral (someone else)."""
    over = life.spells(timeline.end)[-1][1]
    for user in users:
        if rng.random() < 0.55:
            chance = 0.46 if timeline.position(user.joined) < OVERHAUL else 0.68
            entered = user.joined + timedelta(days=rng.randint(0, 6))
            days = (entered, entered + timedelta(days=rng.randint(1, 12)), user.left)
            yield from _goal(life, days, chance, rng, user=user.id, goal="publish_first_plan")
    entered = life.account.joined + timedelta(days=rng.randint(3, 10))
    days = (entered, entered + timedelta(days=rng.randint(1, 30)), over)
    yield from _goal(life, days, 0.6, rng, goal="connect_calendar")
    for number in range(1, timeline.months + 2, 4):
        invited = timeline.month(number) + timedelta(days=rng.randint(0, 25))
        if life.step_on(invited) and rng.random() < 0.12:
            days = (invited, invited + timedelta(days=rng.randint(3, 25)), over)
            who = f"invited-{life.account.number:04}-{number}"
            yield from _goal(life, days, 0.3, rng, goal="refer_a_colleague", who=who)


def _goal(
    life: Life, days: tuple[date, date, date], chance: float, rng: Random, *, user: str | None = None, **data: str
) -> Iterator[DemoEvent]:
    """days: entered, completed (by chance), and the first one on which nobody is there any more."""
    entered, completed, over = days
    if entered < over:
        yield event("goal.entered", at_work(entered, life.account.region, rng), user=user, **data)
        if completed < over and rng.random() < chance:
            yield event("goal.completed", at_work(completed, life.account.region, rng), user=user, **data)
