"""The commands for the whole ledger: `csmetrics rebuild` and `csmetrics verify`."""

import os
from typing import Annotated

import typer

from app.books.books import Books
from app.cli.console import err, out, progress_bar
from app.cli.open import with_books
from app.cli.workers import worker_pool
from app.ledger import rebuild as rebuilding
from app.ledger import verify as verifying

cli = typer.Typer()

Processes = Annotated[
    int, typer.Option(min=1, help="Number of processes that share the work.", show_default="one for each core")
]


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
