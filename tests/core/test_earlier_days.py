"""The days with which a row or a total is compared: in a table, and against the independent model on any days and calendars."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.core.earlier_days import earlier_days_of_range, earlier_days_of_unit
from app.core.period_names import parse_period, unit_of_name
from app.core.periods import UNITS, WEEK_STARTS, Calendar, Period, split_range
from tests.model import calendar as model
from tests.model.comparison import Period as ModelPeriod
from tests.model.comparison import days_before_row, days_before_total, units_of_total

DAY = timedelta(days=1)
UTC = ZoneInfo("UTC")
PLAIN = Calendar(UTC)
LATER = date(2031, 1, 1)
PERIOD, YEAR = "previous_period", "previous_year"


def days(text):
    """Return the first and the last day of `2026-03-01 2026-03-28` as a range."""
    first, last = map(date.fromisoformat, text.split())
    return first, last + DAY


def row_before(text, unit, compare, *, today=LATER, calendar=PLAIN):
    """Return the first and the last day with which a row of these days is compared, as text."""
    [period] = split_range(*days(text), granularity=unit, calendar=calendar, today=today)
    return as_text(earlier_days_of_unit(period, unit, compare=compare, calendar=calendar, today=today))


def total_before(start, end, name, compare, *, today=LATER, calendar=PLAIN):
    period = Period("total", start, end, end <= today)
    unit = unit_of_name(name)
    return as_text(earlier_days_of_range(period, unit, compare=compare, calendar=calendar, today=today))


def as_text(earlier):
    return earlier and f"{earlier[0]} {earlier[1] - DAY}"


@pytest.mark.parametrize(
    ("row", "unit", "compare", "expected"),
    [
        # Months of different length: all days that the shorter one has, and nothing beyond.
        ("2026-03-01 2026-03-27", "month", PERIOD, "2026-02-01 2026-02-27"),
        ("2026-03-01 2026-03-28", "month", PERIOD, "2026-02-01 2026-02-28"),
        ("2026-03-01 2026-03-29", "month", PERIOD, "2026-02-01 2026-02-28"),
        ("2026-03-01 2026-03-30", "month", PERIOD, "2026-02-01 2026-02-28"),
        ("2024-03-01 2024-03-29", "month", PERIOD, "2024-02-01 2024-02-29"),
        ("2026-03-10 2026-03-31", "month", PERIOD, "2026-02-10 2026-02-28"),
        ("2026-03-28 2026-03-29", "month", PERIOD, "2026-02-28 2026-02-28"),
        ("2026-03-29 2026-03-31", "month", PERIOD, None),
        ("2026-02-10 2026-02-28", "month", PERIOD, "2026-01-10 2026-01-28"),
        # Whole units with whole units.
        ("2026-02-01 2026-02-28", "month", PERIOD, "2026-01-01 2026-01-31"),
        ("2026-03-01 2026-03-31", "month", PERIOD, "2026-02-01 2026-02-28"),
        ("2026-01-01 2026-01-31", "month", PERIOD, "2025-12-01 2025-12-31"),
        ("2026-04-01 2026-06-30", "quarter", PERIOD, "2026-01-01 2026-03-31"),
        ("2025-01-01 2025-12-31", "year", PERIOD, "2024-01-01 2024-12-31"),
        ("2025-02-01 2025-02-28", "month", YEAR, "2024-02-01 2024-02-29"),
        ("2024-02-01 2024-02-29", "month", YEAR, "2023-02-01 2023-02-28"),
        ("2024-02-01 2024-02-28", "month", YEAR, "2023-02-01 2023-02-28"),
        ("2025-02-01 2025-02-27", "month", YEAR, "2024-02-01 2024-02-27"),
        # The same offset in days, also in leap years.
        ("2026-01-01 2026-03-01", "quarter", PERIOD, "2025-10-01 2025-11-29"),
        ("2026-05-15 2026-06-30", "quarter", PERIOD, "2026-02-14 2026-03-31"),
        ("2026-07-01 2026-09-29", "quarter", PERIOD, "2026-04-01 2026-06-30"),
        ("2025-01-01 2025-03-01", "year", PERIOD, "2024-01-01 2024-02-29"),
        ("2025-01-01 2025-03-01", "quarter", YEAR, "2024-01-01 2024-02-29"),
        ("2024-12-30 2024-12-31", "year", PERIOD, "2023-12-31 2023-12-31"),
        ("2024-12-31 2024-12-31", "year", PERIOD, None),
        # Weeks, with their weekdays.
        ("2026-03-02 2026-03-08", "week", PERIOD, "2026-02-23 2026-03-01"),
        ("2026-03-04 2026-03-05", "week", PERIOD, "2026-02-25 2026-02-26"),
        ("2026-03-02 2026-03-08", "week", YEAR, "2025-03-03 2025-03-09"),
        ("2021-01-04 2021-01-05", "week", YEAR, "2020-01-06 2020-01-07"),
        # Days.
        ("2026-03-01 2026-03-01", "day", PERIOD, "2026-02-28 2026-02-28"),
        ("2024-02-29 2024-02-29", "day", YEAR, "2023-02-28 2023-02-28"),
        ("2025-02-28 2025-02-28", "day", YEAR, "2024-02-28 2024-02-28"),
        # Before 1970 there is nothing.
        ("1970-01-01 1970-01-31", "month", PERIOD, None),
        ("1970-12-31 1970-12-31", "day", YEAR, None),
        ("1971-01-01 1971-12-31", "year", YEAR, "1970-01-01 1970-12-31"),
    ],
)  # fmt: skip
def test_a_row_is_compared_with_the_days_at_the_same_place(row, unit, compare, expected):
    assert row_before(row, unit, compare) == expected


@pytest.mark.parametrize(
    ("today", "unit", "compare", "expected"),
    [
        ("2026-03-01", "month", PERIOD, "2026-02-01 2026-02-01"),
        ("2026-03-28", "month", PERIOD, "2026-02-01 2026-02-28"),
        ("2026-03-31", "month", PERIOD, "2026-02-01 2026-02-28"),
        ("2024-02-29", "month", YEAR, "2023-02-01 2023-02-28"),
        # A month that has not ended has as many days as have come, also on its last day.
        ("2025-02-28", "month", YEAR, "2024-02-01 2024-02-28"),
        ("2026-02-28", "month", PERIOD, "2026-01-01 2026-01-28"),
        ("2026-03-01", "quarter", PERIOD, "2025-10-01 2025-11-29"),
        ("2024-12-31", "year", PERIOD, "2023-01-01 2023-12-31"),
        ("2026-03-04", "week", YEAR, "2025-03-03 2025-03-05"),
    ],
)
def test_the_running_unit_is_compared_in_the_same_way_by_any_name(today, unit, compare, expected):
    today = date.fromisoformat(today)
    first, _ = parse_period(f"this_{unit}", calendar=PLAIN, today=today)
    names = [f"this_{unit}", f"{unit}_to_date", PLAIN.unit_name(first, unit)]
    for name in names:
        start, end = parse_period(name, calendar=PLAIN, today=today)
        assert total_before(start, end, name, compare, today=today) == expected
        row = f"{start} {end - DAY}"
        assert row_before(row, unit, compare, today=today) == expected


@pytest.mark.parametrize(
    ("total", "compare", "expected"),
    [
        ("2026-03-01 2026-03-31", PERIOD, "2026-02-01 2026-02-28"),
        ("2026-01-01 2026-02-28", PERIOD, "2025-11-01 2025-12-31"),
        ("2024-01-01 2024-02-29", YEAR, "2023-01-01 2023-02-28"),
        ("2025-04-01 2026-03-31", PERIOD, "2024-04-01 2025-03-31"),
        ("2026-03-02 2026-03-15", PERIOD, "2026-02-16 2026-03-01"),
        ("2026-03-02 2026-03-15", YEAR, "2025-03-03 2025-03-16"),
        # Four weeks that are a month.
        ("2027-02-01 2027-02-28", PERIOD, "2027-01-01 2027-01-31"),
        # Any other days.
        ("2026-01-11 2026-01-20", PERIOD, "2026-01-01 2026-01-10"),
        ("2026-03-01 2026-03-20", PERIOD, "2026-02-09 2026-02-28"),
        ("2026-03-01 2026-03-28", PERIOD, "2026-02-01 2026-02-28"),
        ("2026-01-15 2026-02-14", PERIOD, "2025-12-15 2026-01-14"),
        ("2024-02-29 2024-03-10", YEAR, "2023-02-28 2023-03-10"),
        ("2024-02-20 2024-02-29", YEAR, "2023-02-20 2023-02-28"),
        ("2025-02-20 2025-02-28", YEAR, "2024-02-20 2024-02-28"),
        ("2026-03-14 2026-03-14", PERIOD, "2026-03-13 2026-03-13"),
        ("1970-02-01 9998-12-31", PERIOD, None),
        ("1970-02-02 1970-03-05", PERIOD, "1970-01-01 1970-02-01"),
    ],
)  # fmt: skip
def test_a_total_is_compared_with_as_many_units_or_days(total, compare, expected):
    assert total_before(*days(total), None, compare, today=date(9998, 12, 31) + DAY) == expected


def test_the_name_of_a_range_says_of_which_unit_it_is_a_part():
    today = date(2026, 1, 20)
    expected = {
        "month_to_date": "2025-12-01 2025-12-20",
        "quarter_to_date": "2025-10-01 2025-10-20",
        "year_to_date": "2025-01-01 2025-01-20",
        "last_31_days": "2025-11-19 2025-12-19",
        "last_2_quarters": "2025-01-01 2025-06-30",
        "last_4_weeks": "2025-11-24 2025-12-21",
        "today": "2026-01-19 2026-01-19",
    }
    for name, earlier in expected.items():
        start, end = parse_period(name, calendar=PLAIN, today=today)
        assert total_before(start, end, name, PERIOD, today=today) == earlier, name


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        # Whole months, of which the last one is running: as many days as have come.
        ("2025-03-01 2026-03-31", "2024-02-01 2025-02-14"),
        # As month_to_date.
        ("2026-03-01 2026-03-15", "2026-02-01 2026-02-15"),
        # Days until after today, of which only those that have come count.
        ("2026-03-10 2026-03-20", "2026-03-04 2026-03-09"),
        ("2026-03-16 2026-03-20", None),
    ],
)
def test_days_that_have_not_come_are_not_compared(total, expected):
    assert total_before(*days(total), None, PERIOD, today=date(2026, 3, 15)) == expected


def test_fiscal_quarters_and_sunday_weeks_are_compared_with_their_own_kind():
    fiscal = Calendar(UTC, fiscal_year_start=2, week_start="sunday")
    assert row_before("2026-02-01 2026-04-01", "quarter", PERIOD, calendar=fiscal) == "2025-11-01 2025-12-30"
    assert row_before("2026-02-01 2026-03-01", "year", PERIOD, calendar=fiscal) == "2025-02-01 2025-03-01"
    assert row_before("2026-03-01 2026-03-02", "week", PERIOD, calendar=fiscal) == "2026-02-22 2026-02-23"
    assert total_before(*days("2026-03-01 2026-03-14"), None, YEAR, calendar=fiscal) == "2025-03-02 2025-03-15"


starts = st.dates(date(1971, 1, 1), date(2035, 12, 31)) | st.sampled_from(
    [
        date(year, month, day)
        for year in (2023, 2024, 2025)
        for month, day in ((1, 1), (2, 1), (2, 28), (3, 1), (12, 31))
    ]
    + [date(2024, 2, 29)]
)
names = st.sampled_from(
    ["today", "yesterday", "last_30_days", "last_6_weeks", "last_2_quarters", "last_12_months", "last_3_years"]
    + [f"{word}_{unit}" for word in ("this", "last") for unit in UNITS[1:]]
    + [f"{unit}_to_date" for unit in UNITS[1:]]
    + ["2024", "2025-Q1", "2024-02", "2025-02", "2024-W09", "2025-W01", "2024-02-29"]
)
calendars = st.tuples(st.integers(1, 12), st.sampled_from(WEEK_STARTS))
compares = st.sampled_from([PERIOD, YEAR])


@settings(deadline=None, max_examples=200)
@given(starts, st.integers(0, 500), st.integers(-40, 520), st.sampled_from(UNITS), calendars, compares)
@example(date(2024, 2, 29), 0, 0, "day", (1, "monday"), YEAR)
@example(date(2026, 3, 1), 30, 29, "month", (1, "monday"), PERIOD)
@example(date(2026, 1, 1), 364, 100, "year", (1, "monday"), YEAR)
def test_any_days_are_compared_with_those_of_the_model(start, length, age, unit, calendar, compare):
    end, today = start + DAY * (length + 1), start + DAY * age
    ours, other = Calendar(UTC, *calendar), model.Calendar("UTC", *calendar)
    rule = {"compare": compare, "calendar": other, "as_of": today}
    rows = split_range(start, end, granularity=unit, calendar=ours, today=today)
    for row in {rows[0], rows[-1]}:
        earlier = earlier_days_of_unit(row, unit, compare=compare, calendar=ours, today=today)
        assert earlier == days_before_row(ModelPeriod(*row[:3]), unit, **rule)
    total = ModelPeriod("total", start, end)
    units = units_of_total(total, None, calendar=other, as_of=today)
    earlier = earlier_days_of_range(Period(*total, end <= today), compare=compare, calendar=ours, today=today)
    assert earlier == days_before_total(total, units, **rule)


@settings(deadline=None, max_examples=200)
@given(starts.filter(lambda day: day.year > 1975), names, calendars, compares)
def test_the_days_of_any_name_are_compared_with_those_of_the_model(today, name, calendar, compare):
    ours, other = Calendar(UTC, *calendar), model.Calendar("UTC", *calendar)
    total = ModelPeriod("total", *parse_period(name, calendar=ours, today=today))
    assert total[1:] == other.range_of(name, today)
    units = units_of_total(total, name, calendar=other, as_of=today)
    period, unit = Period(*total, total.end <= today), unit_of_name(name)
    earlier = earlier_days_of_range(period, unit, compare=compare, calendar=ours, today=today)
    assert earlier == days_before_total(total, units, compare=compare, calendar=other, as_of=today)
    if units:
        # A row of the unit that the name is about has the same days and is compared with the same days.
        rows = split_range(total.start, total.end, granularity=units[0], calendar=ours, today=today)
        if len(rows) == 1:
            assert earlier_days_of_unit(rows[0], units[0], compare=compare, calendar=ours, today=today) == earlier
