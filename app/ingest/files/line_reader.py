"""A data file, and the lines of it."""

import gzip
import zlib
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from app.core.errors import Invalid
from app.ingest.files.mapping import ROW_NAMES

MAX_LINE_BYTES = 16 * 2**20
MAX_RAW_CHARACTERS = 30_000  # a cell of a spreadsheet holds 32,767 characters


class RowProblem(Exception):
    """The reason why a row makes no events. Its text is `code: reason`."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")


class UnreadableLine(RowProblem):
    """A line cannot be read, so the record ends there. ends_file: whether the rest of the file cannot be read either."""

    def __init__(self, code: str, reason: str, *, ends_file: bool = False) -> None:
        super().__init__(code, reason)
        self.ends_file = ends_file


@dataclass
class DataFile:
    """A file and its columns.

    kind: `csv` or `ndjson`. columns: the header of a CSV file; for NDJSON, which has none, the paths that were requested.
    missing_columns: requested columns that the header does not have, or has twice. uses_row_names: whether `file`, `line`
    or `row_hash` was requested.
    """

    path: Path
    kind: str
    delimiter: str
    encoding: str
    columns: list[str] = field(default_factory=list)
    missing_columns: set[str] = field(default_factory=set)
    uses_row_names: bool = False

    def request_column(self, name: str) -> int:
        """Return the index of a column's cell in the cells of a record. A column that is missing is noted as such."""
        if name in ROW_NAMES:
            self.uses_row_names = True
            return ROW_NAMES.index(name) - len(ROW_NAMES)
        if name not in self.columns and self.kind == "ndjson":
            self.columns.append(name)
        if self.columns.count(name) != 1:
            self.missing_columns.add(name)
            return 0
        return self.columns.index(name)


def name_without_gz(path: Path) -> str:
    """Return the name of a file without the ending `.gz`."""
    return path.name.removesuffix(".gz")


class LineReader:
    """The decoded lines of a data file, for csv.reader, with what csv.reader does not keep: the lines of the record.

    line_number: of the last line read. record_lines: the lines of the current record; the caller replaces the list when a
    record begins. An iterator and not a generator, because it must continue after it has raised an error.
    """

    def __init__(self, file: DataFile) -> None:
        self.file = file
        self.line_number = 0
        self.record_lines: list[str] = []
        self._pending: deque[str] = deque()
        self._bytes_read = 0
        # A byte order mark is removed here, so that it is removed whatever the encoding is.
        self._encoding = "utf-8" if file.encoding.lower().replace("_", "-") == "utf-8-sig" else file.encoding

    def __enter__(self) -> Self:
        try:
            self._file_on_disk = self.file.path.open("rb")
        except OSError as error:
            raise unreadable_file(error) from error
        self._is_gzip = self.file.path.suffix == ".gz"
        self._stream: Any = gzip.GzipFile(fileobj=self._file_on_disk) if self._is_gzip else self._file_on_disk
        return self

    def __exit__(self, *_: object) -> None:
        self._file_on_disk.close()

    @property
    def consumed(self) -> int:
        """Return the bytes of the file on disk that have been read; of a packed file, packed bytes."""
        return self._file_on_disk.tell() if self._is_gzip else self._bytes_read

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._pending.popleft() if self._pending else self._read_line()
        self.line_number += 1
        self.record_lines.append(line)
        return line

    def _read_line(self) -> str:
        try:
            line: bytes = self._stream.readline(MAX_LINE_BYTES)
            if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                self._skip_line(line)
                raise UnreadableLine("too_long", f"line {self.line_number} has {MAX_LINE_BYTES} bytes or more")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            reason = f"the rest of the file cannot be decompressed ({error})"
            raise UnreadableLine("bad_gzip", reason, ends_file=True) from None
        if not line:
            raise StopIteration
        if not self._bytes_read:
            line = line.removeprefix(b"\xef\xbb\xbf")
        self._bytes_read += len(line)
        return line.decode(self._encoding, "surrogateescape")

    def _skip_line(self, start: bytes) -> None:
        """Read to the end of a line that is too long, and keep only its beginning."""
        while (rest := self._stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
            self._bytes_read += len(rest)
        self._bytes_read += len(start) + len(rest)
        self.line_number += 1
        self.record_lines.append(start[:MAX_RAW_CHARACTERS].decode(self._encoding, "surrogateescape"))

    def end_record_after_first_line(self) -> None:
        """Let the current record consist of its first line only; its other lines are read again, as new records."""
        self.line_number -= len(self.record_lines) - 1
        self._pending.extendleft(reversed(self.record_lines[1:]))
        del self.record_lines[1:]


def unreadable_file(error: OSError) -> Invalid:
    """Return the problem of a file that cannot be opened."""
    return Invalid(f"{error.filename} cannot be read: {error.strerror}.", code="no_such_file")
