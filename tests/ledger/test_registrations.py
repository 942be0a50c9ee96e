"""The stream of one user's registration, a pure function: when the user was registered, and what that posts."""

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
GREENWICH = Calendar(ZoneInfo("UTC"))
ON, USED, OFF = "user.registered", "session.ended", "user.removed"


def told(*said: str) -> list[StreamEvent]:
    """Happenings such as `2026-03-10 user.removed`, in order; without a time they are of noon."""
    happenings = []
    for number, words in enumerate(said):
        at, type = words.split()
        instant = datetime.fromisoformat(at if "T" in at else f"{at}T12:00:00").replace(tzinfo=UTC)
        happenings.append(StreamEvent(instant, int(type == OFF), f"{number:02}", type, {}))
    return sorted(happenings, key=lambda happening: happening[:3])


def registered(*said: str, calendar: Calendar = GREENWICH) -> list[tuple[str, str]]:
    """The spells of a user; an end that has not come is left empty."""
    found = spells(told(*said), calendar)
    return [(str(since), "" if until == MAX_DATE else str(until)) for since, until in found]


def posted(found: list[Spell], calendar: Calendar = GREENWICH) -> Counter[tuple[str, str]]:
    lines: Counter[tuple[str, str]] = Counter()
    for day, line in registration(found, calendar):
        lines[str(day), line.measure.name] += line.value
    return Counter({place: value for place, value in lines.items() if value})


def spell(since: str, until: str | None = None) -> Spell:
    return Spell(date.fromisoformat(since), MAX_DATE if until is None else date.fromisoformat(until))


def joined(found: list[Spell], calendar: Calendar = GREENWICH) -> dict[str, list[str]]:
    """The days on which the user joined each unit."""
    days: dict[str, list[str]] = {unit: [] for unit in UNITS}
    lines = sorted(posted(found, calendar).items())
    for unit in UNITS:
        names = {f"users_joined_{entered}" for entered in entry_units(unit)}
        for (day, name), value in lines:
            days[unit] += [day] * value if name in names else []
    return days


def test_who_was_said_to_be_registered_or_was_active_is_registered_from_that_day_on() -> None:
    for said in (ON, USED, "feature.used"):
        assert registered(f"2026-03-10 {said}") == [("2026-03-10", "")]
    assert registered(f"2026-03-10 {USED}", f"2026-03-12 {ON}", f"2026-03-14 {USED}") == [("2026-03-10", "")]


def test_a_user_who_is_removed_still_was_registered_on_that_day() -> None:
    assert registered(f"2026-03-10 {ON}", f"2026-03-20 {OFF}") == [("2026-03-10", "2026-03-21")]
    assert registered(f"2026-03-10 {ON}", f"2026-03-10T13:00 {OFF}") == [("2026-03-10", "2026-03-11")]


def test_removing_nobody_or_twice_changes_nothing() -> None:
    assert registered(f"2026-03-10 {OFF}") == []
    assert registered(f"2026-03-10 {OFF}", f"2026-03-12 {ON}") == [("2026-03-12", "")]
    twice = [f"2026-03-10 {ON}", f"2026-03-20 {OFF}", f"2026-03-22 {OFF}"]
    assert registered(*twice) == [("2026-03-10", "2026-03-21")]


def test_who_comes_back_is_registered_again() -> None:
    back = [f"2026-03-10 {ON}", f"2026-03-20 {OFF}", f"2026-03-25 {USED}"]
    assert registered(*back) == [("2026-03-10", "2026-03-21"), ("2026-03-25", "")]
    # Also on the very next day: at its start the user was not there.
    back[-1] = f"2026-03-21 {USED}"
    assert registered(*back) == [("2026-03-10", "2026-03-21"), ("2026-03-21", "")]


def test_who_is_removed_and_comes_back_on_the_same_day_was_never_away() -> None:
    there = [f"2026-03-10 {ON}", f"2026-03-20T09:00 {OFF}", f"2026-03-20T10:00 {USED}"]
    assert registered(*there) == [("2026-03-10", "")]
    assert registered(*there, f"2026-03-20T11:00 {OFF}") == [("2026-03-10", "2026-03-21")]
    restless = [f"2026-03-10T0{hour}:00 {(ON, OFF)[hour % 2]}" for hour in range(6)]
    assert registered(*restless) == [("2026-03-10", "2026-03-11")]


def test_at_one_instant_use_comes_before_removal() -> None:
    assert registered(f"2026-03-10 {OFF}", f"2026-03-10 {USED}") == [("2026-03-10", "2026-03-11")]


def test_the_time_zone_decides_the_day_of_registration_and_of_removal() -> None:
    said = [f"2026-03-10T23:30 {ON}", f"2026-03-20T01:00 {OFF}"]
    assert registered(*said, calendar=Calendar(ZoneInfo("Asia/Tokyo"))) == [("2026-03-11", "2026-03-21")]
    assert registered(*said, calendar=Calendar(ZoneInfo("America/New_York"))) == [("2026-03-10", "2026-03-20")]


def test_a_spell_is_one_more_user_from_its_first_day_and_one_less_on_its_last() -> None:
    lines = posted([spell("2026-03-10", "2026-03-21")])
    assert {place: value for place, value in lines.items() if place[1] == "registered_users"} == {
        ("2026-03-10", "registered_users"): 1,
        ("2026-03-20", "registered_users"): -1,
    }
    within_a_day = posted([spell("2026-03-10", "2026-03-11")])
    assert set(within_a_day) == {("2026-03-10", f"users_joined_{unit}") for unit in ("day", "week", "year")}


def test_a_user_joins_each_unit_at_whose_start_it_was_not_there_once() -> None:
    # 2026-03-02 and 2026-03-09 are Mondays.
    away_for_two_days = [spell("2026-03-03", "2026-03-05"), spell("2026-03-06")]
    assert joined(away_for_two_days) == {
        "day": ["2026-03-03", "2026-03-06"],
        "week": ["2026-03-03"],
        "month": ["2026-03-03"],
        "quarter": ["2026-03-03"],
        "year": ["2026-03-03"],
    }
    away_over_the_month = [spell("2026-03-03", "2026-03-20"), spell("2026-04-10")]
    assert joined(away_over_the_month) == {
        "day": ["2026-03-03", "2026-04-10"],
        "week": ["2026-03-03", "2026-04-10"],
        "month": ["2026-03-03", "2026-04-10"],
        "quarter": ["2026-03-03", "2026-04-10"],
        "year": ["2026-03-03"],
    }


def test_who_is_removed_on_a_units_first_day_was_there_at_its_start() -> None:
    removed_on_the_first = [spell("2026-03-03", "2026-04-02"), spell("2026-04-10")]
    assert joined(removed_on_the_first)["month"] == ["2026-03-03"]
    removed_the_day_before = [spell("2026-03-03", "2026-04-01"), spell("2026-04-10")]
    assert joined(removed_the_day_before)["month"] == ["2026-03-03", "2026-04-10"]


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
def test_quarters_and_years_that_are_joined_are_fiscal(
    fiscal_year_start: int, quarters: list[str], years: list[str]
) -> None:
    found = [spell("2025-11-10", "2025-11-20"), spell("2026-02-10")]
    days = joined(found, Calendar(ZoneInfo("UTC"), fiscal_year_start))
    assert (days["quarter"], days["year"]) == (quarters, years)


# ---- what holds of any history ----

lives = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 3), st.sampled_from([ON, USED, OFF, OFF])), max_size=10)


@settings(deadline=None, max_examples=50)
@given(lives, st.sampled_from([1, 4, 12]), st.integers(-5, 110))
def test_who_is_registered_in_a_unit_so_far_was_so_at_its_start_or_joined_it(
    life: list[tuple[int, int, str]], fiscal_year_start: int, until: int
) -> None:
    first, calendar = date(2025, 11, 10), Calendar(ZoneInfo("UTC"), fiscal_year_start)
    happenings = told(*(f"{first + DAY * day}T{6 * quarter:02}:00 {type}" for day, quarter, type in life))
    lines = posted(spells(happenings, calendar), calendar)

    def at_start(day: date) -> bool:
        """Whether the user was registered when the day began, by walking through its life."""
        past = [happening for happening in happenings if happening.at.date() < day]
        return bool(past) and past[-1].type != OFF

    def ever(start: date, end: date) -> bool:
        there = [one for one in happenings if start <= one.at.date() < end and one.type != OFF]
        return at_start(start) or bool(there)

    def total(name: str, start: date, end: date) -> int:
        return sum(value for (day, of), value in lines.items() if of == name and str(start) <= day < str(end))

    last = first + DAY * until
    assert total("registered_users", date.min, last) == at_start(last)
    for unit, (start, _) in zip(UNITS, units_containing(last, calendar), strict=True):
        so_far = total("registered_users", date.min, start)
        so_far += sum(total(f"users_joined_{entered}", start, last + DAY) for entered in entry_units(unit))
        assert so_far == ever(start, last + DAY), unit
