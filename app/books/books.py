"""The books of a deployment: its database, base currency, calendar and clock.

Base currency, time zone, fiscal year and first day of the week are fixed at the first start and stored in the table `books`,
because every number that the service has reported depends on them. Later starts with other settings fail, until `csmetrics
rebuild --adopt-settings` stores the new settings and recomputes the ledger by them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import psycopg
import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert

from app.books.first_day import FirstDay
from app.books.last_day import (
    ClockAhead,
    LastDay,
    is_other_day,
    load_last_day,
    move_last_day,
)
from app.core.errors import Conflict
from app.core.periods import Calendar
from app.core.settings import DEFAULT_MAX_CLOCK_JUMP_DAYS, DEFAULT_WEBHOOK_EVENT_DAYS, Settings
from app.database import tables
from app.database.connection import Connection
from app.database.group_commit import GroupCommit
from app.database.pool import APPLICATION_NAME, Database

log = structlog.get_logger(__name__)

T = TypeVar("T")

# The version of the posting rules. Raise it with a change by which stored events would post other entries than they have.
POSTING_VERSION = 5

_FIXED_SETTINGS = ("base_currency", "reporting_timezone", "fiscal_year_start", "week_start")
# How long enqueued statements may wait for locks before the commit; hardly so long, since each statement has its time limit.
_MAX_COMMIT_DELAY = timedelta(minutes=10)
_END_SECONDS = 2.0


def system_clock() -> datetime:
    """Return the current time of the machine, in UTC."""
    return datetime.now(UTC)


class _DayEnded(Exception):
    """Midnight has passed during a transaction."""


@dataclass(frozen=True, slots=True)
class Books:
    """What every request needs to read and write the ledger of this deployment.

    clock: returns the current time; tests and simulations set their own.
    group_commit: shares transactions between small writes. first_day: on which anything was recorded. last_day: on which
    everything is recorded now. max_jump_days: how far the clock may be ahead of it. public_url: with which links begin; empty
    where it is unset. webhook_event_days: how many days ago an event may have happened for webhooks to send it.
    """

    database: Database
    calendar: Calendar
    currency: str
    clock: Callable[[], datetime] = system_clock
    group_commit: GroupCommit = field(default_factory=GroupCommit)
    first_day: FirstDay = field(default_factory=FirstDay)
    last_day: LastDay = field(default_factory=LastDay)
    max_jump_days: int = DEFAULT_MAX_CLOCK_JUMP_DAYS
    public_url: str = ""
    webhook_event_days: int = DEFAULT_WEBHOOK_EVENT_DAYS

    def clock_day(self) -> date:
        """Return the day that the clock says, in the reporting time zone. It may be wrong: see `today`."""
        return self.calendar.day(self.clock())

    def today(self) -> date:
        """Return the current day: that of the clock, or the last day of the books if the clock is behind it or too far ahead."""
        return self.last_day.follow(self.clock_day(), max_jump_days=self.max_jump_days)

    def now(self) -> datetime:
        """Return the current time. While the clock is behind the books, it stands at the beginning of their last day."""
        return max(self.clock(), self.calendar.midnight(self.today()))

    def check_clock(self) -> None:
        """Raise ClockAhead if the clock is further ahead of the books than it may be."""
        day, latest = self.clock_day(), self.last_day.latest
        if latest is not None and self.last_day.is_too_far(day, max_jump_days=self.max_jump_days):
            raise ClockAhead(day, latest, self.max_jump_days)

    def report_clock(self) -> None:
        """Write a line to the log if the clock and the books do not agree, one for each day of the clock."""
        day, latest = self.clock_day(), self.last_day.latest
        if latest is None or day == self.last_day.reported_day:
            return
        self.last_day.reported_day = day
        if day < latest:
            log.warning("the clock is behind the books, which are followed", day=str(day), last_day=str(latest))
        elif self.last_day.is_too_far(day, max_jump_days=self.max_jump_days):
            log.error(
                "the clock is too far ahead of the books", reason=str(ClockAhead(day, latest, self.max_jump_days))
            )

    async def load_today(self, *, as_of: date | None = None) -> date:
        """Return the current day after reading the last day of the books, unless that was done a moment ago.

        as_of: a day as of which a question is to be answered. If it is over, nothing is recorded on it after this.
        """
        is_open = as_of is not None and not self.last_day.is_after(as_of)
        if is_open or not self.last_day.is_fresh():
            await load_last_day(self.database, self.last_day)
        today, last = self.today(), self.last_day.latest
        if as_of is not None and as_of < today and not self.last_day.is_after(as_of):
            end = today if last is None else as_of + timedelta(days=1)
            await move_last_day(self.database, self.last_day, end, max_jump_days=self.max_jump_days)
        return self.today()

    async def write(self, work: Callable[[Connection, date], Awaitable[T]]) -> T:
        """Run `work(connection, today)` in one transaction that begins and ends on the same day, the last one of the books.

        If midnight passes before the end, for instance while it waits for an account's lock, or another process moves the books
        on, the transaction is rolled back and `work` runs again with the new day: entries recorded on a past day never change.
        Shortly before midnight, enqueued statements are therefore awaited before the day is compared. Raises ClockAhead.
        """
        while True:
            today = await self._move_to_today()

            async def write_on(connection: Connection, today: date = today) -> T:
                result = await work(connection, today)
                if self.calendar.day(self.clock() + _MAX_COMMIT_DELAY) != today:
                    await connection.flush()
                if self.today() != today:
                    raise _DayEnded
                return result

            try:
                return await self.database.write(write_on, today=today)
            except _DayEnded:
                continue
            except psycopg.Error as error:
                if not is_other_day(error):
                    raise
            await load_last_day(self.database, self.last_day)

    async def _move_to_today(self) -> date:
        """Return today after moving the books on to it, which the first write of a day does. Raises ClockAhead."""
        if self.last_day.latest is None or self.clock_day() > self.last_day.latest:
            day = self.clock_day()
            await move_last_day(self.database, self.last_day, day, max_jump_days=self.max_jump_days)
            self.report_clock()
            self.check_clock()
        return self.today()


async def create_or_load_books(
    settings: Settings,
    database: Database,
    *,
    clock: Callable[[], datetime] = system_clock,
    adopt: bool = False,
) -> Books:
    """Return the books of a database. The first start stores the fixed settings; later ones compare them.

    adopt: store these settings in place of others. The ledger must be rebuilt afterwards; until `finish_rebuilding`, a
    start without `adopt` fails. Raises Conflict when the settings differ from the stored ones, or when they cannot be adopted.
    """
    fixed_settings: dict[str, Any] = {name: getattr(settings, name) for name in _FIXED_SETTINGS}

    async def store_or_load(connection: Connection) -> dict[str, Any]:
        new = {"opened_at": clock(), "posted_by": POSTING_VERSION}
        first = insert(tables.books).values(**fixed_settings, **new).on_conflict_do_nothing()
        await connection.execute(first)
        [row] = await connection.execute(sa.select(tables.books))
        if adopt:
            await _adopt(connection, fixed_settings, row.base_currency)
            return fixed_settings
        if row.adopting:
            raise Conflict(
                "The ledger has not been completely rebuilt with the new settings. Run `csmetrics rebuild "
                "--adopt-settings` again.",
                code="adopting",
            )
        if row.posted_by < POSTING_VERSION:
            log.warning("some metrics do not cover events of earlier versions yet: run `csmetrics rebuild`")
        return {name: getattr(row, name) for name in fixed_settings}

    last_day = LastDay()
    _check_settings(fixed_settings, await database.write(store_or_load))
    await load_last_day(database, last_day)
    calendar = Calendar(
        zone=ZoneInfo(settings.reporting_timezone),
        fiscal_year_start=settings.fiscal_year_start,
        week_start=settings.week_start,
    )
    return Books(
        database,
        calendar,
        settings.base_currency,
        clock,
        last_day=last_day,
        max_jump_days=settings.max_clock_jump_days,
        public_url=settings.public_url or "",
        webhook_event_days=settings.webhook_event_days,
    )


def _check_settings(fixed_settings: dict[str, Any], stored_values: dict[str, Any]) -> None:
    """Raise Conflict unless the settings of this start equal those of the first."""
    differences = {name: stored_values[name] for name in fixed_settings if stored_values[name] != fixed_settings[name]}
    if not differences:
        return
    both = "; ".join(
        f"{name.upper()} is {value!r}, not {fixed_settings[name]!r}" for name, value in differences.items()
    )
    stored_settings = " ".join(f"{name.upper()}={value}" for name, value in differences.items())
    advice = [f"To use the database as it is, set {stored_settings}."]
    if differences.keys() - {"base_currency"}:
        advice.append(
            "To change time zone, fiscal year or first day of the week for all of history, run `csmetrics rebuild "
            "--adopt-settings`."
        )
    if "base_currency" in differences:
        advice.append(
            "The currency can be changed with `csmetrics rebuild --adopt-settings` as long as no amounts are stored. With "
            "amounts, set up another database and send the events again, or delete everything here with `csmetrics reset`."
        )
    raise Conflict(f"This database was set up with other settings: {both}. {' '.join(advice)}", code="other_settings")


async def _adopt(connection: Connection, fixed_settings: dict[str, Any], currency: str) -> None:
    """Store other settings and mark the ledger as not rebuilt yet. currency: the stored base currency."""
    if await count_other_processes(connection):
        raise Conflict("Stop the service first: it would continue to post with its old settings.", code="in_use")
    event = tables.event
    has_money = event.c.data.has_any(sa.literal(["amount", "mrr"], sa.ARRAY(sa.Text)))
    if fixed_settings["base_currency"] != currency:
        rates = sa.exists(sa.select(1).select_from(tables.exchange_rate))
        money = sa.exists(sa.select(1).select_from(event).where(has_money))
        if await connection.scalar(sa.select(sa.or_(rates, money))):
            raise Conflict(
                f"Amounts or exchange rates are stored in {currency}, so the base currency cannot change. Set up another "
                "database and send the events again, or delete everything here with `csmetrics reset`.",
                code="other_currency",
            )
    await connection.execute(sa.update(tables.books).values(**fixed_settings, adopting=True))


async def count_other_processes(connection: Connection) -> int:
    """Return the number of other connections of this software to the database.

    Those of a process that has just ended stay for a moment, so it waits for their end for up to 2 seconds.
    """
    query = sa.text(
        "SELECT count(*), pg_stat_clear_snapshot() FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = :name AND pid <> pg_backend_pid()"
    )
    deadline = monotonic() + _END_SECONDS
    bound_query = query.bindparams(name=APPLICATION_NAME)
    while (count := int(await connection.scalar(bound_query))) and monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return count


async def finish_rebuilding(database: Database) -> None:
    """Note that all entries have been posted by the current rules and settings, and the first day of the stored events."""

    async def finish(connection: Connection) -> None:
        first_day = sa.select(sa.func.min(tables.event.c.recorded_on)).scalar_subquery()
        latest = sa.select(sa.func.max(tables.account.c.last_recorded_on)).scalar_subquery()
        # Of accounts whose last events were imported with days of their own, this is an earlier day.
        last_day = sa.func.greatest(tables.books.c.last_day, sa.func.nullif(latest, tables.MIN_DATE))
        days = {"first_recorded_on": first_day, "last_day": last_day}
        state = {"adopting": False, "posted_by": POSTING_VERSION, **days}
        await connection.execute(sa.update(tables.books).values(state))

    await database.write(finish)
