"""Read comments of survey responses and free feedback, and update their status.

Comments and their updates are events. Nothing else is stored: everything is read from the events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal, get_args
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from app.accounts.accounts import account_key
from app.accounts.filters import Filter
from app.accounts.listing import day_after, is_selected
from app.books.books import Books
from app.core.errors import Conflict, NotFound
from app.core.ids import decode_token
from app.core.periods import Calendar
from app.database.connection import Connection
from app.database.tables import COMMENT_WORDS, HAS_COMMENT, account, event, survey
from app.http.tables import Answer, column, columns
from app.ingest.accept import accept_events
from app.ingest.catalogue.voice import Status
from app.ingest.erase import erase_comment
from app.ledger.event_cursor import EventCursor, cursor_of, parse_cursor
from app.ledger.streams.feedback import KIND, OPEN, UPDATED, comment_id
from app.ledger.surveys import score_class_column

ScoreClassName = Literal["promoter", "passive", "detractor", "satisfied", "unsatisfied", "easy", "neutral", "difficult"]

# On a page.
MAX_COMMENTS = 1_000
_MICROSECOND = timedelta(microseconds=1)
_OPTIONAL_TEXT = {"type": ["string", "null"]}
# The members of a comment in an answer.
COMMENT_SCHEMA: dict[str, Any] = {
    "id": {"type": "string", "description": "The comment's id for `/v1/feedback/{id}`."},
    "event_id": {"type": "string", "description": "The id of the event, which is unique within its account."},
    "occurred_at": {"type": "string", "format": "date-time"},
    "account_id": {"type": "string"},
    "user_id": _OPTIONAL_TEXT,
    "survey": _OPTIONAL_TEXT,
    "score": {"type": ["integer", "null"]},
    "class": {
        "type": ["string", "null"],
        "enum": [*get_args(ScoreClassName), None],
        "description": "The class of the score; null without a score.",
    },
    "comment": _OPTIONAL_TEXT | {"description": "Null when it was erased."},
    "tags": {"type": "array", "items": {"type": "string"}},
    "channel": _OPTIONAL_TEXT,
    "status": {"type": "string", "enum": [*get_args(Status)]},
    "note": _OPTIONAL_TEXT,
    "updated_at": _OPTIONAL_TEXT | {"format": "date-time", "description": "The time of the last update."},
}


@dataclass(frozen=True, slots=True)
class CommentFilter:
    """Which comments: those that satisfy every member that is set. start, end: reporting days, the end excluded."""

    start: date | None = None
    end: date | None = None
    survey: str | None = None
    score_class: str | None = None
    words: str | None = None
    tag: str | None = None
    channel: str | None = None
    status: str | None = None
    accounts: Sequence[str] = ()
    filter: Filter | None = None


_score = event.c.data["score"].as_integer()
# An erased comment still counts, but its text is gone.
_is_erased = event.c.data.has_key("erased")
_class = score_class_column(_score)


def _latest(updates: Any, name: str) -> Any:
    """Return the value of the last update that has this member."""
    order = aggregate_order_by(updates.c.data[name].as_string(), updates.c.occurred_at.desc(), updates.c.id.desc())
    return sa.func.array_agg(order, type_=sa.ARRAY(sa.Text)).filter(updates.c.data.has_key(name))[1].label(name)


def _select_updates() -> Any:
    """Return status, note and time of the updates of an event, as a lateral join."""
    update = event.alias("update")
    query = sa.select(
        _latest(update, "status"), _latest(update, "note"), sa.func.max(update.c.occurred_at).label("updated_at")
    ).where(
        update.c.account_id == event.c.account_id,
        update.c.stream == sa.literal(f"{KIND} ") + event.c.id,
        update.c.type == UPDATED,
        update.c.retracted_on.is_(None),
    )
    return query.correlate(event).lateral("updates")


def select_comments(comment_filter: CommentFilter, *, calendar: Calendar, today: date) -> sa.Select[Any]:
    """Return the query for comments, unordered. Accounts are filtered by their attributes of today."""
    updates, text = _select_updates(), event.c.data["comment"].as_string()
    status = sa.func.coalesce(updates.c.status, OPEN)
    query = sa.select(
        event.c.occurred_at,
        event.c.account_id,
        event.c.id,
        account.c.id.label("account"),
        event.c.user_id,
        event.c.data["survey"].as_string().label("survey"),
        _score.label("score"),
        _class.label("score_class"),
        sa.case((_is_erased, None), else_=text).label("comment"),
        sa.func.coalesce(event.c.data["tags"], sa.text("'[]'::jsonb")).label("tags"),
        event.c.data["channel"].as_string().label("channel"),
        status.label("status"),
        sa.func.nullif(updates.c.note, "").label("note"),
        updates.c.updated_at,
    ).select_from(
        event.join(account, account.c.account_id == event.c.account_id)
        .outerjoin(survey, survey.c.id == event.c.data["survey"].as_string())
        .join(updates, sa.true())
    )
    return query.where(
        sa.text(HAS_COMMENT), *_conditions(comment_filter, status=status, calendar=calendar, today=today)
    )


def _conditions(comment_filter: CommentFilter, *, status: Any, calendar: Calendar, today: date) -> list[Any]:
    """Return a condition for each member of the filter that is set."""
    conditions: list[tuple[Any, Any]] = [
        (comment_filter.start, lambda day: event.c.occurred_at >= calendar.midnight(day)),
        (comment_filter.end, lambda day: event.c.occurred_at < calendar.midnight(day)),
        (comment_filter.survey, lambda id: event.c.data["survey"].as_string() == id),
        (comment_filter.score_class, lambda name: _class == name),
        (
            comment_filter.words,
            lambda words: (
                ~_is_erased & sa.literal_column(COMMENT_WORDS).op("@@")(sa.func.websearch_to_tsquery("simple", words))
            ),
        ),
        (comment_filter.tag, lambda tag: event.c.data["tags"].has_key(tag)),
        (comment_filter.channel, lambda name: event.c.data["channel"].as_string() == name),
        (comment_filter.status, lambda name: status == name),
        (comment_filter.accounts, lambda ids: event.c.account_id.in_([account_key(id) for id in ids])),
        (comment_filter.filter, lambda filter: is_selected(filter, event.c.account_id, on=day_after(today))),
    ]
    return [condition(value) for value, condition in conditions if value]


async def list_comments(
    books: Books, comment_filter: CommentFilter, *, limit: int, after: EventCursor | None
) -> tuple[list[dict[str, Any]], EventCursor | None]:
    """Return a page of comments as JSON objects, the newest first, and the cursor of the next page."""
    position = event.c.occurred_at, event.c.account_id, event.c.id
    query = select_comments(comment_filter, calendar=books.calendar, today=books.today())
    if after is not None:
        query = query.where(sa.tuple_(*position) < sa.tuple_(*map(sa.literal, after)))
    query = query.order_by(*(column.desc() for column in position)).limit(limit + 1)

    async def read(connection: Connection) -> list[Any]:
        return await connection.execute(query)

    rows = await books.database.ask(read)
    next_cursor = cursor_of(rows[limit - 1]) if len(rows) > limit else None
    return [_comment_json(row) for row in rows[:limit]], next_cursor


def _comment_json(row: Any) -> dict[str, Any]:
    """Return a comment as the API shows it: see COMMENT_SCHEMA. The text of an erased comment is null."""
    # A column of a row cannot be called `class`, which is a keyword of Python.
    api_names = {"score_class": "class"}
    members = {
        api_names.get(name, name): value
        for name, value in row._asdict().items()
        if name not in ("account", "account_id", "id")
    }
    return {"id": comment_id(row.account, row.id), "event_id": row.id, "account_id": row.account} | members


# The tags are one column, the last, with commas between them.
_COLUMNS = [
    *columns(COMMENT_SCHEMA, (name for name in COMMENT_SCHEMA if name != "tags")),
    column("tags", {"type": "string"}, read=lambda comment: ",".join(comment["tags"])),
]


async def answer_comments(
    books: Books, comment_filter: CommentFilter, *, limit: int, after: EventCursor | None
) -> Answer:
    """Return a page of comments, the newest first."""
    comments, next_cursor = await list_comments(books, comment_filter, limit=limit, after=after)

    async def load_more(cursor: str) -> Answer:
        after = parse_cursor(cursor)
        return await answer_comments(books, comment_filter, limit=MAX_COMMENTS, after=after)

    body = {"feedback": comments, "next": next_cursor.encode() if next_cursor else None}
    return Answer("feedback", body, _COLUMNS, rows_name="feedback", load_more=load_more)


def _split_comment_id(id: str) -> tuple[str, str]:
    try:
        account_id, event_id = decode_token(id).split("\0")
    except ValueError:
        raise _not_found() from None
    return account_id, event_id


def _not_found() -> NotFound:
    return NotFound("Unknown comment. GET /v1/feedback lists the comments with their ids.")


async def load_comment(books: Books, id: str) -> dict[str, Any]:
    """Return a comment as a JSON object. Raises NotFound."""
    account_id, event_id = _split_comment_id(id)
    query = select_comments(CommentFilter(), calendar=books.calendar, today=books.today())
    query = query.where(event.c.account_id == account_key(account_id), event.c.id == event_id)

    async def read(connection: Connection) -> Any:
        return next(iter(await connection.execute(query)), None)

    row = await books.database.ask(read)
    if row is None:
        raise _not_found()
    return _comment_json(row)


async def blank_comment(books: Books, id: str) -> None:
    """Erase the text of a comment and the notes about it; the score and all numbers stay. Raises NotFound."""
    account_id, event_id = _split_comment_id(id)
    if not await erase_comment(books, account_id=account_id, event_id=event_id):
        raise _not_found()


async def update_comment(books: Books, id: str, update: Mapping[str, str]) -> dict[str, Any]:
    """Accept an event `feedback.updated` for a comment, and return the comment. An update that changes nothing sends none.

    update: `status`, `note` or both. Raises NotFound, and Conflict when the comment has an update of a later time.
    """
    before = await load_comment(books, id)
    changes = {name: value for name, value in update.items() if value != (before[name] or "")}
    if not changes:
        return before
    at = books.now()
    if before["updated_at"] is not None:
        at = max(at, before["updated_at"] + _MICROSECOND)
    raw = {
        "id": f"PATCH {uuid4().hex}",
        "type": UPDATED,
        "account_id": before["account_id"],
        "occurred_at": at.isoformat(),
        "data": {"feedback": before["event_id"], **changes},
    }
    outcome = await accept_events(books, [raw])
    if outcome.rejected:
        detail = "The comment has an update with a later time. Send an event `feedback.updated` with a time after it."
        raise Conflict(detail, code="updated_later")
    return await load_comment(books, id)
