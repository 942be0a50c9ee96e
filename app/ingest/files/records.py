"""Read the records of CSV and NDJSON files, packed or not. Whatever a file contains, each record is returned once.

A record is one row of a CSV file, which may span several lines, or one line of an NDJSON file. Tuples stand for records, since
a file may have millions of them.
"""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from app.core.errors import Invalid
from app.ingest.files.line_reader import DataFile, LineReader, UnreadableLine, name_without_gz
from app.ingest.files.mapping import FileFormat

MAX_LEVELS = 64
_KINDS = {".csv": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}

# The line on which it starts, its content (a list of cells or a JSON object), its text, and its problem or None.
ParsedRecord = tuple[int, Any, str, str | None]
# The line on which it starts, its cells in the order of `DataFile.columns`, its text, its problem, and the bytes read so far.
FileRecord = tuple[int, Any, str, str | None, int]


def open_data_file(path: Path, *, format: FileFormat) -> DataFile:
    """Return a file with the columns of its header. Raises Invalid when it cannot be read or its format is unknown."""
    suffix = Path(name_without_gz(path)).suffix.lower()
    if suffix == ".parquet":
        raise Invalid(f"{path}: Parquet is not supported. Convert the file to CSV or NDJSON.", code="unsupported_file")
    kind = format.format or _KINDS.get(suffix)
    if kind is None:
        ending = f"the ending {suffix}" if suffix else "a name without an ending"
        detail = f'{path}: {ending} does not say how to read the file. Set format = "csv" or "ndjson" in the mapping.'
        raise Invalid(detail, code="no_format")
    file = DataFile(path, kind, format.delimiter or ("\t" if suffix == ".tsv" else ","), format.encoding)
    if kind == "csv":
        with LineReader(file) as lines:
            _, header, _, problem = next(_parse_records(lines), (1, [], "", "bad_record: the file is empty"))
        if problem is not None:
            raise Invalid(f"{path}: the header row cannot be read ({problem}).", code="bad_header")
        file.columns = list(header)
    return file


def check_columns(file: DataFile) -> None:
    """Raise Invalid (`missing_column`) when a column that was requested is not in the header, or is there twice."""
    if file.missing_columns:
        missing = ", ".join(sorted(file.missing_columns))
        raise Invalid(
            f"{file.path}: the mapping uses columns that the header must have exactly once: {missing}. "
            f"The header has: {', '.join(file.columns)}.",
            code="missing_column",
        )


def read_records(file: DataFile, lines: LineReader) -> Iterator[FileRecord]:
    """Yield each record after the header. When row names are used, their three values follow the cells."""
    is_csv, width = file.kind == "csv", len(file.columns)
    name = name_without_gz(file.path)
    indexes_by_name = [index for _, index in sorted(zip(file.columns, range(width), strict=True))]
    paths = [(path, path.split(".")) for path in file.columns]
    records = _parse_records(lines)
    if is_csv:
        next(records, None)
    for line, content, raw, problem in records:
        cells = content
        if problem is None and is_csv and len(cells) != width:
            problem = f"wrong_number_of_cells: the header has {width}, the row {len(cells)}"
        if problem is None:
            if not is_csv:
                cells = [_value_at(content, path, steps) for path, steps in paths]
            if file.uses_row_names:
                # No cell has a NUL, so different cells make different texts. Sorted by column: columns may be reordered.
                text = (
                    "\0".join([cells[index] for index in indexes_by_name])
                    if is_csv
                    else json.dumps(content, sort_keys=True)
                )
                cells = [*cells, name, str(line), blake2b(text.encode(), digest_size=12).hexdigest()]
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


def _parse_records(lines: LineReader) -> Iterator[ParsedRecord]:
    """Yield every record, the header included. Blank lines are no records."""
    is_csv = lines.file.kind == "csv"
    contents: Iterator[Any] = (
        csv.reader(lines, delimiter=lines.file.delimiter, strict=True) if is_csv else map(_parse_json_line, lines)
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
        except (csv.Error, ValueError, RecursionError) as error:
            # A stray quote takes in the lines after it, which may be correct; so only the line with the quote is broken.
            lines.end_record_after_first_line()
            problem = f"bad_record: {_reason(error)}"
        raw = "".join(lines.record_lines)
        if problem is None:
            if content is None or content == []:
                continue  # a blank line
            problem = _character_problem(raw, lines.file)
        yield start, content, raw, problem


def _parse_json_line(line: str) -> dict[str, Any] | None:
    if not line.strip(" \t\r\n"):
        return None
    value = json.loads(line, object_pairs_hook=_object_of_pairs, parse_constant=_refuse_constant)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    if line.count("[") + line.count("{") > MAX_LEVELS and _depth(value) > MAX_LEVELS:
        raise ValueError(f"nested more than {MAX_LEVELS} levels deep")
    if "\\u" in line and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise ValueError("half of a surrogate pair")
    return value


def _depth(value: Any) -> int:
    depth, values = 0, [value]
    while values := [value for value in values if isinstance(value, list | dict)]:
        depth += 1
        values = [item for value in values for item in (value.values() if isinstance(value, dict) else value)]
    return depth


def _object_of_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has the same key twice")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_SURROGATE = re.compile("[\ud800-\udfff]")
# Parts of the texts of csv.Error, and what they mean.
_CSV_REASONS = {
    "unexpected end of data": "a quote is opened and never closed",
    "field larger than": f"a cell of more than {csv.field_size_limit()} characters, or a quote that is never closed",
    "new-line character": "a carriage return inside a line",
    "expected after": "more text after a closing quote",
}


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at character {error.colno}"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return next((reason for text, reason in _CSV_REASONS.items() if text in str(error)), str(error))


def _character_problem(raw: str, file: DataFile) -> str | None:
    if "\0" in raw:
        return "nul: the row has a NUL character"
    if not raw.isascii() and _SURROGATE.search(raw):
        return f"encoding: the row is not {file.encoding}"
    return None
