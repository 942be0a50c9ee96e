"""Supervisor: uvicorn's parent of several workers, which replaces those that die and stops all of them in time.

`tests/server/test_uvicorn_assumptions.py` lists what this file assumes about uvicorn.
"""

import signal
import socket
from itertools import count
from types import FrameType
from typing import ClassVar

from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import multiprocess

from app.core import meters
from app.server.worker import ServerConfig, Worker, exit_after


def supervise(config: ServerConfig, listener: socket.socket) -> None:
    """Serve in `config.workers` processes until a signal. Raises SystemExit if they cannot start, or did not stop cleanly."""
    multiprocess.Process = WorkerProcess  # type: ignore[misc]  # the supervisor has no other way to set the workers' class
    supervisor = Supervisor(config, [listener])
    supervisor.run()
    codes = {process.exitcode for process in supervisor.processes}
    if STARTUP_FAILURE in codes:
        raise SystemExit(STARTUP_FAILURE)
    if codes != {0}:
        raise SystemExit(1)


class WorkerProcess(multiprocess.Process):
    """A process with a Worker. This object is created in the parent and pickled for the process.

    number: of the worker among those that run, for its meters.
    """

    config: ServerConfig
    numbers_in_use: ClassVar[set[int]] = set()

    def start(self) -> None:
        self.number = next(number for number in count() if number not in self.numbers_in_use)
        self.numbers_in_use.add(self.number)
        meters.number_next_worker(self.number)
        super().start()

    def join(self) -> None:
        super().join()
        self.numbers_in_use.discard(self.number)

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve. This runs in the new process."""
        self._server = Worker(self.config)
        super().target(sockets)

    def is_alive(self, timeout: float = 5) -> bool:
        """Return whether the process exists.

        uvicorn would also ping it, which delays a shutdown by `timeout` if the process ends at that moment.
        """
        return self.process.is_alive()


class Supervisor(multiprocess.Multiprocess):
    """uvicorn's supervisor. Workers end in time by themselves; this class makes sure that the parent does, too."""

    def __init__(self, config: ServerConfig, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self.alarm = exit_after(config.settings.shutdown_seconds, cleanup=self.kill_all)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_stop_signal)

    def handle_stop_signal(self, sig: int, frame: FrameType | None) -> None:
        self.alarm.put(None)
        self.signal_queue.append(sig)

    def terminate_all(self) -> None:
        for listener in self.sockets:
            listener.close()  # otherwise clients could still connect, and nobody would respond
        self.alarm.put(None)
        super().terminate_all()

    def kill_all(self) -> None:
        for worker in self.processes:
            worker.process.kill()
