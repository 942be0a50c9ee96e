"""Rows of data files turned into events by a mapping: what `csmetrics import` sends, and what it cannot send.

Files are streamed, a record at a time; only look-up tables are held in memory. Whatever a file contains, each of its
records comes out as exactly one `PresenceRow`: with events, skipped for a reason, or with a problem. Nothing here depends on
earlier runs: the same files give the same rows, with the same ids, so an interrupted import is simply run again.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from operator import itemgetter
from pathlib import Path
from stat import S_ISREG
from typing import Any, Self

from app.core.errors import Invalid
from app.http.formats import csv_cell
from app.ingest.files.cells import written
from app.ingest.files.makers import Maker, Tables, rules
from app.ingest.files.mapping import Lookup, Source
from app.ingest.files.mapping import Mapping as Rules
from app.ingest.files.records import MAX_RAW, File, Lines, Problem, check_names, opened, records, unpacked, unreadable


@dataclass(frozen=True, slots=True)
class Row:
    """A record of a data file: its events, or why there are none.

    file: as it was named; line: where the record starts, from 1; raw: the record as it is written there.
    problem: `code: reason`, when it cannot be turned into events; reason: why it is skipped.
    consumed: bytes read so far, of all files (of a packed one: packed bytes); at most `size(files)`.
    """

    file: str
    line: int
    events: list[dict[str, Any]]
    problem: str | None
    skipped: bool
    raw: str
    reason: str | None = None
    consumed: int = 0


def size(files: Sequence[Path]) -> int:
    """Bytes of all files as they lie there. Invalid (`no_such_file`): one is not there, or is not a plain file."""
    try:
        states = [(file, file.stat()) for file in files]
    except OSError as error:
        raise unreadable(error) from error
    for file, state in states:
        # A pipe could not be read a second time, which is how an import goes on after an interruption.
        if not S_ISREG(state.st_mode):
            raise Invalid(f"{file} is not a plain file.", code="no_such_file")
    return sum(state.st_size for _, state in states)


def rows(files: Sequence[Path], *, mapping: Rules) -> Iterator[Row]:
    """Every record of the files, in their order, as a row.

    Invalid, before the first row: a file that is not there, that no source is for or whose kind is unknown; a column
    that the mapping names and the header lacks; a look-up file that is not found.
    """
    size(files)
    sources = [_source(file, mapping=mapping) for file in files]
    tables = _tables(sources, mapping=mapping, folders=[*(file.parent for file in files), Path(mapping.folder)])
    return _rows([_plan(path, source=source, tables=tables) for path, source in zip(files, sources, strict=True)])


def _source(path: Path, *, mapping: Rules) -> Source:
    for source in mapping.source:
        if fnmatchcase(unpacked(path), source.file):
            return source
    raise Invalid(f"{path}: no [[source]] of the mapping is for a file of this name.", code="no_source")


def _tables(sources: Sequence[Source], *, mapping: Rules, folders: Sequence[Path]) -> Tables:
    """Each look-up that the sources use: its columns, and their cells by key (None: they differ for one key)."""
    wanted: dict[str, list[str]] = {}
    for column in (column for source in sources for column in source.columns.values()):
        if column.lookup and column.column and column.column not in wanted.setdefault(column.lookup, []):
            wanted[column.lookup].append(column.column)
    tables: Tables = {}
    for name, columns in wanted.items():
        lookup = mapping.lookup[name]
        places = (folder / (lookup.file + packed) for folder in folders for packed in ("", ".gz"))
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            missing = f"[lookup.{name}]: {lookup.file} is neither beside the data nor in {mapping.folder}."
            raise Invalid(missing, code="no_such_file")
        tables[name] = columns, _table(path, lookup=lookup, columns=columns)
    return tables


def _table(path: Path, *, lookup: Lookup, columns: Sequence[str]) -> dict[str, Sequence[Any] | None]:
    file = opened(path, layout=lookup)
    cells_of = [itemgetter(file.place(column)) for column in (lookup.key, *columns)]
    check_names(file)
    table: dict[str, Sequence[Any] | None] = {}
    with Lines(file) as lines:
        # A record with a problem, or without a key, is not found later: that is reported for each row that asks for it.
        for cells in (cells for _, cells, _, problem, _ in records(file, lines) if problem is None):
            key, *found = (cell_of(cells) for cell_of in cells_of)
            if isinstance(key, str | int | float):
                text = written(key)
                table[text] = found if table.get(text, found) == found else None
    return table


def _plan(path: Path, *, source: Source, tables: Tables) -> tuple[File, Maker]:
    """A file, and how its rows become events."""
    file = opened(path, layout=source)
    events_of = rules(file, source=source, tables=tables)
    check_names(file)
    return file, events_of


def _rows(plans: Sequence[tuple[File, Maker]]) -> Iterator[Row]:
    done = 0
    for file, events_of in plans:
        name = str(file.path)
        with Lines(file) as lines:
            for line, cells, raw, problem, consumed in records(file, lines):
                events: list[dict[str, Any]] = []
                reason = None
                if problem is None:
                    try:
                        events, reason = events_of(cells)
                    except Problem as why:
                        problem = str(why)
                yield Row(name, line, events, problem, reason is not None, raw, reason, done + consumed)
        done += size([file.path])


class Report:
    """The file of what did not come in: CSV, or NDJSON if its name ends so. One line for each row or event.

    A run begins it anew, since it meets again whatever an earlier run has met; each line is written at once, so that it
    is there when the run is interrupted. counts: how many there are of each code.
    """

    HEADER = ("file", "line", "event_id", "code", "detail", "raw")

    def __init__(self, path: Path) -> None:
        """Invalid (`not_a_report`): a file is there that is no report, and would be lost; or it cannot be written."""
        self.counts: Counter[str] = Counter()
        self._is_csv = path.suffix.lower() not in (".ndjson", ".jsonl")
        try:
            if path.exists() and not _is_report(path):
                raise Invalid(f"{path} is there already and is not a report.", code="not_a_report")
            self._file = path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        except OSError as error:
            raise Invalid(f"{path} cannot be written: {error.strerror}.", code="not_a_report") from error
        self._table = csv.writer(self._file, lineterminator="\n")
        if self._is_csv:
            self._table.writerow(self.HEADER)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def row(self, row: Row) -> None:
        """Note a row that gave no events: its problem, or (`skipped`) the reason why it is left out."""
        code, _, detail = (row.problem or f"skipped: {row.reason}").partition(": ")
        self._write(row, event_id="", code=code, detail=detail)

    def event(self, row: Row, *, rejected: Mapping[str, Any]) -> None:
        """Note an event of `row` that was not accepted; rejected: id, code, detail, pointer, as in the API's answer."""
        detail = " ".join(str(rejected[key]) for key in ("detail", "pointer") if rejected.get(key))
        self._write(row, event_id=str(rejected.get("id") or ""), code=str(rejected["code"]), detail=detail)

    def _write(self, row: Row, *, event_id: str, code: str, detail: str) -> None:
        self.counts[code] += 1
        raw = row.raw.rstrip("\r\n")
        raw = raw if len(raw) <= MAX_RAW else raw[:MAX_RAW] + "…"
        line = (row.file, row.line, event_id, code, detail, raw)
        if self._is_csv:
            # People open it in a spreadsheet, where no cell has a NUL.
            self._table.writerow([csv_cell(str(cell).replace("\0", "\\x00")) for cell in line])
        else:
            self._file.write(json.dumps(dict(zip(self.HEADER, line, strict=True))) + "\n")
        self._file.flush()


def _is_report(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(100)
    return not start or start.startswith((",".join(Report.HEADER).encode(), b'{"file": '))
