"""The command line: `csmetrics --help`."""

import os
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from app import __version__
from app.access.keys import replace_key
from app.books.books import Books
from app.cli import publish
from app.cli.clock import cli as clock_cli
from app.cli.console import err, out, progress_bar, with_books
from app.cli.import_files import import_command
from app.cli.keys import cli as keys_cli
from app.cli.questions import check, query
from app.cli.reset import reset
from app.cli.workers import worker_pool
from app.core.errors import Conflict, ServiceError, validation_faults
from app.core.settings import Settings
from app.demo.load import load_demo
from app.ledger import rebuild as rebuilding
from app.ledger import verify as verifying
from app.main import load_catalogues
from app.server import serve

cli = typer.Typer(
    help="Turns product, billing, survey and support events into customer-success metrics, over HTTP.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
cli.add_typer(keys_cli, name="keys")
cli.add_typer(clock_cli, name="clock")

Processes = Annotated[
    int, typer.Option(min=1, help="Number of processes that share the work.", show_default="one for each core")
]


def main() -> None:
    """Run a command. An expected error is printed as one line, without a traceback, and the exit code is 1."""
    load_catalogues()
    try:
        cli()
    except ServiceError as error:
        faults = getattr(error, "errors", ())
        for sentence in [_sentence(fault) for fault in faults] or [str(error)]:
            err.print(sentence, style="red", markup=False)
    except ValidationError as error:
        for fault in validation_faults(error.errors(include_url=False, include_input=False)):
            pointer = fault["pointer"].upper() if error.title == Settings.__name__ else fault["pointer"]
            err.print(_sentence({**fault, "pointer": pointer}), style="red", markup=False)
    else:
        return
    raise SystemExit(1)


def _sentence(fault: Mapping[str, Any]) -> str:
    """Return what is wrong with an option, a setting or a field, which comes first."""
    name = fault["pointer"].removeprefix("/query").strip("/")
    return f"{name}: {fault['detail']}" if name else fault["detail"]


def _print_version(is_requested: bool) -> None:
    if is_requested:
        out.print(__version__)
        raise typer.Exit


@cli.callback()
def common_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@cli.command("serve")
def serve_command() -> None:
    """Serve the API over HTTP.

    Settings come from environment variables or a file named .env. Without DATABASE_URL, the service runs its own PostgreSQL.
    """
    serve.run(Settings())


@cli.command()
def migrate() -> None:
    """Migrate the database schema to this version. `serve` does the same, unless MIGRATE_ON_START is false."""

    async def confirm(_: Books) -> None:
        out.print("The database is up to date.")

    with_books(confirm, create=True, migrate_on_start=True)


@cli.command()
def demo() -> None:
    """Load demo data, a made-up company with 24 months of history, and print an API key and three requests to try.

    The database must be empty, or contain demo data that was loaded this month. Events since the last run are then added.

    The key has scope admin and replaces the key of the last run.
    """

    async def load(books: Books) -> None:
        with progress_bar() as bar:
            task = bar.add_task("Demo company", total=None, status="")

            def show(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total, status=f"{done:,} of {total:,} events")

            try:
                count = await load_demo(books, progress=show)
                err.print(f"{count:,} events are new.")
            except Conflict as conflict:
                err.print(str(conflict), markup=False)
        key = await replace_key(books, name="demo", scopes=["admin"])
        _print_examples(key, today=books.today())

    with_books(load, create=True)


def _print_examples(key: str, *, today: date) -> None:
    """Print the key and three requests with it."""
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


cli.command("import")(import_command)


@cli.command()
def rebuild(
    adopt_settings: Annotated[
        bool,
        typer.Option(
            help="Apply the time zone, the fiscal year and the first day of the week of the settings to the whole history. "
            "The base currency can only be changed while no money has been recorded."
        ),
    ] = False,
    processes: Processes = os.cpu_count() or 1,
) -> None:
    """Recompute the ledger from stored events.

    The command can be interrupted and run again. The service may keep running, except with --adopt-settings.
    """

    async def run(books: Books) -> None:
        accounts = events = 0
        with progress_bar() as bar:
            task = bar.add_task("Rebuild", total=None, status="")
            async for step in rebuilding.rebuild(books, executor=worker_pool(processes)):
                accounts, events = accounts + step.accounts, events + step.events
                bar.update(task, status=f"{accounts:,} accounts, {events:,} events")
        out.print(f"Rebuilt from {events:,} events of {accounts:,} accounts.")

    with_books(run, adopt=adopt_settings)


@cli.command()
def verify(processes: Processes = os.cpu_count() or 1) -> None:
    """Check that the ledger matches the stored events. Exits with 1 if it does not."""

    async def run(books: Books) -> int:
        accounts = events = differences = 0
        with progress_bar() as bar:
            task = bar.add_task("Verify", total=None, status="")
            async for step in verifying.verify(books, executor=worker_pool(processes)):
                if isinstance(step, verifying.Difference):
                    differences += 1
                    out.print(
                        f"{step.account}: {step.item}: stored {step.stored}, computed {step.computed}", markup=False
                    )
                else:
                    accounts, events = accounts + step.accounts, events + step.events
                    bar.update(task, status=f"{accounts:,} accounts, {events:,} events")
        out.print(f"{differences:,} differences in {events:,} events of {accounts:,} accounts.")
        if not events:
            err.print("There are no events in this database.", style="yellow")
        return differences

    if with_books(run):
        raise typer.Exit(1)


cli.command("query")(query)
cli.command("check")(check)
cli.command("reset")(reset)


@cli.command("publish")
def publish_command() -> None:
    """Write openapi/openapi.json and docs/reference, which are generated from the code. For developers of the service."""
    for path, content in publish.documents().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        out.print(f"{path}", markup=False)
