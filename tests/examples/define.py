"""How published examples are written: as cases with accounts of their own in a shared service, and builders of events."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, NamedTuple

import pytest

from tests.support.service import Service, account_update, event

# Most examples have no dates. Their events are before or in the month of the question.
JANUARY_10, FEBRUARY_10 = "2026-01-10", "2026-02-10"
MONTH = {"period": "2026-02"}
LONG_AGO = "2000-01-01T00:00:00Z"

Events = list[dict[str, Any]]
Number = int | float | None


class Example(NamedTuple):
    """A check of an example. settings: those of a service of its own; without any it shares a service."""

    check: Callable[["Case"], None]
    settings: dict[str, Any]


EXAMPLES: dict[str, Example] = {}


def example(*ids: str, **settings: Any) -> Callable[[Callable[["Case"], None]], Callable[["Case"], None]]:
    """Register a function as the check of these examples. Raises ValueError if one of them has a check already."""

    def register(check: Callable[["Case"], None]) -> Callable[["Case"], None]:
        if repeated := [id for id in ids if id in EXAMPLES] + [id for id in ids if ids.count(id) > 1]:
            raise ValueError(f"These examples have a check already: {repeated}")
        EXAMPLES.update((id, Example(check, settings)) for id in ids)
        return check

    return register


class Case:
    """An example in a service. Its accounts have the attribute `example`, and questions are filtered by it."""

    def __init__(self, service: Service, id: str) -> None:
        self.service, self.id = service, id
        self.accounts: set[str] = set()
        self.conventions: set[str] = set()
        self.traps_checked: set[str] = set()
        self.own_filter = {"filter": f'example = "{id}"'}

    def account_id(self, account: str) -> str:
        return f"{self.id}.{account}"

    def with_own_accounts(self, events: Events) -> Events:
        return [event | {"account_id": self.account_id(event["account_id"])} for event in events]

    def send(self, *events: dict[str, Any]) -> None:
        """Send events of accounts of this example, and check that all are accepted."""
        new = {event["account_id"] for event in events} - self.accounts
        updates = [account_update(account, at=LONG_AGO, example=self.id) for account in sorted(new)]
        self.accounts |= new
        assert self.service.send(*self.with_own_accounts([*updates, *events]))["rejected"] == []

    def rejection_codes(self, *events: dict[str, Any]) -> list[str]:
        """Send events and return the codes of those that were rejected."""
        answer = self.service.request("POST", "/v1/events", json=self.with_own_accounts(list(events)))
        assert answer.status_code in (200, 422), answer.text
        return [rejected["code"] for rejected in answer.json()["rejected"]]

    def rows(self, *metrics: str, **question: Any) -> Events:
        self.conventions |= {question["convention"]} if "convention" in question else set()
        return self.service.get("/v1/query", metrics=",".join(metrics), **self.own_filter, **question)["rows"]

    def row(self, metric: str, **question: Any) -> dict[str, Any]:
        """Return the only row of a question about one period, by default the month of examples without dates."""
        (row,) = self.rows(metric, **(question or MONTH))
        return row

    def expect(self, expected: dict[str, Number | list[Number]], *, within: float = 1e-6, **question: Any) -> None:
        """Check the values of metrics: one, or a list with one for each period. Answers have six decimals."""
        rows = self.rows(*expected, **(question or MONTH))
        for metric, value in expected.items():
            values = value if isinstance(value, list) else [value]
            actual = [row["value"] for row in rows if row["metric"] == metric]
            assert actual == pytest.approx(values, abs=within), f"{metric} is {actual} and not {values}"

    def expect_not(self, wrong: dict[str, float], *, within: float = 0.01, **question: Any) -> None:
        """Check that metrics, by their default conventions, have a wrong published value in no period."""
        rows = self.rows(*wrong, **(question or MONTH))
        for metric, value in wrong.items():
            actual = [row["value"] for row in rows if row["metric"] == metric]
            assert actual and value not in [pytest.approx(v, abs=within) for v in actual], f"{metric} is {actual}"
        self.traps_checked |= wrong.keys()

    def by_account(self, metric: str, **question: Any) -> dict[str, list[Number]]:
        """Return the values of a metric by account, in the order of the periods."""
        values: dict[str, list[Number]] = {}
        for row in self.rows(metric, group_by="account", **(question or MONTH)):
            values.setdefault(row["group"]["account"].removeprefix(self.account_id("")), []).append(row["value"])
        return values


def one_day(day: str) -> dict[str, str]:
    """Return the parameters of a question about one day."""
    return {"start": day, "end": str(date.fromisoformat(day) + timedelta(days=1)), "granularity": "day"}


def subscription(
    account: str, mrr: float | str, at: str = JANUARY_10, *, of: str = "main", **data: Any
) -> dict[str, Any]:
    """Return the event that sets the price per month of the subscription `of`."""
    return event("subscription.changed", account, at=at, subscription_id=of, mrr=str(mrr), **data)


def subscription_per(
    account: str, interval: str, amount: float | str, at: str = JANUARY_10, **data: Any
) -> dict[str, Any]:
    """Return the event that sets the price per week, month, quarter or year of a subscription."""
    data = {"subscription_id": "main", "amount": str(amount), "interval": interval} | data
    return event("subscription.changed", account, at=at, **data)


def cancellation(account: str, at: str = FEBRUARY_10, *, of: str = "main", **data: Any) -> dict[str, Any]:
    """Return the event that cancels the subscription `of`."""
    return event("subscription.canceled", account, at=at, subscription_id=of, **data)
