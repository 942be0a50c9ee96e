"""HTTP endpoints of accounts and segments."""

from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.access.auth import books_of, requires
from app.accounts import segments
from app.accounts.accounts import account_key
from app.accounts.answers import (
    ACCOUNT_SCHEMA,
    MAX_ACCOUNTS,
    answer_accounts,
    answer_attributes,
    check_attributes,
)
from app.accounts.attribute_list import ATTRIBUTES_SCHEMA, VALUE_SCHEMA
from app.accounts.filters import parse_filter
from app.accounts.listing import day_after, select_accounts, select_descriptions
from app.accounts.recorded_names import account_not_found
from app.books.books import Books
from app.core.errors import NotFound
from app.core.ids import PathId, normalize_id
from app.database.connection import Connection
from app.database.tables import MAX_DATE, MIN_DATE, account, attribute
from app.http.body import read_body
from app.http.openapi import body_schema, list_schema, object_schema, query_schema, response_schema
from app.http.params import QueryParams, parse_query
from app.http.polls import pollable
from app.http.responses import json_response, next_link, rows_response
from app.http.row_parameters import RowParameters

router = APIRouter(prefix="/v1", tags=["accounts"])
READ = [Depends(requires("read"))]
ADMIN = [Depends(requires("admin"))]


_ACCOUNTS = response_schema(
    "A page of accounts.",
    object_schema(
        "AccountPage", {"accounts": list_schema("Account", ACCOUNT_SCHEMA), "next": {"type": ["string", "null"]}}
    ),
    table=True,
)


_OPTIONAL_DAY: dict[str, Any] = {"type": ["string", "null"], "format": "date"}
_ACCOUNT = response_schema(
    "The account.",
    object_schema(
        "AccountWithHistory",
        ACCOUNT_SCHEMA
        | {
            "history": list_schema(
                "AttributeInterval",
                {
                    "key": {"type": "string"},
                    "valid_from": _OPTIONAL_DAY | {"description": "The first day; null: always."},
                    "valid_to": _OPTIONAL_DAY | {"description": "The day after the last day; null: not yet."},
                    "value": VALUE_SCHEMA,
                    "known_since": {
                        "type": "string",
                        "format": "date",
                        "description": "The day on which it became known with these bounds.",
                    },
                },
            )
        },
    ),
)
_SEGMENT_MEMBERS: dict[str, Any] = {"name": {"type": "string"}, "filter": {"type": "string"}}
_STORED_SEGMENT = response_schema("The segment.", object_schema("Segment", _SEGMENT_MEMBERS))
_SEGMENTS = response_schema(
    "All segments.", object_schema("SegmentList", {"segments": list_schema("Segment", _SEGMENT_MEMBERS)})
)


class _ListParams(RowParameters):
    filter: str | None = Field(
        None, max_length=4_000, description="A condition over account attributes, in the filter language."
    )
    strict: bool = Field(
        True,
        description="Whether attributes in `filter` that no account has ever had are errors. With `false` they count as empty.",
    )
    cursor: str | None = Field(None, max_length=1_000, description="`next` of the page before.")
    limit: int | None = Field(
        None,
        ge=1,
        le=MAX_ACCOUNTS,
        description="The number of accounts on a page. Default: 100 in JSON; files have all accounts.",
    )


@router.get("/accounts", dependencies=READ, responses=_ACCOUNTS, openapi_extra=query_schema(_ListParams))
@pollable
async def list_accounts(request: Request) -> Response:
    """List accounts with their current attributes, ordered by id."""
    params = parse_query(request, _ListParams)
    books = books_of(request)
    filter = parse_filter(normalize_id(params.filter)) if params.filter is not None else None
    if filter is not None and params.strict:
        await check_attributes(books, filter, "/query/filter")
    limit = params.page_size(params.limit, default=100, maximum=MAX_ACCOUNTS)
    answer = await answer_accounts(books, filter, limit=limit, cursor=params.cursor)
    return await rows_response(request, params, answer)


@router.get("/accounts/{account_id}", dependencies=READ, responses=_ACCOUNT, response_class=Response)
@pollable
async def get_account(request: Request, account_id: PathId) -> Response:
    """Return one account with its current attributes and their history."""
    books, key = books_of(request), account_key(account_id)
    day = day_after(await books.load_today())
    query = select_accounts(None, on=day).where(account.c.account_id == key)
    rows = await _fetch(books, select_descriptions(query, on=day))
    if not rows:
        raise await books.database.ask(lambda connection: account_not_found(connection, account_id))
    history = await _fetch(
        books,
        sa.select(
            *(attribute.c.key, attribute.c.valid_from, attribute.c.valid_to, attribute.c.value),
            attribute.c.recorded_on.label("known_since"),
        )
        .where(attribute.c.account_id == key, attribute.c.ceased_on == MAX_DATE)
        .order_by(attribute.c.key, attribute.c.valid_from),
    )
    return json_response(request, rows[0] | {"history": [_open_bounds(row) for row in history]})


def _open_bounds(interval: dict[str, Any]) -> dict[str, Any]:
    """Return an interval with null for a bound that stands for "always" or "not yet"."""
    bounds = {MIN_DATE: None, MAX_DATE: None}
    return interval | {name: bounds.get(interval[name], interval[name]) for name in ("valid_from", "valid_to")}


async def _fetch(books: Books, query: sa.Select[Any]) -> list[dict[str, Any]]:
    async def fetch(connection: Connection) -> list[dict[str, Any]]:
        return [row._asdict() for row in await connection.execute(query)]

    return await books.database.ask(fetch)


class _AttributeParams(QueryParams):
    cursor: str | None = Field(None, max_length=1_000, description="`next` of the page before.")
    limit: int = Field(100, ge=1, le=200, description="The number of attributes on a page.")


@router.get(
    "/attributes",
    name="list_attributes",
    dependencies=READ,
    responses=ATTRIBUTES_SCHEMA,
    openapi_extra=query_schema(_AttributeParams),
)
@pollable
async def get_attributes(request: Request) -> Response:
    """List the attributes that accounts have ever had, with the types and the most frequent values of today.

    `name` is among them when accounts have names. Filters, segments and `group_by` use the keys.
    """
    params = parse_query(request, _AttributeParams)
    body = await answer_attributes(books_of(request), limit=params.limit, cursor=params.cursor)
    return json_response(request, body, headers=next_link(request, body["next"]))


class _SegmentParams(QueryParams):
    strict: bool = Field(
        True,
        description="Whether attributes that no account has ever had are errors. `false` defines the segment before its data "
        "arrives.",
    )


class SegmentBody(BaseModel):
    """A segment's filter over account attributes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    filter: str = Field(max_length=4_000, examples=['plan = "enterprise" and region in ("emea", "uk")'])


_SEGMENT = {"filter": 'plan = "enterprise" and region in ("emea", "uk")'}


@router.put(
    "/segments/{name}",
    dependencies=ADMIN,
    responses=_STORED_SEGMENT,
    response_class=Response,
    openapi_extra=body_schema(SegmentBody, _SEGMENT) | query_schema(_SegmentParams),
)
async def put_segment(request: Request, name: PathId) -> Response:
    """Define a segment from today on. Answers as of earlier days keep the earlier definition."""
    params, body = parse_query(request, _SegmentParams), await read_body(request, SegmentBody)
    books, filter = books_of(request), parse_filter(normalize_id(body.filter), pointer="/filter")
    if params.strict:
        await check_attributes(books, filter, "/filter")
    await segments.put_segment(books, name=name, filter=filter)
    return json_response(request, {"name": name, "filter": filter.text})


@router.get("/segments", dependencies=READ, responses=_SEGMENTS, response_class=Response)
@pollable
async def list_segments(request: Request) -> Response:
    """List the stored segments, ordered by name."""
    filters = await segments.load_segments(books_of(request), None)
    body = {"segments": [{"name": name, "filter": filter.text} for name, filter in sorted(filters.items())]}
    return json_response(request, body)


@router.delete("/segments/{name}", status_code=204, response_class=Response, dependencies=ADMIN)
async def delete_segment(request: Request, name: PathId) -> None:
    """End a segment from today on. Answers as of earlier days keep its definition."""
    books = books_of(request)
    if not await segments.put_segment(books, name=name, filter=None):
        existing = await segments.load_segments(books, None)
        raise NotFound.of([segments.unknown_segment(name, [*existing], "/path/name")])
