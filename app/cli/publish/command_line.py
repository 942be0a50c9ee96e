"""The reference page of the command line."""

from collections.abc import Iterator
from typing import Any

import typer.main

from app.cli.publish.markdown import bullets, code, page, table

INTRO = """`csmetrics --help` and `csmetrics COMMAND --help` print the same. Commands take their [settings](settings.md) from
the environment or from `.env`. They work on the database of `DATABASE_URL` or, without it, on the embedded one in
`DATA_DIR`, also while the service is running.

Exit codes: 0 when it worked; 1 when it did not, or when a check failed; 2 when the command line is wrong."""


def render() -> str:
    """Return the page."""
    from app.cli.main import cli  # imports this package itself

    commands = list(_commands(typer.main.get_command(cli), "csmetrics"))
    index = table(("command", "meaning"), ([f"[`{path}`](#{_anchor(path)})", _first(c)] for path, c in commands))
    sections = (part for path, command in commands for part in _command(path, command))
    return page("Command line", INTRO, index, *sections)


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the commands of a group, and of the groups in it, with how they are called."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        elif not command.hidden:
            yield f"{path} {name}", command


def _anchor(path: str) -> str:
    return path.replace(" ", "-")


def _first(command: Any) -> str:
    return str(command.help or "").partition("\n\n")[0]


def _command(path: str, command: Any) -> Iterator[str]:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    usage = [path, *(f"{a.name.upper()}{'…' if a.nargs == -1 else ''}" for a in arguments)]
    yield f"## `{path}`"
    yield f"```text\n{' '.join([*usage, '[OPTIONS]'] if options else usage)}\n```"
    yield " ".join(str(command.help or "").replace("\n\n", "\0").split()).replace("\0", "\n\n")
    yield bullets(f"`{a.name.upper()}`: {a.help}" for a in arguments if getattr(a, "help", None))
    yield table(("option", "default", "meaning"), map(_option, options))


def _option(option: Any) -> list[str]:
    if option.required:
        default = "required"
    elif isinstance(option.show_default, str):
        # The default depends on the machine, as the number of cores does, so it is described.
        default = option.show_default
    elif option.default is None or option.default is False:
        default = ""
    else:
        default = code(option.default)
    return [code(option.opts[0]), default, option.help or ""]
