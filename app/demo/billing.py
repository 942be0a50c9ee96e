"""What accounts pay (subscriptions, renewals, add-ons) and what they cost."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random

from app.demo.events import DemoEvent, make_event
from app.demo.lifecycle import Lifecycle, SubscriptionStep
from app.demo.timeline import Timeline, add_months, days_between, opening_time, time_on, working_time

# Cents per seat and month.
PRICES = {
    "USD": {"starter": 3500, "growth": 5900, "enterprise": 9900},
    "EUR": {"starter": 3200, "growth": 5400, "enterprise": 9200},
    "GBP": {"starter": 2800, "growth": 4700, "enterprise": 7900},
}
# The new price as a percentage of the old one.
PRICE_RISES = {"starter": 112, "growth": 115, "enterprise": 108}
# By months of the term: `interval` and `interval_count`.
INTERVALS = {1: ("month", None), 3: ("quarter", None), 6: ("month", 6), 12: ("year", None)}
# Cents of a training day, a data import, a sensor kit and extra storage.
ADD_ONS = (95000, 42000, 28900, 12000)
MANAGER_SALARY = 210000


def monthly_cents(step: SubscriptionStep, *, currency: str, term: int) -> int:
    """Return the price per month: list price times seats, less 20% from 120 seats on, less 10% for yearly payment."""
    cents = PRICES[currency][step.plan] * step.seats
    if step.new_price:
        cents = cents * PRICE_RISES[step.plan] // 100
    if step.seats >= 120:
        cents = cents * 8 // 10
    return cents * 9 // 10 if term == 12 else cents


def format_cents(cents: int) -> str:
    """Return cents as the decimal string of the API: 120050 is "1200.50"."""
    return f"{cents // 100}.{cents % 100:02}"


def subscription_events(lifecycle: Lifecycle, *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """Yield `subscription.changed` at every step and `subscription.canceled`. A return starts a new subscription.

    That resold accounts have fewer seats is recorded late: the partner reports it on the 25th of the last whole month.
    """
    reported_on = timeline.first_of_month(timeline.months) + timedelta(days=24)
    account, number = lifecycle.account, 1
    for step in lifecycle.steps:
        if step.cause == "return":
            number += 1
        cents = monthly_cents(step, currency=account.currency, term=account.term)
        interval, interval_count = INTERVALS[account.term]
        # Some billing systems report the price per interval, others the MRR that they compute of it.
        price = {
            "amount": format_cents(cents * account.term),
            "interval": interval,
            "interval_count": interval_count,
        }
        event = make_event(
            "subscription.changed",
            opening_time(step.day, account.region),
            subscription_id=f"sub-{account.number:04}-{number}",
            currency=account.currency,
            plan=step.plan,
            seats=step.seats,
            **({"mrr": format_cents(cents)} if account.number % 9 == 0 else price),
        )
        is_late = account.role == "resold" and step.cause == "fewer"
        yield event | {"recorded_on": reported_on.isoformat()} if is_late else event
    if lifecycle.churned_on:
        yield _cancellation(lifecycle, lifecycle.churned_on, rng)


def _cancellation(lifecycle: Lifecycle, churned_on: date, rng: Random) -> DemoEvent:
    """Return the cancellation: up to a month before the paid time ends; after the bad release, at once.

    The account that fades gives no notice, so that it can still be saved while the demo shows it.
    """
    last_step = max(step.day for step in lifecycle.steps if step.day < churned_on)
    canceled_on = churned_on - timedelta(days=rng.choice((0, 0, 3, 9, 17, 28)))
    if lifecycle.account.term > 1:
        canceled_on = churned_on - timedelta(days=rng.randint(12, 40))
    if lifecycle.account.role in ("product_leaver", "fading"):
        canceled_on = churned_on
    canceled_on = min(churned_on, max(canceled_on, last_step + timedelta(days=1)))
    return make_event(
        "subscription.canceled",
        working_time(canceled_on, lifecycle.account.region, rng),
        subscription_id=f"sub-{lifecycle.account.number:04}-1",
        ends_at=time_on(churned_on, 0).isoformat() if canceled_on < churned_on else None,
        reason=lifecycle.churn_reason,
    )


def renewal_events(lifecycle: Lifecycle, *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """Yield `renewal.due` at the end of every term longer than a month, and its outcome, sometimes weeks later."""
    account = lifecycle.account
    if account.won_on is None or account.term == 1:
        return
    for number in range(1, 400):
        due_on = add_months(account.won_on, number * account.term)
        before = lifecycle.step_on(due_on - timedelta(days=1))
        if due_on > timeline.last_day or before is None or (lifecycle.churned_on and due_on > lifecycle.churned_on):
            return
        contract = {"contract_id": f"contract-{account.number:04}-{number}", "currency": account.currency}
        amount = monthly_cents(before, currency=account.currency, term=account.term) * account.term
        due_at = opening_time(due_on, account.region)
        yield make_event("renewal.due", due_at, amount=format_cents(amount), **contract)
        is_whale = account.role == "whale"
        is_late = is_whale or rng.random() < 0.15
        delay = 17 if is_whale else rng.randint(*((6, 25) if is_late else (0, 4)))
        decided_on = due_on + timedelta(days=delay)
        after = lifecycle.step_on(due_on)
        if after is None:
            yield make_event("renewal.declined", working_time(decided_on, account.region, rng), **contract)
            return
        amount = monthly_cents(after, currency=account.currency, term=account.term) * account.term
        decided_at = working_time(decided_on, account.region, rng)
        yield make_event("renewal.completed", decided_at, amount=format_cents(amount), **contract)


def purchase_events(lifecycle: Lifecycle, *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """Yield `purchase.completed` and, for one in twelve, `purchase.refunded`.

    Most accounts buy once or never, some again. The whale buys most, and its first order is refunded.
    """
    account, monthly_rate = lifecycle.account, rng.choice((0.0, 0.04, 0.08, 0.15, 0.4))
    if account.role == "whale":
        monthly_rate = 0.8
    elif account.plan == "starter":
        monthly_rate /= 2
    number = 0
    for start, end in lifecycle.access_periods(timeline.last_day):
        for day in days_between(max(start, account.won_on or end, timeline.first_day), end):
            if day.weekday() > 4 or rng.random() >= monthly_rate / 21:
                continue
            number += 1
            price = rng.choice(ADD_ONS)
            order = {"order_id": f"order-{account.number:04}-{number}", "currency": account.currency}
            completed_at = working_time(day, account.region, rng)
            yield make_event("purchase.completed", completed_at, amount=format_cents(price), **order)
            if rng.random() < 1 / 12 or (account.role == "whale" and number == 1):
                refunded_on, divisor = day + timedelta(days=rng.randint(3, 18)), rng.choice((1, 1, 2))
                refunded_at = working_time(refunded_on, account.region, rng)
                yield make_event("purchase.refunded", refunded_at, amount=format_cents(price // divisor), **order)


def account_cost_events(lifecycle: Lifecycle, *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """Yield `cost.recorded` of an account: a sales commission, and for enterprise accounts a visit each quarter."""
    account = lifecycle.account
    if account.won_on and account.won_on >= timeline.first_day and account.plan != "starter":
        cents = monthly_cents(lifecycle.steps[0], currency=account.currency, term=account.term) * 3 // 2
        at = working_time(account.won_on, account.region, rng)
        yield _cost_event(at, "acquisition", cents, account.currency)
    for number in range(2, timeline.months + 2, 3):
        day = timeline.first_of_month(number) + timedelta(days=rng.randint(3, 24))
        step = lifecycle.step_on(day)
        if step and step.plan == "enterprise":
            at, cents = working_time(day, account.region, rng), 60000 + 500 * rng.randint(0, 120)
            yield _cost_event(at, "retention", cents, account.currency)


def company_cost_events(*, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """Yield `cost.recorded` of the whole business at the end of each month: advertising and customer success salaries."""
    for number in range(1, timeline.months + 2):
        end = timeline.first_of_month(number + 1) - timedelta(days=1)
        growth, position = 1 + number / timeline.months, timeline.position(end)
        advertising = int(900000 * growth) + 1000 * rng.randint(0, 90)
        salaries = MANAGER_SALARY * (3 + (position >= 10) + (position >= 18))
        for category, cents in (("acquisition", advertising), ("retention", salaries)):
            yield _cost_event(time_on(end, 17 * 3600), category, cents, "USD")


def _cost_event(at: datetime, category: str, cents: int, currency: str) -> DemoEvent:
    return make_event("cost.recorded", at, category=category, amount=format_cents(cents), currency=currency)
