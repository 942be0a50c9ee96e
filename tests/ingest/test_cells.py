"""Cells of columns: numbers as people write them, times in their zones, days added to dates, and all faults of a row."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.ingest.files.columns import FileColumn
from app.ingest.files.templates import split_shifts
from app.ingest.files.times import TimeShift, shift_time, time_parser
from tests.support.imports import ONE_COLUMN, TWO_COLUMNS, ImportFolder, problem_of, table


@pytest.fixture
def folder(tmp_path: Path) -> ImportFolder:
    return ImportFolder(tmp_path)


# Numbers


NUMBERS: list[tuple[str, str, Any]] = [
    ('{ type = "money", strip = ["€"] }', "5.00 €", "5"),
    ('{ type = "money", strip = ["€", "EUR"], decimal_point = ",", thousands = "." }', "EUR\u00a01.250,50", "1250.5"),
    ('{ type = "money", strip = ["$"], thousands = "," }', "$1,250.50", "1250.5"),
    ('{ type = "money", strip = ["$"] }', "-$5", "-5"),
    ('{ type = "integer", strip = [" users"] }', "12 users", 12),
    ('{ type = "number", strip = ["%"] }', "12.5 %", 12.5),
    ('{ type = "money", thousands = " ", decimal_point = "," }', "1\u202f250\u00a0000,5", "1250000.5"),
    ('{ type = "money", thousands = "\'" }', "1’250.5", "1250.5"),
    ('{ type = "money", decimals = 2 }', "33.335", "33.34"),
    ('{ type = "money", decimals = 2 }', "33.3349", "33.33"),
    ('{ type = "number", decimals = 0 }', "-2.5", -3),
    ('{ type = "money", times = "d" }', "2.50", "7.5"),
    ('{ type = "integer", times = "d" }', "2", 6),
    ('{ type = "money", times = 0.01 }', "1999", "19.99"),
    ('{ type = "money", times = -1 }', "-5.50", "5.5"),
    ('{ type = "integer", times = "d", decimal_point = "," }', "2", 6),
    ('"integer"', "\u00a0\t ", "left out"),
    ('"money"', " \u2003", "left out"),
    ('"text"', " \r\n", "left out"),
    ('{ type = "integer", empty = ["-"] }', " - ", "left out"),
    ('{ type = "date", format = ["%d.%m.%Y", "excel"] }', "46086", "2026-03-05"),
    ('{ type = "date", format = ["%d.%m.%Y", "excel"] }', "05.03.2026", "2026-03-05"),
    ('{ type = "datetime", format = "excel" }', "46086,75", "2026-03-05T18:00:00Z"),
    ('{ type = "datetime", format = "excel" }', "46086.354166667", "2026-03-05T08:30:00Z"),
    ('{ type = "datetime", format = "excel", zone = "Europe/Berlin" }', "46086.75", "2026-03-05T17:00:00Z"),
    ('{ type = "date", format = "excel_1904" }', "44624", "2026-03-05"),
]


@pytest.mark.parametrize(("column", "cell", "value"), NUMBERS)
def test_a_cell_becomes_a_value_by_the_options_of_its_column(
    folder: ImportFolder, column: str, cell: str, value: Any
) -> None:
    row = folder.read_one(ONE_COLUMN.format(column=column), table(["c", "d"], [cell, "3"]))
    result = problem_of(row) or row.events[0]["data"].get("c", "left out")
    assert (result, type(result)) == (value, type(value))


HINTS = [
    ('"money"', "5,00 €", 'is not a number; to ignore the sign, set strip = ["€"]'),
    ('"money"', "$ 5", 'set strip = ["$"]'),
    ('"money"', "CHF 1'250.00", 'set strip = ["CHF"]'),
    ('"money"', "R$ 5,00", 'set strip = ["R$"]'),
    ('"money"', "Fr. 5.00", 'set strip = ["Fr."]'),
    ('"number"', "12 %", 'set strip = ["%"]'),
    ('"money"', "1.250,00", 'set decimal_point = "," and thousands = "."'),
    ('"money"', "5,5", 'set decimal_point = ","'),
    ('"integer"', "1,250", 'set thousands = "," or decimal_point = ","'),
    ('"money"', "1 250", 'set thousands = " "'),
    ('"money"', "1’250.50", "set thousands = \"'\""),
    ('{ type = "money", decimal_point = "," }', "1.250", 'set thousands = "." or decimal_point = "."'),
    ('{ type = "money", decimal_point = "," }', "1.5", 'set decimal_point = "."'),
    ('"integer"', "-", 'if it stands for an empty cell, set empty = ["-"]'),
    ('"money"', "N/A", 'set empty = ["N/A"]'),
    ('"datetime"', "NULL", 'set empty = ["NULL"]'),
    ('"date"', "46086", 'as a number of Excel it is 2026-03-05: set format = "excel"'),
    ('"date"', "46086.75", 'set format = "excel"'),
    ('{ type = "date", format = "%d.%m.%Y" }', "46086", 'set format = "excel"'),
    ('"datetime"', "1700000000", 'set format = "unix"'),
    ('"datetime"', "1700000000000", 'set format = "unix_ms"'),
    ('"datetime"', "05.03.2026", 'set format = "%d.%m.%Y"'),
    ('"datetime"', "3/5/2026 8:30", 'set format = "%d/%m/%Y %H:%M" or "%m/%d/%Y %H:%M"'),
    ('"datetime"', "13/5/2026", 'set format = "%d/%m/%Y"'),
    ('"datetime"', "3/5/26", 'set format = "%d/%m/%y" or "%m/%d/%y"'),
    ('{ type = "date", format = "%d.%m.%Y" }', "20260305", 'set format = "%Y%m%d"'),
    ('"boolean"', "ja", "set true and false to the spellings of the file"),
    ('{ values = { P1 = "urgent" } }', "P3", "is not among the values of the mapping: P1"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "cell", "hint"), HINTS)
def test_a_cell_that_cannot_be_read_names_its_column_and_the_option_that_helps(
    folder: ImportFolder, column: str, cell: str, hint: str
) -> None:
    problem = folder.convert(column, cell)
    assert problem.startswith(f"bad_value: column c: {cell!r} is") and hint in problem


# Local times


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
def test_local_times_that_the_clocks_had_twice_or_skipped_are_problems(zone: str) -> None:
    """Every half hour of 2026, against what the clocks of the zone show for every half hour of UTC."""
    parse, info = time_parser(FileColumn(type="datetime", zone=zone)), ZoneInfo(zone)
    half_hours = [datetime(2025, 12, 30, tzinfo=UTC) + timedelta(minutes=30 * n) for n in range(48 * 370)]
    instants: dict[datetime, list[datetime]] = {}
    for instant in half_hours:
        instants.setdefault(instant.astimezone(info).replace(tzinfo=None, fold=0), []).append(instant)
    for n in range(48 * 365):
        local = datetime(2026, 1, 1) + timedelta(minutes=30 * n)
        matches = instants.get(local, [])
        if len(matches) == 1 or local.time() == datetime.min.time():
            assert parse(local.isoformat()).astimezone(UTC) == matches[0]
            continue
        event = "was on the clocks twice" if matches else "was skipped by the clocks"
        with pytest.raises(ValueError, match=f'{event} in {zone}; .*clock_change = "earlier" or "later"'):
            parse(local.isoformat())
        if matches:
            for choice, expected in zip(("earlier", "later"), matches, strict=True):
                chosen = time_parser(FileColumn(type="datetime", zone=zone, clock_change=choice))
                assert chosen(local.isoformat()).astimezone(UTC) == expected


CLOCKS = [
    ("Europe/Berlin", "2026-10-25T02:30", "earlier", "2026-10-25T00:30:00Z"),
    ("Europe/Berlin", "2026-10-25T02:30", "later", "2026-10-25T01:30:00Z"),
    ("Europe/Berlin", "2026-03-29T02:30", "earlier", "2026-03-29T00:30:00Z"),
    ("Europe/Berlin", "2026-03-29T02:30", "later", "2026-03-29T01:30:00Z"),
    # The start of a day that begins at one o'clock, and of one whose midnight comes twice.
    ("America/Sao_Paulo", "2018-11-04", "problem", "2018-11-04T03:00:00Z"),
    ("America/Havana", "2026-11-01", "problem", "2026-11-01T04:00:00Z"),
    ("Europe/Berlin", "2026-10-25T02:30+01:00", "problem", "2026-10-25T01:30:00Z"),
]


@pytest.mark.parametrize(("zone", "cell", "change", "expected"), CLOCKS)
def test_the_mapping_may_say_which_instant_is_meant(
    folder: ImportFolder, zone: str, cell: str, change: str, expected: str
) -> None:
    assert folder.convert(f'{{ type = "datetime", zone = "{zone}", clock_change = "{change}" }}', cell) == expected


def test_a_time_of_two_columns_is_read_in_its_zone(folder: ImportFolder) -> None:
    column = 'at = { template = "{c} {d}", type = "datetime", format = "%d.%m.%Y %H:%M", zone = "Europe/Berlin" }'
    text = TWO_COLUMNS.replace("columns.c", f"columns.{column}\ncolumns.c").replace("2024-01-01T00:00:00Z", "{at}")
    assert folder.read_one(text, "c,d\n05.03.2026,08:30\n").events[0]["occurred_at"] == "2026-03-05T07:30:00Z"
    assert problem_of(folder.read_one(text, "c,d\n05.03.2026,25:30\n")).startswith(
        "bad_value: column at: '05.03.2026 25:30'"
    )
    assert problem_of(folder.read_one(text, "c,d\n05.03.2026,\n")).startswith("missing_value: column at is empty")


# Added time


def shifted(
    cell: str, template: str, *, zone: str = "UTC", type: str = "datetime", folder: ImportFolder, d: str = "x"
) -> Any:
    """Return the value of a template that adds to the column `c`."""
    text = TWO_COLUMNS.replace(
        'columns.c = "text"', f'columns.c = {{ type = "{type}", zone = "{zone}" }}\ncolumns.d = "text"'
    )
    row = folder.read_one(text.replace('c = "{c}"', f'c = "{template}"'), table(["c", "d"], [cell, d]))
    return problem_of(row) or row.events[0]["data"].get("c", "left out")


SHIFTS = [
    ("2025-12-31", "{c} + 1 day", "UTC", "datetime", "2026-01-01T00:00:00Z"),
    ("2025-12-31", "{c} + 1 day", "UTC", "date", "2026-01-01"),
    ("2025-12-31", "{c}+1 days", "Europe/Berlin", "datetime", "2025-12-31T23:00:00Z"),
    ("2026-03-28T12:00", "{c} + 1 day", "Europe/Berlin", "datetime", "2026-03-29T10:00:00Z"),
    ("2026-03-28T12:00", "{c} + 24 hours", "Europe/Berlin", "datetime", "2026-03-29T11:00:00Z"),
    ("2026-01-31", "{c} + 1 month", "UTC", "date", "2026-02-28"),
    ("2028-01-31", "{c} + 1 month", "UTC", "date", "2028-02-29"),
    ("2028-02-29", "{c} + 1 year", "UTC", "date", "2029-02-28"),
    ("2026-01-01", "{c} - 1 day", "UTC", "date", "2025-12-31"),
    ("2026-01-01", "{c} + 2 weeks", "UTC", "date", "2026-01-15"),
    ("2026-01-01", "{c} + 90 minutes", "UTC", "datetime", "2026-01-01T01:30:00Z"),
    ("2026-01-01", "{c} + {d} months - 1 day", "UTC", "date", "2026-12-31"),
    ("", "{c} + 1 day", "UTC", "date", "left out"),
]


@pytest.mark.parametrize(("cell", "template", "zone", "type", "expected"), SHIFTS)
def test_time_is_added_on_the_clocks_of_the_column(
    folder: ImportFolder, cell: str, template: str, zone: str, type: str, expected: str
) -> None:
    assert shifted(cell, template, zone=zone, type=type, folder=folder, d="12") == expected


def test_time_that_cannot_be_added_is_a_problem(folder: ImportFolder) -> None:
    assert shifted("9999-12-31", "{c} + 1 day", folder=folder).startswith("bad_value: '{c} + 1 day': '9999-12-31")
    assert (
        shifted("2026-01-01", "{c} + {d} days", folder=folder, d="two") == "bad_value: column d: 'two' is not a number"
    )
    assert shifted("2026-01-01", "{c} + {d} days", folder=folder, d="") == "left out"
    assert "was skipped by the clocks" in shifted(
        "2026-03-28T02:30", "{c} + 1 day", zone="Europe/Berlin", folder=folder
    )


def test_time_is_added_to_the_time_of_an_event_without_a_type(folder: ImportFolder) -> None:
    text = TWO_COLUMNS.replace('"2024-01-01T00:00:00Z"', '"{d} + 1 day"')
    assert folder.read_one(text, "c,d\n1,2026-02-28\n").events[0]["occurred_at"] == "2026-03-01T00:00:00Z"


def test_a_sum_in_a_text_stays_a_text(folder: ImportFolder) -> None:
    text = TWO_COLUMNS.replace('c = "{c}"', 'c = "{c} + 1 day"')
    assert folder.read_one(text, "c,d\nBasic,2\n").events[0]["data"]["c"] == "Basic + 1 day"
    assert split_shifts("{c} + one day") is None and split_shifts("{c} + 1 day left") is None


ZONES = sorted(zone for zone in available_timezones() if not zone.startswith(("posix", "right", "Etc")))


@settings(max_examples=300, deadline=None)
@given(
    st.dates(date(1990, 1, 1), date(2035, 12, 31)),
    st.integers(-4000, 4000),
    st.sampled_from(["day", "week", "month", "year"]),
    st.sampled_from(ZONES),
)
def test_whole_days_added_to_a_day_give_the_day_of_the_calendar(day: date, number: int, unit: str, zone: str) -> None:
    column = FileColumn(type="date", zone=zone)
    number = number if unit == "day" else number // 200
    result = shift_time(time_parser(column)(day.isoformat()), [TimeShift(1, number, unit)], clock_change="problem")
    if unit in ("day", "week"):
        expected = day + timedelta(days=number * (7 if unit == "week" else 1))
    else:
        months = day.year * 12 + day.month - 1 + number * (12 if unit == "year" else 1)
        first = date(months // 12, months % 12 + 1, 1)
        last = (date(first.year + first.month // 12, first.month % 12 + 1, 1) - timedelta(days=1)).day
        expected = first.replace(day=min(day.day, last))
    assert result.date() == expected


@settings(max_examples=200, deadline=None)
@given(st.datetimes(datetime(1970, 1, 2), datetime(2099, 12, 31)), st.sampled_from(["excel", "excel_1904"]))
def test_every_number_of_excel_is_the_time_that_it_stands_for(time: datetime, format: str) -> None:
    time = time.replace(microsecond=0)
    serial = (time - (datetime(1899, 12, 30) if format == "excel" else datetime(1904, 1, 1))) / timedelta(days=1)
    parse = time_parser(FileColumn(type="datetime", format=format))
    assert parse(repr(serial)).replace(tzinfo=None) == parse(serial).replace(tzinfo=None) == time


# All faults of a row


def test_all_faults_of_a_row_are_reported_each_with_its_column(folder: ImportFolder) -> None:
    text = """
    [[source]]
    file = "*"
    columns = { n = "integer", at = "datetime", end = "datetime", price = "money", who = { when_empty = "problem" } }
    [[source.event]]
    type = "note"
    id = "{id}"
    account_id = "{who}"
    occurred_at = "{at}"
    data = { n = "{n}", extra = { list = ["{price}", "{n}"], end = "{end} + 1 day" } }
    [[source.event]]
    when = "n > 1"
    type = "note"
    id = "{id}-2"
    occurred_at = "{end}"
    """
    row = folder.read_one(text, "id,who,n,at,end,price\n,,x,soon,later,5 €\n")
    assert [problem.partition(" is ")[0] for problem in row.problems] == [
        "missing_value: column id",
        "missing_value: column who",
        "bad_value: column at: 'soon'",
        "bad_value: column n: 'x'",
        "bad_value: column price: '5 €'",
        "bad_value: column end: 'later'",
    ]
    assert row.events == ()


def test_an_option_of_the_wrong_type_of_column_is_refused(folder: ImportFolder) -> None:
    for option, types in (
        ('strip = ["€"]', "integer or number or money"),
        ("decimals = 2", "number or money"),
        ('clock_change = "later"', "datetime or date"),
        ('times = "d"', "integer or number or money"),
    ):
        with pytest.raises(Invalid, match=f"is only for columns of type {types}"):
            folder.load_mapping(ONE_COLUMN.format(column=f"{{ {option} }}"))
