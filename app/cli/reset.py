"""The command that deletes everything: `csmetrics reset`."""

import asyncio
from typing import Annotated

import sqlalchemy as sa
import typer

from app.books.books import count_other_processes
from app.books.open import NotMigrated, describe_database, migration_advice, open_database
from app.cli.console import err, out
from app.cli.open import print_database
from app.core.errors import Conflict
from app.core.settings import Settings
from app.database.connection import Connection
from app.database.migrate import SchemaVersion, migrate, remove_tables, schema_version
from app.database.pool import Database
from app.database.tables import account, event

cli = typer.Typer()


@cli.command()
def reset(
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete. Without it, the command only says what would be deleted.")
    ] = False,
) -> None:
    """Delete everything in the database: events, accounts, definitions, webhooks, keys, and the settings of the first start.

    For starting over, for instance after an import with a wrong mapping or currency. Stop the service first. There is no way
    back except a backup.
    """
    settings = Settings()
    print_database(settings)
    if not asyncio.run(_reset(settings, is_confirmed=yes)):
        raise typer.Exit(1)


async def _reset(settings: Settings, *, is_confirmed: bool) -> bool:
    """Return whether everything was deleted, or there was nothing to delete."""
    async with open_database(settings, create=False) as database:
        version = await database.read(schema_version)
        if version is SchemaVersion.EMPTY:
            out.print("There is nothing to delete.")
            return True
        if version is SchemaVersion.NEWER:
            raise NotMigrated(migration_advice(version))
        if await database.read(count_other_processes):
            raise Conflict("Stop the service first, and every other command that uses this database.", code="in_use")
        contents = await _describe_contents(database)
        if not is_confirmed:
            err.print(
                f"This would delete {contents} in {describe_database(settings)}, all API keys, and everything else. To delete, "
                "run `csmetrics reset --yes`.",
                markup=False,
            )
            return False
        url = database.engine.url.render_as_string(hide_password=False)
        await asyncio.to_thread(remove_tables, url)
        await asyncio.to_thread(migrate, url)
        out.print(f"Deleted {contents}. The next start of the service sets up everything anew.")
        return True


async def _describe_contents(database: Database) -> str:
    """Return how many events and accounts there are, such as `1,200 events of 40 accounts`."""

    async def count(connection: Connection) -> tuple[int, int]:
        return (
            await connection.scalar(sa.select(sa.func.count()).select_from(event)),
            await connection.scalar(sa.select(sa.func.count()).select_from(account)),
        )

    events, accounts = await database.read(count)
    return f"{events:,} events of {accounts:,} accounts"
