"""The command line: `csmetrics --help`.

Each command is in a module that is imported when the command runs, so that none waits for the libraries of another.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from app import __version__
from app.catalogues import load_catalogues
from app.cli.console import err, out
from app.core.errors import ServiceError, validation_faults
from app.core.settings import Settings

# The module of each command, in the order of `csmetrics --help`. Its `cli` contains the command.
COMMANDS = {
    "serve": "app.cli.serve",
    "migrate": "app.cli.migrate",
    "demo": "app.cli.demo",
    "open": "app.cli.page",
    "import": "app.cli.import_files",
    "rebuild": "app.cli.ledger",
    "verify": "app.cli.ledger",
    "query": "app.cli.questions",
    "check": "app.cli.questions",
    "export": "app.cli.export",
    "insights": "app.cli.insights",
    "work": "app.cli.work",
    "clock": "app.cli.clock",
    "reset": "app.cli.reset",
    "publish": "app.cli.publish_command",
    "keys": "app.cli.keys",
    "sources": "app.cli.sources",
    "bi": "app.cli.bi",
}
# The commands that neither post events nor compute metrics, or whose processes fill the catalogues themselves.
WITHOUT_CATALOGUES = {"serve", "reset", "keys"}


class _CommandModules(Mapping[str, Any]):
    """The commands by name. Reading one imports its module."""

    def __getitem__(self, name: str) -> Any:
        module: Any = import_module(COMMANDS[name])
        return typer.main.get_group(module.cli).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _LazyGroup(TyperGroup):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _CommandModules()  # type: ignore[assignment]  # nothing adds commands to it


cli = typer.Typer(
    cls=_LazyGroup,
    help="Turns product, billing, survey and support events into customer-success metrics, over HTTP.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


# How details name parameters of a question, and what the command line has instead.
_OPTIONS = {"strict=false": "--no-strict", "`start`": "--start", "`end`": "--end", "`period`": "--period"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command. An expected error is printed as one line, without a traceback, and the exit code is 1.

    arguments: those of the process by default.
    """
    try:
        cli(arguments)
    except ServiceError as error:
        faults = getattr(error, "errors", ())
        for sentence in [_sentence(fault) for fault in faults] or [str(error)]:
            err.print(sentence, style="red", markup=False)
    except ValidationError as error:
        # Settings may be secrets; the values of options are those that were just typed.
        is_setting = error.title == Settings.__name__
        for fault in validation_faults(error.errors(include_url=False, include_input=not is_setting)):
            pointer = fault["pointer"].upper() if is_setting else f"/query{fault['pointer'].removeprefix('/query')}"
            err.print(_sentence({**fault, "pointer": pointer}), style="red", markup=False)
    else:
        return
    raise SystemExit(1)


def _sentence(fault: Mapping[str, Any]) -> str:
    """Return what is wrong with an option, a setting or a field, which comes first."""
    pointer, detail = fault["pointer"], str(fault["detail"])
    name = pointer.strip("/")
    if pointer.startswith("/query/"):
        name = name_option(pointer.removeprefix("/query/"))
        for parameter, option in _OPTIONS.items():
            detail = detail.replace(parameter, option)
    field = pointer.rpartition("/")[2].lower()
    for beginning in (f'"{field}" must', f'"{field}": '):
        detail = detail.replace(beginning, "it must" if beginning.endswith("must") else "")
    return f"{name}: {detail}" if name else detail


def name_option(parameter: str) -> str:
    """Return the option for a parameter of a question, or for a field of a key."""
    name = parameter.partition("/")[0]
    return {"metrics": "METRICS", "name": "NAME", "scopes": "--scope"}.get(name) or f"--{name.replace('_', '-')}"


def _print_version(is_requested: bool) -> None:
    if is_requested:
        out.print(__version__)
        raise typer.Exit


@cli.callback()
def common_options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand not in WITHOUT_CATALOGUES:
        load_catalogues()
