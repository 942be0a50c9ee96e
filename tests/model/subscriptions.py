"""Subscriptions by docs/metrics.md: what an account pays at the end of each day, and its movements."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

from tests.model.calendar import DAY, Calendar

BASE_CURRENCY = "USD"
PAYMENTS_PER_YEAR = {"week": 52, "month": 12, "quarter": 4, "year": 1}
END_OF_TIME = datetime.max.replace(tzinfo=UTC)
# The order of events at one instant. After it, ids decide.
ORDER = ("changed", "resumed", "paused", "canceled")


class Price(NamedTuple):
    """What a subscription costs per year from an instant on, also while nobody pays it."""

    since: datetime
    per_year: Fraction
    currency: str
    rate: Fraction
    plan: str | None
    seats: int


class Turn(NamedTuple):
    """What becomes of a subscription at an instant: it `runs`, `rests` or is `over`. reason: why it rests or is over.

    number: of the event, in the order in which they occurred.
    """

    since: datetime
    event_key: tuple[datetime, str]
    state: str
    number: int
    reason: str | None = None


class Renewal(NamedTuple):
    """A change that is scheduled after a cancellation; price: what it costs if there was a gap."""

    number: int
    event_key: tuple[datetime, str]
    price: Price


class Notice(NamedTuple):
    """Whether a subscription is canceled, from an instant on."""

    since: datetime
    is_canceled: bool


class Step(NamedTuple):
    """A subscription from an instant on, until its next step."""

    at: datetime
    price: Price
    is_running: bool
    is_canceled: bool


class Movement(NamedTuple):
    """The net change of an account's MRR on one day. kind: new, reactivated, expansion, contraction or churned."""

    day: date
    kind: str
    amount: Fraction
    reason: str | None = None


class Subscription:
    """One subscription: three lists, each in the order of time, which also say what is scheduled for the future."""

    def __init__(self, events: Iterable[Any], calendar: Calendar) -> None:
        self.calendar = calendar
        self.prices: list[Price] = []
        self.turns: list[Turn] = []
        self.notices: list[Notice] = []
        self.renewals: list[Renewal] = []
        self.now = datetime.min.replace(tzinfo=UTC)
        for self.number, event in enumerate(events):
            self._settle(event.at)
            getattr(self, f"_{event.type.partition('.')[2]}")(event, (event.at, event.id))
        self._settle(END_OF_TIME)
        self.steps = list(self._steps())

    def _settle(self, now: datetime) -> None:
        """Let what was scheduled come. An end withdraws everything that was scheduled before its cancellation for after it."""
        for start in [turn for turn in self.turns if turn.state == "runs" and self.now < turn.since <= now]:
            self.notices.append(Notice(start.since, bool(self._scheduled("over"))))
        for end in [turn for turn in self.turns if turn.state == "over" and self.now < turn.since <= now]:
            self._cut(end.since)
            self.turns.remove(end)
            if self._is_alive(end.since):
                self._add_turn(end)
            self.notices.append(Notice(end.since, False))
            for renewal in self.renewals:
                if renewal.number > end.number and renewal.price.since >= end.since:
                    self._renew(renewal, at_once=renewal.price.since == end.since)
        self.now = now

    def _renew(self, renewal: Renewal, *, at_once: bool) -> None:
        """Let a subscription start again that has ended. Without a gap it keeps its exchange rate."""
        if not (at_once and any(price.since == renewal.price.since for price in self.prices)):
            self.prices.append(renewal.price)
        self.turns = [turn for turn in self.turns if turn.number != renewal.number]
        self._add_turn(Turn(renewal.price.since, renewal.event_key, "runs", renewal.number))

    def _cut(self, after: datetime) -> None:
        """Forget what the events say about the time after an instant."""
        self.prices = [price for price in self.prices if price.since <= after]
        self.turns = [turn for turn in self.turns if turn.since <= after]
        self.notices = [notice for notice in self.notices if notice.since <= after]

    def _add_turn(self, turn: Turn) -> None:
        """Add a turn. At the same instant, that of the later event comes later."""
        self.turns = sorted([*self.turns, turn], key=lambda t: (t.since, t.number))

    def _start(self, at: datetime, key: tuple[datetime, str]) -> None:
        """Let the subscription run from an instant on, whatever else begins or ends at this instant."""
        self.turns = [turn for turn in self.turns if turn.since != at or turn.since > self.now]
        self._add_turn(Turn(at, key, "runs", self.number))

    def _state(self, at: datetime) -> str:
        return ["", *(turn.state for turn in self.turns if turn.since <= at)][-1]

    def _is_alive(self, at: datetime) -> bool:
        return self._state(at) in ("runs", "rests")

    def _scheduled(self, state: str) -> list[Turn]:
        return [turn for turn in self.turns if turn.state == state and turn.since > self.now]

    def _changed(self, event: Any, key: tuple[datetime, str]) -> None:
        at = datetime.fromisoformat(event.data.get("effective_at", event.at.isoformat()))
        is_alive, ends = self._is_alive(event.at), self._scheduled("over")
        earlier = [price for price in self.prices if price.since <= min(at, event.at)]
        scheduled = [price for price in self.prices if price.since > event.at]
        # A change at the instant of the end follows without a gap.
        ends_now = at <= event.at and any(turn.since == at and turn.state == "over" for turn in self.turns)
        keeps_rate = bool(earlier) and (ends_now or self._is_alive(min(at, event.at)))
        new = _price(event, at, (earlier or scheduled)[-1:], keeps_rate=keeps_rate)
        self.prices = [price for price in earlier if price.since < at] + [new]
        self.turns = [turn for turn in self.turns if turn not in self._scheduled("runs")]
        fresh = _price(event, at, (earlier or scheduled)[-1:], keeps_rate=False)
        self.renewals = [Renewal(self.number, key, fresh)] if at > event.at else []
        if at > event.at and not is_alive:
            self._start(at, key)
        elif at <= event.at and not is_alive:
            self._cut(at)
            self._start(at, key)
            self.turns += ends
            self.notices.append(Notice(at, bool(ends)))
        elif at <= event.at and not self._is_alive(at):
            self._start(at, key)

    def _canceled(self, event: Any, key: tuple[datetime, str]) -> None:
        at = event.at
        if "ends_at" in event.data:
            at = datetime.fromisoformat(event.data["ends_at"])
        elif "paid_through" in event.data:
            at = self.calendar.midnight(date.fromisoformat(event.data["paid_through"]) + DAY)
        end = Turn(at, key, "over", self.number, event.data.get("reason"))
        if at <= event.at:
            self._cut(at)
            self.renewals = []
            if self._is_alive(at):
                self._add_turn(end)
            self.notices.append(Notice(at, False))
        elif self._is_alive(event.at) or self._scheduled("runs"):
            self.turns = [turn for turn in self.turns if turn not in self._scheduled("over")]
            self._add_turn(end)
            if self._is_alive(event.at):
                self.notices.append(Notice(event.at, True))

    def _paused(self, event: Any, key: tuple[datetime, str]) -> None:
        if self._state(event.at) == "runs":
            self._add_turn(Turn(event.at, key, "rests", self.number, event.data.get("reason", "paused")))

    def _resumed(self, event: Any, key: tuple[datetime, str]) -> None:
        self.turns = [turn for turn in self.turns if turn not in self._scheduled("over")]
        self.notices.append(Notice(event.at, False))
        if self._state(event.at) in ("rests", "over"):
            # What was scheduled as a start is a change of a subscription that runs by then.
            self.turns = [turn for turn in self.turns if turn not in self._scheduled("runs")]
            self._start(event.at, key)

    def _steps(self) -> Iterable[Step]:
        for at in sorted({item.since for item in (*self.prices, *self.turns, *self.notices)}):
            prices = [price for price in self.prices if price.since <= at]
            notices = [notice for notice in self.notices if notice.since <= at]
            if prices:
                is_canceled = bool(notices) and notices[-1].is_canceled
                yield Step(at, prices[-1], self._state(at) == "runs", is_canceled)


class Money:
    """An account's subscriptions, as its events describe them."""

    def __init__(self, events: Iterable[Any], calendar: Calendar) -> None:
        self.calendar = calendar
        events_by_id = defaultdict(list)
        for event in sorted(events, key=lambda e: (e.at, ORDER.index(e.type.partition(".")[2]), e.id)):
            events_by_id[event.data["subscription_id"]].append(event)
        self.subscriptions = [Subscription(events, calendar) for events in events_by_id.values()]
        self.current, self.mrr = cache(self._current), cache(self._mrr)
        self.movements = list(self._movements())

    def _current(self, day: date) -> list[Step]:
        """Return the step of each subscription that is running at the start of a day."""
        earlier = (
            [step for step in subscription.steps if self.calendar.day(step.at) < day]
            for subscription in self.subscriptions
        )
        return [steps[-1] for steps in earlier if steps and steps[-1].is_running]

    def _mrr(self, day: date) -> Fraction:
        return sum((step.price.per_year for step in self.current(day)), Fraction(0)) / 12

    def is_staying(self, day: date) -> bool:
        """Return whether the account pays at the start of a day for something that is not canceled."""
        return any(step.price.per_year and not step.is_canceled for step in self.current(day))

    def by_plan(self, day: date) -> dict[str | None, Fraction]:
        plans: dict[str | None, Fraction] = defaultdict(Fraction)
        for step in self.current(day):
            plans[step.price.plan] += step.price.per_year / 12
        return plans

    def seats(self, day: date) -> int:
        return sum(step.price.seats for step in self.current(day))

    def _movements(self) -> Iterable[Movement]:
        days = sorted(
            {self.calendar.day(step.at) for subscription in self.subscriptions for step in subscription.steps}
        )
        was_customer = False
        for day in days:
            before, after = self.mrr(day), self.mrr(day + DAY)
            if before == 0 < after:
                yield Movement(day, "reactivated" if was_customer else "new", after)
            elif after == 0 < before:
                yield Movement(day, "churned", before, self._reason(day))
            elif before != after:
                yield Movement(day, "expansion" if before < after else "contraction", abs(after - before))
            was_customer = was_customer or after > 0

    def _reason(self, day: date) -> str | None:
        """Return the reason of the last cancellation or pause that took effect on a day."""
        turns = [turn for subscription in self.subscriptions for turn in _last_of_instants(subscription.turns)]
        stops = [turn for turn in turns if turn.state != "runs" and self.calendar.day(turn.since) == day]
        return max(stops, key=lambda turn: (turn.since, turn.event_key)).reason if stops else None


def _last_of_instants(turns: Iterable[Turn]) -> Iterable[Turn]:
    return {turn.since: turn for turn in turns}.values()


def _price(event: Any, at: datetime, before: list[Price], *, keeps_rate: bool) -> Price:
    """Return the price of a change. before: the price that it follows, of which it keeps what it does not name."""
    data, currency = event.data, event.data.get("currency", BASE_CURRENCY)
    follows = keeps_rate and before[0].per_year > 0 and before[0].currency == currency
    rate = before[0].rate if follows else event.rate
    if "mrr" in data:
        per_year = 12 * Fraction(data["mrr"])
    else:
        per_year = Fraction(data["amount"]) * PAYMENTS_PER_YEAR[data["interval"]] / data.get("interval_count", 1)
    plan, seats = (before[0].plan, before[0].seats) if before else (None, 0)
    # Rounded once, at the end.
    return Price(at, half_up(per_year * rate, 4), currency, rate, data.get("plan", plan), data.get("seats", seats))


def half_up(number: Fraction, digits: int) -> Fraction:
    """Return a number rounded to some digits; halves are rounded away from zero."""
    steps = (abs(number) * 10**digits + Fraction(1, 2)) // 1
    return Fraction(steps if number >= 0 else -steps, 10**digits)


def amount(number: Fraction) -> str:
    """Return money as text with two decimals."""
    cents = int(half_up(number, 2) * 100)
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
