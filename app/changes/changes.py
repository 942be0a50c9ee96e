"""Find what has changed since a cursor: the metrics and the accounts of all transactions that have been committed since."""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from app.books.books import Books
from app.changes.cursor import ChangesCursor, parse_cursor
from app.database.connection import Connection
from app.database.data_state import ANYTHING, CHANGE_DAYS
from app.database.statements import BoundStatement, Statement
from app.metrics.define import METRICS, Metric

DEFAULT_LIMIT, MAX_LIMIT = 1_000, 10_000

_SELECT_NOW = Statement(
    "SELECT extract(epoch FROM pg_postmaster_start_time())::text, pg_current_snapshot()::text, clock_timestamp()"
)
# The first condition is for the index; the ids of all older transactions are below it.
_CHANGED = """
    FROM data_change
    WHERE transaction >= pg_snapshot_xmin(CAST(%(since)s AS pg_snapshot))::text::bigint
        AND NOT pg_visible_in_snapshot(transaction::text::xid8, CAST(%(since)s AS pg_snapshot))
        AND pg_visible_in_snapshot(transaction::text::xid8, CAST(%(until)s AS pg_snapshot))
    """
_SELECT_MEASURES = Statement(
    f"SELECT DISTINCT unnest(measures) {_CHANGED} "
    f"UNION ALL SELECT NULL WHERE EXISTS (SELECT 1 {_CHANGED} AND account_ids IS NULL)"
)
_SELECT_ACCOUNTS = Statement(
    f"""
    SELECT id FROM account
    WHERE account_id = ANY(ARRAY(SELECT DISTINCT unnest(account_ids) {_CHANGED})) AND id > %(after)s AND id <> ''
    ORDER BY id LIMIT %(limit)s
    """
)


class _ServerTime(NamedTuple):
    """The state of the server at one moment."""

    server: str
    snapshot: str
    at: datetime


async def load_changes(books: Books, *, since: str | None, limit: int) -> dict[str, Any]:
    """Return a page of what has changed since a cursor. Without one, nothing but the cursor of now. Raises Invalid."""
    cursor = None if since is None else parse_cursor(since)
    today = await books.load_today()

    async def read(connection: Connection) -> dict[str, Any]:
        ((row,),) = await connection.fetch_batch(BoundStatement(_SELECT_NOW, {}))
        now = _ServerTime(*row)
        new_cursor = ChangesCursor(now.server, now.at, today, now.snapshot)
        if cursor is None:
            return _answer(new_cursor, metrics=[], accounts=[])
        if cursor.server != now.server or now.at - cursor.at > timedelta(days=CHANGE_DAYS):
            return _answer(new_cursor, metrics=sorted(METRICS), is_everything=True, last=cursor.today)
        return await _load_page(connection, cursor, new_cursor, limit=limit)

    return await books.database.ask(read)


async def _load_page(
    connection: Connection, cursor: ChangesCursor, new_cursor: ChangesCursor, *, limit: int
) -> dict[str, Any]:
    """Return the page after a cursor. new_cursor: that of now; all pages of an answer are of the moment of the first."""
    if cursor.until:
        new_cursor = new_cursor._replace(since=cursor.until, at=cursor.at)
    parameters = {"since": cursor.since, "until": new_cursor.since}
    page = {**parameters, "after": cursor.after, "limit": limit + 1}
    measure_rows, account_rows = await connection.fetch_batch(
        BoundStatement(_SELECT_MEASURES, parameters), BoundStatement(_SELECT_ACCOUNTS, page)
    )
    measures = {measure for (measure,) in measure_rows}
    metrics = find_metrics(measures - {None})
    if None in measures:
        return _answer(
            new_cursor, metrics=metrics, is_everything=ANYTHING in measures, last=cursor.today, accounts=None
        )
    accounts = [id for (id,) in account_rows[:limit]]
    if len(account_rows) > limit:
        # The moment of the first page, for its age.
        next_cursor = cursor._replace(until=new_cursor.since, after=accounts[-1])
        return _answer(next_cursor, metrics=metrics, accounts=accounts, last=cursor.today, has_more=True)
    return _answer(new_cursor, metrics=metrics, accounts=accounts, last=cursor.today)


def find_metrics(measures: Collection[str]) -> list[str]:
    """Return the names of the metrics that may change with these measures, in order."""
    if ANYTHING in measures:
        return sorted(METRICS)
    if not measures:
        return []
    return sorted(name for name, metric in METRICS.items() if _may_change(metric, measures))


def _may_change(metric: Metric, measures: Collection[str]) -> bool:
    for conventional in metric.conventions.values():
        for operand in conventional.operands:
            own = operand.label_texts | operand.postings
            if not own or own & {*measures}:
                return True
    return False


def _answer(
    cursor: ChangesCursor,
    *,
    metrics: list[str],
    accounts: list[str] | None = None,
    is_everything: bool = False,
    last: date | None = None,
    has_more: bool = False,
) -> dict[str, Any]:
    """Return the answer. last: the day of the cursor that the client has sent."""
    return {
        "everything": is_everything,
        "metrics": metrics,
        "accounts": accounts,
        "today": cursor.today,
        "new_day": last is not None and last != cursor.today,
        "has_more": has_more,
        "next": cursor.encode(),
    }
