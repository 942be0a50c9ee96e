"""Count the tags and frequent words of comments by class, and compare them with the previous period."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import sqlalchemy as sa

from app.books.books import Books
from app.core.earlier_days import PREVIOUS_PERIOD, earlier_days_of_range
from app.core.periods import Calendar, Period
from app.database.connection import Connection
from app.feedback.comments import CommentFilter, select_comments
from app.http.openapi import list_schema, object_schema

# The token types of PostgreSQL's default parser that are words or parts of hyphenated words: no numbers, addresses or paths.
_WORD_TOKENS = (1, 2, 10, 11)
# A word in fewer comments is no theme.
_MIN_WORD_COMMENTS = 2

_CLASS = {"type": ["string", "null"], "description": "The class of the scores; null for comments without a score."}
_COUNTS = {
    "comments": {"type": "integer", "description": "The number of comments in the period."},
    "previous": {"type": "integer", "description": "The number of comments in the previous period."},
    "change": {"type": "integer", "description": "The difference of the two."},
}
_SHARE = {
    "type": ["number", "null"],
    "description": "The percentage of the comments of the class; null where it has none in the period.",
}
_DAY = {"type": "string", "format": "date"}
_RANGE = {"start": _DAY, "end": _DAY}
THEMES_SCHEMA = object_schema(
    "Themes",
    {
        "period": object_schema("ThemePeriod", _RANGE | {"complete": {"type": "boolean"}}),
        "previous": object_schema("ThemePreviousPeriod", _RANGE),
        "classes": list_schema("ThemeClass", {"class": _CLASS, **_COUNTS}),
        "tags": list_schema(
            "ThemeTag", {"class": _CLASS, "tag": {"type": ["string", "null"]}, "share": _SHARE, **_COUNTS}
        ),
        "words": list_schema(
            "ThemeWord", {"class": _CLASS, "word": {"type": ["string", "null"]}, "share": _SHARE, **_COUNTS}
        ),
    },
)


async def count_themes(
    books: Books, comment_filter: CommentFilter, *, period: Period, unit: str | None, limit: int
) -> dict[str, Any]:
    """Return the number of comments in a period by class, and the `limit` most frequent tags and words of each class.

    Words are counted by their English stem, without stop words, and shown in their most frequent spelling. unit: that of the
    period's name, if it has one.
    """
    today, calendar = books.today(), books.calendar
    earlier = earlier_days_of_range(period, unit, compare=PREVIOUS_PERIOD, calendar=calendar, today=today)
    # Where there are no earlier days, the previous period is empty.
    previous_start, previous_end = earlier or (period.start, period.start)
    both = replace(comment_filter, start=previous_start, end=period.end)
    comments = _number_comments(both, previous_end, period.start, calendar=calendar, today=today)
    tag = sa.func.jsonb_array_elements_text(comments.c.tags).column_valued("tag", joins_implicitly=True)
    token = sa.func.ts_parse(sa.literal_column("'default'"), comments.c.comment).table_valued(
        sa.column("tokid", sa.Integer), sa.column("token", sa.Text), name="token", joins_implicitly=True
    )
    word = sa.func.lower(token.c.token)
    stem = sa.func.ts_lexize(sa.literal_column("'english_stem'"), word, type_=sa.ARRAY(sa.Text))[1]
    is_word = sa.and_(token.c.tokid.in_(_WORD_TOKENS), stem.is_not(None))
    word_counts = _count_comments(comments, stem).where(is_word)
    queries = {
        "classes": _count_comments(comments),
        "tags": _most_frequent(_count_comments(comments, tag), tag, limit=limit, min_comments=1),
        "words": _most_frequent(word_counts, word, limit=limit, min_comments=_MIN_WORD_COMMENTS),
    }

    async def count(connection: Connection) -> dict[str, Sequence[Any]]:
        return {name: await connection.execute(query) for name, query in queries.items()}

    rows = await books.database.ask(count)
    comments_by_class = {row.score_class: row.comments for row in rows["classes"]}
    return {
        "period": {"start": period.start, "end": period.end, "complete": period.complete},
        "previous": {"start": previous_start, "end": previous_end},
        "classes": [{"class": row.score_class} | _counts(row) for row in sorted(rows["classes"], key=_by_frequency)],
        "tags": [_theme(row, "tag", comments_by_class) for row in rows["tags"]],
        "words": [_theme(row, "word", comments_by_class) for row in rows["words"]],
    }


def _number_comments(
    both: CommentFilter, previous_end: date, start: date, *, calendar: Calendar, today: date
) -> sa.CTE:
    """Return the comments of both ranges with a number each. is_current: whether they are of the later range."""
    comments = select_comments(both, calendar=calendar, today=today).subquery()
    is_current = comments.c.occurred_at >= calendar.midnight(start)
    columns = comments.c.score_class, comments.c.tags, comments.c.comment, is_current.label("is_current")
    query = sa.select(*columns, sa.func.row_number().over().label("number"))
    return query.where(sa.or_(is_current, comments.c.occurred_at < calendar.midnight(previous_end))).cte("comments")


def _count_comments(comments: sa.CTE, *key: Any) -> sa.Select[Any]:
    """Return the number of comments by class and key, in the later and in the previous range."""
    count = sa.func.count(comments.c.number.distinct())
    return sa.select(
        comments.c.score_class,
        count.filter(comments.c.is_current).label("comments"),
        count.filter(~comments.c.is_current).label("previous"),
    ).group_by(comments.c.score_class, *key)


def _most_frequent(counts: sa.Select[Any], text: Any, *, limit: int, min_comments: int) -> sa.Select[Any]:
    """Return the most frequent keys of each class, each with the most frequent spelling of `text`."""
    keys = counts.add_columns(sa.func.mode().within_group(text).label("text")).subquery()
    by_rank = keys.c.comments.desc(), keys.c.previous.desc(), sa.collate(keys.c.text, "C")
    rank = sa.func.row_number().over(partition_by=keys.c.score_class, order_by=by_rank).label("rank")
    ranked_texts = sa.select(keys, rank).where(keys.c.comments + keys.c.previous >= min_comments).subquery()
    columns = ranked_texts.c.score_class, ranked_texts.c.text, ranked_texts.c.comments, ranked_texts.c.previous
    by_frequency = (
        ranked_texts.c.comments.desc(),
        ranked_texts.c.previous.desc(),
        ranked_texts.c.score_class,
        sa.collate(ranked_texts.c.text, "C"),
    )
    return sa.select(*columns).where(ranked_texts.c.rank <= limit).order_by(*by_frequency)


def _by_frequency(row: Any) -> tuple[int, int, str]:
    return -row.comments, -row.previous, row.score_class or ""


def _theme(row: Any, name: str, comments_by_class: dict[str | None, int]) -> dict[str, Any]:
    total = comments_by_class[row.score_class]
    share = round(100 * row.comments / total, 6) if total else None
    return {"class": row.score_class, name: row.text, "share": share} | _counts(row)


def _counts(row: Any) -> dict[str, int]:
    return {"comments": row.comments, "previous": row.previous, "change": row.comments - row.previous}
