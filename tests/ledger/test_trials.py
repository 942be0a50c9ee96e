"""The stream of a trial, a pure function, and the conversion rate."""

from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.core.periods import Calendar
from app.ledger.streams.define import StreamEvent
from app.ledger.streams.trials import trials
from tests.model.stream_events import postings_by_measure, stream_event
from tests.support.service import Service, event


def parse_event(text: str) -> StreamEvent:
    """Return the event of a text such as `started 03-01`: what happened to the trial and when in 2026, by default at noon."""
    type, at = text.split()
    return stream_event(f"trial.{type}", f"2026-{at}", trial_id="t", id=text)


def posted_days(events: list[StreamEvent]) -> str:
    """Return the days on which each measure is posted."""
    values = postings_by_measure(trials, *events)
    assert all(value == 1 for days in values.values() for value in days.values())
    short = {"trials_started": "S", "trials_converted": "C", "trials_ended": "E", "trials_ended_converted": "EC"}
    return ", ".join(f"{short[name]} {' '.join(day[5:] for day in values[name])}" for name in short if name in values)


# Events -> the days on which trials started (S), on which those started that converted (C), on which they ended (E)
# and on which those ended that converted (EC).
CASES = {
    "a trial runs": ("started 03-01", "S 03-01"),
    "a trial expires": ("started 03-01, expired 03-15", "S 03-01, E 03-15"),
    "a trial converts and counts on its first day": (
        "started 03-01, converted 04-02",
        "S 03-01, C 03-01, E 04-02, EC 04-02",
    ),
    "a second start while it runs changes nothing": (
        "started 03-01, started 03-05, converted 03-09",
        "S 03-01, C 03-01, E 03-09, EC 03-09",
    ),
    "a second end changes nothing": ("started 03-01, expired 03-15, expired 03-20", "S 03-01, E 03-15"),
    "a converted trial cannot expire or convert again": (
        "started 03-01, converted 03-09, expired 03-15, converted 03-20",
        "S 03-01, C 03-01, E 03-09, EC 03-09",
    ),
    "an expired trial may still convert": (
        "started 03-01, expired 03-15, converted 03-20",
        "S 03-01, C 03-01, E 03-20, EC 03-20",
    ),
    "a conversion without a start is a start too": ("converted 03-09", "S 03-09, C 03-09, E 03-09, EC 03-09"),
    "an end without a start is a start too": ("expired 03-15", "S 03-15, E 03-15"),
    "a known trial does not start again after its expiry": (
        "started 03-01, expired 03-15, started 06-01, converted 06-09",
        "S 03-01, C 03-01, E 06-09, EC 06-09",
    ),
    "a known trial does not start again after its conversion": (
        "started 03-01, converted 03-09, started 06-01",
        "S 03-01, C 03-01, E 03-09, EC 03-09",
    ),
    "a conversion stamped before the start counts at the start": (
        "converted 03-24T09:59:58, started 03-24T10:00:00",
        "S 03-24, C 03-24, E 03-24, EC 03-24",
    ),
    "an expiry stamped before the start counts at the start": ("expired 03-20, started 03-24", "S 03-24, E 03-24"),
    "a conversion counts before an expiry although both are stamped before the start": (
        "expired 03-19, converted 03-20, started 03-24",
        "S 03-24, C 03-24, E 03-24, EC 03-24",
    ),
    "an early expiry and a later conversion": (
        "expired 03-20, started 03-24, converted 04-02",
        "S 03-24, C 03-24, E 04-02, EC 04-02",
    ),
    "at the same instant, the start comes first": (
        "started 03-01T08:00, converted 03-01T08:00",
        "S 03-01, C 03-01, E 03-01, EC 03-01",
    ),
    "at the same instant, a conversion comes before an expiry": (
        "started 03-01, converted 03-15T08:00, expired 03-15T08:00",
        "S 03-01, C 03-01, E 03-15, EC 03-15",
    ),
}


@pytest.mark.parametrize(("events", "expected"), CASES.values(), ids=CASES)
def test_a_trial_posts_the_same_in_any_order_of_arrival(events: str, expected: str) -> None:
    for order in permutations(events.split(", ")):
        assert posted_days([parse_event(text) for text in order]) == expected


def test_the_time_zone_decides_the_days_of_a_trial() -> None:
    events = [parse_event("started 03-01T23:30:00"), parse_event("expired 03-15T23:30:00")]
    tokyo = postings_by_measure(trials, *events, calendar=Calendar(ZoneInfo("Asia/Tokyo")))
    assert tokyo == {"trials_started": {"2026-03-02": 1}, "trials_ended": {"2026-03-16": 1}}


def trial_event(what: str, account: str, at: str, trial_id: str = "t", **rest: Any) -> dict[str, Any]:
    return event(f"trial.{what}", account, at=at, trial_id=trial_id, **rest)


def test_the_conversion_rate_is_that_of_trials_started_in_the_period(service: Service) -> None:
    service.send(*(trial_event("started", f"account-{number}", "2026-01-20") for number in range(4)))
    service.send(
        trial_event("converted", "account-0", "2026-01-25"), trial_event("converted", "account-1", "2026-03-02")
    )
    service.send(trial_event("started", "account-0", "2026-02-10", "another"))
    months = {"start": "2026-01-01", "end": "2026-04-01", "totals": "true"}
    rows = service.rows("trial_conversion_rate", **months)
    assert [(row["value"], row["numerator"], row["denominator"], row.get("reason")) for row in rows] == [
        (50, 2, 4, None),
        (0, 0, 1, None),
        (None, 0, 0, "no_trials"),
        (40, 2, 5, None),
    ]
    assert rows[0]["interval"] == [pytest.approx(15.003898), pytest.approx(84.996102)]


def test_the_rate_of_a_past_month_rises_and_earlier_answers_stay(service: Service) -> None:
    january = {"period": "2026-01"}
    service.on("2026-02-01").send(
        trial_event("started", "acme", "2026-01-20"), trial_event("started", "globex", "2026-01-21")
    )
    service.on("2026-02-05").send(trial_event("converted", "acme", "2026-02-04", id="paid"))
    service.on("2026-02-06").send(trial_event("expired", "acme", "2026-02-03"))
    assert service.value("trial_conversion_rate", **january) == 50
    assert service.value("trial_conversion_rate", **january, as_of="2026-02-04") == 0
    service.on("2026-02-07").retract("acme", "paid")
    assert service.value("trial_conversion_rate", **january) == 0
    assert service.value("trial_conversion_rate", **january, as_of="2026-02-06") == 50
    assert service.differences() == []
