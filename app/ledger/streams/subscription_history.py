"""The history of one subscription: what it costs, and whether it runs, from each instant on.

Events come in the order in which they occurred. Some say what will be: a change with `effective_at`, a cancellation with
`ends_at` or `paid_through`. That is scheduled: it waits until its time has come, or until a later event withdraws it.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from fractions import Fraction
from typing import Any, NamedTuple

from app.core.periods import Calendar
from app.ledger.money import in_base_currency
from app.ledger.streams.define import StreamEvent

CHANGED, CANCELED = "subscription.changed", "subscription.canceled"
PAUSED, RESUMED = "subscription.paused", "subscription.resumed"
# The reason of a pause that gives none.
PAUSE = "paused"

_PAYMENTS_PER_YEAR = {"week": 52, "month": 12, "quarter": 4, "year": 1}
_DAY = timedelta(days=1)
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)

# Instant and id of the event that something comes from.
EventKey = tuple[datetime, str]


class Status(Enum):
    """Whether a subscription runs. Only then it has MRR and seats."""

    RUNNING = auto()
    PAUSED = auto()
    OVER = auto()


class Terms(NamedTuple):
    """What a subscription costs per year while it runs, in ledger units, its plan and its seats.

    rate: the exchange rate of the day on which the price became positive or changed its currency, so that exchange rates cause
    no movements.
    """

    price: int
    plan: str
    seats: int
    currency: str | None
    rate: Decimal | None


class State(NamedTuple):
    """A subscription from an instant until its next state.

    terms: of a subscription that has ended, those that it would start again with. is_canceled: whether it runs up to an end
    that is known. reason: why a pause or an end begins; None for all other states.
    """

    since: datetime
    event_key: EventKey
    terms: Terms
    status: Status = Status.RUNNING
    is_canceled: bool = False
    reason: str | None = None

    @property
    def price(self) -> int:
        return self.terms.price if self.status is Status.RUNNING else 0

    @property
    def seats(self) -> int:
        return self.terms.seats if self.status is Status.RUNNING else 0


class _ScheduledChange(NamedTuple):
    """Other terms from an instant in the future on; they may also start the subscription.

    terms_after_gap: those if the subscription does not run until then. survives_end: whether the end that is scheduled was
    known before the change, so that the change starts the subscription again when it comes at the end or later.
    """

    at: datetime
    event_key: EventKey
    terms: Terms
    terms_after_gap: Terms
    survives_end: bool


class _ScheduledEnd(NamedTuple):
    """An end in the future."""

    at: datetime
    event_key: EventKey
    reason: str


@dataclass(slots=True)
class SubscriptionHistory:
    """The states of one subscription in order, and what is scheduled for it."""

    calendar: Calendar
    states: list[State] = field(default_factory=list)
    _change: _ScheduledChange | None = None
    _end: _ScheduledEnd | None = None

    def apply(self, event: StreamEvent) -> None:
        """Apply the next event."""
        self._advance(event.at)
        apply_by_type = {
            CHANGED: self._apply_change,
            CANCELED: self._apply_cancellation,
            PAUSED: self._apply_pause,
            RESUMED: self._apply_resumption,
        }
        apply_by_type[event.type](event)

    def finish(self) -> list[State]:
        """Return all states, after the last event, also those in the future."""
        self._advance(_END_OF_TIME)
        return self.states

    @property
    def _is_alive(self) -> bool:
        """Whether the subscription runs or is paused."""
        return bool(self.states) and self.states[-1].status is not Status.OVER

    def _advance(self, until: datetime) -> None:
        """Let what is scheduled up to an instant take effect. An end withdraws the change that does not survive it.

        At the same instant, a change that survives the end comes after it, another one before it.
        """
        self._advance_change(until)
        if (end := self._end) is not None and end.at <= until:
            change = self._change if self._change and self._change.survives_end else None
            self._end_at(*end)
            self._change = change
            self._advance_change(until)

    def _advance_change(self, until: datetime) -> None:
        """Let a change take effect that is scheduled up to an instant and not for after the end."""
        change, end = self._change, self._end
        if change is None or change.at > until:
            return
        if end is None or change.at < end.at or (change.at == end.at and not change.survives_end):
            self._change = None
            has_gap = not self._is_alive and bool(self.states) and self.states[-1].since < change.at
            self._set_terms(change.at, change.event_key, change.terms_after_gap if has_gap else change.terms)

    def _apply_change(self, event: StreamEvent) -> None:
        """Change the terms from `effective_at` on. This withdraws a scheduled change, but no cancellation."""
        at = _instant(event.data.get("effective_at"), event.at)
        terms = self._new_terms(event, at)
        if at > event.at:
            terms_after_gap, survives_end = self._new_terms(event, at, has_gap=True), self._end is not None
            self._change = _ScheduledChange(at, _key(event), terms, terms_after_gap, survives_end)
        else:
            self._change = None
            self._set_terms(at, _key(event), terms)

    def _new_terms(self, event: StreamEvent, at: datetime, *, has_gap: bool = False) -> Terms:
        """Return the terms of a change that takes effect at an instant. What it leaves out stays as it was.

        has_gap: whether the subscription does not run until then, so that the exchange rate is a new one.
        """
        data, known_at = event.data, min(at, event.at)
        before = next((state for state in reversed(self.states) if state.since <= known_at), None)
        last = before.terms if before else self._change.terms if self._change else Terms(0, "", 0, None, None)
        currency, rate = data.get("currency"), event.rate
        # An end at the instant of the change leaves no gap.
        is_running = before is not None and (before.status is not Status.OVER or before.since == at)
        if is_running and not has_gap and last.price and last.currency == currency:
            rate = last.rate
        price = in_base_currency(data["mrr"] if "mrr" in data else data["amount"], rate, times=_payments_per_year(data))
        return Terms(price, data.get("plan", last.plan), data.get("seats", last.seats), currency, rate)

    def _set_terms(self, at: datetime, event_key: EventKey, terms: Terms) -> None:
        """Let terms hold from an instant on, also in the states after it. A paused subscription stays paused.

        A subscription that has ended, or has not begun, runs from this instant on.
        """
        is_alive, later = self._is_alive, list[State]()
        while self.states and self.states[-1].since > at:
            later.append(self.states.pop())
        if is_alive and self._is_alive:
            self._add(at, event_key, terms=terms)
        else:
            self._replace(State(at, event_key, terms, is_canceled=self._end is not None and not is_alive))
        if is_alive:
            self.states += [state._replace(terms=terms) for state in reversed(later)]

    def _apply_cancellation(self, event: StreamEvent) -> None:
        """Schedule an end, or end the subscription at once. An end in the past undoes what came after it."""
        at, reason = self._end_of(event), event.data.get("reason", "")
        if at <= event.at:
            self.states = [state for state in self.states if state.since <= at]
            self._end_at(at, _key(event), reason)
        elif self._is_alive or self._change:
            self._end = _ScheduledEnd(at, _key(event), reason)
            self._change = self._change and self._change._replace(survives_end=False)
            if self._is_alive:
                self._add(event.at, _key(event), is_canceled=True)

    def _end_of(self, event: StreamEvent) -> datetime:
        """Return the first instant that is not paid for."""
        if "paid_through" in event.data:
            return self.calendar.midnight(date.fromisoformat(event.data["paid_through"]) + _DAY)
        return _instant(event.data.get("ends_at"), event.at)

    def _end_at(self, at: datetime, event_key: EventKey, reason: str) -> None:
        """End the subscription unless it has ended."""
        self._change = self._end = None
        if self._is_alive:
            self._add(at, event_key, status=Status.OVER, is_canceled=False, reason=reason)

    def _apply_pause(self, event: StreamEvent) -> None:
        if self._is_alive and self.states[-1].status is Status.RUNNING:
            self._add(event.at, _key(event), status=Status.PAUSED, reason=event.data.get("reason", PAUSE))

    def _apply_resumption(self, event: StreamEvent) -> None:
        """Withdraw a cancellation, end a pause, or start the subscription again."""
        self._end = None
        if self.states and (self.states[-1].status is not Status.RUNNING or self.states[-1].is_canceled):
            self._add(event.at, _key(event), status=Status.RUNNING, is_canceled=False)

    def _add(self, at: datetime, event_key: EventKey, **differences: Any) -> None:
        """Add a state that differs from the last one."""
        last = self.states[-1]
        if last.since < at or "status" in differences:
            differences = {"event_key": event_key, "reason": None} | differences
        self._replace(last._replace(since=at, **differences))

    def _replace(self, state: State) -> None:
        """Add a state. Of several states at one instant only the last remains."""
        if self.states and self.states[-1].since == state.since:
            self.states.pop()
        self.states.append(state)


def _key(event: StreamEvent) -> EventKey:
    return event.at, event.id


def _instant(text: str | None, default: datetime) -> datetime:
    return default if text is None else datetime.fromisoformat(text)


def _payments_per_year(data: Any) -> Fraction:
    """Return how often the price of a change is paid in a year."""
    return Fraction(_PAYMENTS_PER_YEAR[data.get("interval", "month")], data.get("interval_count", 1))
