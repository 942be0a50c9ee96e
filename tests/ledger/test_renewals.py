"""The stream of a contract's renewals, a pure function, and the renewal rates."""

from itertools import permutations
from typing import Any

import pytest

from app.ledger.streams.define import StreamEvent
from app.ledger.streams.renewals import renewals
from tests.model.stream_events import postings_by_measure, stream_event
from tests.support.service import Service, event

SHORT = {
    "contracts_due": "due",
    "contracts_renewed": "renewed",
    "contracts_valued": "valued",
    "renewal_value_due": "of",
    "renewal_value_renewed": "kept",
}
MONEY = ("renewal_value_due", "renewal_value_renewed")


def parse_event(text: str) -> StreamEvent:
    """Return the event of a text such as `due 2025-03-01 100`: what happened to the contract, when, and the amount if any."""
    type, at, *amount = text.split()
    data = {"amount": amount[0]} if amount else {}
    return stream_event(f"renewal.{type}", at, id=text, contract_id="c", **data)


def posted_on_due_days(*events: StreamEvent) -> dict[str, str]:
    """Return what is posted on each day on which the contract was due; money in whole units."""
    posted: dict[str, list[str]] = {}
    days = postings_by_measure(renewals, *events)
    for name, short in SHORT.items():
        for day, value in days.get(name, {}).items():
            assert value == 1 or name in MONEY
            posted.setdefault(day, []).append(f"{short} {value / 10_000:g}" if name in MONEY else short)
    return {day: " ".join(parts) for day, parts in sorted(posted.items())}


# Events -> what is posted on which day.
CASES = {
    "nothing is decided yet": ("due 2025-03-01", {"2025-03-01": "due"}),
    "it is renewed late": ("due 2025-03-01, completed 2025-04-20", {"2025-03-01": "due renewed"}),
    "it is renewed early": ("completed 2025-02-10, due 2025-03-01", {"2025-03-01": "due renewed"}),
    "it is declined": ("due 2025-03-01, declined 2025-03-02", {"2025-03-01": "due"}),
    "it is declined and won back": (
        "due 2025-03-01, declined 2025-03-02, completed 2025-06-01",
        {"2025-03-01": "due renewed"},
    ),
    "the last early decision counts": (
        "completed 2025-02-10, declined 2025-02-20, due 2025-03-01",
        {"2025-03-01": "due"},
    ),
    "a customer who declined early may be won back when it is due": (
        "declined 2025-02-20, due 2025-03-01, completed 2025-03-05",
        {"2025-03-01": "due renewed"},
    ),
    "a decision counts only once the contract is due": ("completed 2025-02-10", {}),
    "each due date has its own decision": (
        "due 2024-03-01, completed 2024-03-05, due 2025-03-01, declined 2025-03-05",
        {"2024-03-01": "due renewed", "2025-03-01": "due"},
    ),
    "after a renewal the next decision is an early one": (
        "due 2024-03-01, completed 2024-03-05, completed 2025-02-10, due 2025-03-01, due 2026-03-01",
        {"2024-03-01": "due renewed", "2025-03-01": "due renewed", "2026-03-01": "due"},
    ),
    "a customer who renewed may decline early the next time": (
        "due 2024-03-01, completed 2024-03-05, declined 2025-02-10, due 2025-03-01",
        {"2024-03-01": "due renewed", "2025-03-01": "due"},
    ),
    "a late decision is about the last due date": (
        "due 2024-03-01, due 2025-03-01, completed 2025-03-02",
        {"2024-03-01": "due", "2025-03-01": "due renewed"},
    ),
    "at the same instant, due comes before a decision": (
        "due 2025-03-01T08:00, completed 2025-03-01T08:00",
        {"2025-03-01": "due renewed"},
    ),
    "at the same instant, a renewal comes before a decline, which then counts for the next due date": (
        "due 2025-03-01T08:00, completed 2025-03-01T08:00, declined 2025-03-01T08:00",
        {"2025-03-01": "due renewed"},
    ),
    "a contract is due once a day, with the last amount": (
        "due 2025-03-01T08:00 100, completed 2025-03-01T09:00, due 2025-03-01T10:00 80, due 2025-03-01T11:00",
        {"2025-03-01": "due renewed valued of 80 kept 80"},
    ),
    "without an amount, the full amount was renewed": (
        "due 2025-03-01 100.5, completed 2025-03-02",
        {"2025-03-01": "due renewed valued of 100.5 kept 100.5"},
    ),
    "for less": ("due 2025-03-01 100, completed 2025-03-02 40", {"2025-03-01": "due renewed valued of 100 kept 40"}),
    "for more": ("due 2025-03-01 100, completed 2025-03-02 150", {"2025-03-01": "due renewed valued of 100 kept 100"}),
    "for nothing": ("due 2025-03-01 100, completed 2025-03-02 0", {"2025-03-01": "due renewed valued of 100"}),
    "declined, with its amount": (
        "due 2025-03-01 100, declined 2025-03-02 100",
        {"2025-03-01": "due valued of 100"},
    ),
    "a contract without an amount does not count in the amounts": (
        "due 2025-03-01, completed 2025-03-02 150",
        {"2025-03-01": "due renewed"},
    ),
}


@pytest.mark.parametrize(("events", "expected"), CASES.values(), ids=CASES)
def test_a_contract_posts_the_same_in_any_order_of_arrival(events: str, expected: dict[str, str]) -> None:
    for order in permutations(events.split(", ")):
        assert posted_on_due_days(*map(parse_event, order)) == expected


@pytest.mark.parametrize(
    ("events", "in_time"),
    [
        ("due 2025-03-01, completed 2025-03-31T23:59", {"2025-03-01": 1}),
        ("due 2025-03-01, completed 2025-04-01T00:00", {}),
        ("due 2025-03-01T23:59, completed 2025-03-31T00:01", {"2025-03-01": 1}),
        ("completed 2024-10-01, due 2025-03-01", {"2025-03-01": 1}),
        ("due 2025-03-01, declined 2025-03-02, completed 2025-03-20", {"2025-03-01": 1}),
        ("due 2025-03-01, declined 2025-03-02", {}),
        # The first renewal counts; a further one belongs to the next due day.
        ("due 2025-03-01, completed 2025-03-20, completed 2025-06-20", {"2025-03-01": 1}),
        ("due 2025-03-01, completed 2025-06-20, completed 2025-06-21, due 2026-03-01", {"2026-03-01": 1}),
    ],
)
def test_a_renewal_is_in_time_up_to_30_days_after_the_due_day(events: str, in_time: dict[str, int]) -> None:
    for order in permutations(events.split(", ")):
        posted = postings_by_measure(renewals, *map(parse_event, order))
        assert posted.get("contracts_renewed_within_30_days", {}) == in_time


def in_currency(what: str, at: str, amount: str, rate: str | None = None, **currency: str) -> StreamEvent:
    return stream_event(f"renewal.{what}", at, contract_id="c", amount=amount, rate=rate, **currency)


def test_a_renewal_in_the_same_currency_keeps_the_rate_of_the_due_date() -> None:
    due = in_currency("due", "2025-03-01", "100", "1.1", currency="EUR")
    full = in_currency("completed", "2025-04-01", "100", "0.9", currency="EUR")
    assert posted_on_due_days(due, full) == {"2025-03-01": "due renewed valued of 110 kept 110"}
    half = in_currency("completed", "2025-04-01", "50", "1.9", currency="EUR")
    assert posted_on_due_days(due, half) == {"2025-03-01": "due renewed valued of 110 kept 55"}
    # An amount in another currency is converted by the rate of its own day.
    in_dollars = in_currency("completed", "2025-04-01", "100")
    assert posted_on_due_days(due, in_dollars) == {"2025-03-01": "due renewed valued of 110 kept 100"}
    in_pounds = in_currency("completed", "2025-04-01", "50", "1.3", currency="GBP")
    assert posted_on_due_days(due, in_pounds) == {"2025-03-01": "due renewed valued of 110 kept 65"}


def renewal_event(what: str, account: str, at: str, **data: Any) -> dict[str, Any]:
    return event(f"renewal.{what}", account, at=at, **({"contract_id": "c"} | data))


def test_a_contract_counts_in_the_month_in_which_it_is_due_whenever_it_is_decided(service: Service) -> None:
    service.send(*(renewal_event("due", f"account-{number}", "2026-01-31", amount="1000") for number in range(4)))
    service.send(
        renewal_event("completed", "account-0", "2025-12-20"),
        renewal_event("completed", "account-1", "2026-03-10", amount="1"),
    )
    service.send(renewal_event("declined", "account-2", "2026-01-31"), renewal_event("due", "account-4", "2026-02-01"))
    service.send(renewal_event("completed", "account-4", "2026-02-20", amount="50"))
    months = {"start": "2026-01-01", "end": "2026-04-01", "totals": "true"}
    proofs = {
        metric: [
            (row["value"], row["numerator"], row["denominator"], row["sample_size"], row.get("reason")) for row in rows
        ]
        for metric in ("renewal_rate", "renewal_value_rate")
        for rows in [service.rows(metric, **months)]
    }
    assert proofs == {
        "renewal_rate": [
            (50, 2, 4, 4, None),
            (100, 1, 1, 1, None),
            (None, 0, 0, 0, "no_renewals_due"),
            (60, 3, 5, 5, None),
        ],
        "renewal_value_rate": [
            (25.025, 1001, 4000, 4, None),
            (None, 0, 0, 0, "no_amounts_due"),
            (None, 0, 0, 0, "no_amounts_due"),
            (25.025, 1001, 4000, 4, None),
        ],
    }


def test_contracts_of_many_billions_add_up_to_the_digit(service: Service) -> None:
    ids = [f"contract-{number}" for number in range(100)]
    service.send(*(renewal_event("due", "acme", "2026-03-02", contract_id=id, amount="99999999999.9999") for id in ids))
    service.send(*(renewal_event("completed", "acme", "2026-03-03", contract_id=id) for id in ids[:25]))
    row = service.row("renewal_value_rate")
    assert (row["value"], row["numerator"], row["denominator"]) == (25, 2_499_999_999_999.9975, 9_999_999_999_999.99)
    assert service.differences() == []


def test_a_contract_that_is_won_back_counts_from_its_recorded_day(service: Service) -> None:
    january = {"period": "2026-01"}
    service.on("2026-02-01").send(
        renewal_event("due", "acme", "2026-01-31", amount="100"), renewal_event("declined", "acme", "2026-01-31")
    )
    service.on("2026-02-10").send(renewal_event("completed", "acme", "2026-02-09", id="back"))
    service.on("2026-02-20").retract("acme", "back")
    rates_as_of = {
        day: (
            service.value("renewal_rate", **january, as_of=day),
            service.value("renewal_value_rate", **january, as_of=day),
        )
        for day in ("2026-02-01", "2026-02-10", "2026-02-20")
    }
    assert rates_as_of == {"2026-02-01": (0, 0), "2026-02-10": (100, 100), "2026-02-20": (0, 0)}
    assert service.differences() == []


def test_the_renewal_rate_within_30_days_leaves_out_late_renewals(service: Service) -> None:
    service.on("2026-06-01").send(
        *(renewal_event("due", f"account-{number}", "2026-03-10") for number in range(4)),
        renewal_event("completed", "account-0", "2026-02-01"),
        renewal_event("completed", "account-1", "2026-04-09"),
        renewal_event("completed", "account-2", "2026-04-10"),
    )
    assert service.value("renewal_rate") == 75
    row = service.row("renewal_rate", convention="within_30_days")
    assert (row["value"], row["numerator"], row["denominator"]) == (50, 2, 4)
    assert row["interval"][0] < 50 < row["interval"][1]
    assert service.row("renewal_rate", convention="within_30_days", period="2026-04")["reason"] == "no_renewals_due"
