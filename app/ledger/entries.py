"""Entries and the totals beside them: collecting lines into entries, and posting all entries of a batch in one statement.

`_POST` writes three tables, one part (CTE) each. The order of the parts matters. PostgreSQL runs the main statement
first and then the other writing parts from the last to the first, so the rows are written in this order:

1. `total`, the main statement, and `entry`, the last part. Their rows belong to accounts that this transaction has locked,
   so that two transactions never wait for each other at this point.
2. `grand_total`, the first part. Every transaction writes the same few rows, so each waits for the others: the rows are
   written last, so that nobody waits for long, and sorted by key, so that no two transactions wait for each other.

`tests/ledger/test_grand_totals.py` holds this: `test_grand_totals_are_written_after_entries_and_totals`.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

from app.database.connection import Connection
from app.database.statements import array_table, bind_array_rows
from app.database.tables import MONTH_NAMES
from app.ledger.grand_totals import GRAND_TOTAL_KEY, add_months_on_conflict
from app.ledger.measures import MEASURES, Line


class EntryKey(NamedTuple):
    """Everything of an entry but its value, with texts in place of labels."""

    measure: str
    effective_on: date
    account_id: int
    subject: str
    channel: str
    recorded_on: date


def add_lines(
    entries: dict[EntryKey, int],
    lines: Iterable[Line],
    *,
    effective_on: date,
    account_id: int,
    recorded_on: date,
    sign: int = 1,
) -> None:
    """Add the lines of one event to entries; with the sign -1, subtract them."""
    for measure, value, subject, channel in lines:
        key = EntryKey(measure.name, effective_on, account_id, subject, channel, recorded_on)
        entries[key] = entries.get(key, 0) + sign * value


def add_dated_lines(
    entries: dict[EntryKey, int],
    dated_lines: Iterable[tuple[date, Line]],
    *,
    account_id: int,
    recorded_on: date,
    sign: int = 1,
) -> None:
    """Add lines with an effective day each to entries; with the sign -1, subtract them."""
    for effective_on, (measure, value, subject, channel) in dated_lines:
        key = EntryKey(measure.name, effective_on, account_id, subject, channel, recorded_on)
        entries[key] = entries.get(key, 0) + sign * value


def entry_label_texts(entries: Mapping[EntryKey, int]) -> set[str]:
    """Return the texts whose labels `post_entries` needs."""
    return {text for key, value in entries.items() if value for text in (key.measure, key.subject, key.channel)}


async def post_entries(connection: Connection, entries: Mapping[EntryKey, int], *, labels: Mapping[str, int]) -> None:
    """Add entries to the ledger and to the totals. The caller holds the locks of their accounts."""
    rows = [
        (labels[measure], on, account_id, labels[subject], labels[channel], recorded_on, value, _totals_kind(measure))
        for (measure, on, account_id, subject, channel, recorded_on), value in entries.items()
        if value
    ]
    # Very many rows are posted by several statements: in the order of the grand totals, which every transaction writes.
    in_order = bind_array_rows(_POST, _COLUMNS, rows, sort_key=lambda row: (row[0], row[1].year, row[3], row[4]))
    await connection.enqueue(in_order)


# Which monthly totals a measure has: none, the sums of each month, or these cumulated within the year.
_NO_TOTALS, _MONTHLY, _CUMULATED = range(3)


def _totals_kind(name: str) -> int:
    measure = MEASURES[name]
    return _NO_TOTALS if not measure.by_month else _CUMULATED if measure.stock else _MONTHLY


def _counts_in(month: int) -> str:
    """Return the SQL condition under which a posted row counts in a month's total."""
    return f"month = {month} OR month < {month} AND totalled = {_CUMULATED}"


_COLUMNS = {
    "measure": "integer",
    "effective_on": "date",
    "account_id": "bigint",
    "subject": "integer",
    "channel": "integer",
    "recorded_on": "date",
    "value": "bigint",
    "totalled": "smallint",
}
_KEY, _MONTHS = ", ".join(GRAND_TOTAL_KEY), ", ".join(MONTH_NAMES)
# The order of the parts matters: see the module's docstring. Rows are sorted by key, so that neighbors on disk are written
# one after the other.
_POST = f"""
    WITH posted AS (
        SELECT *, CAST(date_part('month', effective_on) AS integer) AS month FROM {array_table(_COLUMNS)}
    ), summed AS (
        SELECT measure, CAST(date_part('year', effective_on) AS integer) AS year, account_id, subject, channel,
            {", ".join(f"coalesce(sum(value) FILTER (WHERE {_counts_in(m)}), 0) AS {MONTH_NAMES[m - 1]}" for m in range(1, 13))}
        FROM posted WHERE totalled <> {_NO_TOTALS} GROUP BY 1, 2, 3, 4, 5
    ), written_grand_totals AS (
        INSERT INTO grand_total ({_KEY}, {_MONTHS})
        SELECT {_KEY}, {", ".join(f"sum({name})" for name in MONTH_NAMES)}
        FROM summed GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        ON CONFLICT ({_KEY}) {add_months_on_conflict("grand_total")}
    ), written_entries AS (
        INSERT INTO entry (measure, effective_on, account_id, subject, channel, recorded_on, value)
        SELECT measure, effective_on, account_id, subject, channel, recorded_on, value FROM posted
        ORDER BY 1, 2, 3, 4, 5, 6
        ON CONFLICT (measure, effective_on, account_id, subject, channel, recorded_on)
        DO UPDATE SET value = entry.value + excluded.value
    )
    INSERT INTO total (measure, year, account_id, subject, channel, {_MONTHS})
    SELECT * FROM summed ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (measure, year, account_id, subject, channel) {add_months_on_conflict("total")}
    """
