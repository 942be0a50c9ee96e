"""Import files: send the events of their rows in batches, as `POST /v1/events` does."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from app.books.books import Books
from app.ingest.accept import accept_events
from app.ingest.files.import_report import ImportReport
from app.ingest.files.mapping import EventTemplate, ImportMapping
from app.ingest.files.row_reader import read_rows, total_size
from app.ingest.files.source_row import SourceRow
from app.ingest.outcome import BatchOutcome
from app.ingest.preview import PreviewState, preview_events

_BATCH = 2_000
# Sorts after every date. Events without a recorded_on are recorded today.
_TODAY = "today"
_LATE = "recorded_before_last"


@dataclass(slots=True)
class ImportSummary:
    """The counts of an import. rows: read; skipped: left out on purpose; problems: not understood; the others: events."""

    rows: int = 0
    skipped: int = 0
    problems: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0


class ImportOptions(NamedTuple):
    """How an import deals with what cannot come in.

    dry_run: count what would come in, and send nothing. skip_invalid: where rows have a `recorded_on`, send the others
    although some are invalid. record_late_today: record events today whose `recorded_on` is too early for their account.
    """

    dry_run: bool = False
    skip_invalid: bool = False
    record_late_today: bool = False


class ImportProgress(NamedTuple):
    """How far an import is. phase: `Import`, or `Read`, `Check` and `Send` one after the other.

    done, total: bytes of the files while they are read, events when they are checked or sent.
    """

    phase: str
    done: int
    total: int
    summary: ImportSummary


class ImportResult(NamedTuple):
    """The counts of an import, and the reason why nothing was sent, if nothing was: the counts are then what would happen."""

    summary: ImportSummary
    obstacle: str = ""


class PendingEvent(NamedTuple):
    """An event that has not been sent, with the row and the part of the mapping that made it."""

    event: dict[str, Any]
    row: SourceRow
    template: EventTemplate

    @property
    def sort_key(self) -> str:
        return self.event.get("recorded_on") or _TODAY


# Returns what becomes of a batch of events.
Send = Callable[[Sequence[dict[str, Any]]], Awaitable[BatchOutcome]]


@dataclass(frozen=True, slots=True)
class ImportRun:
    """A run: where its rows come from, its counts so far, its report, and the function that shows its progress."""

    rows: Iterator[SourceRow]
    size: int
    report: ImportReport
    show: Callable[[ImportProgress], None]
    summary: ImportSummary = field(default_factory=ImportSummary)

    def read(self) -> Iterator[tuple[SourceRow, list[PendingEvent]]]:
        """Yield each row with its events; count it, and report it where it has none."""
        for row in self.rows:
            self.summary.rows += row.count
            self.summary.skipped += row.count if row.reason is not None else 0
            self.summary.problems += row.count if row.problems else 0
            self.report.add_row(row)
            pairs = zip(row.events, row.templates, strict=True)
            yield row, [PendingEvent(event, row, template) for event, template in pairs]

    def report_outcome(self, batch: Sequence[PendingEvent], outcome: BatchOutcome) -> None:
        """Count the events of a batch, and report those that were rejected and the duplicates with a note."""
        self.summary.accepted += outcome.accepted
        self.summary.duplicates += outcome.duplicates
        self.summary.rejected += len(outcome.rejected)
        for rejection in outcome.rejected:
            pending = batch[rejection["index"]]
            self.report.add_rejection(pending.row, rejection, template=pending.template, event=pending.event)
        for position, note in outcome.notes.items():
            self.report.add_note(batch[position].row, note, event=batch[position].event)


async def run_import(
    books: Books,
    files: Sequence[Path],
    *,
    mapping: ImportMapping,
    report: ImportReport,
    progress: Callable[[ImportProgress], None],
    options: ImportOptions = ImportOptions(),
) -> ImportResult:
    """Import files and return the counts. `progress` is called again and again.

    Everything that is not imported is written to the report. An interrupted import is run again from the start: the events
    that were accepted the first time are then duplicates. Raises Invalid for files or a mapping that cannot be used.
    """
    run = ImportRun(read_rows(files, mapping=mapping), total_size(files), report, progress)
    accept: Send = partial(accept_events, books, may_backdate=True)
    if any(event.recorded_on is not None for source in mapping.source for event in source.event):
        return await _check_and_send(run, books, accept, options)
    send, phase = (_previewer(books), "Check") if options.dry_run else (accept, "Send")
    if any(source.group_by for source in mapping.source):
        # Groups are complete only when all files have been read.
        await _send_all(run, _read_all(run), send, phase=phase)
    else:
        await _stream(run, send)
    return ImportResult(run.summary)


def _previewer(books: Books) -> Send:
    return partial(preview_events, books, state=PreviewState())


async def _stream(run: ImportRun, send: Send) -> None:
    """Send the events of the rows while they are read."""
    pending: list[PendingEvent] = []
    consumed = 0

    async def send_pending() -> None:
        run.report_outcome(pending, await send([item.event for item in pending]))
        pending.clear()
        run.show(ImportProgress("Import", consumed, run.size, run.summary))

    for row, events in run.read():
        consumed = row.consumed
        pending += events
        if len(pending) >= _BATCH:
            await send_pending()
    consumed = run.size
    await send_pending()


def _read_all(run: ImportRun) -> list[PendingEvent]:
    """Return the events of all rows."""
    pending: list[PendingEvent] = []
    for number, (row, events) in enumerate(run.read(), 1):
        pending += events
        if number % _BATCH == 0:
            run.show(ImportProgress("Read", row.consumed, run.size, run.summary))
    return pending


async def _send_all(run: ImportRun, pending: Sequence[PendingEvent], send: Send, *, phase: str) -> None:
    for start in range(0, len(pending), _BATCH):
        batch = pending[start : start + _BATCH]
        run.report_outcome(batch, await send([item.event for item in batch]))
        run.show(ImportProgress(phase, start + len(batch), len(pending), run.summary))


async def _check_and_send(run: ImportRun, books: Books, accept: Send, options: ImportOptions) -> ImportResult:
    """Send the events in the order of `recorded_on`, if all of them will come in.

    The last recorded day of an account never goes back. So what became known earlier is sent first, over all files; and what
    is left out now could not be sent later on its day. Therefore all events are checked before the first one is sent.
    """
    pending = sorted(_read_all(run), key=lambda item: item.sort_key)
    checked_batches = await _check(run, books, pending)
    late = {id(item.event) for batch, outcome in checked_batches for item in _late_events(batch, outcome)}
    if late and options.record_late_today:
        on_time = [item for item in pending if id(item.event) not in late]
        pending = on_time + [_without_recorded_on(item) for item in pending if id(item.event) in late]
        checked_batches = await _check(run, books, pending)
        late = set()
    rejected = sum(len(outcome.rejected) for _, outcome in checked_batches)
    obstacle = _find_obstacle(run.summary.problems, rejected, len(late), options)
    if not options.dry_run and not obstacle:
        await _send_all(run, pending, accept, phase="Send")
        return ImportResult(run.summary)
    for batch, outcome in checked_batches:
        run.report_outcome(batch, outcome)
    return ImportResult(run.summary, obstacle)


async def _check(
    run: ImportRun, books: Books, pending: Sequence[PendingEvent]
) -> list[tuple[Sequence[PendingEvent], BatchOutcome]]:
    """Return the events in batches, with what would become of each."""
    preview = _previewer(books)
    checked_batches: list[tuple[Sequence[PendingEvent], BatchOutcome]] = []
    for start in range(0, len(pending), _BATCH):
        batch = pending[start : start + _BATCH]
        checked_batches.append((batch, await preview([item.event for item in batch])))
        run.show(ImportProgress("Check", start + len(batch), len(pending), run.summary))
    return checked_batches


def _late_events(batch: Sequence[PendingEvent], outcome: BatchOutcome) -> Iterator[PendingEvent]:
    return (batch[rejection["index"]] for rejection in outcome.rejected if rejection["code"] == _LATE)


def _without_recorded_on(item: PendingEvent) -> PendingEvent:
    return item._replace(event={key: value for key, value in item.event.items() if key != "recorded_on"})


def _find_obstacle(problems: int, rejected: int, late: int, options: ImportOptions) -> str:
    """Return why no event is sent, and what to do; empty if they are."""
    if not problems + rejected or options.skip_invalid:
        return ""
    counts = ((problems, "row has problems", "rows have problems"), (rejected, "event is", "events are"))
    parts = [f"{count:,} {singular if count == 1 else plural}" for count, singular, plural in counts if count]
    invalid = " and ".join(parts) + (" rejected" if rejected else "")
    sentences = [
        f"Nothing {'would be' if options.dry_run else 'was'} sent, because {invalid}. The counts say what would come in with "
        "--skip-invalid."
    ]
    if late < problems + rejected:
        sentences.append(
            "What is left out could not be recorded on its day later, once something newer is recorded for its account. So "
            "correct the file or the mapping and run the command again, or leave out what is invalid with --skip-invalid."
        )
    if late:
        events = "1 event has" if late == 1 else f"{late:,} events have"
        sentences.append(
            f"{events} a recorded_on before the last day that is recorded for the account. --record-late-today records such "
            "events today: today's numbers are complete then, and questions with as_of count them from today on. To record all "
            "on their days, start over: `csmetrics reset --yes` deletes everything, then import again."
        )
    return " ".join(sentences)
