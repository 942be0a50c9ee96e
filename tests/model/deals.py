"""Trials, renewals, orders and costs by docs/metrics.md: what events say of each; shares nothing with the service."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from tests.model.subscriptions import BASE_CURRENCY, half_up

# At one instant what begins comes before what ends it, and good news before bad.
RANKS = {"started": 0, "converted": 1, "expired": 2, "due": 0, "completed": 1, "declined": 2, "refunded": 2}


class Trial(NamedTuple):
    """ended: when it first converted or else expired; None while it runs."""

    day: date
    converted: bool
    ended: date | None


class Due(NamedTuple):
    """A contract on the day on which it was due; amount and kept: what was due, if that was said, and renewed of it."""

    day: date
    renewed: bool
    amount: Fraction | None
    kept: Fraction


class Order(NamedTuple):
    event: Any
    amount: Fraction


class Deals:
    """What an account tried, renewed and ordered, and what was spent on it, by all that is known of it."""

    def __init__(self, events: Sequence[Any]) -> None:
        by_id: dict[tuple[str, str], list[Any]] = defaultdict(list)
        for kept in sorted(events, key=lambda kept: (kept.at, RANKS.get(kept.type.split(".")[1], 0), kept.id)):
            of, id = kept.type.split(".")[0], [v for name, v in kept.data.items() if name in _IDS]
            if id:
                by_id[of, id[0]].append(kept)
        self.trials = [trial for (of, _), found in by_id.items() if of == "trial" for trial in _trials(found)]
        self.dues = [due for (of, _), found in by_id.items() if of == "renewal" for due in _dues(found)]
        purchases = [found for (of, _), found in by_id.items() if of == "purchase"]
        firsts = [kept for found in purchases for kept in [k for k in found if k.type == "purchase.completed"][:1]]
        self.orders = [Order(kept, _worth(kept, kept.rate)) for kept in sorted(firsts, key=lambda k: (k.at, k.id))]
        self.refunds = [refund for found in purchases for refund in _refunds(found)]
        self.costs = [
            (kept.day, kept.data["category"], _worth(kept, kept.rate))
            for kept in events
            if kept.type == "cost.recorded"
        ]

    def orders_before(self, day: date) -> list[Order]:
        return [order for order in self.orders if order.event.day < day]


_IDS = ("trial_id", "contract_id", "order_id")


def _worth(kept: Any, rate: Fraction) -> Fraction:
    return half_up(Fraction(kept.data["amount"]) * rate, 4)


def _trials(events: Iterable[Any]) -> list[Trial]:
    """All that is said up to the next start after an end is about one trial."""
    trials: list[list[Any]] = []
    for kept in events:
        if not trials or (kept.type == "trial.started" and any(k.type != "trial.started" for k in trials[-1])):
            trials.append([])
        trials[-1].append(kept)
    found = []
    for trial in trials:
        days = {kept.type: kept.day for kept in reversed(trial)}
        ended = days.get("trial.converted", days.get("trial.expired"))
        found.append(Trial(trial[0].day, "trial.converted" in days, ended))
    return found


def _dues(events: Sequence[Any]) -> list[Due]:
    """Each day on which it was due with the decision among those that came between it and the next."""
    due = {kept.day: place for place, kept in reversed(list(enumerate(events))) if kept.type == "renewal.due"}
    days = sorted(due)
    places = [due[day] for day in days]
    early = _last(_decisions(events[: places[0]])) if places else None
    found = []
    for day, (place, after) in zip(days, pairwise([*places, len(events)]), strict=True):
        decision, next_early = early, None
        for kept in _decisions(events[place:after]):
            if decision is not None and decision.type == "renewal.completed":
                next_early = kept
            else:
                decision = kept
        early = next_early
        amounts = [k for k in events if k.type == "renewal.due" and k.day == day and "amount" in k.data]
        found.append(_due(day, amounts[-1] if amounts else None, decision))
    return found


def _decisions(events: Iterable[Any]) -> list[Any]:
    return [kept for kept in events if kept.type != "renewal.due"]


def _last(events: Sequence[Any]) -> Any:
    return events[-1] if events else None


def _due(day: date, said: Any, decision: Any) -> Due:
    renewed = decision is not None and decision.type == "renewal.completed"
    if said is None:
        return Due(day, renewed, None, Fraction(0))
    amount = _worth(said, said.rate)
    if not renewed:
        return Due(day, False, amount, Fraction(0))
    return Due(
        day, True, amount, min(amount, _worth(decision, _rate(decision, said))) if "amount" in decision.data else amount
    )


def _refunds(events: Iterable[Any]) -> list[tuple[date, Fraction]]:
    """What was given back for one order, and on which day: never before it was paid, in all never more than was."""
    events = list(events)
    order = next((kept for kept in events if kept.type == "purchase.completed"), None)
    if order is None:
        return []
    found, left = [], _worth(order, order.rate)
    for kept in events:
        if kept.type == "purchase.refunded":
            amount = min(left, _worth(kept, _rate(kept, order)))
            found.append((max(kept.day, order.day), amount))
            left -= amount
    return found


def _rate(kept: Any, first: Any) -> Fraction:
    """In the same currency, that of what it answers to."""
    same = kept.data.get("currency", BASE_CURRENCY) == first.data.get("currency", BASE_CURRENCY)
    return first.rate if same else kept.rate
