"""The lines of a data file."""

import gzip
import zlib
from collections import deque
from collections.abc import Callable
from typing import Any, Self

from app.ingest.files.data_file import DataFile, RowProblem, unreadable_file
from app.ingest.files.decoded_lines import DecodedLine, DecodedLines, find_text_form

MAX_LINE_BYTES = 16 * 2**20
MAX_RAW_CHARACTERS = 30_000  # a cell of a spreadsheet holds 32,767 characters
_PACKED_ERRORS = (EOFError, gzip.BadGzipFile, zlib.error)


class UnreadableLine(RowProblem):
    """A line cannot be read, so the record ends there. ends_file: whether the rest of the file cannot be read either."""

    def __init__(self, code: str, reason: str, *, ends_file: bool = False) -> None:
        super().__init__(code, reason)
        self.ends_file = ends_file


class LineReader:
    """The decoded lines of a data file, for csv.reader, with what csv.reader does not keep: the lines of the record.

    line_number: of the last line read. record_lines: the lines of the current record; the caller replaces the list when a
    record begins. encoding: that of the file, by its byte order mark or the mapping. An iterator and not a generator, because
    it must continue after it has raised an error.
    """

    def __init__(self, file: DataFile) -> None:
        self.file = file
        self.encoding = file.encoding
        self.line_number = 0
        self.record_lines: list[str] = []
        self._pending: deque[str] = deque()
        self._bytes_read = 0
        self._counts_bytes = True

    def __enter__(self) -> Self:
        try:
            self._file_on_disk = self.file.path.open("rb")
        except OSError as error:
            raise unreadable_file(error) from error
        self._is_gzip = self.file.path.suffix == ".gz"
        self._stream: Any = gzip.GzipFile(fileobj=self._file_on_disk) if self._is_gzip else self._file_on_disk
        self._read_text: Callable[[int], DecodedLine] = self._find_form
        return self

    def __exit__(self, *_: object) -> None:
        self._file_on_disk.close()

    @property
    def consumed(self) -> int:
        """Return the bytes of the file on disk that have been read; of a packed file, packed bytes."""
        return self._bytes_read if self._counts_bytes else self._file_on_disk.tell()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._pending.popleft() if self._pending else self._read_line()
        self.line_number += 1
        self.record_lines.append(line)
        return line

    def _read_line(self) -> str:
        try:
            line, is_cut = self._read_text(MAX_LINE_BYTES)
            if is_cut:
                self._skip_line(line)
                raise UnreadableLine("too_long", f"line {self.line_number} has {MAX_LINE_BYTES} bytes or more")
        except _PACKED_ERRORS as error:
            reason = f"the rest of the file cannot be decompressed ({error})"
            raise UnreadableLine("bad_gzip", reason, ends_file=True) from None
        if not line:
            raise StopIteration
        return line

    def _find_form(self, limit: int) -> DecodedLine:
        """Read the first line: find out how the file is written, and read on in that way."""
        form = find_text_form(self._stream, self.file.encoding, may_use_cr=self.file.kind == "csv")
        self._bytes_read = len(self._stream.read(len(form.mark)))
        self.encoding = form.encoding
        self._counts_bytes = form.has_lines_of_bytes and not self._is_gzip
        self._read_text = self._read_bytes if form.has_lines_of_bytes else DecodedLines(self._stream, form).readline
        return self._read_text(limit)

    def _read_bytes(self, limit: int) -> DecodedLine:
        line: bytes = self._stream.readline(limit)
        self._bytes_read += len(line)
        return line.decode(self.encoding, "surrogateescape"), len(line) == limit and not line.endswith(b"\n")

    def _skip_line(self, start: str) -> None:
        """Read to the end of a line that is too long, and keep only its beginning."""
        while self._read_text(MAX_LINE_BYTES)[1]:
            pass
        self.line_number += 1
        self.record_lines.append(start[:MAX_RAW_CHARACTERS])

    def unread_lines(self, *, keep: int) -> None:
        """Let the current record consist of its first lines only; the others are read again, as new records."""
        rest = self.record_lines[keep:]
        self.line_number -= len(rest)
        self._pending.extendleft(reversed(rest))
        del self.record_lines[keep:]
