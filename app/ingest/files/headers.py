"""Open data files: find out how they are written, and check that they have the columns that the mapping uses."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from app.core.errors import Invalid
from app.ingest.files.converters import to_text
from app.ingest.files.data_file import DataFile, kind_of, suffix_of
from app.ingest.files.hints import content_hint, delimiter_hint, did_you_mean, looks_like_data
from app.ingest.files.line_reader import LineReader
from app.ingest.files.mapping import FileFormat
from app.ingest.files.records import explain_ambiguous_name, parse_records
from app.ingest.files.sheets import header_of, open_sheet

# How far down a header is searched for that is not where it should be.
_MAX_TITLE_LINES = 20


def open_data_file(path: Path, *, format: FileFormat) -> DataFile:
    """Return a file with the columns of its header. Raises Invalid when it cannot be read or its format is unknown."""
    suffix = suffix_of(path.name)
    if suffix == ".parquet":
        raise Invalid(f"{path}: Parquet is not supported. Convert the file to CSV or NDJSON.", code="unsupported_file")
    kind = kind_of(path.name, format)
    if kind is None:
        ending = f"the ending {suffix}" if suffix else "a name without an ending"
        detail = f'{path}: {ending} does not say how to read the file. Set format = "csv", "ndjson" or "xlsx" in the mapping.'
        raise Invalid(detail, code="no_format")
    delimiter = format.delimiter or ("\t" if suffix == ".tsv" else ",")
    file = DataFile(path, kind, format, delimiter, format.encoding)
    if kind == "xlsx":
        file.header = _sheet_header(file)
    elif kind == "csv":
        file.header = _csv_header(file)
    file.columns = [name.strip() for name in format.header or map(to_text, file.header)]
    return file


def _sheet_header(file: DataFile) -> list[Any]:
    sheet = open_sheet(file)
    header = header_of(sheet, skip=file.format.skip_lines)
    if not header and file.has_header:
        name = f'the sheet "{sheet.name}"'
        raise Invalid(f"{file.path}: the header row cannot be read: {name} is empty.", code="bad_header")
    return list(header) if file.has_header else []


def _csv_header(file: DataFile) -> list[str]:
    """Return the cells of the header; none where the mapping names the columns. Raises Invalid (`bad_header`)."""
    with LineReader(file) as lines:
        _, header, raw, problem = next(parse_records(lines), (1, [], "", "bad_record: the file is empty"))
    if problem is not None:
        if hint := content_hint(_first_bytes(file), is_packed=file.path.suffix == ".gz"):
            raise Invalid(f"{file.path}: {hint}.", code="bad_header")
        hint = delimiter_hint(raw, delimiter=file.delimiter, columns=())
        reason = problem.partition(": ")[2]
        raise Invalid(f"{file.path}: the header row cannot be read: {reason}.{hint}", code="bad_header")
    if not file.has_header:
        _check_is_no_header(file, header)
        return []
    return list(header)


def _first_bytes(file: DataFile) -> bytes:
    with file.path.open("rb") as stream:
        return stream.read(8)


def _check_is_no_header(file: DataFile, first: Sequence[str]) -> None:
    """Raise Invalid where the mapping names the columns and the file has a header all the same."""
    if [cell.strip() for cell in first] == [name.strip() for name in file.format.header]:
        detail = f"{file.path} has a header row with the names of the mapping. Remove header from the mapping."
        raise Invalid(detail, code="bad_header")


def check_columns(file: DataFile) -> None:
    """Raise Invalid when a column that the mapping uses is not in the file, is there twice, or is also a name of the row."""
    if file.kind == "ndjson":
        return  # each line has columns of its own
    if file.ambiguous:
        detail = f"{file.path}: {explain_ambiguous_name(min(file.ambiguous))}."
        raise Invalid(detail, code="ambiguous_column")
    if missing := sorted(file.missing_columns):
        detail = _name_cause(file, missing) or _name_columns(file, missing)
        raise Invalid(f"{file.path}: {detail}", code="missing_column")


def _name_columns(file: DataFile, missing: Sequence[str]) -> str:
    """Return a sentence for each column that is missing."""
    source = "header in the mapping" if file.format.header else "the header"
    sentences = [
        f'{source} has the column "{name}" twice.'
        if name in file.columns
        else f'{source} has no column "{name}".{did_you_mean(name, file.columns)}'
        for name in missing
    ]
    advice = " Rename one of them." if any(name in file.columns for name in missing) else ""
    return f"{' Also, '.join(sentences)} The columns are: {', '.join(file.columns)}.{advice}"


def _name_cause(file: DataFile, missing: Sequence[str]) -> str:
    """Return why columns are missing, and the option that helps; empty where the header is as it should be."""
    if file.format.header:
        return ""
    if file.kind == "csv" and (hint := content_hint(_first_bytes(file), is_packed=file.path.suffix == ".gz")):
        return f"{hint}."
    (_, header, text), *rows = _first_rows(file)
    hint = ""
    if file.kind == "csv":
        hint = delimiter_hint(text, delimiter=file.delimiter, columns=file.requested)
    for line, cells, _ in rows:
        if not hint and file.requested <= {to_text(cell).strip() for cell in cells}:
            hint = f" Line {line} has these columns: set skip_lines = {line - 1} in the mapping."
    if not hint and not file.requested & set(file.columns) and looks_like_data(file.columns):
        hint = ' If the file has no header row, name its columns in the mapping: header = ["…", "…"].'
    if not hint:
        return ""
    first_line = text.strip() or ", ".join(map(to_text, header))
    return f"the header lacks columns that the mapping uses: {', '.join(missing)}. The header is: {first_line}.{hint}"


def _first_rows(file: DataFile) -> list[tuple[int, Sequence[Any], str]]:
    """Return the line, the cells and the text of the first records of a table, the header included."""
    if file.kind == "xlsx":
        rows = enumerate(islice(open_sheet(file).iter_rows(), _MAX_TITLE_LINES), 1)
        return [(number, cells, "") for number, cells in rows if number > file.format.skip_lines]
    with LineReader(file) as lines:
        records = islice(parse_records(lines), _MAX_TITLE_LINES)
        return [(line, cells or [], raw) for line, cells, raw, _ in records]
