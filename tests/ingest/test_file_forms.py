"""Files as Excel and other programs write them: each is read, or an error names the option of the mapping that helps."""

import csv
import gzip
import io
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.ingest.files.row_reader import total_size
from tests.support.imports import TWO_COLUMNS, ImportFolder, problem_of, table

ORDERS = """
[[source]]
file = "orders*"
{source}
[source.columns]
Betrag = {{ type = "money", decimal_point = ",", thousands = "." }}
Datum = {{ type = "datetime", format = {format}, zone = "Europe/Berlin" }}
[[source.event]]
type = "purchase.completed"
id = "order-{{Bestellung}}"
account_id = "{{Kunde}}"
occurred_at = "{{Datum}}"
data = {{ order_id = "{{Bestellung}}", amount = "{{Betrag}}" }}
"""
HEADER = ("Bestellung", "Kunde", "Datum", "Betrag")
GERMAN = '"Bestellung";"Kunde";"Datum";"Betrag"\n"o1";"Käse & Co";"05.03.2026";"1.005,50"\n'
ORDER = {
    "id": "order-o1",
    "type": "purchase.completed",
    "account_id": "Käse & Co",
    "occurred_at": "2026-03-04T23:00:00Z",
    "data": {"order_id": "o1", "amount": "1005.5"},
}


@pytest.fixture
def folder(tmp_path: Path) -> ImportFolder:
    return ImportFolder(tmp_path)


def orders(source: str = 'delimiter = ";"', *, format: str = '"%d.%m.%Y"') -> str:
    """Return the mapping of the orders. source: further keys of its source."""
    return ORDERS.format(source=source, format=format)


def detail_of(folder: ImportFolder, mapping: str, content: str | bytes, *, name: str = "orders.csv") -> str:
    """Return why a file cannot be read at all."""
    with pytest.raises(Invalid) as error:
        folder.read(mapping, folder.write(name, content))
    return error.value.detail


# Encodings and line ends


@pytest.mark.parametrize("declared", ["utf-16", "UTF16", "utf-32", "utf_32"])
@pytest.mark.parametrize("order", ["le", "be", None])
def test_a_file_without_the_mark_that_its_encoding_needs_is_read(
    folder: ImportFolder, declared: str, order: str | None
) -> None:
    encoding = f"utf-{declared[-2:]}-{order}" if order else "utf-8"
    mapping = orders(f'delimiter = ";"\nencoding = "{declared}"')
    (row,) = folder.read(mapping, folder.write("orders.csv", GERMAN.encode(encoding)))
    assert (row.problems, row.events) == ((), [ORDER])


def test_a_spreadsheet_that_is_called_csv_is_refused_with_its_cause(folder: ImportFolder) -> None:
    detail = detail_of(folder, orders(), b"PK\x03\x04\x14\x00\x06\x00\n")
    assert 'the file is no text but seems to be a spreadsheet: set format = "xlsx" in the mapping' in detail


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packed", [False, True])
def test_unicode_is_recognized_by_its_mark_and_lines_by_any_end(
    folder: ImportFolder, encoding: str, line_end: str, packed: bool
) -> None:
    content = GERMAN.replace("\n", line_end).encode(encoding)
    path = folder.write("orders.csv.gz", gzip.compress(content)) if packed else folder.write("orders.csv", content)
    (row,) = folder.read(orders(), path)
    assert (row.problems, row.events, row.line) == ((), [ORDER], 2)
    assert row.consumed == total_size([path])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "cp1252", "latin-1", "mac-roman", "cp850", "cp037"])
def test_any_other_encoding_is_an_option(folder: ImportFolder, encoding: str) -> None:
    mapping = orders(f'delimiter = ";"\nencoding = "{encoding}"')
    assert folder.read_one(mapping, GERMAN.encode(encoding), name="orders.csv").events == [ORDER]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_an_error_that_names_the_option(folder: ImportFolder, encoding: str) -> None:
    assert f'set encoding = "{encoding}" in the mapping' in detail_of(folder, orders(), GERMAN.encode(encoding))


def test_a_header_in_a_code_page_is_an_error_that_names_the_option(folder: ImportFolder) -> None:
    content = GERMAN.replace("Kunde", "Käufer").encode("cp1252")
    assert 'set encoding = "cp1252"' in detail_of(folder, orders(), content)


def test_a_row_in_a_code_page_is_a_problem_that_names_the_option(folder: ImportFolder) -> None:
    row = folder.read_one(orders(), GERMAN.encode("cp1252"), name="orders.csv")
    assert problem_of(row) == (
        'encoding: the row is not UTF-8; if a Windows program wrote the file, set encoding = "cp1252" in the mapping'
    )


@pytest.mark.parametrize(
    "broken", ["c,d\n1,2\n".encode("utf-16") + b"\x00\xd8\n\x00", "c,d\n1,2\n".encode("utf-16") + b"x"]
)
def test_half_a_character_of_utf_16_is_a_problem_of_its_row(folder: ImportFolder, broken: bytes) -> None:
    rows = folder.read(TWO_COLUMNS, folder.write("data.csv", broken))
    assert [problem_of(row).partition(":")[0] for row in rows] == ["", "encoding"]


def test_a_line_of_utf_16_that_is_too_long_is_a_problem_of_its_own(folder: ImportFolder) -> None:
    content = "c,d\n1," + "x" * 16 * 2**20 + "\n3,4\n"
    rows = folder.read(TWO_COLUMNS, folder.write("data.csv", content.encode("utf-16")))
    assert [(row.line, problem_of(row).partition(":")[0]) for row in rows] == [(2, "too_long"), (3, "")]


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    records=st.lists(st.tuples(CELL, CELL).filter(lambda record: any(map(str.strip, record))), max_size=8),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
)
def test_every_table_is_read_unchanged_in_every_unicode(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, str]], encoding: str, delimiter: str
) -> None:
    folder = ImportFolder(tmp_path_factory.mktemp("unicode"))
    content = table(["c", "d"], *map(list, records), quoting=csv.QUOTE_ALL, delimiter=delimiter, lineterminator="\r\n")
    text = TWO_COLUMNS.replace("columns.c", f"delimiter = '{delimiter}'\nmultiline = true\ncolumns.c")
    rows = folder.read(text, folder.write("data.csv", content.encode(encoding)))
    expected = [{key: cell for key, cell in zip("cd", record, strict=True) if cell.strip()} for record in records]
    assert [row.events[0]["data"] for row in rows] == expected


# Delimiters and headers


@pytest.mark.parametrize(
    ("delimiter", "shown"),
    [(";", '";": set delimiter = ";"'), ("\t", 'tabs: set delimiter = "\\t"'), ("|", '"|": set')],
)
@pytest.mark.parametrize("quote", ['"', ""])
def test_a_delimiter_that_is_not_declared_is_named(
    folder: ImportFolder, delimiter: str, shown: str, quote: str
) -> None:
    content = GERMAN.replace(";", delimiter).replace('"', quote)
    assert f"The cells seem to be separated by {shown}" in detail_of(folder, orders(""), content)


def test_a_comma_is_named_where_another_delimiter_is_declared(folder: ImportFolder) -> None:
    assert 'separated by ",": set delimiter = ","' in detail_of(folder, orders(), GERMAN.replace(";", ","))


def test_columns_that_are_aligned_by_spaces_are_named_and_read(folder: ImportFolder) -> None:
    content = (
        "Bestellung  Kunde  Datum       Betrag\no1          NX     05.03.2026    5,00\n  o2   NX\t05.03.2026  7,00  \n"
    )
    assert 'separated by spaces: set delimiter = "spaces"' in detail_of(folder, orders(""), content)
    rows = folder.read(orders('delimiter = "spaces"'), folder.write("orders.csv", content))
    assert [row.events[0]["data"] for row in rows] == [
        {"order_id": "o1", "amount": "5"},
        {"order_id": "o2", "amount": "7"},
    ]


def test_the_first_line_of_excel_that_names_the_delimiter_is_obeyed(folder: ImportFolder) -> None:
    row = folder.read_one(orders(""), "sep=;\r\n" + GERMAN, name="orders.csv")
    assert (row.events, row.line) == ([ORDER], 3)


def test_a_file_without_header_needs_the_names_of_its_columns(folder: ImportFolder) -> None:
    content = GERMAN.partition("\n")[2]
    assert 'name its columns in the mapping: header = ["…", "…"]' in detail_of(folder, orders(), content)
    named = orders(f'delimiter = ";"\nheader = {list(HEADER)}')
    row = folder.read_one(named, content, name="orders.csv")
    assert (row.events, row.line) == ([ORDER], 1)
    assert "Remove header from the mapping" in detail_of(folder, named, GERMAN)


def test_titles_before_the_header_are_found_and_skipped(folder: ImportFolder) -> None:
    content = "Orders of March;;;\n\nprinted today;;;\n" + GERMAN
    assert "Line 4 has these columns: set skip_lines = 3" in detail_of(folder, orders(), content)
    row = folder.read_one(orders('delimiter = ";"\nskip_lines = 3'), content, name="orders.csv")
    assert (row.events, row.line) == ([ORDER], 5)


def test_spaces_around_the_names_of_columns_do_not_matter(folder: ImportFolder) -> None:
    content = GERMAN.replace('"', "").replace("Kunde;", " Kunde ;")
    assert folder.read_one(orders(), content, name="orders.csv").events == [ORDER]


def test_delimiters_at_the_end_of_lines_and_empty_rows_do_not_matter(folder: ImportFolder) -> None:
    rows = folder.read(orders(), folder.write("orders.csv", GERMAN.rstrip() + ";;\n;;;\n \t;;;\n"))
    assert [(row.events, row.reason) for row in rows] == [
        ([ORDER], None),
        ((), "the row is empty"),
        ((), "the row is empty"),
    ]


def test_a_missing_column_is_named_with_the_nearest(folder: ImportFolder) -> None:
    detail = detail_of(folder, orders(), GERMAN.replace("Betrag", "Betraege"))
    assert 'the header has no column "Betrag". Did you mean Betraege?' in detail
    assert "The columns are: Bestellung, Kunde, Datum, Betraege." in detail


def test_a_declared_column_that_no_event_uses_must_exist_too(folder: ImportFolder) -> None:
    mapping = orders().replace("[[source.event]]", 'Betrga = "money"\n[[source.event]]')
    assert 'no column "Betrga". Did you mean Betrag?' in detail_of(folder, mapping, GERMAN)


def test_a_path_that_no_record_of_an_ndjson_file_has_is_said(folder: ImportFolder) -> None:
    path = folder.write("data.ndjson", '{"c": "1", "dd": "2"}\n{"c": "3"}\n')
    assert folder.notes(TWO_COLUMNS, path) == ['missing_column: no record of the file has "d". Did you mean dd?']
    assert folder.notes(TWO_COLUMNS, folder.write("data.ndjson", '{"c": "1"}\n{"d": 0}\n')) == []


# Names of the row


NAMES = TWO_COLUMNS.replace("{row_hash}", "{line}").replace('columns.c = "text"', "")


@pytest.mark.parametrize("name", ["file", "line", "row_hash"])
def test_a_column_with_a_name_of_the_row_has_to_be_declared(folder: ImportFolder, name: str) -> None:
    text, content = NAMES.replace("{line}", f"{{{name}}}"), f"{name},c,d\nours,2,3\n"
    detail = detail_of(folder, text, content, name="data.csv")
    assert f'{name} = "text" (or another type) for the column, {name} = {{ row = "{name}" }} for' in detail
    column = folder.read_one(text.replace("[[source.event]]", f'columns.{name} = "text"\n[[source.event]]'), content)
    assert column.events[0]["id"] == "ours"
    of_row = text.replace("[[source.event]]", f'columns.{name}.row = "{name}"\n[[source.event]]')
    event = folder.read_one(of_row, content).events[0]
    assert event["id"] == {"file": "data.csv", "line": "2"}.get(name, event["id"]) != "ours"


def test_a_key_of_a_record_with_a_name_of_the_row_is_a_problem(folder: ImportFolder) -> None:
    rows = folder.read(NAMES, folder.write("data.ndjson", '{"c": "1"}\n{"c": "1", "line": 7}\n'))
    assert [problem_of(row).partition(":")[0] for row in rows] == ["", "ambiguous_column"]


@pytest.mark.parametrize("name", ["file", "line", "row_hash"])
def test_a_lookup_uses_the_columns_of_its_file_whatever_their_names_are(folder: ImportFolder, name: str) -> None:
    folder.write("lines.csv", f"{name},account\n7,acme\n")
    text = f"""
    [lookup.lines]
    file = "lines.csv"
    key = "{name}"
    [[source]]
    file = "data.csv"
    columns.account = {{ lookup = "lines", by = "n", column = "account" }}
    columns.same = {{ lookup = "lines", by = "n", column = "{name}" }}
    [[source.event]]
    type = "note"
    id = "{{n}}-{{same}}"
    account_id = "{{account}}"
    occurred_at = "2026-01-01"
    """
    event = folder.read_one(text, "n\n7\n").events[0]
    assert (event["id"], event["account_id"]) == ("7-7", "acme")
    by = text.replace('by = "n"', f'by = "{name}"')
    assert "say which is meant" in detail_of(folder, by, f"n,{name}\n1,7\n", name="data.csv").lower()
    declared = by.replace("[[source.event]]", f'columns.{name} = "text"\n[[source.event]]')
    assert folder.read_one(declared, f"n,{name}\n1,7\n").events[0]["account_id"] == "acme"


# Quotes


QUOTED = TWO_COLUMNS.replace('d = "{d}"', 'd = "{d}", e = "{e}"')
SWALLOWED: dict[str, tuple[str, list[tuple[int, str]]]] = {
    "closed nowhere": (
        'c,d,e\n1,"2,3\n4,5,6\n7,8,9\n',
        [(2, "bad_record: a quote is opened and never closed; lines 3 to 4 are read as rows of their own"), (3, ""), (4, "")],
    ),
    "followed by a cell in quotes": (
        'c,d,e\n1,"2,3\n4,"5",6\n7,8,9\n',
        [(2, "bad_record: more text after a closing quote; line 3 is read as a row of its own"), (3, ""), (4, "")],
    ),
    "closed in another column": (
        'c,d,e\n1,"2,3\n4,5,6\n7,8,9"\n',
        [
            (2, "bad_record: a quote is opened in line 2 and closed in line 4; lines 3 to 4 are read as rows of their own"),
            (3, ""),
            (4, ""),
        ],
    ),
    "closed in the same column": (
        'c,d,e\n1,"2,3\n4,5,6\n7,8",9\n',
        [(2, "lost_rows: a quote is opened in line 2 and closed in line 4, so that lines 3 to 4 are part of a cell")],
    ),
    "closed in the next row": (
        'c,d,e\n1,"2,3\n7,8",9\n',
        [(2, "lost_rows: a quote is opened in line 2 and closed in line 3, so that line 3 is part of a cell")],
    ),
    "a text of several lines": ('c,d,e\n1,"two\nlines, yes",3\n4,5,6\n', [(2, ""), (4, "")]),
    "a text with too few cells beside it": (
        'c,d,e\n1,"two\nlines"\n4,5,6\n',
        [(2, "wrong_number_of_cells: the header has 3, the row 2, which is in lines 2 to 3"), (4, "")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), SWALLOWED.values(), ids=SWALLOWED)
def test_a_quote_that_is_not_closed_names_the_rows_that_it_takes_in(
    folder: ImportFolder, content: str, expected: list[tuple[int, str]]
) -> None:
    rows = folder.read(QUOTED, folder.write("data.csv", content))
    assert [row.line for row in rows] == [line for line, _ in expected]
    for row, (_, problem) in zip(rows, expected, strict=True):
        assert problem_of(row).startswith(problem) and bool(row.problems) == bool(problem), row


def test_line_ends_in_cells_may_be_allowed_or_excluded(folder: ImportFolder) -> None:
    content = 'c,d,e\n1,"2,3\n7,8",9\n"x, y",2,3\n'
    path = folder.write("data.csv", content)
    allowed = folder.read(QUOTED.replace("columns.c", "multiline = true\ncolumns.c"), path)
    assert [row.events[0]["data"]["d"] for row in allowed] == ["2,3\n7,8", "2"]
    excluded = folder.read(QUOTED.replace("columns.c", "multiline = false\ncolumns.c"), path)
    assert [(problem_of(row) or row.events[0]["data"]["c"]) for row in excluded] == [
        "bad_record: a quote is opened and never closed",
        "7",
        "x, y",
    ]


# Spreadsheets


def workbook(*sheets: tuple[str, list[list[Any]]], **options: Any) -> bytes:
    """Return an XLSX file with these sheets, as Excel would show dates and times."""
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"in_memory": True, "remove_timezone": True} | options)
    day, time = book.add_format({"num_format": "dd.mm.yyyy"}), book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
    for name, rows in sheets:
        sheet = book.add_worksheet(name)
        for number, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                style = time if isinstance(cell, datetime) else day if isinstance(cell, date) else None
                sheet.write(number, column, cell, style)
    book.close()
    return file.getvalue()


def test_a_spreadsheet_is_read_with_its_own_types(folder: ImportFolder) -> None:
    content = workbook(("Orders", [[*HEADER], ["o1", "Käse & Co", date(2026, 3, 5), 1005.5]]))
    (row,) = folder.read(orders(""), folder.write("orders.xlsx", content))
    assert (row.problems, row.events, row.line) == ((), [ORDER], 2)
    assert row.raw == "o1,Käse & Co,2026-03-05,1005.5"


SHEET_CELLS: list[tuple[str, Any, Any]] = [
    ('"text"', 7, "7"),
    ('"text"', 7.5, "7.5"),
    ('"text"', True, "true"),
    ('"text"', date(2026, 3, 5), "2026-03-05"),
    ('"integer"', 5, 5),
    ('"number"', 0.1 + 0.2, 0.3),
    ('{ type = "money", decimal_point = "," }', 0.1 + 0.2, "0.3"),
    ('{ type = "money", decimals = 2 }', 100 / 3, "33.33"),
    ('"boolean"', True, True),
    ('{ type = "date", format = "%d.%m.%Y" }', date(2026, 3, 5), "2026-03-05"),
    ('{ type = "datetime", zone = "Europe/Berlin" }', datetime(2026, 3, 5, 18, 30), "2026-03-05T17:30:00Z"),
    ('{ type = "datetime", format = "excel" }', 46086.75, "2026-03-05T18:00:00Z"),
    ('{ type = "datetime", format = "%d.%m.%Y" }', "05.03.2026", "2026-03-05T00:00:00Z"),
]


@pytest.mark.parametrize(("column", "cell", "value"), SHEET_CELLS)
def test_a_cell_of_a_spreadsheet_becomes_a_value_of_its_type(
    folder: ImportFolder, column: str, cell: Any, value: Any
) -> None:
    text = TWO_COLUMNS.replace('columns.c = "text"', f"columns.c = {column}")
    row = folder.read_one(text, workbook(("Sheet1", [["c", "d"], [cell, "x"]])), name="data.xlsx")
    assert (row.problems, row.events and row.events[0]["data"]["c"]) == ((), value)


def test_cells_without_a_type_are_texts_as_in_csv(folder: ImportFolder) -> None:
    text = TWO_COLUMNS.replace('columns.c = "text"', "")
    rows = [["c", "d"], [5, 0.25], [True, date(2026, 3, 5)], ["x", None]]
    data = [row.events[0]["data"] for row in folder.read(text, folder.write("data.xlsx", workbook(("S", rows))))]
    assert data == [{"c": "5", "d": "0.25"}, {"c": "true", "d": "2026-03-05"}, {"c": "x"}]


def test_a_number_of_a_spreadsheet_in_a_date_column_is_a_problem_that_names_the_format(folder: ImportFolder) -> None:
    text = TWO_COLUMNS.replace('columns.c = "text"', 'columns.c = "date"')
    row = folder.read_one(text, workbook(("S", [["c", "d"], [46086, 1]])), name="data.xlsx")
    assert 'as a number of Excel it is 2026-03-05: set format = "excel"' in problem_of(row)


def test_titles_and_empty_rows_of_a_sheet_are_handled_as_those_of_csv(folder: ImportFolder) -> None:
    rows = [["Report"], [], [" c ", "d"], [1, 2], [None, ""], ["", " "], [3, 4]]
    path = folder.write("data.xlsx", workbook(("S", rows)))
    with pytest.raises(Invalid, match="Line 3 has these columns: set skip_lines = 2"):
        folder.read(TWO_COLUMNS, path)
    read = folder.read(TWO_COLUMNS.replace("columns.c", "skip_lines = 2\ncolumns.c"), path)
    assert [(row.line, row.reason) for row in read] == [(4, None), (6, "the row is empty"), (7, None)]
    assert read[-1].consumed == total_size([path])


def test_the_names_of_columns_of_a_sheet_may_be_numbers_and_dates(folder: ImportFolder) -> None:
    rows = [["c", 2026, date(2026, 3, 1), "d"], ["x", 7, 8, "y"]]
    text = TWO_COLUMNS.replace('d = "{d}"', 'd = "{2026}", e = "{2026-03-01}"')
    row = folder.read_one(text, workbook(("S", rows)), name="data.xlsx")
    assert row.events[0]["data"] == {"c": "x", "d": "7", "e": "8"}


def test_a_sheet_is_chosen_by_its_name_or_because_it_is_the_only_one_with_content(folder: ImportFolder) -> None:
    content = [["c", "d"], ["1", "2"]]
    path = folder.write("data.xlsx", workbook(("Empty", []), ("Data", content), ("Also empty", [])))
    assert len(folder.read(TWO_COLUMNS, path)) == 1
    path = folder.write("data.xlsx", workbook(("Data", content), ("More", [["c", "d"], ["3", "4"]])))
    with pytest.raises(Invalid, match=r'several sheets: Data, More. Set sheet = "Data" \(or another\) in the mapping'):
        folder.read(TWO_COLUMNS, path)
    (row,) = folder.read(TWO_COLUMNS.replace("columns.c", 'sheet = "More"\ncolumns.c'), path)
    assert row.events[0]["data"] == {"c": "3", "d": "4"}
    with pytest.raises(Invalid, match=r'has no sheet "Mroe"\. Its sheets are: Data, More\.'):
        folder.read(TWO_COLUMNS.replace("columns.c", 'sheet = "Mroe"\ncolumns.c'), path)


def test_a_sheet_without_header_needs_the_names_of_its_columns(folder: ImportFolder) -> None:
    path = folder.write("data.xlsx", workbook(("S", [["1", "2"], ["3", "4"]])))
    rows = folder.read(TWO_COLUMNS.replace("columns.c", 'header = ["c", "d"]\ncolumns.c'), path)
    assert [(row.line, row.events[0]["data"]["d"]) for row in rows] == [(1, "2"), (2, "4")]


@pytest.mark.parametrize("content", [b"", b"c,d\n1,2\n", b"PK\x03\x04 broken", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
def test_what_is_no_spreadsheet_is_an_error_that_says_what_to_do(folder: ImportFolder, content: bytes) -> None:
    detail = detail_of(folder, TWO_COLUMNS, content, name="data.xlsx")
    assert "cannot be read as a spreadsheet" in detail and "save it again, as XLSX or CSV" in detail


def test_a_lookup_may_be_a_spreadsheet(folder: ImportFolder) -> None:
    folder.write("accounts.xlsx", workbook(("S", [["number", "name"], [7, "acme"]])))
    text = TWO_COLUMNS.replace('columns.c = "text"', 'columns.c = { lookup = "a", by = "d", column = "name" }')
    row = folder.read_one('[lookup.a]\nfile = "accounts.xlsx"\nkey = "number"\n' + text, "d\n7\n")
    assert row.events[0]["data"] == {"c": "acme", "d": "7"}


def test_the_same_table_makes_the_same_events_as_csv_and_as_spreadsheet(folder: ImportFolder) -> None:
    rows = [["c", "d"], ["x", "1"], ["y", "2.5"], ["z", "-7"]]
    cells = [rows[0], *([name, float(number)] for name, number in rows[1:])]
    text = TWO_COLUMNS.replace("columns.c", 'columns.d = "number"\ncolumns.c')
    from_csv = folder.read(text, folder.write("data.csv", table(*rows)))
    from_sheet = folder.read(text, folder.write("data.xlsx", workbook(("S", cells))))
    assert [row.events for row in from_csv] == [row.events for row in from_sheet]
