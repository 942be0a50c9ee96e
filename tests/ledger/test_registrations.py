"""The stream of one user's registration, a pure function: the spells, and what they post."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.periods import UNITS, Calendar, units_containing
from app.database.tables import MAX_DATE
from app.ledger.measures import entry_units
from app.ledger.streams.define import StreamEvent
from app.ledger.streams.registration import Spell, registration, spells

DAY = timedelta(days=1)
UTC_CALENDAR = Calendar(ZoneInfo("UTC"))
REGISTERED, ACTIVE, REMOVED = "user.registered", "session.ended", "user.removed"


def stream_events(*texts: str) -> list[StreamEvent]:
    """Return events for texts such as `2026-03-10 user.removed`, in order; without a time, at noon."""
    events = []
    for number, text in enumerate(texts):
        at, type = text.split()
        instant = datetime.fromisoformat(at if "T" in at else f"{at}T12:00:00").replace(tzinfo=UTC)
        events.append(StreamEvent(instant, int(type == REMOVED), f"{number:02}", type, {}))
    return sorted(events, key=lambda event: event[:3])


def registered_spells(*texts: str, calendar: Calendar = UTC_CALENDAR) -> list[tuple[str, str]]:
    """Return the spells of a user; the end of a spell that has not ended is empty."""
    user_spells = spells(stream_events(*texts), calendar)
    return [(str(since), "" if until == MAX_DATE else str(until)) for since, until in user_spells]


def posted_lines(user_spells: list[Spell], calendar: Calendar = UTC_CALENDAR) -> Counter[tuple[str, str]]:
    lines: Counter[tuple[str, str]] = Counter()
    for day, line in registration(user_spells, calendar):
        lines[str(day), line.measure.name] += line.value
    return Counter({key: value for key, value in lines.items() if value})


def spell(since: str, until: str | None = None) -> Spell:
    return Spell(date.fromisoformat(since), MAX_DATE if until is None else date.fromisoformat(until))


def days_joined(user_spells: list[Spell], calendar: Calendar = UTC_CALENDAR) -> dict[str, list[str]]:
    """Return the days on which the user joined each unit."""
    days: dict[str, list[str]] = {unit: [] for unit in UNITS}
    lines = sorted(posted_lines(user_spells, calendar).items())
    for unit in UNITS:
        names = {f"users_joined_{entered}" for entered in entry_units(unit)}
        for (day, name), value in lines:
            days[unit] += [day] * value if name in names else []
    return days


def test_a_user_is_registered_from_the_first_registration_or_activity_on() -> None:
    for type in (REGISTERED, ACTIVE, "feature.used"):
        assert registered_spells(f"2026-03-10 {type}") == [("2026-03-10", "")]
    assert registered_spells(f"2026-03-10 {ACTIVE}", f"2026-03-12 {REGISTERED}", f"2026-03-14 {ACTIVE}") == [
        ("2026-03-10", "")
    ]


def test_a_removed_user_is_registered_until_the_end_of_that_day() -> None:
    assert registered_spells(f"2026-03-10 {REGISTERED}", f"2026-03-20 {REMOVED}") == [("2026-03-10", "2026-03-21")]
    assert registered_spells(f"2026-03-10 {REGISTERED}", f"2026-03-10T13:00 {REMOVED}") == [
        ("2026-03-10", "2026-03-11")
    ]


def test_removing_an_unregistered_user_changes_nothing() -> None:
    assert registered_spells(f"2026-03-10 {REMOVED}") == []
    assert registered_spells(f"2026-03-10 {REMOVED}", f"2026-03-12 {REGISTERED}") == [("2026-03-12", "")]
    texts = [f"2026-03-10 {REGISTERED}", f"2026-03-20 {REMOVED}", f"2026-03-22 {REMOVED}"]
    assert registered_spells(*texts) == [("2026-03-10", "2026-03-21")]


def test_a_user_who_comes_back_is_registered_again() -> None:
    texts = [f"2026-03-10 {REGISTERED}", f"2026-03-20 {REMOVED}", f"2026-03-25 {ACTIVE}"]
    assert registered_spells(*texts) == [("2026-03-10", "2026-03-21"), ("2026-03-25", "")]
    # Also on the very next day: at its start the user was not registered.
    texts[-1] = f"2026-03-21 {ACTIVE}"
    assert registered_spells(*texts) == [("2026-03-10", "2026-03-21"), ("2026-03-21", "")]


def test_a_user_removed_and_active_again_on_the_same_day_stays_registered() -> None:
    texts = [f"2026-03-10 {REGISTERED}", f"2026-03-20T09:00 {REMOVED}", f"2026-03-20T10:00 {ACTIVE}"]
    assert registered_spells(*texts) == [("2026-03-10", "")]
    assert registered_spells(*texts, f"2026-03-20T11:00 {REMOVED}") == [("2026-03-10", "2026-03-21")]
    texts = [f"2026-03-10T0{hour}:00 {(REGISTERED, REMOVED)[hour % 2]}" for hour in range(6)]
    assert registered_spells(*texts) == [("2026-03-10", "2026-03-11")]


def test_at_the_same_instant_activity_comes_before_removal() -> None:
    assert registered_spells(f"2026-03-10 {REMOVED}", f"2026-03-10 {ACTIVE}") == [("2026-03-10", "2026-03-11")]


def test_the_time_zone_decides_the_day_of_registration_and_of_removal() -> None:
    texts = [f"2026-03-10T23:30 {REGISTERED}", f"2026-03-20T01:00 {REMOVED}"]
    assert registered_spells(*texts, calendar=Calendar(ZoneInfo("Asia/Tokyo"))) == [("2026-03-11", "2026-03-21")]
    assert registered_spells(*texts, calendar=Calendar(ZoneInfo("America/New_York"))) == [("2026-03-10", "2026-03-20")]


def test_a_spell_adds_a_user_on_its_first_day_and_removes_it_on_its_last() -> None:
    lines = posted_lines([spell("2026-03-10", "2026-03-21")])
    assert {key: value for key, value in lines.items() if key[1] == "registered_users"} == {
        ("2026-03-10", "registered_users"): 1,
        ("2026-03-20", "registered_users"): -1,
    }
    within_a_day = posted_lines([spell("2026-03-10", "2026-03-11")])
    assert set(within_a_day) == {("2026-03-10", f"users_joined_{unit}") for unit in ("day", "week", "year")}


def test_a_user_joins_once_each_unit_at_whose_start_it_was_not_registered() -> None:
    # 2026-03-02 and 2026-03-09 are Mondays.
    away_for_two_days = [spell("2026-03-03", "2026-03-05"), spell("2026-03-06")]
    assert days_joined(away_for_two_days) == {
        "day": ["2026-03-03", "2026-03-06"],
        "week": ["2026-03-03"],
        "month": ["2026-03-03"],
        "quarter": ["2026-03-03"],
        "year": ["2026-03-03"],
    }
    away_over_the_month = [spell("2026-03-03", "2026-03-20"), spell("2026-04-10")]
    assert days_joined(away_over_the_month) == {
        "day": ["2026-03-03", "2026-04-10"],
        "week": ["2026-03-03", "2026-04-10"],
        "month": ["2026-03-03", "2026-04-10"],
        "quarter": ["2026-03-03", "2026-04-10"],
        "year": ["2026-03-03"],
    }


def test_a_user_removed_on_the_first_day_of_a_unit_was_registered_at_its_start() -> None:
    removed_on_the_first = [spell("2026-03-03", "2026-04-02"), spell("2026-04-10")]
    assert days_joined(removed_on_the_first)["month"] == ["2026-03-03"]
    removed_the_day_before = [spell("2026-03-03", "2026-04-01"), spell("2026-04-10")]
    assert days_joined(removed_the_day_before)["month"] == ["2026-03-03", "2026-04-10"]


@pytest.mark.parametrize(
    ("fiscal_year_start", "quarters", "years"),
    [
        (1, ["2025-11-10", "2026-02-10"], ["2025-11-10", "2026-02-10"]),
        (2, ["2025-11-10", "2026-02-10"], ["2025-11-10", "2026-02-10"]),
        (4, ["2025-11-10", "2026-02-10"], ["2025-11-10"]),
        (12, ["2025-11-10", "2026-02-10"], ["2025-11-10", "2026-02-10"]),
        (11, ["2025-11-10", "2026-02-10"], ["2025-11-10"]),
        (9, ["2025-11-10", "2026-02-10"], ["2025-11-10"]),
    ],
)
def test_users_join_fiscal_quarters_and_years(fiscal_year_start: int, quarters: list[str], years: list[str]) -> None:
    user_spells = [spell("2025-11-10", "2025-11-20"), spell("2026-02-10")]
    days = days_joined(user_spells, Calendar(ZoneInfo("UTC"), fiscal_year_start))
    assert (days["quarter"], days["year"]) == (quarters, years)


# ---- random histories ----

histories = st.lists(
    st.tuples(st.integers(0, 100), st.integers(0, 3), st.sampled_from([REGISTERED, ACTIVE, REMOVED, REMOVED])),
    max_size=10,
)


@settings(deadline=None, max_examples=50)
@given(histories, st.sampled_from([1, 4, 12]), st.integers(-5, 110))
def test_users_registered_in_a_unit_so_far_were_registered_at_its_start_or_joined_it(
    history: list[tuple[int, int, str]], fiscal_year_start: int, until: int
) -> None:
    first, calendar = date(2025, 11, 10), Calendar(ZoneInfo("UTC"), fiscal_year_start)
    events = stream_events(*(f"{first + DAY * day}T{6 * quarter:02}:00 {type}" for day, quarter, type in history))
    lines = posted_lines(spells(events, calendar), calendar)

    def was_registered_at_start(day: date) -> bool:
        """Return whether the user was registered when the day began, by the last event before it."""
        earlier = [event for event in events if event.at.date() < day]
        return bool(earlier) and earlier[-1].type != REMOVED

    def was_registered_within(start: date, end: date) -> bool:
        active = [event for event in events if start <= event.at.date() < end and event.type != REMOVED]
        return was_registered_at_start(start) or bool(active)

    def total(name: str, start: date, end: date) -> int:
        return sum(value for (day, measure), value in lines.items() if measure == name and str(start) <= day < str(end))

    last = first + DAY * until
    assert total("registered_users", date.min, last) == was_registered_at_start(last)
    for unit, (start, _) in zip(UNITS, units_containing(last, calendar), strict=True):
        so_far = total("registered_users", date.min, start)
        so_far += sum(total(f"users_joined_{entered}", start, last + DAY) for entered in entry_units(unit))
        assert so_far == was_registered_within(start, last + DAY), unit
