"""The accounts with their attributes, and the catalogue of attributes, as the API answers them page by page."""

from typing import Any

from app.accounts.attribute_list import VALUE_SCHEMA, list_attributes
from app.accounts.filters import Filter
from app.accounts.listing import day_after, select_accounts, select_descriptions
from app.accounts.recorded_names import AttributeUse, attribute_faults
from app.books.books import Books
from app.core.errors import Invalid
from app.core.ids import decode_token, encode_token
from app.core.names import Fault
from app.database.connection import Connection
from app.database.query_plan import run_plan
from app.database.tables import account
from app.http.openapi import map_schema
from app.http.tables import Answer, columns

# On a page.
MAX_ACCOUNTS = 1_000
ATTRIBUTES_SCHEMA = map_schema("AccountAttributes", VALUE_SCHEMA)
ACCOUNT_SCHEMA: dict[str, Any] = {
    "id": {"type": "string"},
    "name": {"type": ["string", "null"]},
    "attributes": ATTRIBUTES_SCHEMA | {"description": "The attributes that the account has now."},
}


async def answer_accounts(
    books: Books, filter: Filter | None = None, *, limit: int = MAX_ACCOUNTS, cursor: str | None = None
) -> Answer:
    """Return a page of accounts with their current attributes, ordered by id. Raises Invalid for an invalid cursor."""
    day = day_after(await books.load_today())
    # One more than the page, which shows whether there is a next one.
    page = select_accounts(filter, on=day).order_by(account.c.id).limit(limit + 1)
    if cursor is not None:
        page = page.where(account.c.id > parse_cursor(cursor))

    async def read(connection: Connection) -> list[dict[str, Any]]:
        return [row._asdict() for row in await connection.execute(select_descriptions(page, on=day))]

    rows = await books.database.ask(read)
    next_cursor = encode_token(rows[limit - 1]["id"]) if len(rows) > limit else None

    async def load_more(cursor: str) -> Answer:
        return await answer_accounts(books, filter, limit=limit, cursor=cursor)

    body = {"accounts": rows[:limit], "next": next_cursor}
    return Answer("accounts", body, columns(ACCOUNT_SCHEMA), rows_name="accounts", load_more=load_more)


def parse_cursor(cursor: str) -> str:
    """Return the id or key that the page before ended with. Raises Invalid."""
    try:
        return decode_token(cursor).replace("\0", "")
    except ValueError:
        raise Invalid.at(
            "/query/cursor", "Not a cursor. Use `next` of the page before, unchanged.", code="invalid_cursor"
        ) from None


async def check_attributes(books: Books, filter: Filter, pointer: str) -> None:
    """Raise Invalid for the attributes of a filter that no account has ever had."""

    async def read(connection: Connection) -> list[Fault]:
        return await run_plan(connection, attribute_faults([AttributeUse(key, pointer) for key in filter.keys]))

    if faults := await books.database.ask(read):
        raise Invalid.of(faults, subject="The filter")


async def answer_attributes(books: Books, *, limit: int, cursor: str | None) -> dict[str, Any]:
    """Return a page of the catalogue of attributes, ordered by key. Raises Invalid for an invalid cursor."""
    day, after = day_after(await books.load_today()), parse_cursor(cursor) if cursor is not None else ""
    # One more than the page, which shows whether there is a next one.
    rows = await books.database.ask(
        lambda connection: list_attributes(connection, on=day, after=after, limit=limit + 1)
    )
    next_cursor = encode_token(rows[limit - 1]["key"]) if len(rows) > limit else None
    return {"attributes": rows[:limit], "next": next_cursor}
