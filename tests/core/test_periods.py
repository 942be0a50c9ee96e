"""Names of ranges, splitting ranges into periods, and the begin of a day."""

import doctest
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.core import errors, period_names
from app.core.errors import Invalid
from app.core.period_names import default_range, parse_period
from app.core.periods import GRANULARITIES, Calendar, Period, count_months, counted_end, split_range

DAY = timedelta(days=1)
TODAY = date(2026, 3, 14)  # a Saturday
PLAIN = Calendar(ZoneInfo("UTC"))
APRIL = Calendar(ZoneInfo("UTC"), fiscal_year_start=4)
SUNDAY = Calendar(ZoneInfo("UTC"), week_start="sunday")

# Zones that skipped midnight, repeated it, or left out a whole day.
ODD_ZONES = [
    "Africa/Cairo", "Africa/Monrovia", "America/Havana", "America/Nuuk", "America/Santiago", "America/Sao_Paulo",
    "America/St_Johns", "Antarctica/Casey", "Asia/Beirut", "Asia/Kathmandu", "Pacific/Apia", "Pacific/Rarotonga",
]  # fmt: skip

INVALID_NAMES = [
    "", " ", "2026 ", "2026\n", "26", "02026", "２０２６", "-2026", "\x00", "\ud800", "9" * 50, "TODAY", "tomorrow",
    "2026-3", "2026-00", "2026-13", "2026-02-29", "2026-03-00", "2026-Q1-01", "2026-03-14T00", "2026-q1", "2026-Q0",
    "2026-Q5", "2026-w07", "2026-W00", "2025-W53", "2026-W54", "0000", "0000-Q1", "1969", "1970", "9999", "9999-12-31",
    "1970-W01", "9998-W53", "this_day", "last_day", "last_months", "last_0_months", "last_01_months", "last_1_month",
    "last_-1_days", "last_1201_days", "last_60_years", "last_9999_years", "last_" + "9" * 30 + "_days", "day_to_date",
]  # fmt: skip

without_deadline = settings(deadline=None)
fiscal_calendars = st.builds(
    Calendar,
    zone=st.just(ZoneInfo("UTC")),
    fiscal_year_start=st.integers(1, 12),
    week_start=st.sampled_from(["monday", "sunday"]),
)
days = st.dates(date(1970, 1, 1), date(9998, 12, 31))
units = st.sampled_from(["day", "week", "month", "quarter", "year"])
ranges = st.tuples(days, st.integers(1, 10_000)).map(lambda r: (r[0], r[0] + min(r[1] * DAY, date(9999, 1, 1) - r[0])))

nearly_names = st.from_regex(
    r"[0-9]{4}(-[QW]?[0-9]{1,2}){0,2}|[a-z]{3,7}_to_date|(last|this)_[a-z]{3,7}", fullmatch=True
)
last_units = st.builds("last_{}_{}s".format, st.integers(0, 1300), units)


def range_of(text, *, calendar=PLAIN, today=TODAY):
    """Return the range that a name stands for, as text."""
    return " ".join(map(str, parse_period(text, calendar=calendar, today=today)))


def error_of(call, *args, **arguments):
    """Return the pointer and the code of the error that a call raises."""
    with pytest.raises(Invalid) as error:
        call(*args, **arguments)
    assert error.value.errors[0]["code"] == error.value.code
    return error.value.errors[0]["pointer"], error.value.code


def split_by(granularity, start, end, *, calendar=PLAIN, today=TODAY):
    start, end = date.fromisoformat(start), date.fromisoformat(end)
    return split_range(start, end, granularity=granularity, calendar=calendar, today=today)


def names_of(result):
    return [period.name for period in result]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026", "2026-01-01 2027-01-01"), ("2026-Q1", "2026-01-01 2026-04-01"),
        ("2026-Q4", "2026-10-01 2027-01-01"), ("2026-03", "2026-03-01 2026-04-01"),
        ("2025-12", "2025-12-01 2026-01-01"), ("2024-02", "2024-02-01 2024-03-01"),
        ("2026-03-14", "2026-03-14 2026-03-15"), ("2026-W01", "2025-12-29 2026-01-05"),
        ("2026-W53", "2026-12-28 2027-01-04"), ("1970", "1970-01-01 1971-01-01"),
        ("9998", "9998-01-01 9999-01-01"),
    ],
)  # fmt: skip
def test_a_name_with_a_year_stands_for_that_part_of_the_calendar(text, expected):
    assert range_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026", "2025-04-01 2026-04-01"), ("2026-Q1", "2025-04-01 2025-07-01"),
        ("2026-Q4", "2026-01-01 2026-04-01"), ("this_quarter", "2026-01-01 2026-04-01"),
        ("last_year", "2024-04-01 2025-04-01"), ("year_to_date", "2025-04-01 2026-03-15"),
        ("last_2_quarters", "2025-07-01 2026-01-01"), ("2026-03", "2026-03-01 2026-04-01"),
        ("2026-W01", "2025-12-29 2026-01-05"),
    ],
)  # fmt: skip
def test_a_fiscal_year_is_named_by_the_year_in_which_it_ends(text, expected):
    assert range_of(text, calendar=APRIL) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-W07", "2026-02-08 2026-02-15"), ("2026-W01", "2025-12-28 2026-01-04"),
        ("2026-W53", "2026-12-27 2027-01-03"), ("2021-W01", "2021-01-03 2021-01-10"),
        ("this_week", "2026-03-08 2026-03-15"), ("last_week", "2026-03-01 2026-03-08"),
        ("last_2_weeks", "2026-02-22 2026-03-08"), ("week_to_date", "2026-03-08 2026-03-15"),
        ("2026-03", "2026-03-01 2026-04-01"), ("yesterday", "2026-03-13 2026-03-14"),
    ],
)  # fmt: skip
def test_a_week_from_sunday_has_the_name_of_the_iso_week_of_its_monday(text, expected):
    assert range_of(text, calendar=SUNDAY) == expected
    start, end = parse_period(text, calendar=SUNDAY, today=TODAY)
    if text.startswith("2026-W"):
        [week] = split_range(start, end, granularity="week", calendar=SUNDAY, today=TODAY)
        assert week.name == text


def test_weeks_from_sunday_begin_on_sunday():
    weeks = split_by("week", "2025-12-27", "2026-01-12", calendar=SUNDAY)
    assert [(week.name, str(week.start)) for week in weeks] == [
        ("2025-W52", "2025-12-27"),
        ("2026-W01", "2025-12-28"),
        ("2026-W02", "2026-01-04"),
        ("2026-W03", "2026-01-11"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("today", "2026-03-14 2026-03-15"), ("yesterday", "2026-03-13 2026-03-14"),
        ("this_week", "2026-03-09 2026-03-16"), ("last_week", "2026-03-02 2026-03-09"),
        ("this_month", "2026-03-01 2026-04-01"), ("last_month", "2026-02-01 2026-03-01"),
        ("this_quarter", "2026-01-01 2026-04-01"), ("last_quarter", "2025-10-01 2026-01-01"),
        ("this_year", "2026-01-01 2027-01-01"), ("last_year", "2025-01-01 2026-01-01"),
        ("last_7_days", "2026-03-07 2026-03-14"), ("last_1_weeks", "2026-03-02 2026-03-09"),
        ("last_12_months", "2025-03-01 2026-03-01"), ("last_4_quarters", "2025-01-01 2026-01-01"),
        ("last_3_years", "2023-01-01 2026-01-01"), ("last_1200_days", "2022-11-30 2026-03-14"),
        ("week_to_date", "2026-03-09 2026-03-15"), ("month_to_date", "2026-03-01 2026-03-15"),
        ("quarter_to_date", "2026-01-01 2026-03-15"), ("year_to_date", "2026-01-01 2026-03-15"),
    ],
)  # fmt: skip
def test_a_relative_name_depends_on_today(text, expected):
    assert range_of(text) == expected


def test_the_default_range_is_twelve_whole_months_and_the_current_one():
    assert default_range(calendar=PLAIN, today=TODAY) == (date(2025, 3, 1), date(2026, 4, 1))
    assert default_range(calendar=APRIL, today=date(2026, 12, 31)) == (date(2025, 12, 1), date(2027, 1, 1))


@pytest.mark.parametrize(
    ("granularity", "start", "end"),
    [
        ("day", date(2025, 3, 1), date(2026, 4, 1)),
        ("week", date(2025, 2, 24), date(2026, 4, 6)),
        ("quarter", date(2025, 1, 1), date(2026, 4, 1)),
        ("year", date(2025, 1, 1), date(2027, 1, 1)),
        ("total", date(2025, 3, 1), date(2026, 4, 1)),
    ],
)
def test_the_default_range_is_extended_to_whole_periods(granularity: str, start: date, end: date):
    assert default_range(granularity, calendar=PLAIN, today=TODAY) == (start, end)


@pytest.mark.parametrize("text", INVALID_NAMES)
def test_any_other_name_is_an_error(text):
    assert error_of(range_of, text, calendar=APRIL) == ("/query/period", "invalid_period")


def test_the_error_does_not_repeat_what_was_sent():
    with pytest.raises(Invalid) as error:
        parse_period("jane@example.com", calendar=PLAIN, today=TODAY)
    assert "jane" not in error.value.detail


@without_deadline
@given(st.text() | nearly_names | last_units, fiscal_calendars, st.dates())
@example("this_year", PLAIN, date.max)
@example("year_to_date", PLAIN, date.max)
@example("last_week", PLAIN, date.min)
@example("this_week", SUNDAY, date.min)
def test_every_text_is_a_range_of_days_or_an_error(text, calendar, today):
    try:
        start, end = parse_period(text, calendar=calendar, today=today)
    except Invalid as error:
        assert error.code == "invalid_period"
    else:
        assert date(1970, 1, 1) <= start < end <= date(9999, 1, 1)


@without_deadline
@given(st.dates(date(3200, 1, 1), date(9998, 12, 30)), units, st.integers(1, 1200), fiscal_calendars)
def test_the_last_units_end_where_the_current_one_begins(today, unit, count, calendar):
    start, end = parse_period(f"last_{count}_{unit}s", calendar=calendar, today=today)
    result = split_range(start, today + DAY, granularity=unit, calendar=calendar, today=today)
    assert len(result) == count + 1
    assert result[-1].start == end <= today


def test_periods_have_the_names_of_their_granularity():
    names = [" ".join(names_of(split_by(by, "2025-12-28", "2026-01-06"))) for by in GRANULARITIES[1:]]
    assert names == ["2025-W52 2026-W01 2026-W02", "2025-12 2026-01", "2025-Q4 2026-Q1", "2025 2026", "total"]
    assert names_of(split_by("day", "2024-02-28", "2024-03-01")) == ["2024-02-28", "2024-02-29"]


def test_fiscal_quarters_and_years_begin_with_the_fiscal_year():
    assert names_of(split_by("quarter", "2026-03-31", "2026-04-02", calendar=APRIL)) == ["2026-Q4", "2027-Q1"]
    assert names_of(split_by("year", "2026-03-31", "2026-04-02", calendar=APRIL)) == ["2026", "2027"]


def test_the_first_and_the_last_period_are_clipped_and_keep_their_names():
    assert split_by("month", "2026-01-15", "2026-03-10", today=date(2026, 3, 10)) == [
        Period("2026-01", date(2026, 1, 15), date(2026, 2, 1), True),
        Period("2026-02", date(2026, 2, 1), date(2026, 3, 1), True),
        Period("2026-03", date(2026, 3, 1), date(2026, 3, 10), True),
    ]


def test_a_period_is_complete_from_the_day_after_its_last_day():
    march = ("month", "2026-03-01", "2026-04-01")
    assert not split_by(*march, today=date(2026, 3, 31))[0].complete
    assert split_by(*march, today=date(2026, 4, 1))[0].complete
    assert not split_by("total", *march[1:], today=date(2026, 3, 31))[0].complete


@without_deadline
@given(ranges, st.sampled_from(GRANULARITIES), fiscal_calendars, days)
def test_periods_cover_the_range_without_gaps_or_overlaps(days_of_range, granularity, calendar, today):
    result = split_range(*days_of_range, granularity=granularity, calendar=calendar, today=today)
    assert (result[0].start, result[-1].end) == days_of_range
    assert all(before.end == after.start for before, after in pairwise(result))
    assert all(period.start < period.end and period.complete == (period.end <= today) for period in result)
    assert len({period.name for period in result}) == len(result)


@without_deadline
@given(ranges, units, fiscal_calendars)
def test_a_period_is_the_range_of_its_name_clipped_to_the_whole_range(days_of_range, unit, calendar):
    result = split_range(*days_of_range, granularity=unit, calendar=calendar, today=TODAY)
    for period in {result[0], result[len(result) // 2], result[-1]}:
        try:
            whole_start, whole_end = parse_period(period.name, calendar=calendar, today=TODAY)
        except Invalid:  # the whole unit reaches out of the years 1970 to 9998
            assert period.start.year in (1970, 9998)
        else:
            assert (period.start, period.end) == (max(days_of_range[0], whole_start), min(days_of_range[1], whole_end))


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_a_range_that_is_empty_or_outside_the_years_is_an_error(granularity):
    assert error_of(split_by, granularity, "2026-03-01", "2026-03-01") == ("/query/end", "invalid_period")
    assert error_of(split_by, granularity, "2026-03-02", "2026-03-01") == ("/query/end", "invalid_period")
    assert error_of(split_by, granularity, "1969-12-31", "2026-03-01") == ("/query/start", "invalid_period")
    assert error_of(split_by, granularity, "9998-12-31", "9999-01-02") == ("/query/end", "invalid_period")


def test_more_than_ten_thousand_periods_are_an_error():
    start = date(2000, 1, 1)
    by_day = {"granularity": "day", "calendar": PLAIN, "today": TODAY}
    assert len(split_range(start, start + 10_000 * DAY, **by_day)) == 10_000
    assert error_of(split_range, start, start + 10_001 * DAY, **by_day) == ("/query/granularity", "too_many_periods")
    assert len(split_by("year", "1970-01-01", "9999-01-01")) == 8029


def test_an_unknown_granularity_is_an_error():
    assert error_of(split_by, "decade", "2026-01-01", "2026-03-01") == ("/query/granularity", "invalid_granularity")


def test_a_current_period_is_counted_up_to_tomorrow_and_keeps_its_end():
    [march] = split_by("month", "2026-03-01", "2026-04-01")
    assert march.end == date(2026, 4, 1)
    assert counted_end(march, TODAY) == date(2026, 3, 15)
    assert counted_end(march, date(2026, 3, 31)) == counted_end(march, date(2026, 5, 1)) == march.end


def test_a_future_period_is_counted_as_empty():
    [may] = split_by("month", "2026-05-01", "2026-06-01")
    assert counted_end(may, TODAY) == counted_end(may, date(2026, 4, 30)) == may.start


@without_deadline
@given(ranges, st.dates())
def test_the_counted_days_are_in_the_period_and_not_after_today(days_of_range, today):
    period = Period("total", *days_of_range, complete=days_of_range[1] <= today)
    end = counted_end(period, today)
    assert period.start <= end <= period.end and (end == period.end or not period.complete)
    assert end == period.start or end - DAY <= today


@pytest.mark.parametrize(
    ("start", "end", "months"),
    [
        ("2026-02-01", "2026-03-01", 1), ("2025-11-01", "2026-02-01", 3), ("2025-01-01", "2026-01-01", 12),
        ("2026-03-01", "2026-03-15", 14 / Fraction("30.4375")), ("2026-01-15", "2026-02-15", 31 / Fraction("30.4375")),
        ("2026-03-01", "2026-03-01", 0), ("2026-03-14", "2026-03-14", 0),
    ],
)  # fmt: skip
def test_months_are_counted_whole_or_by_the_average_month(start, end, months):
    assert count_months(date.fromisoformat(start), date.fromisoformat(end)) == months


def test_a_day_begins_at_midnight_of_the_zone():
    berlin = Calendar(ZoneInfo("Europe/Berlin"))
    assert berlin.midnight(TODAY) == datetime(2026, 3, 13, 23, tzinfo=UTC)
    assert berlin.day(datetime(2026, 3, 13, 22, 59, 59, 999999, tzinfo=UTC)) == date(2026, 3, 13)
    assert berlin.day(datetime(2026, 3, 13, 20, tzinfo=timezone(timedelta(hours=-3)))) == TODAY


def test_a_day_whose_midnight_is_skipped_or_comes_twice_begins_with_its_first_instant():
    sao_paulo = Calendar(ZoneInfo("America/Sao_Paulo"))
    assert sao_paulo.midnight(date(2018, 11, 4)) == datetime(2018, 11, 4, 3, tzinfo=UTC)  # 01:00 local time
    havana = Calendar(ZoneInfo("America/Havana"))
    assert havana.midnight(date(2025, 11, 2)) == datetime(2025, 11, 2, 4, tzinfo=UTC)


def test_a_day_that_a_zone_skipped_is_empty():
    apia = Calendar(ZoneInfo("Pacific/Apia"))
    assert apia.midnight(date(2011, 12, 30)) == apia.midnight(date(2011, 12, 31))


@pytest.mark.parametrize("zone", ODD_ZONES)
def test_a_day_contains_no_instant_before_its_midnight(zone):
    calendar, on = Calendar(ZoneInfo(zone)), date(1970, 1, 2)
    while on < date(2038, 1, 1):
        midnight = calendar.midnight(on)
        assert calendar.day(midnight - timedelta(microseconds=1)) < on <= calendar.day(midnight)
        on += DAY


@without_deadline
@given(st.datetimes(datetime(1970, 1, 1), datetime(9998, 12, 31), timezones=st.timezones()), st.timezones())
def test_an_instant_is_not_before_the_midnight_of_its_day(at, zone):
    calendar = Calendar(zone)
    assert calendar.midnight(calendar.day(at)) <= at


def test_an_instant_without_offset_has_no_day():
    with pytest.raises(ValueError, match="offset"):
        PLAIN.day(datetime(2026, 3, 14))


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(period_names).failed == doctest.testmod(errors).failed == 0
