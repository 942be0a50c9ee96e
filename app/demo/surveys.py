"""What customers say: quarterly NPS, business reviews of enterprise accounts, effort after onboarding, and free feedback."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from math import floor
from random import Random

from app.demo.accounts import DemoAccount
from app.demo.comments import choose_comment
from app.demo.events import DemoEvent, make_event
from app.demo.lifecycle import Lifecycle
from app.demo.timeline import (
    ONBOARDING_OVERHAUL,
    Timeline,
    interpolate,
    opening_time,
    random_round,
    working_time,
)
from app.demo.users import DemoUser, count_users, users_on

# The lowest and highest score of each survey.
SCALES = {"nps": (0, 10), "csat": (1, 5), "business-review": (1, 5), "onboarding-effort": (1, 7)}
# Points added to a score of 0 to 10, by position: of all accounts, of starter accounts in emea, and of the whale.
MOOD = (
    *((0.0, 0.0), (3.0, 0.1), (7.9, 0.2), (8.3, -0.9), (9.5, -1.2), (11.0, -0.7)),
    *((12.5, -0.1), (14.0, 0.15), (15.2, 0.0), (18.0, 0.25), (21.0, 0.4), (25.0, 0.45)),
)
BROKEN_SYNC_MOOD = ((8.1, 0.0), (8.5, -1.4), (11.0, -1.4), (13.0, -1.5), (16.0, -1.9))
ROUTE_PLANNING_MOOD, COOLING_MOOD = 0.4, -2.5
WHALE_MOOD = ((8.2, 0.0), (9.3, -2.6), (12.3, -2.2), (13.6, 0.3), (18.0, 0.7))


def nps_events(lifecycle: Lifecycle, users: list[DemoUser], *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """Yield an NPS survey of up to six users every third month, with a response to a third of them.

    Each account has its month of the quarter, so that there are responses in every month.
    """
    region = lifecycle.account.region
    for number in range(1 + lifecycle.account.number % 3, timeline.months + 2, 3):
        day = timeline.first_of_month(number) + timedelta(days=rng.randint(3, 16))
        current_users = users_on(users, day) if lifecycle.step_on(day) else []
        for user in rng.sample(current_users, min(6, len(current_users))):
            channel = rng.choice(("email", "in_app"))
            sent_at = working_time(day, region, rng)
            yield make_event("survey.sent", sent_at, user=user.id, survey="nps", channel=channel)
            if rng.random() < 0.36 and not lifecycle.is_silent_on(day):
                at = working_time(day + timedelta(days=rng.randint(1, 9)), region, rng)
                position = timeline.position(day)
                score = 8.0 + mood(lifecycle, position, day) + 1.2 * user.score_bias + rng.gauss(0, 0.8)
                yield response_event("nps", at, user, score, lifecycle, position, channel=channel, rng=rng)
    if lifecycle.account.role == "fading" and lifecycle.silent_from:
        yield from _last_words(lifecycle, users, lifecycle.silent_from + timedelta(days=4))


def _last_words(lifecycle: Lifecycle, users: list[DemoUser], day: date) -> Iterator[DemoEvent]:
    """Yield the answer in which the account that fades says what is wrong, so that its health is bad from then on."""
    user = next(iter(users_on(users, day)), None)
    if user is None or not lifecycle.step_on(day):
        return
    at, survey = opening_time(day, lifecycle.account.region), {"survey": "nps", "channel": "email"}
    comment = "Since our head of facilities left, we plan with the tool of our new owner."
    yield make_event("survey.sent", at, user=user.id, **survey)
    yield make_event(
        "survey.responded",
        at + timedelta(hours=3),
        user=user.id,
        score=3,
        comment=comment,
        tags=["competitor"],
        **survey,
    )


def review_events(
    lifecycle: Lifecycle, users: list[DemoUser], *, timeline: Timeline, rng: Random
) -> Iterator[DemoEvent]:
    """Yield the surveys and responses after the quarterly business review of an enterprise account."""
    region = lifecycle.account.region
    for number in range(1 + lifecycle.account.number % 3, timeline.months + 2, 3):
        day = timeline.first_of_month(number) + timedelta(days=rng.randint(4, 20))
        step, current_users = lifecycle.step_on(day), users_on(users, day)
        if step is None or step.plan != "enterprise":
            continue
        for user in rng.sample(current_users, min(3, len(current_users))):
            sent_at = working_time(day, region, rng)
            yield make_event("survey.sent", sent_at, user=user.id, survey="business-review", channel="email")
            if rng.random() < 0.55:
                at = working_time(day + timedelta(days=rng.randint(1, 6)), region, rng)
                position = timeline.position(day)
                score = 4.1 + 0.45 * mood(lifecycle, position, day) + 0.3 * user.score_bias + rng.gauss(0, 0.5)
                yield response_event("business-review", at, user, score, lifecycle, position, channel="email", rng=rng)


def effort_events(
    lifecycle: Lifecycle, user: DemoUser, completed_on: date, *, timeline: Timeline, rng: Random
) -> Iterator[DemoEvent]:
    """Yield the survey after an onboarding, from 1 (hard) to 7 (easy); scores are much higher after the overhaul."""
    region = lifecycle.account.region
    sent_at = working_time(completed_on + timedelta(days=1), region, rng)
    yield make_event("survey.sent", sent_at, user=user.id, survey="onboarding-effort", channel="in_app")
    if rng.random() < 0.6:
        position = timeline.position(completed_on)
        middle = 3.9 if position < ONBOARDING_OVERHAUL else 5.5
        score = middle + 0.6 * user.score_bias + rng.gauss(0, 0.9)
        at = working_time(completed_on + timedelta(days=rng.randint(2, 6)), region, rng)
        yield response_event("onboarding-effort", at, user, score, lifecycle, position, channel="in_app", rng=rng)


def feedback_events(
    lifecycle: Lifecycle, users: list[DemoUser], *, timeline: Timeline, rng: Random
) -> Iterator[DemoEvent]:
    """Yield comments without a score, more of them when the mood is bad."""
    region = lifecycle.account.region
    for start, end in lifecycle.access_periods(timeline.last_day):
        for day, count in count_users(users, max(start, timeline.first_day), end):
            points = mood(lifecycle, timeline.position(day), day)
            rate = 0.00025 * count * (3 if points < -0.5 else 1)
            if not random_round(rate, rng) or day.weekday() > 4:
                continue
            current_users, position = users_on(users, day), timeline.position(day)
            score = floor(8.0 + points + 4 * (rng.random() - 0.5))
            comment, tags = choose_comment("feedback", score, lifecycle=lifecycle, position=position, rng=rng)
            channel, at = rng.choice(("in_app", "email", "call", "community")), working_time(day, region, rng)
            user = rng.choice(current_users).id if rng.random() < 0.8 else None
            yield make_event("feedback.received", at, user=user, comment=comment, tags=tags, channel=channel)


def resolution_events(comment: DemoEvent, account: DemoAccount, *, rng: Random) -> Iterator[DemoEvent]:
    """Yield the update that resolves a comment: mostly within two weeks; nobody feels responsible for accounts without manager.

    comment: the complete event of the comment, with its id. The update is complete as well.
    """
    days = rng.randint(1, 14) if rng.random() < 0.8 else rng.randint(15, 60)
    if not account.has_manager:
        days += rng.randint(0, 50)
    recorded_at = datetime.combine(date.fromisoformat(comment["recorded_on"]), time(9), UTC)
    at = recorded_at + timedelta(days=days, minutes=rng.randrange(480))
    update = make_event("feedback.updated", at, feedback=comment["id"], status="resolved")
    common = {"account_id": comment["account_id"], "recorded_on": at.date().isoformat()}
    yield {"id": f"{comment['id']}-resolved", **common, **update}


def mood(lifecycle: Lifecycle, position: float, day: date) -> float:
    """Return the mood of an account on a day and at its position, in points on a scale of 0 to 10: about -5 to 2."""
    points = interpolate(MOOD, position)
    if lifecycle.account.role == "whale":
        points += interpolate(WHALE_MOOD, position)
    elif lifecycle.account.is_hit_by_sync:
        points += interpolate(BROKEN_SYNC_MOOD, position)
    if lifecycle.plans_routes_at(position):
        points += ROUTE_PLANNING_MOOD
    if lifecycle.warmth_on(day) < 0.9:
        points += COOLING_MOOD
    return points


def response_event(
    survey: str,
    at: datetime,
    user: DemoUser,
    score: float,
    lifecycle: Lifecycle,
    position: float,
    *,
    channel: str,
    rng: Random,
) -> DemoEvent:
    """Return `survey.responded` with the nearest score of the scale; two of five responses have a comment that fits it."""
    low, high = SCALES[survey]
    whole_score = min(high, max(low, floor(score + 0.5)))
    comment, tags = None, None
    if rng.random() < 0.4:
        comment, tags = choose_comment(survey, whole_score, lifecycle=lifecycle, position=position, rng=rng)
    data = {"score": whole_score, "comment": comment, "tags": tags}
    return make_event("survey.responded", at, user=user.id, survey=survey, channel=channel, **data)
