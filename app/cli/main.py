"""The command line: `csmetrics --help`."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from app.access import keys as access_keys
from app.access.routes import NewKey
from app.books.books import Books
from app.books.open import open_books
from app.cli import publish
from app.cli.workers import worker_pool
from app.core.errors import Conflict, Problem, validation_faults
from app.core.settings import Settings
from app.demo.load import load_demo
from app.embedded.cluster import EmbeddedError
from app.ingest.files.import_report import ImportReport
from app.ingest.files.mapping_file import load_mapping
from app.ingest.files.row_reader import read_rows, total_size
from app.ingest.files.run_import import ImportSummary, run_import
from app.ledger import rebuild as rebuilding
from app.ledger import verify as proof
from app.main import load_catalogues
from app.server import serve

cli = typer.Typer(
    help="Customer Success Metrics: events and survey answers in, proven numbers out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
keys = typer.Typer(help="API keys.", no_args_is_help=True)
cli.add_typer(keys, name="keys")
# What a command has to say goes to standard output, how far it is to standard error.
out, err = Console(soft_wrap=True, highlight=False), Console(stderr=True, highlight=False)

Processes = Annotated[int, typer.Option(min=1, help="How many share the accounts; by default one for each core.")]


def main() -> None:
    """Run a command; an expected error is one line, not a traceback."""
    load_catalogues()
    try:
        cli()
    except (Problem, EmbeddedError) as error:
        err.print(str(error), style="red", markup=False)
    except ValidationError as error:
        for fault in validation_faults(error.errors(include_url=False, include_input=False)):
            err.print(f"{fault['pointer'].strip('/').upper()}: {fault['detail']}", style="red", markup=False)
    else:
        return
    raise SystemExit(1)


def _with_books(work: Callable[[Books], Awaitable[Any]], *, adopt: bool = False, **settings: Any) -> Any:
    async def run() -> Any:
        async with open_books(Settings(**settings), adopt=adopt) as books:
            return await work(books)

    return asyncio.run(run())


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
    )


@cli.command("serve")
def serve_command() -> None:
    """Serve the API. Settings come from the environment or .env; with none, it is a working service."""
    serve.run(Settings())


@cli.command()
def migrate() -> None:
    """Bring the database up to date."""

    async def done(_: Books) -> None:
        out.print("The database is up to date.")

    _with_books(done, migrate_on_start=True)


@cli.command()
def demo() -> None:
    """Load a made-up SaaS company of 24 months, and print a key and three requests to try."""

    async def load(books: Books) -> None:
        with _progress() as bar:
            task = bar.add_task("Demo company", total=None, said="")

            def show(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total, said=f"{done:,} of {total:,} events")

            try:
                new = await load_demo(books, progress=show)
                err.print(f"{new:,} events are new.")
            except Conflict as conflict:
                err.print(str(conflict), markup=False)
        key = await access_keys.replace_key(books, name="demo", scopes=["admin"])
        _say_what_to_try(key, today=books.today())

    _with_books(load)


def _say_what_to_try(key: str, *, today: date) -> None:
    settings = Settings()
    url = settings.public_url or f"http://{settings.host}:{settings.port}"
    event = (
        f'{{"id": "try-{today}", "type": "survey.responded", "account_id": "demo-0001", '
        f'"occurred_at": "{today}T00:00:00Z", "data": {{"survey": "nps", "score": 9, "comment": "Fast help."}}}}'
    )
    out.print(f"Key (scope admin, until the next `csmetrics demo`): {key}\n", markup=False)
    for line in (
        f"curl -s -H 'Authorization: Bearer {key}' '{url}/v1/metrics/nps?period=last_4_quarters&granularity=quarter'",
        f"curl -s -H 'Authorization: Bearer {key}' '{url}/v1/query?metrics=csat,sessions&group_by=plan&format=csv'",
        f"curl -s -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' '{url}/v1/events' -d '{event}'",
    ):
        out.print(line, markup=False)


@cli.command("import")
def import_command(
    files: Annotated[list[Path], typer.Argument(help="CSV or NDJSON, also .gz.", exists=True, dir_okay=False)],
    mapping: Annotated[Path, typer.Option(help="Which columns make which events (TOML).", exists=True, dir_okay=False)],
    report: Annotated[Path, typer.Option(help="Where rows go that do not come in (.csv or .ndjson).")] = Path(
        "import-report.csv"
    ),
) -> None:
    """Import history from files. It can be interrupted and run again: nothing is counted twice.

    Exit code 1 when something did not come in that should have; rows that the mapping skips are no fault.
    """
    rules = load_mapping(mapping)
    total = total_size(files)
    # What is wrong with the files as a whole is said before an earlier report is overwritten.
    read_rows(files, mapping=rules)

    async def run(books: Books) -> int:
        with ImportReport(report) as noted, _progress() as bar:
            task = bar.add_task("Import", total=total, said="")

            def show(summary: ImportSummary, consumed: int) -> None:
                elapsed = bar.tasks[task].elapsed or 1
                said = f"{summary.rows:,} rows, {summary.rows / elapsed:,.0f}/s"
                bar.update(task, completed=consumed, said=said)

            summary = await run_import(books, files, mapping=rules, report=noted, progress=show)
            bar.update(task, completed=total)
        table = Table(*asdict(summary))
        table.add_row(*(f"{number:,}" for number in asdict(summary).values()))
        out.print(table)
        for code, count in sorted(noted.counts.items()):
            out.print(f"{count:,} {code}", markup=False)
        if noted.counts:
            out.print(f"See {report}.", markup=False)
        return summary.problems + summary.rejected

    if _with_books(run):
        raise typer.Exit(1)


@cli.command()
def rebuild(
    adopt_settings: Annotated[
        bool, typer.Option(help="Take over the time zone and fiscal year of the settings, for all of history.")
    ] = False,
    processes: Processes = os.cpu_count() or 1,
) -> None:
    """Post every kept event again: entries, totals and attributes from nothing but the events."""

    async def run(books: Books) -> None:
        accounts = events = 0
        with _progress() as bar:
            task = bar.add_task("Rebuild", total=None, said="")
            async for step in rebuilding.rebuild(books, share=worker_pool(processes)):
                accounts, events = accounts + step.accounts, events + step.events
                bar.update(task, said=f"{accounts:,} accounts, {events:,} events")
        out.print(f"Rebuilt from {events:,} events of {accounts:,} accounts.")

    _with_books(run, adopt=adopt_settings)


@cli.command()
def verify(processes: Processes = os.cpu_count() or 1) -> None:
    """Compare the ledger with the kept events; exit code 1 when they differ."""

    async def run(books: Books) -> int:
        accounts = events = found = 0
        with _progress() as bar:
            task = bar.add_task("Verify", total=None, said="")
            async for step in proof.verify(books, share=worker_pool(processes)):
                if isinstance(step, proof.Difference):
                    found += 1
                    out.print(f"{step.account}: {step.what}: kept {step.kept}, computed {step.computed}", markup=False)
                else:
                    accounts, events = accounts + step.accounts, events + step.events
                    bar.update(task, said=f"{accounts:,} accounts, {events:,} events")
        out.print(f"{found:,} differences in {events:,} events of {accounts:,} accounts.")
        return found

    if _with_books(run):
        raise typer.Exit(1)


@cli.command("publish")
def publish_command() -> None:
    """Write the OpenAPI document and the reference page anew from the catalogues."""
    for path, content in publish.documents().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        out.print(f"{path}", markup=False)


@keys.command("create")
def create_key(
    name: str,
    scope: Annotated[list[str], typer.Option(help="ingest, read or admin; repeatable.")],
) -> None:
    """Make a key. It is printed once."""
    new = NewKey.model_validate({"name": name, "scopes": scope})

    async def run(books: Books) -> None:
        made = await access_keys.make_key(books, name=new.name, scopes=new.scopes)
        out.print(made["key"], markup=False)

    _with_books(run)


@keys.command("list")
def list_keys() -> None:
    """The keys, without what they are."""

    async def run(books: Books) -> None:
        table = Table("id", "name", "scopes", "created", "last used", "revoked")
        for key in await access_keys.list_keys(books):
            dates = (key["created_at"], key["last_used_on"], key["revoked_at"])
            table.add_row(key["id"], key["name"], ", ".join(key["scopes"]), *(str(day or "")[:10] for day in dates))
        out.print(table)

    _with_books(run)


@keys.command("revoke")
def revoke_key(id: str) -> None:
    """End a key, at once in every process."""

    async def run(books: Books) -> None:
        await access_keys.revoke_key(books, id=id)
        out.print("Revoked.")

    _with_books(run)
