"""Sessions of browsers: whoever opens the page signs in once, with a key or with a code, and the browser keeps a cookie.

A session is a key of its own, so it is looked up, counted and revoked like every other one. It has the scopes of what it was made
from, lasts until the end of the next day, and ends at once with its key. It is in the cookie alone, which no script can read.

A code is what `csmetrics open` prints in a link. It becomes one session, within ten minutes.
"""

import hashlib
from datetime import date, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.access.keys import KeyScope, hash_key, insert_key, is_setting, new_key_row
from app.books.books import Books
from app.core.errors import Unauthenticated
from app.core.settings import Settings
from app.database.connection import Connection
from app.database.tables import api_key

COOKIE = "csmetrics_session"
CODE_MINUTES = 10
# The day on which it begins, and the next one.
_DAYS = 2
_KEPT_DAYS = 30
_SETTINGS_KEY = "ADMIN_KEY"


class SignIn(BaseModel):
    """What a browser signs in with: a key, or the code of a link."""

    model_config = ConfigDict(extra="forbid", strict=True)

    key: str | None = Field(None, min_length=1, max_length=1_000, description="An API key.")
    code: str | None = Field(
        None, min_length=1, max_length=1_000, description="The code of a link of `csmetrics open`."
    )

    @model_validator(mode="after")
    def _check_one(self) -> "SignIn":
        if (self.key is None) == (self.code is None):
            raise PydanticCustomError("missing", 'Send either "key" or "code".')
        return self


class Session(NamedTuple):
    """A new session. secret: what the cookie holds."""

    id: str
    name: str
    scopes: list[KeyScope]
    secret: str


class _Origin(NamedTuple):
    """What a session is made from.

    parent: the id of the key, or the fingerprint of the one of the settings; None: a code. expires_on: as that of the key.
    """

    name: str
    scopes: list[KeyScope]
    parent: str | None = None
    expires_on: date | None = None


async def create_code(books: Books, *, scopes: list[KeyScope]) -> str:
    """Return a new code."""
    code, row = new_key_row(books, name="csmetrics open", scopes=scopes, kind="code")
    await books.database.write_aside(lambda connection: insert_key(connection, row))
    return code


async def sign_in(books: Books, settings: Settings, body: SignIn) -> Session:
    """Return a new session. Raises Unauthenticated for a key that does not work, and for a code that was used."""

    async def write(connection: Connection) -> Session:
        await _delete_old(connection, books)
        if body.code is not None:
            origin = await _take_code(connection, books, body.code)
        else:
            assert body.key is not None
            origin = _from_settings(settings, body.key) or await _find_parent(connection, books, body.key)
        secret, row = new_key_row(
            books,
            name=origin.name,
            scopes=origin.scopes,
            expires_on=min(origin.expires_on or date.max, books.today() + timedelta(days=_DAYS)),
            kind="session",
            parent=origin.parent,
        )
        await insert_key(connection, row)
        return Session(row["id"], origin.name, row["scopes"], secret)

    return await books.database.write_aside(write)


async def end_session(books: Books, *, id: str) -> None:
    """End the session with this id. Does nothing for a key that is no session."""
    is_session = (api_key.c.id == id) & (api_key.c.kind == "session")
    statement = sa.update(api_key).where(is_session).values(revoked_at=books.clock())
    await books.database.write_aside(lambda connection: connection.execute(statement))


async def end_sessions_of_other_keys(books: Books, settings: Settings) -> None:
    """Revoke the sessions that were made with an ADMIN_KEY other than that of the settings."""
    current = _fingerprint(settings) or ""
    other = api_key.c.parent.startswith(f"{_SETTINGS_KEY}:") & (api_key.c.parent != current)
    statement = sa.update(api_key).where(other, api_key.c.revoked_at.is_(None)).values(revoked_at=books.clock())
    await books.database.write_aside(lambda connection: connection.execute(statement))


async def _delete_old(connection: Connection, books: Books) -> None:
    before = books.clock() - timedelta(days=_KEPT_DAYS)
    await connection.execute(sa.delete(api_key).where(api_key.c.kind != "key", api_key.c.created_at < before))


async def _take_code(connection: Connection, books: Books, code: str) -> _Origin:
    """Return what a code stands for, and end it: of two browsers that send it at the same time, one gets the session."""
    since = books.clock() - timedelta(minutes=CODE_MINUTES)
    is_live = (api_key.c.hash == hash_key(code)) & (api_key.c.kind == "code") & api_key.c.revoked_at.is_(None)
    statement = (
        sa.update(api_key)
        .where(is_live, api_key.c.created_at >= since)
        .values(revoked_at=books.clock())
        .returning(api_key.c.name, api_key.c.scopes)
    )
    rows = await connection.execute(statement)
    if not rows:
        raise Unauthenticated(
            f"This link was used already, or is older than {CODE_MINUTES} minutes. `csmetrics open` prints a new one.",
            code="code_used",
        )
    return _Origin(*rows[0])


async def _find_parent(connection: Connection, books: Books, key: str) -> _Origin:
    """Return the key with which a browser signs in, locked against being revoked meanwhile."""
    is_live = (api_key.c.hash == hash_key(key)) & (api_key.c.kind == "key") & api_key.c.revoked_at.is_(None)
    columns = (api_key.c.id, api_key.c.name, api_key.c.scopes, api_key.c.expires_on)
    rows = await connection.execute(sa.select(*columns).where(is_live).with_for_update(read=True))
    if not rows:
        raise Unauthenticated("Unknown or revoked key. Check that it is complete and a key of this service.")
    if rows[0].expires_on is not None and rows[0].expires_on <= books.today():
        raise Unauthenticated("This key has expired. An administrator can create a new one.", code="key_expired")
    return _Origin(rows[0].name, rows[0].scopes, rows[0].id, rows[0].expires_on)


def _from_settings(settings: Settings, key: str) -> _Origin | None:
    if not is_setting(hash_key(key), settings.admin_key):
        return None
    return _Origin(_SETTINGS_KEY, ["admin"], _fingerprint(settings))


def _fingerprint(settings: Settings) -> str | None:
    """Return what tells one ADMIN_KEY from another, and is not enough to find it."""
    if settings.admin_key is None:
        return None
    digest = hashlib.sha256(hash_key(settings.admin_key.get_secret_value())).hexdigest()
    return f"{_SETTINGS_KEY}:{digest[:16]}"
