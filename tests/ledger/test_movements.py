"""What holds of the movements of any history of subscriptions."""

from collections import Counter
from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.periods import Calendar
from app.ledger.streams.define import StreamEvent
from tests.model.stream_events import balances, cancellation, change, postings

GAINED, LOST = ("mrr_new", "mrr_reactivated", "mrr_expansion"), ("mrr_contraction", "mrr_churned")


@st.composite
def histories(draw: st.DrawFn) -> list[StreamEvent]:
    """Changes and cancellations of few subscriptions on few instants, so that much meets."""

    def moment() -> str:
        hours = draw(st.integers(0, 14 * 4)) * 6
        return (datetime(2026, 3, 1) + timedelta(hours=hours)).isoformat()

    happenings = []
    for number in range(draw(st.integers(1, 14))):
        named = {"of": draw(st.sampled_from(["one", "one", "two"])), "id": f"{number:02}"}
        if draw(st.integers(0, 2)):
            money = {"currency": "EUR", "rate": draw(st.sampled_from(["1.1", "0.9"]))} if draw(st.booleans()) else {}
            sides = {"plan": draw(st.sampled_from(["pro", "team"]))} if draw(st.booleans()) else {}
            sides |= {"seats": draw(st.sampled_from([0, 3]))} if draw(st.booleans()) else {}
            happenings.append(change(moment(), draw(st.sampled_from(["0", "10", "25.5"])), **named, **money, **sides))
        else:
            end = moment() if draw(st.booleans()) else None
            happenings.append(
                cancellation(moment(), ends_at=end, reason=draw(st.sampled_from(["price", "merger"])), **named)
            )
    return happenings


@settings(deadline=None, max_examples=50)
@given(histories(), st.sampled_from(["UTC", "Pacific/Kiritimati", "America/New_York"]))
def test_every_days_movement_explains_the_change_of_mrr_and_of_customers(
    happenings: list[StreamEvent], zone: str
) -> None:
    lines = postings(*happenings, calendar=Calendar(ZoneInfo(zone)))
    mrr = customers = 0
    ever = False
    for day in sorted({day for day, _, _ in lines}):
        of: Counter[str] = Counter()
        for (on, name, _), value in lines.items():
            if on == day:
                of[name] += value
        assert of["mrr"] == sum(of[name] for name in GAINED) - sum(of[name] for name in LOST)
        moved = {name: of[name] for name in (*GAINED, *LOST) if of[name]}
        assert len(moved) == bool(of["mrr"]) and min(moved.values(), default=1) > 0
        assert of["customers"] == of["customers_new"] + of["customers_reactivated"] - of["customers_churned"]
        assert (of["customers_new"], of["customers_reactivated"]) == (
            (int("mrr_new" in moved), int("mrr_reactivated" in moved))
        )
        assert ("mrr_new" in moved) <= (not ever) and ("mrr_reactivated" in moved) <= ever
        mrr, customers, ever = mrr + of["mrr"], customers + of["customers"], ever or of["mrr"] > 0
        assert mrr >= 0 and customers == (mrr > 0)
    for stock in ("mrr", "seats"):
        assert all(value >= 0 for value in balances(stock, *happenings).values())


@settings(deadline=None, max_examples=30)
@given(histories(), st.randoms(use_true_random=False))
def test_nothing_but_time_rank_and_id_orders_a_history(happenings: list[StreamEvent], random: Random) -> None:
    mixed = random.sample(happenings, len(happenings))
    assert postings(*mixed) == postings(*happenings)


@settings(deadline=None, max_examples=30)
@given(histories(), st.dates(date(2026, 3, 1), date(2026, 3, 15)))
def test_of_separate_subscriptions_the_balances_add_up(happenings: list[StreamEvent], day: date) -> None:
    def balances(*some: StreamEvent) -> Counter[tuple[str, str]]:
        found: Counter[tuple[str, str]] = Counter()
        for (on, name, subject), value in postings(*some).items():
            if name in ("mrr", "seats") and on <= str(day):
                found[name, subject] += value
        return found

    parts = ([one for one in happenings if one.data["subscription_id"] == of] for of in ("one", "two"))
    together = balances(*happenings)
    for part in parts:
        together.subtract(balances(*part))
    assert not any(together.values())
