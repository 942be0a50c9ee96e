"""Sessions and uses of features: most of the events."""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import date
from random import Random

from app.demo.events import DemoEvent, make_event
from app.demo.lifecycle import Lifecycle
from app.demo.timeline import (
    BAD_RELEASE,
    RELEASE_FIX,
    Timeline,
    activity_level,
    days_between,
    interpolate,
    working_time,
)
from app.demo.users import DemoUser

# Engagement by position: of all accounts, the factor of starter accounts in emea (whose mobile sync is broken), and of the whale.
ENGAGEMENT = ((8.0, 1.0), (8.2, 0.88), (10.5, 0.84), (12.0, 1.0), (20.0, 1.12))
BROKEN_SYNC_ENGAGEMENT = ((8.0, 1.0), (8.2, 0.55), (10.0, 0.6), (12.0, 0.7))
WHALE_ENGAGEMENT = ((8.2, 1.0), (9.5, 0.45), (12.3, 0.35), (13.5, 1.0), (16.0, 1.25))


def usage_events(
    lifecycle: Lifecycle, users: list[DemoUser], *, timeline: Timeline, rng: Random
) -> Iterator[DemoEvent]:
    """Yield `session.ended` and `feature.used` of all users, user by user."""
    levels = [
        (day, engagement(lifecycle, day, timeline) * activity_level(day, lifecycle.account.region))
        for start, end in lifecycle.access_periods(timeline.last_day)
        for day in days_between(max(start, timeline.first_day), end)
    ]
    days = [day for day, _ in levels]
    for user in users:
        rate = user.activity_rate
        for day, level in levels[bisect_left(days, user.joined_on) : bisect_left(days, user.left_on)]:
            if rng.random() < rate * level:
                yield from _session_events(lifecycle, user, day, timeline, rng)


def engagement(lifecycle: Lifecycle, day: date, timeline: Timeline) -> float:
    """Return how engaged an account is on a day: about 1.0, falling to 0.0 before it churns silently."""
    if lifecycle.churned_on and lifecycle.is_silent_on(day):
        return 0.1 if (lifecycle.churned_on - day).days > 14 else 0.0
    position = timeline.position(day)
    level = interpolate(ENGAGEMENT, position) * (0.15 + 0.85 * lifecycle.warmth_on(day))
    if lifecycle.account.role == "whale":
        return level * interpolate(WHALE_ENGAGEMENT, position)
    if lifecycle.account.is_hit_by_sync:
        return level * interpolate(BROKEN_SYNC_ENGAGEMENT, position)
    return level


def _session_events(
    lifecycle: Lifecycle, user: DemoUser, day: date, timeline: Timeline, rng: Random
) -> Iterator[DemoEvent]:
    """Yield one session, of very active users sometimes two, and the features used in it."""
    region, minutes = lifecycle.account.region, 4 + 30 * user.activity_rate + 26 * rng.random() * rng.random()
    position, is_hit = timeline.position(day), lifecycle.account.is_hit_by_sync
    for _ in range(1 + (rng.random() < user.activity_rate * 0.5)):
        at, seconds = working_time(day, region, rng), int(minutes * (45 + 30 * rng.random()))
        yield make_event("session.ended", at, user=user.id, duration_seconds=seconds)
    if rng.random() < 0.4:
        feature = user.features[int(rng.random() * rng.random() * len(user.features))]
        is_broken = feature == "mobile_sync" and position >= BAD_RELEASE and (position < RELEASE_FIX or is_hit)
        if not is_broken or rng.random() < (0.1 if is_hit else 0.25):
            count = 1 + int(6 * rng.random() * rng.random())
            yield make_event("feature.used", at, user=user.id, feature=feature, count=count)
    step = lifecycle.step_on(day)
    plans_routes = lifecycle.plans_routes_at(position - user.route_planner_delay) and step and step.plan != "starter"
    if plans_routes and rng.random() < 0.5:
        yield make_event("feature.used", at, user=user.id, feature="route_planner", count=rng.randint(1, 4))
