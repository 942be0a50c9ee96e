"""What happens to an account over time: trials, changes of seats and plan, silence, churn and return."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import inf
from random import Random

from app.demo.accounts import RELEASE_LEAVERS, SEATS, DemoAccount
from app.demo.timeline import (
    BAD_RELEASE,
    ONBOARDING_OVERHAUL,
    PRICE_RISE,
    RELEASE_FIX,
    RESOLD_LOSS,
    ROUTE_PLANNER,
    Timeline,
    add_months,
)

# Probabilities per month, by plan.
CHURN_RATES = {"starter": 0.018, "growth": 0.016, "enterprise": 0.01}
# Of accounts for which mobile sync stays broken, from two months after the bad release on.
BROKEN_SYNC_CHURN_RATE = 0.065
EXPANSION_RATES = {"starter": 0.03, "growth": 0.055, "enterprise": 0.06}
CHURN_REASONS = ("no_longer_needed", "no_longer_needed", "competitor", "product", "budget", "budget", "closed_down")
BROKEN_SYNC_REASONS = ("product", "product", "product", "competitor", "budget")
# Of customers on each plan, the share that ever plans routes, and how much less these churn.
ROUTE_PLANNING_SHARES = {"starter": 0.0, "growth": 0.6, "enterprise": 0.7}
ROUTE_PLANNING_CHURN, OTHER_CHURN = 0.35, 2.0


@dataclass(frozen=True, slots=True)
class SubscriptionStep:
    """What an account pays for from `day` on. cause: start, seats, fewer, upgrade, price or return."""

    day: date
    plan: str
    seats: int
    new_price: bool
    cause: str


@dataclass(frozen=True, slots=True)
class DemoTrial:
    """A trial of a plan, by a prospect or by a customer on a smaller plan."""

    plan: str
    started_on: date
    decided_on: date
    is_converted: bool


@dataclass(slots=True)
class Lifecycle:
    """An account and what happens to it.

    churned_on: the first day that is not paid for. returned_on: the first paid day after that. silent_from: the day from which
    its users stay away before it churns, if they do. cooling_from: the day from which they use the
    product less and less, if they do. route_planner_at: the position from which it plans routes.
    """

    account: DemoAccount
    steps: list[SubscriptionStep] = field(default_factory=list)
    trials: list[DemoTrial] = field(default_factory=list)
    churned_on: date | None = None
    churn_reason: str | None = None
    silent_from: date | None = None
    returned_on: date | None = None
    cooling_from: date | None = None
    route_planner_at: float = inf

    def access_periods(self, last_day: date) -> list[tuple[date, date]]:
        """Return the one or two periods with access, as (start, end) with the end excluded: trial and paid time."""
        after_end = last_day + timedelta(days=1)
        end = self.churned_on or (after_end if self.steps else self._trial_end())
        periods = [(self.account.joined_on, min(end, after_end))]
        return [*periods, (self.returned_on, after_end)] if self.returned_on else periods

    def _trial_end(self) -> date:
        """Return the first day without access of an account that never paid."""
        return self.trials[0].decided_on + timedelta(days=4) if self.trials else self.account.joined_on

    def plans_routes_at(self, position: float) -> bool:
        """Return whether it uses the route planner at a position of the story."""
        return position >= self.route_planner_at

    def warmth_on(self, day: date) -> float:
        """Return 1.0, or less while the account cools down before it churns, to 0.0 on the last day."""
        if not self.cooling_from or not self.churned_on or not self.cooling_from <= day < self.churned_on:
            return 1.0
        return (self.churned_on - day).days / (self.churned_on - self.cooling_from).days

    def is_silent_on(self, day: date) -> bool:
        """Return whether the users of an account that is about to churn stay away on a day."""
        return bool(self.silent_from and self.churned_on and self.silent_from <= day < self.churned_on)

    def step_on(self, day: date) -> SubscriptionStep | None:
        """Return what the account pays for on a day; None when it pays nothing."""
        if self.churned_on and self.churned_on <= day and not (self.returned_on and self.returned_on <= day):
            return None
        return next((step for step in reversed(self.steps) if step.day <= day), None)


def simulate_lifecycle(account: DemoAccount, *, timeline: Timeline, rng: Random) -> Lifecycle:
    """Return what happens to an account up to the end of the current month."""
    lifecycle = Lifecycle(account)
    if account.has_trial:
        decided_on = account.won_on or account.joined_on + timedelta(days=rng.choice((14, 14, 21, 30)))
        lifecycle.trials.append(DemoTrial(account.plan, account.joined_on, decided_on, account.won_on is not None))
    if account.won_on is None:
        return lifecycle
    lifecycle.route_planner_at = _choose_route_planning(account, timeline.position(account.won_on), rng)
    if account.role == "resold":
        lifecycle.steps += _resold_steps(account, account.won_on, timeline)
        return lifecycle
    if account.role == "whale":
        lifecycle.steps += _whale_steps(account, timeline)
        return lifecycle
    if account.role == "fading":
        _let_fade(lifecycle, account.won_on, timeline)
        return lifecycle
    _simulate_months(lifecycle, account.won_on, timeline, rng)
    if account.role in RELEASE_LEAVERS:
        _churn_for_the_release(lifecycle, timeline, rng)
    if lifecycle.churned_on:
        _add_silence_and_return(lifecycle, lifecycle.churned_on, timeline, rng)
    return lifecycle


def _choose_route_planning(account: DemoAccount, won_at: float, rng: Random) -> float:
    """Return the position from which an account plans routes: some weeks after the launch, or after it was won."""
    roll, start, delay = rng.random(), 9 * rng.random(), 0.5 + rng.random()
    if account.role == "whale":
        return ROUTE_PLANNER + 0.3
    share = 0.0 if account.role == "fading" else ROUTE_PLANNING_SHARES[account.plan]
    return max(ROUTE_PLANNER + 0.05 + start, won_at + delay) if roll < share else inf


def _resold_steps(account: DemoAccount, won_on: date, timeline: Timeline) -> Iterator[SubscriptionStep]:
    """Yield the steps of an account that a partner resells: it gives up nearly half of its seats."""
    yield SubscriptionStep(won_on, account.plan, account.seats, False, "start")
    fewer_on = timeline.day_at(RESOLD_LOSS + account.number % 5 / 4)
    yield SubscriptionStep(fewer_on, account.plan, account.seats - 17, False, "fewer")


def _whale_steps(account: DemoAccount, timeline: Timeline) -> Iterator[SubscriptionStep]:
    """Yield the steps of the largest account: it grows, shrinks after the bad release, and grows again."""
    yield SubscriptionStep(account.joined_on, account.plan, account.seats, False, "start")
    changes = ((5.4, 165, "seats"), (10.5, 105, "fewer"), (13.5, 185, "seats"), (19.3, 205, "seats"))
    for position, seats, cause in changes:
        yield SubscriptionStep(timeline.day_at(position), account.plan, seats, False, cause)


def _let_fade(lifecycle: Lifecycle, won_on: date, timeline: Timeline) -> None:
    """Let an account grow, give up seats and use the product less and less, until it churns early next month."""
    account = lifecycle.account
    lifecycle.churned_on, lifecycle.churn_reason = add_months(won_on, timeline.months + 1), "competitor"
    lifecycle.silent_from = lifecycle.churned_on - timedelta(days=55)
    lifecycle.steps.append(SubscriptionStep(won_on, account.plan, account.seats, False, "start"))
    changes = (
        (timeline.day_at(6.2), 29, "seats"),
        (timeline.day_at(15.2), 36, "seats"),
        (lifecycle.silent_from + timedelta(days=9), 27, "fewer"),
    )
    # In a demo of few months, some of them would be before the start.
    lifecycle.steps += [
        SubscriptionStep(day, account.plan, seats, False, cause)
        for day, seats, cause in sorted(changes)
        if day > won_on + timedelta(days=7)
    ]


def _simulate_months(lifecycle: Lifecycle, won_on: date, timeline: Timeline, rng: Random) -> None:
    """Add the steps of each month from the first paid day on. At the end of a term the account may churn."""
    account = lifecycle.account
    step = SubscriptionStep(won_on, account.plan, account.seats, timeline.position(won_on) >= PRICE_RISE, "start")
    lifecycle.steps.append(step)
    month = 1
    while (day := add_months(won_on, month)) <= timeline.last_day:
        position = timeline.position(day)
        if month % account.term == 0:
            lifecycle.churn_reason = _choose_churn_reason(lifecycle, step.plan, month, position, rng)
            if lifecycle.churn_reason:
                lifecycle.churned_on = day
                return
        if position >= PRICE_RISE and not step.new_price and (account.term < 12 or month % 12 == 0):
            step = SubscriptionStep(day, step.plan, step.seats, True, "price")
            lifecycle.steps.append(step)
        change = _choose_change(lifecycle, step, day + timedelta(days=rng.randint(2, 25)), month, position, rng)
        if change:
            step = change
            lifecycle.steps.append(step)
        month += 1


def _choose_churn_reason(lifecycle: Lifecycle, plan: str, month: int, position: float, rng: Random) -> str | None:
    """Return why the account churns at the end of this term, or None when it stays."""
    account, roll, reason = lifecycle.account, rng.random(), rng.choice(CHURN_REASONS)
    if account.role == "early_leaver":
        return "product"
    if account.role in RELEASE_LEAVERS:
        return None
    # Accounts with a yearly contract churn less than twelve times as often as those with a monthly one.
    terms = min(account.term, 8)
    if account.is_hit_by_sync and position >= BAD_RELEASE + 2:
        return rng.choice(BROKEN_SYNC_REASONS) if roll < BROKEN_SYNC_CHURN_RATE * terms else None
    # Who leaves mostly does so in the first half-year.
    chance = CHURN_RATES[plan] * terms * (1.8 if month <= 6 else 0.9)
    if plan != "starter" and position >= ROUTE_PLANNER + 2:
        chance *= ROUTE_PLANNING_CHURN if lifecycle.plans_routes_at(position) else OTHER_CHURN
    if plan == "starter" and PRICE_RISE + 1 <= position < PRICE_RISE + 3 and account.number % 4 == 0:
        return "price"
    return reason if roll < chance else None


def _choose_change(
    lifecycle: Lifecycle, step: SubscriptionStep, day: date, month: int, position: float, rng: Random
) -> SubscriptionStep | None:
    """Return a step to more seats, fewer seats or a larger plan from a day on, or None.

    A starter account tries the larger plan first, which adds a trial to the lifecycle.
    """
    roll, size = rng.random(), rng.random()
    is_broken = position >= BAD_RELEASE and (position < RELEASE_FIX or lifecycle.account.is_hit_by_sync)
    if step.plan == "starter" and month >= 3 and roll > 0.955 and not lifecycle.account.is_hit_by_sync:
        is_converted = size < (0.25 if position < ONBOARDING_OVERHAUL else 0.5)
        lifecycle.trials.append(DemoTrial("growth", day - timedelta(days=14), day, is_converted))
        seats = max(step.seats, SEATS["growth"][0])
        return SubscriptionStep(day, "growth", seats, step.new_price, "upgrade") if is_converted else None
    if step.plan == "growth" and month >= 6 and roll > 0.99:
        seats = max(step.seats, SEATS["enterprise"][0])
        return SubscriptionStep(day, "enterprise", seats, step.new_price, "upgrade")
    seat_change = max(1, int(step.seats * (0.1 + size * 0.2)))
    if roll < EXPANSION_RATES[step.plan] * (0.4 if is_broken else 1.0):
        return SubscriptionStep(day, step.plan, step.seats + seat_change, step.new_price, "seats")
    if 0.5 < roll < (0.54 if is_broken else 0.518) and step.seats > 5:
        return SubscriptionStep(day, step.plan, step.seats - seat_change, step.new_price, "fewer")
    return None


def _churn_for_the_release(lifecycle: Lifecycle, timeline: Timeline, rng: Random) -> None:
    """Let an account churn two months after the bad release, and drop what would have happened later."""
    churned_on = timeline.day_at(10.05 + rng.random() * 0.85)
    lifecycle.churned_on, lifecycle.churn_reason = churned_on, "product"
    lifecycle.steps = [step for step in lifecycle.steps if step.day < churned_on]
    lifecycle.trials = [trial for trial in lifecycle.trials if trial.decided_on < churned_on]


def _add_silence_and_return(lifecycle: Lifecycle, churned_on: date, timeline: Timeline, rng: Random) -> None:
    """Let two of three accounts fall silent before they churn, and some return; returners always do."""
    account = lifecycle.account
    silent_from = churned_on - timedelta(days=rng.randint(24, 48))
    is_active_to_the_end = rng.random() < 0.35
    lifecycle.silent_from = None if is_active_to_the_end else max(silent_from, account.joined_on + timedelta(days=7))
    # Who closes down or has to save money had no quarrel with the product.
    if rng.random() < (0.45 if lifecycle.churn_reason in ("closed_down", "budget") else 0.95):
        cooling_from = churned_on - timedelta(days=rng.randint(95, 165))
        lifecycle.cooling_from = max(cooling_from, account.joined_on + timedelta(days=7))
    returned_on = None
    if account.role in RELEASE_LEAVERS:
        if account.role == "returner":
            returned_on = timeline.day_at(15.1 + rng.random() * 0.8)
    elif rng.random() < 0.2 and lifecycle.churn_reason != "closed_down":
        returned_on = add_months(churned_on, rng.randint(3, 5))
    if returned_on and churned_on < returned_on <= timeline.last_day and account.role != "early_leaver":
        last = lifecycle.steps[-1]
        new_price = timeline.position(returned_on) >= PRICE_RISE
        lifecycle.returned_on = returned_on
        seats = max(3, last.seats * 3 // 4)
        lifecycle.steps.append(SubscriptionStep(returned_on, last.plan, seats, new_price, "return"))
