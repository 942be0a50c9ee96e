"""The metrics of revenue and usage in any period, computed from RavenStack's files as docs/metrics.md defines them.

They are sums and sets over rows that are read with the csv module; nothing is shared with the service. A `Dataset` has the
rows of some accounts: the number of a group is the number of its dataset.
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
    """A number with its proof, as in the answers of the service."""

    value: Number | None
    numerator: Number | None = None
    denominator: Number | None = None
    sample_size: int | None = None
    reason: str | None = None


class Subscription(NamedTuple):
    """A row of the subscriptions file, trials left out."""

    plan: str
    mrr: Fraction
    seats: int
    start: date
    end: date | None

    def runs(self, day: date) -> bool:
        """Return whether it is running at the start of a day: it started on an earlier day and did not end on one."""
        return self.start < day and (self.end is None or self.end >= day)


class Use(NamedTuple):
    """A row of the usage file: a session, in which the feature was used if the count is not 0."""

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
class Dataset:
    """The rows of some accounts: their subscriptions by account, and the uses of their users."""

    subscriptions: dict[str, list[Subscription]]
    uses: list[Use]

    def subscriptions_on(self, day: date) -> Iterable[Subscription]:
        return (row for rows in self.subscriptions.values() for row in rows if row.runs(day))

    def balances(self, day: date) -> dict[str, Fraction]:
        """Return the MRR of each account at the start of a day."""
        return {account: _mrr(rows, day) for account, rows in self.subscriptions.items()}

    @cached_property
    def movements(self) -> list[Movement]:
        return [movement for rows in self.subscriptions.values() for movement in _movements(rows)]

    @cached_property
    def first_seen(self) -> dict[str, date]:
        """Return the first day of activity of each user, who is registered from then on."""
        days: dict[str, date] = {}
        for use in self.uses:
            days[use.user] = min(use.day, days.get(use.user, use.day))
        return days


def read_datasets(folder: Path) -> dict[str, Dataset]:
    """Return the dataset of the accounts of each plan."""
    plan_of, account_of = plans(folder), {}
    datasets = {plan: Dataset(defaultdict(list), []) for plan in sorted(set(plan_of.values()))}
    for row in table(folder, "subscriptions"):
        account_of[row["subscription_id"]] = account = row["account_id"]
        if row["is_trial"] == "False":
            datasets[plan_of[account]].subscriptions[account].append(
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
        datasets[plan_of[account_of[user]]].uses.append(use)
    return datasets


def merge(datasets: Iterable[Dataset]) -> Dataset:
    """Return one dataset of the accounts of several."""
    merged = Dataset({}, [])
    for dataset in datasets:
        merged.subscriptions |= dataset.subscriptions
        merged.uses += dataset.uses
    return merged


def _mrr(rows: Iterable[Subscription], day: date) -> Fraction:
    return sum((row.mrr for row in rows if row.runs(day)), Fraction())


def _movements(rows: list[Subscription]) -> Iterable[Movement]:
    """Yield the net changes of one account by day."""
    was_customer = False
    for day in sorted({row.start for row in rows} | {row.end for row in rows if row.end}):
        before, after = _mrr(rows, day), _mrr(rows, day + timedelta(days=1))
        if before == after:
            continue
        if before == 0:
            kind = "reactivated" if was_customer else "new"
        elif after == 0:
            kind = "churned"
        else:
            kind = "expansion" if after > before else "contraction"
        was_customer = True
        yield Movement(day, kind, abs(after - before))


def metric_rows(dataset: Dataset, start: date, end: date) -> dict[str, Row]:
    """Return all metrics of the period `[start, end)`."""
    return (
        _balances(dataset, start, end)
        | _movements_in(dataset, start, end)
        | _rates(dataset, start, end)
        | _usage(dataset, start, end)
    )


def _balances(dataset: Dataset, start: date, end: date) -> dict[str, Row]:
    opening, closing = dataset.balances(start), dataset.balances(end)
    customers = sum(balance > 0 for balance in closing.values())
    mrr = sum(closing.values(), Fraction())
    return {
        "mrr": Row(mrr),
        "mrr_opening": Row(sum(opening.values(), Fraction())),
        "customers": _count(customers),
        "customers_opening": _count(sum(balance > 0 for balance in opening.values())),
        "arpa": _ratio(mrr, customers, sample=customers, if_empty="no_customers"),
    }


def _movements_in(dataset: Dataset, start: date, end: date) -> dict[str, Row]:
    amount: Counter[str] = Counter()
    accounts: Counter[str] = Counter()
    for movement in dataset.movements:
        if start <= movement.day < end:
            amount[movement.kind] += movement.amount
            accounts[movement.kind] += 1
    gained = amount["new"] + amount["reactivated"] + amount["expansion"]
    lost = amount["contraction"] + amount["churned"]
    return {
        **{f"mrr_{kind}": Row(amount[kind]) for kind in ("new", "expansion", "contraction", "churned", "reactivated")},
        **{f"customers_{kind}": _count(accounts[kind]) for kind in ("new", "churned", "reactivated")},
        "quick_ratio": _ratio(gained, lost, if_empty="nothing_lost"),
    }


def _rates(dataset: Dataset, start: date, end: date) -> dict[str, Row]:
    """Return the rates about opening customers, by the MRR of each at the start and at the end."""
    closing = dataset.balances(end)
    pairs = [(balance, closing[account]) for account, balance in dataset.balances(start).items() if balance > 0]
    opening = len(pairs)
    lost = sum(after == 0 for _, after in pairs)
    opening_mrr = sum(before for before, _ in pairs)
    decrease = sum(before - after for before, after in pairs if after < before)
    increase = sum(after - before for before, after in pairs if after > before)

    def percent(part: Number, of: Number) -> Row:
        return _ratio(part, of, times=100, sample=opening, if_empty="no_customers")

    return {
        "customer_churn_rate": percent(lost, opening),
        "customer_retention_rate": percent(opening - lost, opening),
        "gross_mrr_churn_rate": percent(decrease, opening_mrr),
        "expansion_mrr_rate": percent(increase, opening_mrr),
        "net_mrr_churn_rate": percent(decrease - increase, opening_mrr),
        "nrr": percent(sum(after for _, after in pairs), opening_mrr),
        "grr": percent(sum(min(before, after) for before, after in pairs), opening_mrr),
    }


def _usage(dataset: Dataset, start: date, end: date) -> dict[str, Row]:
    uses = [use for use in dataset.uses if start <= use.day < end]
    active = len({use.user for use in uses})
    daily = Fraction(len({(use.user, use.day) for use in uses}), (end - start).days)
    # No user is ever removed, so who is registered at the end are all who were registered at any time in the period.
    registered = sum(day < end for day in dataset.first_seen.values())
    seats = sum(row.seats for row in dataset.subscriptions_on(end))

    def per_user(number: Number, times: int = 1) -> Row:
        return _ratio(number, active, times=times, sample=active, if_empty="no_active_users")

    return {
        "active_users": _count(active),
        "registered_users": _count(registered),
        "customer_engagement_rate": _ratio(active, registered, times=100, sample=registered, if_empty="no_users"),
        "product_usage_rate": _ratio(active, seats, times=100, sample=seats, if_empty="no_seats"),
        "stickiness": per_user(daily, times=100),
        "sessions_per_active_user": per_user(len(uses)),
        "average_time_in_app_minutes": per_user(Fraction(sum(use.seconds for use in uses), 60)),
        "feature_adoption_rate": adoption(dataset, start, end),
    }


def adoption(dataset: Dataset, start: date, end: date, features: Iterable[str] | None = None) -> Row:
    """Return the adoption of any of the features; None: of any feature at all."""
    uses = [use for use in dataset.uses if start <= use.day < end]
    active = len({use.user for use in uses})
    chosen = {use.feature for use in uses} if features is None else set(features)
    users = len({use.user for use in uses if use.count > 0 and use.feature in chosen})
    return _ratio(users, active, times=100, sample=active, if_empty="no_active_users")


def features(dataset: Dataset) -> set[str]:
    """Return the features that were ever used."""
    return {use.feature for use in dataset.uses if use.count > 0}


def mrr_by_subscription_plan(dataset: Dataset, day: date) -> dict[str, Row]:
    """Return the MRR by the plan of the subscription at the start of a day."""
    sums = {row.plan: Fraction() for rows in dataset.subscriptions.values() for row in rows}
    for row in dataset.subscriptions_on(day):
        sums[row.plan] += row.mrr
    return {plan: Row(mrr) for plan, mrr in sums.items()}


def _count(number: int) -> Row:
    return Row(number, sample_size=number)


def _ratio(part: Number, of: Number, *, if_empty: str, times: int = 1, sample: int | None = None) -> Row:
    if not of:
        return Row(None, part, of, sample, if_empty)
    return Row(Fraction(times * part) / of, part, of, sample)
