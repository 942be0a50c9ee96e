"""Periods: names of ranges, cutting a range, and where a day begins."""

import doctest
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.core import periods
from app.core.errors import Invalid
from app.core.periods import (
    GRANULARITIES,
    Calendar,
    Period,
    count_months,
    counted_end,
    default_range,
    parse_period,
    split_range,
)

DAY = timedelta(days=1)
TODAY = date(2026, 3, 14)  # a Saturday
PLAIN = Calendar(ZoneInfo("UTC"))
APRIL = Calendar(ZoneInfo("UTC"), fiscal_year_start=4)

# Zones that skipped midnight, repeated it, or left out a whole day.
ODD_ZONES = [
    "Africa/Cairo", "Africa/Monrovia", "America/Havana", "America/Nuuk", "America/Santiago", "America/Sao_Paulo",
    "America/St_Johns", "Antarctica/Casey", "Asia/Beirut", "Asia/Kathmandu", "Pacific/Apia", "Pacific/Rarotonga",
]  # fmt: skip

NO_NAMES = [
    "", " ", "2026 ", "2026\n", "26", "02026", "２０２６", "-2026", "\x00", "\ud800", "9" * 50, "TODAY", "tomorrow",
    "2026-3", "2026-00", "2026-13", "2026-02-29", "2026-03-00", "2026-Q1-01", "2026-03-14T00", "2026-q1", "2026-Q0",
    "2026-Q5", "2026-w07", "2026-W00", "2025-W53", "2026-W54", "0000", "0000-Q1", "1969", "1970", "9999", "9999-12-31",
    "1970-W01", "9998-W53", "this_day", "last_day", "last_months", "last_0_months", "last_01_months", "last_1_month",
    "last_-1_days", "last_1201_days", "last_60_years", "last_9999_years", "last_" + "9" * 30 + "_days", "day_to_date",
]  # fmt: skip

calm = settings(deadline=None)
fiscal_calendars = st.builds(Calendar, zone=st.just(ZoneInfo("UTC")), fiscal_year_start=st.integers(1, 12))
days = st.dates(date(1970, 1, 1), date(9998, 12, 31))
units = st.sampled_from(["day", "week", "month", "quarter", "year"])
ranges = st.tuples(days, st.integers(1, 10_000)).map(lambda r: (r[0], r[0] + min(r[1] * DAY, date(9999, 1, 1) - r[0])))

nearly_names = st.from_regex(
    r"[0-9]{4}(-[QW]?[0-9]{1,2}){0,2}|[a-z]{3,7}_to_date|(last|this)_[a-z]{3,7}", fullmatch=True
)
last_units = st.builds("last_{}_{}s".format, st.integers(0, 1300), units)


def span(text, *, calendar=PLAIN, today=TODAY):
    """The range as the client would write it."""
    return " ".join(map(str, parse_period(text, calendar=calendar, today=today)))


def refusal(call, *args, **named):
    """Pointer and code of the refusal that the call must end in."""
    with pytest.raises(Invalid) as refused:
        call(*args, **named)
    assert refused.value.errors[0]["code"] == refused.value.code
    return refused.value.errors[0]["pointer"], refused.value.code


def cut_by(granularity, start, end, *, calendar=PLAIN, today=TODAY):
    start, end = date.fromisoformat(start), date.fromisoformat(end)
    return split_range(start, end, granularity=granularity, calendar=calendar, today=today)


def names_of(found):
    return [period.name for period in found]


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
def test_a_name_with_a_year_is_that_part_of_the_calendar(text, expected):
    assert span(text) == expected


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
    assert span(text, calendar=APRIL) == expected


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
def test_a_relative_name_counts_from_today(text, expected):
    assert span(text) == expected


def test_the_default_is_twelve_whole_months_and_the_running_one():
    assert default_range(calendar=PLAIN, today=TODAY) == (date(2025, 3, 1), date(2026, 4, 1))
    assert default_range(calendar=APRIL, today=date(2026, 12, 31)) == (date(2025, 12, 1), date(2027, 1, 1))


@pytest.mark.parametrize("text", NO_NAMES)
def test_any_other_name_is_refused(text):
    assert refusal(span, text, calendar=APRIL) == ("/query/period", "invalid_period")


def test_a_refusal_does_not_repeat_what_was_sent():
    with pytest.raises(Invalid) as refused:
        parse_period("jane@example.com", calendar=PLAIN, today=TODAY)
    assert "jane" not in refused.value.detail


@calm
@given(st.text() | nearly_names | last_units, fiscal_calendars, st.dates())
@example("this_year", PLAIN, date.max)
@example("year_to_date", PLAIN, date.max)
@example("last_week", PLAIN, date.min)
def test_every_text_is_a_range_of_days_or_refused(text, calendar, today):
    try:
        start, end = parse_period(text, calendar=calendar, today=today)
    except Invalid as refused:
        assert refused.code == "invalid_period"
    else:
        assert date(1970, 1, 1) <= start < end <= date(9999, 1, 1)


@calm
@given(st.dates(date(3200, 1, 1), date(9998, 12, 30)), units, st.integers(1, 1200), fiscal_calendars)
def test_the_last_units_end_where_the_running_one_begins(today, unit, count, calendar):
    start, end = parse_period(f"last_{count}_{unit}s", calendar=calendar, today=today)
    found = split_range(start, today + DAY, granularity=unit, calendar=calendar, today=today)
    assert len(found) == count + 1
    assert found[-1].start == end <= today


def test_every_granularity_names_its_periods():
    found = [" ".join(names_of(cut_by(by, "2025-12-28", "2026-01-06"))) for by in GRANULARITIES[1:]]
    assert found == ["2025-W52 2026-W01 2026-W02", "2025-12 2026-01", "2025-Q4 2026-Q1", "2025 2026", "total"]
    assert names_of(cut_by("day", "2024-02-28", "2024-03-01")) == ["2024-02-28", "2024-02-29"]


def test_fiscal_quarters_and_years_are_cut_where_the_fiscal_year_begins():
    assert names_of(cut_by("quarter", "2026-03-31", "2026-04-02", calendar=APRIL)) == ["2026-Q4", "2027-Q1"]
    assert names_of(cut_by("year", "2026-03-31", "2026-04-02", calendar=APRIL)) == ["2026", "2027"]


def test_periods_at_the_edges_are_clipped_and_keep_their_name():
    assert cut_by("month", "2026-01-15", "2026-03-10", today=date(2026, 3, 10)) == [
        Period("2026-01", date(2026, 1, 15), date(2026, 2, 1), True),
        Period("2026-02", date(2026, 2, 1), date(2026, 3, 1), True),
        Period("2026-03", date(2026, 3, 1), date(2026, 3, 10), True),
    ]


def test_a_period_is_complete_from_the_day_after_its_last():
    march = ("month", "2026-03-01", "2026-04-01")
    assert not cut_by(*march, today=date(2026, 3, 31))[0].complete
    assert cut_by(*march, today=date(2026, 4, 1))[0].complete
    assert not cut_by("total", *march[1:], today=date(2026, 3, 31))[0].complete


@calm
@given(ranges, st.sampled_from(GRANULARITIES), fiscal_calendars, days)
def test_periods_cover_the_range_without_gap_or_overlap(asked, granularity, calendar, today):
    found = split_range(*asked, granularity=granularity, calendar=calendar, today=today)
    assert (found[0].start, found[-1].end) == asked
    assert all(before.end == after.start for before, after in pairwise(found))
    assert all(period.start < period.end and period.complete == (period.end <= today) for period in found)
    assert len({period.name for period in found}) == len(found)


@calm
@given(ranges, units, fiscal_calendars)
def test_a_period_is_what_its_name_says_clipped_to_the_range(asked, unit, calendar):
    found = split_range(*asked, granularity=unit, calendar=calendar, today=TODAY)
    for period in {found[0], found[len(found) // 2], found[-1]}:
        try:
            whole_start, whole_end = parse_period(period.name, calendar=calendar, today=TODAY)
        except Invalid:  # the whole unit reaches out of the years 1970 to 9998
            assert period.start.year in (1970, 9998)
        else:
            assert (period.start, period.end) == (max(asked[0], whole_start), min(asked[1], whole_end))


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_a_range_that_is_empty_or_out_of_the_years_is_refused(granularity):
    assert refusal(cut_by, granularity, "2026-03-01", "2026-03-01") == ("/query/end", "invalid_period")
    assert refusal(cut_by, granularity, "2026-03-02", "2026-03-01") == ("/query/end", "invalid_period")
    assert refusal(cut_by, granularity, "1969-12-31", "2026-03-01") == ("/query/start", "invalid_period")
    assert refusal(cut_by, granularity, "9998-12-31", "9999-01-02") == ("/query/end", "invalid_period")


def test_more_than_ten_thousand_periods_are_refused():
    start = date(2000, 1, 1)
    by_day = {"granularity": "day", "calendar": PLAIN, "today": TODAY}
    assert len(split_range(start, start + 10_000 * DAY, **by_day)) == 10_000
    assert refusal(split_range, start, start + 10_001 * DAY, **by_day) == ("/query/granularity", "too_many_periods")
    assert len(cut_by("year", "1970-01-01", "9999-01-01")) == 8029


def test_an_unknown_granularity_is_refused():
    assert refusal(cut_by, "decade", "2026-01-01", "2026-03-01") == ("/query/granularity", "invalid_granularity")


def test_a_running_period_counts_up_to_tomorrow_and_shows_its_end():
    [march] = cut_by("month", "2026-03-01", "2026-04-01")
    assert march.end == date(2026, 4, 1)
    assert counted_end(march, TODAY) == date(2026, 3, 15)
    assert counted_end(march, date(2026, 3, 31)) == counted_end(march, date(2026, 5, 1)) == march.end


def test_a_period_wholly_in_the_future_is_counted_as_empty():
    [may] = cut_by("month", "2026-05-01", "2026-06-01")
    assert counted_end(may, TODAY) == counted_end(may, date(2026, 4, 30)) == may.start


@calm
@given(ranges, st.dates())
def test_what_is_counted_lies_in_the_period_and_never_after_today(asked, today):
    period = Period("total", *asked, complete=asked[1] <= today)
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
def test_months_are_whole_or_days_of_an_average_month(start, end, months):
    assert count_months(date.fromisoformat(start), date.fromisoformat(end)) == months


def test_a_day_begins_at_midnight_of_the_zone():
    berlin = Calendar(ZoneInfo("Europe/Berlin"))
    assert berlin.midnight(TODAY) == datetime(2026, 3, 13, 23, tzinfo=UTC)
    assert berlin.day(datetime(2026, 3, 13, 22, 59, 59, 999999, tzinfo=UTC)) == date(2026, 3, 13)
    assert berlin.day(datetime(2026, 3, 13, 20, tzinfo=timezone(timedelta(hours=-3)))) == TODAY


def test_a_day_whose_midnight_is_skipped_or_comes_twice_begins_with_its_first_instant():
    sao_paulo = Calendar(ZoneInfo("America/Sao_Paulo"))
    assert sao_paulo.midnight(date(2018, 11, 4)) == datetime(2018, 11, 4, 3, tzinfo=UTC)  # 01:00 by the wall
    havana = Calendar(ZoneInfo("America/Havana"))
    assert havana.midnight(date(2025, 11, 2)) == datetime(2025, 11, 2, 4, tzinfo=UTC)


def test_a_day_that_a_zone_left_out_is_empty():
    apia = Calendar(ZoneInfo("Pacific/Apia"))
    assert apia.midnight(date(2011, 12, 30)) == apia.midnight(date(2011, 12, 31))


@pytest.mark.parametrize("zone", ODD_ZONES)
def test_no_instant_before_its_midnight_is_of_a_day(zone):
    calendar, on = Calendar(ZoneInfo(zone)), date(1970, 1, 2)
    while on < date(2038, 1, 1):
        midnight = calendar.midnight(on)
        assert calendar.day(midnight - timedelta(microseconds=1)) < on <= calendar.day(midnight)
        on += DAY


@calm
@given(st.datetimes(datetime(1970, 1, 1), datetime(9998, 12, 31), timezones=st.timezones()), st.timezones())
def test_an_instant_is_of_a_day_that_has_begun(at, zone):
    calendar = Calendar(zone)
    assert calendar.midnight(calendar.day(at)) <= at


def test_an_instant_without_offset_has_no_day():
    with pytest.raises(ValueError, match="offset"):
        PLAIN.day(datetime(2026, 3, 14))


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(periods).failed == 0
