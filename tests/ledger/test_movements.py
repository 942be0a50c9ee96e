"""Properties of the movements of any history of subscriptions."""

from collections import Counter
from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.periods import Calendar
from app.ledger.streams.define import StreamEvent
from tests.model.stream_events import balances, cancellation, change, pause, postings, resumption

GAINS, LOSSES = ("mrr_new", "mrr_reactivated", "mrr_expansion"), ("mrr_contraction", "mrr_churned")


@st.composite
def histories(draw: st.DrawFn) -> list[StreamEvent]:
    """Draw events of few subscriptions at few instants, so that many coincide. Many take effect later, or earlier."""

    def draw_time() -> str:
        hours = draw(st.integers(0, 14 * 4)) * 6
        return (datetime(2026, 3, 1) + timedelta(hours=hours)).isoformat()

    events = []
    for number in range(draw(st.integers(1, 14))):
        identity = {"of": draw(st.sampled_from(["one", "one", "two"])), "id": f"{number:02}"}
        kind = draw(st.sampled_from(["change", "change", "change", "cancellation", "pause", "resumption"]))
        if kind in ("pause", "resumption"):
            events.append((pause if kind == "pause" else resumption)(draw_time(), **identity))
        elif kind == "change":
            currency = {"currency": "EUR", "rate": draw(st.sampled_from(["1.1", "0.9"]))} if draw(st.booleans()) else {}
            details = {"plan": draw(st.sampled_from(["pro", "team"]))} if draw(st.booleans()) else {}
            details |= {"seats": draw(st.sampled_from([0, 3]))} if draw(st.booleans()) else {}
            details |= {"effective_at": draw_time()} if draw(st.booleans()) else {}
            events.append(
                change(draw_time(), draw(st.sampled_from(["0", "10", "25.5"])), **identity, **currency, **details)
            )
        else:
            end = draw(st.sampled_from([{}, {"ends_at": draw_time()}, {"paid_through": draw_time()[:10]}]))
            events.append(
                cancellation(draw_time(), reason=draw(st.sampled_from(["price", "merger"])), **identity, **end)
            )
    return events


@settings(deadline=None, max_examples=50)
@given(histories(), st.sampled_from(["UTC", "Pacific/Kiritimati", "America/New_York"]))
def test_the_movement_of_every_day_explains_the_change_of_mrr_and_of_customers(
    events: list[StreamEvent], zone: str
) -> None:
    lines = postings(*events, calendar=Calendar(ZoneInfo(zone)))
    mrr = customers = 0
    has_ever_paid = False
    for day in sorted({day for day, _, _ in lines}):
        of: Counter[str] = Counter()
        for (on, name, _), value in lines.items():
            if on == day:
                of[name] += value
        assert of["mrr"] == sum(of[name] for name in GAINS) - sum(of[name] for name in LOSSES)
        movements = {name: of[name] for name in (*GAINS, *LOSSES) if of[name]}
        assert len(movements) == bool(of["mrr"]) and min(movements.values(), default=1) > 0
        assert of["customers"] == of["customers_new"] + of["customers_reactivated"] - of["customers_churned"]
        assert (of["customers_new"], of["customers_reactivated"]) == (
            (int("mrr_new" in movements), int("mrr_reactivated" in movements))
        )
        assert ("mrr_new" in movements) <= (not has_ever_paid) and ("mrr_reactivated" in movements) <= has_ever_paid
        mrr, customers, has_ever_paid = mrr + of["mrr"], customers + of["customers"], has_ever_paid or of["mrr"] > 0
        assert mrr >= 0 and customers == (mrr > 0) and of["customers_leaving"] in (-1, 0, 1)
    for stock in ("mrr", "seats"):
        assert all(value >= 0 for value in balances(stock, *events).values())


@settings(deadline=None, max_examples=30)
@given(histories(), st.randoms(use_true_random=False))
def test_only_time_rank_and_id_order_a_history(events: list[StreamEvent], random: Random) -> None:
    shuffled = random.sample(events, len(events))
    assert postings(*shuffled) == postings(*events)


@settings(deadline=None, max_examples=30)
@given(histories(), st.dates(date(2026, 3, 1), date(2026, 3, 15)))
def test_the_balances_of_separate_subscriptions_add_up(events: list[StreamEvent], day: date) -> None:
    def balances_on_day(*stream_events: StreamEvent) -> Counter[tuple[str, str]]:
        sums: Counter[tuple[str, str]] = Counter()
        for (on, name, subject), value in postings(*stream_events).items():
            if name in ("mrr", "seats") and on <= str(day):
                sums[name, subject] += value
        return sums

    events_by_subscription = (
        [event for event in events if event.data["subscription_id"] == of] for of in ("one", "two")
    )
    all_balances = balances_on_day(*events)
    for own_events in events_by_subscription:
        all_balances.subtract(balances_on_day(*own_events))
    assert not any(all_balances.values())
