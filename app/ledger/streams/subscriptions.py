"""The stream of all subscriptions of one account: MRR and its movements, customers won and lost, and seats.

All subscriptions of an account are one stream because the net change of a day is one movement: replacing a subscription on
one day is not churn.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import NamedTuple

from app.core.periods import Calendar
from app.ledger.measures import EventView, Line, measure
from app.ledger.streams.define import DatedLine, StreamEvent, stream
from app.ledger.streams.subscription_history import State, SubscriptionHistory

mrr = measure("mrr", "Monthly recurring revenue (MRR).", subject="plan", stock=True, per_year=True)
mrr_new = measure("mrr_new", "MRR from accounts that became customers for the first time.", per_year=True)
mrr_expansion = measure("mrr_expansion", "MRR added by accounts that were customers already.", per_year=True)
mrr_contraction = measure("mrr_contraction", "MRR lost to downgrades by accounts that stayed customers.", per_year=True)
mrr_churned = measure(
    "mrr_churned", "MRR lost from accounts that stopped being customers.", subject="reason", per_year=True
)
mrr_reactivated = measure("mrr_reactivated", "MRR from former customers that became customers again.", per_year=True)
customers = measure("customers", "Customers (accounts with MRR above zero).", stock=True)
customers_new = measure("customers_new", "Accounts that became customers for the first time.")
customers_churned = measure("customers_churned", "Accounts that stopped being customers.", subject="reason")
customers_reactivated = measure("customers_reactivated", "Former customers that became customers again.")
customers_leaving = measure(
    "customers_leaving", "Customers whose paid subscriptions are all canceled but have not ended yet.", stock=True
)
seats = measure("seats", "Seats of active subscriptions.", stock=True)


KIND = "subscriptions"


def stream_name(event: EventView) -> str:
    """Return the name of the stream of a subscription's event: the account has one."""
    return KIND


class _DayChange(NamedTuple):
    """The difference between the end of a day and the end of the day before, of an account's subscriptions together.

    staying: of the MRR of subscriptions that are not canceled.
    """

    mrr_by_plan: Counter[str]
    seats: int
    staying: int


@stream(
    KIND,
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
    states_by_subscription = _replay(events, calendar)
    changes = _day_changes(states_by_subscription, calendar)
    reasons = _reasons(states_by_subscription, calendar)
    before = staying = 0
    was_customer = was_leaving = False
    for day in sorted(changes):
        mrr_by_plan, seats_change, staying_change = changes[day]
        for plan, amount in mrr_by_plan.items():
            yield day, Line(mrr, amount, plan)
        yield day, Line(seats, seats_change)
        after = before + mrr_by_plan.total()
        for line in _movement(before, after, was_customer=was_customer, reason=reasons.get(day, "")):
            yield day, line
        staying += staying_change
        is_leaving = after > 0 == staying
        if is_leaving != was_leaving:
            yield day, Line(customers_leaving, 1 if is_leaving else -1)
        before, was_customer, was_leaving = after, was_customer or after > 0, is_leaving


def _replay(events: Iterable[StreamEvent], calendar: Calendar) -> list[list[State]]:
    """Return the states of each subscription."""
    history_by_id: dict[str, SubscriptionHistory] = {}
    for event in events:
        id = event.data["subscription_id"]
        history = history_by_id.get(id) or history_by_id.setdefault(id, SubscriptionHistory(calendar))
        history.apply(event)
    return [history.finish() for history in history_by_id.values()]


def _day_changes(states_by_subscription: Iterable[Sequence[State]], calendar: Calendar) -> dict[date, _DayChange]:
    """Return the changes of each day. Of several states of a subscription on one day the last counts."""
    changes: dict[date, _DayChange] = {}
    for states in states_by_subscription:
        state_by_day = {calendar.day(state.since): state for state in states}
        price = seats = staying = 0
        plan = ""
        for day, state in state_by_day.items():
            mrr_by_plan, seats_change, staying_change = changes.get(day, (Counter(), 0, 0))
            mrr_by_plan[plan] -= price
            mrr_by_plan[state.terms.plan] += state.price
            seats_change += state.seats - seats
            price, plan, seats = state.price, state.terms.plan, state.seats
            staying_change -= staying
            staying = 0 if state.is_canceled else price
            changes[day] = _DayChange(mrr_by_plan, seats_change, staying_change + staying)
    return changes


def _reasons(states_by_subscription: Iterable[Iterable[State]], calendar: Calendar) -> dict[date, str]:
    """Return the reason of the last cancellation or pause that took effect on each day."""
    stops = [state for states in states_by_subscription for state in states if state.reason is not None]
    stops.sort(key=lambda stop: (stop.since, stop.event_key))
    return {calendar.day(stop.since): stop.reason or "" for stop in stops}


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
