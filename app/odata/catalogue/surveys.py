"""`Surveys`: the surveys with their scales. `SurveyResponses`: all responses to them, with a comment or without."""

from typing import Any

import sqlalchemy as sa

from app.database.tables import IS_RESPONSE, account, event, survey
from app.ledger.streams.feedback import comment_id
from app.ledger.surveys import Survey, load_surveys, score_class_column
from app.odata.event_rows import EVENT_KEY, TAGS_TEXT, condition_on_id, event_id_column, reporting_day
from app.odata.expressions import Member
from app.odata.model import ENTITY_SETS, EntitySet, prop
from app.odata.query import Query
from app.odata.sources import EntityPage, ListSource, SetContext, read_page
from app.odata.sql_source import SqlRows, read_sql_page

_SURVEY_PROPERTIES = (
    prop("survey", "text", "The id of the survey, as in `SurveyResponses` and `Feedback`.", nullable=False),
    prop("kind", "text", "nps, csat or ces.", nullable=False),
    prop("scale_min", "integer", "The lowest score.", nullable=False),
    prop("scale_max", "integer", "The highest score.", nullable=False),
    prop("satisfied_from", "integer", "Of csat: the lowest score that means satisfied."),
    prop("easy_is", "text", "Of ces: the end of the scale that means easy, low or high."),
    prop("question", "text", "The question that was asked."),
    prop("answered", "boolean", "Whether it has responses, so that it is not changed any more.", nullable=False),
)


def _survey_row(own: Survey) -> dict[str, Any]:
    return own._asdict() | {"survey": own.id, "scale_min": own.low, "scale_max": own.high}


async def _load_surveys(context: SetContext, query: Query) -> EntityPage:
    surveys = await context.books.database.ask(load_surveys)
    return read_page(ListSource(map(_survey_row, surveys.values()), ("survey",)), query)


_score = event.c.data["score"].as_integer()
_RESPONSE_PROPERTIES = (
    prop(
        "id",
        "text",
        "The id of the response; that of its comment in `Feedback`.",
        nullable=False,
        read=lambda row: comment_id(row["account_id"], row["event_id"]),
        parts=("account_id", "event_id"),
    ),
    prop("account_id", "text", "The account.", nullable=False),
    prop("event_id", "text", "The id of the event, which is unique within its account.", nullable=False),
    prop("user_id", "text", "The user who responded."),
    prop("survey", "text", "The survey.", nullable=False),
    prop("kind", "text", "The kind of the survey: nps, csat or ces.", nullable=False),
    prop("score", "integer", "The score.", nullable=False),
    prop("class", "text", "The class of the score: promoter, passive, detractor, satisfied …", nullable=False),
    prop("comment", "text", "The comment; null without one, and when it was erased."),
    prop("tags", "text", "The tags, with commas between them.", nullable=False),
    prop("channel", "text", "Where the response came from."),
    prop("occurred_at", "time", "When the user responded.", nullable=False),
    prop("occurred_on", "date", "The day of the response in the reporting time zone.", nullable=False),
    prop("recorded_on", "date", "The day on which the response became known.", nullable=False),
)


async def _load_responses(context: SetContext, query: Query) -> EntityPage:
    data = event.c.data
    parts = {
        "id": event_id_column(),
        "account_id": account.c.id,
        "event_id": event.c.id,
        "user_id": event.c.user_id,
        "survey": data["survey"].as_string(),
        "kind": survey.c.kind,
        "score": _score,
        "class": score_class_column(_score),
        "comment": sa.case((data.has_key("erased"), None), else_=data["comment"].as_string()),
        "tags": TAGS_TEXT,
        "channel": data["channel"].as_string(),
        "occurred_at": event.c.occurred_at,
        "occurred_on": reporting_day(event.c.occurred_at, context.books.calendar),
        "recorded_on": event.c.recorded_on,
    }

    def column_of(member: Member) -> Any:
        return parts[member.prop.name]

    def source() -> Any:
        return event.join(account, account.c.account_id == event.c.account_id).outerjoin(
            survey, survey.c.id == data["survey"].as_string()
        )

    conditions = [sa.text(IS_RESPONSE), *condition_on_id(query)]
    rows = SqlRows(source, conditions, parts, column_of, EVENT_KEY)
    return await context.books.database.ask(lambda connection: read_sql_page(connection, rows, query))


ENTITY_SETS.add(
    EntitySet("Surveys", "Survey", "The surveys with their scales.", ("survey",), _SURVEY_PROPERTIES, _load_surveys)
)
ENTITY_SETS.add(
    EntitySet(
        "SurveyResponses",
        "SurveyResponse",
        "All responses to surveys that are not retracted, the oldest first.",
        ("id",),
        _RESPONSE_PROPERTIES,
        _load_responses,
    )
)
