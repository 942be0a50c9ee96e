"""Exchange rates: what one unit of a currency is worth in the base currency, from a day on.

The rate of an event's day is kept with the event. A rate that was used is not changed, so numbers that were given out stay.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from app.core.errors import Conflict, EventRejected
from app.database.connection import Connection
from app.database.tables import exchange_rate


class ExchangeRate(NamedTuple):
    """What one unit of a currency is worth in the base currency from a day on. used: an event was counted by it."""

    currency: str
    valid_from: date
    rate: Decimal
    used: bool


_COLUMNS = [exchange_rate.c[name] for name in ExchangeRate._fields]


async def load_rates(
    connection: Connection, currencies: Collection[str] | None = None
) -> dict[str, list[ExchangeRate]]:
    """The rates of these currencies, or of all, each list in the order of its days."""
    query = sa.select(*_COLUMNS).order_by(*_COLUMNS[:2])
    if currencies is not None:
        query = query.where(exchange_rate.c.currency.in_(list(currencies)))
    found: dict[str, list[ExchangeRate]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.currency, []).append(ExchangeRate(*row))
    return found


def rate_on(rates: Sequence[ExchangeRate], day: date) -> ExchangeRate:
    """The rate of that day. Raises Rejected when there is none yet."""
    number = bisect_right(rates, day, key=lambda rate: rate.valid_from)
    if not number:
        detail = "There is no exchange rate for that currency and day; give one with PUT /v1/exchange-rates."
        raise EventRejected("no_exchange_rate", detail, "/data/currency")
    return rates[number - 1]


async def freeze_rates(connection: Connection, rates: Collection[ExchangeRate]) -> bool:
    """Fix rates that are used for the first time; False when one was changed meanwhile."""
    for rate in sorted(rates):
        same = [exchange_rate.c[name] == getattr(rate, name) for name in ExchangeRate._fields[:3]]
        statement = sa.update(exchange_rate).where(*same).values(used=True)
        if not (await connection.execute(statement)).row_count:
            return False
    return True


async def put_rates(connection: Connection, currency: str, rates: Mapping[date, Decimal]) -> None:
    """Write rates of a currency. Raises Conflict, and writes none, when one of them was used with another value."""
    rows = [{"currency": currency, "valid_from": day, "rate": rate} for day, rate in sorted(rates.items())]
    statement = insert(exchange_rate).values(rows)
    unchanged = exchange_rate.c.rate == statement.excluded.rate
    changed = statement.on_conflict_do_update(
        index_elements=["currency", "valid_from"],
        set_={"rate": statement.excluded.rate},
        where=unchanged | ~exchange_rate.c.used,
    )
    if len(await connection.execute(changed.returning(exchange_rate.c.valid_from))) < len(rows):
        raise Conflict("A rate that has been used is not changed; none was written.", code="rate_used")
