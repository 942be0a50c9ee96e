"""Everything that the kept events of some accounts make, computed from nothing: arrivals and retractions on their days."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.history import Interval
from app.ledger import registrations, surveys
from app.ledger.post import Place, enter
from app.ledger.presence import Days, Key, Row, days_of, develop, enter_moves
from app.ledger.record import record_of, seen_in
from app.ledger.registrations import ACTIVE, Told, User, uses
from app.ledger.unfold import Kept, StreamName, kept, restated, steps_of
from app.store.books import Books
from app.store.tables import event

# By key, the day on which it became known, and the day: how many events more (or less) there are.
_Counts = dict[Key, dict[date, Counter[date]]]


@dataclass(slots=True)
class Replay:
    """What the books of some accounts have to be. streams: of the events whose stream is not the one that is kept."""

    events: int = 0
    entries: dict[Place, int] = field(default_factory=dict)
    presence: dict[Key, list[Row]] = field(default_factory=dict)
    spells: dict[User, list[Interval]] = field(default_factory=dict)
    streams: dict[tuple[int, str], str | None] = field(default_factory=dict)


async def replay(connection: AsyncConnection, ids: Sequence[int], *, books: Books) -> Replay:
    """Go through all events of these accounts."""
    calendar, known = books.calendar, await surveys.find(connection)
    made = Replay()
    counts: _Counts = {}
    streams: dict[StreamName, dict[str, Kept]] = defaultdict(dict)
    users: dict[User, Told] = defaultdict(Told)
    query = sa.select(event).where(event.c.account_id.in_(ids)).execution_options(yield_per=5_000)
    async with connection.stream(query) as events:
        async for row in events:
            made.events += 1
            survey = known.get(row.data["survey"]) if "survey" in row.data else None
            one = record_of(row, survey, calendar=calendar)
            for recorded_on, sign in ((row.recorded_on, 1), (row.retracted_on, -1)):
                if recorded_on is not None:
                    place: Any = {"on": one.on, "account_id": one.account_id, "recorded_on": recorded_on}
                    enter(made.entries, one.lines, **place, sign=sign)
                    for key in seen_in(one):
                        counts.setdefault(key, {}).setdefault(recorded_on, Counter())[one.on] += sign
            if one.seen:
                users[one.user].changes = {}
            if one.is_of_user:
                users[one.user].events[one.id] = kept(row)
            elif one.stream is not None:
                streams[one.account_id, one.stream][one.id] = kept(row)
            if one.stream != row.stream:
                made.streams[one.account_id, one.id] = one.stream
    for (account_id, stream), found in streams.items():
        restated(made.entries, account_id, stream, found, steps_of(found.values()), calendar=calendar)
    _replay_presence(made, counts, users, books=books)
    removals = {(user, day) for user, told in users.items() for day in told.removals(calendar)}
    for row in await uses(connection, removals, calendar=calendar):
        users[User(row.account_id, row.user_id)].events[row.id] = kept(row)
    for user, told in users.items():
        told.steps = steps_of(told.events.values())
        made.spells[user] = registrations.unfold(made.entries, user, told, calendar=calendar)
    return made


def _replay_presence(made: Replay, counts: _Counts, users: dict[User, Told], *, books: Books) -> None:
    active = {user.presence: told for user, told in users.items()}
    for key, known in counts.items():
        rows: dict[int, Row] = {}
        development = develop(key, rows, dict(_days(known)), books.calendar)
        enter_moves(made.entries, key, development)
        made.presence[key] = [*development.ceased, *rows.values()]
        if key.presence == ACTIVE:
            active[key].changes = development.changes
            active[key].days = {day for row in rows.values() for day in days_of(row.year, row.bits)}


def _days(known: dict[date, Counter[date]]) -> Iterator[tuple[date, Days]]:
    """From how many events more and less there are to the days that have some."""
    there: Counter[date] = Counter()
    for recorded_on in sorted(known):
        before = {day for day in known[recorded_on] if there[day]}
        there.update(known[recorded_on])
        after = {day for day in known[recorded_on] if there[day]}
        yield recorded_on, Days(after - before, before - after)
