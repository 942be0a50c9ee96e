"""The report of an import: the rows and events that were not imported."""

import csv
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from app.core.errors import Invalid
from app.http.csv_table import csv_cell
from app.ingest.files.line_reader import MAX_RAW_CHARACTERS
from app.ingest.files.mapping import EventTemplate
from app.ingest.files.rejections import explain_rejection
from app.ingest.files.source_row import SourceRow
from app.ingest.outcome import DuplicateNote

# The column at the beginning of a detail.
_COLUMN = re.compile(r"columns? (.+?)(?: \(.*\))?(?:: | is )")


class ImportReport:
    """Write the report as CSV, or as NDJSON if the file's name ends so: one line for each fault of a row or event.

    A run replaces the report of an earlier run, because it meets the same rows again. Every line is written at once, so that
    the report is complete when the run is interrupted. counts: the number of lines by code and column. first_lines: the first
    one of each, for the terminal.
    """

    HEADER = ("file", "line", "event_id", "code", "detail", "raw")

    def __init__(self, path: Path) -> None:
        """Raise Invalid (`not_a_report`) when the path cannot be written, or has a file that is no report."""
        self.counts: Counter[tuple[str, str]] = Counter()
        self.first_lines: dict[tuple[str, str], str] = {}
        self._is_csv = path.suffix.lower() not in (".ndjson", ".jsonl")
        try:
            if path.exists() and not _is_report(path):
                detail = f"{path} exists and is not an import report. Choose another file for the report."
                raise Invalid(detail, code="not_a_report")
            self._file = path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        except OSError as error:
            raise Invalid(f"{path} cannot be written: {error.strerror}.", code="not_a_report") from error
        self._csv_writer = csv.writer(self._file, lineterminator="\n")
        if self._is_csv:
            self._csv_writer.writerow(self.HEADER)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add_row(self, row: SourceRow) -> None:
        """Write all problems of a row that made no events, or (`skipped`) the reason why it was left out."""
        for problem in row.problems if row.reason is None else [f"skipped: {row.reason}"]:
            code, _, detail = problem.partition(": ")
            self._write(row, event_id="", code=code, detail=detail)

    def add_rejection(
        self, row: SourceRow, rejection: Mapping[str, Any], *, event: Mapping[str, Any], template: EventTemplate
    ) -> None:
        """Write why an event of a row was rejected. rejection: an item of `rejected` in the API's answer."""
        for code, detail in explain_rejection(rejection, event=event, template=template):
            self._write(row, event_id=event["id"], code=code, detail=detail)

    def add_note(self, row: SourceRow, note: DuplicateNote, *, event: Mapping[str, Any]) -> None:
        """Write what is to be known about a duplicate."""
        self._write(row, event_id=event["id"], code=note.code, detail=note.detail)

    def describe(self) -> list[str]:
        """Return a line for each code and column: how many lines the report has of it, and the first one."""
        return [f"{count:,} {key[0]}, at first {self.first_lines[key]}" for key, count in sorted(self.counts.items())]

    def _write(self, row: SourceRow, *, event_id: str, code: str, detail: str) -> None:
        column = _COLUMN.match(detail)
        key = code, column[1] if column else ""
        self.counts[key] += 1
        self.first_lines.setdefault(
            key, f"{row.file}, line {row.line}: {detail}" if row.line else f"{row.file}: {detail}"
        )
        raw = row.raw.rstrip("\r\n")
        raw = raw if len(raw) <= MAX_RAW_CHARACTERS else raw[:MAX_RAW_CHARACTERS] + "…"
        line = (row.file, row.line, event_id, code, detail, raw)
        if self._is_csv:
            # Reports are opened in spreadsheets, which cannot hold a NUL.
            self._csv_writer.writerow([csv_cell(str(cell).replace("\0", "\\x00")) for cell in line])
        else:
            self._file.write(json.dumps(dict(zip(self.HEADER, line, strict=True))) + "\n")
        self._file.flush()


def _is_report(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(100)
    return not start or start.startswith((",".join(ImportReport.HEADER).encode(), b'{"file": '))
