"""What features add to the answers of others, which they must not import: catalogues that are filled at start."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import date
from typing import Any, NamedTuple

from app.books.books import Books
from app.database.connection import Connection


class Comparison(NamedTuple):
    """Two numbers that should be equal, and where they are."""

    left: float
    right: float
    location: dict[str, Any]


class DataCheck(NamedTuple):
    """A check of `/v1/checks`. compare: returns the numbers to compare on the data of today."""

    name: str
    sentence: str
    compare: Callable[[Connection, Books, date], Awaitable[Iterable[Comparison]]]


class AccountMember(NamedTuple):
    """A member of an account's overview. load: returns it for an account that exists, by its id."""

    name: str
    load: Callable[[Connection, Books, str, date], Awaitable[dict[str, Any]]]


DATA_CHECKS: list[DataCheck] = []
ACCOUNT_MEMBERS: list[AccountMember] = []
# By name of the member. The OpenAPI document reads it when everything is registered.
ACCOUNT_MEMBER_SCHEMAS: dict[str, Any] = {}


def add_account_member(member: AccountMember, schema: dict[str, Any]) -> None:
    """Add a member to the overview of accounts. schema: of what it returns."""
    ACCOUNT_MEMBERS.append(member)
    ACCOUNT_MEMBER_SCHEMAS[member.name] = schema
