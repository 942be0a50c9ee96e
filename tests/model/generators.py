"""Random events, filters and questions."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from tests.model.calendar import DAY
from tests.model.conventions import CONVENTIONS
from tests.model.events import SURVEYS
from tests.model.formulas import METRICS
from tests.model.oracle import Filter
from tests.model.pair import MORE_SURVEYS, Pair

ATTRIBUTES: dict[str, list[Any]] = {
    "plan": ["free", "pro", "team", None],
    "seats": [5, 40, 7.5, "40", None],
    "vip": [True, False, 1, None],
}
SIDES = {
    "channel": ["email", "chat"],
    "feature": ["export", "search"],
    "subscription": ["basic", "gold"],
    "reason": ["price", "merger"],
    "goal": ["upgrade", "invite"],
}
# Half of the events of these streams are spread over the last weeks, so that the events of one stream affect each other.
STREAM_KINDS = ("subscription", "ticket", "goal", "onboarding", "renewal", "purchase", "trial", "survey")


def random_events(random: Random, pair: Pair, count: int, makers: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """Return new events of any type, or by the given makers. Half of them are of one topic, so that they affect each other."""
    topics = [
        EVENT_MAKERS,
        SUBSCRIPTION_MAKERS,
        [_ticket],
        [_ticket],
        [_goal],
        [_onboarding],
        SURVEY_MAKERS,
        DEALS,
    ]
    topic = random.choice(topics)
    return [random_event(random, pair, makers or random.choice([EVENT_MAKERS, topic])) for _ in range(count)]


def random_event(random: Random, pair: Pair, makers: Sequence[Any] = ()) -> dict[str, Any]:
    """Return a new event of any type, or by one of the makers, on time, late or ahead of time."""
    type, data, has_user = random.choice(makers or EVENT_MAKERS)(random)
    at = random_time(random, pair)
    if type.partition(".")[0] in STREAM_KINDS and random.randrange(2):
        at = pair.now - timedelta(days=random.randrange(60), minutes=random.randrange(1440))
    if type == "subscription.canceled":
        data |= _random_end(random, pair, at)
    if type == "subscription.changed" and not random.randrange(3):
        data |= {"effective_at": _random_effect(random, pair, at).isoformat()}
    account = random.choice([pair.accounts[0], *pair.accounts])
    if type == "feedback.updated":
        account, data["feedback"] = _comment(random, pair, account)
    # The ids say nothing about the order of arrival.
    id = f"{random.randrange(100):02}-{next(pair.numbers)}"
    return {
        "id": id,
        "type": type,
        "account_id": account,
        **({"user_id": random.choice(["ada", "ada", "grace", "linus"])} if has_user else {}),
        "occurred_at": at.isoformat(),
        "data": data,
    }


def random_time(random: Random, pair: Pair) -> datetime:
    """Return when an event may have occurred that is sent now."""
    calendar, now = pair.model.calendar, pair.now
    kind = random.randrange(6)
    if kind == 0:
        return now + random.choice([timedelta(hours=24), timedelta(hours=3), timedelta(0)])
    if kind == 1:
        return now - timedelta(days=random.randrange(70), minutes=random.randrange(1440))
    if kind == 2:
        # The first instant of a day, and the last second of the day before.
        return calendar.midnight(pair.today - DAY * random.randrange(40)) - timedelta(seconds=random.randrange(2))
    if kind == 3 and pair.model.events:
        # With another event, or a little before it: clocks differ.
        skew = random.choice([timedelta(0), timedelta(seconds=2), timedelta(hours=1), timedelta(hours=1, seconds=1)])
        return random.choice(list(pair.model.events.values())).at - skew
    return (now - timedelta(minutes=random.randrange(600))).astimezone(random.choice([UTC, calendar.zone]))


def _random_end(random: Random, pair: Pair, at: datetime) -> dict[str, Any]:
    """Return how a cancellation at `at` says when the subscription ends: in both ways, or not at all."""
    end = _random_effect(random, pair, at)
    return random.choice([{}, {"ends_at": end.isoformat()}, {"paid_through": str(pair.model.calendar.day(end) - DAY)}])


def _random_effect(random: Random, pair: Pair, at: datetime) -> datetime:
    """Return when something takes effect that occurs at `at`: often later, sometimes earlier or with another event."""
    if random.randrange(4):
        day = pair.model.calendar.day(at) + DAY * random.choice([1, 2, 3, 10, 30, 45])
        return pair.model.calendar.midnight(day) + timedelta(hours=random.choice([0, 0, 9]))
    return random.choice([at, at - timedelta(days=random.randrange(9), hours=1), random_time(random, pair)])


# Makers return an event type, event data, and whether the event has a user.


def _with_channel_and_comment(random: Random, **data: Any) -> dict[str, Any]:
    """Return the data with a channel and a comment, one of them, or neither."""
    channel = {"channel": random.choice(SIDES["channel"])} if random.randrange(2) else {}
    comment = {"comment": random.choice(["Fast help.", "Fast help.", " \r\n"])} if random.randrange(2) else {}
    return data | channel | comment


def _response(random: Random) -> Any:
    surveys = SURVEYS | MORE_SURVEYS
    survey = random.choice(sorted(surveys))
    score = random.randint(surveys[survey].low, surveys[survey].high)
    return "survey.responded", _with_channel_and_comment(random, survey=survey, score=score), not random.randrange(3)


def _invitation(random: Random) -> Any:
    data = _with_channel_and_comment(random, survey=random.choice(["nps", "csat", "effort"]))
    data = {name: value for name, value in data.items() if name != "comment"}
    return "survey.sent", data, not random.randrange(3)


def _feedback(random: Random) -> Any:
    comment = random.choice(["Please add dark mode.", "Please add dark mode.", "\u00a0"])
    return "feedback.received", _with_channel_and_comment(random) | {"comment": comment}, False


def _feedback_update(random: Random) -> Any:
    note = {"note": "Asked the team."} if random.randrange(2) else {}
    status = {"status": random.choice(["open", "in_progress", "resolved", "resolved"])}
    return "feedback.updated", note | (status if not note or random.randrange(3) else {}), False


def _comment(random: Random, pair: Pair, account: str) -> tuple[str, str]:
    """Return account and id of an event: mostly one with a comment, else another, else one that does not exist."""
    events = list(pair.model.events.values())
    comments = [event for event in events if event.data.get("comment")] if random.randrange(5) else events
    event = random.choice(comments or events or [None])
    return (event.body["account_id"], event.id) if event else (account, "unknown")


def _ticket(random: Random) -> Any:
    """Make an event of one of two tickets, so that each has many events, some of them before it was opened."""
    verb = random.choice(["opened", *["replied"] * 4, "reopened", "resolved", "resolved"])
    data: dict[str, Any] = {"ticket_id": random.choice(["T 1", "T 1", "T 2"])}
    if not random.randrange(3):
        data["channel"] = random.choice(SIDES["channel"])
    if random.randrange(2):
        data["by"] = random.choice(["agent", "customer"])
    if not random.randrange(6):
        data["first_contact"] = bool(random.randrange(2))
    return f"ticket.{verb}", data, False


def _goal(random: Random) -> Any:
    """Make an event of a goal of the account, of a user, or of `who`, which may be the id of a user."""
    who = {"who": random.choice(["ada", "lead 7"])} if not random.randrange(3) else {}
    verb = random.choice(["entered", "entered", "completed"])
    return f"goal.{verb}", {"goal": random.choice(SIDES["goal"])} | who, bool(random.randrange(2))


def _onboarding(random: Random) -> Any:
    verb = random.choice(["started", "started", "step_completed", "completed"])
    step = {"step": random.choice(["invite", "import"])} if verb == "step_completed" else {}
    return f"onboarding.{verb}", step, not random.randrange(3)


def _account_update(random: Random) -> Any:
    keys = random.sample(sorted(ATTRIBUTES), random.choice([1, 1, 2]))
    return "account.updated", {"attributes": {key: random.choice(ATTRIBUTES[key]) for key in keys}}, False


def _subscription_change(random: Random) -> Any:
    """Make a change of one of few subscriptions, so that each has many changes."""
    data: dict[str, Any] = {"subscription_id": random.choice(SUBSCRIPTIONS)} | random.choice(PRICES)
    if not random.randrange(3):
        data["currency"] = random.choice(["EUR", "EUR", "USD"])
    if random.randrange(2):
        data["plan"] = random.choice(SIDES["subscription"])
    if random.randrange(2):
        data["seats"] = random.choice([0, 1, 3, 10])
    return "subscription.changed", data, False


def _cancellation(random: Random) -> Any:
    reason = {"reason": random.choice(SIDES["reason"])} if random.randrange(3) else {}
    return "subscription.canceled", {"subscription_id": random.choice(SUBSCRIPTIONS)} | reason, False


def _pause_or_resumption(random: Random) -> Any:
    verb = random.choice(["paused", "resumed"])
    reason = {"reason": random.choice(SIDES["reason"])} if verb == "paused" and random.randrange(2) else {}
    return f"subscription.{verb}", {"subscription_id": random.choice(SUBSCRIPTIONS)} | reason, False


def _trial(random: Random) -> Any:
    """Make an event of one of two trials; like all deals, they have few ids, so that each has many events."""
    return f"trial.{random.choice(['started', 'converted', 'expired'])}", {"trial_id": random.choice("ab")}, False


def _renewal(random: Random) -> Any:
    data = {"contract_id": random.choice("aab")} | (_amount(random) if random.randrange(3) else {})
    return f"renewal.{random.choice(['due', 'due', 'completed', 'declined'])}", data, False


def _purchase(random: Random) -> Any:
    data = {"order_id": random.choice("abcd")} | _amount(random)
    return f"purchase.{random.choice(['completed', 'completed', 'refunded'])}", data, False


def _cost(random: Random) -> Any:
    return "cost.recorded", {"category": random.choice(["acquisition", "retention"])} | _amount(random), False


def _amount(random: Random) -> dict[str, Any]:
    """Return an amount with or without a currency."""
    currency = {"currency": random.choice(["EUR", "EUR", "EUR", "USD"])} if random.randrange(3) else {}
    return {"amount": random.choice(["0", "10", "33.3333", "33.3333", "120.5", "1000"])} | currency


def _session(random: Random) -> Any:
    return "session.ended", {"duration_seconds": random.choice([0, 60, 599, 3600])}, True


def _feature_use(random: Random) -> Any:
    return "feature.used", {"feature": random.choice(SIDES["feature"]), "count": random.randint(1, 3)}, True


SUBSCRIPTIONS = ["base", "base", "base", "base", "more"]
PRICES: list[dict[str, Any]] = [
    {"mrr": "0"},
    {"mrr": "40"},
    {"mrr": "40"},
    {"mrr": "25.125"},
    {"mrr": "120.5"},
    {"amount": "100", "interval": "year"},
    {"amount": "35.5", "interval": "week"},
    {"amount": "99.99", "interval": "quarter"},
    {"amount": "10", "interval": "month", "interval_count": 7},
]
TICKETS: list[Any] = [_ticket]
SURVEY_MAKERS: list[Any] = [_invitation, _response]
SUBSCRIPTION_MAKERS: list[Any] = [*[_subscription_change] * 3, *[_cancellation] * 2, _pause_or_resumption]
DEALS: list[Any] = [*[_trial] * 2, *[_renewal] * 4, *[_purchase] * 4, *[_cost] * 2]
EVENT_MAKERS: list[Any] = [
    _session,
    _session,
    _feature_use,
    _feature_use,
    lambda random: ("user.registered", {}, True),
    lambda random: ("user.removed", {}, True),
    lambda random: ("user.removed", {}, True),
    *[_subscription_change] * 5,
    *[_cancellation] * 4,
    *[_pause_or_resumption] * 3,
    *DEALS,
    _feedback,
    *[_ticket] * 3,
    *[_goal] * 2,
    *[_onboarding] * 2,
    *[_feedback_update] * 3,
    *[_invitation] * 2,
    *[_response] * 2,
    *[_account_update] * 4,
]


def random_step(random: Random, pair: Pair, *, may_backdate: bool = False) -> date:
    """Send a batch with repeated and conflicting events, or retract an event; return the earliest day of recording.

    may_backdate: whether events may have a `recorded_on` before today.
    """
    stored = list(pair.model.events.values())
    if stored and not random.randrange(4):
        event = random.choice(stored)
        pair.retract(event.body["account_id"], event.id)
        return pair.today
    batch = random_events(random, pair, random.randint(1, 8))
    earliest = pair.today
    if may_backdate and not random.randrange(3):
        earliest -= DAY * random.randrange(4)
        batch = [body | {"recorded_on": str(earliest)} if random.randrange(3) else body for body in batch]
    if stored and not random.randrange(2):
        batch += [event.body for event in random.sample(stored, min(len(stored), 2))]
    if not random.randrange(3):
        # A price in a currency that has a rate on some days only, or none at all.
        type, data, _ = _subscription_change(random)
        body = random_event(random, pair)
        batch.append(body | {"type": type, "data": data | {"currency": random.choice(["GBP", "XAU"])}})
    if not random.randrange(3):
        batch.append(random.choice(batch))
        conflict = {"type": "session.ended", "user_id": "eve", "data": {"duration_seconds": 1}}
        batch.append(random.choice(batch) | conflict)
    random.shuffle(batch)
    pair.send(*batch)
    return earliest


def equals(key: str, value: Any) -> Filter:
    text = f'"{value}"' if isinstance(value, str) else str(value).lower()
    return Filter(f"{key} = {text}", lambda attribute: _is_same(attribute(key), value))


def less_than(key: str, limit: float) -> Filter:
    def holds(attribute: Any) -> bool:
        value = attribute(key)
        return isinstance(value, int | float) and not isinstance(value, bool) and value < limit

    return Filter(f"{key} < {limit}", holds)


def differs(key: str, value: Any) -> Filter:
    def holds(attribute: Any) -> bool:
        own = attribute(key)
        return _kind(own) == _kind(value) and own != value

    text = f'"{value}"' if isinstance(value, str) else str(value).lower()
    return Filter(f"{key} != {text}", holds)


def is_null(key: str) -> Filter:
    return Filter(f"{key} is null", lambda attribute: attribute(key) is None)


def negation(where: Filter) -> Filter:
    return Filter(f"not ({where.text})", lambda attribute: not where.holds(attribute))


def disjunction(left: Filter, right: Filter) -> Filter:
    return Filter(f"({left.text} or {right.text})", lambda attribute: left.holds(attribute) or right.holds(attribute))


def conjunction(left: Filter, right: Filter) -> Filter:
    return Filter(f"({left.text} and {right.text})", lambda attribute: left.holds(attribute) and right.holds(attribute))


def random_filter(random: Random, depth: int = 3) -> Filter:
    """Return any filter."""
    kind = random.randrange(7 if depth else 4)
    key = random.choice(sorted(ATTRIBUTES))
    value = random.choice([value for value in ATTRIBUTES[key] if value is not None])
    if kind < 4:
        conditions = (less_than("seats", random.choice([7.5, 10, 41])), equals(key, value), differs(key, value))
        return [*conditions, is_null(key)][kind]
    if kind == 4:
        return negation(random_filter(random, depth - 1))
    combine = conjunction if kind == 5 else disjunction
    return combine(random_filter(random, depth - 1), random_filter(random, depth - 1))


def _kind(value: Any) -> str:
    return "number" if type(value) in (int, float) else type(value).__name__


def _is_same(left: Any, right: Any) -> bool:
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def random_question(random: Random, pair: Pair) -> dict[str, Any]:
    """Return any question about the history: metrics that can be asked for together, and a range around today."""
    if random.randrange(3):
        start = pair.today - DAY * random.randrange(75)
        question: dict[str, Any] = {"start": start}
        if random.randrange(4):
            question["end"] = start + DAY * random.randint(1, 80)
    else:
        question = {"period": random.choice(PERIODS)}
    granularities = ["day", "day", "week", "week", "month", "quarter", "year", "total"]
    question |= {"granularity": random.choice(granularities), "totals": bool(random.randrange(2))}
    sides = random.choice([(), (), ("subject",), ("channel",), ("subject", "channel")])
    groupings = random.sample(["plan", "seats", "vip", "account"], random.choice([0, 1, 1, 1, 2]))
    selects_sides = bool(sides) and not random.randrange(2)
    if selects_sides:
        question |= {side: random.sample(_VALUES_BY_SIDE[side], random.choice([1, 1, 2])) for side in sides}
    question["group_by"] = groupings if selects_sides else (groupings + list(sides))[:3]
    if not random.randrange(3):
        question["where"] = random_filter(random)
    if not random.randrange(4):
        question["segments_as_of"] = "now"
    suitable = sorted(name for name, metric in METRICS.items() if set(sides) <= set(metric.sides))
    metrics = random.sample(suitable, min(4, len(suitable)))
    conventions = sorted(
        convention
        for name in metrics
        for convention, definition in CONVENTIONS.get(name, {}).items()
        if set(sides) <= set(definition.sides)
    )
    if conventions and random.randrange(3):
        question["convention"] = random.choice(conventions)
    if not random.randrange(2):
        question["compare"] = random.choice(["previous_period", "previous_year"])
    if not random.randrange(4):
        question["min_sample"] = random.randint(1, 4)
    return question | {"metrics": ",".join(metrics)}


_VALUES_BY_SIDE = {
    "subject": ["nps", "effort", "export", "gold", "price", "upgrade", "unknown"],
    "channel": ["email", "chat", "unknown"],
}
PERIODS = [
    "last_12_months", "last_30_days", "last_6_weeks", "last_2_quarters", "last_month", "this_quarter", "this_year", "today",
    "yesterday", "month_to_date", "week_to_date", "2026", "2026-Q1", "2026-03", "2026-W10", None,
]  # fmt: skip
