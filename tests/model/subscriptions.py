"""Subscriptions by docs/metrics.md: what an account pays at the end of each day, and its movements."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

from tests.model.calendar import Calendar

BASE_CURRENCY = "USD"
MONTHS = {"week": Fraction(12, 52), "month": Fraction(1), "quarter": Fraction(3), "year": Fraction(12)}


class Step(NamedTuple):
    """A subscription from an instant on, until its next step. event_key: of the event that made it."""

    at: datetime
    event_key: tuple[datetime, str]
    is_end: bool
    price: Fraction = Fraction(0)
    currency: str | None = None
    rate: Fraction = Fraction(1)
    plan: str | None = None
    seats: int = 0
    reason: str | None = None


class Movement(NamedTuple):
    """The net change of an account's MRR on one day. kind: new, reactivated, expansion, contraction or churned."""

    day: date
    kind: str
    amount: Fraction
    reason: str | None = None


class Money:
    """An account's subscriptions, as its events describe them."""

    def __init__(self, events: Iterable[Any], calendar: Calendar) -> None:
        self.calendar = calendar
        events_by_id = defaultdict(list)
        # At one instant a change comes before a cancellation, then ids decide.
        for event in sorted(events, key=lambda event: (event.at, event.type == "subscription.canceled", event.id)):
            events_by_id[event.data["subscription_id"]].append(event)
        self.subscriptions = [_steps(events) for events in events_by_id.values()]
        # The same if a cancellation took effect when it was made.
        self.if_ended_at_once = [_steps(events, at_once=True) for events in events_by_id.values()]
        self.current, self.mrr = cache(self._current), cache(self._mrr)
        self.movements = list(self._movements())

    def _current(self, day: date) -> list[Step]:
        """Return the step of each subscription that is running at the start of a day."""
        return self._running(self.subscriptions, day)

    def _running(self, subscriptions: list[list[Step]], day: date) -> list[Step]:
        earlier = ([step for step in steps if self.calendar.day(step.at) < day] for steps in subscriptions)
        return [steps[-1] for steps in earlier if steps and not steps[-1].is_end]

    def _mrr(self, day: date) -> Fraction:
        return sum((step.price for step in self.current(day)), Fraction(0))

    def is_staying(self, day: date) -> bool:
        """Return whether the account pays at the start of a day for something that is not canceled."""
        return bool(self.mrr(day)) and any(step.price for step in self._running(self.if_ended_at_once, day))

    def by_plan(self, day: date) -> dict[str | None, Fraction]:
        plans: dict[str | None, Fraction] = defaultdict(Fraction)
        for step in self.current(day):
            plans[step.plan] += step.price
        return plans

    def seats(self, day: date) -> int:
        return sum(step.seats for step in self.current(day))

    def _movements(self) -> Iterable[Movement]:
        days = sorted({self.calendar.day(step.at) for steps in self.subscriptions for step in steps})
        was_customer = False
        for day in days:
            before, after = self.mrr(day), self.mrr(date.fromordinal(day.toordinal() + 1))
            if before == 0 < after:
                yield Movement(day, "reactivated" if was_customer else "new", after)
            elif after == 0 < before:
                yield Movement(day, "churned", before, self._reason(day))
            elif before != after:
                yield Movement(day, "expansion" if before < after else "contraction", abs(after - before))
            was_customer = was_customer or after > 0

    def _reason(self, day: date) -> str | None:
        """Return the reason of the last cancellation that took effect on a day."""
        ends = [
            step for steps in self.subscriptions for step in steps if step.is_end and self.calendar.day(step.at) == day
        ]
        return max(ends, key=lambda step: (step.at, step.event_key)).reason if ends else None


def _steps(events: Iterable[Any], *, at_once: bool = False) -> list[Step]:
    """Return the steps of one subscription. Each event replaces the steps from its instant on, also those in the future."""
    steps: list[Step] = []
    plan, seats = None, 0
    for event in events:
        event_key = (event.at, event.id)
        if event.type == "subscription.changed":
            plan, seats = event.data.get("plan", plan), event.data.get("seats", seats)
            # An end at the same instant would come after the change, which withdraws it.
            before = [step for step in steps if step.at < event.at or (step.at == event.at and not step.is_end)][-1:]
            currency = event.data.get("currency", BASE_CURRENCY)
            keeps_rate = before and before[0].price > 0 and before[0].currency == currency
            rate = before[0].rate if keeps_rate else event.rate
            new = Step(event.at, event_key, False, _price(event.data, rate), currency, rate, plan, seats)
        else:
            at = datetime.fromisoformat(event.data["ends_at"]) if "ends_at" in event.data else event.at
            at = min(at, event.at) if at_once else at
            new = Step(at, event_key, True, reason=event.data.get("reason"))
            # A cancellation withdraws steps that are still in the future: so another cancellation moves the end.
            steps = [step for step in steps if step.at <= min(at, event.at)]
            if not steps or steps[-1].is_end:
                continue
        steps = [step for step in steps if step.at < new.at] + [new]
    return steps


def _price(data: dict[str, Any], rate: Fraction) -> Fraction:
    """Return the price per month in the base currency, rounded once, at the end."""
    if "mrr" in data:
        return half_up(Fraction(data["mrr"]) * rate, 4)
    months = MONTHS[data["interval"]] * data.get("interval_count", 1)
    return half_up(Fraction(data["amount"]) / months * rate, 4)


def half_up(number: Fraction, digits: int) -> Fraction:
    """Return a number rounded to some digits; halves are rounded away from zero."""
    steps = (abs(number) * 10**digits + Fraction(1, 2)) // 1
    return Fraction(steps if number >= 0 else -steps, 10**digits)


def amount(number: Fraction) -> str:
    """Return money as text with two decimals."""
    cents = int(half_up(number, 2) * 100)
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
