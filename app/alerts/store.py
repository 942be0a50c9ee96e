"""The statements of alerts: their definitions, states and history."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from pydantic_core import to_json

from app.alerts.definition import AlertDefinition, parse_definition
from app.alerts.hysteresis import AlertState
from app.database.connection import Connection
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement, bind_json_rows, json_table
from app.database.tables import ALERT_LOCK

_COLUMNS = """id, CAST(document AS text), created_at, changed_at, due_since, evaluated_at, evaluated_on, first_period"""
_ALL = Statement(f"SELECT {_COLUMNS} FROM alert ORDER BY id")
_BY_ID = Statement(f"SELECT {_COLUMNS} FROM alert WHERE id = %(id)s")
# Whoever changes an alert waits until it is evaluated, and then sees its new state.
_LOCK_ALL = Statement(f"SELECT {_COLUMNS} FROM alert ORDER BY id FOR NO KEY UPDATE")
_LOCK_ONE = Statement(f"SELECT {_COLUMNS} FROM alert WHERE id = %(id)s FOR UPDATE")
_UPSERT = """
    INSERT INTO alert (id, document, created_at, changed_at) VALUES (%(id)s, CAST(%(document)s AS jsonb), %(now)s, %(now)s)
    ON CONFLICT (id) DO UPDATE SET document = excluded.document, changed_at = excluded.changed_at, due_since = NULL,
        evaluated_at = NULL, evaluated_on = NULL, first_period = NULL
    """
_DELETE_STATES = "DELETE FROM alert_state WHERE alert_id = %(id)s"
_DELETE = """
    WITH alert AS (DELETE FROM alert WHERE id = %(id)s)
    DELETE FROM alert_transition WHERE alert_id = %(id)s
    """
_NOTE = f"""
    UPDATE alert SET due_since = row.due_since, evaluated_at = row.evaluated_at, evaluated_on = row.evaluated_on,
        first_period = row.first_period
    FROM {json_table("row(id text, due_since date, evaluated_at timestamptz, evaluated_on date, first_period date)")}
    WHERE alert.id = row.id
    """
_STATE_COLUMNS = "alert_id, account, is_triggered, period_start, reported_periods, triggered_at, number"
# Without the number of the last message, which is long and changes with the next one only.
_STATES = Statement(
    f"SELECT {_STATE_COLUMNS.replace('number', 'NULL')} FROM alert_state WHERE alert_id = ANY(%(ids)s) ORDER BY alert_id, account"
)
_TRIGGERED = Statement(
    f"SELECT {_STATE_COLUMNS} FROM alert_state WHERE is_triggered AND alert_id = %(id)s ORDER BY account"
)
_FIRST_TRIGGERED = Statement(f"""
    SELECT {", ".join(f"state.{name}" for name in _STATE_COLUMNS.split(", "))} FROM alert CROSS JOIN LATERAL (
        SELECT * FROM alert_state WHERE alert_id = alert.id AND is_triggered ORDER BY account LIMIT %(limit)s) AS state
    WHERE CAST(%(id)s AS text) IS NULL OR alert.id = %(id)s
    ORDER BY alert_id, account
    """)
_COUNT_TRIGGERED = Statement("""
    SELECT alert_id, count(*) FROM alert_state WHERE is_triggered AND (CAST(%(id)s AS text) IS NULL OR alert_id = %(id)s)
    GROUP BY alert_id
    """)
_STATE_ROW = """row(alert_id text, account text, is_triggered boolean, period_start date, reported_periods jsonb,
        triggered_at timestamptz, number jsonb)"""
_WRITE_STATES = f"""
    INSERT INTO alert_state ({_STATE_COLUMNS})
    SELECT alert_id, account, is_triggered, period_start,
        ARRAY(SELECT CAST(day AS date) FROM jsonb_array_elements_text(reported_periods) AS day ORDER BY day), triggered_at, number
    FROM {json_table(_STATE_ROW)}
    ON CONFLICT (alert_id, account) DO UPDATE SET is_triggered = excluded.is_triggered,
        period_start = excluded.period_start, reported_periods = excluded.reported_periods, triggered_at = excluded.triggered_at,
        number = coalesce(excluded.number, alert_state.number)
    """
_DELETE_EMPTY = f"""
    DELETE FROM alert_state USING {json_table("row(alert_id text, account text)")}
    WHERE alert_state.alert_id = row.alert_id AND alert_state.account = row.account
    """
_WRITE_TRANSITIONS = f"""
    INSERT INTO alert_transition (alert_id, account, kind, at, number, sentence)
    SELECT alert_id, account, kind, at, number, sentence
    FROM {json_table("row(alert_id text, account text, kind text, at timestamptz, number jsonb, sentence text)")}
    """
_HISTORY = Statement("""
    SELECT key, account, kind, at, number, sentence FROM alert_transition
    WHERE alert_id = %(id)s AND (CAST(%(before)s AS bigint) IS NULL OR key < %(before)s)
    ORDER BY key DESC LIMIT %(limit)s
    """)
_COUNT = Statement("SELECT count(*) FROM alert WHERE id <> %(id)s")
_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(%(key)s) AS is_mine"
_TAKE_CHANGES = "DELETE FROM alert_change RETURNING measures, since"


class StoredAlert(NamedTuple):
    """An alert with what is known of its evaluation. first_period: the first day of the first period that it is about.

    due_since: the first day of which data has changed since it was evaluated; None where none has.
    """

    id: str
    definition: AlertDefinition
    created_at: datetime
    changed_at: datetime
    due_since: date | None
    evaluated_at: datetime | None
    evaluated_on: date | None
    first_period: date | None


class StoredState(NamedTuple):
    """The state of an alert, or of one account of it. account: empty where the alert is not on each account."""

    alert_id: str
    account: str
    state: AlertState
    triggered_at: datetime | None
    number: Mapping[str, Any] | None

    def as_row(self) -> dict[str, Any]:
        """Return the row that `write_states` writes."""
        return {
            "alert_id": self.alert_id,
            "account": self.account,
            "is_triggered": self.state.triggered_by is not None,
            "period_start": self.state.triggered_by,
            "reported_periods": sorted(self.state.reported_periods),
            "triggered_at": self.triggered_at,
            "number": self.number,
        }


class TriggeredStates(NamedTuple):
    """The states of an alert that are triggered, the first of them by account. total: how many there are of them."""

    total: int
    states: list[StoredState]


class PastTransition(NamedTuple):
    """A row of the history."""

    key: int
    account: str
    kind: str
    at: datetime
    number: Mapping[str, Any]
    sentence: str


def load_alerts() -> QueryPlan[list[StoredAlert]]:
    """Return all alerts by id."""
    (rows,) = yield [BoundStatement(_ALL, {})]
    return [_alert(row) for row in rows]


def load_alert(id: str, *, lock: bool = False) -> QueryPlan[StoredAlert | None]:
    """Return an alert. lock: for the rest of the transaction."""
    (rows,) = yield [BoundStatement(_LOCK_ONE if lock else _BY_ID, {"id": id})]
    return _alert(rows[0]) if rows else None


def lock_alerts() -> QueryPlan[list[StoredAlert]]:
    """Return all alerts by id, locked for the rest of the transaction."""
    (rows,) = yield [BoundStatement(_LOCK_ALL, {})]
    return [_alert(row) for row in rows]


def _alert(row: Sequence[Any]) -> StoredAlert:
    id, text, *rest = row
    return StoredAlert(id, parse_definition(text), *rest)


def count_others(id: str) -> QueryPlan[int]:
    """Return the number of all other alerts."""
    ((row,),) = yield [BoundStatement(_COUNT, {"id": id})]
    return int(row[0])


async def write_alert(connection: Connection, id: str, definition: AlertDefinition, *, now: datetime) -> None:
    """Store an alert, which is then evaluated as a new one."""
    await connection.execute(_DELETE_STATES, {"id": id})
    document = to_json(definition.as_json()).decode()
    await connection.execute(_UPSERT, {"id": id, "document": document, "now": now})


async def delete_stored(connection: Connection, id: str) -> None:
    """Delete an alert with its states and its history."""
    await connection.execute(_DELETE_STATES, {"id": id})
    await connection.execute(_DELETE, {"id": id})


def load_states(ids: Collection[str]) -> QueryPlan[list[StoredState]]:
    """Return the states of some alerts, without their numbers."""
    if not ids:
        return []
    (rows,) = yield [BoundStatement(_STATES, {"ids": [*ids]})]
    return [_state(row) for row in rows]


def load_triggered(id: str) -> QueryPlan[list[StoredState]]:
    """Return the states of an alert that are triggered."""
    (rows,) = yield [BoundStatement(_TRIGGERED, {"id": id})]
    return [_state(row) for row in rows]


def load_first_triggered(id: str | None, *, limit: int) -> QueryPlan[dict[str, TriggeredStates]]:
    """Return what is triggered, of one alert or of all, by alert. limit: of the states of each, of which there may be many."""
    rows, counts = yield [
        BoundStatement(_FIRST_TRIGGERED, {"id": id, "limit": limit}),
        BoundStatement(_COUNT_TRIGGERED, {"id": id}),
    ]
    states_by_alert = {alert_id: TriggeredStates(count, []) for alert_id, count in counts}
    for state in map(_state, rows):
        states_by_alert[state.alert_id].states.append(state)
    return states_by_alert


def _state(row: Sequence[Any]) -> StoredState:
    alert_id, account, is_triggered, period_start, reported_periods, triggered_at, number = row
    state = AlertState(period_start if is_triggered else None, frozenset(reported_periods))
    return StoredState(alert_id, account, state, triggered_at, number)


async def note_evaluated(connection: Connection, alerts: Sequence[StoredAlert]) -> None:
    """Store what is known of the evaluation of alerts."""
    names = ("id", "due_since", "evaluated_at", "evaluated_on", "first_period")
    rows = [{name: getattr(alert, name) for name in names} for alert in alerts]
    await connection.enqueue(bind_json_rows(_NOTE, rows))


async def write_states(connection: Connection, states: Sequence[StoredState]) -> None:
    """Store states. Those that say nothing, of most accounts, are not kept. A number that is None stays as it is."""
    rows = [state.as_row() for state in states if state.state != AlertState()]
    empty_rows = [{"alert_id": own.alert_id, "account": own.account} for own in states if own.state == AlertState()]
    await connection.enqueue(bind_json_rows(_WRITE_STATES, rows))
    await connection.enqueue(bind_json_rows(_DELETE_EMPTY, empty_rows))


async def write_transitions(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows to the history."""
    await connection.enqueue(bind_json_rows(_WRITE_TRANSITIONS, rows))


def load_transitions(id: str, *, before: int | None, limit: int) -> QueryPlan[list[PastTransition]]:
    """Return the history of an alert, the last transition first. before: the key of the last one of the page before."""
    (rows,) = yield [BoundStatement(_HISTORY, {"id": id, "before": before, "limit": limit})]
    return [PastTransition(*row) for row in rows]


async def try_lock(connection: Connection) -> bool:
    """Take the lock of whoever evaluates until the end of the transaction, unless another process has it."""
    [row] = await connection.execute(_TRY_LOCK, {"key": ALERT_LOCK})
    return bool(row.is_mine)


async def take_changes(connection: Connection) -> dict[str, date]:
    """Return the first day of change by measure, of all since the last time. They are gone when the transaction commits."""
    changes: dict[str, date] = {}
    for row in await connection.execute(_TAKE_CHANGES):
        for measure in row.measures:
            changes[measure] = min(row.since, changes.get(measure, row.since))
    return changes
