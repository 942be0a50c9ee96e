"""The whole service as a process of its own, on the database of the test, with a log that the test reads."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.support.service import ADMIN_KEY, PATIENCE

ROOT = Path(__file__).parents[2]
_CSMETRICS = [sys.executable, "-c", "from app.cli.main import main; main()"]


class ServiceProcess:
    """`csmetrics serve` in a process. The environment variables are its settings."""

    def __init__(self, folder: Path, database: str, **variables: Any) -> None:
        self.log, self.folder = folder / "log", folder
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
        environment |= {"DATABASE_URL": database.replace("+psycopg", ""), "ADMIN_KEY": ADMIN_KEY, "PORT": "0"}
        environment |= {name: str(value) for name, value in variables.items()}
        with self.log.open("wb") as file:
            self.process = subprocess.Popen([*_CSMETRICS, "serve"], cwd=folder, env=environment, stderr=file)
        self.workers = int(variables.get("WORKERS", 1))

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        """Return the complete lines of the log whose event begins with a text."""
        texts = self.log.read_text().splitlines(keepends=True)
        lines = [json.loads(text) for text in texts if text.endswith("\n")]
        return [line for line in lines if line["event"].startswith(event)]

    def wait_until_listening(self) -> None:
        wait_until(lambda: len(self.lines("listening")) >= self.workers or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()
        self.url = f"http://127.0.0.1:{self.lines('listening')[0]['port']}"

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request on an HTTP connection of its own, so that any worker may answer it."""
        options["headers"] = {"Authorization": f"Bearer {ADMIN_KEY}"} | options.get("headers", {})
        return httpx.request(method, self.url + path, timeout=PATIENCE, trust_env=False, **options)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        """End the process, in whatever state it is."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
            self.process.kill()
        self.process.wait()


@contextmanager
def service_process(folder: Path, database: str, **variables: Any) -> Iterator[ServiceProcess]:
    """Run the service for the duration of a `with` block."""
    process = ServiceProcess(folder, database, **variables)
    try:
        process.wait_until_listening()
        yield process
    finally:
        process.end()


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition is true. Fails after minutes, since that is a hang."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
