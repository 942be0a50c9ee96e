"""The stream of an account's subscriptions, a pure function: a test for each rule.

What is scheduled for the future, pauses and resumptions are in `test_subscription_schedules`.
"""

from collections import Counter
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.core.periods import Calendar
from tests.model.stream_events import balances, cancellation, change, movements, postings, reasons


@pytest.mark.parametrize(
    ("price", "ten_thousandths"),
    [
        ({"mrr": "99.9999"}, 11_999_988),
        ({"amount": "100", "interval": "month"}, 12_000_000),
        ({"amount": "100", "interval": "week"}, 52_000_000),
        ({"amount": "100", "interval": "quarter"}, 4_000_000),
        ({"amount": "1188", "interval": "year"}, 11_880_000),
        ({"amount": "100", "interval": "year"}, 1_000_000),
        ({"amount": "100", "interval": "year", "interval_count": 2}, 500_000),
        ({"amount": "100", "interval": "year", "interval_count": 3}, 333_333),
        ({"amount": "200", "interval": "year", "interval_count": 3}, 666_667),
        ({"amount": "12", "interval": "week", "interval_count": 4}, 1_560_000),
        ({"amount": "10", "interval": "month", "interval_count": 7}, 171_429),
    ],
)
def test_every_price_is_kept_per_year(price: dict[str, Any], ten_thousandths: int) -> None:
    assert balances("mrr", change("2026-03-10", **price)) == {"": ten_thousandths}


@pytest.mark.parametrize(
    ("amount", "rate", "ten_thousandths"),
    [("0.0001", "0.5", 1), ("0.0001", "0.4999", 0), ("0.0003", "0.5", 2), ("0.0006", None, 6)],
)
def test_money_is_rounded_half_up_to_four_decimals(amount: str, rate: str | None, ten_thousandths: int) -> None:
    assert balances("mrr", change("2026-03-10", amount=amount, interval="year", rate=rate)) == (
        {"": ten_thousandths} if ten_thousandths else {}
    )


def test_a_price_is_rounded_once_after_applying_interval_and_rate() -> None:
    # A third of 1.00 is 0.3333 before the rate, which would come to 0.9999.
    price = {"amount": "1", "interval": "year", "interval_count": 3, "currency": "EUR"}
    assert balances("mrr", change("2026-03-10", rate="3", **price)) == {"": 10_000}


def test_the_first_price_above_zero_makes_a_new_customer() -> None:
    assert postings(change("2026-03-10", "100", plan="pro", seats=5)) == {
        ("2026-03-10", "mrr", "pro"): 12_000_000,
        ("2026-03-10", "mrr_new", ""): 12_000_000,
        ("2026-03-10", "customers", ""): 1,
        ("2026-03-10", "customers_new", ""): 1,
        ("2026-03-10", "seats", ""): 5,
    }


def test_an_account_that_pays_again_is_reactivated_and_never_new_again() -> None:
    history = [
        change("2026-01-10", "100"),
        cancellation("2026-02-10"),
        change("2026-03-10", "40"),
        change("2026-04-10", "0"),
        change("2026-05-10", "60", of="another"),
    ]
    assert movements(*history) == [
        ("2026-01-10", "new", 100),
        ("2026-02-10", "churned", 100),
        ("2026-03-10", "reactivated", 40),
        ("2026-04-10", "churned", 40),
        ("2026-05-10", "reactivated", 60),
    ]


def test_a_free_subscription_makes_no_customer_but_has_seats() -> None:
    assert postings(change("2026-03-10", "0", plan="free", seats=3)) == {("2026-03-10", "seats", ""): 3}
    # A subscription that begins free is new on the day on which it is first paid for.
    later_price = change("2026-04-10", "10")
    assert movements(change("2026-03-10", "0"), later_price) == [("2026-04-10", "new", 10)]


def test_a_price_of_zero_is_churn_and_keeps_the_seats() -> None:
    history = [change("2026-03-10", "100", plan="pro", seats=5), change("2026-03-20", "0")]
    assert movements(*history) == [("2026-03-10", "new", 100), ("2026-03-20", "churned", 100)]
    assert reasons(*history) == [""]
    assert balances("seats", *history) == {"": 5}
    assert balances("mrr", *history) == balances("customers", *history) == {}


def test_changes_of_several_subscriptions_on_one_day_are_one_movement() -> None:
    before = [change("2026-03-01", "100", of="one"), change("2026-03-01", "50", of="two")]
    assert movements(*before) == [("2026-03-01", "new", 150)]
    day = "2026-03-10"
    assert movements(*before, change(day, "130", of="one"), change(day, "40", of="two"))[1:] == [(day, "expansion", 20)]
    assert movements(*before, change(day, "130", of="one"), cancellation(day, of="two"))[1:] == [
        (day, "contraction", 20)
    ]
    assert movements(*before, cancellation(day, of="one"), change(day, "100", of="three"))[1:] == []
    assert movements(*before, cancellation(day, of="one"), cancellation(day, of="two"))[1:] == [(day, "churned", 150)]


def test_changes_that_cancel_out_within_a_day_are_no_movement() -> None:
    canceled_and_resumed = [
        change("2026-03-10T08:00", "100"),
        cancellation("2026-03-20T08:00"),
        change("2026-03-20T18:00", "100"),
        change("2026-03-21T08:00", "900"),
        change("2026-03-21T18:00", "100"),
    ]
    assert movements(*canceled_and_resumed) == [("2026-03-10", "new", 100)]
    ended_on_the_first_day = [
        change("2026-03-10T08:00", "100"),
        cancellation("2026-03-10T18:00"),
        change("2026-03-12", "70"),
    ]
    assert movements(*ended_on_the_first_day) == [("2026-03-12", "new", 70)]


def test_another_plan_at_the_same_price_moves_money_between_plans_only() -> None:
    history = [change("2026-03-10", "100", plan="pro"), change("2026-03-20", "100", plan="team")]
    assert postings(*history) - postings(history[0]) == Counter({("2026-03-20", "mrr", "team"): 12_000_000})
    assert postings(*history)["2026-03-20", "mrr", "pro"] == -12_000_000
    assert balances("mrr", *history) == {"team": 12_000_000}


def test_plan_and_seats_that_are_not_named_stay_even_after_an_end() -> None:
    history = [
        change("2026-03-01", "100", plan="pro", seats=5),
        change("2026-03-05", "110"),
        change("2026-03-06", "120", seats=7),
        cancellation("2026-03-10"),
        change("2026-03-20", "90"),
    ]
    assert balances("mrr", *history[:3]) == {"pro": 14_400_000}
    assert balances("seats", *history[:2]) == {"": 5}
    assert balances("seats", *history[:4]) == {}
    assert balances("mrr", *history) == {"pro": 10_800_000}
    assert balances("seats", *history) == {"": 7}


def test_a_cancellation_takes_effect_when_the_paid_period_ends() -> None:
    history = [change("2026-03-01", "100"), cancellation("2026-03-10", ends_at="2026-03-31T00:00:00", reason="price")]
    assert movements(*history)[1:] == [("2026-03-31", "churned", 100)]
    assert reasons(*history) == ["price"]
    assert movements(history[0], cancellation("2026-03-10", ends_at="2026-03-05"))[1:] == [
        ("2026-03-05", "churned", 100)
    ]


def test_an_end_in_the_past_undoes_later_changes() -> None:
    history = [
        change("2026-03-01", "100"),
        change("2026-03-08", "300"),
        cancellation("2026-03-10", ends_at="2026-03-05"),
        change("2026-03-20", "80"),
    ]
    assert movements(*history) == [
        ("2026-03-01", "new", 100),
        ("2026-03-05", "churned", 100),
        ("2026-03-20", "reactivated", 80),
    ]
    assert postings(change("2026-03-01", "100"), cancellation("2026-03-10", ends_at="2026-02-01")) == {}


def test_at_the_same_instant_a_change_comes_before_a_cancellation_and_then_ids_decide() -> None:
    at = "2026-03-10T08:00:00"
    assert movements(cancellation(at, id="a"), change(at, "100", id="b")) == []
    both = [change(at, "100", id="a"), change(at, "70", id="b")]
    assert movements(*both) == movements(*reversed(both)) == [("2026-03-10", "new", 70)]


def test_canceling_an_ended_or_unknown_subscription_changes_nothing() -> None:
    assert postings(cancellation("2026-03-10", reason="price")) == {}
    ended = [change("2026-03-01", "100"), cancellation("2026-03-10", reason="price")]
    assert postings(*ended, cancellation("2026-03-12", reason="merger")) == postings(*ended)
    assert postings(*ended, cancellation("2026-03-12", ends_at="2026-03-10T18:00:00", reason="merger")) == postings(
        *ended
    )
    assert postings(*ended, cancellation("2026-03-12", ends_at="2026-03-10T12:00:00", reason="merger")) == postings(
        *ended
    )
    assert postings(*ended, cancellation("2026-03-12", of="unknown", reason="merger")) == postings(*ended)
    # But a later cancellation with an earlier end takes effect.
    earlier = cancellation("2026-03-12", ends_at="2026-03-08", reason="merger")
    assert movements(*ended, earlier)[1:] == [("2026-03-08", "churned", 100)]
    assert reasons(*ended, earlier) == ["merger"]


def test_the_reason_is_that_of_the_last_cancellation_to_take_effect_on_the_day() -> None:
    before = [change("2026-03-01", "100", of="one"), change("2026-03-01", "50", of="two")]
    earlier = cancellation("2026-03-09", of="two", ends_at="2026-03-10T18:00:00", reason="price")
    later = cancellation("2026-03-10T12:00:00", of="one", reason="merger")
    assert reasons(*before, earlier, later) == ["price"]
    of_the_other = [cancellation("2026-03-09", of="one", ends_at="2026-03-10T18:00:00", reason="price")]
    assert reasons(*before, *of_the_other, cancellation("2026-03-10T12:00:00", of="two", reason="merger")) == ["price"]
    # A cancellation that takes effect while the account still pays does not give the reason.
    assert reasons(*before, cancellation("2026-03-05", of="two", reason="price"), later) == ["merger"]
    assert reasons(
        *before, cancellation("2026-03-05", of="two", reason="price"), change("2026-03-10", "0", of="one")
    ) == [""]


def test_a_subscription_keeps_the_rate_of_the_day_on_which_it_became_positive() -> None:
    euro = {"currency": "EUR"}
    history = [
        change("2026-03-01", "0", rate="1.9", **euro),
        change("2026-03-05", "100", rate="1.1", **euro),
        change("2026-03-10", "100", rate="1.5", seats=3, **euro),
        change("2026-03-15", "120", rate="1.6", **euro),
    ]
    assert movements(*history) == [("2026-03-05", "new", 110), ("2026-03-15", "expansion", 22)]
    restart = [cancellation("2026-03-20"), change("2026-03-25", "100", rate="1.2", **euro)]
    assert movements(*history, *restart)[2:] == [("2026-03-20", "churned", 132), ("2026-03-25", "reactivated", 120)]


def test_a_change_of_currency_takes_the_rate_of_its_day() -> None:
    history = [
        change("2026-03-01", "100", currency="EUR", rate="1.1"),
        change("2026-03-05", "100", currency="GBP", rate="1.3"),
        change("2026-03-10", "100", currency="GBP", rate="1.4"),
        change("2026-03-15", "100"),
        change("2026-03-20", "100", currency="EUR", rate="1.2"),
    ]
    assert [amount for _, _, amount in movements(*history)] == [110, 20, 30, 20]


def test_the_time_zone_decides_the_day() -> None:
    history = [change("2026-03-10T23:30:00", "100"), cancellation("2026-03-20", ends_at="2026-03-31T02:00:00")]
    days = {
        zone: [day for day, _, _ in movements(*history, calendar=Calendar(ZoneInfo(zone)))]
        for zone in ("UTC", "Asia/Tokyo", "America/New_York")
    }
    assert days == {
        "UTC": ["2026-03-10", "2026-03-31"],
        "Asia/Tokyo": ["2026-03-11", "2026-03-31"],
        "America/New_York": ["2026-03-10", "2026-03-30"],
    }


def test_a_change_at_the_instant_of_the_end_keeps_the_rate() -> None:
    # At the same instant, a change comes before an end: the subscription was never at zero.
    end = "2026-03-31T00:00:00"
    history = [
        change("2026-03-01", "100", currency="EUR", rate="1.1"),
        cancellation("2026-03-10", ends_at=end),
        change(end, "100", currency="EUR", rate="1.5"),
    ]
    assert movements(*history) == [("2026-03-01", "new", 110)]


def test_the_last_of_several_cancellations_for_the_same_instant_gives_the_reason() -> None:
    end = "2026-03-31T00:00:00"
    history = [
        change("2026-03-01", "100", of="one"),
        change("2026-03-01", "50", of="two"),
        cancellation("2026-03-10", of="one", ends_at=end, reason="price"),
        cancellation("2026-03-11", of="two", ends_at=end, reason="merger"),
    ]
    assert reasons(*history) == ["merger"]
