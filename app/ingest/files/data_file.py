"""A data file: how it is written, its columns, and which of them the mapping uses."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from app.core.errors import Invalid
from app.ingest.files.columns import RowName
from app.ingest.files.mapping import FileFormat

ROW_NAMES: tuple[str, ...] = get_args(RowName)
SPREADSHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_KINDS = {".csv": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"} | dict.fromkeys(SPREADSHEETS, "xlsx")


class RowProblem(Exception):
    """The reason why a row makes no events. Its text is `code: reason`."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")


@dataclass
class DataFile:
    """A file and its columns.

    kind: `csv`, `ndjson` or `xlsx`. delimiter, encoding: those that are used, while `format` is what the mapping says.
    columns: of the header, without spaces around them; for NDJSON, which has none, the paths that were requested.
    header: the cells of the header as they are in the file, empty where it has none.
    requested: the columns that the mapping uses. ambiguous: row names among them that the header has, too.
    uses_row_names: whether `file`, `line` or `row_hash` was requested. unseen, keys: of NDJSON, the columns that no record has
    had so far, and the keys of the first records.
    """

    path: Path
    kind: str
    format: FileFormat
    delimiter: str
    encoding: str
    columns: list[str] = field(default_factory=list)
    header: list[str] = field(default_factory=list)
    requested: set[str] = field(default_factory=set)
    ambiguous: set[str] = field(default_factory=set)
    uses_row_names: bool = False
    unseen: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)

    @property
    def has_header(self) -> bool:
        """Return whether the first record names the columns."""
        return self.kind != "ndjson" and not self.format.header

    @property
    def missing_columns(self) -> set[str]:
        """Return the columns that the mapping uses and the file does not have, or has twice."""
        return {name for name in self.requested if self.columns.count(name) != 1}

    def request_name(self, name: str) -> int:
        """Return the index of a cell that a template names: of a column or, for a name of the row, after the columns."""
        if name not in ROW_NAMES:
            return self.request_column(name)
        if self.kind == "ndjson" or name in self.columns:
            self.ambiguous.add(name)
        return self.request_row_name(name)

    def request_row_name(self, name: str) -> int:
        """Return the index of a value of the row itself, which follows its cells."""
        self.uses_row_names = True
        return ROW_NAMES.index(name) - len(ROW_NAMES)

    def request_column(self, name: str) -> int:
        """Return the index of a column's cell in the cells of a record; 0 for a column that is missing."""
        name = name.strip() if self.kind != "ndjson" else name
        self.requested.add(name)
        if self.kind == "ndjson" and name not in self.columns:
            self.columns.append(name)
        return self.columns.index(name) if name in self.columns else 0


def kind_of(name: str, format: FileFormat) -> str | None:
    """Return the kind of a file by what the mapping says, else by the end of its name; None where neither says it."""
    return format.format or _KINDS.get(suffix_of(name))


def suffix_of(name: str) -> str:
    """Return the end of a file's name in lower case, without `.gz`."""
    return Path(name.removesuffix(".gz")).suffix.lower()


def name_without_gz(path: Path) -> str:
    """Return the name of a file without the ending `.gz`."""
    return path.name.removesuffix(".gz")


def unreadable_file(error: OSError) -> Invalid:
    """Return the problem of a file that cannot be opened."""
    return Invalid(f"{error.filename} cannot be read: {error.strerror}.", code="no_such_file")
