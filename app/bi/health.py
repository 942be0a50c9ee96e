"""The copy of the latest health of all accounts, which a view shows: scores are computed, and SQL cannot compute them.

It is renewed every ten minutes and when a day begins, and only if a role may read the views.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from time import monotonic
from typing import Any

import structlog

from app.bi.record_views import SUBJECT
from app.bi.update import READERS
from app.books.books import Books
from app.core.errors import ServiceError
from app.database.connection import Connection
from app.database.statements import bind_json_rows, json_table
from app.metrics.offers import OFFERS, AccountHealth

log = structlog.get_logger(__name__)

# All accounts are scored, so not each minute.
_PAUSE = timedelta(minutes=10)
_LOCK = 4_711_235_817
_TRY_LOCK = f"SELECT pg_try_advisory_xact_lock({_LOCK}) AS is_locked"
_LOAD = f"SELECT day, at FROM news_search WHERE subject = '{SUBJECT}'"
_NOTE = f"""
    INSERT INTO news_search (subject, day, at, is_due) VALUES ('{SUBJECT}', %(day)s, %(now)s, false)
    ON CONFLICT (subject) DO UPDATE SET day = excluded.day, at = excluded.at, is_due = false
    """
_COLUMNS = {
    "account_id": "bigint",
    "model_version": "integer",
    "score": "integer",
    "band": "text",
    "coverage": "numeric",
    "flags": "text[]",
    "is_customer": "boolean",
    "mrr": "numeric",
    "override_score": "integer",
    "components": "jsonb",
}
_NAMES = ", ".join(_COLUMNS)
_VALUE_COLUMNS = [name for name in _COLUMNS if name != "account_id"]
_WRITE = f"""
    INSERT INTO health_copy ({_NAMES})
    SELECT {_NAMES} FROM {json_table(f"row({', '.join(' '.join(item) for item in _COLUMNS.items())})")}
    ORDER BY account_id
    ON CONFLICT (account_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _VALUE_COLUMNS)}
    WHERE ({", ".join(f"health_copy.{name}" for name in _VALUE_COLUMNS)})
        IS DISTINCT FROM ({", ".join(f"excluded.{name}" for name in _VALUE_COLUMNS)})
    """
_DELETE = "DELETE FROM health_copy WHERE account_id <> ALL(CAST(%(accounts)s AS bigint[]))"


@dataclass(slots=True)
class _RetryTime:
    """When to try again after a failure, by `time.monotonic`."""

    at: float = 0.0


_retry_time = _RetryTime()


async def keep_health(books: Books) -> None:
    """Renew the copy if it is time to. What goes wrong is written to the log: the service does not need it."""
    if monotonic() < _retry_time.at:
        return
    try:
        await renew_health(books)
    except ServiceError as error:
        _retry_time.at = monotonic() + _PAUSE.total_seconds()
        log.warning("the view of health cannot be renewed", reason=str(error))


async def renew_health(books: Books, *, is_forced: bool = False) -> int | None:
    """Renew the copy; return how many accounts it has, or None if it was not time to. is_forced: it is always time."""
    today = await books.load_today()

    async def write(connection: Connection) -> int | None:
        if not (await connection.execute(_TRY_LOCK))[0].is_locked and not is_forced:
            return None
        if not is_forced and not await _is_time(connection, today, books.now()):
            return None
        rows = await OFFERS.account_health(connection, books, day=today)
        await _replace(connection, rows)
        await connection.execute(_NOTE, {"day": today, "now": books.now()})
        return len(rows)

    return await books.database.write_aside(write)


async def _is_time(connection: Connection, today: date, now: datetime) -> bool:
    rows = await connection.execute(_LOAD)
    # A clock that went back does not stop it.
    if rows and rows[0].day == today and timedelta(0) <= now - rows[0].at < _PAUSE:
        return False
    return bool(await connection.execute(READERS))


async def _replace(connection: Connection, rows: Sequence[AccountHealth]) -> None:
    await connection.execute(_DELETE, {"accounts": [own.account for own in rows]})
    await connection.enqueue(bind_json_rows(_WRITE, [_table_row(own) for own in rows]))


def _table_row(own: AccountHealth) -> dict[str, Any]:
    return own._asdict() | {"account_id": own.account}


OFFERS.watch_steps.append(keep_health)
