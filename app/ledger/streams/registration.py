"""The stream of one user's registration: from the first registration or activity until the removal.

Activity is stored as presence, by days. So `ledger.registrations` gives this stream activity besides its events, and the
stream is not in `STREAMS`.
"""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

from app.core.periods import UNITS, Calendar, units_containing
from app.database.tables import MAX_DATE
from app.ledger.measures import LONGER_UNIT, EventView, Line, measure, measures_by_unit
from app.ledger.streams.define import DatedLine, StreamEvent, declare_measures

KIND = "user"
REMOVED = "user.removed"
_DAY = timedelta(days=1)

registered_users = measure("registered_users", "Registered users.", stock=True)
users_joined = measures_by_unit(
    "users_joined", "Users who became registered during a {unit} and were not registered at its start."
)
declare_measures(KIND, [registered_users, *users_joined.values()])


def stream_name(event: EventView) -> str:
    """Return the name of the stream of a user's event."""
    return f"{KIND} {event.user_id}"


class Spell(NamedTuple):
    """The days `[since, until)` on which a user was registered. A day counts if the user was registered in any part of it."""

    since: date
    until: date


def spells(events: Iterable[StreamEvent], calendar: Calendar) -> list[Spell]:
    """Return the spells of a user in order. Every event except a removal makes the user registered."""
    user_spells: list[Spell] = []
    since: date | None = None
    for event in events:
        if event.type != REMOVED:
            since = since or calendar.day(event.at)
        elif since is not None:
            user_spells.append(Spell(since, calendar.day(event.at) + _DAY))
            since = None
    if since is not None:
        user_spells.append(Spell(since, MAX_DATE))
    return _merge_overlapping(user_spells)


def _merge_overlapping(user_spells: Iterable[Spell]) -> list[Spell]:
    """Merge spells that share a day: a user who is removed and comes back on the same day stays registered."""
    merged_spells: list[Spell] = []
    for spell in user_spells:
        if merged_spells and spell.since < merged_spells[-1].until:
            merged_spells[-1] = Spell(merged_spells[-1].since, spell.until)
        else:
            merged_spells.append(spell)
    return merged_spells


def registration(user_spells: Iterable[Spell], calendar: Calendar) -> Iterator[DatedLine]:
    """Yield what the spells of a user post.

    The balance of registered users falls at the end of the day of the removal: the user was registered for a part of it.
    """
    last_until = date.min
    for since, until in user_spells:
        yield since, Line(registered_users, 1)
        if until != MAX_DATE:
            yield until - _DAY, Line(registered_users, -1)
        joined_units = [
            unit
            for unit, (start, _) in zip(UNITS, units_containing(since, calendar), strict=True)
            if last_until <= start
        ]
        for unit in joined_units:
            if LONGER_UNIT.get(unit) not in joined_units:
                yield since, Line(users_joined[unit], 1)
        last_until = until
