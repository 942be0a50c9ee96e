"""What RavenStack's files say of revenue and usage in any period: each metric from the rows, as docs/metrics.md defines it.

Plain sums and sets over rows that are read with the csv module; nothing is shared with the service. A `Book` holds the
rows of some accounts, so that the number of a group is the number of its book.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from tests.ravenstack.files import plans, table, usage

Number = int | Fraction


class Row(NamedTuple):
    """A number with its proof, as the service answers it."""

    value: Number | None
    numerator: Number | None = None
    denominator: Number | None = None
    sample_size: int | None = None
    reason: str | None = None


class Subscription(NamedTuple):
    """A row of the subscriptions file that is no trial."""

    plan: str
    mrr: Fraction
    seats: int
    start: date
    end: date | None

    def runs(self, day: date) -> bool:
        """As the day begins: it started on an earlier one and did not end on an earlier one."""
        return self.start < day and (self.end is None or self.end >= day)


class Use(NamedTuple):
    """A row of the usage file: a session, in which a feature was used if the count is not 0."""

    user: str
    day: date
    feature: str
    count: int
    seconds: int


class Movement(NamedTuple):
    day: date
    kind: str
    amount: Fraction


@dataclass
class Book:
    """The rows of some accounts: their subscriptions by account, and what their users did."""

    subscriptions: dict[str, list[Subscription]]
    uses: list[Use]

    def running(self, day: date) -> Iterable[Subscription]:
        return (one for held in self.subscriptions.values() for one in held if one.runs(day))

    def balances(self, day: date) -> dict[str, Fraction]:
        """The MRR of each account as the day begins."""
        return {account: _mrr(held, day) for account, held in self.subscriptions.items()}

    @cached_property
    def movements(self) -> list[Movement]:
        return [movement for held in self.subscriptions.values() for movement in _movements(held)]

    @cached_property
    def first_seen(self) -> dict[str, date]:
        """The day on which each user was active first: from then on it is registered."""
        days: dict[str, date] = {}
        for use in self.uses:
            days[use.user] = min(use.day, days.get(use.user, use.day))
        return days


def read(folder: Path) -> dict[str, Book]:
    """The book of the accounts of each plan."""
    plan_of, account_of = plans(folder), {}
    books = {plan: Book(defaultdict(list), []) for plan in sorted(set(plan_of.values()))}
    for row in table(folder, "subscriptions"):
        account_of[row["subscription_id"]] = account = row["account_id"]
        if row["is_trial"] == "False":
            books[plan_of[account]].subscriptions[account].append(
                Subscription(
                    plan=row["plan_tier"],
                    mrr=Fraction(row["mrr_amount"]),
                    seats=int(row["seats"]),
                    start=date.fromisoformat(row["start_date"]),
                    end=date.fromisoformat(row["end_date"]) if row["end_date"] else None,
                )
            )
    for _, row in usage(folder):
        user, day = row["subscription_id"], date.fromisoformat(row["usage_date"])
        use = Use(user, day, row["feature_name"], int(row["usage_count"]), int(row["usage_duration_secs"]))
        books[plan_of[account_of[user]]].uses.append(use)
    return books


def together(books: Iterable[Book]) -> Book:
    """One book of the accounts of several."""
    whole = Book({}, [])
    for book in books:
        whole.subscriptions |= book.subscriptions
        whole.uses += book.uses
    return whole


def _mrr(held: Iterable[Subscription], day: date) -> Fraction:
    return sum((one.mrr for one in held if one.runs(day)), Fraction())


def _movements(held: list[Subscription]) -> Iterable[Movement]:
    """A day's net change of one account, for each day that has one."""
    known = False
    for day in sorted({one.start for one in held} | {one.end for one in held if one.end}):
        before, after = _mrr(held, day), _mrr(held, day + timedelta(days=1))
        if before == after:
            continue
        if before == 0:
            kind = "reactivated" if known else "new"
        elif after == 0:
            kind = "churned"
        else:
            kind = "expansion" if after > before else "contraction"
        known = True
        yield Movement(day, kind, abs(after - before))


def numbers(book: Book, start: date, end: date) -> dict[str, Row]:
    """Every metric of the period `[start, end)`."""
    return (
        _balances(book, start, end)
        | _movements_in(book, start, end)
        | _rates(book, start, end)
        | _usage(book, start, end)
    )


def _balances(book: Book, start: date, end: date) -> dict[str, Row]:
    opening, closing = book.balances(start), book.balances(end)
    customers = sum(balance > 0 for balance in closing.values())
    mrr = sum(closing.values(), Fraction())
    return {
        "mrr": Row(mrr),
        "mrr_opening": Row(sum(opening.values(), Fraction())),
        "customers": _count(customers),
        "customers_opening": _count(sum(balance > 0 for balance in opening.values())),
        "arpa": _ratio(mrr, customers, sample=customers, none="no_customers"),
    }


def _movements_in(book: Book, start: date, end: date) -> dict[str, Row]:
    amount: Counter[str] = Counter()
    accounts: Counter[str] = Counter()
    for movement in book.movements:
        if start <= movement.day < end:
            amount[movement.kind] += movement.amount
            accounts[movement.kind] += 1
    gained = amount["new"] + amount["reactivated"] + amount["expansion"]
    lost = amount["contraction"] + amount["churned"]
    return {
        **{f"mrr_{kind}": Row(amount[kind]) for kind in ("new", "expansion", "contraction", "churned", "reactivated")},
        **{f"customers_{kind}": _count(accounts[kind]) for kind in ("new", "churned", "reactivated")},
        "quick_ratio": _ratio(gained, lost, none="nothing_lost"),
    }


def _rates(book: Book, start: date, end: date) -> dict[str, Row]:
    """What became of those who were customers at the start, each by its balance then and at the end."""
    closing = book.balances(end)
    pairs = [(balance, closing[account]) for account, balance in book.balances(start).items() if balance > 0]
    opening = len(pairs)
    gone = sum(now == 0 for _, now in pairs)
    before = sum(then for then, _ in pairs)
    less = sum(then - now for then, now in pairs if now < then)
    more = sum(now - then for then, now in pairs if now > then)

    def percent(part: Number, of: Number) -> Row:
        return _ratio(part, of, times=100, sample=opening, none="no_customers")

    return {
        "customer_churn_rate": percent(gone, opening),
        "customer_retention_rate": percent(opening - gone, opening),
        "gross_mrr_churn_rate": percent(less, before),
        "expansion_mrr_rate": percent(more, before),
        "net_mrr_churn_rate": percent(less - more, before),
        "nrr": percent(sum(now for _, now in pairs), before),
        "grr": percent(sum(min(then, now) for then, now in pairs), before),
    }


def _usage(book: Book, start: date, end: date) -> dict[str, Row]:
    uses = [use for use in book.uses if start <= use.day < end]
    active = len({use.user for use in uses})
    daily = Fraction(len({(use.user, use.day) for use in uses}), (end - start).days)
    # Nobody is ever removed, so those registered at the end are all who were at any time in the period.
    registered = sum(day < end for day in book.first_seen.values())
    seats = sum(one.seats for one in book.running(end))

    def per_user(number: Number, times: int = 1) -> Row:
        return _ratio(number, active, times=times, sample=active, none="no_active_users")

    return {
        "active_users": _count(active),
        "registered_users": _count(registered),
        "customer_engagement_rate": _ratio(active, registered, times=100, sample=registered, none="no_users"),
        "product_usage_rate": _ratio(active, seats, times=100, sample=seats, none="no_seats"),
        "stickiness": per_user(daily, times=100),
        "sessions_per_active_user": per_user(len(uses)),
        "average_time_in_app_minutes": per_user(Fraction(sum(use.seconds for use in uses), 60)),
        "feature_adoption_rate": adoption(book, start, end),
    }


def adoption(book: Book, start: date, end: date, features: Iterable[str] | None = None) -> Row:
    """Users of any of the features (None: of any at all), of all who were active."""
    uses = [use for use in book.uses if start <= use.day < end]
    active = len({use.user for use in uses})
    chosen = {use.feature for use in uses} if features is None else set(features)
    users = len({use.user for use in uses if use.count > 0 and use.feature in chosen})
    return _ratio(users, active, times=100, sample=active, none="no_active_users")


def features(book: Book) -> set[str]:
    """Those that were ever used."""
    return {use.feature for use in book.uses if use.count > 0}


def mrr_by_subscription_plan(book: Book, day: date) -> dict[str, Row]:
    """As the day begins."""
    sums = {one.plan: Fraction() for held in book.subscriptions.values() for one in held}
    for one in book.running(day):
        sums[one.plan] += one.mrr
    return {plan: Row(mrr) for plan, mrr in sums.items()}


def _count(number: int) -> Row:
    return Row(number, sample_size=number)


def _ratio(part: Number, of: Number, *, none: str, times: int = 1, sample: int | None = None) -> Row:
    if not of:
        return Row(None, part, of, sample, none)
    return Row(Fraction(times * part) / of, part, of, sample)
