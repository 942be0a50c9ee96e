"""What a published example is written with: accounts of its own in a shared service, and builders of its events."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, NamedTuple

import pytest

from tests.support.service import Service, event, moved

# Most examples have no dates: what was there before, what happens then, and the month about which they ask.
BEFORE, DURING = "2026-01-10", "2026-02-10"
MONTH = {"period": "2026-02"}
LONG_AGO = "2000-01-01T00:00:00Z"

Events = list[dict[str, Any]]
Given = int | float | None


class Example(NamedTuple):
    """How an example is checked. `settings`: those of the service that it needs for itself; none: it shares one."""

    check: Callable[["Case"], None]
    settings: dict[str, Any]


EXAMPLES: dict[str, Example] = {}


def example(*ids: str, **settings: Any) -> Callable[[Callable[["Case"], None]], Callable[["Case"], None]]:
    """Register a check as that of these examples. Raises ValueError when one of them has a check already."""

    def register(check: Callable[["Case"], None]) -> Callable[["Case"], None]:
        if again := [id for id in ids if id in EXAMPLES] + [id for id in ids if ids.count(id) > 1]:
            raise ValueError(f"These examples are checked already: {again}")
        EXAMPLES.update((id, Example(check, settings)) for id in ids)
        return check

    return register


class Case:
    """One example in a service: its accounts have the attribute `example`, so that questions are about them alone."""

    def __init__(self, service: Service, id: str) -> None:
        self.service, self.id = service, id
        self.accounts: set[str] = set()
        self.conventions: set[str] = set()
        self.avoided: set[str] = set()
        self.narrowed = {"filter": f'example = "{id}"'}

    def named(self, account: str) -> str:
        return f"{self.id}.{account}"

    def mine(self, events: Events) -> Events:
        return [sent | {"account_id": self.named(sent["account_id"])} for sent in events]

    def send(self, *events: dict[str, Any]) -> None:
        """Send events about accounts of this example; all of them are accepted."""
        new = {sent["account_id"] for sent in events} - self.accounts
        told = [moved(account, at=LONG_AGO, example=self.id) for account in sorted(new)]
        self.accounts |= new
        assert self.service.send(*self.mine([*told, *events]))["rejected"] == []

    def refused(self, *events: dict[str, Any]) -> list[str]:
        """Send events, and why some were rejected: a code each."""
        answer = self.service.request("POST", "/v1/events", json=self.mine(list(events)))
        assert answer.status_code in (200, 422), answer.text
        return [rejected["code"] for rejected in answer.json()["rejected"]]

    def rows(self, *metrics: str, **question: Any) -> Events:
        self.conventions |= {question["convention"]} if "convention" in question else set()
        return self.service.get("/v1/query", metrics=",".join(metrics), **self.narrowed, **question)["rows"]

    def row(self, metric: str, **question: Any) -> dict[str, Any]:
        """The only row of a question about one period, the month of the examples without dates by default."""
        (row,) = self.rows(metric, **(question or MONTH))
        return row

    def gives(self, expected: dict[str, Given | list[Given]], *, within: float = 1e-6, **question: Any) -> None:
        """Check the values of metrics: one, or one for each period. Answers have six decimals."""
        rows = self.rows(*expected, **(question or MONTH))
        for metric, value in expected.items():
            values = value if isinstance(value, list) else [value]
            found = [row["value"] for row in rows if row["metric"] == metric]
            assert found == pytest.approx(values, abs=within), f"{metric} is {found} and not {values}"

    def never(self, wrong: dict[str, float], *, within: float = 0.01, **question: Any) -> None:
        """Check that metrics, by their defaults, are in no period what others have published."""
        rows = self.rows(*wrong, **(question or MONTH))
        for metric, value in wrong.items():
            found = [row["value"] for row in rows if row["metric"] == metric]
            assert found and value not in [pytest.approx(one, abs=within) for one in found], f"{metric} is {found}"
        self.avoided |= wrong.keys()

    def by_account(self, metric: str, **question: Any) -> dict[str, list[Given]]:
        """The metric's values for each account, in the order of their periods."""
        found: dict[str, list[Given]] = {}
        for row in self.rows(metric, group_by="account", **(question or MONTH)):
            found.setdefault(row["group"]["account"].removeprefix(self.named("")), []).append(row["value"])
        return found


def one_day(day: str) -> dict[str, str]:
    """The question about one day."""
    return {"start": day, "end": str(date.fromisoformat(day) + timedelta(days=1)), "granularity": "day"}


def pays(account: str, mrr: float | str, at: str = BEFORE, *, of: str = "main", **data: Any) -> dict[str, Any]:
    """From then on, the account's subscription `of` brings this much a month."""
    return event("subscription.changed", account, at=at, subscription_id=of, mrr=str(mrr), **data)


def pays_for(account: str, interval: str, amount: float | str, at: str = BEFORE, **data: Any) -> dict[str, Any]:
    """From then on, the account's subscription costs this much every week, month, quarter or year."""
    data = {"subscription_id": "main", "amount": str(amount), "interval": interval} | data
    return event("subscription.changed", account, at=at, **data)


def leaves(account: str, at: str = DURING, *, of: str = "main", **data: Any) -> dict[str, Any]:
    """The account cancels the subscription `of`."""
    return event("subscription.canceled", account, at=at, subscription_id=of, **data)
