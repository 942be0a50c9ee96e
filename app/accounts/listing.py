"""Queries for accounts as people see them: filtered, with name and attributes."""

from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from app.accounts.filter_bits import ConditionBits
from app.accounts.filter_matching import selects_without_attributes
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
    query = sa.select(account_table.c.account_id, account_table.c.id)
    query = query.where(account_table.c.account_id != WHOLE_BUSINESS, has_event)
    return query if filter is None else query.where(is_selected(filter, account_table.c.account_id, on=on))


def is_selected(filter: Filter, account_id: Any, *, on: date) -> sa.ColumnElement[bool]:
    """Return the condition that a filter selects an account by its attributes at the start of the day `on`.

    account_id: a column. Only current knowledge counts.
    """
    bits = ConditionBits.of([filter])
    numbers = bits.columns(attribute.c.key, attribute.c.value)
    sums = [sa.func.bigint_sum(number, type_=sa.BigInteger).label(number.name) for number in numbers]
    rows = sa.select(attribute.c.account_id, *sums).where(attribute.c.key.in_(filter.keys), *holds(attribute, on))
    accounts = rows.group_by(attribute.c.account_id).subquery("accounts")
    matches = bits.evaluate(filter, [accounts.c[name] for name in bits.names])
    # An account without any of the attributes has no row, so those that a filter does not select may be all that are known.
    is_exception = selects_without_attributes(filter)
    listed_accounts = sa.select(accounts.c.account_id).where(sa.not_(matches) if is_exception else matches)
    # Within `coalesce` the accounts are hashed once. As a plain condition PostgreSQL would make it a join, and may compare
    # every account with every other.
    is_listed = sa.func.coalesce(account_id.in_(listed_accounts), sa.false())
    return sa.not_(is_listed) if is_exception else is_listed


def select_descriptions(accounts: sa.Select[Any], *, on: date) -> sa.Select[Any]:
    """Return a query for (id, name, attributes) of the accounts of a query, at the start of the day `on`, ordered by id."""
    page = accounts.subquery("page")
    values_by_key = sa.func.jsonb_object_agg(attribute.c.key, attribute.c.value, type_=JSONB)
    description = (
        sa.select(sa.func.coalesce(values_by_key, sa.literal({}, JSONB)).label("attributes"))
        .where(attribute.c.account_id == page.c.account_id, *holds(attribute, on), attribute.c.value.is_not(None))
        .correlate(page)
        .lateral("description")
    )
    name = description.c.attributes["name"].as_string().label("name")
    query = sa.select(page.c.id, name, description.c.attributes).select_from(page.join(description, sa.true()))
    return query.order_by(page.c.id)


def holds(rows: Any, on: date) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions of the attribute rows that hold at the start of a day, as far as is known now."""
    return rows.c.ceased_on == MAX_DATE, rows.c.valid_from <= on, rows.c.valid_to > on
