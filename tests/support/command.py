"""Run `csmetrics`: within the process of the tests, which spares the start of another, or as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from unittest.mock import patch

import structlog

from app.cli.console import err, out
from app.cli.main import main

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from app.cli.main import main; main()"]


@dataclass(frozen=True)
class CommandResult:
    """What a command has printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def environment(**settings: str) -> dict[str, str]:
    """Return the environment of a command: without the settings of the developer. A .env file is not read in other folders."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "COLUMNS": "500"} | settings


def run_command(*arguments: str, folder: Path, **settings: str) -> CommandResult:
    """Run a command in a folder, within this process, and return what a process would have answered.

    Only a process of its own shows what depends on a fresh one: what a command imports, and its log. `serve` gets one, since it
    takes over the signals of its process and ends it when a stop takes too long.
    """
    if "serve" in arguments:
        return run_process(*arguments, folder=folder, **settings)
    # Files are written as bytes.
    stdout, stderr = TextIOWrapper(BytesIO(), encoding="utf-8", newline="", write_through=True), StringIO()
    with _surroundings(folder, settings), redirect_stdout(stdout), redirect_stderr(stderr):
        try:
            main(arguments)
            code: object = 0
        except SystemExit as end:
            code = end.code
    if isinstance(code, str):
        stderr.write(f"{code}\n")
    return CommandResult(
        code if isinstance(code, int) else int(code is not None), stdout.buffer.getvalue().decode(), stderr.getvalue()
    )


@contextmanager
def _surroundings(folder: Path, settings: dict[str, str]) -> Iterator[None]:
    """Let a command find its folder, its environment and a console as wide as a process would; restore all of it."""
    log_configuration = structlog.get_config()
    with ExitStack() as stack:
        stack.enter_context(chdir(folder))
        stack.enter_context(patch.dict(os.environ, environment(**settings), clear=True))
        for console in (out, err):
            stack.enter_context(patch.multiple(console, _width=500, _color_system=None))
        try:
            yield
        finally:
            structlog.configure(**log_configuration)


def run_process(*arguments: str, folder: Path, **settings: str) -> CommandResult:
    """Run a command as a process in a folder, and return what it has answered."""
    result = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        check=False,
    )
    return CommandResult(result.returncode, result.stdout, result.stderr)
