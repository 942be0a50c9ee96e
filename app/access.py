"""Who may do what: API keys and their scopes.

A key is shown once, when it is made; its SHA-256 is kept. It is looked up for every request, so that a revoked key ends at
once in every process.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.dialects.postgresql import insert

from app import wire
from app.accounts.ids import Id, InPath
from app.errors import Forbidden, Invalid, NotFound, Unauthenticated
from app.store.books import Books
from app.store.connection import Ask, Connection, written
from app.store.tables import api_key

Scope = Literal["ingest", "read", "admin"]

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic", "description": "The key as password or as user name."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "url": {"type": "apiKey", "in": "query", "name": "api_key", "description": "Keys that may only read, on GET."},
}

_PREFIX = "csm_"
_NO_KEY = "A key is needed: `Authorization: Bearer KEY`, HTTP Basic with the key as password, or `X-API-Key`."


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request."""

    scopes: frozenset[str]

    def has(self, scope: Scope) -> bool:
        """Whether it may do what needs this scope; admin may do everything."""
        return scope in self.scopes or "admin" in self.scopes


def books_of(request: Request) -> Books:
    """The books that a request is about."""
    books: Books = request.app.state.books
    return books


def needs(*scopes: Scope) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency: the caller, who has these scopes. Raises Unauthenticated or Forbidden."""

    async def check(request: Request) -> Caller:
        _refuse_unknown(request)
        key, by_url = _key_in(request)
        caller = await _caller(request, key)
        if by_url and caller.scopes != {"read"}:
            raise Unauthenticated("Only a key whose one scope is `read` may be given in the URL.")
        if not all(map(caller.has, scopes)):
            raise Forbidden(f"This needs a key with scope {' and '.join(scopes)}.")
        return caller

    return check


def _refuse_unknown(request: Request) -> None:
    """Refuse parameters on doors that have none: who sends one believes that it was heeded. Others refuse by themselves."""
    unknown = request.query_params.keys() - {"api_key"}
    if unknown and not (request.scope["route"].openapi_extra or {}).get("parameters"):
        pointer = f"/query/{min(unknown)}"
        raise Invalid.at(pointer, "There is no such field or parameter.", code="extra_forbidden")


def _key_in(request: Request) -> tuple[str, bool]:
    """The key of a request, and whether it stood in the URL."""
    kind, _, rest = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and rest.strip():
        return rest.strip(), False
    if kind.lower() == "basic":
        try:
            user, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
        except ValueError:  # not base64, not ASCII, not UTF-8
            raise Unauthenticated(_NO_KEY) from None
        # BI tools ask for a user and a password: the key is one of them, and ours begin in a way that tells which.
        return user if user.startswith(_PREFIX) or not password else password, False
    if key := request.headers.get("x-api-key"):
        return key, False
    if request.method in ("GET", "HEAD") and (keys := request.query_params.getlist("api_key")):
        if len(keys) > 1:
            raise Unauthenticated("The key is given more than once.")
        return keys[0], True
    raise Unauthenticated(_NO_KEY)


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


# The key of a request, for which it is looked up: it may have been revoked since the last one.
_THIS = (api_key.c.hash == sa.bindparam("hashed", type_=sa.LargeBinary)) & api_key.c.revoked_at.is_(None)
_LOOK_UP = written(sa.select(api_key.c.scopes, api_key.c.last_used_on).where(_THIS))


async def _caller(request: Request, key: str) -> Caller:
    hashed = _hash(key)
    admin = request.app.state.settings.admin_key
    if admin is not None and hmac.compare_digest(hashed, _hash(admin.get_secret_value())):
        return Caller(frozenset({"admin"}))
    books = books_of(request)
    (found,) = await books.database.glance(lambda connection: connection.ask(Ask(_LOOK_UP, {"hashed": hashed})))
    if not found:
        raise Unauthenticated("The key is not known, or was revoked.")
    [(scopes, last_used_on)], today = found, books.today()
    if last_used_on != today:

        async def note(connection: Connection) -> None:
            await connection.execute(sa.update(api_key).where(_THIS).values(last_used_on=today), {"hashed": hashed})

        await books.database.write(note)
    return Caller(frozenset(scopes))


async def make_key(books: Books, *, name: str, scopes: list[Scope]) -> dict[str, Any]:
    """Make a key: `{id, key, name, scopes}`; `key` is not kept anywhere."""
    made, row = _new_key(books, name=name, scopes=scopes)
    await books.database.write(lambda connection: _keep(connection, row))
    return made


def _new_key(books: Books, *, name: str, scopes: list[Scope]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A key as it is shown, and its row."""
    id = secrets.token_hex(6)
    key = f"{_PREFIX}{id}_{secrets.token_urlsafe(32)}"
    row = {"id": id, "name": name, "scopes": sorted(set(scopes)), "hash": _hash(key), "created_at": books.clock()}
    return {"id": id, "key": key, "name": name, "scopes": row["scopes"]}, row


async def _keep(connection: Connection, row: dict[str, Any]) -> None:
    # It may have been kept by an attempt whose commit was not heard of.
    await connection.execute(insert(api_key).values(row).on_conflict_do_nothing(index_elements=["id"]))


async def replace_key(books: Books, *, name: str, scopes: list[Scope]) -> str:
    """A new key of that name; those that had it end."""
    for key in await list_keys(books):
        if key["name"] == name and key["revoked_at"] is None:
            await revoke_key(books, id=key["id"])
    made: str = (await make_key(books, name=name, scopes=scopes))["key"]
    return made


async def make_first_key(books: Books) -> str | None:
    """An admin key for books that have no key yet; None when they have one. Of processes that start together, one makes it."""
    made, row = _new_key(books, name="first", scopes=["admin"])

    async def keep(connection: Connection) -> bool:
        await connection.execute(sa.text("LOCK TABLE api_key IN SHARE ROW EXCLUSIVE MODE"))
        if await connection.scalar(sa.select(sa.exists().where(api_key.c.id != row["id"]))):
            return False
        await _keep(connection, row)
        return True

    return made["key"] if await books.database.write(keep) else None


async def list_keys(books: Books) -> list[dict[str, Any]]:
    """All keys but what they are: id, name, scopes, created_at, revoked_at, last_used_on."""
    shown = [column for column in api_key.c if column.name != "hash"]

    async def find(connection: Connection) -> list[dict[str, Any]]:
        rows = await connection.execute(sa.select(*shown).order_by(api_key.c.created_at))
        return [row._asdict() for row in rows]

    return await books.database.read(find)


async def revoke_key(books: Books, *, id: str) -> None:
    """End a key, from the next request on. Raises NotFound."""
    now: datetime = books.clock()

    async def end(connection: Connection) -> bool:
        ended = sa.update(api_key).where(api_key.c.id == id)
        values = {"revoked_at": sa.func.coalesce(api_key.c.revoked_at, now)}
        return bool((await connection.execute(ended.values(values))).changed)

    if not await books.database.write(end):
        raise NotFound("There is no such key.")


class NewKey(BaseModel):
    """What a key is for and what it may do."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Id
    scopes: list[Scope] = Field(min_length=1, max_length=3)


router = APIRouter(prefix="/v1/keys", tags=["access"], dependencies=[Depends(needs("admin"))])


@router.post("", status_code=201, openapi_extra=wire.takes(NewKey))
async def create_key(request: Request) -> dict[str, Any]:
    """Make an API key. It is shown in this answer and never again."""
    new = await wire.read(request, NewKey)
    return await make_key(books_of(request), name=new.name, scopes=new.scopes)


@router.get("")
async def keys(request: Request) -> Response:
    """The keys, without what they are."""
    return wire.json(request, {"keys": await list_keys(books_of(request))})


@router.delete("/{key_id}", status_code=204, response_class=Response)
async def delete_key(request: Request, key_id: InPath) -> None:
    """Revoke a key, at once in every process."""
    await revoke_key(books_of(request), id=key_id)
