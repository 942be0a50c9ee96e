"""The days on which a user was there: what changes of them come to, in rows by two clocks and in entries. Nothing is stored here.

Within each day, week, month, quarter and year a user counts on the first of its days: so the sum from a unit's start to any
day within it is the number of distinct users so far, as known at any time. The first day in a year is also the first in its
quarter and its month: it is entered once, under the longest.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from itertools import zip_longest
from typing import NamedTuple

from app.core.periods import UNITS, Calendar, units_containing
from app.database.tables import MAX_DATE
from app.ledger.measures import LONGER_UNIT, PRESENCES, Line

_DAY = timedelta(days=1)
_SHORTER = {longer: unit for unit, longer in LONGER_UNIT.items()}


class PresenceKey(NamedTuple):
    """Whose presence, and at what."""

    presence: str
    subject: str
    account_id: int
    user_key: int


@dataclass(frozen=True, slots=True)
class DayChanges:
    """Days that were gained and lost."""

    gained: set[date] = field(default_factory=set)
    lost: set[date] = field(default_factory=set)

    @property
    def changed(self) -> tuple[date, ...]:
        return (*self.gained, *self.lost)


class PresenceRow(NamedTuple):
    """A user's days of a year, bit n for its day n (from 0), as known from one day until another."""

    year: int
    bits: int
    recorded_on: date
    ceased_on: date = MAX_DATE


class DatedPresenceLine(NamedTuple):
    """A line that a change of presence brings, with the day it is true of and the day it became known."""

    recorded_on: date
    on: date
    line: Line


@lru_cache(maxsize=200_000)
def user_key(account_id: int, user_id: str) -> int:
    """A 64-bit number of a user, who belongs to one account."""
    name = account_id.to_bytes(8, signed=True) + user_id.encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), signed=True)


class PresenceDelta(NamedTuple):
    """What changes of a key come to. changes: those that did change something. ceased: rows that are known no more."""

    moves: list[DatedPresenceLine]
    changes: dict[date, DayChanges]
    ceased: list[PresenceRow]


def apply_changes(
    key: PresenceKey, rows: dict[int, PresenceRow], changes: Mapping[date, DayChanges], calendar: Calendar
) -> PresenceDelta:
    """Take the current rows of a key, by year, from before its changes (by the day they became known) to after them.

    `rows` has to have all years in `years_around` the changed days, as far as there are any.
    """
    if len(changes) == 1:
        [(recorded_on, days)] = changes.items()
        if len(days.gained) == 1 and not days.lost:
            [day] = days.gained
            if one := _one_more(key, rows, day, days, recorded_on, calendar):
                return one
    found = PresenceDelta([], {}, [])
    changed_days = [day for days in changes.values() for day in days.changed]
    if not changed_days:
        return found
    base = _base(rows, min(changed_days), calendar)
    for recorded_on in sorted(changes):
        days = changes[recorded_on]
        before = _whole(rows, base)
        after = (before | _bits(days.gained, base)) & ~_bits(days.lost, base)
        differing = before ^ after
        if differing:
            changed = {day for day in days.changed if differing >> day.toordinal() - base & 1}
            found.changes[recorded_on] = DayChanges(days.gained & changed, days.lost & changed)
            found.moves.extend(_moves(key, before, after, changed, base, recorded_on, calendar))
            found.ceased.extend(_record(rows, after, changed, base, recorded_on))
    return found


def _one_more(
    key: PresenceKey, rows: dict[int, PresenceRow], day: date, days: DayChanges, recorded_on: date, calendar: Calendar
) -> PresenceDelta | None:
    """What `apply_changes` comes to for one more day, None where it is earlier than the first of a unit."""
    base, ordinal = _base(rows, day, calendar), day.toordinal()
    before = _whole(rows, base)
    if before >> ordinal - base & 1:
        return PresenceDelta([], {}, [])
    measures = PRESENCES[key.presence].units
    new = []
    for unit, start, mask in _spans(day, calendar):
        if unit in measures:
            there = before >> start - base & mask
            if not there:
                new.append(unit)
            elif not there & (1 << ordinal - start) - 1:
                return None
    lines = [Line(measures[unit], 1, key.subject) for unit in new if LONGER_UNIT.get(unit) not in new]
    bits = 1 << ordinal - year_start(day.year)
    if day.year in rows:
        bits |= rows[day.year].bits
    ceased = _put(rows, day.year, bits, recorded_on, late=day < recorded_on)
    return PresenceDelta([DatedPresenceLine(recorded_on, day, line) for line in lines], {recorded_on: days}, ceased)


def _base(rows: Iterable[int], day: date, calendar: Calendar) -> int:
    """The ordinal of the first day that matters: of the rows' years, and of the units of a day."""
    return year_start(min([years_around(day, calendar).start, *rows]))


def _whole(rows: Mapping[int, PresenceRow], base: int) -> int:
    """The days of all rows, a bit for each from the base on."""
    whole = 0
    for row in rows.values():
        whole |= row.bits << year_start(row.year) - base
    return whole


def _moves(
    key: PresenceKey, before: int, after: int, changed: set[date], base: int, recorded_on: date, calendar: Calendar
) -> Iterator[DatedPresenceLine]:
    """A user moves from the first of its days within a unit to another, or comes, or goes."""
    units = PRESENCES[key.presence].units
    lines: dict[tuple[date, str], int] = {}
    spans: Iterable[_Span] = set().union(*(_spans(day, calendar) for day in changed))
    for unit, start, mask in spans:
        if unit in units:
            was, now = before >> start - base & mask, after >> start - base & mask
            was, now = was & -was, now & -now
            if was != now:
                for bit, sign in ((was, -1), (now, 1)):
                    if bit:
                        day = _day_at(start, bit)
                        lines[day, unit] = lines.get((day, unit), 0) + sign
                        if shorter := _SHORTER.get(unit):
                            lines[day, shorter] = lines.get((day, shorter), 0) - sign
    for (day, unit), value in lines.items():
        if value:
            yield DatedPresenceLine(recorded_on, day, Line(units[unit], value, key.subject))


def _day_at(start: int, bit: int) -> date:
    return date.fromordinal(start + bit.bit_length() - 1)


# A unit, the ordinal of its first day, and a bit for each of its days.
_Span = tuple[str, int, int]


@lru_cache(maxsize=20_000)
def _spans(day: date, calendar: Calendar) -> tuple[_Span, ...]:
    """The units that hold a day."""
    spans = zip(UNITS, units_containing(day, calendar), strict=True)
    return tuple((unit, start.toordinal(), (1 << (end - start).days) - 1) for unit, (start, end) in spans)


def _record(
    rows: dict[int, PresenceRow], after: int, changed: Iterable[date], base: int, on: date
) -> Iterator[PresenceRow]:
    """Bring the rows of the changed days' years up to date; those that cease to be known."""
    for year in {day.year for day in changed}:
        bits = after >> year_start(year) - base & (1 << year_start(year + 1) - year_start(year)) - 1
        late = any(day.year == year and day < on for day in changed)
        yield from _put(rows, year, bits, on, late=late)


def _put(rows: dict[int, PresenceRow], year: int, bits: int, on: date, *, late: bool) -> list[PresenceRow]:
    """Put days in the place of a year's, known from a day on; the row that ceases to be known if any of them came `late`."""
    old = rows.get(year)
    if old is not None and not (late and old.recorded_on != on):
        rows[year] = old._replace(bits=bits)
        return []
    rows[year] = PresenceRow(year, bits, on)
    return [] if old is None else [old._replace(ceased_on=on)]


@lru_cache(maxsize=1_000)
def year_start(year: int) -> int:
    """The ordinal of a year's first day."""
    return date(year, 1, 1).toordinal()


def _bits(days: Iterable[date], base: int) -> int:
    bits = 0
    for day in days:
        bits |= 1 << day.toordinal() - base
    return bits


@lru_cache(maxsize=20_000)
def years_around(day: date, calendar: Calendar) -> range:
    """The years that the day's units have days of."""
    spans = units_containing(day, calendar)
    return range(min(start for start, _ in spans).year, (max(end for _, end in spans) - _DAY).year + 1)


def days_in_bits(year: int, bits: int) -> set[date]:
    """The days whose bits are set."""
    first = year_start(year)
    return {date.fromordinal(first + number) for number in range(366) if bits >> number & 1}


def canonical_rows(rows: Iterable[PresenceRow]) -> list[tuple[date | None, int]]:
    """What the rows of a key and year say, however it came about: the days on which late knowledge came, with the bits.

    Of a row only the days before it ceased can be asked for; and where none of its days was known late, it does not
    matter since when it is there.
    """
    said: list[tuple[date | None, int]] = []
    for row in _without_gaps(sorted(rows, key=lambda row: row.recorded_on)):
        past = _before(row.recorded_on, row.year)
        visible = row.bits & _before(row.ceased_on, row.year)
        if said and row.bits & past == said[-1][1]:
            said[-1] = (said[-1][0], visible)
        elif said or row.bits & past:
            said.append((row.recorded_on, visible))
        elif visible:
            said.append((None, visible))
    return said


def _without_gaps(rows: Sequence[PresenceRow]) -> Iterator[PresenceRow]:
    """Rows with empty ones between them where one ceased to be known before the next, or with none to follow."""
    for row, following in zip_longest(rows, rows[1:]):
        yield row
        until = following.recorded_on if following else MAX_DATE
        if row.ceased_on != until:
            yield PresenceRow(row.year, 0, row.ceased_on, until)


def _before(day: date, year: int) -> int:
    """The bits of the days of a year that are before a day."""
    return (1 << min(max(day.toordinal() - year_start(year), 0), 366)) - 1
