"""The proof of the ledger: everything in it, computed again from the kept events.

`rebuild` writes what comes out, `verify` only compares. Both go through the accounts in the order of their keys, some at a
time, so that the service can go on meanwhile: answers are right before, between and after.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts import book
from app.accounts.history import Interval, exact, history
from app.ledger import surveys
from app.ledger.measures import Fact, lines_of
from app.ledger.post import Place, enter, post
from app.store.books import Books, finish_adopting
from app.store.database import keys_within
from app.store.tables import BEGINNING, MONTHS, account, attribute, entry, event, label, total

_ACCOUNTS_AT_A_TIME = 100


class Progress(NamedTuple):
    accounts: int
    events: int


class Difference(NamedTuple):
    """A place where the books are not what the events make them. `kept` and `computed` may be values or sets of rows."""

    account: str
    what: str
    kept: Any
    computed: Any


async def rebuild(books: Books) -> AsyncIterator[Progress]:
    """Write entries, totals and attributes again from the events; yields how far it has come."""
    async for ids in _accounts(books):

        async def write(connection: AsyncConnection, ids: dict[int, str] = ids) -> int:
            await book.touch(connection, {key: (id, BEGINNING) for key, id in ids.items()})
            entries, events = await _computed(connection, list(ids), books=books)
            words = {word for place in entries for word in (place.measure, place.subject, place.channel)}
            labels = await keys_within(connection, words)
            for table in (entry, total):
                await connection.execute(sa.delete(table).where(table.c.account_id.in_(list(ids))))
            await post(connection, entries, labels=labels)
            await book.rewrite(connection, list(ids), calendar=books.calendar)
            return events

        yield Progress(len(ids), await books.database.write(write))
    await finish_adopting(books.database)


async def verify(books: Books) -> AsyncIterator[Progress | Difference]:
    """Compare entries, totals and attributes with what the events make them; yields progress and every difference."""
    async for ids in _accounts(books):

        async def compare(connection: AsyncConnection, ids: dict[int, str] = ids) -> tuple[int, list[Difference]]:
            entries, events = await _computed(connection, list(ids), books=books)
            names = dict((await connection.execute(sa.select(label.c.key, label.c.text))).all())
            differences = [
                *await _entry_differences(connection, ids, entries, names),
                *await _total_differences(connection, ids, entries, names),
                *await _attribute_differences(connection, ids, books=books),
            ]
            return events, differences

        events, differences = await books.database.read(compare)
        for difference in differences:
            yield difference
        yield Progress(len(ids), events)
    for difference in await books.database.read(_strays):
        yield difference


async def _accounts(books: Books) -> AsyncIterator[dict[int, str]]:
    last = None
    while True:
        query = sa.select(account.c.account_id, account.c.id).order_by(account.c.account_id).limit(_ACCOUNTS_AT_A_TIME)
        if last is not None:
            query = query.where(account.c.account_id > last)

        async def some(connection: AsyncConnection, query: sa.Select[Any] = query) -> dict[int, str]:
            return dict((await connection.execute(query)).all())

        ids = await books.database.read(some)
        if not ids:
            return
        yield ids
        last = max(ids)


async def _computed(connection: AsyncConnection, ids: Sequence[int], *, books: Books) -> tuple[dict[Place, int], int]:
    """What the events of these accounts post, arrivals and retractions on their days; and how many events there are."""
    known = await surveys.find(connection)
    entries: dict[Place, int] = {}
    count = 0
    query = sa.select(event).where(event.c.account_id.in_(ids)).execution_options(yield_per=5_000)
    async with connection.stream(query) as events:
        async for row in events:
            count += 1
            survey = known.get(row.data["survey"]) if "survey" in row.data else None
            lines = lines_of(Fact(row.type, row.user_id, row.data, survey))
            on = books.calendar.day(row.occurred_at)
            enter(entries, lines, on=on, account_id=row.account_id, recorded_on=row.recorded_on)
            if row.retracted_on is not None:
                enter(entries, lines, on=on, account_id=row.account_id, recorded_on=row.retracted_on, sign=-1)
    return entries, count


async def _strays(connection: AsyncConnection) -> list[Difference]:
    """Rows whose account is not in the books: they count, but no account's turn comes to them."""
    differences = []
    for table in (event, entry, total, attribute):
        in_the_books = sa.exists().where(account.c.account_id == table.c.account_id)
        strays = sa.select(table.c.account_id, sa.func.count()).where(~in_the_books).group_by(table.c.account_id)
        for number, rows in await connection.execute(strays.order_by(table.c.account_id)):
            differences.append(Difference(f"number {number}", f"rows of {table.name} without an account", rows, 0))
    return differences


async def _entry_differences(
    connection: AsyncConnection, ids: dict[int, str], computed: dict[Place, int], names: dict[int, str]
) -> list[Difference]:
    columns = [entry.c[name] for name in Place._fields]
    rows = await connection.execute(sa.select(*columns, entry.c.value).where(entry.c.account_id.in_(list(ids))))
    kept = {}
    for *place, value in rows:
        measure, on, account_id, subject, channel, recorded_on = place
        kept[Place(names[measure], on, account_id, names[subject], names[channel], recorded_on)] = value
    return [
        Difference(
            ids[place.account_id],
            f"entry of {place.measure} {place.subject} {place.channel} on {place.effective_on}, "
            f"recorded on {place.recorded_on}",
            kept.get(place, 0),
            computed.get(place, 0),
        )
        for place in sorted(kept.keys() | computed.keys())
        if kept.get(place, 0) != computed.get(place, 0)
    ]


async def _total_differences(
    connection: AsyncConnection, ids: dict[int, str], computed: dict[Place, int], names: dict[int, str]
) -> list[Difference]:
    wanted: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 12)
    for place, value in computed.items():
        year = (place.account_id, place.measure, place.subject, place.channel, place.effective_on.year)
        wanted[year][place.effective_on.month - 1] += value
    columns: list[Any] = [total.c[name] for name in ("account_id", "measure", "subject", "channel", "year")]
    rows = await connection.execute(sa.select(*columns, *MONTHS).where(total.c.account_id.in_(list(ids))))
    kept = {(row[0], *(names[word] for word in row[1:4]), row[4]): list(row[5:]) for row in rows}
    nothing = [0] * 12
    return [
        Difference(
            ids[year[0]],
            f"totals of {year[1]} {year[2]} {year[3]} in {year[4]}",
            kept.get(year, nothing),
            wanted.get(year, nothing),
        )
        for year in sorted(kept.keys() | wanted.keys())
        if kept.get(year, nothing) != wanted.get(year, nothing)
    ]


async def _attribute_differences(connection: AsyncConnection, ids: dict[int, str], *, books: Books) -> list[Difference]:
    kept: dict[tuple[int, str], list[Interval]] = defaultdict(list)
    columns = [attribute.c[name] for name in Interval._fields]
    query = sa.select(attribute.c.account_id, attribute.c.key, *columns).where(attribute.c.account_id.in_(list(ids)))
    for row in await connection.execute(query):
        kept[row.account_id, row.key].append(Interval(*row[2:]))
    computed: dict[tuple[int, str], list[Interval]] = {}
    for account_id, updates in (await book.updates_of(connection, list(ids))).items():
        for key, intervals in history(updates, calendar=books.calendar).items():
            computed[account_id, key] = intervals

    def ordered(rows: list[Interval]) -> list[Interval]:
        return sorted(rows, key=lambda row: (row.recorded_on, row.valid_from))

    return [
        Difference(ids[place[0]], f"attribute {place[1]}", ordered(kept[place]), ordered(computed.get(place, [])))
        for place in sorted(kept.keys() | computed.keys())
        if exact(ordered(kept[place])) != exact(ordered(computed.get(place, [])))
    ]
