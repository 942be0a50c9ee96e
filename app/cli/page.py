"""The command `csmetrics open`."""

import webbrowser
from typing import Annotated

import typer

from app.access.sessions import create_code
from app.books.books import Books
from app.cli.console import out
from app.cli.open import with_books
from app.core.settings import Settings

cli = typer.Typer()


@cli.command("open")
def open_command(
    browser: Annotated[bool, typer.Option(help="Open the link in the browser of this machine.")] = True,
    admin: Annotated[
        bool, typer.Option(help="May also change targets, the health model and the states of comments.")
    ] = True,
) -> None:
    """Print a link to the page that signs its first visitor in, and open it."""

    async def create(books: Books) -> str:
        return await create_link(books, Settings(), is_admin=admin)

    link = with_books(create)
    out.print(link, markup=False)
    if browser:
        webbrowser.open(link)


async def create_link(books: Books, settings: Settings, *, is_admin: bool) -> str:
    """Return a link to the page. The code is behind the `#`, which browsers send to nobody, so it is in no log."""
    code = await create_code(books, scopes=["admin"] if is_admin else ["read"])
    url = settings.public_url or f"http://{settings.host}:{settings.port}"
    return f"{url}/#code={code}"
