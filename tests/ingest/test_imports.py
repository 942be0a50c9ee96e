"""Rows of files become events by a mapping. Whatever a file contains, each of its records becomes exactly one row."""

import csv
import gzip
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.ingest import catalogue, read
from app.ingest.files.import_report import ImportReport
from app.ingest.files.mapping_file import load_mapping
from app.ingest.files.row_reader import read_rows, total_size
from app.ingest.files.source_row import SourceRow
from app.ingest.outcome import DuplicateNote
from tests.ravenstack import files
from tests.support.imports import NOTE, ONE_COLUMN, TWO_COLUMNS, ImportFolder, problem_of, table


@pytest.fixture
def folder(tmp_path: Path) -> ImportFolder:
    return ImportFolder(tmp_path)


# Events of a row


TICKETS = """
[[source]]
file = "tickets_*.csv"
columns.score = "integer"
columns.calm = { column = "escalated", type = "boolean", not = true }
skip = [{ when = 'account = "us"', reason = "our own" }]
[[source.event]]
type = "ticket.opened"
id = "ticket-{ticket}-opened"
account_id = "{account}"
user_id = "{user}"
occurred_at = "{opened}"
recorded_on = "{exported}"
data = { ticket_id = "{ticket}", priority = "{priority}", extra = { score = "{score}", tags = ["{a}", "{b}"] } }
[[source.event]]
when = "closed is not null"
type = "ticket.resolved"
id = "ticket-{ticket}-resolved"
account_id = "{account}"
occurred_at = "{closed}"
data = { ticket_id = "{ticket}", first_contact = "{calm}" }
"""
HEADER = ["ticket", "account", "user", "opened", "closed", "exported", "priority", "score", "escalated", "a", "b"]


def test_a_row_makes_one_event_for_each_block_that_applies(folder: ImportFolder) -> None:
    cells = ["7", "acme", "ann", "2024-03-01", "2024-03-02 10:30:00", "2024-04-01", "high", "4.0", "False", "x", ""]
    (row,) = folder.read(TICKETS, folder.write("tickets_1.csv", table(HEADER, cells)))
    assert row.events == [
        {
            "id": "ticket-7-opened",
            "type": "ticket.opened",
            "account_id": "acme",
            "user_id": "ann",
            "occurred_at": "2024-03-01T00:00:00Z",
            "recorded_on": "2024-04-01",
            "data": {"ticket_id": "7", "priority": "high", "extra": {"score": 4, "tags": ["x"]}},
        },
        {
            "id": "ticket-7-resolved",
            "type": "ticket.resolved",
            "account_id": "acme",
            "occurred_at": "2024-03-02T10:30:00Z",
            "data": {"ticket_id": "7", "first_contact": True},
        },
    ]
    assert (row.problems, row.reason) == ((), None)


def test_an_empty_cell_leaves_its_field_out(folder: ImportFolder) -> None:
    cells = ["7", "acme", "", "2024-03-01", "", "", "", "", "", "", ""]
    (row,) = folder.read(TICKETS, folder.write("tickets_1.csv", table(HEADER, cells)))
    (event,) = row.events
    assert event == {
        "id": "ticket-7-opened",
        "type": "ticket.opened",
        "account_id": "acme",
        "occurred_at": "2024-03-01T00:00:00Z",
        "data": {"ticket_id": "7"},
    }


def test_a_row_without_the_cells_of_its_id_or_time_is_a_problem(folder: ImportFolder) -> None:
    for gap in (0, 3):
        cells = ["7", "acme", "", "2024-03-01", "", "", "", "", "", "", ""]
        cells[gap] = ""
        (row,) = folder.read(TICKETS, folder.write("tickets_1.csv", table(HEADER, cells)))
        assert row.events == ()
        assert problem_of(row).startswith("missing_value: ") and "ticket.opened" in problem_of(row)


def test_one_bad_cell_prevents_all_events_of_its_row(folder: ImportFolder) -> None:
    cells = ["7", "acme", "", "2024-03-01", "soon", "", "", "", "", "", ""]
    (row,) = folder.read(TICKETS, folder.write("tickets_1.csv", table(HEADER, cells)))
    assert (row.events, row.problems) == ((), ["bad_value: column closed: 'soon' is not a time of ISO 8601"])


def test_a_skip_rule_leaves_a_row_out_with_its_reason(folder: ImportFolder) -> None:
    cells = ["7", "us", "", "2024-03-01", "", "", "", "", "", "", ""]
    (row,) = folder.read(TICKETS, folder.write("tickets_1.csv", table(HEADER, cells)))
    assert (row.events, row.problems, row.reason) == ((), (), "our own")


def test_a_row_to_which_no_event_applies_is_a_problem_unless_the_mapping_has_otherwise(folder: ImportFolder) -> None:
    never = TWO_COLUMNS.replace('type = "note"', 'type = "note"\nwhen = "c = \'never\'"')
    assert problem_of(folder.read_one(never, "c,d\n1,2\n")).startswith("no_event: ")
    row = folder.read_one(never.replace("columns.c", 'otherwise = "not ours"\ncolumns.c'), "c,d\n1,2\n")
    assert (row.problems, row.reason) == ((), "not ours")


def test_conditions_see_typed_values_and_money_as_a_number(folder: ImportFolder) -> None:
    for column, cells, condition in (
        ('"money"', ["9.50", "10.00", "100"], "c >= 10"),
        ('"integer"', ["9", "10", "100"], "c >= 10"),
        ('"boolean"', ["no", "yes", "TRUE"], "c = true"),
        ('"date"', ["2023-12-31", "2024-01-01", "2024-02-01"], 'c >= \\"2024-01-01\\"'),
        ('"text"', ["1", "true", "True"], 'c in (\\"true\\", \\"True\\")'),
    ):
        text = ONE_COLUMN.format(column=column).replace(
            "[[source.event]]", f'otherwise = "-"\n[[source.event]]\nwhen = "{condition}"'
        )
        rows = folder.read(text, folder.write("data.csv", table(["c"], *([cell] for cell in cells))))
        assert [row.reason is not None for row in rows] == [True, False, False], column


def test_a_time_may_be_composed_of_several_columns(folder: ImportFolder) -> None:
    text = TWO_COLUMNS.replace('"2024-01-01T00:00:00Z"', '"{c} {d}"')
    assert folder.read_one(text, "c,d\n2024-05-06,07:08\n").events[0]["occurred_at"] == "2024-05-06T07:08:00Z"
    assert "'{c} {d}': '2024-05-06 x' is not a time" in problem_of(folder.read_one(text, "c,d\n2024-05-06,x\n"))


# Values of cells


VALUES: list[tuple[str, str, Any]] = [
    ('"text"', " a ", " a "),
    ('"text"', "", "left out"),
    ('"integer"', "4", 4),
    ('"integer"', " 4.0 ", 4),
    ('"integer"', "-12", -12),
    ('"integer"', "1e3", 1000),
    ('"integer"', "  ", "left out"),
    ('{ type = "integer", thousands = "," }', "1,234,567", 1_234_567),
    ('{ type = "integer", default = 0 }', "", 0),
    ('{ type = "integer", default = "07" }', "", 7),
    ('{ type = "integer", empty = ["NULL", "-"] }', "NULL", "left out"),
    ('{ type = "integer", when_empty = "null" }', "", None),
    ('"number"', "2.50", 2.5),
    ('"number"', "2.0", 2),
    ('"number"', ".5", 0.5),
    ('{ type = "number", decimal_point = ",", thousands = "." }', "1.234,5", 1234.5),
    ('"money"', "12.500000", "12.5"),
    ('"money"', "99999999999.9999", "99999999999.9999"),
    ('"money"', "1.5E3", "1500"),
    ('"money"', "1200", "1200"),
    ('"boolean"', "True", True),
    ('"boolean"', "n", False),
    ('{ type = "boolean", not = true }', "0", True),
    ('{ type = "boolean", true = ["ja"], false = ["nein"] }', "Nein", False),
    ('"datetime"', "2024-02-29", "2024-02-29T00:00:00Z"),
    ('"datetime"', "2024-02-29 23:30:00.5", "2024-02-29T23:30:00.500000Z"),
    ('"datetime"', "2024-02-29T23:30:00-05:00", "2024-03-01T04:30:00Z"),
    ('{ type = "datetime", zone = "Europe/Berlin" }', "2024-07-01", "2024-06-30T22:00:00Z"),
    ('{ type = "datetime", format = "%d.%m.%Y %H:%M" }', "01.02.2024 03:04", "2024-02-01T03:04:00Z"),
    ('{ type = "datetime", format = "unix" }', "1700000000", "2023-11-14T22:13:20Z"),
    ('{ type = "datetime", format = "unix_ms" }', "1700000000250", "2023-11-14T22:13:20.250000Z"),
    ('"date"', "2024-02-29", "2024-02-29"),
    ('{ type = "date", zone = "Asia/Tokyo" }', "2024-02-29T20:00:00Z", "2024-03-01"),
    ('{ type = "text", separator = ";" }', "a; b ;", ["a", "b"]),
    ('{ type = "text", values = { p1 = "high", p2 = 2 } }', "p2", 2),
    ('{ values = { staff = "agent" }, separator = "," }', "staff,staff", ["agent", "agent"]),
    ('{ column = "d" }', "", "x"),
]


@pytest.mark.parametrize(("column", "cell", "value"), VALUES)
def test_a_cell_becomes_a_value_of_its_type(folder: ImportFolder, column: str, cell: str, value: Any) -> None:
    result = folder.convert(column, cell)
    assert (result, type(result)) == (value, type(value))


PROBLEMS = [
    ('"integer"', "4.5", "is not a whole number"),
    ('"integer"', "four", "'four' is not a number"),
    ('"integer"', "1_000", "is not a number"),
    ('"integer"', "٤", "is not a number"),
    ('"integer"', "1,5", "is not a number"),
    ('"integer"', "9" * 5000, "is not a whole number below"),
    ('{ type = "integer", thousands = "," }', "1,5", "is not a number"),
    ('{ type = "integer", when_empty = "problem" }', "", "missing_value: column c is empty"),
    ('"number"', "nan", "is not a number"),
    ('"number"', "inf", "is not a number"),
    ('"number"', "1e999", "is too large a number"),
    ('"money"', "$5", "is not a number"),
    ('"money"', "1e9999", "is not a number"),
    ('"boolean"', "maybe", "is neither true nor false"),
    ('"datetime"', "yesterday", "is not a time of ISO 8601"),
    ('"datetime"', "2023-02-29", "is not a time of ISO 8601"),
    ('"datetime"', "0001-01-01T00:00:00+14:00", "bad_value"),
    ('{ type = "datetime", format = "unix" }', "1e300", "bad_value"),
    ('{ type = "datetime", format = "%d.%m.%Y" }', "2024-01-01", "is not a time of the format %d.%m.%Y"),
    ('{ values = { staff = "agent" } }', "boss", "is not among the values of the mapping"),
]


@pytest.mark.parametrize(("column", "cell", "message"), PROBLEMS)
def test_a_cell_that_is_not_of_its_type_is_reported_with_its_column(
    folder: ImportFolder, column: str, cell: str, message: str
) -> None:
    problem = folder.convert(column, cell)
    assert message in problem and "column c" in problem


# Lookups


LOOKUP = """
[lookup.subscriptions]
file = "subscriptions.csv"
key = "id"
[lookup.accounts]
file = "accounts.ndjson"
key = "account.number"
[[source]]
file = "data.csv"
[source.columns]
account = { lookup = "subscriptions", by = "subscription", column = "account" }
plan = { lookup = "accounts", by = "account", column = "plan", when_unknown = "empty" }
[[source.event]]
type = "note"
id = "{row_hash}"
account_id = "{account}"
occurred_at = "{at}"
data = { plan = "{plan}" }
"""


def test_a_lookup_reads_a_value_from_another_file(folder: ImportFolder) -> None:
    folder.write("subscriptions.csv", "id,account\r\ns1,1\r\ns2,2\r\ns3,\r\n")
    folder.write("accounts.ndjson", '{"account": {"number": 1}, "plan": "pro"}\n')
    rows = folder.read(
        LOOKUP, folder.write("data.csv", "subscription,at\ns1,2024-01-01\ns2,2024-01-01\ns3,2024-01-01\n")
    )
    values = [(row.events[0].get("account_id"), row.events[0]["data"].get("plan")) for row in rows]
    assert values == [("1", "pro"), ("2", None), (None, None)]


def test_a_lookup_with_no_row_or_with_different_rows_is_a_problem(folder: ImportFolder) -> None:
    folder.write("subscriptions.csv", "id,account,x\ns1,1,\ns1,2,\ns2,2,a\ns2,2,b\n")
    folder.write("accounts.ndjson", "")
    data = "subscription,at\ns1,2024-01-01\ns2,2024-01-01\nnone,2024-01-01\n"
    assert [problem_of(row) for row in folder.read(LOOKUP, folder.write("data.csv", data))] == [
        "lookup_ambiguous: column account: subscriptions has different rows for 's1'",
        "",
        "lookup_not_found: column account: subscriptions has no row for 'none'",
    ]


def test_lookup_files_may_be_packed_and_in_the_folder_of_the_mapping(folder: ImportFolder) -> None:
    folder.write("subscriptions.csv.gz", gzip.compress(b"id,account\ns1,1\n"))
    folder.write("accounts.ndjson", "")
    (folder.path / "data").mkdir()
    (row,) = folder.read(LOOKUP, folder.write("data/data.csv", "subscription,at\ns1,2024-01-01\n"))
    assert row.events[0]["account_id"] == "1"


# Ids


def test_rows_that_differ_in_any_cell_have_different_hashes_in_any_order_of_columns(folder: ImportFolder) -> None:
    def ids(content: str) -> list[str]:
        return [row.events[0]["id"] for row in folder.read(TWO_COLUMNS, folder.write("data.csv", content))]

    first = ids("c,d,e\n1,2,3\n1,2,3\n12,,3\n1,2,4\n")
    assert first[0] == first[1] and len(set(first)) == 3
    assert ids("e,d,c\n3,2,1\n3,2,1\n3,,12\n4,2,1\n") == first


def test_an_id_may_be_made_of_file_and_line(folder: ImportFolder) -> None:
    text = TWO_COLUMNS.replace("{row_hash}", "{file}:{line}")
    rows = folder.read(text, folder.write("data.csv.gz", gzip.compress(b'c,d\n"a\nb",2\n3,4\n')))
    assert [row.events[0]["id"] for row in rows] == ["data.csv:2", "data.csv:4"]


# Hostile CSV


HOSTILE_CSV: dict[str, tuple[bytes, list[tuple[int, str]]]] = {
    "sound": (b"1,2\n3,4\n", [(2, ""), (3, "")]),
    "no line end": (b"1,2", [(2, "")]),
    "CRLF": (b"1,2\r\n3,4\r\n", [(2, ""), (3, "")]),
    "blank lines": (b"\n1,2\n\r\n\n3,4\n\n", [(3, ""), (6, "")]),
    "line ends in quotes": (b'"1\n\n1",2\n3,4\n', [(2, ""), (5, "")]),
    "too few cells": (b"1\n3,4\n", [(2, "wrong_number_of_cells: the header has 2, the row 1"), (3, "")]),
    "too many cells": (b'"1\n",2,3\n3,4\n', [(2, "wrong_number_of_cells: the header has 2, the row 3"), (4, "")]),
    "open quote": (b'1,"2\n3,4\n5,6\n', [(2, "bad_record: a quote is opened and never closed"), (3, ""), (4, "")]),
    "open quote at the end": (b'1,2\n3,"', [(2, ""), (3, "bad_record: a quote is opened and never closed")]),
    "open quote before quotes": (b'1,"2\n3,"4"\n5,6\n', [(2, "bad_record: more text after a"), (3, ""), (4, "")]),
    "text after a quote": (b'"1"x,2\n3,4\n', [(2, "bad_record: more text after a closing quote"), (3, "")]),
    "open quote before much": (
        b'1,"2\n' + b"3,4\n" * 40_000,
        [(2, "bad_record: a cell of more than"), *((line, "") for line in range(3, 40_003))],
    ),
    "carriage return": (b"1\r1,2\n3,4\n", [(2, "bad_record: a carriage return inside a line"), (3, "")]),
    "NUL": (b"1\0,2\n3,4\n", [(2, "nul: "), (3, "")]),
    "no UTF-8": (
        b"\xff,2\n3,4\n",
        [(2, "encoding: the row is not UTF-8; if a Windows program wrote the file, set encoding"), (3, "")],
    ),
    "no UTF-8 in quotes": (b'"a\n\xe4",2\n3,4\n', [(2, "encoding: "), (4, "")]),
    "a line too long": (b"1," + b"x" * 16 * 2**20 + b"\n3,4\n", [(2, "too_long: line 2 has"), (3, "")]),
}


@pytest.mark.parametrize(("data", "expected"), HOSTILE_CSV.values(), ids=HOSTILE_CSV)
def test_each_record_becomes_a_row_with_its_line_number(
    folder: ImportFolder, data: bytes, expected: list[tuple[int, str]]
) -> None:
    rows = folder.read(TWO_COLUMNS, folder.write("data.csv", b"\xef\xbb\xbfc,d\n" + data))
    assert [row.line for row in rows] == [line for line, _ in expected]
    for row, (_, problem) in zip(rows, expected, strict=True):
        assert bool(row.events) == (not row.problems)
        assert problem_of(row).startswith(problem) and bool(row.problems) == bool(problem)


def test_a_mapping_may_set_delimiter_and_encoding(folder: ImportFolder) -> None:
    text = TWO_COLUMNS.replace("columns.c", 'delimiter = ";"\nencoding = "cp1252"\ncolumns.c')
    assert folder.read_one(text, "c;d\nÄpfel;2,5\n".encode("cp1252")).events[0]["data"] == {"c": "Äpfel", "d": "2,5"}
    assert problem_of(folder.read_one(text, b"c;d\n\x81;2\n")).startswith("encoding: the row is not CP1252")


def test_a_tsv_file_is_separated_by_tabs(folder: ImportFolder) -> None:
    assert folder.read_one(TWO_COLUMNS, "c\td\n1,5\t2\n", name="data.tsv").events[0]["data"] == {"c": "1,5", "d": "2"}


UNREADABLE_FILES = {
    "no source": (
        "data.xml",
        b"c,d\n",
        "no_source",
        "no [[source]] of the mapping has a `file` pattern that matches this name",
    ),
    "an unknown format": ("data.dat", b"c,d\n", "no_format", "the ending .dat does not say how to read the file"),
    "Parquet": ("data.parquet", b"PAR1", "unsupported_file", "Parquet is not supported"),
    "a missing column": (
        "data.csv",
        b"c,e\n",
        "missing_column",
        'the header has no column "d". The columns are: c, e.',
    ),
    "a column twice": ("data.csv", b"c,d,d\n", "missing_column", 'has the column "d" twice. The columns are: c, d, d.'),
    "an empty file": ("data.csv", b"", "bad_header", "the header row cannot be read: the file is empty"),
    "UTF-16 without a mark": ("data.csv", "c,d\n".encode("utf-16-le"), "bad_header", 'set encoding = "utf-16-le"'),
    "no gzip": ("data.csv.gz", b"c,d\n1,2\n", "bad_header", "the file is not compressed: remove .gz from its name"),
    "half of a gzip file": ("data.csv.gz", gzip.compress(b"c,d\n1,2\n")[:12], "bad_header", "cannot be decompressed"),
    "gzip without its ending": (
        "data.csv",
        gzip.compress(b"c,d\n"),
        "bad_header",
        "compressed by gzip: add .gz to its name",
    ),
    "a spreadsheet by a wrong name": (
        "data.csv",
        b"PK\x03\x04\xff",
        "bad_header",
        'set format = "xlsx" in the mapping',
    ),
    "an old spreadsheet by a wrong name": ("data.csv", b"\xd0\xcf\x11\xe0", "bad_header", 'set format = "xlsx"'),
    "a spreadsheet that can be read as text": (
        "data.csv",
        b"PK\x03\x04,a",
        "missing_column",
        'set format = "xlsx" in the mapping',
    ),
}


@pytest.mark.parametrize(("name", "data", "code", "message"), UNREADABLE_FILES.values(), ids=UNREADABLE_FILES)
def test_an_unreadable_file_is_an_error_before_the_first_row(
    folder: ImportFolder, name: str, data: bytes, code: str, message: str
) -> None:
    text = TWO_COLUMNS.replace('"*"', '"data.[!x]*"')
    with pytest.raises(Invalid) as error:
        read_rows([folder.write("data.csv", "c,d\n1,2\n"), folder.write(name, data)], mapping=folder.load_mapping(text))
    assert (error.value.code, message in error.value.detail) == (code, True)


def test_a_file_that_is_missing_or_not_a_plain_file_is_an_error(folder: ImportFolder) -> None:
    folder.write("data.csv", "subscription,at\n")
    for path in (folder.path / "none.csv", folder.path):
        with pytest.raises(Invalid, match=str(path)):
            read_rows([path], mapping=folder.load_mapping(TWO_COLUMNS))
    with pytest.raises(Invalid, match=r"\[lookup.subscriptions\]: subscriptions.csv is neither"):
        read_rows([folder.path / "data.csv"], mapping=folder.load_mapping(LOOKUP))


# Progress, packed files


def test_rows_are_streamed_with_the_number_of_bytes_read(folder: ImportFolder) -> None:
    paths = [folder.write("one.csv", "c,d\n" + "1,2\n" * 100_000), folder.write("two.csv", "c,d\n3,4\n")]
    rows = read_rows(paths, mapping=folder.load_mapping(TWO_COLUMNS))
    first = next(rows)
    assert 0 < first.consumed < 100
    consumed = [row.consumed for row in rows]
    assert consumed == sorted(consumed) and consumed[-1] == total_size(paths)


def test_packed_files_are_read_and_measured_in_packed_bytes(folder: ImportFolder) -> None:
    path = folder.write("data.csv.gz", gzip.compress(b"c,d\n1,2\n3,4\n"))
    rows = folder.read(TWO_COLUMNS, path)
    assert [row.line for row in rows] == [2, 3] and rows[-1].consumed == total_size([path])


def test_a_truncated_packed_file_ends_with_a_problem(folder: ImportFolder) -> None:
    packed = gzip.compress(b"c,d\n" + b"".join(b"%d,2\n" % number for number in range(50_000)))
    rows = folder.read(TWO_COLUMNS, folder.write("data.csv.gz", packed[: len(packed) // 2]))
    assert len(rows) > 1000 and all(row.events for row in rows[:-1])
    assert problem_of(rows[-1]).startswith("bad_gzip: the rest of the file cannot be decompressed")


# NDJSON


def test_ndjson_values_are_addressed_by_path_and_keep_their_types(folder: ImportFolder) -> None:
    text = TWO_COLUMNS.replace('columns.c = "text"', "").replace(
        'c = "{c}"', 'c = "{a.b}", all = "{a}", t = "{t.1.x}", n = "{n}"'
    )
    text = text.replace('d = "{d}"', 'd = "is {a.b}", off = "{x.y}"')
    record = {"a": {"b": 2.5}, "t": [0, {"x": True}], "x.y": "dotted", "n": None}
    (event,) = folder.read_one(text, json.dumps(record) + "\n", name="data.ndjson").events
    assert event["data"] == {"c": 2.5, "all": {"b": 2.5}, "t": True, "d": "is 2.5", "off": "dotted"}


def test_ndjson_values_are_converted_to_the_types_of_the_mapping(folder: ImportFolder) -> None:
    for column, value, expected in (
        ('"text"', 12, "12"),
        ('"integer"', 4.0, 4),
        ('"money"', 1250.5, "1250.5"),
        ('"boolean"', True, True),
        ('{ type = "datetime", format = "unix" }', 1_700_000_000, "2023-11-14T22:13:20Z"),
        ('"text"', ["a"], "is a list or an object"),
        ('"integer"', True, "is not a number"),
    ):
        row = folder.read_one(ONE_COLUMN.format(column=column), json.dumps({"c": value}), name="data.jsonl")
        assert row.events[0]["data"]["c"] == expected if row.events else str(expected) in problem_of(row)


def test_ids_become_text_whatever_their_type_is(folder: ImportFolder) -> None:
    text = (
        TWO_COLUMNS.replace("{row_hash}", "{c}")
        .replace('columns.c = "text"', "")
        .replace("data =", 'account_id = "{d}"\ndata =')
    )
    (event,) = folder.read_one(text, '{"c": 7, "d": 8.5}', name="data.ndjson").events
    assert (event["id"], event["account_id"]) == ("7", "8.5")
    assert problem_of(folder.read_one(text, '{"c": [7]}', name="data.ndjson")).startswith("bad_value: ")


def test_a_lookup_by_a_list_is_a_problem(folder: ImportFolder) -> None:
    folder.write("subscriptions.csv", "id,account\n")
    folder.write("accounts.ndjson", '{"account": {"number": [1]}, "plan": "pro"}\n')
    text = LOOKUP.replace("data.csv", "data.ndjson")
    row = folder.read_one(text, '{"subscription": [1], "at": "2024-01-01"}', name="data.ndjson")
    assert problem_of(row) == "bad_value: column account: [1] cannot be the key of a lookup"


INVALID_JSON = {
    "broken": (b'{"c": ', "bad_record: not JSON: Expecting value at character"),
    "an array": (b"[1]", "bad_record: not a JSON object"),
    "a key twice": (b'{"c": 1, "c": 2}', "bad_record: an object has the same key twice"),
    "NaN": (b'{"c": NaN}', "bad_record: NaN is not JSON"),
    "deep": (b'{"c": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "bad_record: nested too deeply"),
    "quite deep": (b'{"c": ' + b"[" * 70 + b"]" * 70 + b"}", "bad_record: nested more than 64 levels"),
    "half a pair": (b'{"c": "\\ud800"}', "bad_record: half of a surrogate pair"),
    "a huge number": (b'{"c": ' + b"1" * 5000 + b"}", "bad_record: "),
    "no UTF-8": (b'{"c": "\xff"}', "encoding: "),
}


@pytest.mark.parametrize(("line", "problem"), INVALID_JSON.values(), ids=INVALID_JSON)
def test_an_invalid_line_of_ndjson_is_a_problem_of_that_row_only(
    folder: ImportFolder, line: bytes, problem: str
) -> None:
    rows = folder.read(
        TWO_COLUMNS, folder.write("data.ndjson", b'{"c": "1"}\n' + line + b'\n\n{"c": "\\ud83d\\ude00"}\n')
    )
    assert [row.line for row in rows] == [1, 2, 4]
    assert not rows[0].problems and problem_of(rows[1]).startswith(problem) and rows[2].events


# The report


SEVERAL_ROWS = "If several rows make one event, set group_by; if each makes one, put what tells them apart into the id."


def test_the_report_lists_problems_skipped_rows_and_rejected_events(folder: ImportFolder) -> None:
    path = folder.path / "report.csv"
    with ImportReport(path) as report:
        report.add_row(SourceRow("a.csv", 7, "=x,1\r\n", problems=["bad_value: column c: 'x' is bad", "nul: too"]))
        report.add_row(SourceRow("a.csv", 8, "y\0,1\n", reason="our own"))
        row = SourceRow("a.csv", 9, 'z,"1\n2"\n', events=[{"id": "e1"}], templates=[NOTE])
        rejection = {"index": 3, "id": "e1", "code": "conflict", "detail": "Another one.", "pointer": "/id"}
        report.add_rejection(row, rejection, event={"id": "e1"}, template=NOTE)
        report.add_note(row, DuplicateNote("retracted", "It does not count."), event={"id": "e1"})
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["file", "line", "event_id", "code", "detail", "raw"],
            ["a.csv", "7", "", "bad_value", "column c: 'x' is bad", "'=x,1"],
            ["a.csv", "7", "", "nul", "too", "'=x,1"],
            ["a.csv", "8", "", "skipped", "our own", "y\\x00,1"],
            ["a.csv", "9", "e1", "conflict", f"columns c, d ('e1'): Another one. {SEVERAL_ROWS}", 'z,"1\n2"'],
            ["a.csv", "9", "e1", "retracted", "It does not count.", 'z,"1\n2"'],
        ]
    assert set(report.counts) == {
        ("bad_value", "c"),
        ("nul", ""),
        ("skipped", ""),
        ("conflict", "c, d"),
        ("retracted", ""),
    }


def test_a_report_in_ndjson_keeps_the_text_of_the_record(folder: ImportFolder) -> None:
    path = folder.path / "report.ndjson"
    with ImportReport(path) as report:
        report.add_row(SourceRow("a.csv", 7, "=\udcff,1\n", problems=["encoding: not UTF-8"]))
    assert json.loads(path.read_text()) == {
        "file": "a.csv",
        "line": 7,
        "event_id": "",
        "code": "encoding",
        "detail": "not UTF-8",
        "raw": "=\udcff,1",
    }


def test_a_second_run_writes_the_same_report_even_if_the_first_was_interrupted(folder: ImportFolder) -> None:
    data = folder.write("data.csv", b"c,d\n1\n2,2\n\xff,3\n4,4,4\n")

    def run(*, stop_after: int) -> bytes:
        with ImportReport(folder.path / "report.csv") as report:
            for row in folder.read(TWO_COLUMNS, data)[:stop_after]:
                if row.problems:
                    report.add_row(row)
            return (folder.path / "report.csv").read_bytes()  # all of it is there before the end

    whole = run(stop_after=99)
    assert run(stop_after=3).count(b"\n") == 3 and run(stop_after=99) == whole


def test_a_report_never_replaces_another_file(folder: ImportFolder) -> None:
    data = folder.write("data.csv", "c,d\n1,2\n")
    with pytest.raises(Invalid, match="is not an import report"):
        ImportReport(data)
    assert data.read_text() == "c,d\n1,2\n"
    with pytest.raises(Invalid, match="cannot be written"):
        ImportReport(folder.path / "none" / "report.csv")


# Arbitrary files


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"a", "é".encode(), b'""', b"1,2\n"])).map(
        b"".join
    )
)
@example(b'"\n"\n"')
@example(b'a,"\r\n\r\n"x\n\n"')
def test_every_record_of_any_csv_becomes_one_row(data: bytes) -> None:
    check_rows_cover_file("data.csv", b"c,d\n" + data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_every_byte_of_any_file_belongs_to_one_row_or_a_blank_line(data: bytes) -> None:
    check_rows_cover_file("data.csv", b"c,d\n" + data)
    check_rows_cover_file("data.ndjson", data)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([b'{"c":', b"}", b"[", b"]", b"1", b'"x"', b",", b"\n", b" ", b"\\ud800", b"NaN"])).map(
        b"".join
    )
)
def test_every_record_of_any_ndjson_becomes_one_row(data: bytes) -> None:
    check_rows_cover_file("data.ndjson", data)


def check_rows_cover_file(name: str, data: bytes) -> None:
    """Check that the texts of the rows and blank lines make up the file, and that each row has events, a problem or a reason."""
    with tempfile.TemporaryDirectory() as path:
        folder = ImportFolder(Path(path))
        rows = folder.read(TWO_COLUMNS, folder.write(name, data))
        with ImportReport(folder.path / "report.csv") as report:
            for row in rows:
                assert [bool(row.events), bool(row.problems), row.reason is not None].count(True) == 1
                if row.problems:
                    report.add_row(row)
    text = data.decode("utf-8", "surrogateescape")
    at = text.index("\n") + 1 if name.endswith(".csv") else len(text) - len(text.removeprefix("\ufeff"))
    blank = "\r\n" if name.endswith(".csv") else " \t\r\n"
    for row in rows:
        at = skip_blank_lines(text, at, blank)
        assert text.startswith(row.raw, at) and row.line == text.count("\n", 0, at) + 1
        at += len(row.raw)
    assert skip_blank_lines(text, at, blank) == len(text)


def skip_blank_lines(text: str, at: int, blank: str) -> int:
    while at < len(text) and not (line := text[at : (text.find("\n", at) + 1) or len(text)]).strip(blank):
        at += len(line)
    return at


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(CELL, CELL), max_size=10), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_every_table_that_is_written_as_csv_is_read_unchanged(records: list[tuple[str, str]], quoting: int) -> None:
    with tempfile.TemporaryDirectory() as path:
        folder = ImportFolder(Path(path))
        content = table(["c", "d"], *map(list, records), quoting=quoting, lineterminator="\r\n")
        rows = folder.read(TWO_COLUMNS, folder.write("data.csv", content))
    data = [{key: cell for key, cell in zip(("c", "d"), record, strict=True) if cell.strip()} for record in records]
    assert [row.events[0]["data"] if row.events else {} for row in rows] == data


# RavenStack: always synthetic files of its shape, and the real files where RAVENSTACK_DIR names them


@pytest.fixture(scope="module", params=["synthetic", "real"])
def ravenstack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "synthetic":
        return files.write_similar_files(tmp_path_factory.mktemp("ravenstack"))
    if not (path := os.environ.get("RAVENSTACK_DIR")):
        pytest.skip("RAVENSTACK_DIR is not set")
    return Path(path)


@pytest.fixture(scope="module")
def source_rows(ravenstack: Path) -> list[SourceRow]:
    example = Path(__file__).parents[2] / "docs" / "examples" / "ravenstack.toml"
    paths = [files.path(ravenstack, name) for name in files.NAMES]
    return list(read_rows(paths, mapping=load_mapping(example)))


def distinct_events(rows: list[SourceRow]) -> Iterator[dict[str, Any]]:
    """Return each event once, as the service would count them."""
    return iter({(e["account_id"], e["id"]): e for row in rows for e in row.events}.values())


def test_every_row_of_ravenstack_makes_events_or_has_a_reason(ravenstack: Path, source_rows: list[SourceRow]) -> None:
    rows_by_file = {str(files.path(ravenstack, name)): len(files.table(ravenstack, name)) for name in files.NAMES}
    assert Counter(row.file for row in source_rows) == rows_by_file
    assert [row.problems for row in source_rows if row.problems] == []
    empty_texts = sum(row["feedback_text"] == "" for row in files.table(ravenstack, "churn_events"))
    assert Counter(row.reason for row in source_rows if row.reason is not None) == {
        "a churn event without words": empty_texts
    }
    assert source_rows[-1].consumed == total_size([files.path(ravenstack, name) for name in files.NAMES])


def test_ravenstack_makes_as_many_events_of_each_type_as_a_plain_count(
    ravenstack: Path, source_rows: list[SourceRow]
) -> None:
    assert Counter(event["type"] for event in distinct_events(source_rows)) == files.event_counts(ravenstack)


def test_events_of_ravenstack_with_the_same_id_are_equal(source_rows: list[SourceRow]) -> None:
    contents: dict[tuple[str, str], dict[str, Any]] = {}
    for event in (event for row in source_rows for event in row.events):
        assert contents.setdefault((event["account_id"], event["id"]), event) == event


def test_every_event_of_ravenstack_is_valid(source_rows: list[SourceRow]) -> None:
    assert catalogue.__doc__
    for event in distinct_events(source_rows):
        read.read_event(event, position=0, now=datetime(2026, 1, 1, tzinfo=UTC))


def test_the_events_of_ravenstack_add_up_to_plain_counts_of_the_files(
    ravenstack: Path, source_rows: list[SourceRow]
) -> None:
    plan_of = files.plans(ravenstack)
    sums: dict[str, Counter[tuple[str, str]]] = {name: Counter() for name in ("uses", "sessions", "seconds")}
    sums |= {name: Counter() for name in ("tickets", "answers", "satisfied")}
    for event in distinct_events(source_rows):
        key, data = (event["occurred_at"][:7], plan_of[event["account_id"]]), event["data"]
        match event["type"]:
            case "feature.used":
                sums["uses"][key] += data["count"]
            case "session.ended":
                sums["sessions"][key] += 1
                sums["seconds"][key] += data["duration_seconds"]
            case "ticket.opened":
                sums["tickets"][key] += 1
            case "survey.responded":
                sums["answers"][key] += 1
                sums["satisfied"][key] += int(data["score"] >= 4)
    assert sums == {
        "uses": files.feature_uses(ravenstack),
        "sessions": files.sessions(ravenstack),
        "seconds": files.session_seconds(ravenstack),
        "tickets": files.tickets_opened(ravenstack),
        "answers": files.csat_responses(ravenstack),
        "satisfied": files.csat_satisfied(ravenstack),
    }


def test_the_synthetic_files_have_the_quirks_and_are_reproducible(tmp_path: Path) -> None:
    first, second = files.write_similar_files(tmp_path / "first"), files.write_similar_files(tmp_path / "second")
    assert all(files.path(first, name).read_bytes() == files.path(second, name).read_bytes() for name in files.NAMES)
    uses = files.table(first, "feature_usage")
    assert len({use["usage_id"] for use in uses}) < len(list(files.usage(first))) < len(uses)
    assert len(files.table(first, "accounts")) == 200 and any(use["usage_count"] == "0" for use in uses)
