"""Read the rows of data files, each with the events that the mapping makes of it.

Files are streamed, one record at a time; only lookup files are held in memory. Whatever a file contains, each of its records
becomes exactly one `SourceRow`: with events, skipped for a reason, or with a problem. Nothing depends on earlier runs: the
same files give the same rows with the same ids, so an interrupted import is simply run again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from operator import itemgetter
from pathlib import Path
from stat import S_ISREG
from typing import Any

from app.core.errors import Invalid
from app.ingest.files.converters import to_text
from app.ingest.files.event_builder import EventBuilder, LookupTables, event_builder
from app.ingest.files.line_reader import DataFile, LineReader, RowProblem, name_without_gz, unreadable_file
from app.ingest.files.mapping import FileSource, ImportMapping, LookupFile
from app.ingest.files.records import check_columns, open_data_file, read_records


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A record of a data file: its events, or why there are none.

    file: the path as the caller gave it. line: where the record starts, from 1. raw: the text of the record.
    problem: `code: reason`, when no events can be made of it. reason: why it is skipped.
    consumed: bytes read so far of all files (of packed files, packed bytes); at most `total_size(files)`.
    """

    file: str
    line: int
    events: list[dict[str, Any]]
    problem: str | None
    skipped: bool
    raw: str
    reason: str | None = None
    consumed: int = 0


def total_size(files: Sequence[Path]) -> int:
    """Return the size of all files on disk in bytes. Raises Invalid (`no_such_file`) for a path that is no plain file."""
    try:
        states = [(file, file.stat()) for file in files]
    except OSError as error:
        raise unreadable_file(error) from error
    for file, state in states:
        # A pipe could not be read a second time, which is how an import continues after an interruption.
        if not S_ISREG(state.st_mode):
            raise Invalid(f"{file} is not a plain file.", code="no_such_file")
    return sum(state.st_size for _, state in states)


def read_rows(files: Sequence[Path], *, mapping: ImportMapping) -> Iterator[SourceRow]:
    """Return an iterator over the records of the files as rows, file by file.

    Raises Invalid, before the first row: for a file that is missing, that no source matches or whose format is unknown; for
    a column that the mapping uses and the header does not have; for a lookup file that is missing.
    """
    total_size(files)
    sources = [_source_of(file, mapping=mapping) for file in files]
    folders = [*(file.parent for file in files), Path(mapping.folder)]
    lookups = _load_lookups(sources, mapping=mapping, folders=folders)
    return _read([_open(path, source=source, lookups=lookups) for path, source in zip(files, sources, strict=True)])


def _source_of(path: Path, *, mapping: ImportMapping) -> FileSource:
    for source in mapping.source:
        if fnmatchcase(name_without_gz(path), source.file):
            return source
    detail = f"{path}: no [[source]] of the mapping has a `file` pattern that matches this name."
    raise Invalid(detail, code="no_source")


def _load_lookups(sources: Sequence[FileSource], *, mapping: ImportMapping, folders: Sequence[Path]) -> LookupTables:
    """Return the lookups that the sources use, with the columns that they use."""
    columns_by_lookup: dict[str, list[str]] = {}
    for column in (column for source in sources for column in source.columns.values()):
        if column.lookup and column.column and column.column not in columns_by_lookup.setdefault(column.lookup, []):
            columns_by_lookup[column.lookup].append(column.column)
    lookups: LookupTables = {}
    for name, columns in columns_by_lookup.items():
        lookup = mapping.lookup[name]
        candidates = (folder / (lookup.file + ending) for folder in folders for ending in ("", ".gz"))
        path = next((candidate for candidate in candidates if candidate.is_file()), None)
        if path is None:
            detail = (
                f"[lookup.{name}]: {lookup.file} is neither in the folders of the data files nor in {mapping.folder}."
            )
            raise Invalid(detail, code="no_such_file")
        lookups[name] = columns, _load_lookup(path, lookup=lookup, columns=columns)
    return lookups


def _load_lookup(path: Path, *, lookup: LookupFile, columns: Sequence[str]) -> dict[str, Sequence[Any] | None]:
    """Return the values of the columns by key; None where the file has different values for one key."""
    file = open_data_file(path, format=lookup)
    readers = [itemgetter(file.request_column(column)) for column in (lookup.key, *columns)]
    check_columns(file)
    values_by_key: dict[str, Sequence[Any] | None] = {}
    with LineReader(file) as lines:
        # A record with a problem or without a key cannot be looked up: each row that needs it is reported.
        for cells in (cells for _, cells, _, problem, _ in read_records(file, lines) if problem is None):
            key, *values = (read(cells) for read in readers)
            if isinstance(key, str | int | float):
                text = to_text(key)
                values_by_key[text] = values if values_by_key.get(text, values) == values else None
    return values_by_key


def _open(path: Path, *, source: FileSource, lookups: LookupTables) -> tuple[DataFile, EventBuilder]:
    """Return a file, and the function that makes events of its rows."""
    file = open_data_file(path, format=source)
    build_events = event_builder(file, source=source, lookups=lookups)
    check_columns(file)
    return file, build_events


def _read(files: Sequence[tuple[DataFile, EventBuilder]]) -> Iterator[SourceRow]:
    consumed_before = 0
    for file, build_events in files:
        name = str(file.path)
        with LineReader(file) as lines:
            for line, cells, raw, problem, consumed in read_records(file, lines):
                events: list[dict[str, Any]] = []
                reason = None
                if problem is None:
                    try:
                        events, reason = build_events(cells)
                    except RowProblem as error:
                        problem = str(error)
                yield SourceRow(
                    name, line, events, problem, reason is not None, raw, reason, consumed_before + consumed
                )
        consumed_before += total_size([file.path])
