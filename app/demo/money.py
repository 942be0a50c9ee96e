"""What accounts pay: subscriptions, renewals, add-ons; and what they cost."""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

from app.demo.events import DemoEvent, event
from app.demo.lifecycle import Life, Step
from app.demo.timeline import Timeline, add_months, at_work, days, moment, opening

# Cents per seat and month. A rise of the list price is in hundredths.
PRICES = {
    "USD": {"starter": 1900, "growth": 3200, "enterprise": 4600},
    "EUR": {"starter": 1800, "growth": 3000, "enterprise": 4300},
    "GBP": {"starter": 1500, "growth": 2600, "enterprise": 3700},
}
RISE = {"starter": 112, "growth": 115, "enterprise": 108}
INTERVALS = {1: ("month", None), 3: ("quarter", None), 6: ("month", 6), 12: ("year", None)}
# Training day, data import, sensor kit, extra storage.
ADD_ONS = (95000, 42000, 28900, 12000)
SALARY_OF_CSM = 210000


def cents_a_month(step: Step, *, currency: str, term: int) -> int:
    """What a step costs a month: list price times seats, a fifth off for 200 seats, a tenth for paying by the year."""
    cents = PRICES[currency][step.plan] * step.seats
    if step.new_price:
        cents = cents * RISE[step.plan] // 100
    if step.seats >= 200:
        cents = cents * 8 // 10
    return cents * 9 // 10 if term == 12 else cents


def decimal(cents: int) -> str:
    """Cents as the decimal string that the API takes: 120050 is "1200.50"."""
    return f"{cents // 100}.{cents % 100:02}"


def subscriptions(life: Life, *, rng: Random) -> Iterator[DemoEvent]:
    """`subscription.changed` at every step and `subscription.canceled`; one that comes back gets a new subscription."""
    account, number = life.account, 1
    for step in life.steps:
        if step.cause == "return":
            number += 1
        cents = cents_a_month(step, currency=account.currency, term=account.term)
        interval, times = INTERVALS[account.term]
        # Some billing systems report the price, others the monthly value they make of it.
        price = {"amount": decimal(cents * account.term), "interval": interval, "interval_count": times}
        yield event(
            "subscription.changed",
            opening(step.day, account.region),
            subscription_id=f"sub-{account.number:04}-{number}",
            currency=account.currency,
            plan=step.plan,
            seats=step.seats,
            **({"mrr": decimal(cents)} if account.number % 9 == 0 else price),
        )
    if life.leaves:
        yield _cancellation(life, life.leaves, rng)


def _cancellation(life: Life, leaves: date, rng: Random) -> DemoEvent:
    """The click comes up to a month before the paid period ends; the let-down leave on the spot."""
    last = max(step.day for step in life.steps if step.day < leaves)
    click = leaves - timedelta(days=rng.choice((0, 0, 3, 9, 17, 28)))
    if life.account.term > 1:
        click = leaves - timedelta(days=rng.randint(12, 40))
    if life.account.part == "product_leaver":
        click = leaves
    click = min(leaves, max(click, last + timedelta(days=1)))
    return event(
        "subscription.canceled",
        at_work(click, life.account.region, rng),
        subscription_id=f"sub-{life.account.number:04}-1",
        ends_at=moment(leaves, 0).isoformat() if click < leaves else None,
        reason=life.reason,
    )


def renewals(life: Life, *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """`renewal.due` at the end of every term longer than a month, and what was decided; now and then weeks later."""
    account = life.account
    if account.won is None or account.term == 1:
        return
    for number in range(1, 400):
        due = add_months(account.won, number * account.term)
        before = life.step_on(due - timedelta(days=1))
        if due > timeline.end or before is None or (life.leaves and due > life.leaves):
            return
        contract = {"contract_id": f"contract-{account.number:04}-{number}", "currency": account.currency}
        amount = cents_a_month(before, currency=account.currency, term=account.term) * account.term
        yield event("renewal.due", opening(due, account.region), amount=decimal(amount), **contract)
        late = account.part == "whale" or rng.random() < 0.15
        decided = due + timedelta(days=17 if account.part == "whale" else rng.randint(*((6, 25) if late else (0, 4))))
        after = life.step_on(due)
        if after is None:
            yield event("renewal.declined", at_work(decided, account.region, rng), **contract)
            return
        amount = cents_a_month(after, currency=account.currency, term=account.term) * account.term
        at = at_work(decided, account.region, rng)
        yield event("renewal.completed", at, amount=decimal(amount), **contract)


def purchases(life: Life, *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """`purchase.completed` and, of one in twelve, `purchase.refunded`. Some accounts come back for more, most don't.

    The whale buys most, and its first order is sent back.
    """
    account, often = life.account, rng.choice((0.0, 0.04, 0.08, 0.15, 0.4))
    if account.part == "whale":
        often = 0.8
    elif account.plan == "starter":
        often /= 2
    number = 0
    for first, until in life.spells(timeline.end):
        for day in days(max(first, account.won or until), until):
            if day.weekday() > 4 or rng.random() >= often / 21:
                continue
            number += 1
            price = rng.choice(ADD_ONS)
            order = {"order_id": f"order-{account.number:04}-{number}", "currency": account.currency}
            yield event("purchase.completed", at_work(day, account.region, rng), amount=decimal(price), **order)
            if rng.random() < 1 / 12 or (account.part == "whale" and number == 1):
                back, share = day + timedelta(days=rng.randint(3, 18)), rng.choice((1, 1, 2))
                at = at_work(back, account.region, rng)
                yield event("purchase.refunded", at, amount=decimal(price // share), **order)


def account_costs(life: Life, *, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """`cost.recorded` of one account: the commission on winning it, a visit a quarter for the large ones."""
    account = life.account
    if account.won and account.plan != "starter":
        cents = cents_a_month(life.steps[0], currency=account.currency, term=account.term) * 3 // 2
        at = at_work(account.won, account.region, rng)
        yield event("cost.recorded", at, category="acquisition", amount=decimal(cents), currency=account.currency)
    for number in range(2, timeline.months + 2, 3):
        day = timeline.month(number) + timedelta(days=rng.randint(3, 24))
        step = life.step_on(day)
        if step and step.plan == "enterprise":
            at, cents = at_work(day, account.region, rng), 60000 + 500 * rng.randint(0, 120)
            yield event("cost.recorded", at, category="retention", amount=decimal(cents), currency=account.currency)


def company_costs(*, timeline: Timeline, rng: Random) -> Iterator[DemoEvent]:
    """`cost.recorded` of the whole business at each month's end: advertising, and the customer success team."""
    for number in range(1, timeline.months + 2):
        end = timeline.month(number + 1) - timedelta(days=1)
        grown, story = 1 + number / timeline.months, timeline.position(end)
        advertising = int(550000 * grown) + 1000 * rng.randint(0, 90)
        team = SALARY_OF_CSM * (2 + (story >= 10) + (story >= 18))
        for category, cents in (("acquisition", advertising), ("retention", team)):
            at = moment(end, 17 * 3600)
            yield event("cost.recorded", at, category=category, amount=decimal(cents), currency="USD")
