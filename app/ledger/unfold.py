"""The engine of streams: what a stream posts when events are added to it or taken away, day of knowledge by day."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from app.core.periods import Calendar
from app.database.connection import Connection
from app.ledger.entries import Place, enter_dated
from app.ledger.measures import rank_of
from app.ledger.streams.define import STREAMS, Dated, Happening


class Kept(NamedTuple):
    """An event as it is kept, with the days on which it became known and was taken back."""

    happening: Happening
    recorded_on: date
    retracted_on: date | None


@dataclass(slots=True)
class Step:
    """The ids of the events that a day of knowledge adds to a stream, and of those that it takes away."""

    added: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)


Steps = dict[date, Step]
StreamName = tuple[int, str]


def kept(row: Any) -> Kept:
    """A row of the event table, as streams see it."""
    happening = Happening(row.occurred_at, rank_of(row.type), row.id, row.type, row.data, row.rate)
    return Kept(happening, row.recorded_on, row.retracted_on)


def steps_of(events: Iterable[Kept]) -> Steps:
    """All that ever became known of some events, from nothing."""
    steps: Steps = {}
    for happening, recorded_on, retracted_on in events:
        steps.setdefault(recorded_on, Step()).added.add(happening.id)
        if retracted_on is not None:
            steps.setdefault(retracted_on, Step()).removed.add(happening.id)
    return steps


def before(events: Mapping[str, Kept], steps: Steps) -> set[str]:
    """The ids of the events that were live before the first step."""
    added = set().union(*(step.added for step in steps.values()))
    removed = set().union(*(step.removed for step in steps.values()))
    return {id for id, event in events.items() if event.retracted_on is None or id in removed} - added


def unfold(
    entries: dict[Place, int],
    events: Mapping[str, Kept],
    steps: Steps,
    derive: Callable[[list[Happening]], Iterable[Dated]],
    *,
    account_id: int,
) -> None:
    """Enter what each step changes of what the stream posts."""
    live = before(events, steps)
    posted = list(derive(_ordered(events, live)))
    for day in sorted(steps):
        live = (live | steps[day].added) - steps[day].removed
        enter_dated(entries, posted, account_id=account_id, recorded_on=day, sign=-1)
        posted = list(derive(_ordered(events, live)))
        enter_dated(entries, posted, account_id=account_id, recorded_on=day)


def _ordered(events: Mapping[str, Kept], live: Iterable[str]) -> list[Happening]:
    return sorted((events[id].happening for id in live if id in events), key=lambda happening: happening[:3])


async def restate(
    connection: Connection, entries: dict[Place, int], changed: Mapping[StreamName, Steps], *, calendar: Calendar
) -> None:
    """Enter what changes of streams bring. The events are stored already, under their accounts' locks."""
    for (account_id, stream), events in (await load(connection, changed)).items():
        restated(entries, account_id, stream, events, changed[account_id, stream], calendar=calendar)


def restated(
    entries: dict[Place, int],
    account_id: int,
    stream: str,
    events: Mapping[str, Kept],
    steps: Steps,
    *,
    calendar: Calendar,
) -> None:
    """Enter what the steps change of one stream."""
    derive = STREAMS[stream.partition(" ")[0]]
    unfold(entries, events, steps, lambda happenings: derive(happenings, calendar), account_id=account_id)


async def load(connection: Connection, streams: Iterable[StreamName]) -> dict[StreamName, dict[str, Kept]]:
    """All events of some streams, by id; those that were taken back, too."""
    found: dict[StreamName, dict[str, Kept]] = {name: {} for name in streams}
    rows = [{"account_id": account_id, "stream": stream} for account_id, stream in found]
    for row in await connection.send(_LOAD, rows):
        found[row.account_id, row.stream][row.id] = kept(row)
    return found


async def move(connection: Connection, streams: Mapping[tuple[int, str], str | None]) -> None:
    """Note of which streams events are, by their accounts and ids."""
    rows = [{"account_id": account_id, "id": id, "stream": stream} for (account_id, id), stream in streams.items()]
    await connection.send(_MOVE, rows)


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
