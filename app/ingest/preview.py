"""Preview batches of events: what `accept_events` would make of them, without writing anything."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from app.books.books import Books
from app.database.connection import Connection
from app.database.statements import json_table
from app.database.tables import MIN_DATE
from app.ingest.outcome import BatchOutcome, Verdict, build_outcome
from app.ingest.read import read_events
from app.ingest.references import load_references, reject_invalid, resolve_events
from app.ingest.stages import ResolvedEvent
from app.ingest.verdicts import EventKey, OldEvent, as_old, date_events, judge_events, load_old_events


@dataclass
class PreviewState:
    """What the books would hold after the batches so far.

    events: stored ones, and those of earlier batches that would be. last_recorded_on: of the accounts of earlier batches.
    """

    events: dict[EventKey, OldEvent] = field(default_factory=dict)
    last_recorded_on: dict[int, date] = field(default_factory=dict)


async def preview_events(books: Books, raws: Sequence[Any], state: PreviewState) -> BatchOutcome:
    """Return what `accept_events` would return, with the permission to set `recorded_on`, after the batches in `state`.

    The result is that of the moment: what others send meanwhile may change it. Notes the new events in `state`. Raises
    ClockAhead.
    """
    today = await books.load_today()
    books.check_clock()
    incoming, invalid = read_events(raws, books=books, may_backdate=True, may_use_reserved_ids=False)
    references = await load_references(books, incoming, invalid)
    events, resolve_rejections = resolve_events(incoming, references, books=books)
    await _load(books, events, state)
    verdicts = _judge(events, state, today=today)
    read_rejections = reject_invalid(invalid, references, books=books)
    return build_outcome(events, verdicts, [*read_rejections, *resolve_rejections])


async def _load(books: Books, events: Sequence[ResolvedEvent], state: PreviewState) -> None:
    """Load into `state` what the books hold of these events and their accounts."""
    keys = {(event.incoming.account_id, event.incoming.id) for event in events} - state.events.keys()
    accounts = {event.incoming.account_id for event in events} - state.last_recorded_on.keys()

    async def load(connection: Connection) -> None:
        state.events.update(await load_old_events(connection, keys))
        rows = await connection.execute_rows(_LOAD_LAST_DAYS, [{"account_id": account} for account in accounts])
        state.last_recorded_on.update(dict.fromkeys(accounts, MIN_DATE) | {row.account_id: row.day for row in rows})

    if keys or accounts:
        await books.database.read(load)


_LOAD_LAST_DAYS = f"""
    SELECT account.account_id, account.last_recorded_on AS day
    FROM {json_table("key(account_id bigint)")}
    JOIN account ON account.account_id = key.account_id
    """


def _judge(events: Sequence[ResolvedEvent], state: PreviewState, *, today: date) -> list[Verdict]:
    """Return what would become of the events, as `write_batch` decides it; note the new ones in `state`."""
    last_recorded_on = dict(state.last_recorded_on)
    first_by_key = date_events(events, last_recorded_on, today=today)
    new_events = [event for key, event in first_by_key.items() if key not in state.events]
    state.events |= as_old(new_events)
    for event in new_events:
        account_id = event.incoming.account_id
        state.last_recorded_on[account_id] = max(state.last_recorded_on[account_id], event.recorded_on)
    return judge_events(events, new_events, state.events, last_recorded_on)
