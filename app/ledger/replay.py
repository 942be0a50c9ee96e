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

from app.accounts.intervals import VersionedInterval
from app.books.books import Books
from app.core.periods import UNITS, Calendar, units_containing
from app.database.connection import Connection
from app.database.tables import MAX_DATE, event
from app.ledger import registrations, surveys
from app.ledger.days import DayChanges, PresenceKey, PresenceRow, apply_changes, days_in_bits
from app.ledger.entries import EntryKey, add_lines
from app.ledger.measures import LONGER_UNIT, PRESENCES
from app.ledger.posting import build_posting
from app.ledger.presence import add_delta
from app.ledger.registrations import ACTIVE_USERS, User, UserHistory, load_activity_events
from app.ledger.unfold import StoredEvent, StreamName, changes_of_events, repost_stream, stored_event

# By key, the day on which it became known, and the day: how many events more (or less) there are.
_Counts = dict[PresenceKey, dict[date, dict[date, int]]]


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
class ReplayResult:
    """What the books of some accounts have to be. streams: of the events whose stream is not the one that is kept."""

    events: int = 0
    entries: dict[EntryKey, int] = field(default_factory=dict)
    presence: dict[PresenceKey, list[PresenceRow]] = field(default_factory=dict)
    spells: dict[User, list[VersionedInterval]] = field(default_factory=dict)
    streams: dict[tuple[int, str], str | None] = field(default_factory=dict)


async def replay(connection: Connection, ids: Sequence[int], *, books: Books) -> ReplayResult:
    """Go through all events of these accounts."""
    calendar, known = books.calendar, await surveys.load_surveys(connection)
    made = ReplayResult()
    counts: _Counts = defaultdict(lambda: defaultdict(dict))
    streams: dict[StreamName, dict[str, StoredEvent]] = defaultdict(dict)
    users: dict[User, UserHistory] = defaultdict(UserHistory)
    async for row in _events(connection, ids):
        made.events += 1
        survey = known.get(row.data["survey"]) if "survey" in row.data else None
        one = build_posting(row, survey, row.rate, calendar=calendar)
        for recorded_on, sign in ((row.recorded_on, 1), (row.retracted_on, -1)):
            if recorded_on is not None:
                place: Any = {"on": one.on, "account_id": one.account_id, "recorded_on": recorded_on}
                add_lines(made.entries, one.lines, **place, sign=sign)
                for key in one.seen:
                    days = counts[key][recorded_on]
                    days[one.on] = days.get(one.on, 0) + sign
        if one.seen:
            users[one.user].changes = {}
        if one.is_of_user:
            users[one.user].events[one.id] = stored_event(row)
        elif one.stream is not None:
            streams[one.account_id, one.stream][one.id] = stored_event(row)
        if one.stream != row.stream:
            made.streams[one.account_id, one.id] = one.stream
    for (account_id, stream), found in streams.items():
        repost_stream(made.entries, account_id, stream, found, changes_of_events(found.values()), calendar=calendar)
    _replay_presence(made, counts, users, books=books)
    removals = {(user, day) for user, told in users.items() for day in told.removals(calendar)}
    for row in await load_activity_events(connection, removals, calendar=calendar):
        users[User(row.account_id, row.user_id)].events[row.id] = stored_event(row)
    for user, told in users.items():
        told.steps = changes_of_events(told.events.values())
        made.spells[user] = registrations.diff_registration(made.entries, user, told, calendar=calendar)
    return made


async def _events(connection: Connection, ids: Sequence[int]) -> AsyncIterator[_Event]:
    """All events of the accounts. Their data is read here, which is faster than in the driver."""
    *others, data = _Event._fields
    columns = [*(event.c[name] for name in others), sa.cast(event.c[data], sa.Text)]
    query = sa.select(*columns).where(event.c.account_id == sa.any_(sa.literal(list(ids), sa.ARRAY(sa.BigInteger))))
    async for *row, data in connection.stream(query, batch_size=5_000):
        yield _Event._make((*row, from_json(data)))


def _replay_presence(made: ReplayResult, counts: _Counts, users: dict[User, UserHistory], *, books: Books) -> None:
    active = {user.presence: told for user, told in users.items()}
    starts = cache(partial(_starts, calendar=books.calendar))
    for key, known in counts.items():
        if len(known) == 1:
            changes = _learn_at_once(made, key, known, starts)
        else:
            rows: dict[int, PresenceRow] = {}
            development = apply_changes(key, rows, dict(_days(known)), books.calendar)
            add_delta(made.entries, key, development)
            made.presence[key] = [*development.ceased, *rows.values()]
            changes = development.changes
        if key.presence == ACTIVE_USERS:
            told = active[key]
            told.changes = changes
            told.days = {
                day
                for row in made.presence[key]
                if row.ceased_on == MAX_DATE
                for day in days_in_bits(row.year, row.bits)
            }


def _learn_at_once(
    made: ReplayResult,
    key: PresenceKey,
    known: Mapping[date, Mapping[date, int]],
    starts: Callable[[date], tuple[date, ...]],
) -> dict[date, DayChanges]:
    """What `apply_changes` comes to when there was nothing before: a user counts on its first day in each unit."""
    [(recorded_on, counts)] = known.items()
    days = sorted(day for day, count in counts.items() if count)
    units = PRESENCES[key.presence].units
    numbers = {unit: number for number, unit in enumerate(UNITS)}
    measures = [
        (numbers[unit], numbers.get(LONGER_UNIT.get(unit, "")), measure.name) for unit, measure in units.items()
    ]
    bits: dict[int, int] = {}
    last: tuple[date | None, ...] = (None,) * len(UNITS)
    for day in days:
        bits[day.year] = bits.get(day.year, 0) | 1 << day.timetuple().tm_yday - 1
        begun = starts(day)
        for number, longer, measure in measures:
            if begun[number] != last[number] and (longer is None or begun[longer] == last[longer]):
                place = EntryKey(measure, day, key.account_id, key.subject, "", recorded_on)
                made.entries[place] = made.entries.get(place, 0) + 1
        last = begun
    made.presence[key] = [PresenceRow(year, found, recorded_on) for year, found in bits.items()]
    return {recorded_on: DayChanges(set(days))} if days else {}


def _starts(day: date, *, calendar: Calendar) -> tuple[date, ...]:
    """The first days of the units that hold a day."""
    return tuple(start for start, _ in units_containing(day, calendar))


def _days(known: Mapping[date, Mapping[date, int]]) -> Iterator[tuple[date, DayChanges]]:
    """From how many events more and less there are to the days that have some."""
    there: Counter[date] = Counter()
    for recorded_on in sorted(known):
        before = {day for day in known[recorded_on] if there[day]}
        there.update(known[recorded_on])
        after = {day for day in known[recorded_on] if there[day]}
        yield recorded_on, DayChanges(after - before, before - after)
