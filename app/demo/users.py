"""The users of an account: when each joins and leaves, how active each is, and which features each uses."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import count
from math import inf
from random import Random

from app.demo.events import DemoEvent, make_event
from app.demo.lifecycle import Lifecycle
from app.demo.timeline import Timeline, days_between, opening_time, time_on

# The probability that a user is active on a working day (planners, regular and occasional users), and the shares of these.
ACTIVITY_RATES = (0.32, 0.07, 0.028)
ACTIVITY_RATE_SHARES = (4, 20, 76)
# The lowest and highest share of an account's seats that have a user.
SEAT_USE = {"starter": (0.6, 0.9), "growth": (0.5, 0.9), "enterprise": (0.5, 0.85)}
# Features with their weights.
FEATURES = {
    "dashboard": 12,
    "work_orders": 11,
    "calendar": 8,
    "mobile_sync": 9,
    "checklists": 6,
    "reports": 5,
    "comments": 5,
    "alerts": 4,
    "photo_notes": 4,
    "export": 3,
    "integrations": 3,
}


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A user, registered from `joined_on` to the day before `left_on`. A user who returns is another `DemoUser`.

    activity_rate: the probability of a session on a working day. score_bias: added to every score (-2.0 to 2.0).
    features: the features that the user uses, the most used first. route_planner_delay: after its account, in months.
    """

    id: str
    joined_on: date
    left_on: date
    activity_rate: float
    score_bias: float
    features: tuple[str, ...]
    route_planner_delay: float


def build_users(lifecycle: Lifecycle, *, timeline: Timeline, rng: Random) -> list[DemoUser]:
    """Return all users that the account ever has."""
    account, periods = lifecycle.account, lifecycle.access_periods(timeline.last_day)
    after_end = timeline.last_day + timedelta(days=1)
    low, high = SEAT_USE[account.plan]
    seat_use, ids = low + rng.random() * (high - low), (f"u-{account.number:04}-{n:03}" for n in count(1))
    current: list[DemoUser] = []
    former: list[DemoUser] = []
    if account.has_trial:
        current += [_new_user(next(ids), account.joined_on, 3, after_end, rng) for _ in range(rng.randint(2, 4))]
    for step in lifecycle.steps:
        if step.cause == "return":
            first_end = periods[0][1]
            former += [_with_access_ended(user, first_end, rng) for user in current]
            rejoined_on = max(step.day, first_end + timedelta(days=7))
            current = [
                replace(user, joined_on=rejoined_on, left_on=after_end) for user in current if rng.random() < 0.6
            ]
        size = max(2, int(step.seats * seat_use))
        former += [_with_access_ended(user, step.day, rng) for user in current[size:]]
        current = current[:size]
        spread = 40 if step.cause == "start" else 25
        current += [_new_user(next(ids), step.day, spread, after_end, rng) for _ in range(size - len(current))]
    last_end = periods[-1][1]
    former += [_with_access_ended(user, last_end, rng) if last_end < after_end else user for user in current]
    users = [replacement for user in former for replacement in _with_job_change(user, ids, rng)]
    return [
        user
        for user in users
        if user.joined_on < user.left_on and user.joined_on <= timeline.last_day and user.left_on > timeline.first_day
    ]


def _new_user(id: str, earliest: date, spread: int, left_on: date, rng: Random) -> DemoUser:
    """Return a user who joins up to `spread` days after `earliest`."""
    features = rng.choices(list(FEATURES), list(FEATURES.values()), k=rng.randint(3, 7))
    return DemoUser(
        id=id,
        joined_on=earliest + timedelta(days=rng.randint(0, spread)),
        left_on=left_on,
        activity_rate=rng.choices(ACTIVITY_RATES, ACTIVITY_RATE_SHARES)[0] * (0.7 + 0.6 * rng.random()),
        score_bias=2 * (rng.random() + rng.random() - 1),
        features=tuple(dict.fromkeys(features)),
        route_planner_delay=3 * rng.random() if rng.random() < 0.85 else inf,
    )


def _with_access_ended(user: DemoUser, day: date, rng: Random) -> DemoUser:
    """Return the user with access that ends within days after the account has churned or reduced its seats."""
    return replace(user, left_on=day + timedelta(days=rng.randint(0, 6)))


def _with_job_change(user: DemoUser, ids: Iterator[str], rng: Random) -> Iterator[DemoUser]:
    """Yield the user, or for one in four the user up to a change of jobs and the colleague who takes over."""
    leaves_on = user.joined_on + timedelta(days=rng.randint(60, 600))
    if rng.random() < 0.25 and leaves_on < user.left_on:
        yield replace(user, left_on=leaves_on)
        successor_from = leaves_on + timedelta(days=rng.randint(1, 20))
        yield _new_user(next(ids), successor_from, 0, user.left_on, rng)
    else:
        yield user


def registration_events(lifecycle: Lifecycle, users: list[DemoUser], *, timeline: Timeline) -> Iterator[DemoEvent]:
    """Yield `user.registered` in the morning of the first day and `user.removed` early on the day after the last."""
    for user in users:
        yield make_event("user.registered", opening_time(user.joined_on, lifecycle.account.region), user=user.id)
        if user.left_on <= timeline.last_day:
            yield make_event("user.removed", time_on(user.left_on, 600), user=user.id)


def users_on(users: list[DemoUser], day: date) -> list[DemoUser]:
    """Return the users who are registered on a day."""
    return [user for user in users if user.joined_on <= day < user.left_on]


def count_users(users: list[DemoUser], start: date, end: date) -> Iterator[tuple[date, int]]:
    """Yield every day from `start` to the day before `end`, with the number of users who are registered on it."""
    changes = Counter[date]()
    for user in users:
        changes[max(user.joined_on, start)] += 1
        changes[max(user.left_on, start)] -= 1
    number = 0
    for day in days_between(start, end):
        number += changes[day]
        yield day, number
