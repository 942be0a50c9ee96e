"""Endpoints of feedback: comments, their status, and their themes."""

from datetime import date, timedelta

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.access.auth import books_of, requires
from app.accounts.filters import parse_filter
from app.accounts.listing import day_after
from app.core.ids import Id, PathId, RepeatedIds, normalize_id
from app.core.period_names import parse_range, unit_of_name
from app.core.periods import FIRST_DAY, LAST_END, Calendar, Day, split_range
from app.feedback.comments import (
    COMMENT_SCHEMA,
    MAX_COMMENTS,
    CommentFilter,
    ScoreClassName,
    answer_comments,
    blank_comment,
    load_comment,
    update_comment,
)
from app.feedback.names import check_names
from app.feedback.themes import THEMES_SCHEMA, count_themes
from app.http.body import read_body
from app.http.openapi import body_schema, conflict_response, list_schema, object_schema, query_schema, response_schema
from app.http.params import QueryParams, parse_query
from app.http.polls import pollable
from app.http.responses import json_response, rows_response
from app.http.row_parameters import RowParameters
from app.ingest.catalogue.voice import Status
from app.ingest.fields import Text
from app.ledger.event_cursor import parse_cursor

router = APIRouter(prefix="/v1/feedback", tags=["feedback"])
READ = [Depends(requires("read"))]

_COMMENT = response_schema("The comment.", object_schema("FeedbackComment", COMMENT_SCHEMA))
_COMMENTS = response_schema(
    "A page of comments.",
    object_schema(
        "FeedbackPage",
        {"feedback": list_schema("FeedbackComment", COMMENT_SCHEMA), "next": {"type": ["string", "null"]}},
    ),
    table=True,
)
_THEMES = response_schema("Tags and words.", THEMES_SCHEMA)


class _CommentParameters(QueryParams):
    """Parameters that select comments."""

    start: Day | None = Field(None, description="The first day.")
    end: Day | None = Field(None, description="The day after the last day.")
    period: str | None = Field(
        None, max_length=40, description="A period instead of `start` and `end`: `2026-03`, `last_30_days` …"
    )
    survey: Id | None = Field(None, description="Only comments of responses to this survey.")
    score_class: ScoreClassName | None = Field(
        None, alias="class", description="Only comments whose score has this class."
    )
    tag: Id | None = Field(None, description="Only comments with this tag.")
    channel: Id | None = Field(None, description="Only comments that came through this channel.")
    status: Status | None = Field(None, description="Only comments with this status.")
    account: RepeatedIds = Field([], description="Only comments of these accounts.")
    filter: str | None = Field(
        None, max_length=4_000, description="Only comments of accounts whose attributes of today satisfy this filter."
    )
    strict: bool = Field(
        True,
        description="Whether accounts, channels and attributes that have never been recorded are errors. With `false` they "
        "count as empty.",
    )

    def comment_filter(self, start: date | None, end: date | None, *, words: str | None = None) -> CommentFilter:
        """Return the selection. Raises Invalid for a filter that cannot be parsed."""
        return CommentFilter(
            start=start,
            end=end,
            survey=self.survey,
            score_class=self.score_class,
            words=words,
            tag=self.tag,
            channel=self.channel,
            status=self.status,
            accounts=tuple(self.account),
            filter=parse_filter(normalize_id(self.filter)) if self.filter is not None else None,
        )

    def range(self, *, calendar: Calendar, today: date) -> tuple[date | None, date | None]:
        """Return the first day and the day after the last; None where there is no limit. Raises Invalid."""
        start, end = parse_range(self.period, self.start, self.end, calendar=calendar, today=today)
        split_range(start or FIRST_DAY, end or LAST_END, granularity="total", calendar=calendar, today=today)
        return start, end


class _ListParameters(RowParameters, _CommentParameters):
    """Parameters of the list of comments."""

    q: Text | None = Field(
        None,
        max_length=200,
        description='Only comments with these words: `slow export`, `"dark mode"` (a phrase), `export or import`, `-price` '
        "(without).",
    )
    cursor: str | None = Field(None, max_length=1_000, description="`next` of the previous page.")
    limit: int | None = Field(
        None,
        ge=1,
        le=MAX_COMMENTS,
        description="The maximum number of comments in a page. Default: 100 in JSON; files have all comments.",
    )


@router.get("", dependencies=READ, responses=_COMMENTS, openapi_extra=query_schema(_ListParameters))
@pollable
async def list_feedback(request: Request) -> Response:
    """List comments of survey responses and free feedback with their status, the newest first."""
    parameters = parse_query(request, _ListParameters)
    books = books_of(request)
    start, end = parameters.range(calendar=books.calendar, today=await books.load_today())
    comment_filter = parameters.comment_filter(start, end, words=parameters.q)
    await check_names(books, comment_filter, strict=parameters.strict)
    after = parse_cursor(parameters.cursor) if parameters.cursor is not None else None
    limit = parameters.page_size(parameters.limit, default=100, maximum=MAX_COMMENTS)
    answer = await answer_comments(books, comment_filter, limit=limit, after=after)
    return await rows_response(request, parameters, answer)


class _ThemeParameters(_CommentParameters):
    """Parameters of the themes."""

    limit: int = Field(20, ge=1, le=100, description="The maximum number of tags and of words per class.")


@router.get(
    "/themes",
    name="list_feedback_themes",
    dependencies=READ,
    responses=_THEMES,
    openapi_extra=query_schema(_ThemeParameters),
)
@pollable
async def list_themes(request: Request) -> Response:
    """Count the tags and frequent words of comments by class, compared with the previous period.

    Default: the last 30 days. The days of the previous period are those with which `compare=previous_period` compares a total
    of metrics: a period that has not ended is compared with as many days. Words with the same English stem are counted as one.
    """
    parameters = parse_query(request, _ThemeParameters)
    books = books_of(request)
    today = await books.load_today()
    start, end = parameters.range(calendar=books.calendar, today=today)
    end = end or day_after(today)
    start = start or end - timedelta(days=30)
    [period] = split_range(start, end, granularity="total", calendar=books.calendar, today=today)
    comment_filter = parameters.comment_filter(start, end)
    await check_names(books, comment_filter, strict=parameters.strict)
    unit = unit_of_name(parameters.period)
    themes = await count_themes(books, comment_filter, period=period, unit=unit, limit=parameters.limit)
    return json_response(request, themes)


class FeedbackBody(BaseModel):
    """The new status and note of a comment. A member that is left out does not change. An empty note removes the note."""

    model_config = ConfigDict(extra="forbid", strict=True)

    status: Status | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def _check_not_empty(self) -> "FeedbackBody":
        if self.status is None and self.note is None:
            raise PydanticCustomError("nothing_said", '"status" or "note" is required.')
        return self


@router.get("/{feedback_id}", dependencies=READ, responses=_COMMENT)
@pollable
async def get_feedback(request: Request, feedback_id: PathId) -> Response:
    """Return one comment by its id, as in the list."""
    return json_response(request, await load_comment(books_of(request), feedback_id))


@router.patch(
    "/{feedback_id}",
    dependencies=[Depends(requires("ingest", "read"))],
    responses=_COMMENT | conflict_response("The comment has an update with a later time (`updated_later`)."),
    openapi_extra=body_schema(FeedbackBody, {"status": "resolved", "note": "Called back; fixed in the next release."}),
)
async def patch_feedback(request: Request, feedback_id: PathId) -> Response:
    """Set the status or the note of a comment.

    This is an event `feedback.updated` of now, which `feedback_closed_rate` counts. The key needs the scopes `ingest` and
    `read`; a key with `ingest` only can send the event instead. Answers 409 (`updated_later`) when the comment has an update
    with a later time.
    """
    body = await read_body(request, FeedbackBody)
    change = body.model_dump(exclude_none=True)
    return json_response(request, await update_comment(books_of(request), feedback_id, change))


@router.delete("/{feedback_id}", status_code=204, response_class=Response, dependencies=[Depends(requires("admin"))])
async def delete_feedback(request: Request, feedback_id: PathId) -> None:
    """Erase the text of a comment: for one that names a person, and perhaps no user of whom it could be erased.

    The text, `extra` and the notes about the comment are deleted, also from the stored event. The score, the tags and all
    numbers stay. The event keeps its id and is a duplicate when sent again. Erasing the same comment again changes nothing.
    """
    await blank_comment(books_of(request), feedback_id)
