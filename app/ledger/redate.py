"""Redate: the repair after a clock that was ahead. What was recorded on days that have not come is recorded on today instead.

The last day of the books is moved back first, so that a running service records on today while the accounts are redated, a
batch of them in one transaction. An interrupted repair can be run again. Days before today stay as they are, and so does every
answer as of one of them.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from functools import partial

import sqlalchemy as sa

from app.accounts.accounts import lock_accounts
from app.books.books import Books
from app.books.last_day import move_last_day_back
from app.database.connection import Connection
from app.database.tables import MIN_DATE, account, event, health_model, segment, target
from app.ledger.batches import AccountBatch, Executor, Progress, account_batches, in_process
from app.ledger.rebuild import replace_derived_rows


@dataclass(frozen=True, slots=True)
class LaterDays:
    """What is recorded on days after a day: the last of these days, and how many of each kind there are.

    targets: their versions.
    """

    last: date | None
    accounts: int
    events: int
    segments: int
    targets: int


async def count_later(connection: Connection, day: date) -> LaterDays:
    """Count what is recorded after a day."""
    is_later = (event.c.recorded_on > day) | (event.c.retracted_on > day)
    days = sa.union_all(
        sa.select(sa.func.max(account.c.last_recorded_on).label("day")),
        sa.select(sa.func.max(segment.c.recorded_on)),
        sa.select(sa.func.max(target.c.recorded_on)),
        sa.select(sa.func.max(health_model.c.recorded_on)),
    ).subquery()
    later_accounts = sa.select(account.c.account_id).where(account.c.last_recorded_on > day)
    return LaterDays(
        last=await connection.scalar(sa.select(sa.func.max(days.c.day)).where(days.c.day > day)),
        accounts=await connection.scalar(sa.select(sa.func.count()).select_from(later_accounts.subquery())),
        events=await connection.scalar(
            sa.select(sa.func.count()).where(event.c.account_id.in_(later_accounts), is_later)
        ),
        segments=await connection.scalar(sa.select(sa.func.count()).where(segment.c.recorded_on > day)),
        targets=await connection.scalar(sa.select(sa.func.count()).where(target.c.recorded_on > day)),
    )


async def redate(books: Books, *, day: date, executor: Executor = in_process) -> AsyncIterator[Progress]:
    """Record on `day`, which is today, what is recorded on later days. Yields the progress of each batch of accounts."""
    await move_last_day_back(books.database, books.last_day, day)
    batches = account_batches(books, recorded_after=day)
    async for progress in executor(books, partial(redate_accounts, day=day), batches):
        yield progress
    await books.database.write(lambda connection: _redate_others(connection, day))


async def redate_accounts(books: Books, batch: AccountBatch, *, day: date) -> Progress:
    """Record on `day` what is recorded on later days of these accounts, and write what is derived from their events again."""

    async def write(connection: Connection) -> int:
        await lock_accounts(connection, {account_id: (id, MIN_DATE) for account_id, id in batch.items()})
        for table, columns in ((event, ("recorded_on", "retracted_on")), (account, ("last_recorded_on",))):
            for column in columns:
                is_later = table.c.account_id.in_(list(batch)) & (table.c[column] > day)
                await connection.execute(sa.update(table).where(is_later).values({column: day}))
        return await replace_derived_rows(connection, list(batch), books=books)

    return Progress(len(batch), await books.database.write(write))


# Of several values from later days on, the last one holds from that day on.
_REDATE_OTHERS = [
    """
    INSERT INTO segment (name, recorded_on, filter)
    SELECT DISTINCT ON (name) name, CAST(%(day)s AS date), filter FROM segment
    WHERE recorded_on > %(day)s ORDER BY name, recorded_on DESC
    ON CONFLICT (name, recorded_on) DO UPDATE SET filter = excluded.filter
    """,
    "DELETE FROM segment WHERE recorded_on > %(day)s",
    """
    INSERT INTO gross_margin (valid_from, margin)
    SELECT CAST(%(day)s AS date), margin FROM gross_margin
    WHERE valid_from > %(day)s ORDER BY valid_from DESC LIMIT 1
    ON CONFLICT (valid_from) DO UPDATE SET margin = excluded.margin
    """,
    "DELETE FROM gross_margin WHERE valid_from > %(day)s",
    # The days on which a target holds are what a client said.
    "UPDATE target SET recorded_on = %(day)s WHERE recorded_on > %(day)s",
    # A version that holds from the day on which it was put holds from that day on, instead of one that did so far.
    """
    DELETE FROM health_model AS other USING (
        SELECT max(version) AS version FROM health_model WHERE recorded_on > %(day)s AND effective_from = recorded_on) AS latest
    WHERE other.version <> latest.version
        AND (other.effective_from = %(day)s OR (other.recorded_on > %(day)s AND other.effective_from = other.recorded_on))
    """,
    """
    UPDATE health_model SET recorded_on = %(day)s,
        effective_from = CASE WHEN effective_from = recorded_on THEN %(day)s ELSE effective_from END
    WHERE recorded_on > %(day)s
    """,
    "UPDATE api_key SET last_used_on = %(day)s WHERE last_used_on > %(day)s",
    "UPDATE books SET first_recorded_on = %(day)s WHERE first_recorded_on > %(day)s",
]


async def _redate_others(connection: Connection, day: date) -> None:
    """Redate what belongs to no account."""
    for statement in _REDATE_OTHERS:
        await connection.execute(statement, {"day": day})
