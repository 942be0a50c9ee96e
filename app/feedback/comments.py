"""Comments as they are asked for: whose they are, what the score beside them means, and what was done about them.

Nothing is kept here: comments and what was done about them are events, and everything is read from these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from app.accounts.accounts import account_key
from app.accounts.filters import Filter
from app.accounts.listing import day_after, select_accounts
from app.books.books import Books
from app.core.errors import Conflict, NotFound
from app.core.ids import decode_token, encode_token
from app.core.periods import Calendar
from app.database.connection import Connection
from app.database.tables import COMMENT_WORDS, HAS_COMMENT, account, event, survey
from app.ingest.accept import accept_events
from app.ledger.event_cursor import EventCursor, cursor_of
from app.ledger.streams.feedback import KIND, OPEN, UPDATED
from app.ledger.surveys import score_class_column

_AFTER = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which comments: all that satisfy whatever is not empty. start, end: reporting days, the end excluded."""

    start: date | None = None
    end: date | None = None
    survey: str | None = None
    kind: str | None = None
    words: str | None = None
    tag: str | None = None
    channel: str | None = None
    status: str | None = None
    accounts: Sequence[str] = ()
    filter: Filter | None = None


_score = event.c.data["score"].as_integer()
# Its comment still counts, but there are no words.
_erased = event.c.data.has_key("erased")
_class = score_class_column(_score)


def _latest(update: Any, name: str) -> Any:
    """What the last update says that says something of it."""
    order = aggregate_order_by(update.c.data[name].as_string(), update.c.occurred_at.desc(), update.c.id.desc())
    return sa.func.array_agg(order, type_=sa.ARRAY(sa.Text)).filter(update.c.data.has_key(name))[1].label(name)


def _updates() -> Any:
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


def comments(wanted: Wanted, *, calendar: Calendar, today: date) -> sa.Select[Any]:
    """The comments that are wanted, unordered; accounts are filtered by their attributes of today."""
    updates, text = _updates(), event.c.data["comment"].as_string()
    status = sa.func.coalesce(updates.c.status, OPEN)
    query = sa.select(
        event.c.occurred_at,
        event.c.account_id,
        event.c.id,
        account.c.id.label("account"),
        event.c.user_id,
        event.c.data["survey"].as_string().label("survey"),
        _score.label("score"),
        _class.label("kind"),
        sa.case((_erased, None), else_=text).label("comment"),
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
    conditions: list[tuple[Any, Any]] = [
        (wanted.start, lambda day: event.c.occurred_at >= calendar.midnight(day)),
        (wanted.end, lambda day: event.c.occurred_at < calendar.midnight(day)),
        (wanted.survey, lambda id: event.c.data["survey"].as_string() == id),
        (wanted.kind, lambda name: _class == name),
        (
            wanted.words,
            lambda words: (
                ~_erased & sa.literal_column(COMMENT_WORDS).op("@@")(sa.func.websearch_to_tsquery("simple", words))
            ),
        ),
        (wanted.tag, lambda tag: event.c.data["tags"].has_key(tag)),
        (wanted.channel, lambda name: event.c.data["channel"].as_string() == name),
        (wanted.status, lambda name: status == name),
        (wanted.accounts, lambda ids: event.c.account_id.in_([account_key(id) for id in ids])),
        (wanted.filter, lambda filter: event.c.account_id.in_(_accounts(filter, day_after(today)))),
    ]
    return query.where(sa.text(HAS_COMMENT), *(condition(given) for given, condition in conditions if given))


def _accounts(filter: Filter, on: date) -> sa.Select[Any]:
    return sa.select(select_accounts(filter, on=on).subquery().c.account_id)


async def newest(
    books: Books, wanted: Wanted, *, limit: int, after: EventCursor | None
) -> tuple[list[Any], EventCursor | None]:
    """The newest comments that are wanted, as rows of `shown`, and the place after which there are more."""
    place = event.c.occurred_at, event.c.account_id, event.c.id
    query = comments(wanted, calendar=books.calendar, today=books.today())
    if after is not None:
        query = query.where(sa.tuple_(*place) < sa.tuple_(*map(sa.literal, after)))
    query = query.order_by(*(column.desc() for column in place)).limit(limit + 1)

    async def find(connection: Connection) -> list[Any]:
        return await connection.execute(query)

    rows = await books.database.read(find)
    following = cursor_of(rows[limit - 1]) if len(rows) > limit else None
    return [shown(row) for row in rows[:limit]], following


def shown(row: Any) -> dict[str, Any]:
    """A comment as it is answered. An erased one is null; it still counts."""
    # No word of Python's can be a name of a row.
    names = {"kind": "class"}
    said = {
        names.get(name, name): value
        for name, value in row._asdict().items()
        if name not in ("account", "account_id", "id")
    }
    return {"id": id_of(row.account, row.id), "event_id": row.id, "account_id": row.account} | said


def id_of(account: str, event_id: str) -> str:
    """One id of both: an event's is unique within its account only. No id holds U+0000."""
    return encode_token(f"{account}\0{event_id}")


async def find(books: Books, id: str) -> dict[str, Any]:
    """A comment by its id. Raises NotFound."""
    account_id, event_id = _parts(id)
    query = comments(Wanted(), calendar=books.calendar, today=books.today())
    query = query.where(event.c.account_id == account_key(account_id), event.c.id == event_id)

    async def look_up(connection: Connection) -> Any:
        return next(iter(await connection.execute(query)), None)

    row = await books.database.read(look_up)
    if row is None:
        raise NotFound("There is no such comment.")
    return shown(row)


def _parts(id: str) -> tuple[str, str]:
    try:
        account_id, event_id = decode_token(id).split("\0")
    except ValueError:
        raise NotFound("There is no such comment.") from None
    return account_id, event_id


async def update(books: Books, id: str, said: dict[str, str]) -> dict[str, Any]:
    """Say something new of a comment: an event `feedback.updated`. Saying the same again changes nothing.

    said: `status`, `note` or both. Raises NotFound, and Conflict where something is said already of a later time.
    """
    before = await find(books, id)
    changes = {name: value for name, value in said.items() if value != (before[name] or "")}
    if not changes:
        return before
    at = books.clock()
    if before["updated_at"] is not None:
        at = max(at, before["updated_at"] + _AFTER)
    raw = {
        "id": f"PATCH {uuid4().hex}",
        "type": UPDATED,
        "account_id": before["account_id"],
        "occurred_at": at.isoformat(),
        "data": {"feedback": before["event_id"], **changes},
    }
    outcome = await accept_events(books, [raw])
    if outcome.rejected:
        raise Conflict("Something is said of this comment for a later time.", code="updated_later")
    return await find(books, id)
