"""What customers say: NPS by the quarter, reviews of large accounts, effort after onboarding, and free feedback."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from math import floor
from random import Random

from app.demo.events import DemoEvent, event
from app.demo.lifecycle import Life
from app.demo.people import User, present
from app.demo.phrases import words
from app.demo.timeline import OVERHAUL, Timeline, along, at_work, days, whole

# What the company's moods add to a score of 0 to 10.
COMPANY = (
    *((0.0, 0.0), (3.0, 0.15), (7.9, 0.45), (8.3, -0.7), (9.5, -1.05), (11.0, -0.6)),
    *((12.5, 0.0), (14.0, 0.35), (15.2, 0.15), (18.0, 0.5), (21.0, 0.7), (25.0, 0.85)),
)
SYNC_IS_BROKEN = ((8.1, 0.0), (8.5, -1.4), (11.0, -1.4), (13.0, 0.0))
WHALE = ((8.2, 0.0), (9.3, -2.6), (12.3, -2.2), (13.6, 0.3), (18.0, 0.7))


def nps(life: Life, users: list[User], *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """Every third month from the first on, 16 users at most are asked; a third of them answer."""
    for number in range(1, timeline.months + 2, 3):
        # Late in the month, since the launch partners arrive early in the first.
        day = timeline.month(number) + timedelta(days=rng.randint(12, 16))
        here = present(users, day) if life.step_on(day) else []
        for user in rng.sample(here, min(16, len(here))):
            channel = rng.choice(("email", "in_app"))
            asked = at_work(day, life.account.region, rng)
            yield event("survey.sent", asked, user=user.id, survey="nps", channel=channel)
            if rng.random() < 0.36 and not life.silent_on(day):
                at = at_work(day + timedelta(days=rng.randint(1, 9)), life.account.region, rng)
                position = timeline.position(day)
                score = 8.0 + mood(life, position) + 1.1 * user.temper + 1.6 * (rng.random() - 0.5)
                yield answer("nps", at, user, score=score, scale=(0, 10), position=position, channel=channel, rng=rng)


def reviews(life: Life, users: list[User], *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """Enterprises are asked after the business review of each quarter."""
    for number in range(3, timeline.months + 2, 3):
        day = timeline.month(number) + timedelta(days=rng.randint(4, 20))
        step, here = life.step_on(day), present(users, day)
        if step is None or step.plan != "enterprise":
            continue
        for user in rng.sample(here, min(3, len(here))):
            asked = at_work(day, life.account.region, rng)
            yield event("survey.sent", asked, user=user.id, survey="business-review", channel="email")
            if rng.random() < 0.55:
                at = at_work(day + timedelta(days=rng.randint(1, 6)), life.account.region, rng)
                position = timeline.position(day)
                score = 4.1 + 0.45 * mood(life, position) + 0.3 * user.temper + rng.random() - 0.5
                yield answer(
                    "business-review", at, user, score=score, scale=(1, 5), position=position, channel="email", rng=rng
                )


def effort(life: Life, user: User, done: date, *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """After an onboarding: how easy was it, from 1 (hard) to 7? Much easier once it has been overhauled."""
    asked = at_work(done + timedelta(days=1), life.account.region, rng)
    yield event("survey.sent", asked, user=user.id, survey="onboarding-effort", channel="in_app")
    if rng.random() < 0.6:
        position = timeline.position(done)
        score = (3.9 if position < OVERHAUL else 5.7) + 0.5 * user.temper + 2.0 * (rng.random() - 0.5)
        at = at_work(done + timedelta(days=rng.randint(2, 6)), life.account.region, rng)
        yield answer(
            "onboarding-effort", at, user, score=score, scale=(1, 7), position=position, channel="in_app", rng=rng
        )


def feedback(life: Life, users: list[User], *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """Words without a score, more of them when the mood is bad."""
    for first, until in life.spells(timeline.end):
        for day in days(first, until):
            here, position = present(users, day), timeline.position(day)
            felt = mood(life, position)
            if not whole(0.00035 * len(here) * (3 if felt < -0.5 else 1), rng) or day.weekday() > 4:
                continue
            comment, tags = words("feedback", floor(8.0 + felt + 4 * (rng.random() - 0.5)), position=position, rng=rng)
            channel, at = rng.choice(("in_app", "email", "call", "community")), at_work(day, life.account.region, rng)
            user = rng.choice(here).id if rng.random() < 0.8 else None
            yield event("feedback.received", at, user=user, comment=comment, tags=tags, channel=channel)


def closing(comment: DemoEvent, *, rng: Random) -> Iterator[DemoEvent]:
    """What is done about a comment that has its id: most are resolved, within two weeks of their being known."""
    if rng.random() < 0.7:
        begun = datetime.combine(date.fromisoformat(comment["recorded_on"]), time(9), UTC)
        at = begun + timedelta(days=rng.randint(1, 14), minutes=rng.randrange(480))
        said = event("feedback.updated", at, feedback=comment["id"], status="resolved")
        whose = {"account_id": comment["account_id"], "recorded_on": at.date().isoformat()}
        yield {"id": f"{comment['id']}-resolved", **whose, **said}


def mood(life: Life, position: float) -> float:
    """How an account feels, in points of a 0 to 10 scale: about -3 to 2, 0 at the launch."""
    felt = along(COMPANY, position)
    if life.account.part == "whale":
        felt += along(WHALE, position)
    elif (life.account.plan, life.account.region) == ("starter", "emea"):
        felt += along(SYNC_IS_BROKEN, position)
    return felt


def answer(
    survey: str,
    at: datetime,
    user: User,
    *,
    score: float,
    scale: tuple[int, int],
    position: float,
    channel: str,
    rng: Random,
) -> DemoEvent:
    """`survey.responded` with the score nearest on the scale; two of five say why, in words that fit it."""
    whole_score = min(scale[1], max(scale[0], floor(score + 0.5)))
    comment, tags = words(survey, whole_score, position=position, rng=rng) if rng.random() < 0.4 else (None, None)
    said = {"score": whole_score, "comment": comment, "tags": tags}
    return event("survey.responded", at, user=user.id, survey=survey, channel=channel, **said)
