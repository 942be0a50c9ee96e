"""The last day of the books: the day on which everything is recorded now. Nothing is ever recorded on an earlier one.

The day is stored in the table `books`, so that all processes on all machines record on the same day, whatever their clocks say.
It only moves forward (but for `csmetrics clock repair`):

- A clock that is ahead of the books moves them on, when something is recorded. A clock that is further ahead than
  MAX_CLOCK_JUMP_DAYS is refused: nothing is recorded until someone says that it is right.
- A clock that is behind the books is followed by them: today is their last day.
- Before a question is answered as of a day that is over by this process's clock, the books are moved past it.

A transaction that records something compares its day with the stored one right before it commits, under a shared lock. Whoever
moves the books on takes the lock alone. So it waits for what is being committed on the old day, and later commits fail and run
again on the new one: when the move is done, the days before are final.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date

import psycopg
import sqlalchemy as sa

from app.core.errors import Unavailable
from app.database.connection import Connection
from app.database.pool import Database
from app.database.statements import BoundStatement, compile_query
from app.database.tables import LAST_DAY_LOCK, books

# Within this time a process whose clock is behind learns that another one has moved the books on.
MAX_AGE_SECONDS = 1.0
_RETRY_SECONDS = 60


class ClockAhead(Unavailable):
    """The clock is so far ahead of the books that it is probably wrong. Nothing is recorded."""

    def __init__(self, day: date, last_day: date, max_jump_days: int) -> None:
        super().__init__(
            f"Nothing is recorded: by the clock of the service it is {day}, but the last day of the books is {last_day}, and "
            f"MAX_CLOCK_JUMP_DAYS is {max_jump_days}. If the clock is wrong, correct it. If it is right, run `csmetrics clock "
            "accept`. Questions are answered meanwhile.",
            code="clock_ahead",
            retry_after=_RETRY_SECONDS,
        )


@dataclass(slots=True)
class LastDay:
    """What a process has read of the last day; others may have moved it on since. None: nothing has been recorded yet.

    read_at: when it was read, by `time.monotonic`. reported_day: the day of the clock that the log has a line about.
    """

    latest: date | None = None
    read_at: float = 0
    reported_day: date | None = None

    def follow(self, day: date, *, max_jump_days: int) -> date:
        """Return today for a clock that says `day`: this day, or the last one if the clock is behind it or too far ahead."""
        if self.latest is None or (self.latest < day and not self.is_too_far(day, max_jump_days=max_jump_days)):
            return day
        return self.latest

    def note(self, day: date | None) -> None:
        """Note a day that was read among other things. An earlier one may be what was read before a later one was."""
        if day is not None and (self.latest is None or day >= self.latest):
            self.latest, self.read_at = day, time.monotonic()

    def is_after(self, day: date) -> bool:
        """Return whether the books have certainly gone past a day."""
        return self.latest is not None and self.latest > day

    def is_fresh(self) -> bool:
        """Return whether it was read a moment ago."""
        return time.monotonic() - self.read_at < MAX_AGE_SECONDS

    def is_too_far(self, day: date, *, max_jump_days: int) -> bool:
        """Return whether a day is so far ahead that the clock is probably wrong."""
        return self.latest is not None and (day - self.latest).days > max_jump_days


_SELECT = compile_query(sa.select(books.c.last_day))


async def load_last_day(database: Database, last_day: LastDay) -> None:
    """Read the last day: one statement."""

    async def read(connection: Connection) -> date | None:
        ((rows,),) = await connection.fetch_batch(BoundStatement(_SELECT, {}))
        return rows[0]  # type: ignore[no-any-return]

    last_day.latest, last_day.read_at = await database.look_up(read), time.monotonic()


async def move_last_day(database: Database, last_day: LastDay, day: date, *, max_jump_days: int | None) -> None:
    """Move the books on to a day unless they are there or further. Then no day before is recorded on any more.

    max_jump_days: None for any number. Does nothing but read the last day where the jump is too long.
    """
    is_before = books.c.last_day.is_(None) | (books.c.last_day < day)
    if max_jump_days is not None:
        is_before &= books.c.last_day.is_(None) | (day - books.c.last_day <= max_jump_days)
    last_day.latest = await database.write_aside(_move(day, is_before))


async def move_last_day_back(database: Database, last_day: LastDay, day: date) -> None:
    """Move the books back to a day, for the repair after a wrong clock: from now on things are recorded on it again.

    That changes the state of the data: an answer of the wrong day may have been noted with the day before, and that comes back.
    """
    last_day.latest = await database.write(_move(day, books.c.last_day > day))


def _move(day: date, condition: sa.ColumnElement[bool]) -> Callable[[Connection], Awaitable[date | None]]:
    async def move(connection: Connection) -> date | None:
        # The row first and then the lock, in the order in which a transaction that records something may take both.
        if (await connection.execute(sa.update(books).values(last_day=day).where(condition))).row_count:
            await connection.execute("SELECT pg_advisory_xact_lock(%(key)s)", {"key": LAST_DAY_LOCK})
        stored: date | None = await connection.scalar(sa.select(books.c.last_day))
        return stored

    return move


_OTHER_DAY = "CSM01"


def is_other_day(error: psycopg.Error) -> bool:
    """Return whether a transaction has failed because today is not the last day: see `database.data_state.end_writing`."""
    return error.sqlstate == _OTHER_DAY
