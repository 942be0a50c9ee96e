"""Stored segments: a name and a filter, with the day from which they say so."""

from collections.abc import Collection, Mapping
from datetime import date
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on, insert

from app.accounts.filters import Filter, parse_filter
from app.books.books import Books
from app.database.connection import Connection
from app.database.tables import MIN_DATE, segment


async def put_segment(books: Books, *, name: str, filter: Filter | None) -> bool:
    """Define a segment from today on, or with None end it; False when there is none to end.

    Its first definition holds for all days before it too, and stays there when it is put again on the same day.
    """

    async def write(connection: Connection, today: date) -> bool:
        texts = await _texts(connection, day=None, names=[name])
        if filter is None and texts.get(name) is None:
            return False
        text = filter.text if filter else None
        first = insert(segment).values(name=name, recorded_on=MIN_DATE, filter=text).on_conflict_do_nothing()
        await connection.execute(first)
        now = insert(segment).values(name=name, recorded_on=today, filter=text)
        same_day = now.on_conflict_do_update(index_elements=["name", "recorded_on"], set_={"filter": text})
        await connection.execute(same_day)
        return True

    return await books.write(write)


async def load_segments(
    books: Books, day: date | None, *, names: Collection[str] | None = None
) -> Mapping[str, Filter]:
    """The segments, or those with these names, as they were on `day` (None: as they are).

    Those that are named also before their first definition: they have that one then. The others were not there, and do
    not appear in an answer that was given without them.
    """
    found = await books.database.read(lambda connection: _texts(connection, day=day, names=names))
    return {name: _parsed(text) for name, text in found.items() if text is not None}


async def _texts(connection: Connection, *, day: date | None, names: Collection[str] | None) -> dict[str, str | None]:
    query = sa.select(segment.c.name, segment.c.filter).ext(distinct_on(segment.c.name))
    query = query.order_by(segment.c.name, segment.c.recorded_on.desc())
    if day is not None:
        query = query.where(segment.c.recorded_on <= day)
    chosen = segment.c.recorded_on > MIN_DATE if names is None else segment.c.name.in_(list(names))
    return dict(await connection.execute(query.where(chosen)))


@lru_cache(maxsize=1_024)
def _parsed(text: str) -> Filter:
    return parse_filter(text)
