"""The files of the RavenStack data set: sums of their rows, read with the csv module, and a generator of similar files.

`folder` holds the five files ravenstack_*.csv. The sums are by month (`YYYY-MM`) and plan, the account's `plan_tier`, which
never changes; zeros are left out. Revenue and active users, which are no sums of rows, are in `numbers`.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

Table = list[dict[str, str]]
Numbers = Counter[tuple[str, str]]

NAMES = ("accounts", "subscriptions", "feature_usage", "support_tickets", "churn_events")


def path(folder: Path, name: str) -> Path:
    return folder / f"ravenstack_{name}.csv"


def table(folder: Path, name: str) -> Table:
    with path(folder, name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def plans(folder: Path) -> dict[str, str]:
    """Return the plan of each account."""
    return {row["account_id"]: row["plan_tier"] for row in table(folder, "accounts")}


def usage(folder: Path) -> Iterator[tuple[tuple[str, str], dict[str, str]]]:
    """Yield ((month, plan), row) of each feature use. Identical rows are yielded once."""
    plan_of, rows = plans(folder), table(folder, "feature_usage")
    account_of = {row["subscription_id"]: row["account_id"] for row in table(folder, "subscriptions")}
    for row in {tuple(row.items()): row for row in rows}.values():
        yield (row["usage_date"][:7], plan_of[account_of[row["subscription_id"]]]), row


def feature_uses(folder: Path) -> Numbers:
    return _sum_by_key((key, int(row["usage_count"])) for key, row in usage(folder))


def sessions(folder: Path) -> Numbers:
    return _sum_by_key((key, 1) for key, _ in usage(folder))


def session_seconds(folder: Path) -> Numbers:
    return _sum_by_key((key, int(row["usage_duration_secs"])) for key, row in usage(folder))


def tickets_opened(folder: Path) -> Numbers:
    plan_of, rows = plans(folder), table(folder, "support_tickets")
    return _sum_by_key(((row["submitted_at"][:7], plan_of[row["account_id"]]), 1) for row in rows)


def csat_responses(folder: Path) -> Numbers:
    return _sum_by_key((key, 1) for key, _ in _csat_responses(folder))


def csat_satisfied(folder: Path) -> Numbers:
    return _sum_by_key((key, 1) for key, score in _csat_responses(folder) if score >= 4)


def _csat_responses(folder: Path) -> Iterator[tuple[tuple[str, str], float]]:
    plan_of = plans(folder)
    for row in table(folder, "support_tickets"):
        if row["satisfaction_score"]:
            yield (row["closed_at"][:7], plan_of[row["account_id"]]), float(row["satisfaction_score"])


def _sum_by_key(pairs: Iterable[tuple[tuple[str, str], int]]) -> Numbers:
    numbers: Numbers = Counter()
    for key, number in pairs:
        numbers[key] += number
    return Counter({key: number for key, number in numbers.items() if number})


def event_counts(folder: Path) -> Counter[str]:
    """Return the number of events by type that the mapping of the data set makes; a use with count 0 makes none."""
    subscriptions, tickets = table(folder, "subscriptions"), table(folder, "support_tickets")
    uses = [row for _, row in usage(folder)]
    return Counter(
        {
            "account.updated": len(table(folder, "accounts")),
            "trial.started": sum(row["is_trial"] == "True" for row in subscriptions),
            "trial.expired": sum(row["is_trial"] == "True" and row["end_date"] != "" for row in subscriptions),
            "subscription.changed": sum(row["is_trial"] == "False" for row in subscriptions),
            "subscription.canceled": sum(row["is_trial"] == "False" and row["end_date"] != "" for row in subscriptions),
            "feature.used": sum(row["usage_count"] != "0" for row in uses),
            "session.ended": len(uses),
            "ticket.opened": len(tickets),
            "ticket.resolved": sum(row["closed_at"] != "" for row in tickets),
            "survey.responded": sum(row["satisfaction_score"] != "" for row in tickets),
            "feedback.received": sum(row["feedback_text"] != "" for row in table(folder, "churn_events")),
        }
    )


# ---- similar files ----


def write_similar_files(folder: Path, *, seed: int = 1, accounts: int = 200) -> Path:
    """Write five files with the columns and the quirks of RavenStack's into `folder`; the same seed makes the same files.

    Some of the quirks: repeated usage ids and rows; uses with count 0; empty cells; scores written as 4.0; CRLF; trials;
    subscriptions that end on the day they start; open tickets. More customers leave, change and come back than RavenStack's,
    some users are busy, and some prices have cents.
    """
    random = Random(seed)
    account_rows = [_account(random, number) for number in range(accounts)]
    subscriptions = [row for account in account_rows for row in _subscriptions(random, account)]
    busy = subscriptions[: accounts // 5]
    uses = [_use(random, random.choice(random.choice([subscriptions, busy]))) for _ in range(accounts * 8)]
    for copied, use in zip(random.sample(uses, 20), random.sample(uses, 20), strict=True):
        use["usage_id"] = copied["usage_id"]
    uses += [dict(use) for use in random.sample(uses, 15)]
    tickets = [_ticket(random, random.choice(account_rows)) for _ in range(accounts * 4)]
    churn_events = [_churn(random, random.choice(account_rows)) for _ in range(accounts)]
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in zip(NAMES, (account_rows, subscriptions, uses, tickets, churn_events), strict=True):
        with path(folder, name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return folder


def _id(random: Random, letter: str) -> str:
    return f"{letter}-{random.randrange(16**8):08x}"


def _day(random: Random, first: date = date(2023, 1, 1)) -> date:
    return first + timedelta(days=random.randint(0, (date(2024, 12, 31) - first).days))


def _account(random: Random, number: int) -> dict[str, object]:
    return {
        "account_id": _id(random, "A"),
        "account_name": f"Company_{number}",
        "industry": random.choice(["EdTech", "FinTech", "DevTools", "Cybersecurity", "HealthTech"]),
        "country": random.choice(["US", "UK", "IN", "AU", "DE", "CA", "FR"]),
        "signup_date": _day(random),
        "referral_source": random.choice(["organic", "other", "ads", "event", "partner"]),
        "plan_tier": random.choice(["Basic", "Pro", "Enterprise"]),
        "seats": random.randint(1, 90),
        "is_trial": random.random() < 0.2,
        "churn_flag": random.random() < 0.2,
    }


def _subscriptions(random: Random, account: dict[str, object]) -> Iterator[dict[str, object]]:
    """Yield subscriptions. One may start on the day on which the one before ends: that is one movement of the account."""
    ended: object = ""
    for _ in range(random.randint(1, 6)):
        start = ended if isinstance(ended, date) and random.random() < 0.4 else _day(random)
        subscription = _subscription(random, account, start)
        ended = subscription["end_date"]
        yield subscription


def _subscription(random: Random, account: dict[str, object], start: date) -> dict[str, object]:
    is_trial, ends = random.random() < 0.15, random.random() < 0.4
    mrr, seats = random.choice([19, Decimal("9.95")]) * random.randint(1, 500) * (not is_trial), random.randint(1, 90)
    return {
        "subscription_id": _id(random, "S"),
        "account_id": account["account_id"],
        "start_date": start,
        "end_date": (start if random.random() < 0.1 else _day(random, start)) if ends else "",
        "plan_tier": random.choice(["Basic", "Pro", "Enterprise"]),
        "seats": seats,
        "mrr_amount": mrr,
        "arr_amount": 12 * mrr,
        "is_trial": is_trial,
        "upgrade_flag": random.random() < 0.1,
        "downgrade_flag": random.random() < 0.05,
        "churn_flag": ends,
        "billing_frequency": random.choice(["monthly", "annual"]),
        "auto_renew_flag": random.random() < 0.8,
    }


def _use(random: Random, subscription: dict[str, object]) -> dict[str, object]:
    count = random.choice([0, *range(1, 26)])
    return {
        "usage_id": _id(random, "U"),
        "subscription_id": subscription["subscription_id"],
        "usage_date": _day(random),
        "feature_name": f"feature_{random.randint(1, 40)}",
        "usage_count": count,
        "usage_duration_secs": count * random.randint(1, 500),
        "error_count": random.randint(0, 3),
        "is_beta_feature": random.random() < 0.1,
    }


def _ticket(random: Random, account: dict[str, object]) -> dict[str, object]:
    day, hours, closed = _day(random), random.randint(1, 72), random.random() < 0.95
    opened = datetime(day.year, day.month, day.day)
    return {
        "ticket_id": _id(random, "T"),
        "account_id": account["account_id"],
        "submitted_at": day,
        "closed_at": opened + timedelta(hours=hours) if closed else "",
        "resolution_time_hours": float(hours),
        "priority": random.choice(["low", "medium", "high", "urgent"]),
        "first_response_time_minutes": random.randint(1, 180),
        "satisfaction_score": random.choice([3.0, 4.0, 5.0]) if closed and random.random() < 0.6 else "",
        "escalation_flag": random.random() < 0.05,
    }


def _churn(random: Random, account: dict[str, object]) -> dict[str, object]:
    return {
        "churn_event_id": _id(random, "C"),
        "account_id": account["account_id"],
        "churn_date": _day(random),
        "reason_code": random.choice(["features", "support", "budget", "unknown", "competitor", "pricing"]),
        "refund_amount_usd": random.choice([0.0, round(random.uniform(0, 100), 2)]),
        "preceding_upgrade_flag": random.random() < 0.2,
        "preceding_downgrade_flag": random.random() < 0.1,
        "is_reactivation": random.random() < 0.1,
        "feedback_text": random.choice(["too expensive", "missing features", "switched to competitor", ""]),
    }
