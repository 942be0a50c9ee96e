"""Who looks in, for how long, and what they use: by far most of the events."""

from collections.abc import Iterator
from datetime import date
from random import Random

from app.demo.events import DemoEvent, event
from app.demo.lifecycle import Life
from app.demo.people import User
from app.demo.timeline import BAD_RELEASE, RELEASE_IS_MENDED, Timeline, along, at_work, days, season

# How busy accounts are over the story, from the days before the bad release to those after the overhaul.
COMPANY = ((8.0, 1.0), (8.2, 0.88), (10.5, 0.84), (12.0, 1.0), (20.0, 1.12))
SYNC_IS_BROKEN = ((8.0, 1.0), (8.2, 0.55), (10.0, 0.6), (12.0, 0.95))
WHALE = ((8.2, 1.0), (9.5, 0.45), (12.3, 0.35), (13.5, 1.0), (16.0, 1.25))


def usage(life: Life, users: list[User], *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """`session.ended` and `feature.used` of all users, user by user."""
    busy = [
        (day, pulse(life, day, timeline) * season(day, life.account.region))
        for first, until in life.spells(timeline.end)
        for day in days(first, until)
    ]
    for user in users:
        for day, much in busy:
            if user.joined <= day < user.left and rng.random() < user.habit * much:
                yield from _visit(life, user, day, timeline, rng)


def pulse(life: Life, day: date, timeline: Timeline) -> float:
    """How alive an account is on a day: about 1.0, and 0.0 before a silent leaving."""
    if life.leaves and life.silent_on(day):
        return 0.2 if (life.leaves - day).days > 14 else 0.0
    position = timeline.position(day)
    alive = along(COMPANY, position)
    if life.account.part == "whale":
        return alive * along(WHALE, position)
    if life.account.region == "emea" and life.account.plan == "starter":
        return alive * along(SYNC_IS_BROKEN, position)
    return alive


def _visit(life: Life, user: User, day: date, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """One session, of heavy users now and then two, and what was used in it."""
    region, minutes = life.account.region, 4 + 30 * user.habit + 26 * rng.random() * rng.random()
    position = timeline.position(day)
    for _ in range(1 + (rng.random() < user.habit * 0.5)):
        at, seconds = at_work(day, region, rng), int(minutes * (45 + 30 * rng.random()))
        yield event("session.ended", at, user=user.id, duration_seconds=seconds)
    if rng.random() < 0.4:
        feature = user.features[int(rng.random() * rng.random() * len(user.features))]
        broken = feature == "mobile_sync" and BAD_RELEASE <= position < RELEASE_IS_MENDED
        if not broken or rng.random() < 0.25:
            times = 1 + int(6 * rng.random() * rng.random())
            yield event("feature.used", at, user=user.id, feature=feature, count=times)
    step = life.step_on(day)
    if position >= user.discovers and step and step.plan != "starter" and rng.random() < 0.4:
        yield event("feature.used", at, user=user.id, feature="route_planner", count=rng.randint(1, 4))
