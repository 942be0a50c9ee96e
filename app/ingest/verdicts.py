"""Decide what becomes of resolved events: on which day each is recorded, and which are new, duplicates or conflicts."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from app.core.errors import EventRejected
from app.database.connection import Connection
from app.database.statements import json_table
from app.ingest.outcome import DuplicateNote, Verdict
from app.ingest.stages import DatedEvent, IncomingEvent, ResolvedEvent

# account_id and id, which are unique together.
EventKey = tuple[int, str]


class OldEvent(NamedTuple):
    """What tells a duplicate from a conflict. fingerprint: None for an erased event, of which any other is a duplicate."""

    fingerprint: int | None
    recorded_on: date
    retracted_on: date | None = None


def date_events(
    events: Iterable[ResolvedEvent], last_recorded_on: Mapping[int, date], *, today: date
) -> dict[EventKey, DatedEvent]:
    """Return, by key, the first event that can be recorded, with its recorded day.

    last_recorded_on: the last day on which anything was recorded for each account.
    """
    first_by_key: dict[EventKey, DatedEvent] = {}
    for event in events:
        incoming = event.incoming
        key = incoming.account_id, incoming.id
        recorded_on = _recorded_on(incoming, last_recorded_on[incoming.account_id], today=today)
        if recorded_on is not None and key not in first_by_key:
            first_by_key[key] = DatedEvent(*event, recorded_on)
    return first_by_key


def _recorded_on(event: IncomingEvent, last: date, *, today: date) -> date | None:
    """Return the day on which an event is recorded; None where the sender set a day before the account's last."""
    if event.recorded_on_override is None:
        return max(today, last)
    return event.recorded_on_override if event.recorded_on_override >= last else None


_LOAD_STORED = f"""
    SELECT stored.* FROM {json_table("key(account_id bigint, id text)")}
    CROSS JOIN LATERAL (
        SELECT account_id, id, fingerprint, recorded_on, retracted_on FROM event
        WHERE event.account_id = key.account_id AND event.id = key.id
        OFFSET 0) AS stored
    """


async def load_old_events(connection: Connection, keys: Iterable[EventKey]) -> dict[EventKey, OldEvent]:
    """Return the stored events with these keys."""
    rows = [{"account_id": account_id, "id": id} for account_id, id in keys]
    events = await connection.execute_rows(_LOAD_STORED, rows)
    return {
        (event.account_id, event.id): OldEvent(event.fingerprint, event.recorded_on, event.retracted_on)
        for event in events
    }


def as_old(events: Iterable[DatedEvent]) -> dict[EventKey, OldEvent]:
    """Return new events, by key, as the stored ones that they are for the others of the batch."""
    return {
        (event.incoming.account_id, event.incoming.id): OldEvent(event.incoming.fingerprint, event.recorded_on)
        for event in events
    }


def judge_events(
    events: Sequence[ResolvedEvent],
    new_events: Iterable[DatedEvent],
    stored: Mapping[EventKey, OldEvent],
    last_recorded_on: Mapping[int, date],
) -> list[Verdict]:
    """Return what becomes of each event, in order.

    stored: all events with the keys of the batch, the new ones included: see `as_old`. last_recorded_on: as in `date_events`.
    """
    # Of events with the same key one object is new, however equal they are.
    new_objects = {id(event.incoming) for event in new_events}
    return [
        "accepted" if id(event.incoming) in new_objects else _judge_old(event.incoming, stored, last_recorded_on)
        for event in events
    ]


def _judge_old(
    event: IncomingEvent, stored: Mapping[EventKey, OldEvent], last_recorded_on: Mapping[int, date]
) -> Verdict:
    """Return the verdict on an event that is not new: a duplicate, a conflict, or recorded before the last day."""
    other = stored.get((event.account_id, event.id))
    if other is None:
        last = last_recorded_on[event.account_id]
        detail = (
            f"recorded_on {event.recorded_on_override} is before {last}, the last day recorded for this account. Import "
            "history oldest first, before live events and before PUT /v1/accounts/{id}."
        )
        return EventRejected("recorded_before_last", detail, "/recorded_on")
    if other.fingerprint not in (event.fingerprint, None):
        detail = (
            "This account already has an event with this id and different content. To correct an event, retract it and "
            "send the correction under a new id. The id of a retracted event cannot be used again."
        )
        return EventRejected("conflict", detail, "/id")
    if other.retracted_on is not None:
        detail = (
            f"The event is stored and was retracted on {other.retracted_on}, so it does not count. Give it a new id."
        )
        return DuplicateNote(code="retracted", detail=detail)
    if event.recorded_on_override not in (other.recorded_on, None):
        detail = (
            f"The event is stored with recorded_on {other.recorded_on}, not {event.recorded_on_override}, and stays as it is: "
            f"questions with as_of count it from {other.recorded_on} on."
        )
        return DuplicateNote(code="recorded_on_differs", detail=detail)
    return "duplicate"
