"""Queries for accounts as people see them: filtered, with name and attributes."""

from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from app.accounts.filter_matching import filter_condition
from app.accounts.filters import Filter
from app.database.tables import MAX_DATE, WHOLE_BUSINESS, attribute, event
from app.database.tables import account as account_table


def day_after(today: date) -> date:
    """Return the next day. At its start, all attributes hold that today's updates have set so far."""
    return today + timedelta(days=1)


def select_accounts(filter: Filter | None, *, on: date) -> sa.Select[Any]:
    """Return a query for accounts with an event that is not retracted, whose attributes match at the start of the day `on`.

    Its rows are (account_id, id). Only current knowledge counts.
    """
    has_event = sa.exists().where(event.c.account_id == account_table.c.account_id, event.c.retracted_on.is_(None))
    source: Any = account_table
    values = {}
    for number, key in enumerate(filter.keys if filter else ()):
        rows = attribute.alias(f"attribute{number}")
        values[key] = rows.c.value
        source = source.outerjoin(
            rows, sa.and_(rows.c.key == key, rows.c.account_id == account_table.c.account_id, *_holds(rows, on))
        )
    query = sa.select(account_table.c.account_id, account_table.c.id).select_from(source)
    query = query.where(account_table.c.account_id != WHOLE_BUSINESS, has_event)
    return query if filter is None else query.where(filter_condition(filter, values.__getitem__))


def select_descriptions(accounts: sa.Select[Any], *, on: date) -> sa.Select[Any]:
    """Return a query for (id, name, attributes) of the accounts of a query, at the start of the day `on`, ordered by id."""
    page = accounts.subquery("page")
    values_by_key = sa.func.jsonb_object_agg(attribute.c.key, attribute.c.value, type_=JSONB)
    description = (
        sa.select(sa.func.coalesce(values_by_key, sa.literal({}, JSONB)).label("attributes"))
        .where(attribute.c.account_id == page.c.account_id, *_holds(attribute, on), attribute.c.value.is_not(None))
        .correlate(page)
        .lateral("description")
    )
    name = description.c.attributes["name"].as_string().label("name")
    query = sa.select(page.c.id, name, description.c.attributes).select_from(page.join(description, sa.true()))
    return query.order_by(page.c.id)


def _holds(rows: Any, on: date) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions of the attribute rows that hold at the start of a day, as far as is known now."""
    return rows.c.ceased_on == MAX_DATE, rows.c.valid_from <= on, rows.c.valid_to > on
