"""Exchange rates: what one unit of a currency is worth in the base currency, from a day on.

An event is converted at the rate of its day, which is stored with it. A rate that has been used is frozen, so that no number
that was answered changes.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from app.core.errors import Conflict, EventRejected
from app.database.connection import Connection
from app.database.tables import exchange_rate


class ExchangeRate(NamedTuple):
    """What one unit of a currency is worth in the base currency from a day on. used: an event was converted at it."""

    currency: str
    valid_from: date
    rate: Decimal
    used: bool


_COLUMNS = [exchange_rate.c[name] for name in ExchangeRate._fields]


async def load_rates(
    connection: Connection, currencies: Collection[str] | None = None
) -> dict[str, list[ExchangeRate]]:
    """Return the rates of these currencies, or of all, by currency in the order of their days."""
    query = sa.select(*_COLUMNS).order_by(*_COLUMNS[:2])
    if currencies is not None:
        query = query.where(exchange_rate.c.currency.in_(list(currencies)))
    rates: dict[str, list[ExchangeRate]] = {}
    for row in await connection.execute(query):
        rates.setdefault(row.currency, []).append(ExchangeRate(*row))
    return rates


def rates_to_json(rates: Mapping[str, Sequence[ExchangeRate]]) -> list[dict[str, Any]]:
    """Return the rates of several currencies as the API shows them."""
    return [
        {"currency": currency, "rates": {rate.valid_from.isoformat(): format(rate.rate, "f") for rate in by_day}}
        for currency, by_day in rates.items()
    ]


def rate_on(rates: Sequence[ExchangeRate], day: date, *, currency: str) -> ExchangeRate:
    """Return the rate of a day. rates: of the currency, in order. Raises EventRejected when the day is before all of them."""
    count_until_day = bisect_right(rates, day, key=lambda rate: rate.valid_from)
    if not count_until_day:
        detail = (
            f"No exchange rate for {currency} on {day}, the day of the event. Add one from this day or earlier with "
            "PUT /v1/exchange-rates."
        )
        raise EventRejected("no_exchange_rate", detail, "/data/currency")
    return rates[count_until_day - 1]


async def freeze_rates(connection: Connection, rates: Collection[ExchangeRate]) -> bool:
    """Mark rates as used, in the order of currency and day; return False when one differs from its row by now."""
    for rate in sorted(rates):
        is_same = [exchange_rate.c[name] == getattr(rate, name) for name in ExchangeRate._fields[:3]]
        statement = sa.update(exchange_rate).where(*is_same).values(used=True)
        if not (await connection.execute(statement)).row_count:
            return False
    return True


async def put_rates(connection: Connection, currency: str, rates: Mapping[date, Decimal]) -> None:
    """Write the rates of a currency, by the day from which they hold.

    Raises Conflict, and so writes none, when one of them has been used with another value.
    """
    rows = [{"currency": currency, "valid_from": day, "rate": rate} for day, rate in sorted(rates.items())]
    statement = insert(exchange_rate).values(rows)
    is_same = exchange_rate.c.rate == statement.excluded.rate
    upsert = statement.on_conflict_do_update(
        index_elements=["currency", "valid_from"],
        set_={"rate": statement.excluded.rate},
        where=is_same | ~exchange_rate.c.used,
    )
    if len(await connection.execute(upsert.returning(exchange_rate.c.valid_from))) < len(rows):
        detail = "A rate that has been used cannot be changed. None of the rates was written."
        raise Conflict(detail, code="rate_used")
