"""Subscriptions by docs/metrics.md: what an account pays at each day's end, and the movements that come of it."""

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
    """What a subscription is from a moment on, by one event; when it is an end, there is nothing left of it."""

    at: datetime
    said: tuple[datetime, str]
    end: bool
    price: Fraction = Fraction(0)
    currency: str | None = None
    rate: Fraction = Fraction(1)
    plan: str | None = None
    seats: int = 0
    reason: str | None = None


class Movement(NamedTuple):
    """What became of an account's MRR on one day: new, reactivated, expansion, contraction or churned."""

    day: date
    kind: str
    amount: Fraction
    reason: str | None = None


class Money:
    """An account's subscriptions by all that is known of them."""

    def __init__(self, events: Iterable[Any], calendar: Calendar) -> None:
        self.calendar = calendar
        subscriptions = defaultdict(list)
        # At one instant a change comes before a cancellation, then ids decide.
        for kept in sorted(events, key=lambda kept: (kept.at, kept.type == "subscription.canceled", kept.id)):
            subscriptions[kept.data["subscription_id"]].append(kept)
        self.subscriptions = [_steps(events) for events in subscriptions.values()]
        # What each would be if it ended when its cancellation is said, unless it has ended by then.
        self.at_once = [_steps(events, at_once=True) for events in subscriptions.values()]
        self.current, self.mrr = cache(self._current), cache(self._mrr)
        self.movements = list(self._movements())

    def _current(self, day: date) -> list[Step]:
        """What each subscription is when the day begins."""
        return self._standing(self.subscriptions, day)

    def _standing(self, subscriptions: list[list[Step]], day: date) -> list[Step]:
        so_far = ([step for step in steps if self.calendar.day(step.at) < day] for steps in subscriptions)
        return [steps[-1] for steps in so_far if steps and not steps[-1].end]

    def _mrr(self, day: date) -> Fraction:
        return sum((step.price for step in self.current(day)), Fraction(0))

    def keeps(self, day: date) -> bool:
        """Whether the account pays when the day begins, and for something that is not cancelled."""
        return bool(self.mrr(day)) and any(step.price for step in self._standing(self.at_once, day))

    def by_plan(self, day: date) -> dict[str | None, Fraction]:
        plans: dict[str | None, Fraction] = defaultdict(Fraction)
        for step in self.current(day):
            plans[step.plan] += step.price
        return plans

    def seats(self, day: date) -> int:
        return sum(step.seats for step in self.current(day))

    def _movements(self) -> Iterable[Movement]:
        days = sorted({self.calendar.day(step.at) for steps in self.subscriptions for step in steps})
        paid_before = False
        for day in days:
            before, after = self.mrr(day), self.mrr(date.fromordinal(day.toordinal() + 1))
            if before == 0 < after:
                yield Movement(day, "reactivated" if paid_before else "new", after)
            elif after == 0 < before:
                yield Movement(day, "churned", before, self._reason(day))
            elif before != after:
                yield Movement(day, "expansion" if before < after else "contraction", abs(after - before))
            paid_before = paid_before or after > 0

    def _reason(self, day: date) -> str | None:
        """That of the last cancellation which took effect on the day."""
        ends = [
            step for steps in self.subscriptions for step in steps if step.end and self.calendar.day(step.at) == day
        ]
        return max(ends, key=lambda step: (step.at, step.said)).reason if ends else None


def _steps(events: Iterable[Any], *, at_once: bool = False) -> list[Step]:
    """What one subscription is from when to when: each event sets it anew from its moment on, whatever was to come."""
    steps: list[Step] = []
    plan, seats = None, 0
    for kept in events:
        said = (kept.at, kept.id)
        if kept.type == "subscription.changed":
            plan, seats = kept.data.get("plan", plan), kept.data.get("seats", seats)
            # An end at the same instant would come after the change, which withdraws it.
            before = [step for step in steps if step.at < kept.at or (step.at == kept.at and not step.end)][-1:]
            currency = kept.data.get("currency", BASE_CURRENCY)
            keeps = before and before[0].price > 0 and before[0].currency == currency
            rate = before[0].rate if keeps else kept.rate
            new = Step(kept.at, said, False, _price(kept.data, rate), currency, rate, plan, seats)
        else:
            at = datetime.fromisoformat(kept.data["ends_at"]) if "ends_at" in kept.data else kept.at
            at = min(at, kept.at) if at_once else at
            new = Step(at, said, True, reason=kept.data.get("reason"))
            # What was still to come when it was said is withdrawn: an end is moved by another cancellation.
            steps = [step for step in steps if step.at <= min(at, kept.at)]
            if not steps or steps[-1].end:
                continue
        steps = [step for step in steps if step.at < new.at] + [new]
    return steps


def _price(data: dict[str, Any], rate: Fraction) -> Fraction:
    """Per month and in the base currency, rounded once, at the end."""
    if "mrr" in data:
        return half_up(Fraction(data["mrr"]) * rate, 4)
    months = MONTHS[data["interval"]] * data.get("interval_count", 1)
    return half_up(Fraction(data["amount"]) / months * rate, 4)


def half_up(number: Fraction, digits: int) -> Fraction:
    """Rounded; a half goes away from zero."""
    steps = (abs(number) * 10**digits + Fraction(1, 2)) // 1
    return Fraction(steps if number >= 0 else -steps, 10**digits)


def amount(number: Fraction) -> str:
    """Money as it is written, with two digits."""
    cents = int(half_up(number, 2) * 100)
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
