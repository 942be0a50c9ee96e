"""Segments: stored filters with a name, each with the day from which it is defined so."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on, insert

from app.accounts.filters import Filter, parse_filter
from app.books.books import Books
from app.core.names import Fault, name_fault, nearest_names
from app.database.connection import Connection
from app.database.tables import MIN_DATE, segment


async def put_segment(books: Books, *, name: str, filter: Filter | None) -> bool:
    """Define a segment from today on, or end it with None. Return False when there is no segment to end.

    The first definition is stored twice: from today on, where a later one of the same day replaces it, and for all days
    before, where it stays.
    """

    async def write(connection: Connection, today: date) -> bool:
        texts = await _load_texts(connection, day=None, names=[name])
        if filter is None and texts.get(name) is None:
            return False
        text = filter.text if filter else None
        for_earlier_days = insert(segment).values(name=name, recorded_on=MIN_DATE, filter=text)
        await connection.execute(for_earlier_days.on_conflict_do_nothing())
        from_today = insert(segment).values(name=name, recorded_on=today, filter=text)
        upsert = from_today.on_conflict_do_update(index_elements=["name", "recorded_on"], set_={"filter": text})
        await connection.execute(upsert)
        return True

    return await books.write(write)


async def load_segments(
    books: Books, day: date | None, *, names: Collection[str] | None = None
) -> Mapping[str, Filter]:
    """Load segments by name, as they were defined on `day` (None: as they are now).

    names: load these segments. One that was first defined after `day` has its first definition. Without names, load all
    segments that were defined on that day; an answer that was computed then did not contain later ones.
    """
    texts = await books.database.ask(lambda connection: _load_texts(connection, day=day, names=names))
    return {name: _parse_stored(text) for name, text in texts.items() if text is not None}


async def _load_texts(
    connection: Connection, *, day: date | None, names: Collection[str] | None
) -> dict[str, str | None]:
    """Load the latest definition of each segment up to `day`; None for a segment that has ended."""
    query = sa.select(segment.c.name, segment.c.filter).ext(distinct_on(segment.c.name))
    query = query.order_by(segment.c.name, segment.c.recorded_on.desc())
    if day is not None:
        query = query.where(segment.c.recorded_on <= day)
    is_included = segment.c.recorded_on > MIN_DATE if names is None else segment.c.name.in_(list(names))
    return dict(await connection.execute(query.where(is_included)))


class SegmentHistory:
    """The definitions of segments on all days, for answers that are as of several. rows: name, day and filter, by day."""

    def __init__(self, rows: Sequence[tuple[str, date, str | None]]) -> None:
        self._rows = rows

    def on(self, name: str, day: date | None) -> Filter | None:
        """Return a segment as it was defined on a day (None: as it is now), as `load_segments` with names does."""
        texts = [text for own, since, text in self._rows if own == name and (day is None or since <= day)]
        return _parse_stored(texts[-1]) if texts and texts[-1] is not None else None

    def current_names(self) -> list[str]:
        """Return the names of the segments that exist now."""
        return sorted({name for name, _, _ in self._rows if self.on(name, None) is not None})


async def load_segment_history(connection: Connection, names: Collection[str] | None) -> SegmentHistory:
    """Load all definitions of segments, or of those with these names."""
    query = sa.select(segment.c.name, segment.c.recorded_on, segment.c.filter).order_by(segment.c.recorded_on)
    if names is not None:
        query = query.where(segment.c.name.in_(list(names)))
    return SegmentHistory([tuple(row) for row in await connection.execute(query)])


def unknown_segment(name: str, existing: Collection[str], pointer: str) -> Fault:
    """Return the fault of a segment that does not exist. existing: the names of those that do."""
    nearest, advice = nearest_names(name, existing), "GET /v1/segments lists all segments."
    return name_fault(pointer, "Unknown segment{}.", name, nearest, code="unknown_segment", advice=advice)


@lru_cache(maxsize=1_024)
def _parse_stored(text: str) -> Filter:
    return parse_filter(text)
