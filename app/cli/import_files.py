"""The command `csmetrics import`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from app.books.books import Books
from app.cli.console import err, out, progress_bar
from app.cli.open import with_books
from app.ingest.files.import_report import ImportReport
from app.ingest.files.mapping_file import load_mapping
from app.ingest.files.name_check import check_names
from app.ingest.files.row_reader import read_rows
from app.ingest.files.run_import import ImportOptions, ImportProgress, ImportResult, ImportSummary, run_import

cli = typer.Typer()

Files = Annotated[
    list[Path],
    typer.Argument(
        help="CSV or NDJSON files, which may be compressed (.gz), and spreadsheets (.xlsx, .xls, .ods).",
        exists=True,
        dir_okay=False,
    ),
]
MappingFile = Annotated[
    Path,
    typer.Option(help="TOML file that says which rows and columns make which events.", exists=True, dir_okay=False),
]
ReportFile = Annotated[
    Path,
    typer.Option(
        help="File for the list of rows and events that are not imported: .csv or .ndjson. An earlier report is overwritten."
    ),
]
Create = Annotated[bool, typer.Option("--create", help="Set up the database if it is empty.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check everything and count what would come in, and send nothing.")
]
SkipInvalid = Annotated[
    bool,
    typer.Option(
        "--skip-invalid",
        help="With recorded_on in the mapping: send the valid events although others are invalid. Without this option nothing "
        "is sent then, since what is left out could not be recorded on its day later.",
    ),
]
RecordLateToday = Annotated[
    bool,
    typer.Option(
        "--record-late-today",
        help="With recorded_on in the mapping: record events today whose recorded_on is before the last day recorded for "
        "their account.",
    ),
]


@cli.command("import")
def import_command(
    files: Files,
    mapping: MappingFile,
    report: ReportFile = Path("import-report.csv"),
    create: Create = False,
    dry_run: DryRun = False,
    skip_invalid: SkipInvalid = False,
    record_late_today: RecordLateToday = False,
) -> None:
    """Import events from files. An import can be interrupted and run again: nothing is counted twice.

    Exits with 1 if a row or an event could not be imported. Rows that the mapping skips do not count as errors.
    """
    rules = load_mapping(mapping)
    # Everything is checked before an earlier report is overwritten, the files before the books are opened.
    read_rows(files, mapping=rules)
    options = ImportOptions(dry_run, skip_invalid, record_late_today)

    async def run(books: Books) -> ImportResult:
        await check_names(books, rules)
        with ImportReport(report) as problems, progress_bar() as bar:
            show = _ProgressLine(bar).show
            result = await run_import(books, files, mapping=rules, report=problems, progress=show, options=options)
        out.print(_summary_table(result.summary))
        for line in describe_result(problems, path=report, options=options):
            out.print(line, markup=False)
        return result

    result: ImportResult = with_books(run, create=create)
    if result.obstacle:
        err.print(result.obstacle, style="red", markup=False)
    if result.summary.problems + result.summary.rejected:
        raise typer.Exit(1)


class _ProgressLine:
    """The line on the terminal that shows how far an import is; each phase begins anew, with its own time left."""

    def __init__(self, bar: Progress) -> None:
        self._bar, self._phase = bar, ""
        self._task = bar.add_task("Import", total=None, status="")

    def show(self, progress: ImportProgress) -> None:
        if progress.phase != self._phase:
            self._phase = progress.phase
            self._bar.reset(self._task, total=progress.total, description=progress.phase)
        self._bar.update(self._task, completed=progress.done, status=_describe(progress))


def _describe(progress: ImportProgress) -> str:
    summary = progress.summary
    if progress.phase == "Read":
        return f"{summary.rows:,} rows"
    if progress.phase == "Check":
        return f"{progress.done:,} events"
    counts = {"accepted": summary.accepted, "duplicates": summary.duplicates, "rejected": summary.rejected}
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count or name == "accepted")


def _summary_table(summary: ImportSummary) -> Table:
    table = Table(*asdict(summary))
    table.add_row(*(f"{number:,}" for number in asdict(summary).values()))
    return table


def describe_result(report: ImportReport, *, path: Path, options: ImportOptions) -> list[str]:
    """Return the lines after the counts. path: of the report."""
    lines = report.describe()
    if lines:
        lines.append(f"See {path}.")
    if options.dry_run:
        lines.append("Dry run: nothing was sent. The counts are those of an import at this moment.")
    return lines
