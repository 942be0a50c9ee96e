"""The gross margin of the business, with the day from which each value holds.

The setting GROSS_MARGIN changes numbers (customer lifetime value, for instance), so a new value holds from the day on which the
service first starts with it; periods before that day keep the earlier value.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert

from app.books.books import Books
from app.books.last_day import ClockAhead
from app.core.settings import Settings
from app.database.connection import Connection
from app.database.tables import gross_margin

log = structlog.get_logger(__name__)


class Margin(NamedTuple):
    """The gross margin from a day on, as a share of revenue (0 to 1)."""

    valid_from: date
    margin: Decimal


async def load_margins(connection: Connection) -> list[Margin]:
    """Load all values that the gross margin has had, ordered by day."""
    query = sa.select(gross_margin.c.valid_from, gross_margin.c.margin).order_by(gross_margin.c.valid_from)
    return [Margin(*row) for row in await connection.execute(query)]


def margin_before(margins: Sequence[Margin], end: date) -> Fraction:
    """Return the margin of the last day before `end`.

    For days before the first value, that is the first value; without any value it is 1 (100%).
    """
    past = [margin for valid_from, margin in margins if valid_from < end]
    return Fraction(past[-1] if past else margins[0].margin if margins else 1)


async def record_margin(books: Books, settings: Settings) -> None:
    """Record the margin of the settings as of today, unless it is the current one.

    A start without the setting keeps the current margin; only the very first start records the default. While the clock is
    too far ahead of the books, nothing is recorded, and a later start does it.
    """
    margin = Decimal(str(settings.gross_margin))

    async def record(connection: Connection, today: date) -> None:
        margins = await load_margins(connection)
        if not margins or margins[-1].margin != margin:
            new = insert(gross_margin).values(valid_from=today, margin=margin)
            upsert = new.on_conflict_do_update(index_elements=["valid_from"], set_={"margin": margin})
            await connection.execute(upsert)

    margins = await books.database.read(load_margins)
    if not margins:
        # It holds for all days before, too. So it is no reason to let the books begin: perhaps the clock is not right yet.
        await books.database.write(lambda connection: record(connection, books.today()))
    elif "gross_margin" in settings.model_fields_set and margins[-1].margin != margin:
        try:
            await books.write(record)
        except ClockAhead as error:
            log.error("the gross margin of the settings is not recorded", reason=str(error))
