"""The stream of an account's orders, a pure function, and its metrics."""

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
    "orders_kept": "kept",
    "purchases_kept": "of",
    "kept_purchase_seconds": "for",
}


def parse_event(text: str) -> StreamEvent:
    """Return the event of a text such as `a completed 03-01 100`: order, what happened, when in 2026, and the amount."""
    order, type, at, amount = text.split()
    return stream_event(f"purchase.{type}", f"2026-{at}", id=text, order_id=order, amount=amount)


def posted_values(*events: StreamEvent, of: tuple[str, ...] = tuple(SHORT)) -> str:
    """Return what is posted by measure and day, money in whole units and seconds in days."""
    money, seconds = ("purchases", "refunds", "purchases_kept"), ("purchase_seconds", "kept_purchase_seconds")
    units = dict.fromkeys(money, 10_000) | dict.fromkeys(seconds, DAY)
    values = postings_by_measure(purchases, *events)
    return ", ".join(
        f"{SHORT[name]} " + " ".join(f"{day[5:]}:{value / units.get(name, 1):g}" for day, value in values[name].items())
        for name in SHORT
        if name in values and name in of
    )


MONEY = ("purchases", "refunds")
KEPT = ("orders_kept", "purchases_kept", "kept_purchase_seconds")
# Events -> the money paid and refunded, by day.
PAYMENTS_AND_REFUNDS = {
    "an order is paid": ("a completed 03-01 100", "paid 03-01:100"),
    "a second event of the same order changes nothing": (
        "a completed 03-01 100, a completed 03-05 900",
        "paid 03-01:100",
    ),
    "a refund counts on its own day": ("a completed 03-01 100, a refunded 03-09 100", "paid 03-01:100, back 03-09:100"),
    "partial refunds": (
        "a completed 03-01 100, a refunded 03-08 30, a refunded 03-09 20",
        "paid 03-01:100, back 03-08:30 03-09:20",
    ),
    "refunds do not exceed the payment": (
        "a completed 03-01 100, a refunded 03-08 80, a refunded 03-09 80, a refunded 03-10 1",
        "paid 03-01:100, back 03-08:80 03-09:20",
    ),
    "each order on its own": (
        "a completed 03-01 100, b completed 03-02 10, b refunded 03-09 80",
        "paid 03-01:100 03-02:10, back 03-09:10",
    ),
    "a refund of an unknown order does not count": ("a completed 03-01 100, b refunded 03-09 80", "paid 03-01:100"),
    "a refund before its order counts with it": (
        "a refunded 03-01 80, a completed 03-09 100",
        "paid 03-09:100, back 03-09:80",
    ),
    "at the same instant, a payment comes before its refund": (
        "a refunded 03-01T08:00 100, a completed 03-01T08:00 100",
        "paid 03-01:100, back 03-01:100",
    ),
    "of two events at the same instant, the first id counts": (
        "a completed 03-01T08:00 100, a completed 03-01T08:00 900",
        "paid 03-01:100",
    ),
    "an order with the amount zero": ("a completed 03-01 0, a refunded 03-02 5", ""),
}


@pytest.mark.parametrize(("events", "expected"), PAYMENTS_AND_REFUNDS.values(), ids=PAYMENTS_AND_REFUNDS)
def test_money_is_posted_the_same_in_any_order_of_arrival(events: str, expected: str) -> None:
    for order in permutations(events.split(", ")):
        assert posted_values(*map(parse_event, order), of=MONEY) == expected


# Events -> orders, days, days from the first to the last order, the first order and the second.
ORDER_COUNTS = {
    "one order": ("a completed 03-01 1", "orders 03-01:1, days 03-01:1, first 03-01:1"),
    "a refunded order stays an order": (
        "a completed 03-01 1, a refunded 03-02 1",
        "orders 03-01:1, days 03-01:1, first 03-01:1",
    ),
    "two orders on one day": (
        "a completed 03-01T00:00 1, b completed 03-01T12:00 1",
        "orders 03-01:2, days 03-01:1, seconds 03-01:0.5, first 03-01:1, second 03-01:1",
    ),
    "three orders": (
        "a completed 03-01 1, b completed 03-11 1, c completed 03-31 1",
        "orders 03-01:1 03-11:1 03-31:1, days 03-01:1 03-11:1 03-31:1, seconds 03-11:10 03-31:20, first 03-01:1, second 03-11:1",
    ),
    "a second event of the same order is no second order": (
        "a completed 03-01 1, a completed 03-11 1",
        "orders 03-01:1, days 03-01:1, first 03-01:1",
    ),
}


@pytest.mark.parametrize(("events", "expected"), ORDER_COUNTS.values(), ids=ORDER_COUNTS)
def test_orders_are_counted_the_same_in_any_order_of_arrival(events: str, expected: str) -> None:
    measures = tuple(name for name in SHORT if name not in MONEY + KEPT)
    for order in permutations(events.split(", ")):
        assert posted_values(*map(parse_event, order), of=measures) == expected


# Events -> orders that were not refunded in full, what was kept of them, and the days from the first to the last of them.
KEPT_ORDERS = {
    "nothing is refunded": (
        "a completed 03-01 10, b completed 03-11 20",
        "kept 03-01:1 03-11:1, of 03-01:10 03-11:20, for 03-11:10",
    ),
    "a part is refunded, in two refunds": (
        "a completed 03-01 10, a refunded 03-02 3, a refunded 04-09 4",
        "kept 03-01:1, of 03-01:3",
    ),
    "an order that is refunded in full is none": (
        "a completed 03-01 10, b completed 03-11 20, c completed 03-31 40, a refunded 04-09 10",
        "kept 03-11:1 03-31:1, of 03-11:20 03-31:40, for 03-31:20",
    ),
    "it is refunded in full by two refunds": ("a completed 03-01 10, a refunded 03-02 6, a refunded 03-03 6", ""),
    "all orders are refunded": (
        "a completed 03-01 10, b completed 03-11 20, a refunded 04-09 10, b refunded 03-11 20",
        "",
    ),
    "an order without a price is kept until it is refunded": (
        "a completed 03-01 0, b completed 03-11 0, b refunded 03-12 0",
        "kept 03-01:1",
    ),
    "a refund of another order": ("a completed 03-01 10, b refunded 03-02 10", "kept 03-01:1, of 03-01:10"),
}


@pytest.mark.parametrize(("events", "expected"), KEPT_ORDERS.values(), ids=KEPT_ORDERS)
def test_what_was_kept_counts_on_the_day_of_the_order(events: str, expected: str) -> None:
    for order in permutations(events.split(", ")):
        assert posted_values(*map(parse_event, order), of=KEPT) == expected


def test_fractions_of_a_second_do_not_add_up() -> None:
    times = [f"03-01T00:00:{second}" for second in ("00", "00.600", "01.200", "01.800", "02.400")]
    events = [parse_event(f"{number} completed {at} 1") for number, at in enumerate(times)]
    assert postings_by_measure(purchases, *events)["purchase_seconds"] == {"2026-03-01": 2}


def test_a_full_refund_leaves_nothing_whatever_the_rates() -> None:
    order = {"order_id": "a", "currency": "EUR"}
    purchased = stream_event("purchase.completed", "2026-03-01", rate="1.1", amount="100", **order)
    refund_fields = {"rate": "0.9", **order}
    full_refund = stream_event("purchase.refunded", "2026-03-09", amount="100", **refund_fields)
    assert posted_values(purchased, full_refund, of=MONEY) == "paid 03-01:110, back 03-09:110"
    partial_refunds = [
        stream_event("purchase.refunded", f"2026-03-{day:02}", amount="33.3333", **refund_fields) for day in (8, 9, 10)
    ]
    assert (
        posted_values(purchased, *partial_refunds, of=MONEY)
        == "paid 03-01:110, back 03-08:36.6666 03-09:36.6666 03-10:36.6666"
    )
    # A refund in another currency is converted by the rate of its own day.
    in_dollars = stream_event("purchase.refunded", "2026-03-09", amount="100", order_id="a")
    assert posted_values(purchased, in_dollars, of=MONEY) == "paid 03-01:110, back 03-09:100"
    in_pounds = stream_event("purchase.refunded", "2026-03-09", amount="50", rate="1.3", order_id="a", currency="GBP")
    assert posted_values(purchased, in_pounds, of=MONEY) == "paid 03-01:110, back 03-09:65"


def test_the_time_zone_decides_the_days_of_orders() -> None:
    events = [parse_event("a completed 03-01T20:00 1"), parse_event("b completed 03-02T10:00 1")]
    assert postings_by_measure(purchases, *events)["purchase_days"] == {"2026-03-01": 1, "2026-03-02": 1}
    tokyo = postings_by_measure(purchases, *events, calendar=Calendar(ZoneInfo("Asia/Tokyo")))
    assert (tokyo["purchase_days"], tokyo["purchase_seconds"]) == ({"2026-03-02": 1}, {"2026-03-02": 14 * 3600})


def purchase_event(account: str, at: str, order_id: str, amount: str = "100", **data: Any) -> dict[str, Any]:
    return event("purchase.completed", account, at=at, order_id=order_id, amount=amount, **data)


def refund_event(account: str, at: str, order_id: str, amount: str, **data: Any) -> dict[str, Any]:
    return event("purchase.refunded", account, at=at, order_id=order_id, amount=amount, **data)


def test_revenue_is_payments_minus_refunds_each_on_its_day(service: Service) -> None:
    service.on("2026-03-12").send(
        purchase_event("acme", "2026-02-10", "1", "100.5"), purchase_event("globex", "2026-02-20", "1")
    )
    service.on("2026-03-13").send(
        refund_event("acme", "2026-03-02", "1", "400"), purchase_event("acme", "2026-03-10", "2", "20")
    )
    months = {"start": "2026-02-01", "end": "2026-04-01"}
    assert [row["amount"] for row in service.rows("revenue", **months)] == ["200.50", "-80.50"]
    assert [row["amount"] for row in service.rows("revenue", **months, as_of="2026-03-12")] == ["200.50", "0.00"]
    by_account = service.rows("revenue", **months, group_by="account", granularity="total")
    assert {row["group"]["account"]: row["value"] for row in by_account} == {"acme": 20, "globex": 100}
    assert service.differences() == []


def test_the_repeat_purchase_rate_counts_buyers_with_an_earlier_order(service: Service) -> None:
    service.send(
        purchase_event("old", "2025-05-01", "1"),
        purchase_event("old", "2026-03-02", "2"),
        refund_event("old", "2026-03-03", "2", "100"),
    )
    service.send(purchase_event("new", "2026-03-02", "1"), purchase_event("new", "2026-03-02", "1", id="again"))
    service.send(purchase_event("twice", "2026-03-02", "1"), purchase_event("twice", "2026-03-03", "2"))
    service.send(purchase_event("silent", "2026-01-02", "1"), purchase_event("silent", "2026-02-03", "2"))
    row = service.row("repeat_purchase_rate")
    assert (row["numerator"], row["denominator"]) == (2, 3)
    january = service.row("repeat_purchase_rate", period="2026-01")
    assert (january["value"], january["denominator"]) == (0, 1)
    empty = service.row("repeat_purchase_rate", period="2025-12")
    assert (empty["value"], empty["reason"]) == (None, "no_purchases")
    first_days = service.rows("repeat_purchase_rate", start="2026-03-02", end="2026-03-04", granularity="day")
    assert [(row["numerator"], row["denominator"]) for row in first_days] == [(1, 3), (1, 1)]
    assert service.differences() == []


def test_clv_is_order_value_times_frequency_times_duration(service: Service) -> None:
    # A year of 12 months: Acme orders 4 times for 25.00, Globex 8 times for 50.00; Initech's single order is left out.
    service.on("2026-03-15").send(
        purchase_event("acme", "2024-12-20", "first", "999"),
        *(purchase_event("acme", f"2025-{month:02}-20", f"{month}", "25") for month in (3, 6, 9, 12)),
        *(purchase_event("globex", f"2025-{month:02}-01", f"{month}", "50") for month in range(1, 9)),
        purchase_event("initech", "2025-05-05", "1", "7000"),
    )
    row = service.row("clv_purchases", period="2025", granularity="year")
    average, orders_per_month = (4 * 25 + 8 * 50) / 12, 12 / (2 * 12)
    months_active = (365 + 212) / 2 / 30.4375  # days from the first order of each to its last
    assert (row["value"], row["sample_size"]) == (pytest.approx(average * orders_per_month * months_active), 2)
    assert row["amount"] == f"{average * orders_per_month * months_active:.2f}"
    by_account = service.rows("clv_purchases", period="2025", granularity="year", group_by="account")
    assert {row["group"]["account"]: row["value"] for row in by_account} == {
        "acme": pytest.approx(25 * 4 / 12 * 365 / 30.4375),
        "globex": pytest.approx(50 * 8 / 12 * 212 / 30.4375),
    }
    no_buyers = service.row("clv_purchases", period="2024-12")
    assert (no_buyers["value"], no_buyers["amount"], no_buyers["reason"]) == (None, None, "no_repeat_purchases")


def net_row(service: Service, **question: Any) -> dict[str, Any]:
    """Return the row of the lifetime value net of refunds in January and February 2026."""
    period = {"start": "2026-01-01", "end": "2026-03-01", "granularity": "total"}
    (row,) = service.rows("clv_purchases", **{"convention": "net_of_refunds"} | period | question)
    return row


def test_the_lifetime_value_net_of_refunds_of_somebody_who_gave_everything_back_is_zero(service: Service) -> None:
    service.on("2026-04-01").send(
        purchase_event("acme", "2026-01-01", "1", "500"),
        refund_event("acme", "2026-01-05", "1", "500"),
        purchase_event("acme", "2026-02-01", "2", "500"),
        refund_event("acme", "2026-02-05", "2", "500"),
    )
    row = net_row(service)
    assert (row["value"], row["amount"], row["sample_size"]) == (0, "0.00", 1)
    assert net_row(service, convention="gross_of_refunds")["value"] > 500
    # Beside an account that kept its orders it counts nothing.
    service.send(purchase_event("globex", "2026-01-01", "1", "30"), purchase_event("globex", "2026-02-10", "2", "60"))
    row, months = net_row(service), 2
    assert (row["value"], row["sample_size"]) == (pytest.approx(90 / months * 40 / 30.4375), 1)


def test_the_lifetime_value_net_of_refunds_counts_orders_at_what_was_kept_of_them(service: Service) -> None:
    service.on("2026-03-20").send(
        purchase_event("acme", "2025-12-01", "0", "900"),
        purchase_event("acme", "2026-01-10", "1", "100"),
        purchase_event("acme", "2026-02-10", "2", "100"),
        purchase_event("acme", "2026-02-20", "3", "100"),
        refund_event("acme", "2026-02-11", "2", "25"),
        refund_event("acme", "2026-03-10", "3", "100"),
        # One order that was kept is no second order.
        purchase_event("globex", "2026-01-10", "1", "70"),
        purchase_event("globex", "2026-01-11", "2", "70"),
        refund_event("globex", "2026-01-12", "2", "70"),
    )
    row = net_row(service)
    # From 1 December to 10 February are 71 days.
    assert (row["value"], row["sample_size"]) == (pytest.approx((100 + 75) / 2 * 71 / 30.4375), 1)
    no_second = net_row(service, account="globex")
    assert (no_second["value"], no_second["reason"]) == (None, "no_repeat_purchases")
    # A refund becomes known later, and lowers the value of the past period from then on.
    service.on("2026-03-25").send(refund_event("acme", "2026-03-24", "0", "900"))
    assert net_row(service)["value"] == pytest.approx((100 + 75) / 2 * 31 / 30.4375)
    assert net_row(service, as_of="2026-03-20")["value"] == pytest.approx(row["value"])
    assert service.differences() == []


def test_orders_of_many_billions_add_up_to_the_digit(service: Service) -> None:
    service.send(*(purchase_event(f"account-{n % 10}", "2026-03-02", f"{n}", "99999999999.9999") for n in range(1_000)))
    assert service.row("revenue")["amount"] == "99999999999999.90"
    assert service.value("repeat_purchase_rate") == 100
    assert service.differences() == []
