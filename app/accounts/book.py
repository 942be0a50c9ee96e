"""Who is measured: accounts, their lock, and where their attributes are kept."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from app.accounts.filters import Filter, filter_condition
from app.accounts.history import VersionedInterval, apply_day, attribute_history, changes_by_key, with_value_types
from app.core.periods import Calendar
from app.database.connection import Connection, bind_json_rows
from app.database.query_plan import QueryPlan, run_plan
from app.database.tables import MAX_DATE, WHOLE_BUSINESS, attribute, event
from app.database.tables import account as account_table

ACCOUNT_UPDATED = "account.updated"


@lru_cache(maxsize=100_000)
def account_key(account: str) -> int:
    """The 64-bit number of an account: a hash of its id, so that no look-up and no sequence is needed."""
    return int.from_bytes(hashlib.blake2b(account.encode(), digest_size=8).digest(), signed=True)


class LockedAccount(NamedTuple):
    """An account that is locked. last_recorded_on: the last day on which something became known of it."""

    account_id: int
    id: str
    last_recorded_on: date


_TOUCH = """
    INSERT INTO account AS known (account_id, id, last_recorded_on)
    SELECT account_id, id, last_recorded_on FROM json_to_recordset(CAST(%(rows)s AS json))
        AS row(account_id bigint, id text, last_recorded_on date)
    ORDER BY account_id
    ON CONFLICT (account_id) DO UPDATE
        SET last_recorded_on = greatest(known.last_recorded_on, excluded.last_recorded_on)
    RETURNING account_id, id, last_recorded_on
    """


def lock_accounts_plan(accounts: Mapping[int, tuple[str, date]]) -> QueryPlan[dict[int, LockedAccount]]:
    """Create the accounts that are new, lock all of them till the end of the transaction, and move their last day on.

    accounts: account_id -> (id, the day that is written now). Locked in the order of their keys, so that two requests
    wait for each other but never for ever. What is read of an account after this is what was written before it.
    """
    rows = [{"account_id": key, "id": id, "last_recorded_on": day} for key, (id, day) in accounts.items()]
    touched = yield [*bind_json_rows(_TOUCH, rows)]
    return {row[0]: LockedAccount(*row) for part in touched for row in part}


async def lock_accounts(connection: Connection, accounts: Mapping[int, tuple[str, date]]) -> dict[int, LockedAccount]:
    """Do as `lock_accounts_plan` says."""
    return await run_plan(connection, lock_accounts_plan(accounts))


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


def select_accounts(filter: Filter | None, *, on: date) -> sa.Select[Any]:
    """The accounts that people see, those with a live event, which the filter takes at the start of the day `on`."""
    live = sa.exists().where(event.c.account_id == account_table.c.account_id, event.c.retracted_on.is_(None))
    source: Any = account_table
    values = {}
    for number, key in enumerate(filter.keys if filter else ()):
        rows = attribute.alias(f"attribute{number}")
        values[key] = rows.c.value
        source = source.outerjoin(
            rows, sa.and_(rows.c.key == key, rows.c.account_id == account_table.c.account_id, *_held(rows, on))
        )
    query = sa.select(account_table.c.account_id, account_table.c.id).select_from(source)
    query = query.where(account_table.c.account_id != WHOLE_BUSINESS, live)
    return query if filter is None else query.where(filter_condition(filter, values.__getitem__))


def select_descriptions(accounts: sa.Select[Any], *, on: date) -> sa.Select[Any]:
    """Rows (id, name, attributes) of the accounts that a query names, in its order, as they are at the start of a day."""
    page = accounts.subquery("page")
    all_of_it = sa.func.jsonb_object_agg(attribute.c.key, attribute.c.value, type_=JSONB)
    one = sa.select(sa.func.coalesce(all_of_it, sa.literal({}, JSONB)).label("attributes"))
    one = one.where(attribute.c.account_id == page.c.account_id, *_held(attribute, on), attribute.c.value.is_not(None))
    found = one.correlate(page).lateral("found")
    name = found.c.attributes["name"].as_string().label("name")
    query = sa.select(page.c.id, name, found.c.attributes).select_from(page.join(found, sa.true()))
    return query.order_by(page.c.id)


def _held(rows: Any, on: date) -> tuple[sa.ColumnElement[bool], ...]:
    return rows.c.ceased_on == MAX_DATE, rows.c.valid_from <= on, rows.c.valid_to > on


def day_after(today: date) -> date:
    """The day whose start sees everything that today's updates said."""
    return today + timedelta(days=1)
