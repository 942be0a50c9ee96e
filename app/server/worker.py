"""Worker: uvicorn's server of one process, with deadlines for connections, for the shutdown, and for an orphaned process.

`tests/server/test_uvicorn_assumptions.py` lists what this file assumes about uvicorn.
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

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from app.core import logs
from app.core.memory import share_freed_memory
from app.core.settings import Settings
from app.server.protocol import HttpProtocol

# How long a worker without a parent may take to give up its start. It has nothing to finish.
_ORPHAN_START_SECONDS = 2
# More than the 60 seconds after which load balancers close idle connections; else some requests would meet a closed one.
_KEEP_ALIVE_SECONDS = 65

# How many new objects make a collection of the young ones, how many of these one of the next generation, and of all.
_GC_THRESHOLDS = (20_000, 5, 1_000)
_GC_TICKS = 600  # uvicorn ticks ten times a second

log = structlog.get_logger(__name__)


class ServerConfig(uvicorn.Config):
    """uvicorn's configuration, which also carries the settings to the workers and their connections.

    stop_seconds: how long the shutdown of a process may take. Requests get most of it, the rest is for the app's own shutdown.
    """

    def __init__(self, factory: str, *, settings: Settings) -> None:
        self.settings = settings
        self.stop_seconds = settings.shutdown_seconds * (
            0.9 if settings.workers > 1 else 1
        )  # the parent needs the rest
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
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(self.stop_seconds * 0.75),
            reset_contextvars=True,
        )

    def configure_logging(self) -> None:
        """Configure the log. uvicorn calls this in every process."""
        logs.configure(self.settings.log_level)


class Worker(uvicorn.Server):
    """uvicorn's server of one process."""

    config: ServerConfig

    def __init__(self, config: ServerConfig) -> None:
        super().__init__(config)
        self.task: asyncio.Task[None] | None = None
        self.alarm = exit_after(config.stop_seconds)
        if (parent := multiprocessing.parent_process()) is not None:
            threading.Thread(target=self._stop_with_parent, args=[parent], name="parent", daemon=True).start()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal. Raises SystemExit after a line in the log if the server cannot start or stop, or fails."""
        share_freed_memory()
        gc.disable()  # until `startup`: what the imports create stays for good, and to look through it is a fifth of their time
        try:
            super().run(sockets)
            if self.lifespan.should_exit:  # the application did not stop cleanly; the log says why
                raise SystemExit(1)
        except (KeyboardInterrupt, asyncio.CancelledError):
            log.info("stopped before the start was complete")
        except Exception as error:
            log.critical("the server failed", reason=str(error), exc_info=True)
            # The supervisor replaces a worker that has failed, but not one that could not even start.
            raise SystemExit(1 if self.started else STARTUP_FAILURE) from None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop, self.task = asyncio.get_running_loop(), asyncio.current_task()
        if self.should_exit:  # the parent has ended before this
            raise asyncio.CancelledError
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # The objects that exist after the start stay for good; collecting them again and again doubles the cost of large batches.
        gc.collect()
        gc.freeze()
        # A large answer has a million objects, none of them garbage. To look through all of them, again and again, would double
        # its time and halt all threads for as long: they are looked through when nothing is going on, see `on_tick`.
        gc.set_threshold(*_GC_THRESHOLDS)
        gc.enable()
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            log.info("listening", url=f"http://{f'[{host}]' if ':' in host else host}:{port}", port=port)

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop. uvicorn calls this ten times a second."""
        if counter % _GC_TICKS == 0 and not self.server_state.tasks:
            gc.collect()
        if counter % 5 == 0:
            now = self.loop.time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, HttpProtocol):
                    connection.abort_if_overdue(now)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            try:
                yield
            finally:
                self._captured_signals.clear()  # uvicorn would raise them again, and nothing after that would run

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.alarm.put(None)
        super().handle_exit(sig, frame)
        if not self.started and self.task is not None:  # a start may wait for the database for a long time
            self.loop.call_soon_threadsafe(self.task.cancel)

    def _stop_with_parent(self, parent: multiprocessing.process.BaseProcess) -> None:
        """Stop when the parent has ended, at any moment: also during a start, and while the event loop is busy.

        Until this process has ended, it may keep the port from the next start of the service.
        """
        parent.join()
        if not self.should_exit:
            log.error("the parent process has ended, so this worker stops")
        self.handle_exit(signal.SIGTERM, None)
        if not self.started:
            time.sleep(_ORPHAN_START_SECONDS)
            if not self.started:
                os._exit(1)


def exit_after(seconds: float, *, cleanup: Callable[[], None] = lambda: None) -> SimpleQueue[None]:
    """Return a queue: `seconds` after something was put into it, this process ends, whatever it is doing.

    A thread ends the process without logging, because it may be the log that hangs. A SimpleQueue, because a signal handler may
    put into it at any time. cleanup: called right before the end.
    """
    alarm: SimpleQueue[None] = SimpleQueue()

    def wait() -> None:
        alarm.get()
        time.sleep(seconds)
        cleanup()
        os._exit(1)

    threading.Thread(target=wait, name="exit", daemon=True).start()
    return alarm
