"""RavenStack by plain means: what its numbers must be, read with nothing but the csv module, and a small look-alike.

`folder` holds the five files ravenstack_*.csv. The functions of the first part answer {(month, plan): number} with
month `YYYY-MM` and plan the account's `plan_tier`, which it has for all time; a month without anything is left out.
Revenue and active users, which are no sums of rows, are in ravenstack_numbers.py.
"""

import csv
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

Table = list[dict[str, str]]
Numbers = Counter[tuple[str, str]]

NAMES = ("accounts", "subscriptions", "feature_usage", "support_tickets", "churn_events")


def path(folder: Path, name: str) -> Path:
    return folder / f"ravenstack_{name}.csv"


def table(folder: Path, name: str) -> Table:
    with path(folder, name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def plans(folder: Path) -> dict[str, str]:
    """{account: plan}"""
    return {row["account_id"]: row["plan_tier"] for row in table(folder, "accounts")}


def usage(folder: Path) -> Iterator[tuple[tuple[str, str], dict[str, str]]]:
    """((month, plan), row) of each feature use; rows that are the same in everything are one."""
    plan_of, rows = plans(folder), table(folder, "feature_usage")
    account_of = {row["subscription_id"]: row["account_id"] for row in table(folder, "subscriptions")}
    for row in {tuple(row.items()): row for row in rows}.values():
        yield (row["usage_date"][:7], plan_of[account_of[row["subscription_id"]]]), row


def feature_uses(folder: Path) -> Numbers:
    return _sum((key, int(row["usage_count"])) for key, row in usage(folder))


def sessions(folder: Path) -> Numbers:
    return _sum((key, 1) for key, _ in usage(folder))


def session_seconds(folder: Path) -> Numbers:
    return _sum((key, int(row["usage_duration_secs"])) for key, row in usage(folder))


def tickets_opened(folder: Path) -> Numbers:
    plan_of, rows = plans(folder), table(folder, "support_tickets")
    return _sum(((row["submitted_at"][:7], plan_of[row["account_id"]]), 1) for row in rows)


def csat_responses(folder: Path) -> Numbers:
    return _sum((key, 1) for key, _ in _answers(folder))


def csat_satisfied(folder: Path) -> Numbers:
    return _sum((key, 1) for key, score in _answers(folder) if score >= 4)


def _answers(folder: Path) -> Iterator[tuple[tuple[str, str], float]]:
    plan_of = plans(folder)
    for row in table(folder, "support_tickets"):
        if row["satisfaction_score"]:
            yield (row["closed_at"][:7], plan_of[row["account_id"]]), float(row["satisfaction_score"])


def _sum(pairs: Iterable[tuple[tuple[str, str], int]]) -> Numbers:
    numbers: Numbers = Counter()
    for key, number in pairs:
        numbers[key] += number
    return Counter({key: number for key, number in numbers.items() if number})


def events(folder: Path) -> Counter[str]:
    """How many events of each type the README of the data set asks for; a use of count 0 is none."""
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


# The look-alike


def make(folder: Path, *, seed: int = 1, accounts: int = 200) -> Path:
    """Write five files with the columns and the quirks of RavenStack's into `folder`: the same ones for the same seed.

    Among the quirks: usage ids that are used twice, and rows that stand twice; uses of count 0; empty cells; scores
    written 4.0; CRLF; trials; subscriptions that end on the day they begin; tickets that are still open. More of its
    customers leave, change and come back than RavenStack's, some users are busy, and some prices have cents.
    """
    chance = random.Random(seed)
    book = [_account(chance, number) for number in range(accounts)]
    subscriptions = [one for account in book for one in _subscriptions(chance, account)]
    busy = subscriptions[: accounts // 5]
    uses = [_use(chance, chance.choice(chance.choice([subscriptions, busy]))) for _ in range(accounts * 8)]
    for copied, use in zip(chance.sample(uses, 20), chance.sample(uses, 20), strict=True):
        use["usage_id"] = copied["usage_id"]
    uses += [dict(use) for use in chance.sample(uses, 15)]
    tickets = [_ticket(chance, chance.choice(book)) for _ in range(accounts * 4)]
    churned = [_churn(chance, chance.choice(book)) for _ in range(accounts)]
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in zip(NAMES, (book, subscriptions, uses, tickets, churned), strict=True):
        with path(folder, name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return folder


def _id(chance: random.Random, letter: str) -> str:
    return f"{letter}-{chance.randrange(16**8):08x}"


def _day(chance: random.Random, first: date = date(2023, 1, 1)) -> date:
    return first + timedelta(days=chance.randint(0, (date(2024, 12, 31) - first).days))


def _account(chance: random.Random, number: int) -> dict[str, object]:
    return {
        "account_id": _id(chance, "A"),
        "account_name": f"Company_{number}",
        "industry": chance.choice(["EdTech", "FinTech", "DevTools", "Cybersecurity", "HealthTech"]),
        "country": chance.choice(["US", "UK", "IN", "AU", "DE", "CA", "FR"]),
        "signup_date": _day(chance),
        "referral_source": chance.choice(["organic", "other", "ads", "event", "partner"]),
        "plan_tier": chance.choice(["Basic", "Pro", "Enterprise"]),
        "seats": chance.randint(1, 90),
        "is_trial": chance.random() < 0.2,
        "churn_flag": chance.random() < 0.2,
    }


def _subscriptions(chance: random.Random, account: dict[str, object]) -> Iterator[dict[str, object]]:
    """Each may begin on the day on which the one before it ends: then it is one movement of the account, not two."""
    ended: object = ""
    for _ in range(chance.randint(1, 6)):
        start = ended if isinstance(ended, date) and chance.random() < 0.4 else _day(chance)
        subscription = _subscription(chance, account, start)
        ended = subscription["end_date"]
        yield subscription


def _subscription(chance: random.Random, account: dict[str, object], start: date) -> dict[str, object]:
    trial, ends = chance.random() < 0.15, chance.random() < 0.4
    mrr, seats = chance.choice([19, Decimal("9.95")]) * chance.randint(1, 500) * (not trial), chance.randint(1, 90)
    return {
        "subscription_id": _id(chance, "S"),
        "account_id": account["account_id"],
        "start_date": start,
        "end_date": (start if chance.random() < 0.1 else _day(chance, start)) if ends else "",
        "plan_tier": chance.choice(["Basic", "Pro", "Enterprise"]),
        "seats": seats,
        "mrr_amount": mrr,
        "arr_amount": 12 * mrr,
        "is_trial": trial,
        "upgrade_flag": chance.random() < 0.1,
        "downgrade_flag": chance.random() < 0.05,
        "churn_flag": ends,
        "billing_frequency": chance.choice(["monthly", "annual"]),
        "auto_renew_flag": chance.random() < 0.8,
    }


def _use(chance: random.Random, subscription: dict[str, object]) -> dict[str, object]:
    count = chance.choice([0, *range(1, 26)])
    return {
        "usage_id": _id(chance, "U"),
        "subscription_id": subscription["subscription_id"],
        "usage_date": _day(chance),
        "feature_name": f"feature_{chance.randint(1, 40)}",
        "usage_count": count,
        "usage_duration_secs": count * chance.randint(1, 500),
        "error_count": chance.randint(0, 3),
        "is_beta_feature": chance.random() < 0.1,
    }


def _ticket(chance: random.Random, account: dict[str, object]) -> dict[str, object]:
    day, hours, closed = _day(chance), chance.randint(1, 72), chance.random() < 0.95
    opened = datetime(day.year, day.month, day.day)
    return {
        "ticket_id": _id(chance, "T"),
        "account_id": account["account_id"],
        "submitted_at": day,
        "closed_at": opened + timedelta(hours=hours) if closed else "",
        "resolution_time_hours": float(hours),
        "priority": chance.choice(["low", "medium", "high", "urgent"]),
        "first_response_time_minutes": chance.randint(1, 180),
        "satisfaction_score": chance.choice([3.0, 4.0, 5.0]) if closed and chance.random() < 0.6 else "",
        "escalation_flag": chance.random() < 0.05,
    }


def _churn(chance: random.Random, account: dict[str, object]) -> dict[str, object]:
    return {
        "churn_event_id": _id(chance, "C"),
        "account_id": account["account_id"],
        "churn_date": _day(chance),
        "reason_code": chance.choice(["features", "support", "budget", "unknown", "competitor", "pricing"]),
        "refund_amount_usd": chance.choice([0.0, round(chance.uniform(0, 100), 2)]),
        "preceding_upgrade_flag": chance.random() < 0.2,
        "preceding_downgrade_flag": chance.random() < 0.1,
        "is_reactivation": chance.random() < 0.1,
        "feedback_text": chance.choice(["too expensive", "missing features", "switched to competitor", ""]),
    }
