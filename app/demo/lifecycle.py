"""What becomes of the accounts: seats and plans over time, trials, silence, leaving and coming back."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from app.demo.company import LET_DOWN, SEATS, Account
from app.demo.timeline import BAD_RELEASE, OVERHAUL, PRICE_RISE, RELEASE_IS_MENDED, Timeline, add_months

LEAVING_A_MONTH = {"starter": 0.026, "growth": 0.015, "enterprise": 0.007}
GROWING_A_MONTH = {"starter": 0.03, "growth": 0.055, "enterprise": 0.06}
REASONS = ("no_longer_needed", "competitor", "product", "budget", "closed_down")


@dataclass(frozen=True, slots=True)
class Step:
    """What is paid for from `day` on. cause: start, seats, fewer, upgrade, price or return."""

    day: date
    plan: str
    seats: int
    new_price: bool
    cause: str


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial of `plan`, of a prospect or of a customer on a smaller plan."""

    plan: str
    started: date
    decided: date
    converted: bool


@dataclass(slots=True)
class Life:
    """An account and what becomes of it.

    leaves: the first day that is not paid any more; returns: the first one that is again; silent_from: when its people
    stop coming, if they do so before it leaves.
    """

    account: Account
    steps: list[Step] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    leaves: date | None = None
    reason: str | None = None
    silent_from: date | None = None
    returns: date | None = None

    def spells(self, end: date) -> list[tuple[date, date]]:
        """The days with access, as (first, first one without): trial and paid time until it leaves, and once more."""
        over = end + timedelta(days=1)
        first = self.leaves or (over if self.steps else self.trials[0].decided + timedelta(days=4))
        spells = [(self.account.joined, min(first, over))]
        return [*spells, (self.returns, over)] if self.returns else spells

    def silent_on(self, day: date) -> bool:
        """Whether nobody of an account that is about to leave is heard of on `day`."""
        return bool(self.silent_from and self.leaves and self.silent_from <= day < self.leaves)

    def step_on(self, day: date) -> Step | None:
        """What is paid for on `day`."""
        if self.leaves and self.leaves <= day and not (self.returns and self.returns <= day):
            return None
        return next((step for step in reversed(self.steps) if step.day <= day), None)


def fate(account: Account, *, timeline: Timeline, rng: Random) -> Life:
    """The whole life of an account, to the end of the running month."""
    life = Life(account)
    if account.by_trial:
        decided = account.won or account.joined + timedelta(days=rng.choice((14, 21)))
        life.trials.append(Trial(account.plan, account.joined, decided, account.won is not None))
    if account.won is None:
        return life
    if account.part == "whale":
        life.steps += _whale(account, timeline)
        return life
    _live(life, account.won, timeline, rng)
    if account.part in LET_DOWN:
        _walk_out(life, timeline, rng)
    if life.leaves:
        _say_goodbye(life, life.leaves, timeline, rng)
    return life


def _whale(account: Account, timeline: Timeline) -> Iterator[Step]:
    """It grows, is let down by the bad release, all but leaves, and is won back."""
    yield Step(account.joined, account.plan, account.seats, False, "start")
    turns = ((5.4, 400, "seats"), (10.5, 240, "fewer"), (13.5, 420, "seats"), (19.3, 480, "seats"))
    for position, seats, cause in turns:
        yield Step(timeline.day_at(position), account.plan, seats, False, cause)


def _live(life: Life, won: date, timeline: Timeline, rng: Random) -> None:
    """Month by month from the first paid day: at the end of a term it leaves or goes on, in between it may change."""
    account = life.account
    step = Step(won, account.plan, account.seats, timeline.position(won) >= PRICE_RISE, "start")
    life.steps.append(step)
    month = 1
    while (day := add_months(won, month)) <= timeline.end:
        position = timeline.position(day)
        if month % account.term == 0:
            life.reason = _reason_to_leave(account, step.plan, position, rng)
            if life.reason:
                life.leaves = day
                return
        if position >= PRICE_RISE and not step.new_price and (account.term < 12 or month % 12 == 0):
            step = Step(day, step.plan, step.seats, True, "price")
            life.steps.append(step)
        changed = _change(life, step, day + timedelta(days=rng.randint(2, 25)), month, position, rng)
        if changed:
            step = changed
            life.steps.append(step)
        month += 1


def _reason_to_leave(account: Account, plan: str, position: float, rng: Random) -> str | None:
    """Why it leaves at the end of this term, or None."""
    roll, reason = rng.random(), rng.choice(REASONS)
    if account.part == "early_leaver":
        return "product"
    if account.part in LET_DOWN:
        return None
    # Who commits for a year is less likely to leave than twelve months make it.
    chance = LEAVING_A_MONTH[plan] * min(account.term, 6)
    if position >= OVERHAUL:
        chance *= 0.75
    if plan == "starter" and PRICE_RISE + 1 <= position < PRICE_RISE + 3 and account.number % 3 == 0:
        return "price"
    return reason if roll < chance else None


def _change(life: Life, step: Step, day: date, month: int, position: float, rng: Random) -> Step | None:
    """More seats, fewer, or a larger plan, from `day` on; a starter tries the larger plan first."""
    roll, size = rng.random(), rng.random()
    upset = BAD_RELEASE <= position < RELEASE_IS_MENDED
    if step.plan == "starter" and month >= 3 and roll > 0.93 and life.account.part not in LET_DOWN:
        converted = size < (0.25 if position < OVERHAUL else 0.6)
        life.trials.append(Trial("growth", day - timedelta(days=14), day, converted))
        seats = max(step.seats, SEATS["growth"][0])
        return Step(day, "growth", seats, step.new_price, "upgrade") if converted else None
    if step.plan == "growth" and month >= 6 and roll > 0.99:
        return Step(day, "enterprise", max(step.seats, SEATS["enterprise"][0]), step.new_price, "upgrade")
    if roll < GROWING_A_MONTH[step.plan] * (0.4 if upset else 1.0):
        return Step(day, step.plan, step.seats + max(1, int(step.seats * (0.1 + size * 0.2))), step.new_price, "seats")
    if 0.5 < roll < (0.54 if upset else 0.512) and step.seats > 5:
        return Step(day, step.plan, step.seats - max(1, int(step.seats * (0.1 + size * 0.2))), step.new_price, "fewer")
    return None


def _walk_out(life: Life, timeline: Timeline, rng: Random) -> None:
    """Two months after the bad release they have had enough."""
    leaves = timeline.day_at(10.05 + rng.random() * 0.85)
    life.leaves, life.reason = leaves, "product"
    life.steps = [step for step in life.steps if step.day < leaves]
    life.trials = [trial for trial in life.trials if trial.decided < leaves]


def _say_goodbye(life: Life, leaves: date, timeline: Timeline, rng: Random) -> None:
    """Two of three fall silent first; a few come back, more of those whom the bad release drove away."""
    silent = leaves - timedelta(days=rng.randint(24, 48))
    loud = rng.random() < 0.35
    life.silent_from = None if loud else max(silent, life.account.joined + timedelta(days=7))
    if life.account.part in LET_DOWN:
        returns = timeline.day_at(15.1 + rng.random() * 0.8) if life.account.part == "returner" else None
    else:
        returns = add_months(leaves, rng.randint(3, 5)) if rng.random() < 0.2 and life.reason != "closed_down" else None
    if returns and leaves < returns <= timeline.end and life.account.part != "early_leaver":
        last = life.steps[-1]
        new_price = timeline.position(returns) >= PRICE_RISE
        life.returns = returns
        life.steps.append(Step(returns, last.plan, max(3, last.seats * 3 // 4), new_price, "return"))
