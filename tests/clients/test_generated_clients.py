"""Clients that generators make of the OpenAPI document can be imported, are typed, send events and ask for numbers."""

import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.clients.tools import (
    PROGRAMS,
    last_line,
    node_tool,
    python_tool,
    run,
    run_openapi_generator,
    write_document,
)
from tests.support.node_packages import node_modules
from tests.support.process import ServiceProcess, service_process
from tests.support.service import ADMIN_KEY

# Three events were accepted and are in both answers; a wrong period is a problem with a code.
EXPECTED = [3, "sessions", 3, 3, "invalid_period"]
IMPORT_ALL = """
import importlib, pkgutil, generated
for module in pkgutil.walk_packages(generated.__path__, "generated."):
    importlib.import_module(module.name)
"""
# Where templates of generators are not written for mypy: the end of a context; values of an object that may be null; a union in
# another. What uses the clients is checked strictly.
LENIENT = """
[mypy]
strict = True
[mypy-generated.client]
disable_error_code = arg-type
"""
LENIENT_WITH_UNIONS = """
[mypy]
disable_error_code = union-attr, return-value
"""
TSC = [
    "--strict",
    "--target",
    "es2022",
    "--lib",
    "es2022,dom",
    "--module",
    "nodenext",
    "--moduleResolution",
    "nodenext",
]


@pytest.fixture
def process(database: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    (tmp_path / "service").mkdir()
    with service_process(tmp_path / "service", database) as process:
        yield process


@pytest.fixture
def use(process: ServiceProcess, tmp_path: Path) -> Callable[..., None]:
    """Return a function that runs a program against the service and compares what it prints."""

    def run_program(*command: str) -> None:
        assert last_line(run(*command, process.url, ADMIN_KEY, folder=tmp_path)) == EXPECTED

    return run_program


@pytest.fixture
def check_types(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., None]:
    """Return a function that runs mypy, which remembers what it knows of packages and of clients that come out the same again.

    It compares contents and options, so that a client that has changed is checked. Each run of a test has a memory of its own,
    since other options would replace what it knows.
    """
    numbers = count()

    def run_mypy(*arguments: str) -> None:
        cache = request.config.cache.mkdir(f"mypy-{request.node.name}-{next(numbers)}")
        run(python_tool("mypy"), "--cache-dir", str(cache), *arguments, folder=tmp_path)

    return run_mypy


def test_a_client_by_openapi_python_client_sends_and_asks(
    tmp_path: Path, check_types: Callable[..., None], use: Callable[..., None]
) -> None:
    generator, document = python_tool("openapi-python-client"), write_document(tmp_path)
    run(generator, "generate", "--path", str(document), "--meta", "none", "--output-path", "generated", folder=tmp_path)
    shutil.copy(PROGRAMS / "use_openapi_python_client.py", tmp_path / "use.py")
    run(python_tool("python"), "-c", IMPORT_ALL, folder=tmp_path)
    (tmp_path / "mypy.ini").write_text(LENIENT)
    check_types("generated", "use.py")
    use(python_tool("python"), "use.py")


def test_a_python_client_by_openapi_generator_sends_and_asks(
    tmp_path: Path, check_types: Callable[..., None], use: Callable[..., None]
) -> None:
    options = ["--additional-properties", "packageName=generated", "-o", "client"]
    run_openapi_generator(tmp_path, "python", *options)
    shutil.move(tmp_path / "client" / "generated", tmp_path / "generated")
    shutil.copy(PROGRAMS / "use_openapi_generator.py", tmp_path / "use.py")
    run(python_tool("python"), "-c", IMPORT_ALL, folder=tmp_path)
    (tmp_path / "mypy.ini").write_text(LENIENT_WITH_UNIONS)
    check_types("generated")
    check_types("--strict", "--follow-imports", "silent", "use.py")
    use(python_tool("python"), "use.py")


def test_a_typescript_client_by_openapi_generator_sends_and_asks(tmp_path: Path, use: Callable[..., None]) -> None:
    compiler = node_tool("tsc")
    run_openapi_generator(
        tmp_path, "typescript-fetch", "--additional-properties", "importFileExtension=.js", "-o", "generated"
    )
    shutil.copy(PROGRAMS / "use_openapi_generator.ts", tmp_path / "use.ts")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    run(compiler, *TSC, "use.ts", folder=tmp_path)
    use("node", "use.js")


def test_types_by_openapi_typescript_check_what_is_sent_and_read(tmp_path: Path, use: Callable[..., None]) -> None:
    run(node_tool("openapi-typescript"), str(write_document(tmp_path)), "-o", "generated.d.ts", folder=tmp_path)
    (tmp_path / "node_modules").symlink_to(node_modules())
    shutil.copy(PROGRAMS / "use_openapi_typescript.ts", tmp_path / "use.ts")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    run(node_tool("tsc"), *TSC, "use.ts", folder=tmp_path)
    use("node", "use.js")
    # A metric that does not exist is an error of the compiler.
    wrong = (tmp_path / "use.ts").read_text().replace('metric: "sessions" }, query', 'metric: "sesions" }, query')
    (tmp_path / "wrong.ts").write_text(wrong)
    with pytest.raises(AssertionError, match="sesions"):
        run(node_tool("tsc"), *TSC, "wrong.ts", folder=tmp_path)
