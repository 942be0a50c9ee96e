"""Queries for accounts as people see them: filtered, with name and attributes."""

from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from app.accounts.filters import Filter, filter_condition
from app.database.tables import MAX_DATE, WHOLE_BUSINESS, attribute, event
from app.database.tables import account as account_table


def select_accounts(filter: Filter | None, *, on: date) -> sa.Select[Any]:
    """The accounts that people see, those with a live event, which the filter takes at the start of the day `on`."""
    live = sa.exists().where(event.c.account_id == account_table.c.account_id, event.c.retracted_on.is_(None))
    source: Any = account_table
    values = {}
    for number, key in enumerate(filter.keys if filter else ()):
        rows = attribute.alias(f"attribute{number}")
        values[key] = rows.c.value
        source = source.outerjoin(
            rows, sa.and_(rows.c.key == key, rows.c.account_id == account_table.c.account_id, *_held(rows, on))
        )
    query = sa.select(account_table.c.account_id, account_table.c.id).select_from(source)
    query = query.where(account_table.c.account_id != WHOLE_BUSINESS, live)
    return query if filter is None else query.where(filter_condition(filter, values.__getitem__))


def select_descriptions(accounts: sa.Select[Any], *, on: date) -> sa.Select[Any]:
    """Rows (id, name, attributes) of the accounts that a query names, in its order, as they are at the start of a day."""
    page = accounts.subquery("page")
    all_of_it = sa.func.jsonb_object_agg(attribute.c.key, attribute.c.value, type_=JSONB)
    one = sa.select(sa.func.coalesce(all_of_it, sa.literal({}, JSONB)).label("attributes"))
    one = one.where(attribute.c.account_id == page.c.account_id, *_held(attribute, on), attribute.c.value.is_not(None))
    found = one.correlate(page).lateral("found")
    name = found.c.attributes["name"].as_string().label("name")
    query = sa.select(page.c.id, name, found.c.attributes).select_from(page.join(found, sa.true()))
    return query.order_by(page.c.id)


def _held(rows: Any, on: date) -> tuple[sa.ColumnElement[bool], ...]:
    return rows.c.ceased_on == MAX_DATE, rows.c.valid_from <= on, rows.c.valid_to > on


def day_after(today: date) -> date:
    """The day whose start sees everything that today's updates said."""
    return today + timedelta(days=1)
