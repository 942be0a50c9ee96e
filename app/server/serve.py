"""Serve the application over HTTP, in one process or in several.

The promises beyond uvicorn's own: a client gets `header_seconds` for the headers of a request. A stop (SIGTERM, SIGINT) takes at
most `shutdown_seconds`, whatever the clients, the application or the reader of the log do; the exit code is 0 only if all of it
has ended cleanly. A worker that dies is replaced, and none outlives its parent. A start waits for the port as long as the stop
of an earlier service may take.
"""

import contextlib
import errno
import socket
import time
from typing import Any

import structlog

from app.core import meters
from app.core.settings import Settings, misspelt_settings
from app.server.supervisor import supervise
from app.server.worker import ServerConfig, Worker

_MAX_OPEN_FILES = 65536

log = structlog.get_logger(__name__)


def run(settings: Settings, *, factory: str = "app.main:create_app") -> None:
    """Serve until a signal. Raises SystemExit with code 1, after a line in the log, if the service cannot start.

    factory: the import path of a function without parameters that returns the ASGI application.
    """
    config = ServerConfig(factory, settings=settings)
    for name, setting in misspelt_settings().items():
        log.warning("there is no such setting", name=name, did_you_mean=setting)
    listener = _bind(settings)
    _raise_file_limit()
    try:
        if settings.workers > 1:
            with meters.share():
                supervise(config, listener)
        else:
            Worker(config).run([listener])
    except SystemExit as end:
        # uvicorn's 3 tells its supervisor something; for everyone else a failed command ends with 1.
        raise SystemExit(min(end.code, 1) if isinstance(end.code, int) else end.code) from None


def _bind(settings: Settings) -> socket.socket:
    """Return a socket bound to the address of the settings. Raises SystemExit after a line in the log."""
    try:
        addresses = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = addresses[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bind_when_free(listener, address, settings)
    except OSError as error:
        reason = error.strerror or str(error)
        log.critical("cannot listen", host=settings.host, port=settings.port, reason=reason)
        raise SystemExit(1) from None
    return listener


def _bind_when_free(listener: socket.socket, address: tuple[Any, ...], settings: Settings) -> None:
    """Bind a socket, and wait while the port is in use: perhaps by workers that are ending, because their parent was killed."""
    deadline, is_waiting = time.monotonic() + settings.shutdown_seconds, False
    while True:
        try:
            return listener.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
        if not is_waiting:
            is_waiting = True
            log.warning("waiting for the port", host=settings.host, port=settings.port)
        time.sleep(0.1)


def _raise_file_limit() -> None:
    """Allow as many connections as the system permits; one slow client can use up the usual 1024."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = _MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_OPEN_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))
