"""Presence: which users were there on which days, so that distinct users of any range can be counted.

A user's days of a calendar year are a row of twelve months of bits. A row says from which day on it is what is known,
and when it ceased to be: a day that becomes known late, or is taken back, makes another row. A day that becomes known on
itself does not, since nobody asks what was known on a day about later ones. Beside the rows stand ledger entries: `days`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

from app.core.periods import Calendar
from app.database.connection import Connection, in_columns, table_of
from app.database.query_plan import Asking
from app.database.tables import END, MONTH_NAMES
from app.ledger.days import Days, Development, Key, Row, develop, first_of, years_of
from app.ledger.entries import Place, enter


def enter_moves(entries: dict[Place, int], key: Key, development: Development) -> None:
    """Add what changes of a key are posted as."""
    for recorded_on, on, line in development.moves:
        enter(entries, (line,), on=on, account_id=key.account_id, recorded_on=recorded_on)


# The rows of each key that are what is known, by year.
Current = dict[Key, dict[int, Row]]


def current(days: Mapping[Key, Iterable[date]], *, labels: Mapping[str, int], calendar: Calendar) -> Asking[Current]:
    """The rows that matter for days of users. The caller holds the lock of every account.

    labels: the numbers of the presences' names and of the subjects.
    """
    keys = list(days)
    wanted = [
        (number, *_place(key, labels), year)
        for number, key in enumerate(keys)
        for year in {year for day in days[key] for year in years_of(day, calendar)}
    ]
    found: Current = {key: {} for key in keys}
    for part in (yield [*in_columns(_CURRENT, ("number", *_KEY), wanted)]) if wanted else ():
        for number, year, recorded_on, *months in part:
            found[keys[number]][year] = Row(year, joined(year, months), recorded_on)
    return found


async def note(
    connection: Connection,
    changes: Mapping[Key, Mapping[date, Days]],
    kept: Current,
    *,
    labels: Mapping[str, int],
    calendar: Calendar,
) -> dict[Key, Development]:
    """Bring the presence of users up to date; what is to be posted. kept: what is `current`, and is changed here."""
    found: dict[Key, Development] = {}
    written: list[tuple[Any, ...]] = []
    for key, known in changes.items():
        rows = kept[key]
        before = dict(rows)
        development = develop(key, rows, known, calendar)
        if development.changes:
            found[key] = development
            new = [row for year, row in rows.items() if before.get(year) != row]
            written += [row_of(key, row, labels) for row in (*development.ceased, *new)]
    await write(connection, written)
    return found


async def write(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows, new ones or others in the place of old ones."""
    await connection.tell(in_columns(_WRITE, _COLUMNS, rows))


def row_of(key: Key, row: Row, labels: Mapping[str, int]) -> tuple[Any, ...]:
    """A row as the table has it."""
    return (*_place(key, labels), row.year, row.recorded_on, row.ceased_on, *split(row))


def _place(key: Key, labels: Mapping[str, int]) -> tuple[int, int, int, int]:
    return labels[key.presence], labels[key.subject], key.account_id, key.user_key


@lru_cache(maxsize=1_000)
def _months(year: int) -> tuple[tuple[int, int], ...]:
    """Where the bits of a year's months begin, and a bit for each of their days."""
    starts = [date(year, month, 1).toordinal() - first_of(year) for month in range(1, 13)]
    ends = [*starts[1:], first_of(year + 1) - first_of(year)]
    return tuple((start, (1 << end - start) - 1) for start, end in zip(starts, ends, strict=True))


def split(row: Row) -> list[int]:
    """The bits of a row by months, the first day of each the lowest bit."""
    return [row.bits >> start & mask for start, mask in _months(row.year)]


def joined(year: int, months: Iterable[int]) -> int:
    """The opposite of `split`."""
    return sum(bits << start for bits, (start, _) in zip(months, _months(year), strict=True) if bits)


_KEY = {
    "presence": "integer",
    "subject": "integer",
    "account_id": "bigint",
    "user_key": "bigint",
    "year": "smallint",
}
_COLUMNS = _KEY | {"recorded_on": "date", "ceased_on": "date"} | dict.fromkeys(MONTH_NAMES, "integer")
_CURRENT = f"""
    SELECT row.number, found.* FROM {table_of({"number": "integer"} | _KEY)}
    CROSS JOIN LATERAL (
        SELECT year, recorded_on, {", ".join(MONTH_NAMES)} FROM presence
        WHERE {" AND ".join(f"presence.{name} = row.{name}" for name in _KEY)} AND ceased_on = '{END}'
        OFFSET 0) AS found
    """
_WRITE = f"""
    INSERT INTO presence ({", ".join(_COLUMNS)})
    SELECT {", ".join(_COLUMNS)} FROM {table_of(_COLUMNS)}
    ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (presence, subject, account_id, user_key, year, recorded_on) DO UPDATE
        SET ceased_on = excluded.ceased_on, {", ".join(f"{name} = excluded.{name}" for name in MONTH_NAMES)}
    """
