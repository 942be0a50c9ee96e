"""Accounts: their numbers inside, and the lock that every writer takes."""

import hashlib
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from app.database.connection import Connection, bind_json_rows
from app.database.query_plan import QueryPlan, run_plan


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
