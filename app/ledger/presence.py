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
from app.database.connection import Connection
from app.database.query_plan import QueryPlan
from app.database.statements import array_table, bind_array_rows
from app.database.tables import MAX_DATE, MONTH_NAMES
from app.ledger.days import DayChanges, PresenceDelta, PresenceKey, PresenceRow, apply_changes, year_start, years_around
from app.ledger.entries import EntryKey, add_lines


def add_delta(entries: dict[EntryKey, int], key: PresenceKey, development: PresenceDelta) -> None:
    """Add what changes of a key are posted as."""
    for recorded_on, on, line in development.moves:
        add_lines(entries, (line,), on=on, account_id=key.account_id, recorded_on=recorded_on)


# The rows of each key that are what is known, by year.
CurrentRows = dict[PresenceKey, dict[int, PresenceRow]]


def load_current_rows(
    days: Mapping[PresenceKey, Iterable[date]], *, labels: Mapping[str, int], calendar: Calendar
) -> QueryPlan[CurrentRows]:
    """The rows that matter for days of users. The caller holds the lock of every account.

    labels: the numbers of the presences' names and of the subjects.
    """
    keys = list(days)
    wanted = [
        (number, *_place(key, labels), year)
        for number, key in enumerate(keys)
        for year in {year for day in days[key] for year in years_around(day, calendar)}
    ]
    found: CurrentRows = {key: {} for key in keys}
    for part in (yield [*bind_array_rows(_CURRENT, {"number": "integer"} | _KEY, wanted)]) if wanted else ():
        for number, year, recorded_on, *months in part:
            found[keys[number]][year] = PresenceRow(year, join_months(year, months), recorded_on)
    return found


async def write_changes(
    connection: Connection,
    changes: Mapping[PresenceKey, Mapping[date, DayChanges]],
    kept: CurrentRows,
    *,
    labels: Mapping[str, int],
    calendar: Calendar,
) -> dict[PresenceKey, PresenceDelta]:
    """Bring the presence of users up to date; what is to be posted. kept: what is `load_current_rows`, and is changed here."""
    found: dict[PresenceKey, PresenceDelta] = {}
    written: list[tuple[Any, ...]] = []
    for key, known in changes.items():
        rows = kept[key]
        before = dict(rows)
        development = apply_changes(key, rows, known, calendar)
        if development.changes:
            found[key] = development
            new = [row for year, row in rows.items() if before.get(year) != row]
            written += [row_of(key, row, labels) for row in (*development.ceased, *new)]
    await write_rows(connection, written)
    return found


async def write_rows(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows, new ones or others in the place of old ones."""
    await connection.enqueue(bind_array_rows(_WRITE, _COLUMNS, rows))


def row_of(key: PresenceKey, row: PresenceRow, labels: Mapping[str, int]) -> tuple[Any, ...]:
    """A row as the table has it."""
    return (*_place(key, labels), row.year, row.recorded_on, row.ceased_on, *split_months(row))


def _place(key: PresenceKey, labels: Mapping[str, int]) -> tuple[int, int, int, int]:
    return labels[key.presence], labels[key.subject], key.account_id, key.user_key


@lru_cache(maxsize=1_000)
def _months(year: int) -> tuple[tuple[int, int], ...]:
    """Where the bits of a year's months begin, and a bit for each of their days."""
    starts = [date(year, month, 1).toordinal() - year_start(year) for month in range(1, 13)]
    ends = [*starts[1:], year_start(year + 1) - year_start(year)]
    return tuple((start, (1 << end - start) - 1) for start, end in zip(starts, ends, strict=True))


def split_months(row: PresenceRow) -> list[int]:
    """The bits of a row by months, the first day of each the lowest bit."""
    return [row.bits >> start & mask for start, mask in _months(row.year)]


def join_months(year: int, months: Iterable[int]) -> int:
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
    SELECT row.number, found.* FROM {array_table({"number": "integer"} | _KEY)}
    CROSS JOIN LATERAL (
        SELECT year, recorded_on, {", ".join(MONTH_NAMES)} FROM presence
        WHERE {" AND ".join(f"presence.{name} = row.{name}" for name in _KEY)} AND ceased_on = '{MAX_DATE}'
        OFFSET 0) AS found
    """
_WRITE = f"""
    INSERT INTO presence ({", ".join(_COLUMNS)})
    SELECT {", ".join(_COLUMNS)} FROM {array_table(_COLUMNS)}
    ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (presence, subject, account_id, user_key, year, recorded_on) DO UPDATE
        SET ceased_on = excluded.ceased_on, {", ".join(f"{name} = excluded.{name}" for name in MONTH_NAMES)}
    """
