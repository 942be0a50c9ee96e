"""Attributes of accounts in the database: derived from `account.updated` events (see `history`) and stored."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa

from app.accounts.history import derive_history, group_changes, revise_attributes
from app.accounts.intervals import VersionedInterval, pair_with_value_types
from app.core.periods import Calendar
from app.database.connection import Connection
from app.database.statements import json_table
from app.database.tables import MAX_DATE, attribute, event

ACCOUNT_UPDATED = "account.updated"

_Rows = dict[str, list[VersionedInterval]]  # by attribute key


async def derive_attributes(connection: Connection, days: Mapping[int, Iterable[date]], *, calendar: Calendar) -> None:
    """Bring the attributes of accounts up to date after updates were recorded or retracted.

    days: account_id -> the days on which that happened. Requires the accounts' locks; the updates are stored already.
    """
    updates = await load_updates(connection, days)
    stored = await _load_revisable_rows(connection, days)
    deleted_rows: list[dict[str, Any]] = []
    inserted_rows: list[dict[str, Any]] = []
    for account_id in days:
        rows = {key: list(intervals) for key, intervals in stored[account_id].items()}
        changes = group_changes(updates[account_id], calendar=calendar)
        for day in sorted(days[account_id]):
            revise_attributes(rows, changes, on=day)
        for key in rows:
            old, new = pair_with_value_types(stored[account_id].get(key, [])), pair_with_value_types(rows[key])
            deleted_rows += [_table_row(account_id, key, pair[0]) for pair in old if pair not in new]
            inserted_rows += [_table_row(account_id, key, pair[0]) for pair in new if pair not in old]
    await connection.execute_rows(_DELETE, deleted_rows)
    await connection.execute_rows(_INSERT, inserted_rows)


async def rebuild_attributes(connection: Connection, accounts: Iterable[int], *, calendar: Calendar) -> None:
    """Replace all attributes of accounts by what their stored events make. Requires the accounts' locks."""
    updates = await load_updates(connection, accounts)
    await connection.execute(sa.delete(attribute).where(attribute.c.account_id.in_(list(updates))))
    inserted_rows = [
        _table_row(account_id, key, interval)
        for account_id, updates_of_account in updates.items()
        for key, intervals in derive_history(updates_of_account, calendar=calendar).items()
        for interval in intervals
    ]
    await connection.execute_rows(_INSERT, inserted_rows)


async def load_updates(connection: Connection, accounts: Iterable[int]) -> dict[int, list[Any]]:
    """Load the `account.updated` events of accounts, also the retracted ones: account_id -> rows of the event table."""
    query = sa.select(
        event.c.account_id, event.c.id, event.c.occurred_at, event.c.recorded_on, event.c.retracted_on, event.c.data
    ).where(event.c.type == ACCOUNT_UPDATED, event.c.account_id == _any(accounts))
    updates: dict[int, list[Any]] = {account_id: [] for account_id in accounts}
    for row in await connection.execute(query):
        updates[row.account_id].append(row)
    return updates


async def _load_revisable_rows(connection: Connection, days: Mapping[int, Iterable[date]]) -> dict[int, _Rows]:
    """Load the rows that changes of these days can revise: the current ones, and those that ceased on one of the days."""
    ceased_days = {MAX_DATE}.union(*days.values())
    query = sa.select(attribute).where(
        attribute.c.account_id == _any(days),
        attribute.c.ceased_on == sa.any_(sa.literal(sorted(ceased_days), sa.ARRAY(sa.Date))),
    )
    rows: dict[int, _Rows] = {account_id: defaultdict(list) for account_id in days}
    for row in await connection.execute(query.order_by(attribute.c.valid_from)):
        interval = VersionedInterval(row.valid_from, row.valid_to, row.value, row.recorded_on, row.ceased_on)
        rows[row.account_id][row.key].append(interval)
    return rows


def _any(accounts: Iterable[int]) -> Any:
    return sa.any_(sa.literal(list(accounts), sa.ARRAY(sa.BigInteger)))


def _table_row(account_id: int, key: str, interval: VersionedInterval) -> dict[str, Any]:
    return {"account_id": account_id, "key": key} | interval._asdict()


_ROW = """row(key text, account_id bigint, valid_from date, valid_to date, recorded_on date, ceased_on date,
        value jsonb)"""
_DELETE = f"""
    DELETE FROM attribute USING {json_table("row(key text, account_id bigint, valid_from date, recorded_on date)")}
    WHERE (attribute.key, attribute.account_id, attribute.valid_from, attribute.recorded_on)
        = (row.key, row.account_id, row.valid_from, row.recorded_on)
    """
_INSERT = f"""
    INSERT INTO attribute (key, account_id, valid_from, valid_to, recorded_on, ceased_on, value)
    SELECT key, account_id, valid_from, valid_to, recorded_on, ceased_on, nullif(value, 'null')
    FROM {json_table(_ROW)}
    ORDER BY 1, 2, 3, 5
    """
