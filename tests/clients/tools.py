"""The generators of clients, which `make clients` installs beside the environment of the tests."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.core.settings import Settings
from app.main import build_app
from tests.support.node_packages import node_modules

PROGRAMS = Path(__file__).parent / "programs"
_TOOLS = Path(sys.prefix) / "clients"


def python_tool(name: str) -> str:
    """Return the path of a program of the Python environment of the generators."""
    program = _TOOLS / "bin" / name
    if not program.exists():
        pytest.skip(f"{name} is missing (`make clients` installs it), so NO GENERATED PYTHON CLIENT IS TESTED")
    return str(program)


def node_tool(name: str) -> str:
    """Return the path of a program of a package of Node."""
    return str(node_modules() / ".bin" / name)


def run(*command: str, folder: Path) -> str:
    """Run a program in a folder and return what it prints. Fails with its output where it does."""
    environment = {"PATH": f"{_TOOLS / 'bin'}:/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "NO_COLOR": "1"}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(command[:3])}\n{result.stdout[-4_000:]}\n{result.stderr[-4_000:]}"
    return result.stdout


def write_document(folder: Path) -> Path:
    """Write the OpenAPI document into a folder and return its path."""
    path = folder / "openapi.json"
    path.write_text(json.dumps(build_app(Settings(_env_file=None)).openapi()))
    return path


def run_openapi_generator(folder: Path, generator: str, *options: str) -> None:
    """Let openapi-generator write a client into the folder `generated` of a folder."""
    document = write_document(folder)
    arguments = ["generate", "-i", str(document), "-g", generator, *options]
    run(python_tool("openapi-generator-cli"), *arguments, folder=folder)


def last_line(output: str) -> Any:
    """Return the JSON on the last line of a program's output."""
    return json.loads(output.splitlines()[-1])
