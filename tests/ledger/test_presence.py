"""Presence, the pure part of it: entries and rows by both clocks say what the days say that were known."""

from collections.abc import Iterable
from datetime import date, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.periods import UNITS, Calendar, units_containing
from app.database.tables import MAX_DATE
from app.ingest import catalogue
from app.ledger.days import (
    DatedPresenceLine,
    DayChanges,
    PresenceKey,
    PresenceRow,
    apply_changes,
    canonical_rows,
    days_in_bits,
    user_key,
    years_around,
)
from app.ledger.measures import entry_units
from app.ledger.presence import join_months, split_months

assert catalogue  # importing it declares the presences

DAY = timedelta(days=1)
KEY = PresenceKey("active_users", "", 7, user_key(7, "ada"))
GREENWICH = Calendar(ZoneInfo("UTC"))
FISCAL = [Calendar(ZoneInfo("UTC"), month) for month in (1, 4, 12)]
# By the day of knowledge, what was gained and lost then: several lots a day, as requests bring them.
Known = list[tuple[date, DayChanges]]


def on(day: str) -> date:
    return date.fromisoformat(day)


def days(gained: Iterable[str] = (), lost: Iterable[str] = ()) -> DayChanges:
    return DayChanges({on(day) for day in gained}, {on(day) for day in lost})


class Kept:
    """What is kept of one user: rows, ceased ones too, and what was posted."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self.current: dict[int, PresenceRow] = {}
        self.ceased: list[PresenceRow] = []
        self.moves: list[DatedPresenceLine] = []

    def learn(self, known: dict[date, DayChanges]) -> dict[date, DayChanges]:
        """As the service does: only the rows of the years that matter are read. What did change something."""
        changed = {day for found in known.values() for day in found.changed}
        years = {year for day in changed for year in years_around(day, self.calendar)}
        rows = {year: row for year, row in self.current.items() if year in years}
        found = apply_changes(KEY, rows, known, self.calendar)
        self.current |= rows
        # A row is written in the place of one of the same year that was recorded on the same day.
        written = {(row.year, row.recorded_on) for row in (*found.ceased, *rows.values())}
        self.ceased = [row for row in self.ceased if (row.year, row.recorded_on) not in written] + found.ceased
        self.moves += found.moves
        return found.changes

    @property
    def rows(self) -> list[PresenceRow]:
        return [*self.ceased, *self.current.values()]

    def users(self, unit: str, start: date, end: date, as_of: date = MAX_DATE) -> int:
        """The sum of the entries within a stretch of days, as known on a day."""
        names = {f"active_users_{entered}" for entered in entry_units(unit)}
        return sum(
            move.line.value
            for move in self.moves
            if move.line.measure.name in names and start <= move.on < end and move.recorded_on <= as_of
        )

    def days(self, as_of: date) -> set[date]:
        """The days up to one that the rows say were known on it."""
        rows = [row for row in self.rows if row.recorded_on <= as_of < row.ceased_on]
        assert len({row.year for row in rows}) == len(rows), "two rows of a year are known at once"
        return {day for row in rows for day in days_in_bits(row.year, row.bits) if day <= as_of}


def entered(kept: Kept, recorded_on: str) -> dict[tuple[str, str], int]:
    """What was entered on a day: values by unit and day."""
    return {
        (move.line.measure.name.removeprefix("active_users_"), str(move.on)): move.line.value
        for move in kept.moves
        if move.recorded_on == on(recorded_on)
    }


def lines(kept: Kept, recorded_on: str) -> dict[str, list[tuple[str, int]]]:
    """What the entries of a day come to for each unit."""
    made = entered(kept, recorded_on)
    found: dict[str, list[tuple[str, int]]] = {}
    for unit in UNITS:
        for day in sorted({day for _, day in made}):
            if value := sum(made.get((longer, day), 0) for longer in entry_units(unit)):
                found.setdefault(unit, []).append((day, value))
    return found


def test_a_first_day_in_a_year_is_entered_once_for_its_month_and_quarter_too() -> None:
    kept = Kept(GREENWICH)
    kept.learn({on("2026-05-20"): days(["2026-02-10", "2026-03-12", "2026-05-15", "2026-05-16"])})
    found = entered(kept, "2026-05-20")
    assert {place for place in found if place[0] not in ("day", "week")} == {
        ("year", "2026-02-10"),
        ("month", "2026-03-12"),
        ("quarter", "2026-05-15"),
    }
    kept.learn({on("2026-05-21"): days(["2026-01-20"])})
    assert entered(kept, "2026-05-21") == {
        ("day", "2026-01-20"): 1,
        ("week", "2026-01-20"): 1,
        ("year", "2026-01-20"): 1,
        ("year", "2026-02-10"): -1,
        # It is the first in its month still.
        ("month", "2026-02-10"): 1,
    }


def test_a_user_counts_on_the_first_of_its_days_in_each_unit() -> None:
    kept = Kept(GREENWICH)
    # 2026-03-09 is a Monday.
    kept.learn({on("2026-04-02"): days(["2026-03-04", "2026-03-08", "2026-03-09", "2026-04-01"])})
    assert lines(kept, "2026-04-02") == {
        "day": [(day, 1) for day in ("2026-03-04", "2026-03-08", "2026-03-09", "2026-04-01")],
        "week": [(day, 1) for day in ("2026-03-04", "2026-03-09", "2026-04-01")],
        "month": [("2026-03-04", 1), ("2026-04-01", 1)],
        "quarter": [("2026-03-04", 1), ("2026-04-01", 1)],
        "year": [("2026-03-04", 1)],
    }


def test_an_earlier_day_that_comes_late_moves_the_user_there() -> None:
    kept = Kept(GREENWICH)
    kept.learn({on("2026-03-12"): days(["2026-03-12"])})
    kept.learn({on("2026-03-20"): days(["2026-03-05"])})
    assert lines(kept, "2026-03-20") == {
        "day": [("2026-03-05", 1)],
        "week": [("2026-03-05", 1)],
        "month": [("2026-03-05", 1), ("2026-03-12", -1)],
        "quarter": [("2026-03-05", 1), ("2026-03-12", -1)],
        "year": [("2026-03-05", 1), ("2026-03-12", -1)],
    }


def test_the_first_day_taken_back_leaves_the_user_on_the_next_and_the_last_takes_it_away() -> None:
    kept = Kept(GREENWICH)
    kept.learn({on("2026-03-12"): days(["2026-03-10", "2026-03-12"])})
    kept.learn({on("2026-03-15"): days(lost=["2026-03-10"])})
    week = [("2026-03-10", -1), ("2026-03-12", 1)]
    assert lines(kept, "2026-03-15") == {
        unit: week if unit != "day" else [("2026-03-10", -1)] for unit in ("day", "week", "month", "quarter", "year")
    }
    kept.learn({on("2026-03-16"): days(lost=["2026-03-12"])})
    assert lines(kept, "2026-03-16") == {unit: [("2026-03-12", -1)] for unit in UNITS}
    assert kept.days(on("2026-03-14")) == {on("2026-03-10"), on("2026-03-12")}
    assert kept.days(on("2026-03-15")) == {on("2026-03-12")}
    assert kept.days(on("2026-03-16")) == set()


def test_the_first_day_of_a_week_may_lie_in_the_year_before() -> None:
    kept = Kept(GREENWICH)
    # The week of 2025-12-29 ends on 2026-01-04.
    kept.learn({on("2026-01-02"): days(["2026-01-02"])})
    kept.learn({on("2026-01-03"): days(["2025-12-30"])})
    assert lines(kept, "2026-01-03")["week"] == [("2025-12-30", 1), ("2026-01-02", -1)]
    assert lines(kept, "2026-01-03")["month"] == lines(kept, "2026-01-03")["year"] == [("2025-12-30", 1)]
    assert kept.users("week", on("2025-12-29"), on("2026-01-05")) == 1


def test_a_fiscal_year_is_looked_at_as_a_whole() -> None:
    kept = Kept(Calendar(ZoneInfo("UTC"), 4))
    kept.learn({on("2026-02-10"): days(["2026-02-10"])})
    assert kept.learn({on("2026-02-11"): days(["2025-05-05"])}) == {on("2026-02-11"): days(["2025-05-05"])}
    assert lines(kept, "2026-02-11")["year"] == [("2025-05-05", 1), ("2026-02-10", -1)]
    assert kept.users("year", on("2025-04-01"), on("2026-04-01")) == 1


def test_what_is_known_already_changes_nothing() -> None:
    kept = Kept(GREENWICH)
    kept.learn({on("2026-03-12"): days(["2026-03-10"])})
    before = list(kept.moves)
    assert kept.learn({on("2026-03-13"): days(["2026-03-10"], lost=["2026-03-11"])}) == {}
    assert kept.learn({}) == {}
    assert (kept.moves, len(kept.rows)) == (before, 1)


def test_only_what_comes_late_makes_another_row() -> None:
    kept = Kept(GREENWICH)
    for number in range(5):
        day = on("2026-03-10") + DAY * number
        kept.learn({day: DayChanges({day})})
    kept.learn({on("2026-03-14"): days(["2026-03-15"])})
    assert len(kept.rows) == 1
    kept.learn({on("2026-03-16"): days(["2026-03-01"])})
    kept.learn({on("2026-03-16"): days(["2026-03-02"])})
    assert [(row.recorded_on, row.ceased_on) for row in kept.rows] == [
        (on("2026-03-10"), on("2026-03-16")),
        (on("2026-03-16"), MAX_DATE),
    ]


@pytest.mark.parametrize(
    ("fiscal_year_start", "day", "years"),
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
def test_the_years_of_a_day_are_those_of_all_its_units(fiscal_year_start: int, day: str, years: list[int]) -> None:
    assert list(years_around(on(day), Calendar(ZoneInfo("UTC"), fiscal_year_start))) == years


@pytest.mark.parametrize("year", [2024, 2025, 2026])
def test_the_bits_of_a_year_are_cut_into_months_and_put_together_again(year: int) -> None:
    all_year = [date(year, 1, 1) + DAY * number for number in range((date(year + 1, 1, 1) - date(year, 1, 1)).days)]
    for chosen in (all_year, all_year[::7], [all_year[-1]], [date(year, 3, 1)], []):
        bits = sum(1 << (day - all_year[0]).days for day in chosen)
        months = split_months(PresenceRow(year, bits, MAX_DATE))
        assert [month.bit_count() for month in months] == [sum(d.month == m for d in chosen) for m in range(1, 13)]
        assert all((months[day.month - 1] >> day.day - 1) & 1 for day in chosen)
        assert max(months) < 2**31, "a month is kept in a column of 32 bits with a sign"
        assert join_months(year, months) == bits
        assert days_in_bits(year, bits) == set(chosen)


def test_users_of_the_same_name_in_other_accounts_are_others() -> None:
    assert len({user_key(1, "ada"), user_key(2, "ada"), user_key(1, "bob"), user_key(-1, "ada")}) == 4


# ---- what holds of any history ----


@st.composite
def histories(draw: st.DrawFn) -> Known:
    """What became known over some weeks around the end of a year: on the day, late or ahead; and what was taken back."""
    random = draw(st.randoms(use_true_random=False))
    today, known, found = date(2025, 12, random.randint(1, 28)), set[date](), []
    for _ in range(random.randint(1, 8)):
        today += DAY * random.choice([0, 0, 1, 1, 2, 9])
        gained = {_some_day(random, today) for _ in range(random.randint(0, 3))}
        lost = set(random.sample(sorted(known), min(len(known), random.randint(0, 2)))) - gained
        known = (known | gained) - lost
        found.append((today, DayChanges(gained, lost)))
    return found


def _some_day(random: Random, today: date) -> date:
    return today + DAY * random.choice([0, 0, 0, 1, -1, -2, -7, -30, -100, -300, -700])


def known_days(history: Known, as_of: date) -> set[date]:
    there: set[date] = set()
    for recorded_on, found in history:
        if recorded_on <= as_of:
            there = (there | found.gained) - found.lost
    return there


def as_one_lot(history: Known) -> dict[date, DayChanges]:
    """The same, as a rebuild sees it: what each day of knowledge changed on the whole."""
    lots: dict[date, DayChanges] = {}
    before: set[date] = set()
    for recorded_on in sorted({recorded_on for recorded_on, _ in history}):
        after = known_days(history, recorded_on)
        lots[recorded_on] = DayChanges(after - before, before - after)
        before = after
    return lots


@settings(deadline=None, max_examples=40)
@given(histories(), st.sampled_from(FISCAL))
def test_the_entries_from_a_units_start_to_any_day_say_whether_the_user_was_there(
    history: Known, calendar: Calendar
) -> None:
    kept = Kept(calendar)
    for recorded_on, found in history:
        kept.learn({recorded_on: found})
    for as_of in {date.min, *(recorded_on for recorded_on, _ in history)}:
        there = known_days(history, as_of)
        for day in {day + DAY * away for _, found in history for day in found.changed for away in (-1, 0, 40)}:
            for unit, (start, _) in zip(UNITS, units_containing(day, calendar), strict=True):
                expected = any(start <= one <= day for one in there)
                assert kept.users(unit, start, day + DAY, as_of) == expected, (unit, day, as_of)


@settings(deadline=None, max_examples=50)
@given(histories(), st.sampled_from(FISCAL))
def test_the_rows_of_any_day_of_knowledge_say_which_days_were_known(history: Known, calendar: Calendar) -> None:
    kept = Kept(calendar)
    for recorded_on, found in history:
        kept.learn({recorded_on: found})
    first, last = history[0][0], history[-1][0]
    for number in range(-1, (last - first).days + 3):
        as_of = first + DAY * number
        assert kept.days(as_of) == {day for day in known_days(history, as_of) if day <= as_of}, as_of


@settings(deadline=None, max_examples=50)
@given(histories(), st.sampled_from(FISCAL))
def test_learned_bit_by_bit_or_all_at_once_it_comes_to_the_same(history: Known, calendar: Calendar) -> None:
    one, other = Kept(calendar), Kept(calendar)
    for recorded_on, found in history:
        one.learn({recorded_on: found})
    other.learn(as_one_lot(history))
    for year in {row.year for row in (*one.rows, *other.rows)}:
        rows, others = ([row for row in kept.rows if row.year == year] for kept in (one, other))
        assert canonical_rows(rows) == canonical_rows(others), (year, rows, others)


@settings(deadline=None, max_examples=50)
@given(histories(), st.integers(0, 7))
def test_rows_that_answer_otherwise_are_told_apart(history: Known, which: int) -> None:
    kept = Kept(GREENWICH)
    kept.learn(as_one_lot(history))
    row = kept.rows[which % len(kept.rows)] if kept.rows else None
    if row is None or not (visible := {day for day in days_in_bits(row.year, row.bits) if day < row.ceased_on}):
        return
    # A day that could be asked for is gone from the row.
    missing = min(visible)
    tampered = row._replace(bits=row.bits & ~(1 << (missing - date(row.year, 1, 1)).days))
    of_year = [one for one in kept.rows if one.year == row.year]
    assert canonical_rows(of_year) != canonical_rows([tampered if one is row else one for one in of_year])
