"""Several processes write the books again, or prove them: together what one does alone, or nothing that counts as done."""

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
from app.ledger import rebuild as rebuilding
from app.ledger.rebuild import Progress, account_batches, rebuild
from app.ledger.verify import Difference, verify
from tests.ingest.test_concurrency import mixed_events, query_database
from tests.support.service import PATIENCE, Service, session

pytestmark = pytest.mark.own_database

ROOT = Path(__file__).parents[2]


assert query_database  # a fixture


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "_EVENTS_AT_A_TIME", 3)


async def drained(steps: Any) -> list[Any]:
    return [step async for step in steps]


async def refuse(books: Any, ids: dict[int, str]) -> None:
    raise Conflict(f"{len(ids)} is too many.")


async def die(books: Any, ids: dict[int, str]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_they_write_together_what_was_lost_and_prove_it(service: Service, execute_in: Callable[[str], None]) -> None:
    service.send(*mixed_events(Random(5)))
    for table in ("entry", "total", "grand_total", "presence", "registration", "attribute"):
        execute_in(f"DELETE FROM {table}")
    lost = service.run(drained(verify(service.books, share=worker_pool(2))))
    assert any(isinstance(step, Difference) for step in lost)
    steps = service.run(drained(rebuild(service.books, share=worker_pool(2))))
    assert len(steps) > 2
    assert service.differences() == []
    found = service.run(drained(verify(service.books, share=worker_pool(2))))
    assert all(isinstance(step, Progress) for step in found)
    assert sum(step.events for step in found) == sum(step.events for step in steps) > 0


def test_a_part_that_fails_fails_the_whole_and_the_rebuild_is_not_finished(
    service: Service, execute_in: Callable[[str], None], query_database: Callable[[str], list[Any]]
) -> None:
    service.send(*(session(account) for account in ("acme", "globex", "initech", "umbrella")))
    execute_in("UPDATE books SET posted_by = 1")
    execute_in("ALTER TABLE entry ADD CONSTRAINT refused CHECK (value = 0) NOT VALID")
    with pytest.raises(psycopg.Error, match="refused"):
        service.run(drained(rebuild(service.books, share=worker_pool(2))))
    assert query_database("SELECT posted_by FROM books") == [(1,)]
    execute_in("ALTER TABLE entry DROP CONSTRAINT refused")
    assert service.differences() == []
    service.run(drained(rebuild(service.books, share=worker_pool(2))))
    assert query_database("SELECT posted_by FROM books") != [(1,)]


@pytest.mark.parametrize(
    ("work", "said"), [(refuse, (Conflict, "1 is too many")), (die, (Unavailable, "ended from outside"))]
)
def test_what_ends_one_of_them_ends_all(service: Service, work: Any, said: tuple[type[Exception], str]) -> None:
    service.send(*(session(account) for account in ("acme", "globex", "initech", "umbrella") for _ in range(3)))
    error, message = said
    with pytest.raises(error, match=message):
        service.run(drained(worker_pool(2)(service.books, work, account_batches(service.books))))
    assert multiprocessing.active_children() == []


def test_an_interrupt_ends_them_at_once_and_nothing_was_lost(service: Service, database: str, tmp_path: Path) -> None:
    """Whatever they are at: here they wait for a lock."""
    service.send(session())
    words = [sys.executable, "-c", "from app.cli.main import main; main()", "rebuild", "--processes", "2"]
    settings = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATABASE_URL": database}
    with psycopg.connect(database.replace("+psycopg", "")) as connection:
        connection.execute("SELECT FROM account FOR UPDATE")
        # A shell that runs the tests in the background has them, and all that they start, ignore it.
        heeded = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
        command = subprocess.Popen(
            words, env=settings, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heeded
        )
        try:
            until = time.monotonic() + PATIENCE
            while not connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                assert command.poll() is None and time.monotonic() < until
                time.sleep(0.05)
            command.send_signal(signal.SIGINT)
            _, said = command.communicate(timeout=PATIENCE)
        finally:
            command.kill()
    assert command.returncode not in (0, -signal.SIGKILL)
    assert "Traceback" not in said
    assert service.differences() == []
