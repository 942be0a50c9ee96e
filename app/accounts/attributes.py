"""Attributes of accounts: derive them from events and store them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa

from app.accounts.history import VersionedInterval, apply_day, attribute_history, changes_by_key, with_value_types
from app.core.periods import Calendar
from app.database.connection import Connection
from app.database.tables import MAX_DATE, attribute, event

ACCOUNT_UPDATED = "account.updated"


async def derive_attributes(connection: Connection, days: Mapping[int, Iterable[date]], *, calendar: Calendar) -> None:
    """Derive the attributes of accounts again after updates were recorded or retracted on these days of theirs."""
    updates = await load_updates(connection, days)
    before = await _rows_at_stake(connection, days)
    gone: list[dict[str, Any]] = []
    new: list[dict[str, Any]] = []
    for account_id in days:
        rows = {key: list(found) for key, found in before[account_id].items()}
        changes = changes_by_key(updates[account_id], calendar=calendar)
        for day in sorted(days[account_id]):
            apply_day(rows, changes, on=day)
        for key in rows:
            old, now = with_value_types(before[account_id].get(key, [])), with_value_types(rows[key])
            gone += [_row(account_id, key, row[0]) for row in old if row not in now]
            new += [_row(account_id, key, row[0]) for row in now if row not in old]
    await _replace(connection, gone=gone, new=new)


async def rebuild_attributes(connection: Connection, accounts: Iterable[int], *, calendar: Calendar) -> None:
    """Derive all attributes of accounts from nothing but their events."""
    updates = await load_updates(connection, accounts)
    await connection.execute(sa.delete(attribute).where(attribute.c.account_id.in_(list(updates))))
    new = [
        _row(account_id, key, row)
        for account_id, found in updates.items()
        for key, rows in attribute_history(found, calendar=calendar).items()
        for row in rows
    ]
    await _replace(connection, gone=[], new=new)


async def load_updates(connection: Connection, accounts: Iterable[int]) -> dict[int, list[Any]]:
    """The `account.updated` events of accounts, the retracted ones too: account_id -> rows of the event table."""
    query = sa.select(
        event.c.account_id, event.c.id, event.c.occurred_at, event.c.recorded_on, event.c.retracted_on, event.c.data
    ).where(event.c.type == ACCOUNT_UPDATED, event.c.account_id == _any(accounts))
    found: dict[int, list[Any]] = {account_id: [] for account_id in accounts}
    for row in await connection.execute(query):
        found[row.account_id].append(row)
    return found


async def _rows_at_stake(
    connection: Connection, days: Mapping[int, Iterable[date]]
) -> dict[int, dict[str, list[VersionedInterval]]]:
    """The rows that are what is known, and those that ceased to be so on one of the days."""
    ceased = {MAX_DATE}.union(*days.values())
    query = sa.select(attribute).where(
        attribute.c.account_id == _any(days),
        attribute.c.ceased_on == sa.any_(sa.literal(sorted(ceased), sa.ARRAY(sa.Date))),
    )
    found: dict[int, dict[str, list[VersionedInterval]]] = {account_id: defaultdict(list) for account_id in days}
    for row in await connection.execute(query.order_by(attribute.c.valid_from)):
        interval = VersionedInterval(row.valid_from, row.valid_to, row.value, row.recorded_on, row.ceased_on)
        found[row.account_id][row.key].append(interval)
    return found


def _any(accounts: Iterable[int]) -> Any:
    return sa.any_(sa.literal(list(accounts), sa.ARRAY(sa.BigInteger)))


def _row(account_id: int, key: str, interval: VersionedInterval) -> dict[str, Any]:
    return {"account_id": account_id, "key": key} | interval._asdict()


_FORGET = """
    DELETE FROM attribute USING json_to_recordset(CAST(%(rows)s AS json))
        AS gone(key text, account_id bigint, valid_from date, recorded_on date)
    WHERE (attribute.key, attribute.account_id, attribute.valid_from, attribute.recorded_on)
        = (gone.key, gone.account_id, gone.valid_from, gone.recorded_on)
    """


_LEARN = """
    INSERT INTO attribute (key, account_id, valid_from, valid_to, recorded_on, ceased_on, value)
    SELECT key, account_id, valid_from, valid_to, recorded_on, ceased_on, nullif(value, 'null')
    FROM json_to_recordset(CAST(%(rows)s AS json)) AS new(key text, account_id bigint, valid_from date, valid_to date,
        recorded_on date, ceased_on date, value jsonb)
    ORDER BY 1, 2, 3, 5
    """


async def _replace(connection: Connection, *, gone: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
    for statement, rows in ((_FORGET, gone), (_LEARN, new)):
        await connection.execute_rows(statement, rows)
