"""The door to accounts and segments."""

from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.access.auth import books_of, requires
from app.accounts import segments
from app.accounts.accounts import account_key
from app.accounts.filters import parse_filter
from app.accounts.listing import day_after, select_accounts, select_descriptions
from app.books.books import Books
from app.core.errors import Invalid, NotFound
from app.core.ids import PathId, decode_token, encode_token, normalize_id
from app.database.connection import Connection
from app.database.tables import MAX_DATE, MIN_DATE, account, attribute
from app.http.body import read_body
from app.http.openapi import body_schema, query_schema
from app.http.params import QueryParams, parse_query
from app.http.responses import json_response, next_link

router = APIRouter(prefix="/v1", tags=["accounts"])
READ = [Depends(requires("read"))]
ADMIN = [Depends(requires("admin"))]


class _Asked(QueryParams):
    filter: str | None = Field(None, max_length=4_000)
    cursor: str | None = Field(None, max_length=1_000)
    limit: int = Field(100, ge=1, le=1_000)


@router.get("/accounts", dependencies=READ, openapi_extra=query_schema(_Asked))
async def list_accounts(request: Request) -> Response:
    """Accounts with their attributes of today, in the order of their ids."""
    asked = parse_query(request, _Asked)
    books, limit = books_of(request), asked.limit
    day = day_after(books.today())
    chosen = parse_filter(normalize_id(asked.filter)) if asked.filter is not None else None
    page = select_accounts(chosen, on=day).order_by(account.c.id).limit(limit + 1)
    if asked.cursor is not None:
        page = page.where(account.c.id > _id_in(asked.cursor))
    rows = await _fetch(books, select_descriptions(page, on=day))
    following = encode_token(rows[limit - 1]["id"]) if len(rows) > limit else None
    body = {"accounts": rows[:limit], "next": following}
    return json_response(request, body, headers=next_link(request, following))


@router.get("/accounts/{account_id}", dependencies=READ)
async def get_account(request: Request, account_id: PathId) -> Response:
    """One account with its attributes of today and their history."""
    books = books_of(request)
    day = day_after(books.today())
    this = select_accounts(None, on=day).where(account.c.account_id == account_key(account_id))
    rows = await _fetch(books, select_descriptions(this, on=day))
    if not rows:
        raise NotFound("There is no such account.")
    history = await _fetch(
        books,
        sa.select(attribute.c.key, attribute.c.valid_from, attribute.c.valid_to, attribute.c.value)
        .where(attribute.c.account_id == account_key(account_id), attribute.c.ceased_on == MAX_DATE)
        .order_by(attribute.c.key, attribute.c.valid_from),
    )
    return json_response(request, rows[0] | {"history": [_without_ends(row) for row in history]})


def _without_ends(row: dict[str, Any]) -> dict[str, Any]:
    """An interval of an attribute; null for a bound that it does not have."""
    bounds = {MIN_DATE: None, MAX_DATE: None}
    return row | {name: bounds.get(row[name], row[name]) for name in ("valid_from", "valid_to")}


async def _fetch(books: Books, query: sa.Select[Any]) -> list[dict[str, Any]]:
    async def find(connection: Connection) -> list[dict[str, Any]]:
        return [row._asdict() for row in await connection.execute(query)]

    return await books.database.read(find)


def _id_in(cursor: str) -> str:
    try:
        return decode_token(cursor).replace("\0", "")
    except ValueError:
        raise Invalid.at("/query/cursor", "That is no cursor.", code="invalid_cursor") from None


class SegmentBody(BaseModel):
    """A segment's filter over account attributes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    filter: str = Field(max_length=4_000, examples=['plan = "enterprise" and region in ("emea", "uk")'])


@router.put("/segments/{name}", dependencies=ADMIN, openapi_extra=body_schema(SegmentBody))
async def put_segment(request: Request, name: PathId) -> dict[str, str]:
    """Define a segment from today on; what was answered for earlier days stays as it was."""
    body = await read_body(request, SegmentBody)
    filter = parse_filter(normalize_id(body.filter), pointer="/filter")
    await segments.put_segment(books_of(request), name=name, filter=filter)
    return {"name": name, "filter": filter.text}


@router.get("/segments", dependencies=READ)
async def list_segments(request: Request) -> Response:
    """The stored segments."""
    found = await segments.load_segments(books_of(request), None)
    return json_response(request, {"segments": [{"name": name, "filter": f.text} for name, f in sorted(found.items())]})


@router.delete("/segments/{name}", status_code=204, response_class=Response, dependencies=ADMIN)
async def delete_segment(request: Request, name: PathId) -> None:
    """End a segment from today on."""
    if not await segments.put_segment(books_of(request), name=name, filter=None):
        raise NotFound("There is no such segment.")
