"""The door of the demo: its surveys, exchange rates and segments, and its events as the API takes them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import chain
from random import Random
from typing import Any

from app.demo.company import company
from app.demo.events import DemoEvent, delay
from app.demo.journey import goals, onboarding, trials
from app.demo.lifecycle import fate
from app.demo.money import account_costs, company_costs, purchases, renewals, subscriptions
from app.demo.people import people, registrations
from app.demo.profile import profile
from app.demo.support import tickets
from app.demo.timeline import Timeline, add_months
from app.demo.usage import usage
from app.demo.voice import closing, feedback, nps, reviews

# Ten-thousandths of a US dollar, around a middle. A rate hangs on its calendar month alone, so that a demo made again
# next month asks for the same past rates: one that has been used cannot be changed.
RATES = {
    "EUR": (10850, (0, 40, 85, 60, 130, 95, 20, -35, -80, -140, -95, -60, -15)),
    "GBP": (12650, (0, 55, 110, 70, 20, -45, -90, -30, 65, 150, 95)),
}
ALL_RATES = (date(2020, 1, 1), date(2036, 1, 1))

# How the ids of events are named; the others by the first word of their type.
SHORT = {"subscription": "sub", "session": "ses", "feature": "use", "onboarding": "onb"}


def surveys() -> list[dict[str, Any]]:
    """Bodies for `PUT /v1/surveys/{id}`, each with its `id`. The demo also answers the built-in `nps` and `csat`."""
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
    """Bodies for `PUT /v1/exchange-rates`: US dollars for one unit of each currency, from the first of each month.

    With `today`, the months of that story; without, all from 2020 to 2035.
    """
    first, until = ALL_RATES
    if today is not None:
        timeline = Timeline.before(today, months=months)
        first, until = timeline.first, timeline.end
    starts = []
    while first < until:
        starts.append(first)
        first = add_months(first, 1)
    return [
        {"currency": currency, "rates": {day.isoformat(): _rate(day, middle, swings) for day in starts}}
        for currency, (middle, swings) in RATES.items()
    ]


def _rate(day: date, middle: int, swings: tuple[int, ...]) -> str:
    whole, part = divmod(middle + swings[(day.year * 12 + day.month) % len(swings)], 10000)
    return f"{whole}.{part:04}"


def segments() -> dict[str, str]:
    """Segments worth asking for: name to filter."""
    return {
        "enterprise": 'plan = "enterprise"',
        "smb": 'plan != "enterprise"',
        "emea": 'region = "emea"',
        "at_scale": "seats >= 100",
        "starter_emea": 'plan = "starter" and region = "emea"',
        "europe": 'region in ("emea", "uk")',
        "design_partners": "design_partner = true",
    }


def events(*, today: date, months: int = 24, seed: int = 2024) -> Iterator[dict[str, Any]]:
    """The events of `months` whole months and the running one up to yesterday, in the order in which they became known.

    Each is an event object of `POST /v1/events` with `recorded_on`. The same arguments give the same events everywhere;
    within a month, each `today` adds to the day before it. Raises ValueError for less than one month.
    """
    timeline = Timeline.before(today, months=months)
    known = [event for event in _everything(timeline, seed) if event["recorded_on"] <= timeline.yesterday.isoformat()]
    known.sort(key=lambda event: (event["recorded_on"], event["occurred_at"], event["id"]))
    return iter(known)


def _everything(timeline: Timeline, seed: int) -> Iterator[DemoEvent]:
    """All events to the end of the running month, also those that nobody knows yet."""
    for account in company(timeline=timeline, seed=seed):

        def rng(topic: str, number: int = account.number) -> Random:
            # One source of chance for each topic of each account: a change in one leaves the others as they are.
            return Random(f"{seed}/{number}/{topic}")

        life = fate(account, timeline=timeline, rng=rng("fate"))
        users = people(life, timeline=timeline, rng=rng("people"))
        happened = chain(
            profile(life, timeline=timeline, rng=rng("profile")),
            registrations(life, users, timeline=timeline),
            trials(life, rng=rng("trials")),
            subscriptions(life, rng=rng("subscriptions")),
            onboarding(life, users, timeline=timeline, rng=rng("onboarding")),
            goals(life, users, timeline=timeline, rng=rng("goals")),
            usage(life, users, timeline=timeline, rng=rng("usage")),
            tickets(life, users, timeline=timeline, rng=rng("tickets")),
            nps(life, users, timeline=timeline, rng=rng("nps")),
            reviews(life, users, timeline=timeline, rng=rng("reviews")),
            feedback(life, users, timeline=timeline, rng=rng("feedback")),
            renewals(life, timeline=timeline, rng=rng("renewals")),
            purchases(life, timeline=timeline, rng=rng("purchases")),
            account_costs(life, timeline=timeline, rng=rng("costs")),
        )
        closings = rng("closings")
        for event in _recorded(happened, number=account.number, account=account.id, rng=rng("known")):
            yield event
            if event["data"].get("comment"):
                yield from closing(event, rng=closings)
    house = Random(f"{seed}/company/costs")
    yield from _recorded(company_costs(timeline=timeline, rng=house), number=0, account=None, rng=house)


def _recorded(happened: Iterable[DemoEvent], *, number: int, account: str | None, rng: Random) -> Iterator[DemoEvent]:
    """What happened, in its order, each with its id, its account and the day on which it became known."""
    counted = Counter[str]()
    for event in sorted(happened, key=lambda event: str(event["occurred_at"])):
        topic = str(event["type"]).split(".")[0]
        counted[topic] += 1
        known = date.fromisoformat(event["occurred_at"][:10]) + timedelta(days=delay(event["type"], rng))
        whose = {} if account is None else {"account_id": account}
        yield {
            "id": f"demo-{SHORT.get(topic, topic)}-{number:04}-{counted[topic]}",
            **whose,
            **event,
            "recorded_on": known.isoformat(),
        }
