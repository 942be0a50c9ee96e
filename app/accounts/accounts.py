"""Accounts: their internal keys, and the lock that every write to an account takes."""

import hashlib
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from app.database.connection import Connection
from app.database.query_plan import QueryPlan, run_plan
from app.database.statements import bind_json_rows, json_table


@lru_cache(maxsize=100_000)
def account_key(account: str) -> int:
    """Return the key of an account: a 64-bit hash of its id, so that neither a look-up nor a sequence is needed."""
    return int.from_bytes(hashlib.blake2b(account.encode(), digest_size=8).digest(), signed=True)


class LockedAccount(NamedTuple):
    """A locked account. last_recorded_on: the latest day on which something was recorded of it."""

    account_id: int
    id: str
    last_recorded_on: date


_UPSERT = f"""
    INSERT INTO account AS stored (account_id, id, last_recorded_on)
    SELECT account_id, id, last_recorded_on
    FROM {json_table("row(account_id bigint, id text, last_recorded_on date)")}
    ORDER BY account_id
    ON CONFLICT (account_id) DO UPDATE
        SET last_recorded_on = greatest(stored.last_recorded_on, excluded.last_recorded_on)
    RETURNING account_id, id, last_recorded_on
    """


def lock_accounts_plan(accounts: Mapping[int, tuple[str, date]]) -> QueryPlan[dict[int, LockedAccount]]:
    """Lock accounts until the end of the transaction, and create those that do not exist.

    accounts: account_id -> (id, day); `last_recorded_on` is moved to that day unless it is later already. Accounts are locked
    in the order of their keys, so that two transactions never wait for each other. What is read of an account after this
    includes everything that earlier holders of its lock have written.
    """
    rows = [{"account_id": key, "id": id, "last_recorded_on": day} for key, (id, day) in accounts.items()]
    results = yield [*bind_json_rows(_UPSERT, rows)]
    return {row[0]: LockedAccount(*row) for result in results for row in result}


async def lock_accounts(connection: Connection, accounts: Mapping[int, tuple[str, date]]) -> dict[int, LockedAccount]:
    """Lock accounts as `lock_accounts_plan` does, in a round trip of its own."""
    return await run_plan(connection, lock_accounts_plan(accounts))
