"""Chance: what may happen, and what may be asked."""

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
# What is told late as often as not, so that within one account there is a time in which one thing leads to another.
LEADS_ON = ("subscription", "ticket", "goal", "onboarding", "renewal", "purchase", "trial")


def random_events(random: Random, pair: Pair, many: int, kinds: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """New events of any kind, or of these, half of them about one subject, so that one thing leads to another."""
    subjects = [EVENT_MAKERS, [_changed, _changed, _canceled], [_ticket], [_ticket], [_goal], [_onboarding], DEALS]
    subject = random.choice(subjects)
    return [random_event(random, pair, kinds or random.choice([EVENT_MAKERS, subject])) for _ in range(many)]


def random_event(random: Random, pair: Pair, kinds: Sequence[Any] = ()) -> dict[str, Any]:
    """A new event of any kind, or of these, on time, late or ahead."""
    type, data, user = random.choice(kinds or EVENT_MAKERS)(random)
    at = moment(random, pair)
    if type.partition(".")[0] in LEADS_ON and random.randrange(2):
        at = pair.now - timedelta(days=random.randrange(60), minutes=random.randrange(1440))
    if type == "subscription.canceled" and random.randrange(2):
        data |= {"ends_at": _ending(random, pair, at).isoformat()}
    account = random.choice([pair.accounts[0], *pair.accounts])
    if type == "feedback.updated":
        account, data["feedback"] = _comment(random, pair, account)
    # The ids say nothing of the order of arrival.
    id = f"{random.randrange(100):02}-{next(pair.numbers)}"
    return {
        "id": id,
        "type": type,
        "account_id": account,
        **({"user_id": random.choice(["ada", "ada", "grace", "linus"])} if user else {}),
        "occurred_at": at.isoformat(),
        "data": data,
    }


def moment(random: Random, pair: Pair) -> datetime:
    """When something may have happened that is told now."""
    calendar, now = pair.model.calendar, pair.now
    kind = random.randrange(6)
    if kind == 0:
        return now + random.choice([timedelta(hours=24), timedelta(hours=3), timedelta(0)])
    if kind == 1:
        return now - timedelta(days=random.randrange(70), minutes=random.randrange(1440))
    if kind == 2:
        # The first instant of a day, and the last of the one before it.
        return calendar.midnight(pair.today - DAY * random.randrange(40)) - timedelta(seconds=random.randrange(2))
    if kind == 3 and pair.model.events:
        return random.choice(list(pair.model.events.values())).at
    return (now - timedelta(minutes=random.randrange(600))).astimezone(random.choice([UTC, calendar.zone]))


def _ending(random: Random, pair: Pair, at: datetime) -> datetime:
    """When something ends that was cancelled then: often later, at times before or with something else."""
    if random.randrange(4):
        day = pair.model.calendar.day(at) + DAY * random.choice([1, 2, 3, 10, 30, 45])
        return pair.model.calendar.midnight(day) + timedelta(hours=random.choice([0, 0, 9]))
    return random.choice([at, at - timedelta(days=random.randrange(9), hours=1), moment(random, pair)])


def _told(random: Random, **data: Any) -> dict[str, Any]:
    """Data with a channel and a comment, or without."""
    channel = {"channel": random.choice(SIDES["channel"])} if random.randrange(2) else {}
    comment = {"comment": "Fast help."} if random.randrange(2) else {}
    return data | channel | comment


def _answer(random: Random) -> Any:
    surveys = SURVEYS | MORE_SURVEYS
    survey = random.choice(sorted(surveys))
    score = random.randint(surveys[survey].low, surveys[survey].high)
    return "survey.responded", _told(random, survey=survey, score=score), False


def _sent(random: Random) -> Any:
    told = _told(random, survey=random.choice(["nps", "csat", "effort"]))
    return "survey.sent", {name: value for name, value in told.items() if name != "comment"}, False


def _updated(random: Random) -> Any:
    note = {"note": "Asked the team."} if random.randrange(2) else {}
    status = {"status": random.choice(["open", "in_progress", "resolved", "resolved"])}
    return "feedback.updated", note | (status if not note or random.randrange(3) else {}), False


def _comment(random: Random, pair: Pair, account: str) -> tuple[str, str]:
    """A comment by its account and id, mostly one that has come; or something that is none."""
    kept = list(pair.model.events.values())
    told = [one for one in kept if one.data.get("comment")] if random.randrange(5) else kept
    one = random.choice(told or kept or [None])
    return (one.event["account_id"], one.id) if one else (account, "unheard")


def _ticket(random: Random) -> Any:
    """Something about a ticket: of few, so that each sees a lot, some of it before it was opened."""
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
    """Of the account, a user, or one who is named, perhaps like the user."""
    who = {"who": random.choice(["ada", "lead 7"])} if not random.randrange(3) else {}
    verb = random.choice(["entered", "entered", "completed"])
    return f"goal.{verb}", {"goal": random.choice(SIDES["goal"])} | who, bool(random.randrange(2))


def _onboarding(random: Random) -> Any:
    verb = random.choice(["started", "started", "step_completed", "completed"])
    step = {"step": random.choice(["invite", "import"])} if verb == "step_completed" else {}
    return f"onboarding.{verb}", step, not random.randrange(3)


def _moved(random: Random) -> Any:
    keys = random.sample(sorted(ATTRIBUTES), random.choice([1, 1, 2]))
    return "account.updated", {"attributes": {key: random.choice(ATTRIBUTES[key]) for key in keys}}, False


def _changed(random: Random) -> Any:
    """A subscription: of few, so that each sees a lot."""
    data: dict[str, Any] = {"subscription_id": random.choice(SUBSCRIPTIONS)} | random.choice(PRICES)
    if not random.randrange(3):
        data["currency"] = random.choice(["EUR", "EUR", "USD"])
    if random.randrange(2):
        data["plan"] = random.choice(SIDES["subscription"])
    if random.randrange(2):
        data["seats"] = random.choice([0, 1, 3, 10])
    return "subscription.changed", data, False


def _canceled(random: Random) -> Any:
    reason = {"reason": random.choice(SIDES["reason"])} if random.randrange(3) else {}
    return "subscription.canceled", {"subscription_id": random.choice(SUBSCRIPTIONS)} | reason, False


def _trial(random: Random) -> Any:
    """Of few ids, like all deals, so that much is said of each."""
    return f"trial.{random.choice(['started', 'converted', 'expired'])}", {"trial_id": random.choice("ab")}, False


def _renewal(random: Random) -> Any:
    data = {"contract_id": random.choice("aab")} | (_paid(random) if random.randrange(3) else {})
    return f"renewal.{random.choice(['due', 'due', 'completed', 'declined'])}", data, False


def _purchase(random: Random) -> Any:
    data = {"order_id": random.choice("abcd")} | _paid(random)
    return f"purchase.{random.choice(['completed', 'completed', 'refunded'])}", data, False


def _cost(random: Random) -> Any:
    return "cost.recorded", {"category": random.choice(["acquisition", "retention"])} | _paid(random), False


def _paid(random: Random) -> dict[str, Any]:
    """An amount, in some currency."""
    currency = {"currency": random.choice(["EUR", "EUR", "EUR", "USD"])} if random.randrange(3) else {}
    return {"amount": random.choice(["0", "10", "33.3333", "33.3333", "120.5", "1000"])} | currency


def _session(random: Random) -> Any:
    return "session.ended", {"duration_seconds": random.choice([0, 60, 599, 3600])}, True


def _feature(random: Random) -> Any:
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
DEALS: list[Any] = [*[_trial] * 2, *[_renewal] * 4, *[_purchase] * 4, *[_cost] * 2]
EVENT_MAKERS: list[Any] = [
    _session,
    _session,
    _feature,
    _feature,
    lambda random: ("user.registered", {}, True),
    lambda random: ("user.removed", {}, True),
    lambda random: ("user.removed", {}, True),
    *[_changed] * 5,
    *[_canceled] * 4,
    *DEALS,
    lambda random: ("feedback.received", _told(random) | {"comment": "Please add dark mode."}, False),
    *[_ticket] * 3,
    *[_goal] * 2,
    *[_onboarding] * 2,
    *[_updated] * 3,
    _sent,
    _answer,
    _answer,
    _moved,
    _moved,
    _moved,
    _moved,
]


def random_step(random: Random, pair: Pair, *, known_earlier: bool = False) -> date:
    """Something happens: a batch with repeats and conflicts in it, or a retraction. The earliest day that learned of it."""
    kept = list(pair.model.events.values())
    if kept and not random.randrange(4):
        taken = random.choice(kept)
        pair.retract(taken.event["account_id"], taken.event["id"])
        return pair.today
    batch = random_events(random, pair, random.randint(1, 8))
    earliest = pair.today
    if known_earlier and not random.randrange(3):
        earliest -= DAY * random.randrange(4)
        batch = [event | {"recorded_on": str(earliest)} if random.randrange(3) else event for event in batch]
    if kept and not random.randrange(2):
        batch += [again.event for again in random.sample(kept, min(len(kept), 2))]
    if not random.randrange(3):
        # A price in a currency whose rate is perhaps not known, or surely not.
        type, data, _ = _changed(random)
        batch.append(
            random_event(random, pair) | {"type": type, "data": data | {"currency": random.choice(["GBP", "XAU"])}}
        )
    if not random.randrange(3):
        batch.append(random.choice(batch))
        batch.append(
            random.choice(batch) | {"type": "session.ended", "user_id": "eve", "data": {"duration_seconds": 1}}
        )
    random.shuffle(batch)
    pair.send(*batch)
    return earliest


def equals(key: str, value: Any) -> Filter:
    spelled = f'"{value}"' if isinstance(value, str) else str(value).lower()
    return Filter(f"{key} = {spelled}", lambda look: _same(look(key), value))


def less_than(key: str, value: float) -> Filter:
    def holds(look: Any) -> bool:
        found = look(key)
        return isinstance(found, int | float) and not isinstance(found, bool) and found < value

    return Filter(f"{key} < {value}", holds)


def negation(where: Filter) -> Filter:
    return Filter(f"not ({where.text})", lambda look: not where.holds(look))


def disjunction(one: Filter, other: Filter) -> Filter:
    return Filter(f"({one.text} or {other.text})", lambda look: one.holds(look) or other.holds(look))


def random_filter(random: Random, depth: int = 2) -> Filter:
    """Any filter."""
    kind = random.randrange(4 if depth else 2)
    if kind == 0:
        return less_than("seats", random.choice([7.5, 10, 41]))
    if kind == 1:
        key = random.choice(sorted(ATTRIBUTES))
        return equals(key, random.choice([value for value in ATTRIBUTES[key] if value is not None]))
    if kind == 2:
        return negation(random_filter(random, depth - 1))
    return disjunction(random_filter(random, depth - 1), random_filter(random, depth - 1))


def _same(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def random_question(random: Random, pair: Pair) -> dict[str, Any]:
    """Any question about the history: metrics that can be asked together, and a range around today."""
    if random.randrange(3):
        start = pair.today - DAY * random.randrange(75)
        asked: dict[str, Any] = {"start": start}
        if random.randrange(4):
            asked["end"] = start + DAY * random.randint(1, 80)
    else:
        asked = {"period": random.choice(PERIODS)}
    granularities = ["day", "day", "week", "week", "month", "quarter", "year", "total"]
    asked |= {"granularity": random.choice(granularities), "totals": bool(random.randrange(2))}
    sides = random.choice([(), (), ("subject",), ("channel",), ("subject", "channel")])
    groupings = random.sample(["plan", "seats", "vip", "account"], random.choice([0, 1, 1, 1, 2]))
    narrow = bool(sides) and not random.randrange(2)
    if narrow:
        asked |= {side: random.sample(_OF_SIDE[side], random.choice([1, 1, 2])) for side in sides}
    asked["group_by"] = groupings if narrow else (groupings + list(sides))[:3]
    if not random.randrange(3):
        asked["where"] = random_filter(random)
    if not random.randrange(4):
        asked["segments_as_of"] = "now"
    able = sorted(name for name, metric in METRICS.items() if set(sides) <= set(metric.sides))
    metrics = random.sample(able, min(4, len(able)))
    ways = sorted(
        way for name in metrics for way, other in CONVENTIONS.get(name, {}).items() if set(sides) <= set(other.sides)
    )
    if ways and random.randrange(3):
        asked["convention"] = random.choice(ways)
    if not random.randrange(2):
        asked["compare"] = random.choice(["previous_period", "previous_year"])
    if not random.randrange(4):
        asked["min_sample"] = random.randint(1, 4)
    return asked | {"metrics": ",".join(metrics)}


_OF_SIDE = {
    "subject": ["nps", "effort", "export", "gold", "price", "upgrade", "unheard"],
    "channel": ["email", "chat", "unheard"],
}
PERIODS = [
    "last_12_months", "last_30_days", "last_6_weeks", "last_2_quarters", "last_month", "this_quarter", "this_year", "today",
    "yesterday", "month_to_date", "week_to_date", "2026", "2026-Q1", "2026-03", "2026-W10", None,
]  # fmt: skip
