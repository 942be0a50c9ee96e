"""An account's subscriptions: its monthly recurring revenue, how that moved, the customers won and lost, and its seats.

All subscriptions of an account are one stream, since they move together: what a day changes on the whole is one movement.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.money import in_base_currency
from app.ledger.streams.define import DatedLine, StreamEvent, stream

CHANGED, CANCELED = "subscription.changed", "subscription.canceled"

mrr = measure("mrr", "Monthly recurring revenue, in ten-thousandths.", subject="plan", stock=True)
mrr_new = measure("mrr_new", "MRR of accounts that pay for the first time.")
mrr_expansion = measure("mrr_expansion", "MRR that paying accounts added.")
mrr_contraction = measure("mrr_contraction", "MRR by which accounts that still pay shrank.")
mrr_churned = measure("mrr_churned", "MRR of accounts that stopped paying.", subject="reason")
mrr_reactivated = measure("mrr_reactivated", "MRR of accounts that pay again.")
customers = measure("customers", "Accounts that pay.", stock=True)
customers_new = measure("customers_new", "Accounts that paid for the first time.")
customers_churned = measure("customers_churned", "Accounts that stopped paying.", subject="reason")
customers_reactivated = measure("customers_reactivated", "Accounts that paid again after they had stopped.")
customers_leaving = measure(
    "customers_leaving", "Accounts that pay and have cancelled, until it takes effect.", stock=True
)
seats = measure("seats", "Seats of subscriptions.", stock=True)

# By how much a day's end differs from that of the day before: MRR by plan, and seats.
Changes: TypeAlias = dict[date, tuple[Counter[str], int]]

# How many months an interval of payment is.
_INTERVALS = {"week": Fraction(12, 52), "month": Fraction(1), "quarter": Fraction(3), "year": Fraction(12)}


def name(fact: EventView) -> str:
    """The name of the stream that an event of a subscription belongs to."""
    return "subscriptions"


class _State(NamedTuple):
    """A subscription from a moment on: what it brings a month, its plan and seats. reason: why it ended; None: it goes on.

    said: the event that says so, in the order of events.
    """

    since: datetime
    said: tuple[datetime, str]
    mrr: int = 0
    plan: str = ""
    seats: int = 0
    reason: str | None = None


@dataclass(slots=True)
class _Subscription:
    """What has been said of one subscription: its states in the order of time. The last may be an end that is to come.

    plan and seats are the last ones that were named: a change that does not name them leaves them as they are. The rate is
    that of the day on which it became positive or changed currency, so that exchange rates make no movements. at_once:
    what it would be if cancellations took effect when they are said.
    """

    at_once: bool = False
    states: list[_State] = field(default_factory=list)
    plan: str = ""
    seats: int = 0
    currency: str | None = None
    rate: Decimal | None = None

    def change(self, happening: StreamEvent) -> None:
        """From its moment on it is so, which withdraws an end at that moment or later."""
        at, data = happening.at, happening.data
        while self.states and (self.states[-1].since > at or (self.states[-1].since == at and self._has_ended)):
            self.states.pop()
        if not self.states or not self.states[-1].mrr or data.get("currency") != self.currency:
            self.currency, self.rate = data.get("currency"), happening.rate
        self.plan, self.seats = data.get("plan", self.plan), data.get("seats", self.seats)
        mrr = in_base_currency(data["mrr"] if "mrr" in data else data["amount"], self.rate, months=_months(data))
        self._hold(_State(at, (at, happening.id), mrr, self.plan, self.seats))

    def cancel(self, happening: StreamEvent) -> None:
        """It ends, unless it has ended by then. What was said before of later times is withdrawn."""
        ends_at = happening.data.get("ends_at")
        at = datetime.fromisoformat(ends_at) if ends_at else happening.at
        at = min(at, happening.at) if self.at_once else at
        while self.states and self.states[-1].since > min(at, happening.at):
            self.states.pop()
        if self.states and not self._has_ended:
            said = (happening.at, happening.id)
            self._hold(_State(at, said, reason=happening.data.get("reason", "")))

    @property
    def _has_ended(self) -> bool:
        return self.states[-1].reason is not None

    def _hold(self, state: _State) -> None:
        if self.states and self.states[-1].since == state.since:
            self.states.pop()
        self.states.append(state)


def _months(data: Mapping[str, Any]) -> Fraction:
    """How many months its price pays."""
    return _INTERVALS[data["interval"]] * int(data.get("interval_count", 1)) if "interval" in data else Fraction(1)


@stream("subscriptions")
def subscriptions(happenings: Sequence[StreamEvent], calendar: Calendar) -> Iterator[DatedLine]:
    """The movements of one account, each on its day."""
    found = _told(happenings)
    days = _changes(found, calendar)
    reasons = _reasons(found, calendar)
    before, ever = 0, False
    for day in sorted(days):
        plans, seated = days[day]
        for plan, delta in plans.items():
            yield day, Line(mrr, delta, plan)
        yield day, Line(seats, seated)
        after = before + plans.total()
        for line in _movement(before, after, ever=ever, reason=reasons.get(day, "")):
            yield day, line
        before, ever = after, ever or after > 0
    if any("ends_at" in happening.data for happening in happenings):
        yield from _leaving(days, _changes(_told(happenings, at_once=True), calendar))


def _told(happenings: Sequence[StreamEvent], *, at_once: bool = False) -> Collection[_Subscription]:
    """The subscriptions, each with all that was said of it."""
    found: dict[str, _Subscription] = defaultdict(lambda: _Subscription(at_once))
    for happening in happenings:
        subscription = found[happening.data["subscription_id"]]
        if happening.type == CHANGED:
            subscription.change(happening)
        else:
            subscription.cancel(happening)
    return found.values()


def _leaving(paid: Changes, kept: Changes) -> Iterator[DatedLine]:
    """When the account began and ceased to pay for nothing but subscriptions that were cancelled already."""
    paying = keeping = 0
    leaving = False
    for day in sorted(paid.keys() | kept.keys()):
        paying += paid[day][0].total() if day in paid else 0
        keeping += kept[day][0].total() if day in kept else 0
        if (paying > 0 >= keeping) != leaving:
            leaving = not leaving
            yield day, Line(customers_leaving, 1 if leaving else -1)


def _changes(found: Iterable[_Subscription], calendar: Calendar) -> Changes:
    """By how much each day's end differs from the day before's: MRR by plan, and seats."""
    days: Changes = {}
    for subscription in found:
        last = {calendar.day(state.since): state for state in subscription.states}
        before = None
        for day, state in last.items():
            plans, seated = days.get(day, (Counter(), 0))
            plans[state.plan] += state.mrr
            if before is not None:
                plans[before.plan] -= before.mrr
            days[day] = plans, seated + state.seats - (before.seats if before is not None else 0)
            before = state
    return days


def _reasons(found: Iterable[_Subscription], calendar: Calendar) -> dict[date, str]:
    """Why an account left on a day: the reason of the last cancellation that took effect on it."""
    ends = [state for subscription in found for state in subscription.states if state.reason is not None]
    return {calendar.day(end.since): end.reason or "" for end in sorted(ends, key=lambda end: (end.since, end.said))}


def _movement(before: int, after: int, *, ever: bool, reason: str) -> Iterator[Line]:
    """What it is called when an account's MRR goes from `live_before` to `after` within a day. ever: whether it paid before."""
    if before == 0 < after:
        amount, count = (mrr_reactivated, customers_reactivated) if ever else (mrr_new, customers_new)
        yield from (Line(amount, after), Line(count, 1), Line(customers, 1))
    elif after == 0 < before:
        yield from (Line(mrr_churned, before, reason), Line(customers_churned, 1, reason), Line(customers, -1))
    elif after > before:
        yield Line(mrr_expansion, after - before)
    elif after < before:
        yield Line(mrr_contraction, before - after)
