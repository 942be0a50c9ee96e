"""The books of one company: where they are kept, in which calendar and currency, and what time it is.

The calendar and the currency are fixed at the first start, because every number that was given out depends on them.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert

from app.core.errors import Conflict
from app.core.periods import Calendar
from app.core.settings import Settings
from app.database import tables
from app.database.connection import Connection
from app.database.group_commit import GroupCommit
from app.database.pool import APPLICATION, Database

log = structlog.get_logger(__name__)


def system_clock() -> datetime:
    """What time it is."""
    return datetime.now(UTC)


T = TypeVar("T")

# The version of the rules by which events are posted; to be raised when events that are kept already would post otherwise.
POSTING_VERSION = 4

_FIXED = ("base_currency", "reporting_timezone", "fiscal_year_start")
# What a transaction is told last may wait for locks, but hardly so long: each statement has its limit.
_LONGEST_WAIT = timedelta(minutes=10)


class _DayIsOver(Exception):
    """Midnight has passed during a transaction."""


@dataclass(frozen=True, slots=True)
class Books:
    """What every request needs; `clock` is the application's, so that a test or a simulation can set it.

    group_commit: by which small writes share transactions.
    """

    database: Database
    calendar: Calendar
    currency: str
    clock: Callable[[], datetime] = system_clock
    group_commit: GroupCommit = field(default_factory=GroupCommit)

    def today(self) -> date:
        """The running day."""
        return self.calendar.day(self.clock())

    async def write(self, work: Callable[[Connection, date], Awaitable[T]]) -> T:
        """Run `work` in one transaction of one day, which it is given.

        It is begun anew when midnight passes before it is done, as while it waits for an account's lock: what was known
        on a day that is over never changes. Shortly before midnight it therefore is done before it is committed, too.
        """
        while True:
            today = self.today()

            async def within(connection: Connection, today: date = today) -> T:
                result = await work(connection, today)
                if self.calendar.day(self.clock() + _LONGEST_WAIT) != today:
                    await connection.flush()
                if self.today() != today:
                    raise _DayIsOver
                return result

            try:
                return await self.database.write(within)
            except _DayIsOver:
                continue


async def create_or_load_books(
    settings: Settings,
    database: Database,
    *,
    clock: Callable[[], datetime] = system_clock,
    adopt: bool = False,
) -> Books:
    """Open the books, for the first time or again; with `adopt`, write the settings' calendar and currency into them.

    After that everything has to be posted again. Raises Conflict when they were opened with another currency, time zone or
    fiscal year, and when a currency would be adopted in which money was never counted.
    """
    wanted: dict[str, Any] = {name: getattr(settings, name) for name in _FIXED}

    async def open_or_read(connection: Connection) -> dict[str, Any]:
        new = {"opened_at": clock(), "posted_by": POSTING_VERSION}
        first = insert(tables.books).values(**wanted, **new).on_conflict_do_nothing()
        await connection.execute(first)
        [row] = await connection.execute(sa.select(tables.books))
        if adopt:
            await _adopt(connection, wanted, row.base_currency)
            return wanted
        if row.adopting:
            raise Conflict(
                "Other settings have been adopted, but not everything has been posted anew: run `csmetrics rebuild "
                "--adopt-settings` again.",
                code="adopting",
            )
        if row.posted_by < POSTING_VERSION:
            log.warning("earlier events are not counted in everything yet: run `csmetrics rebuild`")
        return {name: getattr(row, name) for name in wanted}

    fixed = await database.write(open_or_read)
    different = [
        f"{name.upper()} is {fixed[name]!r}, not {wanted[name]!r}" for name in wanted if fixed[name] != wanted[name]
    ]
    if different:
        raise Conflict(
            f"The books were opened with other settings: {'; '.join(different)}. Start with those, or change the books "
            "with `csmetrics rebuild --adopt-settings`.",
            code="other_settings",
        )
    calendar = Calendar(zone=ZoneInfo(settings.reporting_timezone), fiscal_year_start=settings.fiscal_year_start)
    return Books(database, calendar, settings.base_currency, clock)


class Margin(NamedTuple):
    """The gross margin from a day on."""

    valid_from: date
    margin: Decimal


async def load_margins(connection: Connection) -> list[Margin]:
    """All that the gross margin has been, in order."""
    table = tables.gross_margin
    rows = await connection.execute(sa.select(table.c.valid_from, table.c.margin).order_by(table.c.valid_from))
    return [Margin(*row) for row in rows]


def margin_before(known: Sequence[Margin], end: date) -> Fraction:
    """The margin on the last day before `end`; before the first one, that; 100 % before any service ran."""
    past = [margin for valid_from, margin in known if valid_from < end]
    return Fraction(past[-1] if past else known[0].margin if known else 1)


async def record_margin(books: Books, settings: Settings) -> None:
    """A setting that changes numbers is dated: from today on it is another, what was before stays.

    The first start notes it in any case; later on, what is left out says nothing.
    """
    margin = Decimal(str(settings.gross_margin))

    async def note(connection: Connection, today: date) -> None:
        known = await load_margins(connection)
        is_said = "gross_margin" in settings.model_fields_set
        if not known or (is_said and known[-1].margin != margin):
            new = insert(tables.gross_margin).values(valid_from=today, margin=margin)
            changed = new.on_conflict_do_update(index_elements=["valid_from"], set_={"margin": margin})
            await connection.execute(changed)

    await books.write(note)


async def _adopt(connection: Connection, wanted: dict[str, Any], currency: str) -> None:
    others = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = :name "
        "AND pid <> pg_backend_pid()"
    )
    if await connection.scalar(others.bindparams(name=APPLICATION)):
        raise Conflict(
            "Stop the service first: it would go on posting by the settings it was started with.", code="in_use"
        )
    event = tables.event
    money = event.c.data.has_any(sa.literal(["amount", "mrr"], sa.ARRAY(sa.Text)))
    if wanted["base_currency"] != currency:
        rates = sa.exists(sa.select(1).select_from(tables.exchange_rate))
        counted = sa.exists(sa.select(1).select_from(event).where(money))
        if await connection.scalar(sa.select(sa.or_(rates, counted))):
            raise Conflict(
                f"Money or its rates have been given in {currency}; another base currency needs other books.",
                code="other_currency",
            )
    await connection.execute(sa.update(tables.books).values(**wanted, adopting=True))


async def finish_rebuilding(database: Database) -> None:
    """Everything has been posted by the rules and the settings that hold now."""

    async def finish(connection: Connection) -> None:
        await connection.execute(sa.update(tables.books).values(adopting=False, posted_by=POSTING_VERSION))

    await database.write(finish)
