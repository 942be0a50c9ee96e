"""Read the keys of polls together with the state of the data: one statement for all polls that are waiting."""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from app.access.keys import StoredKey
from app.database.connection import Connection
from app.database.data_state import STATE
from app.database.pool import Database
from app.database.statements import BoundStatement, Statement

_SELECT = Statement(
    f"""
    SELECT state, last_day, hash, api_key.id, scopes, last_used_on, expires_on
    FROM (SELECT {STATE} AS state, (SELECT last_day FROM books) AS last_day) AS data
    LEFT JOIN api_key ON hash = ANY(%(hashes)s) AND revoked_at IS NULL AND kind <> 'code'
    """
)


class PollReading(NamedTuple):
    """What polls need of the database at one moment.

    state: that of the data. last_day: of the books. keys: the live keys of these polls by their hashes; they may have expired.
    """

    state: str
    last_day: date | None
    keys: Mapping[bytes, StoredKey]


async def load_reading(database: Database, hashes: set[bytes]) -> PollReading:
    """Read the state of the data and the keys with these hashes."""

    async def load(connection: Connection) -> list[tuple[Any, ...]]:
        [rows] = await connection.fetch_batch(BoundStatement(_SELECT, {"hashes": list(hashes)}))
        return rows

    rows = await database.look_up(load)
    state, last_day, *_ = rows[0]
    return PollReading(
        state, last_day, {key_hash: StoredKey(*key) for _, _, key_hash, *key in rows if key_hash is not None}
    )
