"""What app/server assumes about the inside of uvicorn and httptools: a newer version that breaks one of these is named here.

When a test fails after an upgrade: read the named function in uvicorn, adapt the class of app/server that overrides or uses it,
run all of tests/server, and only then raise the version in pyproject.toml.
"""

import dis
import inspect
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httptools
import pytest
import uvicorn
from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.lifespan.on import LifespanOn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server, ServerState
from uvicorn.supervisors import multiprocess

import app.agents.server  # noqa: F401 - it undoes what a library of clients does to uvicorn when a test imports it
from app.core.settings import Settings
from app.server.protocol import HttpProtocol
from app.server.supervisor import Supervisor, WorkerProcess
from app.server.worker import ServerConfig, Worker

# Our classes, and the parameters of uvicorn's methods that they override.
OVERRIDES: dict[type, dict[str, str]] = {
    HttpProtocol: {
        "connection_made": "self, transport",
        "connection_lost": "self, exc",
        "data_received": "self, data",
        "on_message_begin": "self",
        "on_header": "self, name, value",
        "on_headers_complete": "self",
        "on_body": "self, body",
        "on_message_complete": "self",
        "on_response_complete": "self",
        "pause_writing": "self",
        "resume_writing": "self",
        "shutdown": "self",
    },
    Worker: {
        "__init__": "self, config",
        "run": "self, sockets",
        "serve": "self, sockets",
        "startup": "self, sockets",
        "on_tick": "self, counter",
        "capture_signals": "self",
        "handle_exit": "self, sig, frame",
    },
    WorkerProcess: {"start": "self", "join": "self", "target": "self, sockets", "is_alive": "self, timeout"},
    Supervisor: {"terminate_all": "self"},
    ServerConfig: {"configure_logging": "self"},
}
# Attributes of uvicorn's objects that our classes read or set.
USED_ATTRIBUTES: dict[type, set[str]] = {
    HttpToolsProtocol: {"config", "loop", "parser", "transport", "client", "cycle", "pipeline", "url", "headers"}
    | {"server_state", "timeout_keep_alive", "_unset_keepalive_if_required"},
    RequestResponseCycle: {"transport", "keep_alive", "disconnected", "message_event", "body"}
    | {"response_started", "response_complete"},
    ServerState: {"connections", "default_headers"},
    Server: {"config", "server_state", "started", "should_exit", "lifespan", "_captured_signals"},
    LifespanOn: {"should_exit"},
    multiprocess.Process: {"config", "process", "exitcode", "_server"},
    multiprocess.Multiprocess: {"sockets", "processes", "signal_queue"},
}
# Attributes that our classes set although uvicorn sets them, too, on the same object or on a response cycle.
REPLACED_ATTRIBUTES: dict[type, set[str]] = {
    HttpProtocol: {"parser", "transport", "keep_alive", "disconnected", "body"},
    WorkerProcess: {"_server"},
}
# Our overrides have an effect because these functions of uvicorn use the name.
USES: list[tuple[Callable[..., Any], str]] = [
    (HttpToolsProtocol.on_headers_complete, "on_response_complete"),
    (HttpToolsProtocol.connection_made, "connections"),
    (RequestResponseCycle.receive, "message_event"),
    (Server.run, "serve"),
    (Server.serve, "capture_signals"),
    (inspect.unwrap(Server.capture_signals), "handle_exit"),
    (inspect.unwrap(Server.capture_signals), "_captured_signals"),
    (Server._serve, "startup"),
    (Server.main_loop, "on_tick"),
    (Server.shutdown, "shutdown"),
    (Server.shutdown, "timeout_graceful_shutdown"),
    (multiprocess.Process.target, "server"),
    (multiprocess.Multiprocess.init_processes, "Process"),
    (multiprocess.Multiprocess.run, "terminate_all"),
    (multiprocess.Multiprocess.handle_signals, "signal_queue"),
    (multiprocess.Multiprocess.init_processes, "start"),
    (multiprocess.Multiprocess.keep_subprocess_alive, "is_alive"),
    (multiprocess.Multiprocess.keep_subprocess_alive, "start"),
    (multiprocess.Multiprocess.keep_subprocess_alive, "join"),
    (multiprocess.Multiprocess.keep_subprocess_alive, "STARTUP_FAILURE"),
]


def names_used_by(function: Callable[..., Any]) -> set[str]:
    """Return the names of globals and attributes in the code of a function, and in the functions within it."""
    pending, names = [function.__code__], set()
    while pending:
        code = pending.pop()
        names |= {*code.co_names}
        pending += [constant for constant in code.co_consts if inspect.iscode(constant)]
    return names


def attributes_set_by(cls: type) -> set[str]:
    """Return the names of attributes that the methods of a class set, on itself or on another object."""
    functions = [inspect.unwrap(member) for member in vars(cls).values() if inspect.isfunction(inspect.unwrap(member))]
    instructions = [step for function in functions for step in dis.get_instructions(function)]
    return {step.argval for step in instructions if step.opname == "STORE_ATTR"}


def test_uvicorn_is_the_version_that_the_server_was_written_for() -> None:
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    pinned = re.search(r'"uvicorn>=(\d+)\.(\d+),<(\d+)\.(\d+)"', pyproject)
    assert pinned, "pyproject.toml must pin the minor version of uvicorn, because app/server builds on its inside"
    assert int(pinned[4]) == int(pinned[2]) + 1 and pinned[1] == pinned[3]
    assert version("uvicorn").split(".")[:2] == [pinned[1], pinned[2]]


@pytest.mark.parametrize(("cls", "name"), [(cls, name) for cls, names in OVERRIDES.items() for name in names])
def test_a_method_that_is_overridden_still_has_the_same_parameters(cls: type, name: str) -> None:
    base = cls.__mro__[1]
    where = f"uvicorn {uvicorn.__version__}: {base.__name__}.{name}, which {cls.__module__}.{cls.__name__} overrides,"
    assert hasattr(base, name), f"{where} is gone"
    parameters = ", ".join(inspect.signature(getattr(base, name)).parameters)
    assert parameters == OVERRIDES[cls][name], f"{where} has the parameters ({parameters})"
    assert name in vars(cls), f"{cls.__name__} does not override {name} any more; remove it from this table"


@pytest.mark.parametrize("cls", OVERRIDES)
def test_uvicorn_has_no_method_with_the_name_of_one_of_ours(cls: type) -> None:
    ours = {name for name, member in vars(cls).items() if inspect.isfunction(member) and not name.startswith("__")}
    taken = (ours - OVERRIDES[cls].keys()) & {*dir(cls.__mro__[1])}
    assert not taken, f"uvicorn {uvicorn.__version__} has methods that {cls.__name__} overrides by accident: {taken}"


@pytest.mark.parametrize("cls", OVERRIDES)
def test_uvicorn_sets_no_attribute_with_the_name_of_one_of_ours(cls: type) -> None:
    taken = (attributes_set_by(cls) - REPLACED_ATTRIBUTES.get(cls, set())) & attributes_set_by(cls.__mro__[1])
    assert not taken, f"uvicorn {uvicorn.__version__} and {cls.__name__} both set {taken}"


@pytest.mark.parametrize("cls", USED_ATTRIBUTES)
def test_an_attribute_that_the_server_uses_still_exists(cls: type) -> None:
    missing = USED_ATTRIBUTES[cls] - attributes_set_by(cls) - {*dir(cls)}
    assert not missing, f"uvicorn {uvicorn.__version__}: {cls.__name__} has lost {missing}, which app/server uses"


@pytest.mark.parametrize(("function", "name"), USES, ids=lambda value: getattr(value, "__qualname__", value))
def test_uvicorn_still_uses_what_the_server_overrides(function: Callable[..., Any], name: str) -> None:
    where = f"uvicorn {uvicorn.__version__}: {function.__qualname__}"
    assert name in names_used_by(function), f"{where} does not use {name} any more"


def test_a_response_cycle_needs_of_its_transport_what_ours_has() -> None:
    methods = set(re.findall(r"self\.transport\.(\w+)", inspect.getsource(RequestResponseCycle)))
    assert methods <= {"write", "is_closing", "close"}, "ResponseTransport lacks a method"


def test_the_configuration_accepts_the_options_of_the_server() -> None:
    config = ServerConfig("app.main:create_app", settings=Settings(_env_file=None, workers=3))
    assert isinstance(config, Config)
    assert (config.workers, config.http, config.reset_contextvars) == (3, HttpProtocol, True)


def test_status_lines_and_the_exit_code_of_a_failed_start_have_not_changed() -> None:
    assert STATUS_LINE[431].startswith(b"HTTP/1.1 431 ")
    assert STARTUP_FAILURE not in (0, 1)


class Recorder:
    """Callbacks for a parser of httptools."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def on_headers_complete(self) -> None:
        self.calls.append("headers")

    def on_message_complete(self) -> None:
        self.calls.append("message")


def test_httptools_reports_an_upgrade_at_the_end_of_the_headers() -> None:
    headers = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\n"
    parser = httptools.HttpRequestParser(Recorder())
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    with pytest.raises(httptools.HttpParserUpgrade) as upgrade:
        parser.feed_data(headers + b"hello")
    assert upgrade.value.args[0] == len(headers)
    assert (parser.get_method(), parser.get_http_version(), parser.should_upgrade()) == (b"POST", "1.1", True)


def test_httptools_wraps_the_exception_of_a_callback() -> None:
    class FailingCallbacks:
        def on_headers_complete(self) -> None:
            raise ValueError

    with pytest.raises(httptools.HttpParserError):
        httptools.HttpRequestParser(FailingCallbacks()).feed_data(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n")
