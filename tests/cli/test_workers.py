"""Several processes rebuild or verify the ledger: with the result of a single process, or not at all."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from app.cli.workers import worker_pool
from app.core.errors import Conflict, Unavailable
from app.ledger import batches
from app.ledger.batches import Progress, account_batches
from app.ledger.rebuild import rebuild
from app.ledger.verify import Difference, verify
from tests.ingest.test_concurrency import mixed_events
from tests.support.service import PATIENCE, Service, session

pytestmark = pytest.mark.own_database

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_MAX_EVENTS", 3)


async def drain(steps: Any) -> list[Any]:
    return [step async for step in steps]


async def raise_conflict(books: Any, ids: dict[int, str]) -> None:
    raise Conflict(f"{len(ids)} is too many.")


async def kill_process(books: Any, ids: dict[int, str]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_several_processes_rebuild_and_verify_the_ledger_completely(
    service: Service, execute_in: Callable[[str], None]
) -> None:
    service.send(*mixed_events(Random(5)))
    for table in ("entry", "total", "grand_total", "presence", "registration", "attribute"):
        execute_in(f"DELETE FROM {table}")
    lost = service.run(drain(verify(service.books, executor=worker_pool(2))))
    assert any(isinstance(step, Difference) for step in lost)
    steps = service.run(drain(rebuild(service.books, executor=worker_pool(2))))
    assert len(steps) > 2
    assert service.differences() == []
    found = service.run(drain(verify(service.books, executor=worker_pool(2))))
    assert all(isinstance(step, Progress) for step in found)
    assert sum(step.events for step in found) == sum(step.events for step in steps) > 0


def test_a_failure_in_one_part_fails_the_rebuild_which_stays_unfinished(
    service: Service, execute_in: Callable[[str], None], query_database: Callable[[str], list[Any]]
) -> None:
    service.send(*(session(account) for account in ("acme", "globex", "initech", "umbrella")))
    execute_in("UPDATE books SET posted_by = 1")
    execute_in("ALTER TABLE entry ADD CONSTRAINT refused CHECK (value = 0) NOT VALID")
    with pytest.raises(psycopg.Error, match="refused"):
        service.run(drain(rebuild(service.books, executor=worker_pool(2))))
    assert query_database("SELECT posted_by FROM books") == [(1,)]
    execute_in("ALTER TABLE entry DROP CONSTRAINT refused")
    assert service.differences() == []
    service.run(drain(rebuild(service.books, executor=worker_pool(2))))
    assert query_database("SELECT posted_by FROM books") != [(1,)]


@pytest.mark.parametrize(
    ("work", "error", "message"),
    [(raise_conflict, Conflict, "1 is too many"), (kill_process, Unavailable, "was killed")],
)
def test_the_failure_of_one_process_ends_all_processes(
    service: Service, work: Any, error: type[Exception], message: str
) -> None:
    service.send(*(session(account) for account in ("acme", "globex", "initech", "umbrella") for _ in range(3)))
    with pytest.raises(error, match=message):
        service.run(drain(worker_pool(2)(service.books, work, account_batches(service.books))))
    assert multiprocessing.active_children() == []


def test_an_interrupt_ends_all_processes_at_once_and_loses_nothing(
    service: Service, database: str, tmp_path: Path
) -> None:
    """The processes wait for a lock at that moment."""
    service.send(session())
    arguments = [sys.executable, "-c", "from app.cli.main import main; main()", "rebuild", "--processes", "2"]
    settings = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATABASE_URL": database}
    with psycopg.connect(database.replace("+psycopg", "")) as connection:
        connection.execute("SELECT FROM account FOR UPDATE")
        # A shell that runs the tests in the background makes them, and all that they start, ignore the signal.
        heed_interrupts = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
        command = subprocess.Popen(
            arguments, env=settings, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
        )
        try:
            until = time.monotonic() + PATIENCE
            while not connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                assert command.poll() is None and time.monotonic() < until
                time.sleep(0.05)
            command.send_signal(signal.SIGINT)
            _, output = command.communicate(timeout=PATIENCE)
        finally:
            command.kill()
    assert command.returncode not in (0, -signal.SIGKILL)
    assert "Traceback" not in output
    assert service.differences() == []
