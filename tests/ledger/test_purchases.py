"""Orders of an account: what their stream makes of them, and the metrics made of that."""

from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.core.periods import Calendar
from app.ledger.streams.define import StreamEvent
from app.ledger.streams.purchases import purchases
from tests.model.stream_events import postings_by_measure, stream_event
from tests.support.service import Service, event

DAY = 86_400
SHORT = {
    "orders": "orders",
    "purchases": "paid",
    "refunds": "back",
    "purchase_days": "days",
    "purchase_seconds": "seconds",
    "purchasers": "first",
    "repeat_purchasers": "second",
}


def purchase(said: str) -> StreamEvent:
    """`a completed 03-01 100`: what happened to an order, when in 2026, and for how much."""
    order, type, at, amount = said.split()
    return stream_event(f"purchase.{type}", f"2026-{at}", id=said, order_id=order, amount=amount)


def table(*happenings: StreamEvent, of: tuple[str, ...] = tuple(SHORT)) -> str:
    """What is posted by measure and day, money in whole units and seconds in days."""
    units = {"purchases": 10_000, "refunds": 10_000, "purchase_seconds": DAY}
    found = postings_by_measure(purchases, *happenings)
    return ", ".join(
        f"{SHORT[name]} " + " ".join(f"{day[5:]}:{value / units.get(name, 1):g}" for day, value in found[name].items())
        for name in SHORT
        if name in found and name in of
    )


MONEY = ("purchases", "refunds")
# What happens -> the money paid and given back, by day.
PAID_AND_GIVEN_BACK = {
    "an order is paid": ("a completed 03-01 100", "paid 03-01:100"),
    "an order that is said again changes nothing": (
        "a completed 03-01 100, a completed 03-05 900",
        "paid 03-01:100",
    ),
    "it is given back on its day": ("a completed 03-01 100, a refunded 03-09 100", "paid 03-01:100, back 03-09:100"),
    "in parts": (
        "a completed 03-01 100, a refunded 03-08 30, a refunded 03-09 20",
        "paid 03-01:100, back 03-08:30 03-09:20",
    ),
    "not more than was paid in all": (
        "a completed 03-01 100, a refunded 03-08 80, a refunded 03-09 80, a refunded 03-10 1",
        "paid 03-01:100, back 03-08:80 03-09:20",
    ),
    "each order by itself": (
        "a completed 03-01 100, b completed 03-02 10, b refunded 03-09 80",
        "paid 03-01:100 03-02:10, back 03-09:10",
    ),
    "a refund of no known order waits for it": ("a completed 03-01 100, b refunded 03-09 80", "paid 03-01:100"),
    "a refund before its order counts with it": (
        "a refunded 03-01 80, a completed 03-09 100",
        "paid 03-09:100, back 03-09:80",
    ),
    "at one instant an order is paid before it is given back": (
        "a refunded 03-01T08:00 100, a completed 03-01T08:00 100",
        "paid 03-01:100, back 03-01:100",
    ),
    "of two at one instant ids decide": (
        "a completed 03-01T08:00 100, a completed 03-01T08:00 900",
        "paid 03-01:100",
    ),
    "an order of nothing": ("a completed 03-01 0, a refunded 03-02 5", ""),
}


@pytest.mark.parametrize(("happens", "expected"), PAID_AND_GIVEN_BACK.values(), ids=PAID_AND_GIVEN_BACK)
def test_money_is_posted_the_same_in_any_order_of_arrival(happens: str, expected: str) -> None:
    for order in permutations(happens.split(", ")):
        assert table(*map(purchase, order), of=MONEY) == expected


# What happens -> orders, days, days from the first to the last order, the first order and the second.
COMING_BACK = {
    "once": ("a completed 03-01 1", "orders 03-01:1, days 03-01:1, first 03-01:1"),
    "given back it stays an order": (
        "a completed 03-01 1, a refunded 03-02 1",
        "orders 03-01:1, days 03-01:1, first 03-01:1",
    ),
    "twice on a day": (
        "a completed 03-01T00:00 1, b completed 03-01T12:00 1",
        "orders 03-01:2, days 03-01:1, seconds 03-01:0.5, first 03-01:1, second 03-01:1",
    ),
    "again and again": (
        "a completed 03-01 1, b completed 03-11 1, c completed 03-31 1",
        "orders 03-01:1 03-11:1 03-31:1, days 03-01:1 03-11:1 03-31:1, seconds 03-11:10 03-31:20, first 03-01:1, second 03-11:1",
    ),
    "the same order again is no second one": (
        "a completed 03-01 1, a completed 03-11 1",
        "orders 03-01:1, days 03-01:1, first 03-01:1",
    ),
}


@pytest.mark.parametrize(("happens", "expected"), COMING_BACK.values(), ids=COMING_BACK)
def test_orders_are_counted_the_same_in_any_order_of_arrival(happens: str, expected: str) -> None:
    others = tuple(name for name in SHORT if name not in MONEY)
    for order in permutations(happens.split(", ")):
        assert table(*map(purchase, order), of=others) == expected


def test_what_is_less_than_a_second_does_not_add_up() -> None:
    times = [f"03-01T00:00:{second}" for second in ("00", "00.600", "01.200", "01.800", "02.400")]
    happens = [purchase(f"{number} completed {at} 1") for number, at in enumerate(times)]
    assert postings_by_measure(purchases, *happens)["purchase_seconds"] == {"2026-03-01": 2}


def test_an_order_given_back_in_full_leaves_nothing_whatever_the_rates() -> None:
    order = {"order_id": "a", "currency": "EUR"}
    bought = stream_event("purchase.completed", "2026-03-01", rate="1.1", amount="100", **order)
    later = {"rate": "0.9", **order}
    whole = stream_event("purchase.refunded", "2026-03-09", amount="100", **later)
    assert table(bought, whole, of=MONEY) == "paid 03-01:110, back 03-09:110"
    thirds = [stream_event("purchase.refunded", f"2026-03-{day:02}", amount="33.3333", **later) for day in (8, 9, 10)]
    assert table(bought, *thirds, of=MONEY) == "paid 03-01:110, back 03-08:36.6666 03-09:36.6666 03-10:36.6666"
    # In another currency it is worth what it is on its own day.
    in_dollars = stream_event("purchase.refunded", "2026-03-09", amount="100", order_id="a")
    assert table(bought, in_dollars, of=MONEY) == "paid 03-01:110, back 03-09:100"
    in_pounds = stream_event("purchase.refunded", "2026-03-09", amount="50", rate="1.3", order_id="a", currency="GBP")
    assert table(bought, in_pounds, of=MONEY) == "paid 03-01:110, back 03-09:65"


def test_the_time_zone_decides_the_days_of_orders() -> None:
    happens = [purchase("a completed 03-01T20:00 1"), purchase("b completed 03-02T10:00 1")]
    assert postings_by_measure(purchases, *happens)["purchase_days"] == {"2026-03-01": 1, "2026-03-02": 1}
    tokyo = postings_by_measure(purchases, *happens, calendar=Calendar(ZoneInfo("Asia/Tokyo")))
    assert (tokyo["purchase_days"], tokyo["purchase_seconds"]) == ({"2026-03-02": 1}, {"2026-03-02": 14 * 3600})


def buys(account: str, at: str, order_id: str, amount: str = "100", **data: Any) -> dict[str, Any]:
    return event("purchase.completed", account, at=at, order_id=order_id, amount=amount, **data)


def refund(account: str, at: str, order_id: str, amount: str, **data: Any) -> dict[str, Any]:
    return event("purchase.refunded", account, at=at, order_id=order_id, amount=amount, **data)


def test_revenue_is_what_was_paid_less_what_was_given_back_each_on_its_day(service: Service) -> None:
    service.on("2026-03-12").send(buys("acme", "2026-02-10", "1", "100.5"), buys("globex", "2026-02-20", "1"))
    service.on("2026-03-13").send(refund("acme", "2026-03-02", "1", "400"), buys("acme", "2026-03-10", "2", "20"))
    months = {"start": "2026-02-01", "end": "2026-04-01"}
    assert [row["amount"] for row in service.rows("revenue", **months)] == ["200.50", "-80.50"]
    assert [row["amount"] for row in service.rows("revenue", **months, as_of="2026-03-12")] == ["200.50", "0.00"]
    by_account = service.rows("revenue", **months, group_by="account", granularity="total")
    assert {row["group"]["account"]: row["value"] for row in by_account} == {"acme": 20, "globex": 100}
    assert service.differences() == []


def test_who_bought_in_the_period_and_has_bought_before_comes_back(service: Service) -> None:
    service.send(
        buys("old", "2025-05-01", "1"), buys("old", "2026-03-02", "2"), refund("old", "2026-03-03", "2", "100")
    )
    service.send(buys("new", "2026-03-02", "1"), buys("new", "2026-03-02", "1", id="said again"))
    service.send(buys("twice", "2026-03-02", "1"), buys("twice", "2026-03-03", "2"))
    service.send(buys("silent", "2026-01-02", "1"), buys("silent", "2026-02-03", "2"))
    row = service.row("repeat_purchase_rate")
    assert (row["numerator"], row["denominator"]) == (2, 3)
    january = service.row("repeat_purchase_rate", period="2026-01")
    assert (january["value"], january["denominator"]) == (0, 1)
    empty = service.row("repeat_purchase_rate", period="2025-12")
    assert (empty["value"], empty["reason"]) == (None, "no_purchases")
    first_days = service.rows("repeat_purchase_rate", start="2026-03-02", end="2026-03-04", granularity="day")
    assert [(row["numerator"], row["denominator"]) for row in first_days] == [(1, 3), (1, 1)]
    assert service.differences() == []


def test_the_worth_of_a_purchaser_is_what_it_orders_how_often_and_for_how_long(service: Service) -> None:
    # A year, of 12 months: Acme orders 4 times for 25.00, Globex 8 times for 50.00; one order is no habit.
    service.on("2026-03-15").send(
        buys("acme", "2024-12-20", "first", "999"),
        *(buys("acme", f"2025-{month:02}-20", f"{month}", "25") for month in (3, 6, 9, 12)),
        *(buys("globex", f"2025-{month:02}-01", f"{month}", "50") for month in range(1, 9)),
        buys("initech", "2025-05-05", "1", "7000"),
    )
    row = service.row("clv_purchases", period="2025", granularity="year")
    average, a_month = (4 * 25 + 8 * 50) / 12, 12 / (2 * 12)
    stay = (365 + 212) / 2 / 30.4375  # days from the first order of each to its last
    assert (row["value"], row["sample_size"]) == (pytest.approx(average * a_month * stay), 2)
    assert row["amount"] == f"{average * a_month * stay:.2f}"
    by_account = service.rows("clv_purchases", period="2025", granularity="year", group_by="account")
    assert {row["group"]["account"]: row["value"] for row in by_account} == {
        "acme": pytest.approx(25 * 4 / 12 * 365 / 30.4375),
        "globex": pytest.approx(50 * 8 / 12 * 212 / 30.4375),
    }
    nobody = service.row("clv_purchases", period="2024-12")
    assert (nobody["value"], nobody["amount"], nobody["reason"]) == (None, None, "no_repeat_purchases")


def test_orders_of_many_billions_add_up_to_the_digit(service: Service) -> None:
    service.send(*(buys(f"account-{n % 10}", "2026-03-02", f"{n}", "99999999999.9999") for n in range(1_000)))
    assert service.row("revenue")["amount"] == "99999999999999.90"
    assert service.value("repeat_purchase_rate") == 100
    assert service.differences() == []
