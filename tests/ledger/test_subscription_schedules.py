"""What is scheduled for a subscription: changes and ends that lie ahead, what withdraws them, and pauses.

The tests without a service are about the stream, a pure function.
"""

from collections.abc import Callable
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.core.periods import Calendar
from app.ledger.streams.define import StreamEvent
from tests.model.stream_events import balances, cancellation, change, movements, pause, postings, reasons, resumption
from tests.support.service import Service, event

START = change("2026-01-05", "100", plan="pro", seats=5)


def later_movements(*events: StreamEvent, **options: Any) -> list[tuple[str, str, float]]:
    """Return the movements after the start of the subscription on 5 January."""
    first, *others = movements(START, *events, **options)
    assert first == ("2026-01-05", "new", 100)
    return others


# ---- cancellations whose end lies ahead ----

CANCELED = cancellation("2026-03-03", ends_at="2026-04-05T00:00:00", reason="price")
CHURNED = ("2026-04-05", "churned", 100)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([change("2026-03-04", "80")], [("2026-03-04", "contraction", 20), ("2026-04-05", "churned", 80)]),
        ([change("2026-03-04", "130")], [("2026-03-04", "expansion", 30), ("2026-04-05", "churned", 130)]),
        ([change("2026-03-04", "100", seats=2)], [CHURNED]),
        ([change("2026-03-04", "100", plan="team")], [CHURNED]),
        # Several changes, and another cancellation that moves the end.
        (
            [change("2026-03-04", "80"), change("2026-03-05", "90"), cancellation("2026-03-06", ends_at="2026-05-01")],
            [("2026-03-04", "contraction", 20), ("2026-03-05", "expansion", 10), ("2026-05-01", "churned", 90)],
        ),
        ([change("2026-03-04", "0")], [("2026-03-04", "churned", 100)]),
    ],
)
def test_a_change_before_the_end_leaves_the_cancellation_in_force(events: list[StreamEvent], expected: Any) -> None:
    assert later_movements(CANCELED, *events) == expected


def test_the_reason_of_a_cancellation_outlives_changes() -> None:
    assert reasons(START, CANCELED, change("2026-03-04", "80")) == ["price"]


def test_resuming_before_the_end_withdraws_the_cancellation() -> None:
    assert later_movements(CANCELED, resumption("2026-03-20")) == []
    # Twice is the same as once, and the subscription can be canceled again.
    again = cancellation("2026-03-25", ends_at="2026-06-01", reason="merger")
    assert later_movements(CANCELED, resumption("2026-03-20"), resumption("2026-03-21")) == []
    assert later_movements(CANCELED, resumption("2026-03-20"), again) == [("2026-06-01", "churned", 100)]
    assert reasons(START, CANCELED, resumption("2026-03-20"), again) == ["merger"]


def test_resuming_keeps_the_price_that_was_changed_meanwhile() -> None:
    events = [CANCELED, change("2026-03-04", "80"), resumption("2026-03-20")]
    assert later_movements(*events) == [("2026-03-04", "contraction", 20)]


def test_resuming_after_the_end_restarts_at_the_last_price_plan_and_seats() -> None:
    events = [START, CANCELED, change("2026-03-04", "80", seats=3), resumption("2026-05-10"), resumption("2026-05-11")]
    assert movements(*events)[2:] == [("2026-04-05", "churned", 80), ("2026-05-10", "reactivated", 80)]
    assert balances("mrr", *events) == {"pro": 80 * 120_000}
    assert balances("seats", *events) == {"": 3}


def test_a_change_after_the_end_restarts_at_the_new_price() -> None:
    assert later_movements(CANCELED, change("2026-05-10", "70")) == [CHURNED, ("2026-05-10", "reactivated", 70)]


@pytest.mark.parametrize("at_the_end", [change("2026-04-05T00:00:00", "100"), resumption("2026-04-05T00:00:00")])
def test_what_happens_at_the_instant_of_the_end_leaves_no_gap(at_the_end: StreamEvent) -> None:
    assert later_movements(CANCELED, at_the_end) == []


def test_a_subscription_that_restarts_keeps_its_exchange_rate_only_when_it_is_resumed() -> None:
    euro: dict[str, Any] = {"currency": "EUR", "plan": "pro"}
    history = [change("2026-01-05", "100", rate="1.1", **euro), cancellation("2026-02-05")]
    assert movements(*history, resumption("2026-03-05"))[-1] == ("2026-03-05", "reactivated", 110)
    assert movements(*history, change("2026-03-05", "100", rate="1.3", **euro))[-1] == (
        "2026-03-05",
        "reactivated",
        130,
    )


def test_canceling_or_resuming_what_is_unknown_changes_nothing() -> None:
    before = [cancellation("2026-01-01", ends_at="2026-06-01"), pause("2026-01-02"), resumption("2026-01-03")]
    assert postings(*before) == {}
    assert postings(*before, START) == postings(START)
    assert postings(START, resumption("2026-02-01")) == postings(START)


# ---- the last paid day ----


def test_a_last_paid_day_is_paid_to_its_end_in_the_reporting_time_zone() -> None:
    days = {
        zone: later_movements(cancellation("2026-03-03", paid_through="2026-03-31"), calendar=Calendar(ZoneInfo(zone)))
        for zone in ("UTC", "Asia/Tokyo", "America/New_York", "Africa/Cairo", "Asia/Kathmandu")
    }
    assert set(map(str, days.values())) == {"[('2026-04-01', 'churned', 100.0)]"}


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_a_renewal_on_the_day_after_the_last_paid_day_is_no_churn(zone: str) -> None:
    calendar = Calendar(ZoneInfo(zone))
    midnight = calendar.midnight(calendar.day(change("2026-04-01T12:00:00", "1").at)).isoformat()[:19]
    for of in ("base", "next"):
        renewed = [
            cancellation("2026-01-05", paid_through="2026-03-31"),
            change(midnight, "110", of=of, plan="pro"),
        ]
        assert later_movements(*renewed, calendar=calendar) == [("2026-04-01", "expansion", 10)], of


def test_a_last_paid_day_in_the_past_ends_at_once() -> None:
    assert later_movements(change("2026-03-01", "150"), cancellation("2026-03-10", paid_through="2026-02-14")) == [
        ("2026-02-15", "churned", 100)
    ]
    assert later_movements(cancellation("2026-03-10T23:00:00", paid_through="2026-03-10")) == [
        ("2026-03-11", "churned", 100)
    ]


# ---- scheduled changes ----

SCHEDULED = change("2026-02-01", "60", effective_at="2026-06-01", plan="basic", seats=2)


def test_a_scheduled_change_counts_from_its_day() -> None:
    assert later_movements(SCHEDULED) == [("2026-06-01", "contraction", 40)]
    lines = postings(START, SCHEDULED)
    assert lines["2026-06-01", "mrr", "pro"] == -100 * 120_000
    assert lines["2026-06-01", "mrr", "basic"] == 60 * 120_000
    assert lines["2026-06-01", "seats", ""] == -3


def test_a_subscription_may_begin_in_the_future() -> None:
    begins = change("2026-01-05", "60", effective_at="2027-03-01")
    assert movements(begins) == [("2027-03-01", "new", 60)]
    # Signed, canceled and paid for a year, before it begins.
    term = [begins, cancellation("2026-01-05", paid_through="2028-02-29", reason="term")]
    assert movements(*term) == [("2027-03-01", "new", 60), ("2028-03-01", "churned", 60)]
    assert movements(*term, resumption("2026-06-01")) == movements(begins)
    for never in (cancellation("2026-02-01"), cancellation("2026-02-01", ends_at="2026-12-01")):
        assert postings(begins, never) == {}


@pytest.mark.parametrize("later", [change("2026-03-01", "100"), change("2026-03-01", "100", effective_at="2026-05-01")])
def test_a_later_change_withdraws_a_scheduled_one(later: StreamEvent) -> None:
    assert later_movements(SCHEDULED, later) == []
    # What the withdrawn change would have brought is not there.
    assert balances("mrr", START, SCHEDULED, later) == {"pro": 100 * 120_000}
    assert balances("seats", START, SCHEDULED, later) == {"": 5}


def test_of_two_scheduled_changes_the_one_that_was_made_last_counts() -> None:
    for effective_at in ("2026-05-01", "2026-06-01", "2026-07-01"):
        other = change("2026-02-02", "70", effective_at=effective_at)
        assert later_movements(SCHEDULED, other) == [(effective_at, "contraction", 30)]


def test_a_change_that_is_scheduled_after_another_took_effect_does_not_withdraw_it() -> None:
    events = [SCHEDULED, change("2026-06-02", "90", effective_at="2026-08-01")]
    assert later_movements(*events) == [("2026-06-01", "contraction", 40), ("2026-08-01", "expansion", 30)]


def test_an_end_withdraws_a_change_that_is_scheduled_for_later() -> None:
    ended = [("2026-04-05", "churned", 100)]
    assert later_movements(SCHEDULED, CANCELED) == later_movements(CANCELED, SCHEDULED) == ended
    assert later_movements(SCHEDULED, cancellation("2026-04-05")) == ended


RENEWAL = change("2026-03-04", "60", effective_at="2026-04-08")
GAPLESS_RENEWAL = change("2026-03-04", "60", effective_at="2026-04-05T00:00:00")


def test_a_change_that_is_scheduled_after_the_cancellation_for_its_end_or_later_is_a_renewal() -> None:
    assert later_movements(CANCELED, GAPLESS_RENEWAL) == [("2026-04-05", "contraction", 40)]
    assert later_movements(CANCELED, RENEWAL) == [CHURNED, ("2026-04-08", "reactivated", 60)]
    assert later_movements(CANCELED, RENEWAL, resumption("2026-03-05")) == [("2026-04-08", "contraction", 40)]
    resumed = later_movements(CANCELED, RENEWAL, resumption("2026-04-06"))
    assert resumed == [CHURNED, ("2026-04-06", "reactivated", 100), ("2026-04-08", "contraction", 40)]


@pytest.mark.parametrize(
    ("cancellation_date", "renewal", "expected"),
    [
        ("2026-03-06", RENEWAL, [CHURNED]),
        ("2026-03-06", GAPLESS_RENEWAL, [CHURNED]),
        ("2026-04-06", RENEWAL, [CHURNED]),
        ("2026-04-06", GAPLESS_RENEWAL, [("2026-04-05", "contraction", 40), ("2026-04-06", "churned", 60)]),
    ],
)
def test_a_later_cancellation_withdraws_a_renewal_that_has_not_begun(
    cancellation_date: str, renewal: StreamEvent, expected: Any
) -> None:
    end = "2026-04-05T00:00:00" if cancellation_date < "2026-04-05" else None
    assert later_movements(CANCELED, renewal, cancellation(cancellation_date, ends_at=end)) == expected


@pytest.mark.parametrize(("effective_at", "per_month"), [("2026-04-05T00:00:00", 110), ("2026-04-08", 120)])
def test_a_renewal_after_a_gap_takes_the_exchange_rate_of_its_own_event(effective_at: str, per_month: int) -> None:
    start = change("2026-01-05", "100", rate="1.1", currency="EUR")
    renewal = change("2026-03-04", "100", rate="1.2", currency="EUR", effective_at=effective_at)
    assert balances("mrr", start, CANCELED, renewal) == {"": per_month * 12 * 10_000}


def test_a_change_that_is_scheduled_before_the_end_counts_until_then() -> None:
    sooner = change("2026-03-04", "60", effective_at="2026-04-01")
    assert later_movements(CANCELED, sooner) == [("2026-04-01", "contraction", 40), ("2026-04-05", "churned", 60)]


def test_a_scheduled_change_restarts_a_subscription_that_has_ended() -> None:
    restart = change("2026-05-01", "70", effective_at="2026-06-01")
    assert later_movements(CANCELED, restart) == [CHURNED, ("2026-06-01", "reactivated", 70)]
    assert later_movements(CANCELED, restart, cancellation("2026-05-10")) == [CHURNED]
    resumed = later_movements(CANCELED, restart, resumption("2026-05-10"))
    assert resumed == [CHURNED, ("2026-05-10", "reactivated", 100), ("2026-06-01", "contraction", 30)]


def test_a_change_in_the_past_replaces_what_was_changed_since() -> None:
    events = [change("2026-03-01", "150", plan="team"), change("2026-04-01", "80", effective_at="2026-02-01")]
    assert later_movements(*events) == [("2026-02-01", "contraction", 20)]
    assert balances("mrr", START, *events) == {"pro": 80 * 120_000}
    # But pauses and gaps stay.
    paused = [pause("2026-02-10"), resumption("2026-02-20"), *events]
    assert [kind for _, kind, _ in later_movements(*paused)] == ["contraction", "churned", "reactivated"]
    sooner = change("2026-02-01", "70", effective_at="2025-12-01")
    assert movements(START, sooner) == [("2025-12-01", "new", 70)]


def test_a_scheduled_change_keeps_the_rate_of_the_subscription() -> None:
    euro: dict[str, Any] = {"currency": "EUR"}
    history = [
        change("2026-01-05", "100", rate="1.1", **euro),
        change("2026-02-01", "120", rate="1.5", effective_at="2026-06-01", **euro),
    ]
    assert movements(*history)[1:] == [("2026-06-01", "expansion", 22)]
    begins = change("2026-02-01", "120", rate="1.5", effective_at="2026-06-01", **euro)
    assert movements(begins) == [("2026-06-01", "new", 180)]


# ---- pauses ----


def test_a_pause_is_churn_with_its_reason_until_the_subscription_is_resumed() -> None:
    events = [pause("2026-03-10"), resumption("2026-04-20")]
    assert later_movements(*events) == [("2026-03-10", "churned", 100), ("2026-04-20", "reactivated", 100)]
    assert reasons(START, *events) == ["paused"]
    assert reasons(START, pause("2026-03-10", reason="holiday")) == ["holiday"]
    assert balances("mrr", START, pause("2026-03-10")) == balances("seats", START, pause("2026-03-10")) == {}
    assert balances("seats", START, *events) == {"": 5}


def test_a_pause_of_one_of_several_subscriptions_is_contraction() -> None:
    other = change("2026-01-05T18:00:00", "30", of="other")
    events = [START, other, pause("2026-03-10"), resumption("2026-04-20")]
    assert movements(*events)[1:] == [("2026-03-10", "contraction", 100), ("2026-04-20", "expansion", 100)]
    assert reasons(*events) == []


def test_pausing_or_resuming_twice_is_the_same_as_once() -> None:
    once = [START, pause("2026-03-10"), resumption("2026-04-20")]
    twice = [*once, pause("2026-03-12", reason="other"), resumption("2026-04-22")]
    assert postings(*twice) == postings(*once)


def test_a_pause_within_a_day_is_no_movement() -> None:
    assert later_movements(pause("2026-03-10T08:00:00"), resumption("2026-03-10T18:00:00")) == []


def test_a_paused_subscription_stays_paused_at_its_new_price() -> None:
    events = [pause("2026-03-10"), change("2026-03-20", "70", seats=9), resumption("2026-04-20")]
    assert later_movements(*events) == [("2026-03-10", "churned", 100), ("2026-04-20", "reactivated", 70)]
    assert balances("seats", START, *events) == {"": 9}
    scheduled = [pause("2026-03-10"), change("2026-03-11", "70", effective_at="2026-04-01"), resumption("2026-04-20")]
    assert later_movements(*scheduled) == later_movements(*events)


def test_the_exchange_rate_stays_during_a_pause() -> None:
    euro: dict[str, Any] = {"currency": "EUR"}
    history = [
        change("2026-01-05", "100", rate="1.1", **euro),
        pause("2026-02-01"),
        change("2026-02-10", "100", rate="1.9", **euro),
        resumption("2026-03-01"),
    ]
    assert [amount for _, _, amount in movements(*history)] == [110, 110, 110]


def test_a_pause_leaves_a_cancellation_in_force_and_a_resumption_withdraws_both() -> None:
    paused = [("2026-03-10", "churned", 100)]
    assert later_movements(CANCELED, pause("2026-03-10")) == paused
    assert later_movements(pause("2026-03-01"), CANCELED) == [("2026-03-01", "churned", 100)]
    resumed = later_movements(CANCELED, pause("2026-03-10"), resumption("2026-03-20"))
    assert resumed == [*paused, ("2026-03-20", "reactivated", 100)]
    # After the end, nothing is paused any more.
    late = [CANCELED, pause("2026-03-10"), pause("2026-05-01"), resumption("2026-05-10")]
    assert later_movements(*late) == [*paused, ("2026-05-10", "reactivated", 100)]
    restart = [CANCELED, pause("2026-03-10"), change("2026-05-10", "70")]
    assert later_movements(*restart) == [*paused, ("2026-05-10", "reactivated", 70)]
    assert reasons(START, *late) == ["paused"]


def test_a_paused_subscription_can_be_canceled_at_once() -> None:
    events = [pause("2026-03-10"), cancellation("2026-03-20", reason="price"), resumption("2026-03-25")]
    assert later_movements(*events) == [("2026-03-10", "churned", 100), ("2026-03-25", "reactivated", 100)]


def test_at_one_instant_changes_come_before_resumptions_pauses_and_cancellations() -> None:
    at = "2026-03-10T08:00:00"
    events = [
        cancellation(at, id="a", ends_at="2026-04-01"),
        pause(at, id="b"),
        resumption(at, id="c"),
        change(at, "70", id="d"),
    ]
    for order in permutations(events):
        assert later_movements(*order) == [("2026-03-10", "churned", 100)]
        assert later_movements(*order, resumption("2026-03-11"))[1:] == [("2026-03-11", "reactivated", 70)]


# ---- customers who are about to leave ----


def test_a_customer_is_leaving_from_the_cancellation_to_the_end_or_until_it_is_withdrawn() -> None:
    def leaving(*events: StreamEvent) -> list[tuple[str, int]]:
        lines = postings(START, *events)
        return [(day, value) for (day, name, _), value in sorted(lines.items()) if name == "customers_leaving"]

    assert leaving(CANCELED) == leaving(CANCELED, change("2026-03-04", "80")) == [("2026-03-03", 1), ("2026-04-05", -1)]
    assert leaving(CANCELED, resumption("2026-03-20")) == [("2026-03-03", 1), ("2026-03-20", -1)]
    assert leaving(CANCELED, pause("2026-03-10")) == [("2026-03-03", 1), ("2026-03-10", -1)]
    assert leaving(CANCELED, change("2026-03-04", "30", of="other"))[1] == ("2026-03-04", -1)
    assert leaving(cancellation("2026-03-03")) == leaving(SCHEDULED) == leaving(pause("2026-03-03")) == []


# ---- over HTTP ----


def subscription(verb: str, at: str, account: str = "acme", **data: Any) -> dict[str, Any]:
    return event(f"subscription.{verb}", account, at=at, subscription_id="s", **data)


def values(service: Service, metric: str, **question: Any) -> list[Any]:
    return [row["value"] for row in service.rows(metric, **question)]


def test_a_seat_change_after_the_cancellation_does_not_withdraw_it(service: Service) -> None:
    service.on("2026-07-10").send(
        subscription("changed", "2026-01-05", mrr="30", seats=3),
        subscription("canceled", "2026-03-03", ends_at="2026-04-05T00:00:00Z", reason="price"),
        subscription("changed", "2026-03-04", mrr="20", seats=2),
    )
    spring = {"start": "2026-03-01", "end": "2026-07-01"}
    assert values(service, "mrr", **spring) == [20, 0, 0, 0]
    assert values(service, "mrr_contraction", **spring) == [10, 0, 0, 0]
    assert values(service, "mrr_churned", **spring) == [0, 20, 0, 0]


def test_a_term_that_ends_with_its_last_day_and_is_renewed_is_no_churn(service: Service) -> None:
    term = {"occurred_at": "2025-01-01T00:00:00Z"}
    service.send(
        event("subscription.changed", subscription_id="k1", mrr="100") | term,
        event("subscription.canceled", subscription_id="k1", paid_through="2025-12-31") | term,
        event("subscription.changed", at="2026-01-01T00:00:00Z", subscription_id="k2", mrr="110"),
    )
    months = {"start": "2025-12-01", "end": "2026-02-01"}
    assert values(service, "mrr", **months) == [100, 110]
    assert values(service, "nrr", **months) == [100, pytest.approx(110)]
    for metric in ("customers_churned", "customers_reactivated", "customer_churn_rate"):
        assert values(service, metric, **months) == [0, 0]


def test_a_change_that_is_scheduled_for_next_year_is_kept_for_its_day(service: Service) -> None:
    service.on("2026-01-20").send(
        subscription("changed", "2026-01-15", mrr="50"),
        subscription("changed", "2026-01-16", mrr="5", effective_at="2027-01-15T10:00:00Z"),
    )
    assert service.value("mrr", period="2026-01") == 50
    assert service.differences() == []
    service.on("2027-02-01")
    assert values(service, "mrr", start="2026-12-01", end="2027-02-01") == [50, 5]
    assert values(service, "mrr_contraction", start="2026-12-01", end="2027-02-01") == [0, 45]
    service.send(subscription("changed", "2026-06-01", mrr="60", id="late"))
    assert values(service, "mrr", start="2026-12-01", end="2027-02-01") == [60, 60]
    service.retract("acme", "late")
    assert values(service, "mrr", start="2026-12-01", end="2027-02-01") == [50, 5]
    assert service.differences() == []


def test_a_pause_churns_by_the_reason_paused(service: Service) -> None:
    service.on("2026-06-01").send(
        subscription("changed", "2026-01-05", mrr="50", seats=4),
        subscription("paused", "2026-03-10"),
        subscription("resumed", "2026-05-02"),
    )
    spring = {"start": "2026-02-01", "end": "2026-06-01"}
    assert values(service, "mrr", **spring) == [50, 0, 0, 50]
    assert values(service, "mrr_reactivated", **spring) == [0, 0, 0, 50]
    (row,) = service.rows("customers_churned", period="2026-03", group_by="subject")
    assert (row["group"], row["value"]) == ({"subject": "paused"}, 1)


def test_ten_thousand_yearly_plans_have_an_arr_to_the_digit(service: Service) -> None:
    for first in range(0, 10_000, 5_000):
        service.send(
            *(
                event("subscription.changed", "acme", subscription_id=f"{n}", amount="100.00", interval="year")
                for n in range(first, first + 5_000)
            )
        )
    arr, mrr = service.row("arr"), service.row("mrr")
    assert (arr["value"], arr["amount"]) == (1_000_000, "1000000.00")
    assert (mrr["value"], mrr["amount"]) == (83_333.333333, "83333.33")
    assert service.row("arpa")["amount"] == "83333.33"
    assert service.differences() == []


def test_mrr_is_the_rounded_sum_and_not_a_sum_of_rounded_parts(service: Service) -> None:
    for account in ("a", "b", "c"):
        service.send(subscription("changed", "2026-03-10", account, amount="100", interval="year"))
    assert service.row("mrr")["value"] == 25
    assert values(service, "mrr", period="2026-03", group_by="account") == [8.333333] * 3
    assert service.row("mrr_new")["amount"] == "25.00"
    contributors = service.get("/v1/metrics/mrr/contributors", period="2026-03")["rows"]
    assert [row["share"] for row in contributors] == [pytest.approx(100 / 3, abs=1e-6)] * 3


def test_subscriptions_of_many_billions_add_up_to_the_digit_and_more_is_refused(service: Service) -> None:
    most = {"mrr": "99999999999.9999", "subscription_id": "s"}
    accounts = [f"account-{n}" for n in range(900)]
    service.send(*(event("subscription.changed", account, **most) for account in accounts[:500]))
    assert service.row("arr")["amount"] == "599999999999999.40"
    assert service.row("mrr_new")["amount"] == "49999999999999.95"
    rest = [event("subscription.changed", account, **most) for account in accounts[500:]]
    answer = service.request("POST", "/v1/events", json=rest)
    assert (answer.status_code, answer.json()["code"]) == (422, "out_of_range")
    assert service.row("arr")["amount"] == "599999999999999.40"
    assert service.differences() == []


FAULTS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "both ends": ("canceled", {"ends_at": "2026-04-01T00:00:00Z", "paid_through": "2026-03-31"}, "/data", "not both"),
    "a date as an instant": ("canceled", {"ends_at": "2026-03-31"}, "/data/ends_at", '"paid_through"'),
    "an instant as a date": (
        "canceled",
        {"paid_through": "2026-03-31T00:00:00Z"},
        "/data/paid_through",
        '"ends_at"',
    ),
    "a day that does not exist": ("canceled", {"paid_through": "2026-02-30"}, "/data/paid_through", "does not exist"),
    "a day that never comes": ("canceled", {"paid_through": "9999-12-31"}, "/data/paid_through", "1970 to 9998"),
    "an end that never comes": ("canceled", {"ends_at": "9999-12-31T23:59:59Z"}, "/data/ends_at", "1970 to 9998"),
    "an end that does not exist": ("canceled", {"ends_at": "2026-02-30T00:00:00Z"}, "/data/ends_at", "does not exist"),
    "a change before 1970": (
        "changed",
        {"mrr": "1", "effective_at": "1969-12-31T23:59:59Z"},
        "/data/effective_at",
        "1970",
    ),
    "a change without an offset": (
        "changed",
        {"mrr": "1", "effective_at": "2026-03-31T00:00:00"},
        "/data/effective_at",
        "RFC 3339",
    ),
    "a change of next year without effective_at": (
        "changed",
        {"mrr": "1", "at": "2027-01-15"},
        "/occurred_at",
        '"effective_at"',
    ),
    "a pause with a price": ("paused", {"mrr": "1"}, "/data/mrr", ""),
}


@pytest.mark.parametrize(("verb", "data", "pointer", "part"), FAULTS.values(), ids=FAULTS)
def test_what_cannot_be_understood_is_rejected_with_the_way_to_say_it(
    shared: Service, verb: str, data: dict[str, Any], pointer: str, part: str
) -> None:
    at = data.get("at", "2026-03-10")
    data = {name: value for name, value in data.items() if name != "at"}
    answer = shared.request("POST", "/v1/events", json=subscription(verb, at, "faulty", **data))
    (rejected,) = answer.json()["rejected"]
    assert (answer.status_code, rejected["pointer"]) == (422, pointer)
    assert part in rejected["detail"]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
def test_the_latest_end_is_within_the_calendar_of_every_zone(start_service: Callable[..., Service], zone: str) -> None:
    service = start_service(reporting_timezone=zone)
    service.send(subscription("changed", "2026-03-10", mrr="10"))
    service.send(subscription("canceled", "2026-03-10", paid_through="9998-12-31"))
    assert values(service, "mrr", period="9998-12") == [10]
    assert service.differences() == []


def test_the_earliest_and_latest_days_are_accepted(service: Service) -> None:
    service.send(
        subscription("changed", "2026-03-10", "first", mrr="10", effective_at="1970-01-01T00:00:00Z"),
        subscription("canceled", "2026-03-10", "first", paid_through="9998-12-31"),
        subscription("changed", "2026-03-10", "last", mrr="10", effective_at="9998-12-31T23:59:59Z"),
        subscription("canceled", "2026-03-10", "never", paid_through="1970-01-01"),
    )
    assert values(service, "mrr", period="1970-01") == [10]
    assert values(service, "mrr", period="2026-03") == [10]
    assert service.differences() == []
