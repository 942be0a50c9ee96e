"""The proof of the books: all that is derived from the kept events, computed again and compared."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.accounts.attributes import load_updates
from app.accounts.history import derive_history
from app.accounts.intervals import VersionedInterval, pair_with_value_types
from app.books.books import Books
from app.database import tables
from app.database.connection import Connection
from app.database.tables import MONTH_COLUMNS, account, attribute, entry, event, grand_total, label, total
from app.ledger.days import PresenceKey, PresenceRow, canonical_rows
from app.ledger.entries import EntryKey
from app.ledger.measures import MEASURES
from app.ledger.presence import join_months
from app.ledger.rebuild import SUMS, AccountBatch, Executor, Progress, account_batches, in_process, months_of
from app.ledger.replay import ReplayResult, replay


class Difference(NamedTuple):
    """A place where the books are not what the events make them. `kept` and `computed` may be values or sets of rows."""

    account: str
    what: str
    kept: Any
    computed: Any


class _Names(dict[int, str]):
    """Words by their numbers; also of numbers that no word has, which would be the worst of differences."""

    def __missing__(self, number: int) -> str:
        return f"number {number}"


async def verify(books: Books, *, share: Executor = in_process) -> AsyncIterator[Progress | Difference]:
    """Compare all that is derived with what the events make of it; yields progress and every difference."""
    async for progress, differences in share(books, compare, account_batches(books)):
        for difference in differences:
            yield difference
        yield progress
    for work in (_strays, grand_differences):
        for difference in await books.database.read(work):
            yield difference


async def compare(books: Books, ids: AccountBatch) -> tuple[Progress, list[Difference]]:
    """Compare all that is derived of these accounts."""

    async def compared(connection: Connection) -> tuple[Progress, list[Difference]]:
        made = await replay(connection, list(ids), books=books)
        words = dict(await connection.execute(sa.select(label.c.key, label.c.text)))
        names = _Names(words)
        differences = [
            *await _entry_differences(connection, ids, made.entries, names),
            *await _total_differences(connection, ids, made.entries, names),
            *await _presence_differences(connection, ids, made, names),
            *await _spell_differences(connection, ids, made),
            *_stream_differences(ids, made),
            *await _attribute_differences(connection, ids, books=books),
        ]
        return Progress(len(ids), made.events), differences

    return await books.database.read(compared)


async def _strays(connection: Connection) -> list[Difference]:
    """Rows whose account is not in the books: they count, but no account's turn comes to them."""
    differences = []
    for table in (event, entry, total, attribute, tables.presence, tables.registration):
        in_the_books = sa.exists().where(account.c.account_id == table.c.account_id)
        strays = sa.select(table.c.account_id, sa.func.count()).where(~in_the_books).group_by(table.c.account_id)
        for number, rows in await connection.execute(strays.order_by(table.c.account_id)):
            differences.append(Difference(f"number {number}", f"rows of {table.name} without an account", rows, 0))
    return differences


async def grand_differences(connection: Connection) -> list[Difference]:
    """Where the totals of all accounts together are not the sums of those of each."""
    names = _Names(await connection.execute(sa.select(label.c.key, label.c.text)))
    kept, computed = [await months_of(connection, query) for query in (sa.select(grand_total), SUMS)]
    nothing = (0,) * len(MONTH_COLUMNS)
    differences = []
    for found in sorted(kept.keys() | computed.keys()):
        (measure, year, *of), one, other = found, kept.get(found, nothing), computed.get(found, nothing)
        if one != other:
            what = f"totals of {' '.join(names[word] for word in (measure, *of))} in {year}"
            differences.append(Difference("all accounts", what, one, other))
    return differences


async def _entry_differences(
    connection: Connection, ids: dict[int, str], computed: dict[EntryKey, int], names: dict[int, str]
) -> list[Difference]:
    columns = [entry.c[name] for name in EntryKey._fields]
    rows = await connection.execute(sa.select(*columns, entry.c.value).where(entry.c.account_id.in_(list(ids))))
    kept = {}
    for *place, value in rows:
        measure, on, account_id, subject, channel, recorded_on = place
        kept[EntryKey(names[measure], on, account_id, names[subject], names[channel], recorded_on)] = value
    return [
        Difference(
            ids[place.account_id],
            f"entry of {place.measure} {place.subject} {place.channel} on {place.effective_on}, "
            f"recorded on {place.recorded_on}",
            kept.get(place, 0),
            computed.get(place, 0),
        )
        for place in sorted(p for p in kept.keys() | computed.keys() if kept.get(p, 0) != computed.get(p, 0))
    ]


async def _total_differences(
    connection: Connection, ids: dict[int, str], computed: dict[EntryKey, int], names: dict[int, str]
) -> list[Difference]:
    wanted: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 12)
    for place, value in computed.items():
        if not MEASURES[place.measure].by_month:
            continue
        year = (place.account_id, place.measure, place.subject, place.channel, place.effective_on.year)
        last = 12 if MEASURES[place.measure].stock else place.effective_on.month
        for month in range(place.effective_on.month - 1, last):
            wanted[year][month] += value
    columns: list[Any] = [total.c[name] for name in ("account_id", "measure", "subject", "channel", "year")]
    rows = await connection.execute(sa.select(*columns, *MONTH_COLUMNS).where(total.c.account_id.in_(list(ids))))
    kept = {(row[0], *(names[word] for word in row[1:4]), row[4]): list(row[5:]) for row in rows}
    nothing = [0] * 12
    return [
        Difference(
            ids[year[0]],
            f"totals of {year[1]} {year[2]} {year[3]} in {year[4]}",
            kept.get(year, nothing),
            wanted.get(year, nothing),
        )
        for year in sorted(y for y in kept.keys() | wanted.keys() if kept.get(y, nothing) != wanted.get(y, nothing))
    ]


async def _attribute_differences(connection: Connection, ids: dict[int, str], *, books: Books) -> list[Difference]:
    kept: dict[tuple[int, str], list[VersionedInterval]] = defaultdict(list)
    columns = [attribute.c[name] for name in VersionedInterval._fields]
    query = sa.select(attribute.c.account_id, attribute.c.key, *columns).where(attribute.c.account_id.in_(list(ids)))
    for row in await connection.execute(query):
        kept[row.account_id, row.key].append(VersionedInterval(*row[2:]))
    computed: dict[tuple[int, str], list[VersionedInterval]] = {}
    for account_id, updates in (await load_updates(connection, list(ids))).items():
        for key, intervals in derive_history(updates, calendar=books.calendar).items():
            computed[account_id, key] = intervals

    def ordered(rows: list[VersionedInterval]) -> list[VersionedInterval]:
        return sorted(rows, key=lambda row: (row.recorded_on, row.valid_from))

    return [
        Difference(ids[place[0]], f"attribute {place[1]}", ordered(kept[place]), ordered(computed.get(place, [])))
        for place in sorted(kept.keys() | computed.keys())
        if pair_with_value_types(ordered(kept[place])) != pair_with_value_types(ordered(computed.get(place, [])))
    ]


async def _presence_differences(
    connection: Connection, ids: dict[int, str], made: ReplayResult, names: dict[int, str]
) -> list[Difference]:
    kept: dict[tuple[PresenceKey, int], list[PresenceRow]] = defaultdict(list)
    query = sa.select(tables.presence).where(tables.presence.c.account_id.in_(list(ids)))
    for at, subject, account_id, user, year, recorded_on, ceased_on, *months in await connection.execute(query):
        key = PresenceKey(names[at], names[subject], account_id, user)
        kept[key, year].append(PresenceRow(year, join_months(year, months), recorded_on, ceased_on))
    computed: dict[tuple[PresenceKey, int], list[PresenceRow]] = defaultdict(list)
    for key, rows in made.presence.items():
        for row in rows:
            computed[key, row.year].append(row)
    return [
        Difference(ids[key.account_id], f"{key.presence} {key.subject} in {year}", kept[key, year], computed[key, year])
        for key, year in sorted(kept.keys() | computed.keys())
        if canonical_rows(kept[key, year]) != canonical_rows(computed[key, year])
    ]


async def _spell_differences(connection: Connection, ids: dict[int, str], made: ReplayResult) -> list[Difference]:
    kept: dict[tuple[int, int], list[VersionedInterval]] = defaultdict(list)
    query = sa.select(tables.registration).where(tables.registration.c.account_id.in_(list(ids)))
    for row in await connection.execute(query):
        kept[row.account_id, row.user_key].append(
            VersionedInterval(row.since, row.until, True, row.recorded_on, row.ceased_on)
        )
    computed = {(user.account_id, user.key): rows for user, rows in made.spells.items()}
    users = {(user.account_id, user.key): user.user_id for user in made.spells}
    return [
        Difference(ids[place[0]], f"registration of {users.get(place, place[1])}", kept[place], computed.get(place, []))
        for place in sorted(kept.keys() | computed.keys())
        if sorted(kept[place]) != sorted(computed.get(place, []))
    ]


def _stream_differences(ids: dict[int, str], made: ReplayResult) -> Iterable[Difference]:
    for (account_id, id), stream in made.streams.items():
        yield Difference(ids[account_id], f"stream of the event {id}", "another", stream)
