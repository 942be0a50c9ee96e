"""Stored segments: a name and a filter, with the day from which they say so."""

from collections.abc import Mapping, Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.filters import Filter, parse
from app.store.books import Books
from app.store.tables import segment


async def put(books: Books, *, name: str, filter: Filter | None) -> bool:
    """Define a segment from today on, or with None end it; False when it is so already."""
    if (await on(books, None)).get(name) == filter:
        return False
    text = filter.text if filter else None
    statement = insert(segment).values(name=name, recorded_on=books.today(), filter=text)

    async def write(connection: AsyncConnection) -> None:
        same_day = statement.on_conflict_do_update(index_elements=["name", "recorded_on"], set_={"filter": text})
        await connection.execute(same_day)

    await books.database.write(write)
    return True


async def on(books: Books, day: date | None, *, named: Sequence[str] = ()) -> Mapping[str, Filter]:
    """The segments as they were on `day` (None: as they are).

    Those that are `named` also before their first definition: they have that one then. The others were not there, and
    do not appear in an answer that was given without them.
    """

    async def find(connection: AsyncConnection) -> dict[str, str | None]:
        query = sa.select(segment.c.name, segment.c.filter).ext(distinct_on(segment.c.name))
        if day is None:
            query = query.order_by(segment.c.name, segment.c.recorded_on.desc())
        else:
            known = segment.c.recorded_on <= day
            # The last one known on that day, or else the first one after it.
            latest = sa.case((known, sa.literal(day) - segment.c.recorded_on), else_=segment.c.recorded_on - day)
            query = query.where(known | segment.c.name.in_(named)).order_by(segment.c.name, known.desc(), latest)
        return dict((await connection.execute(query)).all())

    found = await books.database.read(find)
    return {name: parse(text) for name, text in found.items() if text is not None}
