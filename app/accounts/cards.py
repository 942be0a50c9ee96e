"""Cards of accounts, which messages about an account have: id, name and attributes of today, and a link to the overview."""

from collections.abc import Collection, Iterable
from datetime import date
from typing import Any
from urllib.parse import quote

from app.accounts.accounts import account_key
from app.accounts.listing import day_after
from app.database.query_plan import QueryPlan
from app.database.statements import BoundStatement, Statement
from app.database.tables import MAX_DATE

_LOAD = Statement(
    f"""
    SELECT account.account_id, account.id, description.attributes
    FROM unnest(CAST(%(accounts)s AS bigint[])) AS row(account_id)
    CROSS JOIN LATERAL (
        SELECT account_id, id FROM account WHERE account.account_id = row.account_id OFFSET 0) AS account
    CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_object_agg(key, value), '{{}}') AS attributes FROM attribute
        WHERE attribute.account_id = row.account_id AND ceased_on = '{MAX_DATE}' AND valid_from <= %(on)s
            AND valid_to > %(on)s AND value IS NOT NULL OFFSET 0) AS description
    """,
    array_formats={"accounts": str},
)


def load_cards(accounts: Collection[int], *, today: date) -> QueryPlan[dict[int, dict[str, Any]]]:
    """Return `{id, name, attributes}` of accounts by their keys, with the attributes that hold at the end of today."""
    if not accounts:
        return {}
    (rows,) = yield [BoundStatement(_LOAD, {"accounts": accounts, "on": day_after(today)})]
    return {
        account_id: {"id": id, "name": attributes.get("name"), "attributes": attributes}
        for account_id, id, attributes in rows
    }


def load_cards_by_id(ids: Iterable[str | None], *, today: date) -> QueryPlan[dict[str, dict[str, Any]]]:
    """Return the cards of accounts as `load_cards` does, by their ids. An empty id stands for no account."""
    cards = yield from load_cards(sorted({account_key(id) for id in ids if id}), today=today)
    return {card["id"]: card for card in cards.values()}


def overview_link(public_url: str, account: str) -> str:
    """Return the address of the overview of an account. public_url: empty for a path."""
    return f"{public_url}/v1/accounts/{quote(account, safe='')}/overview"
