"""Posting: entries and the monthly totals beside them, in one statement of the transaction that brings the events."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from app.database.connection import Connection
from app.database.statements import array_table, bind_array_rows
from app.database.tables import MONTH_NAMES
from app.ledger.measures import MEASURES, Line


class EntryKey(NamedTuple):
    """Where a line is entered: what it is about, in words, with both clocks."""

    measure: str
    effective_on: date
    account_id: int
    subject: str
    channel: str
    recorded_on: date


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
# Whether a measure has monthly totals.
_NOT, _BY_MONTH, _CUMULATED = range(3)


def _counts_in(month: int) -> str:
    return f"month = {month} OR month < {month} AND totalled = {_CUMULATED}"


_PLACE = ("measure", "year", "subject", "channel")
_MONTHS = ", ".join(MONTH_NAMES)
_SUM_COLUMNS = dict.fromkeys(_PLACE, "integer") | dict.fromkeys(MONTH_NAMES, "bigint")


def _added(table: str) -> str:
    return "DO UPDATE SET " + ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in MONTH_NAMES)


# Sorted by key, so that neighbours on disk are written together. Rows of one account are written under its lock, so
# that two transactions never wait for each other here. Those of all accounts together are written by everybody: sorted, so
# that nobody waits in a circle, and last, so that nobody waits for long: PostgreSQL runs the earliest of such parts last. A
# stock's months are cumulated within the year.
_POST = f"""
    WITH posted AS (
        SELECT *, CAST(date_part('month', effective_on) AS integer) AS month FROM {array_table(_COLUMNS)}
    ), summed AS (
        SELECT measure, CAST(date_part('year', effective_on) AS integer) AS year, account_id, subject, channel,
            {", ".join(f"coalesce(sum(value) FILTER (WHERE {_counts_in(m)}), 0) AS {MONTH_NAMES[m - 1]}" for m in range(1, 13))}
        FROM posted WHERE totalled <> {_NOT} GROUP BY 1, 2, 3, 4, 5
    ), together AS (
        INSERT INTO grand_total ({", ".join(_PLACE)}, {_MONTHS})
        SELECT {", ".join(_PLACE)}, {", ".join(f"sum({name})" for name in MONTH_NAMES)}
        FROM summed GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        ON CONFLICT ({", ".join(_PLACE)}) {_added("grand_total")}
    ), entries AS (
        INSERT INTO entry (measure, effective_on, account_id, subject, channel, recorded_on, value)
        SELECT measure, effective_on, account_id, subject, channel, recorded_on, value FROM posted
        ORDER BY 1, 2, 3, 4, 5, 6
        ON CONFLICT (measure, effective_on, account_id, subject, channel, recorded_on)
        DO UPDATE SET value = entry.value + excluded.value
    )
    INSERT INTO total (measure, year, account_id, subject, channel, {_MONTHS})
    SELECT * FROM summed ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (measure, year, account_id, subject, channel) {_added("total")}
    """

_ADD_UP = f"""
    INSERT INTO grand_total ({", ".join(_PLACE)}, {_MONTHS})
    SELECT * FROM {array_table(_SUM_COLUMNS)}
    ORDER BY 1, 2, 3, 4
    ON CONFLICT ({", ".join(_PLACE)}) {_added("grand_total")}
    """

# What is missing is added, as of one moment: what others post to both tables meanwhile changes nothing of it.
_ADD_UP_AGAIN = f"""
    INSERT INTO grand_total ({", ".join(_PLACE)}, {_MONTHS})
    SELECT {", ".join(_PLACE)}, {", ".join(f"coalesce(sums.{m}, 0) - coalesce(kept.{m}, 0)" for m in MONTH_NAMES)}
    FROM (SELECT {", ".join(_PLACE)}, {", ".join(f"sum({m}) AS {m}" for m in MONTH_NAMES)} FROM total GROUP BY 1, 2, 3, 4) AS sums
    FULL JOIN grand_total AS kept USING ({", ".join(_PLACE)})
    WHERE {" OR ".join(f"coalesce(sums.{m}, 0) <> coalesce(kept.{m}, 0)" for m in MONTH_NAMES)}
    ORDER BY 1, 2, 3, 4
    ON CONFLICT ({", ".join(_PLACE)}) {_added("grand_total")}
    """


def add_lines(
    entries: dict[EntryKey, int], lines: Iterable[Line], *, on: date, account_id: int, recorded_on: date, sign: int = 1
) -> None:
    """Add the lines of one event, true of the day `on`, to entries; with the sign -1, take them back."""
    for line in lines:
        place = EntryKey(line.measure.name, on, account_id, line.subject, line.channel, recorded_on)
        entries[place] = entries.get(place, 0) + sign * line.value


def add_dated_lines(
    entries: dict[EntryKey, int],
    dated: Iterable[tuple[date, Line]],
    *,
    account_id: int,
    recorded_on: date,
    sign: int = 1,
) -> None:
    """Add lines that are true of several days."""
    for on, line in dated:
        add_lines(entries, (line,), on=on, account_id=account_id, recorded_on=recorded_on, sign=sign)


def entry_label_texts(entries: Mapping[EntryKey, int]) -> set[str]:
    """The words whose numbers `post` needs."""
    return {word for place, value in entries.items() if value for word in (place.measure, place.subject, place.channel)}


def _totalled(measure: str) -> int:
    kind = MEASURES[measure]
    return _NOT if not kind.by_month else _CUMULATED if kind.stock else _BY_MONTH


async def post_entries(connection: Connection, entries: Mapping[EntryKey, int], *, labels: Mapping[str, int]) -> None:
    """Add entries to the ledger. The caller holds the lock of every account among them."""
    rows = [
        (labels[measure], on, account_id, labels[subject], labels[channel], recorded_on, value, _totalled(measure))
        for (measure, on, account_id, subject, channel, recorded_on), value in entries.items()
        if value
    ]
    # In the order of the rows of all accounts, which everybody writes.
    in_order = bind_array_rows(_POST, _COLUMNS, rows, sort_key=lambda row: (row[0], row[1].year, row[3], row[4]))
    await connection.enqueue(in_order)


async def add_to_grand_totals(connection: Connection, sums: Mapping[tuple[int, ...], Sequence[int]]) -> None:
    """Add to the totals of all accounts what `rebuild` has moved: months by measure, year, subject and channel."""
    rows = [(*place, *months) for place, months in sorted(sums.items()) if any(months)]
    await connection.enqueue(bind_array_rows(_ADD_UP, _SUM_COLUMNS, rows))


async def recompute_grand_totals(connection: Connection) -> None:
    """Make the totals of all accounts the sums of those of each, while others go on posting."""
    await connection.execute("LOCK TABLE grand_total IN SHARE UPDATE EXCLUSIVE MODE")  # only one at a time does this
    await connection.execute(_ADD_UP_AGAIN)
