"""The commands that create, list and revoke API keys: `csmetrics keys --help`."""

from typing import Annotated, get_args

import typer
from rich.table import Column, Table

from app.access import keys
from app.access.keys import NewKey
from app.books.books import Books
from app.cli.console import out
from app.cli.open import with_books

cli, keys_cli = typer.Typer(), typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)
cli.add_typer(keys_cli, name="keys")


@keys_cli.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="A name by which you recognize the key, such as the application's.")],
    scope: Annotated[
        list[str],
        typer.Option(
            metavar="|".join(get_args(keys.KeyScope)),
            help="What the key may do: ingest (send data), read (ask questions) or admin (everything). "
            "Repeat the option for several scopes.",
        ),
    ],
    expires_on: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM-DD",
            help="First day on which the key no longer works, in the reporting time zone. Without it, the key does not expire.",
        ),
    ] = None,
) -> None:
    """Create an API key and print it. It cannot be shown again."""
    values = {"name": name, "scopes": scope, "expires_on": expires_on}
    new = NewKey.model_validate({key: value for key, value in values.items() if value is not None})

    async def run(books: Books) -> None:
        new_key = await keys.create_key(books, name=new.name, scopes=new.scopes, expires_on=new.expires_on)
        out.print(new_key["key"], markup=False)

    with_books(run)


@keys_cli.command("list")
def list_keys() -> None:
    """List API keys (secrets are never shown)."""

    async def run(books: Books) -> None:
        # On a narrow terminal, names are folded: an id that is cut off cannot be revoked, and a day that is cut off is none.
        whole = [Column(name, no_wrap=True) for name in ("id", "created", "last used", "expires", "revoked")]
        table = Table(whole[0], Column("name", overflow="fold"), Column("scopes", overflow="fold"), *whole[1:])
        for key in await keys.list_keys(books):
            dates = (key["created_at"], key["last_used_on"], key["expires_on"], key["revoked_at"])
            table.add_row(key["id"], key["name"], ", ".join(key["scopes"]), *(str(day or "")[:10] for day in dates))
        out.print(table)

    with_books(run)


@keys_cli.command("revoke")
def revoke_key(id: Annotated[str, typer.Argument(help="Id of the key, as `csmetrics keys list` shows it.")]) -> None:
    """Revoke an API key. It stops working at once, in every process."""

    async def run(books: Books) -> None:
        await keys.revoke_key(books, id=id)
        out.print("Revoked.")

    with_books(run)
