"""Posting: entries and the monthly totals beside them, in one statement of the transaction that brings the events."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa
from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncConnection

from app.ledger.measures import Line
from app.store.tables import MONTHS


class Place(NamedTuple):
    """Where a line is entered: what it is about, in words, with both clocks."""

    measure: str
    effective_on: date
    account_id: int
    subject: str
    channel: str
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


def enter(
    entries: dict[Place, int], lines: Iterable[Line], *, on: date, account_id: int, recorded_on: date, sign: int = 1
) -> None:
    """Add the lines of one event, true of the day `on`, to entries; with the sign -1, take them back."""
    for line in lines:
        place = Place(line.measure.name, on, account_id, line.subject, line.channel, recorded_on)
        entries[place] = entries.get(place, 0) + sign * line.value


def words_of(lines: Iterable[Line]) -> set[str]:
    """The words whose numbers `post` needs."""
    return {word for line in lines for word in (line.measure.name, line.subject, line.channel)}


async def post(connection: AsyncConnection, entries: Mapping[Place, int], *, labels: Mapping[str, int]) -> None:
    """Add entries to the ledger. The caller holds the lock of every account among them."""
    rows = [
        place._asdict()
        | {name: labels[getattr(place, name)] for name in ("measure", "subject", "channel")}
        | {"value": value}
        for place, value in entries.items()
        if value
    ]
    if rows:
        await connection.execute(_POST, {"rows": to_json(rows).decode()})
