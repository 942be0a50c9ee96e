"""An import: rows of files become events, in batches through the same door as everything else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.books.books import Books
from app.ingest.accept import accept_events
from app.ingest.files.imports import Report, Row, rows
from app.ingest.files.mapping import Mapping

_BATCH = 2_000
# Later than any day that is spelled out.
_TODAY = "today"


@dataclass(slots=True)
class Summary:
    """What became of an import: rows read, left out on purpose and not understood; events new, known and refused."""

    rows: int = 0
    skipped: int = 0
    problems: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0


async def run(
    books: Books,
    files: Sequence[Path],
    *,
    mapping: Mapping,
    report: Report,
    progress: Callable[[Summary, int], None],
) -> Summary:
    """Import files; `progress` gets the summary so far and the bytes read.

    Whatever does not come in is in the report. An import that was interrupted is run again from the start: what came in
    the first time are duplicates then. With a column that says when things were known, all events are held in memory to be
    sent in that order. Raises Invalid for files or a mapping that cannot be used.
    """
    summary = Summary()
    # What became known earlier comes first, over all files: an account's books never run backwards. So history with its
    # own knowledge is read whole before any of it is sent.
    in_order = any(event.recorded_on is not None for source in mapping.source for event in source.event)
    waiting: list[tuple[Row, dict[str, Any]]] = []
    for row in rows(files, mapping=mapping):
        summary.rows += 1
        summary.skipped += row.skipped
        summary.problems += row.problem is not None
        if not row.events:
            report.row(row)
        waiting += [(row, event) for event in row.events]
        if not in_order and len(waiting) >= _BATCH:
            await _send(books, waiting, report, summary)
            waiting = []
            progress(summary, row.consumed)
    if in_order:
        waiting.sort(key=lambda pair: pair[1].get("recorded_on") or _TODAY)
    for start in range(0, len(waiting), _BATCH):
        await _send(books, waiting[start : start + _BATCH], report, summary)
        progress(summary, row.consumed)
    return summary


async def _send(books: Books, batch: list[tuple[Row, dict[str, Any]]], report: Report, summary: Summary) -> None:
    outcome = await accept_events(books, [event for _, event in batch], may_backdate=True)
    summary.accepted += outcome.accepted
    summary.duplicates += outcome.duplicates
    summary.rejected += len(outcome.rejected)
    for rejected in outcome.rejected:
        report.event(batch[rejected["index"]][0], rejected=rejected)
