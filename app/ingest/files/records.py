"""Files as records: CSV and NDJSON, packed or not, whatever they contain; each record once, with its line and text."""

import csv
import gzip
import json
import re
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

from app.core.errors import Invalid
from app.ingest.files.mapping import OF_THE_ROW, Layout

MAX_LEVELS = 64
MAX_LINE = 16 * 2**20
MAX_RAW = 30_000  # a cell of a spreadsheet holds 32,767 characters
_KINDS = {".csv": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}


class Problem(Exception):
    """Why one record gives no events."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")


class Torn(Problem):
    """The record ends in a place that cannot be read; with `for_good`, nothing after it can be read either."""

    def __init__(self, code: str, reason: str, *, for_good: bool = False) -> None:
        super().__init__(code, reason)
        self.for_good = for_good


@dataclass
class File:
    """A file and its columns. NDJSON has no header: there, `names` grows by each path that is asked for."""

    path: Path
    kind: str
    delimiter: str
    encoding: str
    names: list[str] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    tells_row: bool = False

    def place(self, name: str) -> int:
        """Where the cells of `name` are in a record."""
        if name in OF_THE_ROW:
            self.tells_row = True
            return OF_THE_ROW.index(name) - len(OF_THE_ROW)
        if name not in self.names and self.kind == "ndjson":
            self.names.append(name)
        if self.names.count(name) != 1:
            self.missing.add(name)
            return 0
        return self.names.index(name)


def unpacked(path: Path) -> str:
    """The name of a file without the ending that says that it is packed."""
    return path.name.removesuffix(".gz")


def opened(path: Path, *, layout: Layout) -> File:
    """A file with the names in its header. Invalid: it cannot be read, or nobody knows how."""
    suffix = Path(unpacked(path)).suffix.lower()
    if suffix == ".parquet":
        raise Invalid(f"{path}: Parquet is not read here; convert it to CSV or NDJSON.", code="unsupported_file")
    kind = layout.format or _KINDS.get(suffix)
    if kind is None:
        raise Invalid(f"{path}: say `format` in the mapping, {suffix or 'no suffix'} tells nothing.", code="no_format")
    file = File(path, kind, layout.delimiter or ("\t" if suffix == ".tsv" else ","), layout.encoding)
    if kind == "csv":
        with Lines(file) as lines:
            _, header, _, problem = next(parsed(lines), (1, [], "", "bad_record: it is empty"))
        if problem is not None:
            raise Invalid(f"{path}: its header cannot be read ({problem}).", code="bad_header")
        file.names = list(header)
    return file


def check_names(file: File) -> None:
    """Invalid (`missing_column`): a column that was asked for is not there, or twice."""
    if file.missing:
        lacking = ", ".join(sorted(file.missing))
        raise Invalid(
            f"{file.path}: the header needs to have, once each: {lacking}. It has: {', '.join(file.names)}.",
            code="missing_column",
        )


class Lines:
    """The lines of a file for csv.reader, and what that forgets: the lines of the record in hand, and their number.

    An iterator and no generator: it goes on after it has raised.
    """

    def __init__(self, file: File) -> None:
        self.at = 0
        self.held: list[str] = []
        self.file = file
        self._again: deque[str] = deque()
        self._bytes = 0
        self._encoding = "utf-8" if file.encoding.lower().replace("_", "-") == "utf-8-sig" else file.encoding

    def __enter__(self) -> Self:
        try:
            self._lying = self.file.path.open("rb")
        except OSError as error:
            raise unreadable(error) from error
        self._packed = self.file.path.suffix == ".gz"
        self._data: Any = gzip.GzipFile(fileobj=self._lying) if self._packed else self._lying
        return self

    def __exit__(self, *_: object) -> None:
        self._lying.close()

    @property
    def consumed(self) -> int:
        return self._lying.tell() if self._packed else self._bytes

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._read()
        self.at += 1
        self.held.append(line)
        return line

    def _read(self) -> str:
        try:
            line: bytes = self._data.readline(MAX_LINE)
            if len(line) == MAX_LINE and not line.endswith(b"\n"):
                while (rest := self._data.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                    self._bytes += len(rest)
                self._bytes += len(line) + len(rest)
                self.at += 1
                self.held.append(line[:MAX_RAW].decode(self._encoding, "surrogateescape"))
                raise Torn("too_long", f"line {self.at} has {MAX_LINE} bytes or more")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise Torn("bad_gzip", f"nothing from here on can be unpacked ({error})", for_good=True) from None
        if not line:
            raise StopIteration
        if not self._bytes:
            line = line.removeprefix(b"\xef\xbb\xbf")
        self._bytes += len(line)
        return line.decode(self._encoding, "surrogateescape")

    def read_again(self) -> None:
        """Give up on the record in hand: its first line stays it, the others are read once more, each as a record."""
        self.at -= len(self.held) - 1
        self._again.extendleft(reversed(self.held[1:]))
        del self.held[1:]


def parsed(lines: Lines) -> Iterator[tuple[int, Any, str, str | None]]:
    """Each record: its line, what it says (list of cells or JSON object), its text, and the problem if it is broken."""
    is_csv = lines.file.kind == "csv"
    said_by: Iterator[Any] = (
        csv.reader(lines, delimiter=lines.file.delimiter, strict=True) if is_csv else map(_object, lines)
    )
    for_good = False
    while not for_good:
        lines.held, start, said, problem = [], lines.at + 1, None, None
        try:
            said = next(said_by)
        except StopIteration:
            return
        except Torn as torn:
            problem, for_good = str(torn), torn.for_good
        except (csv.Error, ValueError, RecursionError) as error:
            # A stray quote swallows the lines after it, which may be sound; so only the line with the quote is broken.
            lines.read_again()
            problem = f"bad_record: {_reason(error)}"
        raw = "".join(lines.held)
        if problem is None:
            if said is None or said == []:
                continue  # a blank line
            problem = _garbled(raw, lines.file)
        yield start, said, raw, problem


def _object(line: str) -> dict[str, Any] | None:
    if not line.strip(" \t\r\n"):
        return None
    said = json.loads(line, object_pairs_hook=_once_each, parse_constant=_no_number)
    if not isinstance(said, dict):
        raise ValueError("not a JSON object")
    if line.count("[") + line.count("{") > MAX_LEVELS and _levels(said) > MAX_LEVELS:
        raise ValueError(f"more than {MAX_LEVELS} levels")
    if "\\u" in line and _HALF.search(json.dumps(said, ensure_ascii=False)):
        raise ValueError("half of a surrogate pair")
    return said


def _levels(value: Any) -> int:
    level, values = 0, [value]
    while values := [value for value in values if isinstance(value, list | dict)]:
        level += 1
        values = [item for value in values for item in (value.values() if isinstance(value, dict) else value)]
    return level


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in an object")
    return found


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


_HALF = re.compile("[\ud800-\udfff]")
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
    return next((reason for words, reason in _CSV_REASONS.items() if words in str(error)), str(error))


def _garbled(raw: str, file: File) -> str | None:
    if "\0" in raw:
        return "nul: the record has a NUL character"
    if not raw.isascii() and _HALF.search(raw):
        return f"encoding: the record is not {file.encoding}"
    return None


def records(file: File, lines: Lines) -> Iterator[tuple[int, Any, str, str | None, int]]:
    """Each record after the header: its line, its cells in the places of `file`, its text, its problem, bytes read."""
    is_csv, width = file.kind == "csv", len(file.names)
    name, order = unpacked(file.path), [place for _, place in sorted(zip(file.names, range(width), strict=True))]
    paths = [(path, path.split(".")) for path in file.names]
    found = parsed(lines)
    if is_csv:
        next(found, None)
    for line, said, raw, problem in found:
        cells = said
        if problem is None and is_csv and len(cells) != width:
            problem = f"wrong_number_of_cells: {len(cells)} instead of {width}"
        if problem is None:
            if not is_csv:
                cells = [_found(said, path, steps) for path, steps in paths]
            if file.tells_row:
                # No cell has a NUL, so cells that differ make texts that differ. Sorted by name: columns may move.
                whole = "\0".join([cells[i] for i in order]) if is_csv else json.dumps(said, sort_keys=True)
                cells = [*cells, name, str(line), blake2b(whole.encode(), digest_size=12).hexdigest()]
        yield line, cells, raw, problem, lines.consumed


def _found(record: dict[str, Any], path: str, steps: Sequence[str]) -> Any:
    """What is at a path: the key of that name, or step by step; None if there is nothing."""
    if path in record or len(steps) == 1:
        return record.get(path)
    found: Any = record
    for step in steps:
        if isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        elif isinstance(found, dict):
            found = found.get(step)
        else:
            return None
    return found


def unreadable(error: OSError) -> Invalid:
    """What is said of a file that cannot be opened."""
    return Invalid(f"{error.filename} cannot be read: {error.strerror}.", code="no_such_file")
