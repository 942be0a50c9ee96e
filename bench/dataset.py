"""The data set: two years of a made-up company, the same at every run.

Other systems were measured with the same data, so the order of all draws from the two random generators is part of the
definition. Only the usage rows differ between sizes: they have a generator of their own.
"""

import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

ACCOUNTS, USERS, RESPONSES, TICKETS = 2_000, 40_000, 100_000, 60_000
FEATURES = 20
PLANS = np.array(["free", "starter", "growth", "enterprise"])
REGIONS = np.array(["na", "emea", "apac", "latam", "anz"])
INDUSTRIES = np.array([f"industry_{number:02d}" for number in range(10)])

DAY = 86_400
START = np.datetime64("2024-01-01T00:00:00", "s")
END = np.datetime64("2026-01-01T00:00:00", "s")
MONTHS = np.arange("2024-01", "2026-01", dtype="datetime64[M]")
_FIRST, _LAST = int(START.astype(int)), int(END.astype(int))
_SECONDS = _LAST - _FIRST

Array = NDArray[np.generic]
Tables = dict[str, pa.Table]


@dataclass(frozen=True)
class Size:
    """How much data: the rows of usage, and how many times the usual number of accounts and of everything they have."""

    usage: int
    accounts: int = 1

    @classmethod
    def parse(cls, text: str, *, accounts: int = 1) -> "Size":
        """Return the size that a text such as `20000`, `20k` or `1m` means. Raises ValueError."""
        match = re.fullmatch(r"(\d+)([km]?)", text.lower())
        if not match:
            raise ValueError(f"{text!r} is not a size such as 20k, 1m or 10m")
        return cls(int(match[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[match[2]], accounts)

    @property
    def name(self) -> str:
        """Return the name of the size in files and databases, such as `1m` or `1m-10x-accounts`."""
        for unit, letter in ((1_000_000, "m"), (1_000, "k")):
            if self.usage % unit == 0:
                rows = f"{self.usage // unit}{letter}"
                break
        else:
            rows = str(self.usage)
        return rows if self.accounts == 1 else f"{rows}-{self.accounts}x-accounts"


def load_tables(size: Size, *, folder: Path) -> tuple[Tables, Path]:
    """Return the tables of a size, and the folder with their Parquet files. They are generated once, then read from there."""
    version = hashlib.blake2b(Path(__file__).read_bytes(), digest_size=4).hexdigest()
    path = folder / f"{size.name}-{version}"
    if not path.exists():
        fresh = path.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for name, table in generate_tables(size).items():
            pq.write_table(table, fresh / f"{name}.parquet", compression="zstd")
        fresh.rename(path)
    return {file.stem: pq.read_table(file) for file in sorted(path.glob("*.parquet"))}, path


def generate_tables(size: Size) -> Tables:
    """Return the tables of a size. Each is in the order of time."""
    draw = np.random.default_rng(20240101)
    accounts = ACCOUNTS * size.accounts
    plan = draw.choice(4, accounts, p=[0.25, 0.35, 0.25, 0.15])
    region, industry = draw.integers(0, 5, accounts), draw.integers(0, 10, accounts)
    opened = START + draw.integers(0, _SECONDS // 2, accounts).astype("timedelta64[s]")
    opened[: accounts // 2] = START
    # A few accounts are large, many small.
    weight = 1 / np.arange(1, accounts + 1) ** 0.5
    draw.shuffle(weight)
    weight /= weight.sum()
    account_of, registered = _users(draw, USERS * size.accounts, opened=opened, weight=weight)
    return {
        "accounts": pa.table(
            {
                "account_id": np.arange(1, accounts + 1, dtype=np.int32),
                "name": [f"acct {number}" for number in range(1, accounts + 1)],
                "plan": PLANS[plan],
                "region": REGIONS[region],
                "industry": INDUSTRIES[industry],
                "created_at": opened,
            }
        ),
        "users": pa.table(
            {
                "user_id": np.arange(1, len(account_of) + 1, dtype=np.int32),
                "account_id": account_of + 1,
                "created_at": registered,
            }
        ),
        "survey_responses": _responses(draw, RESPONSES * size.accounts, account_of=account_of),
        "tickets": _tickets(draw, TICKETS * size.accounts, weight=weight),
        "subscription_changes": _subscription_changes(draw, plan=plan, opened=opened),
        "usage_events": _usage(size.usage, account_of=account_of, registered=registered),
    }


def _users(draw: np.random.Generator, users: int, *, opened: Array, weight: Array) -> tuple[Array, Array]:
    """Return the account of each user, counted from 0, and when each was registered."""
    accounts = len(opened)
    account_of = np.concatenate([np.arange(accounts), draw.choice(accounts, users - accounts, p=weight)])
    registered = opened[account_of] + draw.integers(0, _SECONDS // 3, users).astype("timedelta64[s]")
    return account_of.astype(np.int32), np.minimum(registered, END - np.timedelta64(90 * DAY, "s"))


def _responses(draw: np.random.Generator, count: int, *, account_of: Array) -> pa.Table:
    user = draw.integers(0, len(account_of), count)
    kind = draw.choice(3, count, p=[0.5, 0.3, 0.2])
    at = np.sort(_FIRST + draw.integers(0, _SECONDS, count))
    scales = ((8, 2.2, 0, 10), (4, 1, 1, 5), (5, 1.3, 1, 7))  # mean, deviation, lowest, highest
    nps, csat, ces = (
        np.clip(np.round(draw.normal(mean, deviation, count)), low, high) for mean, deviation, low, high in scales
    )
    return pa.table(
        {
            "response_id": np.arange(1, count + 1, dtype=np.int64),
            "account_id": (account_of[user] + 1).astype(np.int32),
            "user_id": (user + 1).astype(np.int32),
            "kind": np.array(["nps", "csat", "ces"])[kind],
            "score": np.choose(kind, (nps, csat, ces)).astype(np.int16),
            "responded_at": at.astype("datetime64[s]"),
        }
    )


def _tickets(draw: np.random.Generator, count: int, *, weight: Array) -> pa.Table:
    account = draw.choice(len(weight), count, p=weight)
    opened = np.sort(_FIRST + draw.integers(0, _SECONDS, count))
    at_first_contact = draw.random(count) < 0.62
    duration = draw.exponential(np.where(at_first_contact, 4 * 3_600, 2 * DAY))
    resolved = opened + np.minimum(duration, 60 * DAY).astype("int64")
    is_resolved = (draw.random(count) < 0.96) & (resolved < _LAST)
    return pa.table(
        {
            "ticket_id": np.arange(1, count + 1, dtype=np.int64),
            "account_id": (account + 1).astype(np.int32),
            "opened_at": opened.astype("datetime64[s]"),
            "resolved_at": pa.array(resolved.astype("datetime64[s]"), mask=~is_resolved),
            "first_contact": at_first_contact,
        }
    )


def _subscription_changes(draw: np.random.Generator, *, plan: Array, opened: Array) -> pa.Table:
    """Return what accounts pay, in cents, with at most one change a month. Some grow, shrink, leave or come back."""
    price = (0, 9_900, 49_900, 249_900)
    changes = []
    for account, plan_number in enumerate(plan.tolist()):
        if plan_number == 0 and draw.random() < 0.7:
            continue
        first = int(price[max(1, plan_number)] * draw.uniform(0.6, 1.6))
        first_month = int((opened[account].astype("datetime64[M]") - MONTHS[0]).astype(int))
        mrr, has_left = 0, False
        for month in range(first_month, len(MONTHS)):
            new_mrr = mrr
            if month == first_month:
                new_mrr = first
            elif mrr:
                chance = draw.random()
                if chance < 0.013:
                    new_mrr, has_left = 0, True
                elif chance < 0.035:
                    new_mrr = int(mrr * draw.uniform(0.6, 0.95))
                elif chance < 0.085:
                    new_mrr = int(mrr * draw.uniform(1.05, 1.5))
            elif has_left and draw.random() < 0.05:
                new_mrr = int(first * draw.uniform(0.6, 1.1))
            if new_mrr != mrr:
                day = np.timedelta64(int(draw.integers(0, 28)), "D")
                changes.append(((MONTHS[month] + day).astype("datetime64[s]"), account + 1, mrr, new_mrr))
                mrr = new_mrr
    changes.sort(key=lambda change: change[0])
    at, account_id, before, after = zip(*changes, strict=True)
    return pa.table(
        {
            "change_id": np.arange(1, len(changes) + 1, dtype=np.int64),
            "account_id": np.array(account_id, dtype=np.int32),
            "effective_at": np.array(at),
            "mrr_before": np.array(before, dtype=np.int64),
            "mrr_after": np.array(after, dtype=np.int64),
        }
    )


def _usage(count: int, *, account_of: Array, registered: Array) -> pa.Table:
    """Return sessions, each with a feature used in it. Few users and features have most of them."""
    draw = np.random.default_rng(7)
    share = draw.pareto(1.5, len(account_of)) + 0.05
    user = draw.choice(len(account_of), count, p=share / share.sum()).astype(np.int32)
    since = registered[user].astype("int64")
    at = (since + draw.random(count) * (_LAST - since)).astype("int64")
    order = np.argsort(at, kind="stable")
    at, user = at[order], user[order]
    popularity = 1 / np.arange(1, FEATURES + 1)
    feature = draw.choice(FEATURES, count, p=popularity / popularity.sum())
    seconds = np.minimum(draw.lognormal(5, 1.2, count), 4 * 3_600)
    return pa.table(
        {
            "account_id": (account_of[user] + 1).astype(np.int32),
            "event_id": np.arange(1, count + 1, dtype=np.int64),
            "user_id": (user + 1).astype(np.int32),
            "occurred_at": at.astype("datetime64[s]"),
            "feature_id": (feature + 1).astype(np.int16),
            "duration_seconds": seconds.astype(np.int32) + 1,
        }
    )
