"""The command `csmetrics serve`."""

import typer

from app.core.settings import Settings
from app.server import serve

cli = typer.Typer()


@cli.command("serve")
def serve_command() -> None:
    """Serve the API over HTTP.

    Settings come from environment variables or a file named .env. Without DATABASE_URL, the service runs its own PostgreSQL.
    """
    serve.run(Settings())
