"""The first day on which anything was recorded. As of an earlier day nothing was known, and numbers have no value.

The day is stored in the table `books`. It only ever moves back, when history is imported with its own days.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from app.database.connection import Connection
from app.database.pool import Database
from app.database.query_plan import QueryPlan, run_plan
from app.database.statements import BoundStatement, compile_query
from app.database.tables import books


@dataclass(slots=True)
class FirstDay:
    """What a process has read of the first day: it is the day `at_latest` or an earlier one; None: nothing is known of it."""

    at_latest: date | None = None

    def is_by(self, day: date) -> bool:
        """Return whether the first day is certainly that day or an earlier one."""
        return self.at_latest is not None and self.at_latest <= day


_DAY = sa.bindparam("day", type_=sa.Date)
_SELECT = compile_query(sa.select(books.c.first_recorded_on))
_ADVANCE = compile_query(
    sa.update(books)
    .values(first_recorded_on=_DAY)
    .where(books.c.first_recorded_on.is_(None) | (books.c.first_recorded_on > _DAY))
    .returning(books.c.first_recorded_on)
)


def load_first_day(first_day: FirstDay) -> QueryPlan[date | None]:
    """Return the first day on which anything was recorded, or None."""
    (rows,) = yield [BoundStatement(_SELECT, {})]
    stored: date | None = rows[0][0]
    if stored is not None and not first_day.is_by(stored):
        first_day.at_latest = stored
    return stored


async def is_recorded_by(database: Database, first_day: FirstDay, day: date) -> bool:
    """Return whether anything had been recorded by the end of a day. Reads only what the process does not know yet."""
    if first_day.is_by(day):
        return True
    stored = await database.look_up(lambda connection: run_plan(connection, load_first_day(first_day)))
    return stored is not None and stored <= day


async def note_recorded_days(connection: Connection, first_day: FirstDay, days: Iterable[date]) -> None:
    """Store the earliest of the days on which events are being recorded, unless the first day is that day or an earlier one.

    This costs a statement only until the process has read that something was recorded by then.
    """
    earliest = min(days, default=None)
    if earliest is None or first_day.is_by(earliest):
        return
    (changed_rows,) = await connection.fetch_batch(BoundStatement(_ADVANCE, {"day": earliest}))
    if not changed_rows:
        # What this transaction has written itself may be rolled back. What was stored before is certain.
        first_day.at_latest = earliest
