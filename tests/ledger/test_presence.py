"""Presence without a database: what the entries and rows say as of any day follows from the recorded days."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.periods import UNITS, Calendar, units_containing
from app.database.tables import MAX_DATE
from app.ledger.presence.canonical import canonical_rows
from app.ledger.presence.changes import DayChanges, PresenceRow
from app.ledger.presence.day_bits import days_of_year, years_around
from app.ledger.presence.keys import user_key
from app.ledger.presence.rows import join_months, split_months
from tests.ledger.presence_history import (
    DAY,
    FISCAL_CALENDARS,
    UTC_CALENDAR,
    History,
    PresenceHistory,
    changes_by_recorded_day,
    day,
    day_changes,
    days_as_of,
    histories,
)


def test_a_first_day_in_a_year_is_entered_once_for_its_month_and_quarter_too() -> None:
    user = PresenceHistory(UTC_CALENDAR)
    user.record({day("2026-05-20"): day_changes(["2026-02-10", "2026-03-12", "2026-05-15", "2026-05-16"])})
    values = user.lines_by_unit_and_day("2026-05-20")
    assert {key for key in values if key[0] not in ("day", "week")} == {
        ("year", "2026-02-10"),
        ("month", "2026-03-12"),
        ("quarter", "2026-05-15"),
    }
    user.record({day("2026-05-21"): day_changes(["2026-01-20"])})
    assert user.lines_by_unit_and_day("2026-05-21") == {
        ("day", "2026-01-20"): 1,
        ("week", "2026-01-20"): 1,
        ("year", "2026-01-20"): 1,
        ("year", "2026-02-10"): -1,
        # It still is the first day in its month.
        ("month", "2026-02-10"): 1,
    }


def test_a_user_counts_on_the_first_active_day_in_each_unit() -> None:
    user = PresenceHistory(UTC_CALENDAR)
    # 2026-03-09 is a Monday.
    user.record({day("2026-04-02"): day_changes(["2026-03-04", "2026-03-08", "2026-03-09", "2026-04-01"])})
    assert user.users_by_unit("2026-04-02") == {
        "day": [(on, 1) for on in ("2026-03-04", "2026-03-08", "2026-03-09", "2026-04-01")],
        "week": [(on, 1) for on in ("2026-03-04", "2026-03-09", "2026-04-01")],
        "month": [("2026-03-04", 1), ("2026-04-01", 1)],
        "quarter": [("2026-03-04", 1), ("2026-04-01", 1)],
        "year": [("2026-03-04", 1)],
    }


def test_an_earlier_day_that_is_recorded_late_moves_the_user_there() -> None:
    user = PresenceHistory(UTC_CALENDAR)
    user.record({day("2026-03-12"): day_changes(["2026-03-12"])})
    user.record({day("2026-03-20"): day_changes(["2026-03-05"])})
    assert user.users_by_unit("2026-03-20") == {
        "day": [("2026-03-05", 1)],
        "week": [("2026-03-05", 1)],
        "month": [("2026-03-05", 1), ("2026-03-12", -1)],
        "quarter": [("2026-03-05", 1), ("2026-03-12", -1)],
        "year": [("2026-03-05", 1), ("2026-03-12", -1)],
    }


def test_losing_the_first_day_moves_the_user_to_the_next_and_losing_the_last_removes_the_user() -> None:
    user = PresenceHistory(UTC_CALENDAR)
    user.record({day("2026-03-12"): day_changes(["2026-03-10", "2026-03-12"])})
    user.record({day("2026-03-15"): day_changes(lost=["2026-03-10"])})
    moved = [("2026-03-10", -1), ("2026-03-12", 1)]
    assert user.users_by_unit("2026-03-15") == {
        unit: moved if unit != "day" else [("2026-03-10", -1)] for unit in ("day", "week", "month", "quarter", "year")
    }
    user.record({day("2026-03-16"): day_changes(lost=["2026-03-12"])})
    assert user.users_by_unit("2026-03-16") == {unit: [("2026-03-12", -1)] for unit in UNITS}
    assert user.days(day("2026-03-14")) == {day("2026-03-10"), day("2026-03-12")}
    assert user.days(day("2026-03-15")) == {day("2026-03-12")}
    assert user.days(day("2026-03-16")) == set()


def test_the_first_day_of_a_week_may_lie_in_the_year_before() -> None:
    user = PresenceHistory(UTC_CALENDAR)
    # The week of 2025-12-29 ends on 2026-01-04.
    user.record({day("2026-01-02"): day_changes(["2026-01-02"])})
    user.record({day("2026-01-03"): day_changes(["2025-12-30"])})
    users = user.users_by_unit("2026-01-03")
    assert users["week"] == [("2025-12-30", 1), ("2026-01-02", -1)]
    assert users["month"] == users["year"] == [("2025-12-30", 1)]
    assert user.users("week", day("2025-12-29"), day("2026-01-05")) == 1


def test_a_fiscal_year_may_lie_in_two_calendar_years() -> None:
    user = PresenceHistory(Calendar(ZoneInfo("UTC"), 4))
    user.record({day("2026-02-10"): day_changes(["2026-02-10"])})
    changes = {day("2026-02-11"): day_changes(["2025-05-05"])}
    assert user.record(changes) == changes
    assert user.users_by_unit("2026-02-11")["year"] == [("2025-05-05", 1), ("2026-02-10", -1)]
    assert user.users("year", day("2025-04-01"), day("2026-04-01")) == 1


def test_gaining_a_present_day_and_losing_an_absent_one_change_nothing() -> None:
    user = PresenceHistory(UTC_CALENDAR)
    user.record({day("2026-03-12"): day_changes(["2026-03-10"])})
    before = list(user.lines)
    assert user.record({day("2026-03-13"): day_changes(["2026-03-10"], lost=["2026-03-11"])}) == {}
    assert user.record({}) == {}
    assert (user.lines, len(user.rows)) == (before, 1)


def test_only_a_late_change_makes_another_row() -> None:
    user = PresenceHistory(UTC_CALENDAR)
    for number in range(5):
        on = day("2026-03-10") + DAY * number
        user.record({on: DayChanges({on})})
    user.record({day("2026-03-14"): day_changes(["2026-03-15"])})
    assert len(user.rows) == 1
    user.record({day("2026-03-16"): day_changes(["2026-03-01"])})
    user.record({day("2026-03-16"): day_changes(["2026-03-02"])})
    assert [(row.recorded_on, row.ceased_on) for row in user.rows] == [
        (day("2026-03-10"), day("2026-03-16")),
        (day("2026-03-16"), MAX_DATE),
    ]


@pytest.mark.parametrize(
    ("fiscal_year_start", "on", "years"),
    [
        (1, "2026-06-10", [2026]),
        (1, "2026-01-02", [2025, 2026]),
        (1, "2025-12-30", [2025, 2026]),
        (4, "2026-02-10", [2025, 2026]),
        (4, "2026-06-10", [2026, 2027]),
        (12, "2026-12-10", [2026, 2027]),
        (12, "2026-06-10", [2025, 2026]),
    ],
)
def test_the_years_around_a_day_are_those_of_all_its_units(fiscal_year_start: int, on: str, years: list[int]) -> None:
    assert list(years_around(day(on), Calendar(ZoneInfo("UTC"), fiscal_year_start))) == years


@pytest.mark.parametrize("year", [2024, 2025, 2026])
def test_the_bits_of_a_year_are_split_into_months_and_joined_again(year: int) -> None:
    all_year = [date(year, 1, 1) + DAY * number for number in range((date(year + 1, 1, 1) - date(year, 1, 1)).days)]
    for chosen in (all_year, all_year[::7], [all_year[-1]], [date(year, 3, 1)], []):
        bits = sum(1 << (on - all_year[0]).days for on in chosen)
        months = split_months(PresenceRow(year, bits, MAX_DATE))
        assert [month.bit_count() for month in months] == [sum(d.month == m for d in chosen) for m in range(1, 13)]
        assert all((months[on.month - 1] >> on.day - 1) & 1 for on in chosen)
        assert max(months) < 2**31, "a month is stored in a signed column of 32 bits"
        assert join_months(year, months) == bits
        assert days_of_year(year, bits) == set(chosen)


def test_users_with_the_same_id_in_different_accounts_have_different_keys() -> None:
    assert len({user_key(1, "ada"), user_key(2, "ada"), user_key(1, "bob"), user_key(-1, "ada")}) == 4


# ---- random histories ----


@settings(deadline=None, max_examples=40)
@given(histories(), st.sampled_from(FISCAL_CALENDARS))
def test_the_entries_from_a_units_start_to_any_day_say_whether_the_user_was_active(
    history: History, calendar: Calendar
) -> None:
    user = PresenceHistory(calendar)
    for recorded_on, changes in history:
        user.record({recorded_on: changes})
    for as_of in {date.min, *(recorded_on for recorded_on, _ in history)}:
        active_days = days_as_of(history, as_of)
        for on in {on + DAY * distance for _, changes in history for on in changes.days for distance in (-1, 0, 40)}:
            for unit, (start, _) in zip(UNITS, units_containing(on, calendar), strict=True):
                expected = any(start <= active <= on for active in active_days)
                assert user.users(unit, start, on + DAY, as_of) == expected, (unit, on, as_of)


@settings(deadline=None, max_examples=50)
@given(histories(), st.sampled_from(FISCAL_CALENDARS))
def test_the_rows_say_as_of_any_day_which_days_were_recorded(history: History, calendar: Calendar) -> None:
    user = PresenceHistory(calendar)
    for recorded_on, changes in history:
        user.record({recorded_on: changes})
    first, last = history[0][0], history[-1][0]
    for number in range(-1, (last - first).days + 3):
        as_of = first + DAY * number
        assert user.days(as_of) == {on for on in days_as_of(history, as_of) if on <= as_of}, as_of


@settings(deadline=None, max_examples=50)
@given(histories(), st.sampled_from(FISCAL_CALENDARS))
def test_changes_applied_one_by_one_or_all_at_once_make_equal_rows(history: History, calendar: Calendar) -> None:
    step_by_step, at_once = PresenceHistory(calendar), PresenceHistory(calendar)
    for recorded_on, changes in history:
        step_by_step.record({recorded_on: changes})
    at_once.record(changes_by_recorded_day(history))
    for year in {row.year for row in (*step_by_step.rows, *at_once.rows)}:
        rows, others = ([row for row in user.rows if row.year == year] for user in (step_by_step, at_once))
        assert canonical_rows(rows) == canonical_rows(others), (year, rows, others)


@settings(deadline=None, max_examples=50)
@given(histories(), st.integers(0, 7))
def test_rows_with_different_answers_have_different_canonical_forms(history: History, number: int) -> None:
    user = PresenceHistory(UTC_CALENDAR)
    user.record(changes_by_recorded_day(history))
    row = user.rows[number % len(user.rows)] if user.rows else None
    if row is None or not (visible := {on for on in days_of_year(row.year, row.bits) if on < row.ceased_on}):
        return
    # Remove a day that can be asked for.
    missing = min(visible)
    tampered = row._replace(bits=row.bits & ~(1 << (missing - date(row.year, 1, 1)).days))
    rows = [other for other in user.rows if other.year == row.year]
    assert canonical_rows(rows) != canonical_rows([tampered if other is row else other for other in rows])
