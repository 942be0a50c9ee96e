"""The command `csmetrics publish`."""

import typer

from app.cli.console import out

cli = typer.Typer()


@cli.command("publish")
def publish_command() -> None:
    """Write openapi/openapi.json, docs/reference and the sources of docs/bi/dbt, which are generated from the code.

    For developers of the service.
    """
    from app.cli import publish  # it needs the web framework, which `csmetrics --help` should not load

    for path, content in publish.documents().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        out.print(f"{path}", markup=False)
