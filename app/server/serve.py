"""The server: uvicorn, held to more than it promises by itself.

A client gets `header_seconds` for the head of a request. A stop (SIGTERM, SIGINT) takes at most `shutdown_seconds`,
whatever the clients, the app or the reader of the log do. Workers that die are replaced, and none outlives its parent.
"""

import asyncio
import contextlib
import gc
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from types import FrameType
from typing import Any

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import multiprocess

from app.core import logs
from app.core.settings import Settings
from app.server.protocol import HttpProtocol

_MOST_FILES = 65536
_IDLE_SECONDS = 65  # more than the 60 after which load balancers close, or some requests would meet a closed connection

log = structlog.get_logger(__name__)


def run(settings: Settings, *, factory: str = "app.main:create_app") -> None:
    """Serve until a signal stops it. `factory` names a function without parameters that makes the ASGI app.

    Errors: SystemExit with a code other than 0, after a line in the log, if the service cannot start.
    """
    config = _Config(factory, settings=settings)
    listener = _bind(settings)
    _raise_file_limit()
    if settings.workers > 1:
        _supervise(config, listener)
    else:
        _serve(_Server(config), [listener])


class _Config(uvicorn.Config):
    """uvicorn's configuration, which also brings the settings to the workers and to their connections.

    stop_seconds: what a process gets for a stop. Requests get most of it, the rest is for the app's own end.
    """

    def __init__(self, factory: str, *, settings: Settings) -> None:
        self.settings = settings
        self.stop_seconds = settings.shutdown_seconds * (0.9 if settings.workers > 1 else 1)  # the parent needs some
        super().__init__(
            factory,
            factory=True,
            host=settings.host,
            port=settings.port,
            workers=settings.workers,
            http=HttpProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.forwarded_allow_ips),
            forwarded_allow_ips=settings.forwarded_allow_ips,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=int(self.stop_seconds * 0.75),
            reset_contextvars=True,
        )

    def configure_logging(self) -> None:
        """uvicorn calls this in every process."""
        logs.configure(self.settings.log_level)


def _bind(settings: Settings) -> socket.socket:
    try:
        addresses = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = addresses[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        reason = error.strerror or str(error)
        log.critical("cannot listen", host=settings.host, port=settings.port, reason=reason)
        raise SystemExit(1) from None
    return listener


def _raise_file_limit() -> None:
    """Allow as many connections as the system does; the usual 1024 can be used up by one slow client."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def _serve(server: "_Server", sockets: list[socket.socket] | None) -> None:
    """Serve in this process."""
    try:
        server.run(sockets)
    except (KeyboardInterrupt, asyncio.CancelledError):
        log.info("stopped before the start was complete")
    except Exception as error:
        log.critical("the server failed", reason=str(error), exc_info=True)
        # The supervisor replaces a worker that has failed, but not one that could not even start.
        raise SystemExit(1 if server.started else STARTUP_FAILURE) from None


class _Server(uvicorn.Server):
    """uvicorn's server of one process."""

    config: _Config

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop, self.task = asyncio.get_running_loop(), asyncio.current_task()
        self.parent = multiprocessing.parent_process()
        self.alarm = _exit_after(self.config.stop_seconds)
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What a start has made stays for ever: looking through it again and again doubles what a large batch costs.
        gc.collect()
        gc.freeze()
        for sock in sockets or ():
            host, port = sock.getsockname()[:2]
            log.info("listening", url=f"http://{f'[{host}]' if ':' in host else host}:{port}", port=port)

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if counter % 5 == 0:
            now = self.loop.time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, HttpProtocol):
                    connection.cut_if_overdue(now)
            if self.parent is not None and self.parent.pid != os.getppid() and not self.should_exit:
                log.error("the parent process is gone, so this worker stops")
                self.handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            try:
                yield
            finally:
                self._captured_signals.clear()  # uvicorn would raise them again, and nothing after it would run

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.alarm.put(None)
        super().handle_exit(sig, frame)
        if not self.started and self.task is not None:  # a start may wait long for the database
            self.loop.call_soon_threadsafe(self.task.cancel)


def _exit_after(seconds: float, *, first: Callable[[], None] = lambda: None) -> SimpleQueue[None]:
    """A queue: `seconds` after something was put into it, this process ends, whatever it is doing.

    It is ended from a thread, without a line in the log: what hangs may be the log. A SimpleQueue, since a handler of
    signals may put into it at any time.
    """
    alarm: SimpleQueue[None] = SimpleQueue()

    def wait() -> None:
        alarm.get()
        time.sleep(seconds)
        first()
        os._exit(1)

    threading.Thread(target=wait, name="exit", daemon=True).start()
    return alarm


def _supervise(config: _Config, listener: socket.socket) -> None:
    """Serve in `config.workers` processes."""
    multiprocess.Process = _Worker  # type: ignore[misc]  # the supervisor offers no other way to name its workers' class
    supervisor = _Supervisor(config, [listener])
    supervisor.run()
    if any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes):
        raise SystemExit(STARTUP_FAILURE)


class _Supervisor(multiprocess.Multiprocess):
    """uvicorn's supervisor; its workers end by themselves in time, and this sees to it that nothing waits longer."""

    def __init__(self, config: _Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self.alarm = _exit_after(config.settings.shutdown_seconds, first=self.kill_all)
        for sig in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sig, self.note)

    def note(self, sig: int, frame: FrameType | None) -> None:
        self.alarm.put(None)
        self.signal_queue.append(sig)

    def terminate_all(self) -> None:
        for sock in self.sockets:
            sock.close()  # or connections would be made that nobody answers
        self.alarm.put(None)
        super().terminate_all()

    def kill_all(self) -> None:
        for worker in self.processes:
            worker.process.kill()


class _Worker(multiprocess.Process):
    """A process that serves; made in the parent, and sent to the process."""

    def target(self, sockets: list[Any] | None = None) -> None:
        assert isinstance(self.config, _Config)
        self._server = _Server(self.config)
        threading.Thread(target=self.always_pong, daemon=True).start()
        _serve(self._server, sockets)

    def is_alive(self, timeout: float = 5) -> bool:
        """uvicorn asks the worker, which would hold up a stop for `timeout` when the worker dies just then."""
        return self.process.is_alive()
