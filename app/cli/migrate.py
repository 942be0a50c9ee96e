"""The command `csmetrics migrate`."""

import typer

from app.bi.update import ViewsNotUpdated, update_views
from app.books.books import Books
from app.cli.console import err, out
from app.cli.open import with_books

cli = typer.Typer()


@cli.command()
def migrate() -> None:
    """Migrate the database schema to this version, and its views for BI tools.

    `serve` does the same, unless MIGRATE_ON_START is false.
    """

    async def confirm(books: Books) -> None:
        try:
            await update_views(books.database)
        except ViewsNotUpdated as error:
            err.print(f"The views for BI tools are not up to date. {error}", style="yellow", markup=False)
        out.print("The database is up to date.")

    with_books(confirm, create=True, migrate_on_start=True)
