"""Trials, renewals, orders and costs of an account by docs/metrics.md."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from tests.model.subscriptions import BASE_CURRENCY, half_up

# The order of events at one instant: what starts something comes before what ends it, and success before failure.
RANKS = {"started": 0, "converted": 1, "expired": 2, "due": 0, "completed": 1, "declined": 2, "refunded": 2}
_IDS = ("trial_id", "contract_id", "order_id")


class Trial(NamedTuple):
    """ended: the day of the first conversion, else of the first expiry; None while the trial is running."""

    day: date
    converted: bool
    ended: date | None


class Due(NamedTuple):
    """A contract on a day on which it was due. amount: None when it is unknown; renewed_amount: at most the amount due.

    renewed_on: None when it was not renewed.
    """

    day: date
    renewed_on: date | None
    amount: Fraction | None
    renewed_amount: Fraction


class Order(NamedTuple):
    """kept: what was not given back of the amount; None when all of it was."""

    event: Any
    amount: Fraction
    kept: Fraction | None


class Deals:
    """The trials, renewals, orders and costs of an account, as its events describe them."""

    def __init__(self, events: Sequence[Any]) -> None:
        streams: dict[tuple[str, str], list[Any]] = defaultdict(list)
        for event in sorted(events, key=lambda event: (event.at, RANKS.get(event.type.split(".")[1], 0), event.id)):
            kind, ids = event.type.split(".")[0], [value for name, value in event.data.items() if name in _IDS]
            if ids:
                streams[kind, ids[0]].append(event)
        self.trials = [_trial(stream) for (kind, _), stream in streams.items() if kind == "trial"]
        self.dues = [due for (kind, _), stream in streams.items() if kind == "renewal" for due in _dues(stream)]
        purchases = [stream for (kind, _), stream in streams.items() if kind == "purchase"]
        firsts = [event for stream in purchases for event in [e for e in stream if e.type == "purchase.completed"][:1]]
        self.orders = [_order(event, events) for event in sorted(firsts, key=lambda event: (event.at, event.id))]
        self.refunds = [refund for stream in purchases for refund in _refunds(stream)]
        self.costs = [
            (event.day, event.data["category"], _amount(event, event.rate))
            for event in events
            if event.type == "cost.recorded"
        ]

    def orders_before(self, day: date) -> list[Order]:
        return [order for order in self.orders if order.event.day < day]


def _amount(event: Any, rate: Fraction) -> Fraction:
    """Return the amount of an event in the base currency."""
    return half_up(Fraction(event.data["amount"]) * rate, 4)


def _trial(events: Sequence[Any]) -> Trial:
    """Return the trial of one id. It starts once, and not after its end."""
    starts = [event for event in events if event.type == "trial.started"]
    start = (starts or events)[0]
    day_by_type = {event.type: max(event.day, start.day) for event in reversed(events)}
    ended = day_by_type.get("trial.converted", day_by_type.get("trial.expired"))
    return Trial(start.day, "trial.converted" in day_by_type, ended)


def _dues(events: Sequence[Any]) -> list[Due]:
    """Return each day on which a contract was due, with its decision among the events up to the next such day."""
    index_by_day = {event.day: n for n, event in reversed(list(enumerate(events))) if event.type == "renewal.due"}
    days = sorted(index_by_day)
    indexes = [index_by_day[day] for day in days]
    early = _last_or_none(_decisions(events[: indexes[0]])) if indexes else None
    dues = []
    for day, (index, next_index) in zip(days, pairwise([*indexes, len(events)]), strict=True):
        decision, next_early = early, None
        for event in _decisions(events[index:next_index]):
            if decision is not None and decision.type == "renewal.completed":
                next_early = event
            else:
                decision = event
        early = next_early
        amounts = [e for e in events if e.type == "renewal.due" and e.day == day and "amount" in e.data]
        dues.append(_due(day, amounts[-1] if amounts else None, decision))
    return dues


def _decisions(events: Iterable[Any]) -> list[Any]:
    return [event for event in events if event.type != "renewal.due"]


def _last_or_none(events: Sequence[Any]) -> Any:
    return events[-1] if events else None


def _due(day: date, amount_event: Any, decision: Any) -> Due:
    renewed_on = decision.day if decision is not None and decision.type == "renewal.completed" else None
    if amount_event is None:
        return Due(day, renewed_on, None, Fraction(0))
    amount = _amount(amount_event, amount_event.rate)
    if not renewed_on:
        return Due(day, None, amount, Fraction(0))
    if "amount" not in decision.data:
        return Due(day, renewed_on, amount, amount)
    return Due(day, renewed_on, amount, min(amount, _amount(decision, _rate(decision, amount_event))))


def _order(order: Any, events: Iterable[Any]) -> Order:
    """Return an order with what was kept of it, whenever the rest was given back."""
    amount = _amount(order, order.rate)
    back = [
        _amount(event, _rate(event, order))
        for event in events
        if event.type == "purchase.refunded" and event.data["order_id"] == order.data["order_id"]
    ]
    return Order(order, amount, None if back and sum(back) >= amount else amount - sum(back))


def _refunds(events: Iterable[Any]) -> list[tuple[date, Fraction]]:
    """Return the refunds of one order by day: never before its payment, and in total never more than it."""
    events = list(events)
    order = next((event for event in events if event.type == "purchase.completed"), None)
    if order is None:
        return []
    refunds, unrefunded = [], _amount(order, order.rate)
    for event in events:
        if event.type == "purchase.refunded":
            amount = min(unrefunded, _amount(event, _rate(event, order)))
            refunds.append((max(event.day, order.day), amount))
            unrefunded -= amount
    return refunds


def _rate(event: Any, first: Any) -> Fraction:
    """Return the rate of an event that follows another: that of the first one if the currency is the same."""
    is_same_currency = event.data.get("currency", BASE_CURRENCY) == first.data.get("currency", BASE_CURRENCY)
    return first.rate if is_same_currency else event.rate
