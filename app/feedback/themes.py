"""What comments are about: their tags and frequent words, by class, with the change against the period before."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from app.books.books import Books
from app.core.periods import FIRST_DAY, Calendar, start_of_previous_range
from app.database.connection import Connection
from app.feedback.comments import Wanted, comments

_DAY = timedelta(days=1)
# The kinds of PostgreSQL's default parser that are words or parts of hyphenated ones: no numbers, addresses or paths.
_WORDS = (1, 2, 10, 11)
# One that a single person used is no theme.
_LEAST = 2


async def themes(books: Books, wanted: Wanted, *, start: date, end: date, limit: int) -> dict[str, Any]:
    """Of the comments of `[start, end)`: how many of each class, and its `limit` most frequent tags and words.

    A row: `{"class", "tag" or "word", "comments", "share", "previous", "change"}`; share: per hundred comments of the class.
    Words are counted by their English stems, stop words left out, and shown as they were mostly written.
    """
    today = books.today()
    first, last = _previous(start, end, today=today)
    said = _said(wanted, first, last, start, end, calendar=books.calendar, today=today)
    tag = sa.func.jsonb_array_elements_text(said.c.tags).column_valued("tag", joins_implicitly=True)
    token = sa.func.ts_parse(sa.literal_column("'default'"), said.c.comment).table_valued(
        sa.column("tokid", sa.Integer), sa.column("token", sa.Text), name="token", joins_implicitly=True
    )
    word = sa.func.lower(token.c.token)
    stem = sa.func.ts_lexize(sa.literal_column("'english_stem'"), word, type_=sa.ARRAY(sa.Text))[1]
    words = sa.and_(token.c.tokid.in_(_WORDS), stem.is_not(None))
    queries = {
        "classes": _counted(said),
        "tags": _most(_counted(said, tag), tag, limit=limit, least=1),
        "words": _most(_counted(said, stem).where(words), word, limit=limit, least=_LEAST),
    }

    async def count(connection: Connection) -> dict[str, Sequence[Any]]:
        return {name: await connection.execute(query) for name, query in queries.items()}

    found = await books.database.read(count)
    by_class = {row.kind: row.comments for row in found["classes"]}
    return {
        "period": {"start": start, "end": end, "complete": end <= today},
        "previous": {"start": first, "end": last},
        "classes": [{"class": row.kind} | _change(row) for row in sorted(found["classes"], key=_by_frequency)],
        "tags": [_row(row, "tag", by_class) for row in found["tags"]],
        "words": [_row(row, "word", by_class) for row in found["words"]],
    }


def _previous(start: date, end: date, *, today: date) -> tuple[date, date]:
    """The period before, from 1970 on: as long, and as much of it as has passed of this one."""
    first = start_of_previous_range(start, end) or FIRST_DAY
    passed = max(min(end, today + _DAY) - start, timedelta(0))
    return first, start if end <= today + _DAY else min(first + passed, start)


def _said(
    wanted: Wanted, first: date, last: date, start: date, end: date, *, calendar: Calendar, today: date
) -> sa.CTE:
    """The comments of both periods, numbered; `now`: of the later one."""
    both = comments(replace(wanted, start=first, end=end), calendar=calendar, today=today).subquery()
    now = both.c.occurred_at >= calendar.midnight(start)
    columns = both.c.kind, both.c.tags, both.c.comment, now.label("now")
    query = sa.select(*columns, sa.func.row_number().over().label("number"))
    return query.where(sa.or_(now, both.c.occurred_at < calendar.midnight(last))).cte("said")


def _counted(said: sa.CTE, *key: Any) -> sa.Select[Any]:
    """In how many comments of each class something is said, now and before."""
    number = sa.func.count(said.c.number.distinct())
    return sa.select(
        said.c.kind,
        number.filter(said.c.now).label("comments"),
        number.filter(~said.c.now).label("previous"),
    ).group_by(said.c.kind, *key)


def _most(counted: sa.Select[Any], text: Any, *, limit: int, least: int) -> sa.Select[Any]:
    """The most frequent of each class, as `text` mostly is."""
    every = counted.add_columns(sa.func.mode().within_group(text).label("text")).subquery()
    order = every.c.comments.desc(), every.c.previous.desc(), sa.collate(every.c.text, "C")
    rank = sa.func.row_number().over(partition_by=every.c.kind, order_by=order).label("rank")
    ranked = sa.select(every, rank).where(every.c.comments + every.c.previous >= least).subquery()
    columns = ranked.c.kind, ranked.c.text, ranked.c.comments, ranked.c.previous
    most_first = ranked.c.comments.desc(), ranked.c.previous.desc(), ranked.c.kind, sa.collate(ranked.c.text, "C")
    return sa.select(*columns).where(ranked.c.rank <= limit).order_by(*most_first)


def _by_frequency(row: Any) -> tuple[int, int, str]:
    return -row.comments, -row.previous, row.kind or ""


def _row(row: Any, name: str, by_class: dict[str | None, int]) -> dict[str, Any]:
    whole = by_class[row.kind]
    share = round(100 * row.comments / whole, 6) if whole else None
    return {"class": row.kind, name: row.text, "share": share} | _change(row)


def _change(row: Any) -> dict[str, int]:
    return {"comments": row.comments, "previous": row.previous, "change": row.comments - row.previous}
