"""The engine of streams: what a stream posts when events are added to it or taken away, day of knowledge by day."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from app.core.periods import Calendar
from app.database.connection import Connection
from app.ledger.entries import EntryKey, add_dated_lines
from app.ledger.measures import rank_of
from app.ledger.streams.define import STREAMS, DatedLine, StreamEvent


class StoredEvent(NamedTuple):
    """An event as it is kept, with the days on which it became known and was taken back."""

    happening: StreamEvent
    recorded_on: date
    retracted_on: date | None


@dataclass(slots=True)
class StreamChange:
    """The ids of the events that a day of knowledge adds to a stream, and of those that it takes away."""

    added: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)


StreamChanges = dict[date, StreamChange]
StreamName = tuple[int, str]


def stored_event(row: Any) -> StoredEvent:
    """A row of the event table, as streams see it."""
    happening = StreamEvent(row.occurred_at, rank_of(row.type), row.id, row.type, row.data, row.rate)
    return StoredEvent(happening, row.recorded_on, row.retracted_on)


def changes_of_events(events: Iterable[StoredEvent]) -> StreamChanges:
    """All that ever became known of some events, from nothing."""
    steps: StreamChanges = {}
    for happening, recorded_on, retracted_on in events:
        steps.setdefault(recorded_on, StreamChange()).added.add(happening.id)
        if retracted_on is not None:
            steps.setdefault(retracted_on, StreamChange()).removed.add(happening.id)
    return steps


def live_before(events: Mapping[str, StoredEvent], steps: StreamChanges) -> set[str]:
    """The ids of the events that were live before the first step."""
    added = set().union(*(step.added for step in steps.values()))
    removed = set().union(*(step.removed for step in steps.values()))
    return {id for id, event in events.items() if event.retracted_on is None or id in removed} - added


def diff_stream(
    entries: dict[EntryKey, int],
    events: Mapping[str, StoredEvent],
    steps: StreamChanges,
    derive: Callable[[list[StreamEvent]], Iterable[DatedLine]],
    *,
    account_id: int,
) -> None:
    """Enter what each step changes of what the stream posts."""
    live = live_before(events, steps)
    posted = list(derive(_ordered(events, live)))
    for day in sorted(steps):
        live = (live | steps[day].added) - steps[day].removed
        add_dated_lines(entries, posted, account_id=account_id, recorded_on=day, sign=-1)
        posted = list(derive(_ordered(events, live)))
        add_dated_lines(entries, posted, account_id=account_id, recorded_on=day)


def _ordered(events: Mapping[str, StoredEvent], live: Iterable[str]) -> list[StreamEvent]:
    return sorted((events[id].happening for id in live if id in events), key=lambda happening: happening[:3])


async def repost_streams(
    connection: Connection,
    entries: dict[EntryKey, int],
    changed: Mapping[StreamName, StreamChanges],
    *,
    calendar: Calendar,
) -> None:
    """Enter what changes of streams bring. The events are stored already, under their accounts' locks."""
    for (account_id, stream), events in (await load_streams(connection, changed)).items():
        repost_stream(entries, account_id, stream, events, changed[account_id, stream], calendar=calendar)


def repost_stream(
    entries: dict[EntryKey, int],
    account_id: int,
    stream: str,
    events: Mapping[str, StoredEvent],
    steps: StreamChanges,
    *,
    calendar: Calendar,
) -> None:
    """Enter what the steps change of one stream."""
    derive = STREAMS[stream.partition(" ")[0]]
    diff_stream(entries, events, steps, lambda happenings: derive(happenings, calendar), account_id=account_id)


async def load_streams(
    connection: Connection, streams: Iterable[StreamName]
) -> dict[StreamName, dict[str, StoredEvent]]:
    """All events of some streams, by id; those that were taken back, too."""
    found: dict[StreamName, dict[str, StoredEvent]] = {name: {} for name in streams}
    rows = [{"account_id": account_id, "stream": stream} for account_id, stream in found]
    for row in await connection.execute_rows(_LOAD, rows):
        found[row.account_id, row.stream][row.id] = stored_event(row)
    return found


async def move_events(connection: Connection, streams: Mapping[tuple[int, str], str | None]) -> None:
    """Note of which streams events are, by their accounts and ids."""
    rows = [{"account_id": account_id, "id": id, "stream": stream} for (account_id, id), stream in streams.items()]
    await connection.execute_rows(_MOVE, rows)


_LOAD = """
    SELECT found.* FROM json_to_recordset(CAST(%(rows)s AS json)) AS wanted(account_id bigint, stream text)
    CROSS JOIN LATERAL (
        SELECT account_id, stream, id, type, occurred_at, recorded_on, retracted_on, rate, data FROM event
        WHERE event.account_id = wanted.account_id AND event.stream = wanted.stream AND event.stream IS NOT NULL
        OFFSET 0) AS found
    """
_MOVE = """
    UPDATE event SET stream = new.stream
    FROM json_to_recordset(CAST(%(rows)s AS json)) AS new(account_id bigint, id text, stream text)
    WHERE event.account_id = new.account_id AND event.id = new.id
    """
