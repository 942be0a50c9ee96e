"""Alerts: put, list, show and delete them, and their history."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from app.accounts.cards import load_cards_by_id
from app.alerts.body import parse_alert_fields
from app.alerts.checks import check_alert
from app.alerts.hysteresis import RESOLVED
from app.alerts.messages import links_of, message_of
from app.alerts.store import (
    StoredAlert,
    StoredState,
    TriggeredStates,
    count_others,
    delete_stored,
    load_alert,
    load_alerts,
    load_first_triggered,
    load_transitions,
    load_triggered,
    write_alert,
    write_transitions,
)
from app.books.books import Books
from app.core.cursors import invalid_cursor
from app.core.errors import Invalid, NotFound
from app.core.names import build_fault, name_fault, nearest_names
from app.core.periods import Period
from app.database.connection import Connection
from app.database.query_plan import merge_plans, run_plan
from app.http.openapi import list_schema, map_schema, name_schema, object_schema, response_schema
from app.metrics.number_checks import find_name_faults
from app.metrics.offers import OFFERS, Message

MAX_ALERTS = 2_000
_MAX_SHOWN = 100

_TEXT: dict[str, Any] = {"type": "string"}
_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
_OPTIONAL_TIME: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_NUMBER: dict[str, Any] = {"type": "number"}
_NUMBER_OBJECT = map_schema("AlertNumber", description="The number of the message, as in `alert.triggered`.")
_TRIGGERED = list_schema(
    "TriggeredNumber",
    {"triggered_at": _TIME, "number": _NUMBER_OBJECT | {"type": ["object", "null"]}},
    {"account": _TEXT},
)
_ALERT_SCHEMA = object_schema(
    "Alert",
    {
        "id": _TEXT,
        "metric": name_schema("MetricName"),
        "granularity": name_schema("Granularity"),
        "margin": _NUMBER | {"description": "The margin that holds, also where it is the default."},
        "for_periods": {"type": "integer"},
        "each_account": {"type": "boolean"},
        "state": {"type": "string", "enum": ["new", "ok", "triggered"], "description": "`new`: not evaluated yet."},
        "triggered_count": {"type": "integer", "description": "Of an alert on each account: how many accounts."},
        "triggered": _TRIGGERED | {"description": f"What is triggered now, at most {_MAX_SHOWN}."},
        "created_at": _TIME,
        "changed_at": _TIME,
        "evaluated_at": _OPTIONAL_TIME,
    },
    dict.fromkeys(("convention", "segment", "filter", "subject", "channel"), _TEXT)
    | dict.fromkeys(("above", "below", "change_percent"), _NUMBER)
    | {"min_sample": {"type": "integer"}},
)
ALERT_SCHEMA = response_schema("The alert.", _ALERT_SCHEMA)
ALERTS_SCHEMA = response_schema(
    "All alerts by id.", object_schema("AlertList", {"alerts": {"type": "array", "items": _ALERT_SCHEMA}})
)
ALERT_HISTORY_SCHEMA = response_schema(
    "The transitions of the alert, the last first.",
    object_schema(
        "AlertHistory",
        {
            "alert": _TEXT,
            "rows": list_schema(
                "AlertTransition",
                {
                    "kind": {"type": "string", "enum": ["triggered", "resolved"]},
                    "at": _TIME,
                    "number": _NUMBER_OBJECT,
                    "sentence": _TEXT,
                },
                {"account": _TEXT},
            ),
            "next": {"type": ["string", "null"]},
        },
    ),
)


async def put_alert(books: Books, id: str, raw: Any, *, strict: bool) -> dict[str, Any]:
    """Store an alert and return it. What would change nothing is not stored.

    strict: whether attributes, subjects and channels that were never recorded are errors. Raises Invalid with all faults.
    """
    body, field_faults = parse_alert_fields(raw)
    definition, faults = check_alert(body, field_faults)
    now = books.now()

    async def write(connection: Connection) -> None:
        all_faults = faults + await find_name_faults(connection, books, body, strict=strict)
        old = await run_plan(connection, load_alert(id, lock=True))
        other_count = await run_plan(connection, count_others(id))
        if other_count >= MAX_ALERTS:
            detail = f"There are {MAX_ALERTS:,} alerts already, and no more are possible. Delete one that is no longer needed."
            all_faults.append(build_fault("", detail, code="too_many_alerts"))
        if definition is None or all_faults:
            raise Invalid.of(all_faults, subject="The alert")
        if old is None or old.definition != definition:
            if old is not None:
                await _resolve_all(connection, books, old, "was changed", now=now)
            await write_alert(connection, id, definition, now=now)

    await books.database.write_aside(write)
    return await show_alert(books, id)


async def remove_alert(books: Books, id: str) -> None:
    """Delete an alert with its history. What is triggered resolves. Raises NotFound."""
    now = books.now()

    async def write(connection: Connection) -> None:
        alert = await _find(connection, id, lock=True)
        await _resolve_all(connection, books, alert, "was deleted", now=now)
        await delete_stored(connection, id)

    await books.database.write_aside(write)


async def _resolve_all(connection: Connection, books: Books, alert: StoredAlert, why: str, *, now: datetime) -> None:
    """Resolve what is triggered, since it is not evaluated any more. Receivers would wait for ever."""
    states = await run_plan(connection, load_triggered(alert.id))
    cards = await run_plan(connection, load_cards_by_id([own.account for own in states], today=books.today()))
    sentence = f'The alert "{alert.id}" {why}.'
    messages: list[Message] = []
    for state in states:
        number = state.number or {}
        start, end = date.fromisoformat(number["start"]), date.fromisoformat(number["end"])
        period = Period(number["period"], start, end, number["complete"])
        messages.append(
            message_of(
                alert.id,
                alert.definition,
                RESOLVED,
                number=number,
                sentence=sentence,
                links=links_of(alert.definition, period, books, state.account),
                card=cards.get(state.account),
                triggered_at=state.triggered_at or now,
                at=now,
            )
        )
    rows = [
        {"alert_id": alert.id, "account": own.account, "kind": RESOLVED, "at": now}
        | {"number": own.number, "sentence": sentence}
        for own in states
    ]
    await write_transitions(connection, rows)
    await OFFERS.publish_messages(connection, messages, at=now)


async def show_alert(books: Books, id: str) -> dict[str, Any]:
    """Return an alert as the API shows it. Raises NotFound."""

    async def read(connection: Connection) -> tuple[StoredAlert, dict[str, TriggeredStates]]:
        return await _find(connection, id), await run_plan(connection, load_first_triggered(id, limit=_MAX_SHOWN))

    return _alert_json(*await books.database.read(read))


async def list_alerts(books: Books) -> list[dict[str, Any]]:
    """Return all alerts by id."""

    async def read(connection: Connection) -> list[Any]:
        return await run_plan(connection, merge_plans([load_alerts(), load_first_triggered(None, limit=_MAX_SHOWN)]))

    alerts, states_by_alert = await books.database.read(read)
    return [_alert_json(alert, states_by_alert) for alert in alerts]


async def _find(connection: Connection, id: str, *, lock: bool = False) -> StoredAlert:
    if alert := await run_plan(connection, load_alert(id, lock=lock)):
        return alert
    existing = [own.id for own in await run_plan(connection, load_alerts())]
    nearest, advice = nearest_names(id, existing), "GET /v1/alerts lists all alerts."
    fault = name_fault("/path/alert_id", "Unknown alert{}.", id, nearest, code="unknown_alert", advice=advice)
    raise NotFound.of([fault])


def _alert_json(alert: StoredAlert, states_by_alert: Mapping[str, TriggeredStates]) -> dict[str, Any]:
    definition = alert.definition
    own_states = states_by_alert.get(alert.id, TriggeredStates(0, []))
    state = "new" if alert.evaluated_at is None else "triggered" if own_states.total else "ok"
    return {
        "id": alert.id,
        **definition.source_json(),
        "each_account": definition.each_account,
        **definition.condition_json(),
        "state": state,
        "triggered_count": own_states.total,
        "triggered": [_state_json(own) for own in own_states.states],
        "created_at": alert.created_at,
        "changed_at": alert.changed_at,
        "evaluated_at": alert.evaluated_at,
    }


def _state_json(state: StoredState) -> dict[str, Any]:
    account = {"account": state.account} if state.account else {}
    return account | {"triggered_at": state.triggered_at, "number": state.number}


async def alert_history(books: Books, id: str, *, cursor: str | None, limit: int) -> dict[str, Any]:
    """Return a page of the transitions of an alert, the last first. Raises NotFound, and Invalid for another cursor."""
    before = _parse_cursor(cursor)

    async def read(connection: Connection) -> list[Any]:
        await _find(connection, id)
        return await run_plan(connection, load_transitions(id, before=before, limit=limit + 1))

    rows = await books.database.read(read)
    page = rows[:limit]
    rows_json = [_transition_json(row._asdict()) for row in page]
    return {"alert": id, "rows": rows_json, "next": str(page[-1].key) if len(rows) > limit else None}


def _transition_json(row: Mapping[str, Any]) -> dict[str, Any]:
    account = {"account": row["account"]} if row["account"] else {}
    return {"kind": row["kind"], "at": row["at"]} | account | {"number": row["number"], "sentence": row["sentence"]}


def _parse_cursor(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 18:
        raise invalid_cursor()
    return int(cursor)
