"""Read the records of CSV and NDJSON files, packed or not, and of spreadsheets. Each record is returned once, whatever it is.

A record is one row of a table, which may span several lines of a CSV file, or one line of an NDJSON file. Tuples stand for
records, since a file may have millions of them.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any

from app.ingest.files.converters import to_text
from app.ingest.files.data_file import ROW_NAMES, DataFile, name_without_gz
from app.ingest.files.decoded_lines import guess_utf16
from app.ingest.files.json_lines import SURROGATE, find_json_problem, parse_json_line
from app.ingest.files.line_reader import LineReader, UnreadableLine
from app.ingest.files.sheets import read_sheet

# Of the keys of an NDJSON file, so many are remembered.
_MAX_KEYS = 1000

# The line on which it starts, its content (a list of cells or a JSON object), its text, and its problem or None.
ParsedRecord = tuple[int, Any, str, str | None]
# The line on which it starts, its cells in the order of `DataFile.columns`, its text, its problem, and the bytes read so far.
FileRecord = tuple[int, Any, str, str | None, int]


def read_records(file: DataFile) -> Iterator[FileRecord]:
    """Yield each record after the header. When row names are used, their three values follow the cells."""
    records = _read_sheet(file) if file.kind == "xlsx" else _read_lines(file)
    if not file.uses_row_names:
        yield from records
        return
    name, order = name_without_gz(file.path), _order_of(file.header or file.columns)
    for line, cells, raw, problem, consumed in records:
        if problem is None and file.kind == "ndjson":
            *cells, content = cells
            problem = _find_ambiguous_name(file, content)
            text = json.dumps(content, sort_keys=True)
        elif problem is None:
            # No cell has a NUL, so different cells make different texts. Sorted by column: columns may be reordered.
            text = "\0".join([cells[i] if isinstance(cells[i], str) else to_text(cells[i]) for i in order])
        if problem is None:
            cells = [*cells, name, str(line), blake2b(text.encode(), digest_size=12).hexdigest()]
        yield line, cells, raw, problem, consumed


def _order_of(columns: Sequence[Any]) -> list[int]:
    """Return the indexes of the columns in the order of their names, which are cells of a header."""
    return [index for _, index in sorted(zip(map(to_text, columns), range(len(columns)), strict=True))]


def _find_ambiguous_name(file: DataFile, content: dict[str, Any]) -> str | None:
    names = sorted(file.ambiguous & content.keys())
    return f"ambiguous_column: {explain_ambiguous_name(names[0])}" if names else None


def explain_ambiguous_name(name: str) -> str:
    """Return what to do where a name stands for a column and for the row itself."""
    meaning = dict(
        zip(ROW_NAMES, ("the name of the file", "the number of the line", "the hash of the row"), strict=True)
    )
    return (
        f"the file has a column {name}, and {{{name}}} is also {meaning[name]}. Say which is meant under [source.columns]: "
        f'{name} = "text" (or another type) for the column, {name} = {{ row = "{name}" }} for {meaning[name]}'
    )


def _read_sheet(file: DataFile) -> Iterator[FileRecord]:
    size = file.path.stat().st_size
    rows, count = read_sheet(file)
    for number, cells in rows:
        yield number, cells, render_row(cells), None, size * number // count


def render_row(cells: Sequence[Any]) -> str:
    """Return a row of a spreadsheet as text, for people."""
    return ",".join(map(to_text, cells))


def _read_lines(file: DataFile) -> Iterator[FileRecord]:
    with LineReader(file) as lines:
        records = parse_records(lines)
        if file.has_header:
            next(records, None)
        if file.kind == "csv":
            yield from _read_csv(file, lines, records)
        else:
            yield from _read_ndjson(file, lines, records)


def _read_ndjson(file: DataFile, lines: LineReader, records: Iterator[ParsedRecord]) -> Iterator[FileRecord]:
    paths = [(path, path.split(".")) for path in file.columns]
    file.unseen = set(file.columns)
    for line, content, raw, problem in records:
        cells = content
        if problem is None:
            cells = [_value_at(content, path, steps) for path, steps in paths]
            if file.unseen:
                file.unseen -= {path for path, cell in zip(file.columns, cells, strict=True) if cell is not None}
                file.keys.update(content if len(file.keys) < _MAX_KEYS else ())
            if file.uses_row_names:
                cells.append(content)
        yield line, cells, raw, problem, lines.consumed


def _value_at(record: dict[str, Any], path: str, steps: Sequence[str]) -> Any:
    """Return the value of the key `path`, or else the value at the end of the steps; None if there is none."""
    if path in record or len(steps) == 1:
        return record.get(path)
    value: Any = record
    for step in steps:
        if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value


def _read_csv(file: DataFile, lines: LineReader, records: Iterator[ParsedRecord]) -> Iterator[FileRecord]:
    width = len(file.columns)
    for line, cells, raw, problem in records:
        if problem is None and len(cells) > width and not any(map(str.strip, cells[width:])):
            cells = cells[:width]  # delimiters at the end of the line
        if problem is None and lines.line_number > line and file.format.multiline is None:
            problem = _find_lost_rows(lines, width, is_complete=len(cells) == width)
            raw = "".join(lines.record_lines)
        if problem is None and len(cells) != width:
            problem = f"wrong_number_of_cells: the header has {width}, the row {len(cells)}{_lines_of(lines)}"
        yield line, cells, raw, problem, lines.consumed


def _lines_of(lines: LineReader) -> str:
    count = len(lines.record_lines)
    return f", which is in lines {lines.line_number - count + 1} to {lines.line_number}" if count > 1 else ""


def _find_lost_rows(lines: LineReader, width: int, *, is_complete: bool) -> str | None:
    """Return the problem of a record of several lines that look like rows of their own, because of a quote too many.

    Texts of two columns look like that too easily. is_complete: whether the record has as many cells as the header. If not, its
    quotes are certainly wrong: then it ends after its first line, and the other lines are read again, as rows.
    """
    are_rows = [_count_cells(lines, line) == width for line in lines.record_lines]
    if width < 3 or not (all(are_rows) if is_complete else any(are_rows[1:])):
        return None
    first, last = lines.line_number - len(are_rows) + 1, lines.line_number
    cause = f"a quote is opened in line {first} and closed in line {last}"
    if not is_complete:
        problem = f"bad_record: {cause}{_name_lines_read_again(lines)}"
        lines.unread_lines(keep=1)
        return problem
    span = f"lines {first + 1} to {last} are" if last > first + 1 else f"line {last} is"
    return (
        f"lost_rows: {cause}, so that {span} part of a cell and would be lost. Correct the quote; or set multiline = true in "
        "the mapping, if the cells of this file contain line ends"
    )


def _count_cells(lines: LineReader, line: str) -> int:
    """Return how many cells a line has by itself, with quotes as ordinary characters."""
    delimiter = lines.file.delimiter
    return len(line.split()) if delimiter == "spaces" else line.count(delimiter) + 1


def parse_records(lines: LineReader) -> Iterator[ParsedRecord]:
    """Yield every record, the header included. Blank lines, and those that the mapping skips, are no records."""
    try:
        _skip_lines(lines)
    except UnreadableLine as error:
        yield lines.line_number, None, "", str(error)
        if error.ends_file:
            return
    contents: Iterator[Any] = (
        _csv_contents(lines.file, lines) if lines.file.kind == "csv" else map(parse_json_line, lines)
    )
    at_end = False
    while not at_end:
        lines.record_lines, start, content, problem = [], lines.line_number + 1, None, None
        try:
            content = next(contents)
        except StopIteration:
            return
        except UnreadableLine as error:
            problem, at_end = str(error), error.ends_file
        except csv.Error as error:
            problem = _character_problem(lines.record_lines[0], lines)
            problem = problem or f"bad_record: {_csv_reason(error)}{_name_lines_read_again(lines)}"
            # A stray quote takes in the lines after it, which may be correct; so only the line with the quote is broken.
            lines.unread_lines(keep=1)
        except (ValueError, RecursionError) as error:
            problem = f"bad_record: {find_json_problem(error)}"
        raw = "".join(lines.record_lines)
        if problem is None:
            if content is None or content == []:
                continue  # a blank line
            problem = _character_problem(raw, lines)
        yield start, content, raw, problem


def _skip_lines(lines: LineReader) -> None:
    """Skip what stands before the header: Excel's line `sep=;`, and as many lines as the mapping says."""
    file, first = lines.file, next(lines, "")
    if not (file.kind == "csv" and first.casefold().startswith("sep=") and len(first.strip()) == 5):
        lines.unread_lines(keep=0)
    elif file.format.delimiter is None:
        file.delimiter = first.strip()[4]
    while lines.line_number < file.format.skip_lines and next(lines, None) is not None:
        pass


def _csv_contents(file: DataFile, lines: Iterator[str]) -> Iterator[list[str]]:
    """Return the cells of each record. Not a generator, because it must continue after the lines have raised an error."""
    style: Any = {"delimiter": file.delimiter, "strict": True}
    if file.delimiter == "spaces":
        lines = map(_separate_by_spaces, lines)
        style |= {"delimiter": " ", "skipinitialspace": True}
    if file.format.multiline is False:
        return map(partial(_split_line, style), lines)
    return csv.reader(lines, **style)


def _separate_by_spaces(line: str) -> str:
    return line.replace("\t", " ").strip()


def _split_line(style: Any, line: str) -> list[str]:
    return next(csv.reader([line], **style), [])


# Parts of the texts of csv.Error, and what they mean.
_CSV_REASONS = {
    "unexpected end of data": "a quote is opened and never closed",
    "field larger than": f"a cell of more than {csv.field_size_limit()} characters, or a quote that is never closed",
    "new-line character": "a carriage return inside a line",
    "expected after": "more text after a closing quote",
}


def _csv_reason(error: csv.Error) -> str:
    return next((reason for text, reason in _CSV_REASONS.items() if text in str(error)), str(error))


def _name_lines_read_again(lines: LineReader) -> str:
    """Return which lines a stray quote has taken in."""
    count = len(lines.record_lines)
    if count < 2:
        return ""
    first = lines.line_number - count + 2
    if count == 2:
        return f"; line {first} is read as a row of its own"
    return f"; lines {first} to {lines.line_number} are read as rows of their own"


def _character_problem(raw: str, lines: LineReader) -> str | None:
    if "\0" in raw:
        guess = guess_utf16(raw)
        advice = f'; if the file is UTF-16, set encoding = "{guess}" in the mapping' if guess else ""
        return f"nul: the row has a NUL character{advice}"
    if not raw.isascii() and SURROGATE.search(raw):
        advice = '; if a Windows program wrote the file, set encoding = "cp1252" in the mapping'
        return f"encoding: the row is not {lines.encoding.upper()}{advice if lines.encoding == 'utf-8' else ''}"
    return None
