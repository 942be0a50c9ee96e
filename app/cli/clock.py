"""The commands about a clock that was wrong: `csmetrics clock --help`."""

import os
from datetime import date
from typing import Annotated

import typer

from app.books.books import Books
from app.books.last_day import move_last_day
from app.cli.console import err, out, progress_bar
from app.cli.open import with_books
from app.cli.workers import worker_pool
from app.ledger.redate import LaterDays, count_later, redate

clock_cli = typer.Typer(
    help="Compare the clock with the books, and repair what a wrong clock has done.", no_args_is_help=True
)
cli = typer.Typer()
cli.add_typer(clock_cli, name="clock")

Yes = Annotated[bool, typer.Option("--yes", help="Do it. Without it, the command only says what would be done.")]


@clock_cli.command("show")
def show() -> None:
    """Show what the clock says, the last day of the books, and what to do if they do not agree. Exits with 1 then."""

    async def run(books: Books) -> bool:
        today = books.clock_day()
        later = await _print_state(books, today)
        last_day = books.last_day.latest
        if later.last is not None or (last_day is not None and last_day > today):
            out.print(
                "\nThe books are ahead of the clock. If the clock is behind, correct it. If it is right, another one was ahead: "
                "until the last day of the books has come, everything is recorded on that day. To record it on today instead, "
                "run `csmetrics clock repair`.",
                markup=False,
            )
            return False
        if books.last_day.is_too_far(today, max_jump_days=books.max_jump_days):
            out.print(
                "\nThe clock is so far ahead of the books that nothing is recorded (MAX_CLOCK_JUMP_DAYS is "
                f"{books.max_jump_days}). If the clock is wrong, correct it; nothing else is to be done. If it is right, because "
                "nothing was recorded for so long, run `csmetrics clock accept`.",
                markup=False,
            )
            return False
        out.print("\nThe clock and the books agree.")
        return True

    if not with_books(run):
        raise typer.Exit(1)


async def _print_state(books: Books, today: date) -> LaterDays:
    later = await books.database.read(lambda connection: count_later(connection, today))
    zone = books.calendar.zone
    rows = {
        f"The clock ({zone})": f"{books.clock().astimezone(zone):%Y-%m-%d %H:%M:%S}",
        "Last day of the books": str(books.last_day.latest or "nothing has been recorded yet"),
        "Recorded on days after the clock's": f"{later.events:,} events of {later.accounts:,} accounts, "
        f"{later.segments:,} segments, {later.targets:,} targets, up to {later.last}"
        if later.last
        else "nothing",
    }
    for name, value in rows.items():
        out.print(f"{name + ':':<38}{value}", markup=False)
    return later


@clock_cli.command("accept")
def accept(yes: Yes = False) -> None:
    """Say that the clock is right although it is far ahead of the books: things are recorded again, at once, in every process."""

    async def run(books: Books) -> bool:
        today = books.clock_day()
        await _print_state(books, today)
        if not yes:
            err.print(
                f"\nIf {today} is right, run `csmetrics clock accept --yes`. After that, nothing is recorded on an earlier day.",
                markup=False,
            )
            return False
        await move_last_day(books.database, books.last_day, today, max_jump_days=None)
        out.print(f"\nThe last day of the books is {books.last_day.latest}.")
        return True

    if not with_books(run):
        raise typer.Exit(1)


@clock_cli.command("repair")
def repair(yes: Yes = False) -> None:
    """Record on today what was recorded on days that have not come, because a clock was ahead.

    Correct the clocks first. The service may keep running. Answers as of a day before today stay as they are. The command can be
    interrupted and run again.
    """

    async def run(books: Books) -> bool:
        today = books.clock_day()
        later = await _print_state(books, today)
        if later.last is None and (books.last_day.latest is None or books.last_day.latest <= today):
            out.print("\nThere is nothing to repair.")
            return True
        if not yes:
            err.print(
                f"\nThis would record all of it on {today}, and let the books go on from this day. If the clock is right, run "
                "`csmetrics clock repair --yes`.",
                markup=False,
            )
            return False
        accounts = events = 0
        with progress_bar() as bar:
            task = bar.add_task("Repair", total=later.accounts, status="")
            async for step in redate(books, day=today, executor=worker_pool(os.cpu_count() or 1)):
                accounts, events = accounts + step.accounts, events + step.events
                bar.update(task, completed=accounts, status=f"{accounts:,} accounts, {events:,} events")
        out.print(f"\nRepaired {accounts:,} accounts. The last day of the books is {books.last_day.latest}.")
        return True

    if not with_books(run):
        raise typer.Exit(1)
