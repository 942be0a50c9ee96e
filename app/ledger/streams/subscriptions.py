"""The stream of all subscriptions of one account: MRR and its movements, customers won and lost, and seats.

All subscriptions of an account are one stream because the net change of a day is one movement: replacing a subscription on
one day is not churn.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.money import in_base_currency
from app.ledger.streams.define import DatedLine, StreamEvent, stream

CHANGED, CANCELED = "subscription.changed", "subscription.canceled"

mrr = measure("mrr", "Monthly recurring revenue (MRR).", subject="plan", stock=True)
mrr_new = measure("mrr_new", "MRR from accounts that became customers for the first time.")
mrr_expansion = measure("mrr_expansion", "MRR added by accounts that were customers already.")
mrr_contraction = measure("mrr_contraction", "MRR lost to downgrades by accounts that stayed customers.")
mrr_churned = measure("mrr_churned", "MRR lost from accounts that stopped being customers.", subject="reason")
mrr_reactivated = measure("mrr_reactivated", "MRR from former customers that became customers again.")
customers = measure("customers", "Customers (accounts with MRR above zero).", stock=True)
customers_new = measure("customers_new", "Accounts that became customers for the first time.")
customers_churned = measure("customers_churned", "Accounts that stopped being customers.", subject="reason")
customers_reactivated = measure("customers_reactivated", "Former customers that became customers again.")
customers_leaving = measure(
    "customers_leaving", "Customers whose paid subscriptions are all canceled but have not ended yet.", stock=True
)
seats = measure("seats", "Seats of active subscriptions.", stock=True)

_MONTHS_BY_INTERVAL = {"week": Fraction(12, 52), "month": Fraction(1), "quarter": Fraction(3), "year": Fraction(12)}


def stream_name(event: EventView) -> str:
    """Return the name of the stream of a subscription's event: the account has one."""
    return "subscriptions"


class _State(NamedTuple):
    """A subscription from an instant until its next state. The amount is the MRR; after the end all three are zero or empty.

    event_key: instant and id of the event that made the state. end_reason: why the subscription ended; None if it did not.
    """

    since: datetime
    event_key: tuple[datetime, str]
    amount: int = 0
    plan: str = ""
    seats: int = 0
    end_reason: str | None = None


@dataclass(slots=True)
class _SubscriptionHistory:
    """The states of one subscription in order. The last may be an end in the future.

    immediate: whether cancellations take effect when they are made, and not when the paid period ends. plan, seats: the last
    values of an event, which later events without them keep. rate: that of the day on which the amount became positive or the
    currency changed, so that exchange rates cause no movements.
    """

    immediate: bool = False
    states: list[_State] = field(default_factory=list)
    plan: str = ""
    seats: int = 0
    currency: str | None = None
    rate: Decimal | None = None

    def change(self, event: StreamEvent) -> None:
        """Apply a change at its instant. It withdraws a cancellation that takes effect then or later."""
        at, data = event.at, event.data
        while self.states and (self.states[-1].since > at or (self.states[-1].since == at and self._has_ended)):
            self.states.pop()
        if not self.states or not self.states[-1].amount or data.get("currency") != self.currency:
            self.currency, self.rate = data.get("currency"), event.rate
        self.plan, self.seats = data.get("plan", self.plan), data.get("seats", self.seats)
        price = data["mrr"] if "mrr" in data else data["amount"]
        amount = in_base_currency(price, self.rate, months=_months_per_payment(data))
        self._add(_State(at, (at, event.id), amount, self.plan, self.seats))

    def cancel(self, event: StreamEvent) -> None:
        """Apply a cancellation: it replaces an end in the future, and does nothing to a subscription that has ended."""
        ends_at = event.data.get("ends_at")
        at = datetime.fromisoformat(ends_at) if ends_at else event.at
        at = min(at, event.at) if self.immediate else at
        while self.states and self.states[-1].since > min(at, event.at):
            self.states.pop()
        if self.states and not self._has_ended:
            self._add(_State(at, (event.at, event.id), end_reason=event.data.get("reason", "")))

    @property
    def _has_ended(self) -> bool:
        return self.states[-1].end_reason is not None

    def _add(self, state: _State) -> None:
        """Add a state. Of several states at one instant only the last remains."""
        if self.states and self.states[-1].since == state.since:
            self.states.pop()
        self.states.append(state)


def _months_per_payment(data: Mapping[str, Any]) -> Fraction:
    """Return how many months the price of a change pays for; 1 when it is given per month."""
    if "interval" not in data:
        return Fraction(1)
    return _MONTHS_BY_INTERVAL[data["interval"]] * int(data.get("interval_count", 1))


class _DayChange(NamedTuple):
    """The difference between the end of a day and the end of the day before."""

    mrr_by_plan: Counter[str]
    seats: int


@stream(
    "subscriptions",
    posts=[
        mrr,
        mrr_new,
        mrr_expansion,
        mrr_contraction,
        mrr_churned,
        mrr_reactivated,
        customers,
        customers_new,
        customers_churned,
        customers_reactivated,
        customers_leaving,
        seats,
    ],
)
def subscriptions(events: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """Yield MRR, seats and movements of one account, by day."""
    account_subscriptions = _replay(events)
    changes = _day_changes(account_subscriptions, calendar)
    reasons = _end_reasons(account_subscriptions, calendar)
    before, was_customer = 0, False
    for day in sorted(changes):
        change = changes[day]
        for plan, amount in change.mrr_by_plan.items():
            yield day, Line(mrr, amount, plan)
        yield day, Line(seats, change.seats)
        after = before + change.mrr_by_plan.total()
        for line in _movement(before, after, was_customer=was_customer, reason=reasons.get(day, "")):
            yield day, line
        before, was_customer = after, was_customer or after > 0
    if any("ends_at" in event.data for event in events):
        yield from _leaving(changes, _day_changes(_replay(events, immediate=True), calendar))


def _replay(events: Sequence[StreamEvent], *, immediate: bool = False) -> Collection[_SubscriptionHistory]:
    """Return the subscriptions after all events. immediate: see `_SubscriptionHistory`."""
    subscription_by_id: dict[str, _SubscriptionHistory] = defaultdict(lambda: _SubscriptionHistory(immediate))
    for event in events:
        subscription = subscription_by_id[event.data["subscription_id"]]
        if event.type == CHANGED:
            subscription.change(event)
        else:
            subscription.cancel(event)
    return subscription_by_id.values()


def _day_changes(account_subscriptions: Iterable[_SubscriptionHistory], calendar: Calendar) -> dict[date, _DayChange]:
    """Return the changes of MRR by plan and of seats, by day. Of several states on one day the last counts."""
    changes: dict[date, _DayChange] = {}
    for subscription in account_subscriptions:
        state_by_day = {calendar.day(state.since): state for state in subscription.states}
        before = None
        for day, state in state_by_day.items():
            mrr_by_plan, seats_change = changes.get(day, (Counter(), 0))
            mrr_by_plan[state.plan] += state.amount
            if before is not None:
                mrr_by_plan[before.plan] -= before.amount
            seats_before = before.seats if before is not None else 0
            changes[day] = _DayChange(mrr_by_plan, seats_change + state.seats - seats_before)
            before = state
    return changes


def _end_reasons(account_subscriptions: Iterable[_SubscriptionHistory], calendar: Calendar) -> dict[date, str]:
    """Return the reason of the last cancellation that took effect on each day."""
    ends = [
        state for subscription in account_subscriptions for state in subscription.states if state.end_reason is not None
    ]
    ends.sort(key=lambda end: (end.since, end.event_key))
    return {calendar.day(end.since): end.end_reason or "" for end in ends}


def _movement(before: int, after: int, *, was_customer: bool, reason: str) -> Iterator[Line]:
    """Yield the movement of a day on which an account's MRR goes from `before` to `after`.

    was_customer: whether the account's MRR was ever above zero before.
    """
    if before == 0 < after:
        amount, count = (mrr_reactivated, customers_reactivated) if was_customer else (mrr_new, customers_new)
        yield from (Line(amount, after), Line(count, 1), Line(customers, 1))
    elif after == 0 < before:
        yield from (Line(mrr_churned, before, reason), Line(customers_churned, 1, reason), Line(customers, -1))
    elif after > before:
        yield Line(mrr_expansion, after - before)
    elif after < before:
        yield Line(mrr_contraction, before - after)


def _leaving(changes: Mapping[date, _DayChange], immediate_changes: Mapping[date, _DayChange]) -> Iterator[DatedLine]:
    """Yield when the account began and ceased to be leaving.

    It is leaving while its MRR is above zero and would be zero if cancellations took effect immediately.
    """
    current = remaining = 0
    is_leaving = False
    for day in sorted(changes.keys() | immediate_changes.keys()):
        current += changes[day].mrr_by_plan.total() if day in changes else 0
        remaining += immediate_changes[day].mrr_by_plan.total() if day in immediate_changes else 0
        if (current > 0 >= remaining) != is_leaving:
            is_leaving = not is_leaving
            yield day, Line(customers_leaving, 1 if is_leaving else -1)
