"""Read the rows of data files, each with the events that the mapping makes of it.

Files are streamed, one record at a time; only lookup files and groups of rows are held in memory. Whatever a file contains, each
of its records becomes part of exactly one `SourceRow`: with events, skipped for a reason, or with problems. Nothing depends on
earlier runs: the same files give the same rows with the same ids, so an interrupted import is simply run again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from operator import itemgetter
from pathlib import Path
from stat import S_ISREG
from typing import Any, NamedTuple

from app.core.errors import Invalid
from app.ingest.files.cell_readers import Cells, LookupTables, Scope
from app.ingest.files.converters import to_text
from app.ingest.files.data_file import DataFile, name_without_gz, unreadable_file
from app.ingest.files.event_builder import RowBuilder, row_builder
from app.ingest.files.grouping import GroupReader, Groups, build_groups, group_reader
from app.ingest.files.headers import check_columns, open_data_file
from app.ingest.files.hints import did_you_mean
from app.ingest.files.mapping import FileSource, ImportMapping, LookupFile
from app.ingest.files.records import read_records
from app.ingest.files.source_row import SourceRow


class OpenSource(NamedTuple):
    """A file with what makes events of its rows. add_to_group: where its source has groups, instead of `build`."""

    file: DataFile
    build: RowBuilder
    add_to_group: GroupReader | None


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
    """Return an iterator over the records of the files as rows, file by file; then over the groups of rows.

    Raises Invalid, before the first row: for a file that is missing, that no source matches or whose format is unknown; for
    a column that the mapping uses and the header does not have; for a lookup file that is missing.
    """
    total_size(files)
    sources = [_source_of(file, mapping=mapping) for file in files]
    folders = [*(file.parent for file in files), Path(mapping.folder)]
    lookups = _load_lookups(sources, mapping=mapping, folders=folders)
    # Sources are compared by identity: two of a mapping may be equal.
    groups_by_source: dict[int, Groups] = {id(source): {} for source in sources if source.group_by}
    pairs = zip(files, sources, strict=True)
    open_sources = [_open(path, source, lookups, groups_by_source.get(id(source))) for path, source in pairs]
    return _read(open_sources, list(groups_by_source.values()))


def _source_of(path: Path, *, mapping: ImportMapping) -> FileSource:
    for source in mapping.source:
        if fnmatchcase(name_without_gz(path), source.file):
            return source
    patterns = ", ".join(f'"{source.file}"' for source in mapping.source)
    detail = f"{path}: no [[source]] of the mapping has a `file` pattern that matches this name. The patterns are: {patterns}."
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
    # A record with a problem or without a key cannot be looked up: each row that needs it is reported.
    for cells in (cells for _, cells, _, problem, _ in read_records(file) if problem is None):
        key, *values = (read(cells) for read in readers)
        if key is not None and not isinstance(key, list | dict):
            text = to_text(key).strip()
            values_by_key[text] = values if values_by_key.get(text, values) == values else None
    return values_by_key


def _open(path: Path, source: FileSource, lookups: LookupTables, groups: Groups | None) -> OpenSource:
    """Return a file with what makes events of its rows. groups: those of its source, if it has groups."""
    file = open_data_file(path, format=source)
    scope = Scope(file, source, lookups)
    for name, column in source.columns.items():
        # Also a column that no event uses: it may be misspelt in the one place or the other.
        if not (column.lookup or column.row or column.template):
            file.request_column(column.column or name)
    build = row_builder(scope, skip_rules=source.skip)
    add_to_group = None if groups is None else group_reader(scope, groups)
    check_columns(file)
    return OpenSource(file, build, add_to_group)


def _read(files: Sequence[OpenSource], groups: Sequence[Groups]) -> Iterator[SourceRow]:
    consumed_before = 0
    for source in files:
        name = str(source.file.path)
        for line, cells, raw, problem, consumed in read_records(source.file):
            consumed += consumed_before
            if problem is not None:
                yield SourceRow(name, line, raw, problems=[problem], consumed=consumed)
            elif _is_empty(source.file, cells):
                yield SourceRow(name, line, raw, reason="the row is empty", consumed=consumed)
            elif source.add_to_group is None:
                yield SourceRow(name, line, raw, *source.build(cells), consumed=consumed)
            elif row := source.add_to_group(SourceRow(name, line, raw, consumed=consumed), cells):
                yield row
        consumed_before += total_size([source.file.path])
        yield from _report_unseen_columns(source.file, consumed=consumed_before)
    for group in groups:
        for row in build_groups(group):
            yield replace(row, consumed=consumed_before)


def _report_unseen_columns(file: DataFile, *, consumed: int) -> Iterator[SourceRow]:
    """Yield a row that stands for no record for each column that no record of an NDJSON file has: it may be misspelt."""
    for name in sorted(file.unseen) if file.keys else ():
        problem = f'missing_column: no record of the file has "{name}".{did_you_mean(name, file.keys)}'
        yield SourceRow(str(file.path), 0, "", problems=[problem], consumed=consumed, count=0)


def _is_empty(file: DataFile, cells: Cells) -> bool:
    """Return whether a row of a table has nothing but delimiters."""
    if file.kind == "ndjson":
        return False
    first = cells[0]
    if first and not (isinstance(first, str) and first.isspace()):
        return False  # as nearly every row
    return all(isinstance(cell, str) and (not cell or cell.isspace()) for cell in cells[: len(file.columns)])
