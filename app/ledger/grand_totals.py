"""Grand totals: the monthly totals over all accounts together, outside of posting.

Posting adds to them (`entries`). A rebuild adds by how much it has changed the totals of its accounts, and sums everything
up again at its end.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from app.database.connection import Connection
from app.database.statements import array_table, bind_array_rows
from app.database.tables import MONTH_COLUMNS, MONTH_NAMES, grand_total, total

GRAND_TOTAL_KEY = tuple(column.name for column in grand_total.primary_key)

# Twelve months by measure, year, subject and channel, the last three as labels.
MonthsByKey = dict[tuple[int, ...], tuple[int, ...]]
NO_MONTHS = (0,) * len(MONTH_COLUMNS)

_SUMS = sa.select(
    *(total.c[name] for name in GRAND_TOTAL_KEY), *(sa.func.sum(month).label(month.name) for month in MONTH_COLUMNS)
).group_by(*(total.c[name] for name in GRAND_TOTAL_KEY))


async def load_grand_totals(connection: Connection) -> MonthsByKey:
    """Load the grand totals as they are stored."""
    return await _load_months(connection, sa.select(grand_total))


async def sum_totals(connection: Connection, account_ids: Sequence[int] | None = None) -> MonthsByKey:
    """Return the sums of the totals of some accounts, or of all: what the grand totals have to be."""
    query = _SUMS if account_ids is None else _SUMS.where(total.c.account_id.in_(account_ids))
    return await _load_months(connection, query)


async def _load_months(connection: Connection, query: sa.Select[Any]) -> MonthsByKey:
    size = len(GRAND_TOTAL_KEY)
    return {tuple(row[:size]): tuple(map(int, row[size:])) for row in await connection.execute(query)}


async def add_to_grand_totals(connection: Connection, months_by_key: Mapping[tuple[int, ...], Sequence[int]]) -> None:
    """Add months to the grand totals."""
    rows = [(*key, *months) for key, months in sorted(months_by_key.items()) if any(months)]
    await connection.enqueue(bind_array_rows(_ADD, _SUM_COLUMNS, rows))


async def recompute_grand_totals(connection: Connection) -> None:
    """Make the grand totals the sums of the totals of all accounts, while others go on posting."""
    await connection.execute(
        "LOCK TABLE grand_total IN SHARE UPDATE EXCLUSIVE MODE"
    )  # against another one that does this
    await connection.execute(_ADD_MISSING)


def add_months_on_conflict(table: str) -> str:
    """Return the SQL that adds the months of a new row to those of the row that exists."""
    return "DO UPDATE SET " + ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in MONTH_NAMES)


_SUM_COLUMNS = dict.fromkeys(GRAND_TOTAL_KEY, "integer") | dict.fromkeys(MONTH_NAMES, "bigint")
_KEY, _MONTHS = ", ".join(GRAND_TOTAL_KEY), ", ".join(MONTH_NAMES)

_ADD = f"""
    INSERT INTO grand_total ({_KEY}, {_MONTHS})
    SELECT * FROM {array_table(_SUM_COLUMNS)}
    ORDER BY 1, 2, 3, 4
    ON CONFLICT ({_KEY}) {add_months_on_conflict("grand_total")}
    """

# Adds what is missing, as of one moment. What others post to both tables meanwhile does not change the difference.
_ADD_MISSING = f"""
    INSERT INTO grand_total ({_KEY}, {_MONTHS})
    SELECT {_KEY}, {", ".join(f"coalesce(sums.{m}, 0) - coalesce(stored.{m}, 0)" for m in MONTH_NAMES)}
    FROM (SELECT {_KEY}, {", ".join(f"sum({m}) AS {m}" for m in MONTH_NAMES)} FROM total GROUP BY 1, 2, 3, 4) AS sums
    FULL JOIN grand_total AS stored USING ({_KEY})
    WHERE {" OR ".join(f"coalesce(sums.{m}, 0) <> coalesce(stored.{m}, 0)" for m in MONTH_NAMES)}
    ORDER BY 1, 2, 3, 4
    ON CONFLICT ({_KEY}) {add_months_on_conflict("grand_total")}
    """
