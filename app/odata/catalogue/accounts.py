"""`Accounts`: the accounts with their attributes of today, each attribute a property of its own."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from app.accounts.listing import day_after, holds, select_accounts
from app.database.tables import account, attribute
from app.odata.attribute_types import AttributeProperty, attribute_properties
from app.odata.expressions import Member
from app.odata.model import ENTITY_SETS, EntitySet, prop
from app.odata.query import Query
from app.odata.sources import EntityPage, SetContext
from app.odata.sql_source import KeyColumn, SqlRows, read_sql_page

_NAME = "name"
_PROPERTIES = (
    prop("account_id", "text", "The id of the account, as in all other sets.", nullable=False),
    prop("name", "text", "The name of the account.", read=lambda row: row["texts"].get(_NAME), parts=("texts",)),
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
        rows = attribute.alias("description")
        present = (rows.c.account_id == account.c.account_id, *holds(rows, self._day), rows.c.value.is_not(None))
        value_text = rows.c.value.op("#>>", return_type=sa.Text())(sa.literal_column("'{}'"))
        values = sa.func.jsonb_object_agg(rows.c.key, rows.c.value, type_=JSONB)
        texts = sa.func.jsonb_object_agg(rows.c.key, value_text, type_=JSONB)
        types = sa.func.jsonb_object_agg(rows.c.key, sa.func.jsonb_typeof(rows.c.value), type_=JSONB)
        empty = sa.text("'{}'::jsonb")

        def of_account(column: Any) -> Any:
            return sa.func.coalesce(sa.select(column).where(*present).correlate(account).scalar_subquery(), empty)

        return {
            "account_id": account.c.id,
            "attributes": sa.cast(of_account(values), sa.Text()),
            "texts": sa.type_coerce(of_account(texts), JSONB),
            "types": sa.type_coerce(of_account(types), JSONB),
        }


async def _load(context: SetContext, query: Query) -> EntityPage:
    day = day_after(await context.books.load_today())
    accounts = _AccountRows(day)
    conditions = [select_accounts(None, on=day).whereclause]
    rows = SqlRows(accounts.source, conditions, accounts.parts(), accounts.column_of, [KeyColumn(account.c.id, str)])
    return await context.books.database.ask(lambda connection: read_sql_page(connection, rows, query))


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
