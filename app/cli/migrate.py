"""The command `csmetrics migrate`."""

import typer

from app.books.books import Books
from app.cli.console import out
from app.cli.open import with_books

cli = typer.Typer()


@cli.command()
def migrate() -> None:
    """Migrate the database schema to this version. `serve` does the same, unless MIGRATE_ON_START is false."""

    async def confirm(_: Books) -> None:
        out.print("The database is up to date.")

    with_books(confirm, create=True, migrate_on_start=True)
