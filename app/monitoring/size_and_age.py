"""How large the books are and how far they go: cheap to ask, however many events there are."""

from datetime import datetime
from decimal import Context, Decimal
from typing import Any

from app.books.books import POSTING_VERSION, Books
from app.database.connection import Connection
from app.database.data_state import CHANGE_DAYS
from app.http.openapi import object_schema, response_schema
from app.monitoring.webhook_gauges import SELECT_WEBHOOKS

# Up to so many rows are counted. Of more, the database knows the number well enough.
MAX_COUNTED = 10_000
_ROUGH = Context(prec=3)

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer"}
_DAY = {"type": ["string", "null"], "format": "date"}
_TIME = {"type": ["string", "null"], "format": "date-time"}
_COUNT = {
    "count": _NUMBER | {"description": "Those that are stored, also if they were retracted."},
    "is_estimate": {
        "type": "boolean",
        "description": f"Whether there are more than {MAX_COUNTED:,}, so that nobody counts.",
    },
}
BOOKS_SCHEMA = response_schema(
    "The books.",
    object_schema(
        "Books",
        {
            "currency": _TEXT,
            "timezone": _TEXT | {"description": "In which days, weeks and months begin and end."},
            "fiscal_year_start": _NUMBER | {"description": "The month with which a fiscal year begins."},
            "week_start": _TEXT,
            "opened_at": _TIME,
            "today": _DAY,
            "first_recorded_on": _DAY | {"description": "The first day on which an event was recorded."},
            "last_day": _DAY | {"description": "The day on which everything is recorded now."},
            "changed_at": _TIME
            | {
                "description": "When something was last written that numbers depend on: events, or a definition such as a "
                f"segment. Null if that may be longer ago than {CHANGE_DAYS} days."
            },
            "events": object_schema(
                "EventStock",
                _COUNT
                | {
                    "first_at": _TIME | {"description": "When the first of them happened."},
                    "last_at": _TIME
                    | {"description": "When the last of them happened; those that are ahead are left out."},
                },
            ),
            "accounts": object_schema(
                "AccountStock", _COUNT | {"count": _NUMBER | {"description": "Those that an event has named."}}
            ),
            "size_bytes": _NUMBER | {"description": "Of the database, with its indexes."},
            "version": _TEXT | {"description": "Of the service."},
            "schema": _TEXT | {"description": "The last migration of the database."},
            "is_rebuilt": {
                "type": "boolean",
                "description": "Whether all events are posted by the rules of this version; otherwise run `csmetrics rebuild`.",
            },
            "webhooks": object_schema(
                "WebhookWork",
                {
                    "pending_deliveries": _NUMBER | {"description": "Deliveries that wait for their next attempt."},
                    "pending_messages": _NUMBER | {"description": "Messages whose deliveries were not made yet."},
                    "oldest_pending_at": _TIME,
                    "enabled_endpoints": _NUMBER,
                    "failing_endpoints": _NUMBER,
                },
            ),
        },
    ),
)


def _count(table: str) -> str:
    """Return the columns that count the rows of a table, up to one more than are counted, and estimate their number.

    The estimate is that of the planner: rows by page at the last ANALYZE, times the pages of now.
    """
    return f"""
        (SELECT count(*) FROM (SELECT FROM {table} LIMIT %(limit)s) AS own) AS {table}_count,
        (SELECT CASE WHEN reltuples > 0 AND relpages > 0
            THEN reltuples / relpages * (pg_relation_size(oid) / current_setting('block_size')::int)
            ELSE pg_stat_get_live_tuples(oid) END FROM pg_class WHERE oid = '{table}'::regclass) AS {table}_estimate
        """


def _find_event(order: str) -> str:
    """Return the time of the first event in an order of time, which the index knows."""
    return f"""(SELECT occurred_at FROM event WHERE retracted_on IS NULL AND occurred_at <= %(now)s
        ORDER BY occurred_at {order} LIMIT 1)"""


_SELECT = f"""
    SELECT books.*, {_count("event")}, {_count("account")}, {_find_event("")} AS first_at, {_find_event("DESC")} AS last_at,
        (SELECT max(committed_at) FROM data_change) AS changed_at, pg_database_size(current_database()) AS size_bytes,
        (SELECT string_agg(version_num, ' ') FROM alembic_version) AS schema
    FROM books
    """


async def load_size_and_age(books: Books, *, version: str) -> dict[str, Any]:
    """Return the books as the API shows them. version: of the service."""
    today = await books.load_today()
    parameters = {"limit": MAX_COUNTED + 1, "now": books.now()}

    async def read(connection: Connection) -> tuple[Any, Any]:
        return (await connection.execute(_SELECT, parameters))[0], (await connection.execute(SELECT_WEBHOOKS))[0]

    row, work = await books.database.read(read)
    oldest = None if work.oldest is None else datetime.fromtimestamp(float(work.oldest), tz=books.calendar.zone)
    return {
        "currency": books.currency,
        "timezone": str(books.calendar.zone),
        "fiscal_year_start": books.calendar.fiscal_year_start,
        "week_start": books.calendar.week_start,
        "opened_at": row.opened_at,
        "today": today,
        "first_recorded_on": row.first_recorded_on,
        "last_day": row.last_day,
        "changed_at": row.changed_at,
        "events": count_rows(row.event_count, row.event_estimate) | {"first_at": row.first_at, "last_at": row.last_at},
        "accounts": count_rows(row.account_count, row.account_estimate),
        "size_bytes": row.size_bytes,
        "version": version,
        "schema": row.schema,
        "is_rebuilt": row.posted_by >= POSTING_VERSION and not row.adopting,
        "webhooks": {
            "pending_deliveries": work.deliveries,
            "pending_messages": work.messages,
            "oldest_pending_at": oldest,
            "enabled_endpoints": work.enabled,
            "failing_endpoints": work.failing,
        },
    }


def count_rows(up_to_limit: int, estimate: float) -> dict[str, Any]:
    """Return a number of rows: as it was counted, or in three digits when there are more than are counted."""
    is_estimate = up_to_limit > MAX_COUNTED
    count = int(_ROUGH.create_decimal(Decimal(max(up_to_limit, round(estimate))))) if is_estimate else up_to_limit
    return {"count": count, "is_estimate": is_estimate}
