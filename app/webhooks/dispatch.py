"""The statements of the worker: make deliveries of messages, take those that are due, and record their attempts.

Many workers run them at the same time. Rows are taken with SKIP LOCKED, so that none waits for another. A delivery that is taken
is leased for longer than an attempt may take, by the clock of the database; whoever does not hold the lease records nothing. So
two workers never make the same attempt, and what a dead worker has taken is tried again when its lease ends.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from app.database.connection import Connection
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement, bind_json_rows, json_table

LEASE_SECONDS = 60
# Attempts to one endpoint at the same time, by one worker; to one that fails there is one at a time.
MAX_PER_ENDPOINT = 8
_MAX_MESSAGES = 500
_MAX_LOG = 20
# The clocks of two machines differ at most so much: an endpoint gets what is published after it was created.
_CLOCK_TOLERANCE = timedelta(minutes=1)

# The lock of the endpoints makes whoever deletes or disables one wait, and then see the new deliveries.
_DISPATCH = Statement(f"""
    WITH message AS MATERIALIZED (
        SELECT id, topic, created_at FROM webhook_message WHERE NOT dispatched
        ORDER BY created_at LIMIT {_MAX_MESSAGES} FOR UPDATE SKIP LOCKED
    ), marked AS (
        UPDATE webhook_message SET dispatched = true FROM message WHERE webhook_message.id = message.id
    ), pair AS MATERIALIZED (
        SELECT endpoint.id AS endpoint_id, message.* FROM webhook_endpoint AS endpoint
        JOIN message ON message.topic = ANY(endpoint.topics) AND endpoint.created_at <= message.created_at + %(tolerance)s
        WHERE endpoint.state = 'enabled' ORDER BY endpoint.id FOR SHARE OF endpoint
    ), inserted AS (
        INSERT INTO webhook_delivery (endpoint_id, message_id, topic, state, next_attempt_at, created_at)
        SELECT endpoint_id, id, topic, 'pending', %(now)s, created_at FROM pair
        ON CONFLICT DO NOTHING
    )
    SELECT count(*) FROM message
    """)
_TAKE = Statement(f"""
    WITH busy AS MATERIALIZED (
        SELECT * FROM unnest(CAST(%(endpoints)s AS text[]), CAST(%(counts)s AS integer[])) AS busy(endpoint_id, count)
    ), due AS MATERIALIZED (
        SELECT due.* FROM webhook_endpoint AS endpoint LEFT JOIN busy ON busy.endpoint_id = endpoint.id
        CROSS JOIN LATERAL (
            SELECT endpoint_id, message_id FROM webhook_delivery AS delivery
            WHERE delivery.endpoint_id = endpoint.id AND delivery.state = 'pending' AND next_attempt_at <= %(now)s
                AND (leased_until IS NULL OR leased_until < clock_timestamp())
            ORDER BY next_attempt_at
            LIMIT greatest(0, CASE WHEN endpoint.failing_since IS NULL THEN {MAX_PER_ENDPOINT} ELSE 1 END
                - coalesce(busy.count, 0))
            FOR UPDATE SKIP LOCKED) AS due
        WHERE endpoint.state = 'enabled' AND (endpoint.paused_until IS NULL OR endpoint.paused_until <= %(now)s)
    )
    UPDATE webhook_delivery AS delivery
    SET lease = %(lease)s, leased_until = clock_timestamp() + interval '{LEASE_SECONDS} seconds'
    FROM due JOIN webhook_message AS message ON message.id = due.message_id
        JOIN webhook_endpoint AS endpoint ON endpoint.id = due.endpoint_id
    WHERE delivery.endpoint_id = due.endpoint_id AND delivery.message_id = due.message_id
    RETURNING endpoint.id, message.id, endpoint.url, endpoint.secrets, message.body, delivery.attempts,
        delivery.first_attempt_at, endpoint.failing_since
    """)
_RECORD_ROW = """row(endpoint_id text, message_id text, url text, at timestamptz, state text, next_attempt_at timestamptz,
        finished_at timestamptz, is_test boolean, attempt jsonb)"""
# Those of an endpoint that was disabled meanwhile are not tried again. What another URL has refused for good, before the endpoint
# got the one that it has now, begins anew.
_RECORD = f"""
    UPDATE webhook_delivery AS delivery
    SET state = CASE WHEN is_over THEN 'failed' WHEN is_moved THEN 'pending' ELSE row.state END,
        finished_at = CASE WHEN is_over THEN row.at WHEN is_moved THEN NULL ELSE row.finished_at END,
        attempts = CASE WHEN is_moved THEN 0 ELSE delivery.attempts + 1 END,
        first_attempt_at = CASE WHEN is_moved THEN NULL ELSE coalesce(delivery.first_attempt_at, row.at) END,
        next_attempt_at = CASE WHEN is_moved THEN row.at ELSE coalesce(row.next_attempt_at, delivery.next_attempt_at) END,
        lease = NULL, leased_until = NULL,
        log = CASE WHEN jsonb_array_length(delivery.log) >= {_MAX_LOG} THEN delivery.log - 0 ELSE delivery.log END
            || row.attempt
    FROM {json_table(_RECORD_ROW)} JOIN webhook_endpoint AS endpoint ON endpoint.id = row.endpoint_id
    CROSS JOIN LATERAL (SELECT row.state = 'pending' AND endpoint.state = 'disabled' AS is_over,
        row.state = 'failed' AND endpoint.state = 'enabled' AND endpoint.url <> row.url AND NOT row.is_test AS is_moved) AS now
    WHERE delivery.endpoint_id = row.endpoint_id AND delivery.message_id = row.message_id AND delivery.lease = %(lease)s
    """
# A success does not end the pause that another attempt has been asked for meanwhile. Mostly there is nothing to write.
_NOTE_ROW = "row(endpoint_id text, url text, succeeded_at timestamptz, failed_at timestamptz, paused_until timestamptz)"
_NOTE = f"""
    UPDATE webhook_endpoint AS endpoint
    SET failing_since = CASE WHEN row.succeeded_at IS NULL THEN coalesce(failing_since, row.failed_at) ELSE row.failed_at END,
        paused_until = greatest(row.paused_until,
            CASE WHEN endpoint.paused_until <= row.succeeded_at THEN NULL ELSE endpoint.paused_until END)
    FROM {json_table(_NOTE_ROW)}
    WHERE endpoint.id = row.endpoint_id AND endpoint.url = row.url
        AND (coalesce(row.failed_at, row.paused_until, failing_since) IS NOT NULL OR endpoint.paused_until <= row.succeeded_at)
    """
_DISABLE = f"""
    UPDATE webhook_endpoint AS endpoint SET state = 'disabled', disabled_reason = row.reason, disabled_at = %(now)s
    FROM {json_table("row(endpoint_id text, reason text, url text, failing_since timestamptz)")}
    WHERE endpoint.id = row.endpoint_id AND endpoint.state = 'enabled' AND endpoint.url = coalesce(row.url, endpoint.url)
        AND (row.failing_since IS NULL OR endpoint.failing_since <= row.failing_since)
    RETURNING endpoint.id, endpoint.disabled_reason
    """
_FAIL_PENDING = """
    UPDATE webhook_delivery AS delivery SET state = 'failed', finished_at = %(now)s
    FROM webhook_endpoint AS endpoint
    WHERE endpoint.id = delivery.endpoint_id AND endpoint.id = ANY(%(endpoints)s) AND endpoint.state = 'disabled'
        AND delivery.state = 'pending' AND (leased_until IS NULL OR leased_until < clock_timestamp())
    """
_RELEASE = "UPDATE webhook_delivery SET lease = NULL, leased_until = NULL WHERE lease = %(lease)s AND state = 'pending'"


class DueDelivery(NamedTuple):
    """A delivery that this worker has taken, with all that an attempt needs. attempts: those made since it became pending."""

    endpoint_id: str
    message_id: str
    url: str
    secrets: Sequence[Mapping[str, Any]]
    body: bytes
    attempts: int
    first_attempt_at: datetime | None
    failing_since: datetime | None


class EndpointNote(NamedTuple):
    """What attempts say of an endpoint, if it still has the URL that they went to.

    succeeded_at: when the last success began. failed_at: when the first failure after it began.
    """

    endpoint_id: str
    url: str
    succeeded_at: datetime | None = None
    failed_at: datetime | None = None
    paused_until: datetime | None = None


class DisableReason(NamedTuple):
    """Why to disable an endpoint. url: if it still has this one. failing_since: if nothing has arrived since then."""

    endpoint_id: str
    reason: str
    url: str | None = None
    failing_since: datetime | None = None


def dispatch_messages(now: datetime) -> QueryPlan[bool]:
    """Make the deliveries of new messages. Return whether there may be more of these."""
    ((row,),) = yield [BoundStatement(_DISPATCH, {"now": now, "tolerance": _CLOCK_TOLERANCE})]
    return int(row[0]) == _MAX_MESSAGES


def take_due(lease: str, *, now: datetime, busy: Mapping[str, int]) -> QueryPlan[list[DueDelivery]]:
    """Take deliveries that are due. busy: the number of attempts that this worker makes at this moment, by endpoint."""
    parameters = {"lease": lease, "now": now, "endpoints": [*busy], "counts": [*busy.values()]}
    (rows,) = yield [BoundStatement(_TAKE, parameters)]
    return [DueDelivery(*row) for row in rows]


async def record_attempts(connection: Connection, lease: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record attempts of deliveries that are still leased; see `_RECORD_ROW`."""
    await connection.enqueue(bind_json_rows(_RECORD, rows, lease=lease))


async def note_endpoints(connection: Connection, notes: Sequence[EndpointNote]) -> None:
    """Record since when endpoints fail, and until when they are paused."""
    rows = [note._asdict() for note in sorted(notes, key=lambda note: note.endpoint_id)]
    await connection.enqueue(bind_json_rows(_NOTE, rows))


async def disable_endpoints(
    connection: Connection, reasons: Sequence[DisableReason], *, now: datetime
) -> list[tuple[str, str]]:
    """Disable endpoints and fail what waits for them. Return those that were enabled, with the reason."""
    rows = [own._asdict() for own in sorted(reasons, key=lambda own: own.endpoint_id)]
    disabled_rows = await connection.execute_rows(_DISABLE, rows, now=now)
    if reasons:
        ids = [own.endpoint_id for own in reasons]
        await connection.execute(_FAIL_PENDING, {"endpoints": ids, "now": now})
    return [(row.id, row.disabled_reason) for row in disabled_rows]


async def release_leases(connection: Connection, lease: str) -> None:
    """Give back what a worker that stops has taken and not finished."""
    await connection.execute(_RELEASE, {"lease": lease})
