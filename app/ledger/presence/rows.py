"""The table of presence: reading the current rows of users, and writing them after changes.

A user's days of a calendar year are a row of twelve months of bits. A row is current from the day `recorded_on` until the day
`ceased_on`: a day of presence that is recorded late, or is taken back, makes another row. A day that is recorded on itself
does not, since no question as of a day is about later days. Beside the rows stand ledger entries, see `changes`.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any

from app.core.periods import Calendar
from app.database.connection import Connection
from app.database.query_plan import QueryPlan
from app.database.statements import array_table, bind_array_rows
from app.database.tables import MAX_DATE, MONTH_NAMES
from app.ledger.presence.changes import DayChanges, PresenceDelta, PresenceRow
from app.ledger.presence.day_bits import year_start, years_around
from app.ledger.presence.keys import PresenceKey
from app.ledger.presence.shortcuts import apply_changes_fast

# The rows of each key that are not ceased, by year.
CurrentRows = dict[PresenceKey, dict[int, PresenceRow]]


def load_current_rows(
    days: Mapping[PresenceKey, Iterable[date]], *, labels: Mapping[str, int], calendar: Calendar
) -> QueryPlan[CurrentRows]:
    """Load the rows that changes of these days depend on: of the years in `years_around` them.

    labels: of the presences and subjects. The caller holds the locks of the accounts.
    """
    keys = list(days)
    lookups = [
        (number, *_key_columns(key, labels), year)
        for number, key in enumerate(keys)
        for year in {year for day in days[key] for year in years_around(day, calendar)}
    ]
    current: CurrentRows = {key: {} for key in keys}
    for batch in (yield [*bind_array_rows(_LOAD, _LOOKUP, lookups)]) if lookups else ():
        for number, year, recorded_on, *months in batch:
            current[keys[number]][year] = PresenceRow(year, join_months(year, months), recorded_on)
    return current


async def write_changes(
    connection: Connection,
    changes: Mapping[PresenceKey, Mapping[date, DayChanges]],
    current: CurrentRows,
    *,
    labels: Mapping[str, int],
    calendar: Calendar,
) -> dict[PresenceKey, PresenceDelta]:
    """Write the rows of users after changes; return what is to be posted, by key, where a change made a difference.

    current: what `load_current_rows` returned; it is updated.
    """
    deltas: dict[PresenceKey, PresenceDelta] = {}
    table_rows: list[tuple[Any, ...]] = []
    for key, key_changes in changes.items():
        rows = current[key]
        before = dict(rows)
        delta = apply_changes_fast(key, rows, key_changes, calendar)
        if delta.changes:
            deltas[key] = delta
            new_rows = [row for year, row in rows.items() if before.get(year) != row]
            table_rows += [table_row(key, row, labels) for row in (*delta.ceased_rows, *new_rows)]
    await connection.enqueue(bind_array_rows(_WRITE, _COLUMNS, table_rows))
    return deltas


def table_row(key: PresenceKey, row: PresenceRow, labels: Mapping[str, int]) -> tuple[Any, ...]:
    """Return a row with the table's columns."""
    return (*_key_columns(key, labels), row.year, row.recorded_on, row.ceased_on, *split_months(row))


def _key_columns(key: PresenceKey, labels: Mapping[str, int]) -> tuple[int, int, int, int]:
    return labels[key.presence], labels[key.subject], key.account_id, key.user_key


def split_months(row: PresenceRow) -> list[int]:
    """Return the bits of each month, the first day the lowest bit."""
    return [row.bits >> start & mask for start, mask in _months_of_year(row.year)]


def join_months(year: int, months: Iterable[int]) -> int:
    """Return the bits of a year from those of its months: the inverse of `split_months`."""
    return sum(bits << start for bits, (start, _) in zip(months, _months_of_year(year), strict=True) if bits)


@lru_cache(maxsize=1_000)
def _months_of_year(year: int) -> tuple[tuple[int, int], ...]:
    """Return, for each month, the bit of its first day and a mask with a bit for each of its days."""
    starts = [date(year, month, 1).toordinal() - year_start(year) for month in range(1, 13)]
    ends = [*starts[1:], year_start(year + 1) - year_start(year)]
    return tuple((start, (1 << end - start) - 1) for start, end in zip(starts, ends, strict=True))


_KEY = {
    "presence": "integer",
    "subject": "integer",
    "account_id": "bigint",
    "user_key": "bigint",
    "year": "smallint",
}
_COLUMNS = _KEY | {"recorded_on": "date", "ceased_on": "date"} | dict.fromkeys(MONTH_NAMES, "integer")
_LOOKUP = {"number": "integer"} | _KEY
_LOAD = f"""
    SELECT row.number, stored.* FROM {array_table(_LOOKUP)}
    CROSS JOIN LATERAL (
        SELECT year, recorded_on, {", ".join(MONTH_NAMES)} FROM presence
        WHERE {" AND ".join(f"presence.{name} = row.{name}" for name in _KEY)} AND ceased_on = '{MAX_DATE}'
        OFFSET 0) AS stored
    """
_WRITE = f"""
    INSERT INTO presence ({", ".join(_COLUMNS)})
    SELECT {", ".join(_COLUMNS)} FROM {array_table(_COLUMNS)}
    ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (presence, subject, account_id, user_key, year, recorded_on) DO UPDATE
        SET ceased_on = excluded.ceased_on, {", ".join(f"{name} = excluded.{name}" for name in MONTH_NAMES)}
    """
