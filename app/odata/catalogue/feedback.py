"""`Feedback`: the comments of survey responses and free feedback, with their status."""

from typing import Any

import sqlalchemy as sa

from app.database.tables import event
from app.feedback.comments import COMMENT_SCHEMA, CommentFilter, select_comments
from app.ledger.streams.feedback import comment_id
from app.odata.event_rows import EVENT_KEY, TAGS_TEXT, condition_on_id, event_id_column, reporting_day
from app.odata.expressions import Member
from app.odata.model import ENTITY_SETS, EntitySet, prop
from app.odata.query import Query
from app.odata.sources import EntityPage, SetContext
from app.odata.sql_source import SqlRows, read_sql_page

_PROPERTIES = (
    prop(
        "id",
        "text",
        "The id of the comment, for `/v1/feedback/{id}`; that of its response in `SurveyResponses`.",
        nullable=False,
        read=lambda row: comment_id(row["account_id"], row["event_id"]),
        parts=("account_id", "event_id"),
    ),
    prop("account_id", "text", "The account.", nullable=False),
    prop("event_id", "text", "The id of the event, which is unique within its account.", nullable=False),
    prop("user_id", "text", "The user who commented."),
    prop("survey", "text", "The survey; null for free feedback."),
    prop("score", "integer", "The score; null for free feedback."),
    prop("class", "text", COMMENT_SCHEMA["class"]["description"]),
    prop("comment", "text", "The comment; null when it was erased."),
    prop("tags", "text", "The tags, with commas between them.", nullable=False),
    prop("channel", "text", "Where the comment came from."),
    prop("status", "text", "open, acknowledged, resolved …: what has been done about it.", nullable=False),
    prop("note", "text", "The note about it."),
    prop("occurred_at", "time", "When the user commented.", nullable=False),
    prop("occurred_on", "date", "The day of the comment in the reporting time zone.", nullable=False),
    prop("updated_at", "time", "The time of the last update of status or note."),
)


async def _load(context: SetContext, query: Query) -> EntityPage:
    books = context.books
    comments = select_comments(CommentFilter(), calendar=books.calendar, today=books.today())
    columns = dict(comments.selected_columns.items())
    parts: dict[str, Any] = {
        "id": event_id_column(),
        "account_id": columns["account"],
        "event_id": event.c.id,
        "class": columns["score_class"],
        "tags": TAGS_TEXT,
        "occurred_on": reporting_day(event.c.occurred_at, books.calendar),
    }
    names = ("user_id", "survey", "score", "comment", "channel", "status", "note", "occurred_at", "updated_at")
    parts |= {name: _expression(columns[name]) for name in names}

    def column_of(member: Member) -> Any:
        return parts[member.prop.name]

    conditions = [comments.whereclause, *condition_on_id(query)]
    [source] = comments.get_final_froms()
    rows = SqlRows(lambda: source, conditions, parts, column_of, EVENT_KEY)
    return await books.database.ask(lambda connection: read_sql_page(connection, rows, query))


def _expression(column: Any) -> Any:
    """Return a column of a query without its name there."""
    return column.element if isinstance(column, sa.Label) else column


ENTITY_SETS.add(
    EntitySet(
        "Feedback",
        "Comment",
        "Comments of survey responses and free feedback, with their status, the oldest first.",
        ("id",),
        _PROPERTIES,
        _load,
    )
)
