"""The engine of streams: the entries to post when events of a stream are new, late or retracted.

When events are added to a stream or retracted, the stream is derived before and after. The lines of before are subtracted and
those of after are added, recorded day by recorded day; what both have in common cancels out. So neither late events nor
retractions are special cases, and the order of arrival makes no difference.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from app.core.periods import Calendar
from app.database.connection import Connection
from app.database.statements import json_table
from app.ledger.entries import EntryKey, add_dated_lines
from app.ledger.measures import rank_of
from app.ledger.streams.define import STREAMS, DatedLine, StreamEvent


class StoredEvent(NamedTuple):
    """An event of a stream with the days on which it was recorded and retracted."""

    event: StreamEvent
    recorded_on: date
    retracted_on: date | None


@dataclass(slots=True)
class StreamChange:
    """The ids of the events that one recorded day adds to a stream, and of those that it removes."""

    added: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)

    def apply_to(self, ids: set[str]) -> set[str]:
        """Return the ids of the live events after this change."""
        return (ids | self.added) - self.removed


# By recorded day.
StreamChanges = dict[date, StreamChange]
# The account, and the name of the stream within it.
StreamName = tuple[int, str]


def repost_streams(
    entries: dict[EntryKey, int],
    events_by_stream: Mapping[StreamName, Mapping[str, StoredEvent]],
    changes_by_stream: Mapping[StreamName, StreamChanges],
    *,
    calendar: Calendar,
) -> None:
    """Add to `entries` the lines by which streams have changed. The events are stored, under their accounts' locks."""
    for (account_id, stream), changes in changes_by_stream.items():
        events = events_by_stream[account_id, stream]
        repost_stream(entries, account_id, stream, events, changes, calendar=calendar)


def repost_stream(
    entries: dict[EntryKey, int],
    account_id: int,
    stream: str,
    events: Mapping[str, StoredEvent],
    changes: StreamChanges,
    *,
    calendar: Calendar,
) -> None:
    """Add to `entries` what changes of one stream come to. events: all of the stream's, by id, or those that matter."""
    derive = STREAMS[stream.partition(" ")[0]]
    diff_stream(entries, events, changes, lambda live: derive(live, calendar), account_id=account_id)


def diff_stream(
    entries: dict[EntryKey, int],
    events: Mapping[str, StoredEvent],
    changes: StreamChanges,
    derive: Callable[[list[StreamEvent]], Iterable[DatedLine]],
    *,
    account_id: int,
) -> None:
    """Add to `entries`, for each recorded day, the lines of the stream after its change, less those before."""
    ids = live_before(events, changes)
    lines = list(derive(_sort_live_events(events, ids)))
    for recorded_on in sorted(changes):
        ids = changes[recorded_on].apply_to(ids)
        add_dated_lines(entries, lines, account_id=account_id, recorded_on=recorded_on, sign=-1)
        lines = list(derive(_sort_live_events(events, ids)))
        add_dated_lines(entries, lines, account_id=account_id, recorded_on=recorded_on)


def live_before(events: Mapping[str, StoredEvent], changes: StreamChanges) -> set[str]:
    """Return the ids of the events that were live before the first change."""
    added = set().union(*(change.added for change in changes.values()))
    removed = set().union(*(change.removed for change in changes.values()))
    return {id for id, stored in events.items() if stored.retracted_on is None or id in removed} - added


def _sort_live_events(events: Mapping[str, StoredEvent], ids: Iterable[str]) -> list[StreamEvent]:
    return sorted((events[id].event for id in ids if id in events), key=lambda event: event[:3])


def changes_of_events(events: Iterable[StoredEvent]) -> StreamChanges:
    """Return all changes that made a stream of these events, from an empty one on."""
    changes: StreamChanges = {}
    for event, recorded_on, retracted_on in events:
        changes.setdefault(recorded_on, StreamChange()).added.add(event.id)
        if retracted_on is not None:
            changes.setdefault(retracted_on, StreamChange()).removed.add(event.id)
    return changes


def stored_event(row: Any) -> StoredEvent:
    """Return a row of the event table as streams use it."""
    event = StreamEvent(row.occurred_at, rank_of(row.type), row.id, row.type, row.data, row.rate)
    return StoredEvent(event, row.recorded_on, row.retracted_on)


async def load_streams(
    connection: Connection, streams: Iterable[StreamName]
) -> dict[StreamName, dict[str, StoredEvent]]:
    """Load all events of some streams, also the retracted ones, by id."""
    events_by_stream: dict[StreamName, dict[str, StoredEvent]] = {name: {} for name in streams}
    rows = [{"account_id": account_id, "stream": stream} for account_id, stream in events_by_stream]
    for row in await connection.execute_rows(_LOAD, rows):
        events_by_stream[row.account_id, row.stream][row.id] = stored_event(row)
    return events_by_stream


async def write_stream_names(connection: Connection, streams: Mapping[tuple[int, str], str | None]) -> None:
    """Write the names of the streams to which events belong, by their accounts and ids."""
    rows = [{"account_id": account_id, "id": id, "stream": stream} for (account_id, id), stream in streams.items()]
    await connection.execute_rows(_WRITE_NAMES, rows)


_LOAD = f"""
    SELECT stored.* FROM {json_table("lookup(account_id bigint, stream text)")}
    CROSS JOIN LATERAL (
        SELECT account_id, stream, id, type, occurred_at, recorded_on, retracted_on, rate, data FROM event
        WHERE event.account_id = lookup.account_id AND event.stream = lookup.stream AND event.stream IS NOT NULL
        OFFSET 0) AS stored
    """
_WRITE_NAMES = f"""
    UPDATE event SET stream = new.stream
    FROM {json_table("new(account_id bigint, id text, stream text)")}
    WHERE event.account_id = new.account_id AND event.id = new.id
    """
