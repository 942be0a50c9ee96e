"""The commands about BI tools that read the views: `csmetrics bi --help`."""

import secrets
import sys
from typing import Annotated

import typer

from app.bi.health import renew_health
from app.bi.roles import grant_views, list_readers, revoke_views, role_exists
from app.books.books import Books
from app.cli.console import err, out
from app.cli.open import with_books

bi_cli = typer.Typer(help="Let BI tools read the SQL views of the schema bi, and nothing else.", no_args_is_help=True)
cli = typer.Typer()
cli.add_typer(bi_cli, name="bi")

_PASSWORD_BYTES = 24

RoleArgument = Annotated[str, typer.Argument(help="Name of a role of PostgreSQL, such as `bi_reader`.")]


@bi_cli.command("grant")
def grant(
    role: RoleArgument,
    password: Annotated[
        str | None,
        typer.Option(help="Its password; `-` reads a line from standard input. Default: a new role gets a random one."),
    ] = None,
    prompt: Annotated[bool, typer.Option("--prompt", help="Ask for the password.")] = False,
) -> None:
    """Let a role read the views, and print how a tool connects with it. A role that does not exist is created.

    A generated password is shown only once. That of an existing role stays unless another is given.
    """
    chosen = _read_password(password, is_prompt=prompt)

    async def run(books: Books) -> None:
        is_generated = chosen is None and not await role_exists(books.database, role)
        own = secrets.token_urlsafe(_PASSWORD_BYTES) if is_generated else chosen
        result = await grant_views(books.database, role, password=own)
        await renew_health(books, is_forced=True)
        out.print(
            f"{role} may read the views of the schema bi{', and was created' if result.is_new else ''}.", markup=False
        )
        out.print(f"Connect with: {result.line}", markup=False)
        if is_generated:
            out.print(f"Password (shown only once): {own}", markup=False)
        if books.database.engine.url.host is None:
            err.print(
                "The embedded PostgreSQL has a socket only: it asks for no password, and only the system user of the service and "
                "root reach it. For tools elsewhere, use a PostgreSQL of your own (DATABASE_URL).",
                style="yellow",
                markup=False,
            )

    with_books(run, create=True)


def _read_password(password: str | None, *, is_prompt: bool) -> str | None:
    if is_prompt:
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n") if password == "-" else password


@bi_cli.command("revoke")
def revoke(
    role: RoleArgument, drop: Annotated[bool, typer.Option("--drop", help="Remove the role as well.")] = False
) -> None:
    """Let a role no longer read the views. Its next query fails."""

    async def run(books: Books) -> None:
        await revoke_views(books.database, role, drop=drop)
        out.print("Removed." if drop else "Revoked.")

    with_books(run)


@bi_cli.command("list")
def print_readers() -> None:
    """List the roles that may read the views."""

    async def run(books: Books) -> None:
        for role in await list_readers(books.database):
            out.print(role, markup=False)

    with_books(run)


@bi_cli.command("refresh")
def refresh() -> None:
    """Compute the health of all accounts for its views now. The service does so itself every ten minutes."""

    async def run(books: Books) -> None:
        count = await renew_health(books, is_forced=True)
        out.print(f"The health of {count:,} accounts is up to date.")

    with_books(run)
