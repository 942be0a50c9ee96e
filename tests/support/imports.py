"""A folder of data files and mappings, and the rows that an import reads from them."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.ingest.files.import_report import ImportReport
from app.ingest.files.mapping import EventTemplate, ImportMapping
from app.ingest.files.mapping_file import load_mapping, parse_mapping
from app.ingest.files.row_reader import read_rows
from app.ingest.files.run_import import ImportOptions, ImportProgress, ImportResult, run_import
from app.ingest.files.source_row import SourceRow
from tests.support.service import Service

ONE_COLUMN = """
[[source]]
file = "*"
columns.c = {column}
[[source.event]]
type = "note"
id = "{{row_hash}}"
occurred_at = "2024-01-01T00:00:00Z"
data = {{ c = "{{c}}" }}
"""
NOTE = EventTemplate(type="note", id="{c}-{d}", occurred_at="2024-01-01T00:00:00Z")
TWO_COLUMNS = ONE_COLUMN.format(column='"text"').replace('"{c}" }', '"{c}", d = "{d}" }')


class ImportFolder:
    """A folder with data files and a mapping, and the rows that an import reads from them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file and return its path."""
        path = self.path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def load_mapping(self, text: str) -> ImportMapping:
        """Return a mapping. Its events need not be those of the catalogue."""
        return parse_mapping(self.write("mapping.toml", text))

    def read(self, mapping: str, *paths: Path) -> list[SourceRow]:
        """Return all rows of the files. mapping: its text."""
        return [row for row in read_rows(paths, mapping=self.load_mapping(mapping)) if row.count]

    def notes(self, mapping: str, *paths: Path) -> list[str]:
        """Return the remarks on whole files."""
        rows = read_rows(paths, mapping=self.load_mapping(mapping))
        return [problem for row in rows if not row.count for problem in row.problems]

    def read_one(self, mapping: str, content: str | bytes, *, name: str = "data.csv") -> SourceRow:
        """Return the only row of a file with this content."""
        (row,) = self.read(mapping, self.write(name, content))
        return row

    def convert(self, column: str, cell: str) -> Any:
        """Return the value that a cell of the column becomes, `left out`, or the problem of its row."""
        row = self.read_one(ONE_COLUMN.format(column=column), table(["c", "d"], [cell, "x"]))
        return problem_of(row) or row.events[0]["data"].get("c", "left out")


def import_files(
    service: Service,
    folder: Path,
    *names: str,
    mapping: str,
    progress: Callable[[ImportProgress], None] = lambda progress: None,
    options: ImportOptions | None = None,
) -> ImportResult:
    """Import files of a folder into a service, with a report beside them. mapping: its text."""
    (folder / "mapping.toml").write_text(mapping, "utf-8")
    with ImportReport(folder / "report.csv") as report:
        work = run_import(
            service.books,
            [folder / name for name in names],
            mapping=load_mapping(folder / "mapping.toml"),
            report=report,
            progress=progress,
            options=options or ImportOptions(),
        )
        return service.run(work)


def table(*records: list[str], **style: Any) -> str:
    """Return records as CSV."""
    file = io.StringIO()
    csv.writer(file, **style).writerows(records)
    return file.getvalue()


def problem_of(row: SourceRow) -> str:
    """Return the first problem of a row, empty without one."""
    return row.problems[0] if row.problems else ""
