"""The whole demo: surveys, exchange rates, segments, health models, targets, and events as `POST /v1/events` accepts them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import chain
from random import Random
from typing import Any

from app.demo import health as demo_health
from app.demo import targets as demo_targets
from app.demo.accounts import EARLIER_MONTHS, DemoAccount, build_accounts
from app.demo.attributes import account_updates
from app.demo.billing import (
    account_cost_events,
    company_cost_events,
    purchase_events,
    renewal_events,
    subscription_events,
)
from app.demo.events import DemoEvent, recording_delay
from app.demo.health import DemoModel, override_events
from app.demo.lifecycle import simulate_lifecycle
from app.demo.onboarding import goal_events, onboarding_events, trial_events
from app.demo.surveys import feedback_events, nps_events, resolution_events, review_events
from app.demo.targets import DemoTarget
from app.demo.tickets import ticket_events
from app.demo.timeline import Timeline, add_months
from app.demo.usage import usage_events
from app.demo.users import build_users, registration_events

# By currency: the middle rate in ten-thousandths of a US dollar, and deviations from it. A rate depends on the calendar month
# only, so that a demo that is made again next month has the same past rates: a rate that has been used cannot be changed.
RATES = {
    "EUR": (10850, (0, 40, 85, 60, 130, 95, 20, -35, -80, -140, -95, -60, -15)),
    "GBP": (12650, (0, 55, 110, 70, 20, -45, -90, -30, 65, 150, 95)),
}
FIRST_RATE, LAST_RATE = date(2018, 1, 1), date(2036, 1, 1)

# The part of an event's id that stands for its type; without an entry, the first word of the type.
SHORT_NAMES = {"subscription": "sub", "session": "ses", "feature": "use", "onboarding": "onb"}


def surveys() -> list[dict[str, Any]]:
    """Return bodies for `PUT /v1/surveys/{id}`, each with its `id`. The demo also uses the built-in `nps` and `csat`."""
    return [
        {
            "id": "onboarding-effort",
            "kind": "ces",
            "scale": {"min": 1, "max": 7},
            "easy_is": "high",
            "question": "Lantern made it easy for us to get started. (1: not at all, 7: absolutely)",
        },
        {
            "id": "business-review",
            "kind": "csat",
            "scale": {"min": 1, "max": 5},
            "satisfied_from": 4,
            "question": "How satisfied were you with our business review?",
        },
    ]


def exchange_rates(*, today: date | None = None, months: int = 24) -> list[dict[str, Any]]:
    """Return bodies for `PUT /v1/exchange-rates`: US dollars for one unit of each currency, from the first of each month.

    With `today`, for the months of that demo; without, for all months from 2018 to 2035.
    """
    start, end = FIRST_RATE, LAST_RATE
    if today is not None:
        timeline = Timeline.ending_before(today, months=months)
        start, end = add_months(timeline.first_day, -EARLIER_MONTHS), timeline.last_day
    days = []
    while start < end:
        days.append(start)
        start = add_months(start, 1)
    return [
        {"currency": currency, "rates": {day.isoformat(): _rate(day, middle, deviations) for day in days}}
        for currency, (middle, deviations) in RATES.items()
    ]


def _rate(day: date, middle: int, deviations: tuple[int, ...]) -> str:
    whole, fraction = divmod(middle + deviations[(day.year * 12 + day.month) % len(deviations)], 10000)
    return f"{whole}.{fraction:04}"


def segments() -> dict[str, str]:
    """Return the filters of the demo's segments, by name."""
    return {
        "enterprise": 'plan = "enterprise"',
        "starter_emea": 'plan = "starter" and region = "emea"',
        "starter_elsewhere": 'plan = "starter" and region != "emea"',
        "larger_emea": 'plan != "starter" and region = "emea"',
        "with_route_planner": 'plan != "starter" and route_planner = true',
        "without_route_planner": 'plan != "starter" and not route_planner = true',
    }


def health_models(*, today: date, months: int = 24) -> list[DemoModel]:
    """Return the versions of the demo's health model that have been put by yesterday, in order."""
    return demo_health.health_models(Timeline.ending_before(today, months=months))


def targets(*, today: date, months: int = 24) -> list[DemoTarget]:
    """Return the targets of the demo that have been put by yesterday, in order."""
    return demo_targets.targets(Timeline.ending_before(today, months=months))


def events(*, today: date, months: int = 24, seed: int = 2024) -> Iterator[dict[str, Any]]:
    """Return the events of `months` whole months and of the current one up to yesterday, in the order of `recorded_on`.

    Each is an event of `POST /v1/events` with `recorded_on`. The same arguments give the same events everywhere; within a
    month, each `today` only adds events to those of the day before. Raises ValueError for less than one month.
    """
    timeline = Timeline.ending_before(today, months=months)
    yesterday = timeline.yesterday.isoformat()
    recorded_events = [event for event in _all_events(timeline, seed) if event["recorded_on"] <= yesterday]
    recorded_events.sort(key=lambda event: (event["recorded_on"], event["occurred_at"], event["id"]))
    return iter(recorded_events)


def _all_events(timeline: Timeline, seed: int) -> Iterator[DemoEvent]:
    """Yield all events up to the end of the current month, also those that are recorded later than today."""
    for account in build_accounts(timeline=timeline, seed=seed):
        yield from _account_events(account, timeline, seed)
    company_rng = Random(f"{seed}/company/costs")
    costs = company_cost_events(timeline=timeline, rng=company_rng)
    yield from _complete(costs, number=0, account_id=None, rng=company_rng)


def _account_events(account: DemoAccount, timeline: Timeline, seed: int) -> Iterator[DemoEvent]:
    def rng(topic: str) -> Random:
        # Every topic of an account has its own random numbers: a change of one topic leaves the others as they are.
        return Random(f"{seed}/{account.number}/{topic}")

    lifecycle = simulate_lifecycle(account, timeline=timeline, rng=rng("fate"))
    users = build_users(lifecycle, timeline=timeline, rng=rng("people"))
    if account.role == "lead":
        updates = account_updates(lifecycle, timeline=timeline, rng=rng("profile"))
        yield from _complete(updates, number=account.number, account_id=account.id, rng=rng("known"))
        return
    raw_events = chain(
        account_updates(lifecycle, timeline=timeline, rng=rng("profile")),
        registration_events(lifecycle, users, timeline=timeline),
        trial_events(lifecycle, rng=rng("trials")),
        subscription_events(lifecycle, timeline=timeline, rng=rng("subscriptions")),
        onboarding_events(lifecycle, users, timeline=timeline, rng=rng("onboarding")),
        goal_events(lifecycle, users, timeline=timeline, rng=rng("goals")),
        usage_events(lifecycle, users, timeline=timeline, rng=rng("usage")),
        ticket_events(lifecycle, users, timeline=timeline, rng=rng("tickets")),
        nps_events(lifecycle, users, timeline=timeline, rng=rng("nps")),
        review_events(lifecycle, users, timeline=timeline, rng=rng("reviews")),
        feedback_events(lifecycle, users, timeline=timeline, rng=rng("feedback")),
        renewal_events(lifecycle, timeline=timeline, rng=rng("renewals")),
        purchase_events(lifecycle, timeline=timeline, rng=rng("purchases")),
        account_cost_events(lifecycle, timeline=timeline, rng=rng("costs")),
        override_events(lifecycle, timeline=timeline, rng=rng("overrides")),
    )
    resolution_rng = rng("closings")
    for event in _complete(raw_events, number=account.number, account_id=account.id, rng=rng("known")):
        yield event
        if event["data"].get("comment"):
            yield from resolution_events(event, account, rng=resolution_rng)


def _complete(
    raw_events: Iterable[DemoEvent], *, number: int, account_id: str | None, rng: Random
) -> Iterator[DemoEvent]:
    """Yield the events in the order of their times, each with its id, its account and its recorded day."""
    counts = Counter[str]()
    for event in sorted(raw_events, key=lambda event: str(event["occurred_at"])):
        topic = str(event["type"]).split(".")[0]
        counts[topic] += 1
        delay = timedelta(days=recording_delay(event["type"], rng))
        recorded_on = date.fromisoformat(event["occurred_at"][:10]) + delay
        account = {} if account_id is None else {"account_id": account_id}
        yield {
            "id": f"demo-{SHORT_NAMES.get(topic, topic)}-{number:04}-{counts[topic]}",
            **account,
            **event,
            "recorded_on": event.get("recorded_on") or recorded_on.isoformat(),
        }
