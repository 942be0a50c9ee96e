"""One user's registration: from the first day on which it was said to be registered or was active, until it was removed.

Activity is kept as presence, by days; so this stream is fed by `ledger.registrations` and not by its events alone.
"""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

from app.core.periods import UNITS, Calendar, units_containing
from app.database.tables import MAX_DATE
from app.ledger.measures import LONGER_UNIT, EventView, Line, measure, measures_by_unit
from app.ledger.streams.define import DatedLine, StreamEvent

KIND = "user"
REMOVED = "user.removed"
_DAY = timedelta(days=1)

registered_users = measure("registered_users", "Registered users.", stock=True)
joined = measures_by_unit("users_joined", "Users who became registered in a {unit} at whose start they were not.")


def name(fact: EventView) -> str:
    """The name of the stream that an event of a user belongs to."""
    return f"{KIND} {fact.user_id}"


class Spell(NamedTuple):
    """The days `[since, until)` on which a user was registered, if only for a part of the first or last."""

    since: date
    until: date


def spells(happenings: Iterable[StreamEvent], calendar: Calendar) -> list[Spell]:
    """When the user was registered. Whatever it does but being removed makes it registered."""
    found: list[Spell] = []
    since: date | None = None
    for happening in happenings:
        if happening.type != REMOVED:
            since = since or calendar.day(happening.at)
        elif since is not None:
            found.append(Spell(since, calendar.day(happening.at) + _DAY))
            since = None
    if since is not None:
        found.append(Spell(since, MAX_DATE))
    return _merged(found)


def _merged(found: Iterable[Spell]) -> list[Spell]:
    """Who is removed and comes back on the same day was never away."""
    merged: list[Spell] = []
    for spell in found:
        if merged and spell.since < merged[-1].until:
            merged[-1] = Spell(merged[-1].since, spell.until)
        else:
            merged.append(spell)
    return merged


def registration(found: Iterable[Spell], calendar: Calendar) -> Iterator[DatedLine]:
    """What the spells of a user post.

    On the day of its removal a user still was registered, for the day began so; it is so no more at the end.
    """
    last_until = date.min
    for since, until in found:
        yield since, Line(registered_users, 1)
        if until != MAX_DATE:
            yield until - _DAY, Line(registered_users, -1)
        joins = [
            unit
            for unit, (start, _) in zip(UNITS, units_containing(since, calendar), strict=True)
            if last_until <= start
        ]
        for unit in joins:
            if LONGER_UNIT.get(unit) not in joins:
                yield since, Line(joined[unit], 1)
        last_until = until
