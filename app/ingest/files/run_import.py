"""Import files: send the events of their rows in batches, as `POST /v1/events` does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.books.books import Books
from app.ingest.accept import accept_events
from app.ingest.files.import_report import ImportReport
from app.ingest.files.mapping import ImportMapping
from app.ingest.files.row_reader import SourceRow, read_rows

_BATCH = 2_000
# Sorts after every date. Events without a recorded_on are recorded today.
_TODAY = "today"


@dataclass(slots=True)
class ImportSummary:
    """The counts of an import. rows: read; skipped: left out on purpose; problems: not understood; the others: events."""

    rows: int = 0
    skipped: int = 0
    problems: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0


async def run_import(
    books: Books,
    files: Sequence[Path],
    *,
    mapping: ImportMapping,
    report: ImportReport,
    progress: Callable[[ImportSummary, int], None],
) -> ImportSummary:
    """Import files and return the counts. `progress` is called with the counts so far and the bytes read.

    Everything that is not imported is written to the report. An interrupted import is run again from the start: the events
    that were accepted the first time are then duplicates. Raises Invalid for files or a mapping that cannot be used.
    """
    summary = ImportSummary()
    # What became known earlier must be sent first, over all files: the last recorded day of an account never goes back. So
    # all events are held in memory and sorted before the first one is sent.
    is_sorted = any(event.recorded_on is not None for source in mapping.source for event in source.event)
    pending: list[tuple[SourceRow, dict[str, Any]]] = []
    for row in read_rows(files, mapping=mapping):
        summary.rows += 1
        summary.skipped += row.skipped
        summary.problems += row.problem is not None
        if not row.events:
            report.add_row(row)
        pending += [(row, event) for event in row.events]
        if not is_sorted and len(pending) >= _BATCH:
            await _send(books, pending, report, summary)
            pending = []
            progress(summary, row.consumed)
    if is_sorted:
        pending.sort(key=lambda pair: pair[1].get("recorded_on") or _TODAY)
    for start in range(0, len(pending), _BATCH):
        await _send(books, pending[start : start + _BATCH], report, summary)
        progress(summary, row.consumed)
    return summary


async def _send(
    books: Books, batch: list[tuple[SourceRow, dict[str, Any]]], report: ImportReport, summary: ImportSummary
) -> None:
    outcome = await accept_events(books, [event for _, event in batch], may_backdate=True)
    summary.accepted += outcome.accepted
    summary.duplicates += outcome.duplicates
    summary.rejected += len(outcome.rejected)
    for rejection in outcome.rejected:
        row, _ = batch[rejection["index"]]
        report.add_rejection(row, rejection=rejection)
