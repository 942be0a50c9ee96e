"""Verify: compute everything that is derived from the stored events again, and compare it with what is stored."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from operator import eq
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from app.accounts.attributes import load_updates
from app.accounts.history import derive_history
from app.accounts.intervals import VersionedInterval, pair_with_value_types
from app.books.books import Books
from app.database.connection import Connection
from app.database.tables import (
    MIN_DATE,
    MONTH_COLUMNS,
    account,
    attribute,
    entry,
    event,
    label,
    presence,
    registration,
    total,
)
from app.database.tables import books as books_table
from app.ledger.batches import AccountBatch, Executor, Progress, account_batches, in_process
from app.ledger.entries import EntryKey
from app.ledger.grand_totals import NO_MONTHS, load_grand_totals, sum_totals
from app.ledger.measures import MEASURES
from app.ledger.presence.canonical import canonical_rows
from app.ledger.presence.changes import PresenceRow
from app.ledger.presence.keys import PresenceKey
from app.ledger.presence.rows import join_months
from app.ledger.replay import ReplayResult, replay


class Difference(NamedTuple):
    """An item of an account that is not stored as the events say. `stored` and `computed` are values or lists of rows."""

    account: str
    item: str
    stored: Any
    computed: Any


class _Texts(dict[int, str]):
    """Texts by label. A label that stands for no text is a difference too, so it gets a name."""

    def __missing__(self, key: int) -> str:
        return f"number {key}"


async def verify(books: Books, *, executor: Executor = in_process) -> AsyncIterator[Progress | Difference]:
    """Compare everything that is derived from the events. Yields every difference, and the progress of each batch."""
    async for progress, differences in executor(books, verify_accounts, account_batches(books)):
        for difference in differences:
            yield difference
        yield progress
    for check in (_find_rows_without_account, compare_grand_totals, _compare_first_day, _compare_last_day):
        for difference in await books.database.read(check):
            yield difference


async def verify_accounts(books: Books, batch: AccountBatch) -> tuple[Progress, list[Difference]]:
    """Compare everything that is derived from the events of these accounts."""

    async def compare(connection: Connection) -> tuple[Progress, list[Difference]]:
        result = await replay(connection, list(batch), books=books)
        texts = _Texts(await connection.execute(sa.select(label.c.key, label.c.text)))
        differences = [
            *await _compare_entries(connection, batch, result, texts),
            *await _compare_totals(connection, batch, result, texts),
            *await _compare_presence(connection, batch, result, texts),
            *await _compare_registrations(connection, batch, result),
            *_compare_streams(batch, result),
            *await _compare_attributes(connection, batch, books=books),
        ]
        return Progress(len(batch), result.event_count), differences

    return await books.database.read(compare)


async def _find_rows_without_account(connection: Connection) -> list[Difference]:
    """Find rows whose account does not exist: they count in answers, but no batch contains them."""
    differences = []
    for table in (event, entry, total, attribute, presence, registration):
        has_account = sa.exists().where(account.c.account_id == table.c.account_id)
        orphans = sa.select(table.c.account_id, sa.func.count()).where(~has_account).group_by(table.c.account_id)
        for account_id, rows in await connection.execute(orphans.order_by(table.c.account_id)):
            differences.append(Difference(f"number {account_id}", f"rows of {table.name} without an account", rows, 0))
    return differences


async def compare_grand_totals(connection: Connection) -> list[Difference]:
    """Compare the grand totals with the sums of the totals of all accounts."""
    texts = _Texts(await connection.execute(sa.select(label.c.key, label.c.text)))

    def describe(key: tuple[int, ...]) -> tuple[str, str]:
        measure, year, *labels = key
        return "all accounts", f"totals of {' '.join(texts[label] for label in (measure, *labels))} in {year}"

    return _compare(await load_grand_totals(connection), await sum_totals(connection), NO_MONTHS, describe)


async def _compare_first_day(connection: Connection) -> list[Difference]:
    """Compare the first day on which anything was recorded with that of the events."""
    stored = await connection.scalar(sa.select(books_table.c.first_recorded_on))
    computed = await connection.scalar(sa.select(sa.func.min(event.c.recorded_on)))
    return [] if stored == computed else [Difference("all accounts", "first recorded day", stored, computed)]


async def _compare_last_day(connection: Connection) -> list[Difference]:
    """Compare the last day of the books with those of the accounts: none may be later."""
    stored = await connection.scalar(sa.select(books_table.c.last_day))
    last_days = sa.select(sa.func.max(account.c.last_recorded_on)).where(account.c.last_recorded_on > MIN_DATE)
    latest = await connection.scalar(last_days)
    is_later = latest is not None and (stored is None or latest > stored)
    return [Difference("all accounts", "last day", stored, latest)] if is_later else []


K = TypeVar("K", bound=tuple[Any, ...])
V = TypeVar("V")


def _compare(
    stored: Mapping[K, V],
    computed: Mapping[K, V],
    default: V,
    describe: Callable[[K], tuple[str, str]],
    are_equal: Callable[[V, V], bool] = eq,
) -> list[Difference]:
    """Return the differences between two mappings, in the order of their keys. A key that is absent has the default.

    describe: returns the account and the item that a key stands for.
    """
    keys = [
        key
        for key in stored.keys() | computed.keys()
        if not are_equal(stored.get(key, default), computed.get(key, default))
    ]
    return [Difference(*describe(key), stored.get(key, default), computed.get(key, default)) for key in sorted(keys)]


async def _compare_entries(
    connection: Connection, batch: AccountBatch, result: ReplayResult, texts: Mapping[int, str]
) -> list[Difference]:
    def describe(key: EntryKey) -> tuple[str, str]:
        days = f"on {key.effective_on}, recorded on {key.recorded_on}"
        return batch[key.account_id], f"entry of {key.measure} {key.subject} {key.channel} {days}"

    columns = [entry.c[name] for name in EntryKey._fields]
    query = sa.select(*columns, entry.c.value).where(entry.c.account_id.in_(list(batch)))
    stored = {}
    for measure, on, account_id, subject, channel, recorded_on, value in await connection.execute(query):
        stored[EntryKey(texts[measure], on, account_id, texts[subject], texts[channel], recorded_on)] = value
    return _compare(stored, result.entries, 0, describe)


async def _compare_totals(
    connection: Connection, batch: AccountBatch, result: ReplayResult, texts: Mapping[int, str]
) -> list[Difference]:
    def describe(key: tuple[Any, ...]) -> tuple[str, str]:
        account_id, measure, subject, channel, year = key
        return batch[account_id], f"totals of {measure} {subject} {channel} in {year}"

    computed: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 12)
    for key, value in result.entries.items():
        measure, month = MEASURES[key.measure], key.effective_on.month
        if measure.by_month:
            months = computed[key.account_id, key.measure, key.subject, key.channel, key.effective_on.year]
            for number in range(month - 1, 12 if measure.stock else month):
                months[number] += value
    columns: list[Any] = [total.c[name] for name in ("account_id", "measure", "subject", "channel", "year")]
    query = sa.select(*columns, *MONTH_COLUMNS).where(total.c.account_id.in_(list(batch)))
    rows = await connection.execute(query)
    stored = {(row[0], *(texts[label] for label in row[1:4]), row[4]): list(row[5:]) for row in rows}
    return _compare(stored, computed, [0] * 12, describe)


async def _compare_presence(
    connection: Connection, batch: AccountBatch, result: ReplayResult, texts: Mapping[int, str]
) -> list[Difference]:
    def describe(key: tuple[PresenceKey, int]) -> tuple[str, str]:
        presence_key, year = key
        return batch[presence_key.account_id], f"{presence_key.presence} {presence_key.subject} in {year}"

    def are_equal(a: list[PresenceRow], b: list[PresenceRow]) -> bool:
        return canonical_rows(a) == canonical_rows(b)

    stored: dict[tuple[PresenceKey, int], list[PresenceRow]] = defaultdict(list)
    query = sa.select(presence).where(presence.c.account_id.in_(list(batch)))
    for name, subject, account_id, user, year, recorded_on, ceased_on, *months in await connection.execute(query):
        key = PresenceKey(texts[name], texts[subject], account_id, user)
        stored[key, year].append(PresenceRow(year, join_months(year, months), recorded_on, ceased_on))
    computed: dict[tuple[PresenceKey, int], list[PresenceRow]] = defaultdict(list)
    for key, rows in result.presence_rows.items():
        for row in rows:
            computed[key, row.year].append(row)
    return _compare(stored, computed, [], describe, are_equal)


async def _compare_registrations(connection: Connection, batch: AccountBatch, result: ReplayResult) -> list[Difference]:
    users = {(user.account_id, user.key): user.user_id for user in result.spells}

    def describe(key: tuple[int, int]) -> tuple[str, str]:
        account_id, user = key
        return batch[account_id], f"registration of {users.get(key, user)}"

    def are_equal(a: list[VersionedInterval], b: list[VersionedInterval]) -> bool:
        return sorted(a) == sorted(b)

    stored: dict[tuple[int, int], list[VersionedInterval]] = defaultdict(list)
    query = sa.select(registration).where(registration.c.account_id.in_(list(batch)))
    for row in await connection.execute(query):
        interval = VersionedInterval(row.since, row.until, True, row.recorded_on, row.ceased_on)
        stored[row.account_id, row.user_key].append(interval)
    computed = {(user.account_id, user.key): intervals for user, intervals in result.spells.items()}
    return _compare(stored, computed, [], describe, are_equal)


def _compare_streams(batch: AccountBatch, result: ReplayResult) -> list[Difference]:
    return [
        Difference(batch[account_id], f"stream of the event {id}", "another", stream)
        for (account_id, id), stream in result.stream_names.items()
    ]


async def _compare_attributes(connection: Connection, batch: AccountBatch, *, books: Books) -> list[Difference]:
    def describe(key: tuple[int, str]) -> tuple[str, str]:
        account_id, name = key
        return batch[account_id], f"attribute {name}"

    def are_equal(a: list[VersionedInterval], b: list[VersionedInterval]) -> bool:
        return pair_with_value_types(a) == pair_with_value_types(b)

    stored: dict[tuple[int, str], list[VersionedInterval]] = defaultdict(list)
    columns = [attribute.c[name] for name in VersionedInterval._fields]
    query = sa.select(attribute.c.account_id, attribute.c.key, *columns).where(attribute.c.account_id.in_(list(batch)))
    for row in await connection.execute(query):
        stored[row.account_id, row.key].append(VersionedInterval(*row[2:]))
    computed: dict[tuple[int, str], list[VersionedInterval]] = {}
    for account_id, updates in (await load_updates(connection, list(batch))).items():
        for name, intervals in derive_history(updates, calendar=books.calendar).items():
            computed[account_id, name] = intervals
    return _compare(_sort_intervals(stored), _sort_intervals(computed), [], describe, are_equal)


def _sort_intervals(
    intervals_by_key: Mapping[tuple[int, str], list[VersionedInterval]],
) -> dict[tuple[int, str], list[VersionedInterval]]:
    return {
        key: sorted(intervals, key=lambda interval: (interval.recorded_on, interval.valid_from))
        for key, intervals in intervals_by_key.items()
    }
