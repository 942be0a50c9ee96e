"""Posting: entries and the monthly totals beside them, in one statement of the transaction that brings the events."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa
from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncConnection

from app.ledger.measures import Line
from app.store.tables import MONTHS


class Key(NamedTuple):
    """What an entry is about, in the database's numbers, with both clocks."""

    measure: int
    effective_on: date
    account_id: int
    subject: int
    channel: int
    recorded_on: date


_NAMES = [column.name for column in MONTHS]

# Sorted by key, so that neighbours on disk are written together. Rows of one account are written under its lock, so
# that two transactions never wait for each other here.
_POST = sa.text(
    f"""
    WITH posted AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS row(
            measure integer, effective_on date, account_id bigint, subject integer, channel integer, recorded_on date,
            value bigint)
    ), entries AS (
        INSERT INTO entry (measure, effective_on, account_id, subject, channel, recorded_on, value)
        SELECT measure, effective_on, account_id, subject, channel, recorded_on, value FROM posted
        ORDER BY 1, 2, 3, 4, 5, 6
        ON CONFLICT (measure, effective_on, account_id, subject, channel, recorded_on)
        DO UPDATE SET value = entry.value + excluded.value
    )
    INSERT INTO total (measure, year, account_id, subject, channel, {", ".join(_NAMES)})
    SELECT measure, extract(year FROM effective_on), account_id, subject, channel,
        {", ".join(f"coalesce(sum(value) FILTER (WHERE extract(month FROM effective_on) = {m}), 0)" for m in range(1, 13))}
    FROM posted GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (measure, year, account_id, subject, channel)
    DO UPDATE SET {", ".join(f"{name} = total.{name} + excluded.{name}" for name in _NAMES)}
    """
)


async def post(connection: AsyncConnection, entries: Mapping[Key, int]) -> None:
    """Add entries to the ledger. The caller holds the lock of every account among them."""
    rows = [key._asdict() | {"value": value} for key, value in entries.items() if value]
    if rows:
        await connection.execute(_POST, {"rows": to_json(rows).decode()})


def words_of(lines: Iterable[Line]) -> set[str]:
    """The words whose numbers `key_of` needs."""
    return {word for line in lines for word in (line.measure.name, line.subject, line.channel)}


def key_of(line: Line, *, on: date, account_id: int, recorded_on: date, labels: Mapping[str, int]) -> Key:
    """Where one line of an event is entered; `on` is the day it is true of."""
    return Key(labels[line.measure.name], on, account_id, labels[line.subject], labels[line.channel], recorded_on)
