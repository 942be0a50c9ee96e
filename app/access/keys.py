"""Create, find, list and revoke API keys.

A key is shown once, when it is created; only its SHA-256 is stored. It is looked up for every request, so revoking a key takes
effect at once in every process.
"""

import hashlib
import hmac
import secrets
from contextlib import suppress
from datetime import date, datetime
from typing import Any, Literal, NamedTuple, get_args

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError
from sqlalchemy.dialects.postgresql import insert

from app.books.books import Books
from app.core.errors import Invalid, NotFound, Unavailable
from app.core.ids import Id
from app.core.periods import Day
from app.database.connection import Connection
from app.database.statements import BoundStatement, compile_query
from app.database.tables import api_key
from app.http.openapi import list_schema, name_schema, object_schema, response_schema
from app.http.vocabularies import add_vocabulary

KeyScope = Literal["ingest", "read", "admin"]

KEY_PREFIX = "csm_"

add_vocabulary("Scope", "What a key may do.", lambda: get_args(KeyScope))
_TEXT: dict[str, Any] = {"type": "string"}
_OPTIONAL_DAY: dict[str, Any] = {"type": ["string", "null"], "format": "date"}
_KEY = {
    "id": _TEXT,
    "name": _TEXT,
    "scopes": {"type": "array", "items": name_schema("Scope")},
    "expires_on": _OPTIONAL_DAY | {"description": "The first day on which it no longer works."},
}
CREATED_KEY_SCHEMA = response_schema(
    "The key.",
    object_schema(
        "CreatedKey", _KEY | {"key": _TEXT | {"description": "The key itself, which is shown this time only."}}
    ),
    status=201,
)
KEYS_SCHEMA = response_schema(
    "All keys.",
    object_schema(
        "KeyList",
        {
            "keys": list_schema(
                "Key",
                _KEY
                | {
                    "created_at": _TEXT | {"format": "date-time"},
                    "revoked_at": {"type": ["string", "null"], "format": "date-time"},
                    "last_used_on": _OPTIONAL_DAY,
                },
            )
        },
    ),
)

_LIVE_KEY = (
    (api_key.c.hash == sa.bindparam("key_hash", type_=sa.LargeBinary))
    & api_key.c.revoked_at.is_(None)
    & (api_key.c.kind != "code")
)
_FIND_KEY = compile_query(
    sa.select(api_key.c.id, api_key.c.scopes, api_key.c.last_used_on, api_key.c.expires_on).where(_LIVE_KEY)
)


class NewKey(BaseModel):
    """A key to create: its name, its scopes, and when it expires."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Id
    scopes: list[KeyScope] = Field(min_length=1, max_length=3)
    expires_on: Day | None = Field(
        None,
        description="First day on which the key no longer works (YYYY-MM-DD, in the reporting time zone). Default: it does "
        "not expire.",
    )

    @field_validator("scopes", mode="before")
    @classmethod
    def _check_not_empty(cls, scopes: object) -> object:
        if scopes == []:
            raise PydanticCustomError("too_short", '"scopes" needs at least one of: ingest, read, admin.')
        return scopes


class StoredKey(NamedTuple):
    """The columns of a live key that a request needs."""

    id: str
    scopes: list[KeyScope]
    last_used_on: date | None
    expires_on: date | None


def is_setting(key_hash: bytes, setting: SecretStr | None) -> bool:
    """Return whether a key, of which this is the hash, is that of a setting. It takes the same time for any key."""
    return setting is not None and hmac.compare_digest(key_hash, hash_key(setting.get_secret_value()))


def hash_key(key: str) -> bytes:
    """Return the SHA-256 of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


async def find_key(books: Books, key_hash: bytes) -> StoredKey | None:
    """Return the key with this hash, which may have expired; None for an unknown or revoked key."""
    (rows,) = await books.database.look_up(
        lambda connection: connection.fetch_batch(BoundStatement(_FIND_KEY, {"key_hash": key_hash}))
    )
    return StoredKey(*rows[0]) if rows else None


async def write_last_use(books: Books, key_hash: bytes, *, today: date) -> None:
    """Store the day on which a key was last used, if the database accepts it: a full disk must not keep anyone from reading."""

    async def write(connection: Connection) -> None:
        statement = sa.update(api_key).where(_LIVE_KEY).values(last_used_on=today)
        await connection.execute(statement, {"key_hash": key_hash})

    with suppress(Unavailable):
        await books.database.note(write)


async def create_key(
    books: Books, *, name: str, scopes: list[KeyScope], expires_on: date | None = None
) -> dict[str, Any]:
    """Create a key and return `{id, key, name, scopes, expires_on}`. The `key` itself is stored nowhere.

    expires_on: the first day on which it no longer works. Raises Invalid for a day that has begun.
    """
    if expires_on is not None and expires_on <= books.today():
        raise Invalid.at("/expires_on", "A key must expire later than today.")
    key, row = new_key_row(books, name=name, scopes=scopes, expires_on=expires_on)
    await books.database.write_aside(lambda connection: insert_key(connection, row))
    return {"id": row["id"], "key": key, **{name: row[name] for name in ("name", "scopes", "expires_on")}}


async def create_first_key(books: Books) -> str | None:
    """Create an admin key and return it if there is no key yet, else return None. Only one of several processes creates it."""
    key, row = new_key_row(books, name="first", scopes=["admin"])

    async def write(connection: Connection) -> bool:
        await connection.execute(sa.text("LOCK TABLE api_key IN SHARE ROW EXCLUSIVE MODE"))
        if await connection.scalar(sa.select(sa.exists().where(api_key.c.id != row["id"]))):
            return False
        await insert_key(connection, row)
        return True

    return key if await books.database.write_aside(write) else None


async def replace_key(books: Books, *, name: str, scopes: list[KeyScope]) -> str:
    """Revoke the keys of this name, create a new one and return it."""
    for key in await list_keys(books):
        if key["name"] == name and key["revoked_at"] is None:
            await revoke_key(books, id=key["id"])
    secret: str = (await create_key(books, name=name, scopes=scopes))["key"]
    return secret


def new_key_row(books: Books, *, name: str, scopes: list[KeyScope], **columns: Any) -> tuple[str, dict[str, Any]]:
    """Return a new key, and its row for the table. columns: those of the row besides."""
    id = secrets.token_hex(6)
    key = f"{KEY_PREFIX}{id}_{secrets.token_urlsafe(32)}"
    row = {"id": id, "name": name, "scopes": sorted(set(scopes)), "hash": hash_key(key), "created_at": books.clock()}
    return key, {**row, **columns}


async def insert_key(connection: Connection, row: dict[str, Any]) -> None:
    """Store a key. An earlier attempt whose commit was never confirmed may have done so."""
    await connection.execute(insert(api_key).values(row).on_conflict_do_nothing(index_elements=["id"]))


async def list_keys(books: Books) -> list[dict[str, Any]]:
    """Return all keys without their secrets: id, name, scopes, created_at, revoked_at, last_used_on,
    expires_on.
    """
    columns = [column for column in api_key.c if column.name not in ("hash", "kind", "parent")]

    async def load(connection: Connection) -> list[dict[str, Any]]:
        rows = await connection.execute(
            sa.select(*columns).where(api_key.c.kind == "key").order_by(api_key.c.created_at)
        )
        return [row._asdict() for row in rows]

    return await books.database.read(load)


async def revoke_key(books: Books, *, id: str) -> None:
    """Revoke a key, and the sessions of browsers that were signed in with it, from the next request on. Raises NotFound."""
    now: datetime = books.clock()

    async def write(connection: Connection) -> bool:
        revoked_at = sa.func.coalesce(api_key.c.revoked_at, now)
        is_of_key = (api_key.c.id == id) | (api_key.c.parent == id)
        statement = sa.update(api_key).where(is_of_key).values(revoked_at=revoked_at)
        return bool((await connection.execute(statement)).row_count)

    if not await books.database.write_aside(write):
        raise NotFound("There is no key with this id. `csmetrics keys list` and GET /v1/keys list all keys.")
