"""The users of an account: who comes when, how often they look in, what they use, and when they go."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import count
from random import Random

from app.demo.events import DemoEvent, event
from app.demo.lifecycle import Life
from app.demo.timeline import ROUTE_PLANNER, Timeline, moment, opening

# How likely somebody is to look in on a working day (planners, regulars, occasional guests), and how many are such.
HABITS = (0.42, 0.105, 0.03)
HABIT_SHARES = (8, 35, 57)
FILLED = {"starter": (0.6, 0.9), "growth": (0.6, 0.9), "enterprise": (0.4, 0.65)}
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
class User:
    """One person for one stay: present from `join_months` to the day before `left`.

    temper: what they add to any score they give (-2.0 to 2.0); features: what they are used to, favourites first;
    discovers: the position in the story at which they take up the route planner.
    """

    id: str
    joined: date
    left: date
    habit: float
    temper: float
    features: tuple[str, ...]
    discovers: float


def people(life: Life, *, timeline: Timeline, rng: Random) -> list[User]:
    """Everyone who was ever a user of the account, stay by stay."""
    spells, never = life.spells(timeline.end), timeline.end + timedelta(days=1)
    low, high = FILLED[life.account.plan]
    filled, ids = low + rng.random() * (high - low), (f"u-{life.account.number:04}-{n:03}" for n in count(1))
    here: list[User] = []
    gone: list[User] = []
    if life.account.by_trial:
        here += [_comes(next(ids), life.account.joined, 3, never, rng) for _ in range(rng.randint(2, 4))]
    for step in life.steps:
        if step.cause == "return":
            gone += [_goes(user, spells[0][1], rng) for user in here]
            again = max(step.day, spells[0][1] + timedelta(days=7))
            here = [replace(user, joined=again, left=never) for user in here if rng.random() < 0.6]
        wanted = max(2, int(step.seats * filled))
        gone += [_goes(user, step.day, rng) for user in here[wanted:]]
        here = here[:wanted]
        spread = 40 if step.cause == "start" else 25
        here += [_comes(next(ids), step.day, spread, never, rng) for _ in range(wanted - len(here))]
    over = spells[-1][1]
    gone += [_goes(user, over, rng) if over < never else user for user in here]
    stays = [stay for user in gone for stay in _handed_on(user, ids, rng)]
    return [user for user in stays if user.joined < user.left and user.joined <= timeline.end]


def _comes(id: str, earliest: date, spread: int, left: date, rng: Random) -> User:
    features = rng.choices(list(FEATURES), list(FEATURES.values()), k=rng.randint(3, 7))
    return User(
        id=id,
        joined=earliest + timedelta(days=rng.randint(0, spread)),
        left=left,
        habit=rng.choices(HABITS, HABIT_SHARES)[0] * (0.7 + 0.6 * rng.random()),
        temper=2 * (rng.random() + rng.random() - 1),
        features=tuple(dict.fromkeys(features)),
        discovers=ROUTE_PLANNER + rng.random() * 16,
    )


def _goes(user: User, day: date, rng: Random) -> User:
    """Access is closed within days after the account has ended or given up seats."""
    return replace(user, left=day + timedelta(days=rng.randint(0, 6)))


def _handed_on(user: User, ids: Iterator[str], rng: Random) -> Iterator[User]:
    """Some people change jobs, and a colleague takes over."""
    changes = user.joined + timedelta(days=rng.randint(60, 600))
    if rng.random() < 0.25 and changes < user.left:
        yield replace(user, left=changes)
        starts = changes + timedelta(days=rng.randint(1, 20))
        yield _comes(next(ids), starts, 0, user.left, rng)
    else:
        yield user


def registrations(life: Life, users: list[User], *, timeline: Timeline) -> Iterator[DemoEvent]:
    """`user.registered` in the morning of the first day, `user.removed` before the working day of the first without."""
    for user in users:
        yield event("user.registered", opening(user.joined, life.account.region), user=user.id)
        if user.left <= timeline.end:
            yield event("user.removed", moment(user.left, 600), user=user.id)


def present(users: list[User], day: date) -> list[User]:
    """The users who are registered on `day`."""
    return [user for user in users if user.joined <= day < user.left]
