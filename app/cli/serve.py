"""The command `csmetrics serve`."""

import typer

from app.core.settings import Settings

cli = typer.Typer()


@cli.command("serve")
def serve_command() -> None:
    """Serve the API over HTTP.

    Settings come from environment variables or a file named .env. Without DATABASE_URL, the service runs its own PostgreSQL.
    """
    from app.server import serve  # it needs the web framework, which `csmetrics --help` should not load

    serve.run(Settings())
