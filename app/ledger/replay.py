"""Everything that the kept events of some accounts make, computed from nothing: arrivals and retractions on their days."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cache, partial
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic_core import from_json

from app.accounts.history import Interval
from app.books.books import Books
from app.core.periods import UNITS, Calendar, units_of
from app.database.connection import Connection
from app.database.tables import END, event
from app.ledger import registrations, surveys
from app.ledger.days import Days, Key, Row, days_of, develop
from app.ledger.entries import Place, enter
from app.ledger.measures import PRESENCES, WITHIN
from app.ledger.posting import record_of
from app.ledger.presence import enter_moves
from app.ledger.registrations import ACTIVE, Told, User, uses
from app.ledger.unfold import Kept, StreamName, kept, restated, steps_of

# By key, the day on which it became known, and the day: how many events more (or less) there are.
_Counts = dict[Key, dict[date, dict[date, int]]]


class _Event(NamedTuple):
    """What is looked at of an event that is kept."""

    account_id: int
    id: str
    type: str
    user_id: str | None
    occurred_at: datetime
    recorded_on: date
    retracted_on: date | None
    rate: Decimal | None
    stream: str | None
    data: dict[str, Any]


@dataclass(slots=True)
class Replay:
    """What the books of some accounts have to be. streams: of the events whose stream is not the one that is kept."""

    events: int = 0
    entries: dict[Place, int] = field(default_factory=dict)
    presence: dict[Key, list[Row]] = field(default_factory=dict)
    spells: dict[User, list[Interval]] = field(default_factory=dict)
    streams: dict[tuple[int, str], str | None] = field(default_factory=dict)


async def replay(connection: Connection, ids: Sequence[int], *, books: Books) -> Replay:
    """Go through all events of these accounts."""
    calendar, known = books.calendar, await surveys.find(connection)
    made = Replay()
    counts: _Counts = defaultdict(lambda: defaultdict(dict))
    streams: dict[StreamName, dict[str, Kept]] = defaultdict(dict)
    users: dict[User, Told] = defaultdict(Told)
    async for row in _events(connection, ids):
        made.events += 1
        survey = known.get(row.data["survey"]) if "survey" in row.data else None
        one = record_of(row, survey, row.rate, calendar=calendar)
        for recorded_on, sign in ((row.recorded_on, 1), (row.retracted_on, -1)):
            if recorded_on is not None:
                place: Any = {"on": one.on, "account_id": one.account_id, "recorded_on": recorded_on}
                enter(made.entries, one.lines, **place, sign=sign)
                for key in one.seen:
                    days = counts[key][recorded_on]
                    days[one.on] = days.get(one.on, 0) + sign
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


async def _events(connection: Connection, ids: Sequence[int]) -> AsyncIterator[_Event]:
    """All events of the accounts. Their data is read here, which is faster than in the driver."""
    *others, data = _Event._fields
    columns = [*(event.c[name] for name in others), sa.cast(event.c[data], sa.Text)]
    query = sa.select(*columns).where(event.c.account_id == sa.any_(sa.literal(list(ids), sa.ARRAY(sa.BigInteger))))
    async for *row, data in connection.stream(query, many=5_000):
        yield _Event._make((*row, from_json(data)))


def _replay_presence(made: Replay, counts: _Counts, users: dict[User, Told], *, books: Books) -> None:
    active = {user.presence: told for user, told in users.items()}
    starts = cache(partial(_starts, calendar=books.calendar))
    for key, known in counts.items():
        if len(known) == 1:
            changes = _learn_at_once(made, key, known, starts)
        else:
            rows: dict[int, Row] = {}
            development = develop(key, rows, dict(_days(known)), books.calendar)
            enter_moves(made.entries, key, development)
            made.presence[key] = [*development.ceased, *rows.values()]
            changes = development.changes
        if key.presence == ACTIVE:
            told = active[key]
            told.changes = changes
            told.days = {
                day for row in made.presence[key] if row.ceased_on == END for day in days_of(row.year, row.bits)
            }


def _learn_at_once(
    made: Replay, key: Key, known: Mapping[date, Mapping[date, int]], starts: Callable[[date], tuple[date, ...]]
) -> dict[date, Days]:
    """What `develop` comes to when there was nothing before: a user counts on its first day in each unit."""
    [(recorded_on, counts)] = known.items()
    days = sorted(day for day, count in counts.items() if count)
    units = PRESENCES[key.presence].units
    numbers = {unit: number for number, unit in enumerate(UNITS)}
    measures = [(numbers[unit], numbers.get(WITHIN.get(unit, "")), measure.name) for unit, measure in units.items()]
    bits: dict[int, int] = {}
    last: tuple[date | None, ...] = (None,) * len(UNITS)
    for day in days:
        bits[day.year] = bits.get(day.year, 0) | 1 << day.timetuple().tm_yday - 1
        begun = starts(day)
        for number, longer, measure in measures:
            if begun[number] != last[number] and (longer is None or begun[longer] == last[longer]):
                place = Place(measure, day, key.account_id, key.subject, "", recorded_on)
                made.entries[place] = made.entries.get(place, 0) + 1
        last = begun
    made.presence[key] = [Row(year, found, recorded_on) for year, found in bits.items()]
    return {recorded_on: Days(set(days))} if days else {}


def _starts(day: date, *, calendar: Calendar) -> tuple[date, ...]:
    """The first days of the units that hold a day."""
    return tuple(start for start, _ in units_of(day, calendar))


def _days(known: Mapping[date, Mapping[date, int]]) -> Iterator[tuple[date, Days]]:
    """From how many events more and less there are to the days that have some."""
    there: Counter[date] = Counter()
    for recorded_on in sorted(known):
        before = {day for day in known[recorded_on] if there[day]}
        there.update(known[recorded_on])
        after = {day for day in known[recorded_on] if there[day]}
        yield recorded_on, Days(after - before, before - after)
