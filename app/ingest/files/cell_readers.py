"""Functions that read the value of a column or of a template from the cells of a row.

Everything that can be computed before the first row is computed then. What is wrong with a row is added to a list of problems,
so that a row is reported with all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from operator import itemgetter
from typing import Any

from app.ingest.files.columns import FileColumn
from app.ingest.files.converters import converter, decimal_converter, decimal_parser, to_text
from app.ingest.files.data_file import DataFile
from app.ingest.files.mapping import FileSource
from app.ingest.files.templates import split_shifts, split_template
from app.ingest.files.times import TimeShift, format_time, shift_time, time_parser

# The value of a cell whose field is left out of the event.
LEFT_OUT: Any = object()
_MAX_SHOWN = 60
_TIME_TYPES = ("datetime", "date")

Cells = Sequence[Any]
# What is wrong with a row: `code: reason`.
Problems = list[str]
CellReader = Callable[[Cells, Problems], Any]
# By lookup: its columns, and by key the values of these; None where the file has different values for one key.
LookupTables = dict[str, tuple[Sequence[str], dict[str, Sequence[Any] | None]]]
# Returns the reader of a column. type: convert to this type, whatever the mapping says. Besides the types of columns there are
# `instant`, a datetime; `moment`, a time that needs its time of day; and `raw`, the cell as it is.
ColumnReaders = Callable[[str, str | None], CellReader]


@dataclass(frozen=True)
class Scope:
    """What the names of columns refer to. group_reader: for groups of rows, the reader of a column's value in a group."""

    file: DataFile
    source: FileSource
    lookups: LookupTables
    group_reader: ColumnReaders | None = None

    def column(self, name: str) -> FileColumn:
        return self.source.columns.get(name, FileColumn())

    def reader(self, name: str, type: str | None = None) -> CellReader:
        """Return the reader of a column, see ColumnReaders."""
        if self.group_reader is not None:
            return self.group_reader(name, type)
        return column_reader(self, name, type=type)


def template_reader(scope: Scope, template: str, *, type: str | None = None) -> CellReader:
    """Return the reader of a text with columns.

    type: the type of the result; None: that of a column that stands alone, else text. `text` also turns a column that stands
    alone into text; `datetime` and `date` parse the text that the columns make.
    """
    if (template_parts := split_shifts(template)) and (type or scope.column(template_parts[0]).type) in _TIME_TYPES:
        return _shift_reader(
            scope, template, *template_parts, type=type or scope.column(template_parts[0]).type or "datetime"
        )
    parts = split_template(template)
    if type != "text" and [is_column for is_column, _ in parts] == [True]:
        return scope.reader(parts[0].text, type)
    convert = converter(FileColumn(), "text" if type is None else type)
    if not any(is_column for is_column, _ in parts):
        return _constant(convert("".join(text for _, text in parts)))
    readers = [scope.reader(text) if is_column else text for is_column, text in parts]

    def read(cells: Cells, problems: Problems) -> Any:
        values, is_complete = [], True
        for reader in readers:
            value = reader if isinstance(reader, str) else reader(cells, problems)
            if value is LEFT_OUT or value is None:
                is_complete = False
            else:
                values.append(value)
        if not is_complete:
            return LEFT_OUT
        try:
            return convert("".join(map(to_text, values)))
        except (ValueError, OverflowError) as error:
            problems.append(f"bad_value: {template!r}: {shorten(''.join(map(str, values)))} {error}")
            return LEFT_OUT

    return read


def _shift_reader(scope: Scope, template: str, name: str, shifts: Sequence[TimeShift], *, type: str) -> CellReader:
    """Return the reader of a template such as `{end} + 1 day`."""
    read_time, column = scope.reader(name, "instant"), scope.column(name)
    counts = [scope.reader(count, "integer") if isinstance(count, str) else count for _, count, _ in shifts]

    def read(cells: Cells, problems: Problems) -> Any:
        instant = read_time(cells, problems)
        numbers = [count if isinstance(count, int) else count(cells, problems) for count in counts]
        if not isinstance(instant, datetime) or not all(isinstance(number, int) for number in numbers):
            return LEFT_OUT
        terms = [TimeShift(sign, number, unit) for (sign, _, unit), number in zip(shifts, numbers, strict=True)]
        try:
            return format_time(shift_time(instant, terms, clock_change=column.clock_change), type)
        except (ValueError, OverflowError) as error:
            problems.append(f"bad_value: {template!r}: {shorten(instant.isoformat())} {error}")
            return LEFT_OUT

    return read


def column_reader(scope: Scope, name: str, *, type: str | None = None) -> CellReader:
    """Return the reader of a column's value. type: convert to this type, whatever the mapping says; see ColumnReaders."""
    column = scope.column(name)
    if type == "raw":
        return _value_reader(scope, name, lambda cell: cell, is_text=True)
    # A spreadsheet has numbers where a CSV file has text, and one mapping is for both.
    is_text = column.values or column.separator or scope.file.kind == "xlsx"
    type = type or column.type or ("text" if is_text else None)
    if type == "instant":
        return _value_reader(scope, name, time_parser(column))
    if column.times is not None and type in ("integer", "number", "money"):
        return _product_reader(scope, name, column.times, type=type)
    read = _value_reader(scope, name, converter(column, type), is_text=type in (None, "text"))
    has_options = column.lookup or column.template or column.values or column.separator or column.empty
    is_plain = type in (None, "text") and not has_options
    return _text_reader(_index(scope, name), read) if is_plain else read


def _text_reader(index: int, read: CellReader) -> CellReader:
    """Return the reader of a column of plain text, which most columns are. read: for cells that are empty or no text."""

    def read_text(cells: Cells, problems: Problems) -> Any:
        cell = cells[index]
        return cell if isinstance(cell, str) and cell and not cell.isspace() else read(cells, problems)

    return read_text


def _value_reader(scope: Scope, name: str, convert: Callable[[Any], Any], *, is_text: bool = False) -> CellReader:
    """Return the reader of a column whose cells `convert` turns into values."""
    column = scope.column(name)
    index = None if column.lookup or column.template else _index(scope, name)
    find = _constant(None) if index is not None else _origin_reader(scope, name, column)
    empty_cells = (None, "", *column.empty)
    value_of_empty = None if column.when_empty == "null" else LEFT_OUT
    replacement = value_of_empty if column.default is None else column.default
    # A default that is a text is converted like a cell.
    default_cell = replacement if isinstance(replacement, str) else None

    def read(cells: Cells, problems: Problems) -> Any:
        cell = cells[index] if index is not None else find(cells, problems)
        if isinstance(cell, str) and (not is_text or cell.isspace()):
            cell = cell.strip()
        if cell in empty_cells:
            if column.when_empty == "problem":
                problems.append(f"missing_value: column {name} is empty")
                return LEFT_OUT
            if default_cell is None:
                return replacement
            cell = default_cell
        if cell is LEFT_OUT:
            return cell
        try:
            return convert(cell)
        except (ValueError, OverflowError) as error:
            problems.append(f"bad_value: column {name}: {shorten(cell)} {error}")
            return LEFT_OUT

    return read


def _product_reader(scope: Scope, name: str, factor: str | float, *, type: str) -> CellReader:
    """Return the reader of the product of a column with another one or with a number."""
    column = scope.column(name)
    read_value = _value_reader(scope, name, decimal_parser(column))
    if isinstance(factor, str):
        read_factor = _value_reader(scope, factor, decimal_parser(scope.column(factor)))
    else:
        read_factor = _constant(Decimal(repr(factor)))
    to_value = decimal_converter(column, type)

    def read(cells: Cells, problems: Problems) -> Any:
        value, number = read_value(cells, problems), read_factor(cells, problems)
        if value in (LEFT_OUT, None) or number in (LEFT_OUT, None):
            return value if value is None else LEFT_OUT
        try:
            return to_value(Decimal(str(value)) * Decimal(str(number)))
        except (ValueError, OverflowError) as error:
            problems.append(f"bad_value: column {name}: {shorten(f'{value} × {number}')} {error}")
            return LEFT_OUT

    return read


def _origin_reader(scope: Scope, name: str, column: FileColumn) -> CellReader:
    """Return the reader of a cell that is no cell of the row: looked up, or made of other columns."""
    if column.template is None:
        return _lookup_reader(scope, name, column)
    read_text = template_reader(replace(scope, group_reader=None), column.template, type="text")

    def read(cells: Cells, problems: Problems) -> Any:
        text = read_text(cells, problems)
        return None if text is LEFT_OUT else text

    return read


def _lookup_reader(scope: Scope, name: str, column: FileColumn) -> CellReader:
    """Return the reader of the value that a lookup file has for a row."""
    assert column.lookup and column.by and column.column
    # A column that is looked up by its own name uses the cell of the file, not itself.
    if column.by == name:
        read_key = _plain(scope.file.request_column(column.by))
    elif column.by in scope.source.columns:
        read_key = column_reader(scope, column.by)
    else:
        read_key = _plain(_index(scope, column.by))
    columns, values_by_key = scope.lookups[column.lookup]
    index, lookup, is_optional = columns.index(column.column), column.lookup, column.when_unknown == "empty"

    def read(cells: Cells, problems: Problems) -> Any:
        key = read_key(cells, problems)
        if isinstance(key, str):
            key = key.strip()
        if key is None or key is LEFT_OUT or key == "":
            return None
        if isinstance(key, list | dict):
            problems.append(f"bad_value: column {name}: {shorten(key)} cannot be the key of a lookup")
            return LEFT_OUT
        values = values_by_key.get(to_text(key), LEFT_OUT)
        if values is None:
            problems.append(f"lookup_ambiguous: column {name}: {lookup} has different rows for {shorten(key)}")
            return LEFT_OUT
        if values is not LEFT_OUT:
            return values[index]
        if is_optional:
            return None
        problems.append(f"lookup_not_found: column {name}: {lookup} has no row for {shorten(key)}")
        return LEFT_OUT

    return read


def _index(scope: Scope, name: str) -> int:
    """Return the index of the cell that a name stands for."""
    column = scope.source.columns.get(name)
    if column is None:
        return scope.file.request_name(name)
    if column.row:
        return scope.file.request_row_name(column.row)
    return scope.file.request_column(column.column or name)


def _constant(value: Any) -> CellReader:
    return lambda cells, problems: value


def _plain(index: int) -> CellReader:
    read_cell = itemgetter(index)
    return lambda cells, problems: read_cell(cells)


def shorten(value: Any) -> str:
    """Return a value as an error shows it."""
    text = repr(value) if not isinstance(value, date | time) else repr(value.isoformat())
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
