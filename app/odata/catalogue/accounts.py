"""`Accounts`: the accounts with their attributes of today, each attribute a property of its own."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from jiter import from_json
from sqlalchemy.dialects.postgresql import JSONB

from app.accounts.listing import day_after, holds, select_accounts
from app.core.aside import run_aside
from app.database.tables import account, attribute
from app.odata.attribute_types import AttributeProperty, attribute_properties, text_of
from app.odata.expressions import Member
from app.odata.model import ENTITY_SETS, EntitySet, prop
from app.odata.query import Query
from app.odata.sources import EntityPage, Row, SetContext
from app.odata.sql_source import KeyColumn, SqlRows, read_sql_page

_NAME = "name"
_PROPERTIES = (
    prop("account_id", "text", "The id of the account, as in all other sets.", nullable=False),
    prop(
        "name",
        "text",
        "The name of the account.",
        read=lambda row: text_of(row["values"].get(_NAME)),
        parts=("attributes",),
    ),
    prop(
        "attributes",
        "text",
        "All attributes that the account has now, as a JSON object.",
        nullable=False,
        is_filterable=False,
    ),
)
FIXED_NAMES = frozenset(own.name for own in _PROPERTIES)


async def _load_properties(context: SetContext) -> Sequence[AttributeProperty]:
    return await attribute_properties(context, taken_names=FIXED_NAMES, without={_NAME})


class _AccountRows:
    """The query for accounts. Attributes are joined as the filter and the order need them."""

    def __init__(self, day: date) -> None:
        self._day = day
        self._joins: dict[str, Any] = {}

    def column_of(self, member: Member) -> Any:
        own = member.prop
        if own.name == "account_id":
            return account.c.id
        key, type = (own.key, own.type) if isinstance(own, AttributeProperty) else (_NAME, "text")
        value = self._value(key)
        text = value.op("#>>", return_type=sa.Text())(sa.literal_column("'{}'"))
        if type == "text":
            return text
        # A value of another type may have come since the types were read.
        is_of_type = sa.func.jsonb_typeof(value) == type
        return sa.case((is_of_type, sa.cast(text, sa.Numeric() if type == "number" else sa.Boolean())))

    def _value(self, key: str) -> Any:
        if key not in self._joins:
            self._joins[key] = attribute.alias(f"attribute{len(self._joins)}")
        return self._joins[key].c.value

    def source(self) -> Any:
        """Return the FROM clause, with an outer join for each attribute that is used, of which an account has one value."""
        source: Any = account
        for key, joined in self._joins.items():
            on = sa.and_(joined.c.account_id == account.c.account_id, joined.c.key == key, *holds(joined, self._day))
            source = source.outerjoin(joined, on)
        return source

    def parts(self) -> dict[str, Any]:
        """Return the columns of a row: its attributes are read once, as a JSON text, and only of the accounts of the page."""
        rows = attribute.alias("description")
        present = (rows.c.account_id == account.c.account_id, *holds(rows, self._day), rows.c.value.is_not(None))
        values = sa.func.jsonb_object_agg(rows.c.key, rows.c.value, type_=JSONB)
        description = sa.select(values).where(*present).correlate(account).scalar_subquery()
        text = sa.cast(sa.func.coalesce(description, sa.text("'{}'::jsonb")), sa.Text())
        return {"account_id": account.c.id, "attributes": text}


async def _load(context: SetContext, query: Query) -> EntityPage:
    day = day_after(await context.books.load_today())
    accounts = _AccountRows(day)
    conditions = [select_accounts(None, on=day).whereclause]
    rows = SqlRows(accounts.source, conditions, accounts.parts(), accounts.column_of, [KeyColumn(account.c.id, str)])
    page = await context.books.database.ask(lambda connection: read_sql_page(connection, rows, query))
    if "attributes" not in query.used_parts:
        return page
    return page._replace(rows=await run_aside(lambda: [_with_values(row) for row in page.rows], items=len(page.rows)))


def _with_values(row: Row) -> Row:
    """Return a row with the values of its attributes by key. Numbers are exact."""
    return {**row, "values": from_json(row["attributes"].encode(), float_mode="decimal")}


ENTITY_SETS.add(
    EntitySet(
        "Accounts",
        "Account",
        "The accounts with their attributes of today; each attribute is a column.",
        ("account_id",),
        _PROPERTIES,
        _load,
        load_properties=_load_properties,
    )
)
