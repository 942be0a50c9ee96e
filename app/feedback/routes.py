"""The door to what customers say in words."""

from datetime import date, timedelta
from typing import Any, Literal, get_args

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.access.auth import books_of, requires
from app.accounts.filters import parse_filter
from app.accounts.listing import day_after
from app.core.ids import Id, PathId, RepeatedIds, normalize_id
from app.core.periods import FIRST_DAY, LAST_END, Calendar, Day, parse_range, split_range
from app.feedback import comments
from app.feedback.themes import themes
from app.http.body import read_body
from app.http.formats import FlatTable, FormatName
from app.http.openapi import body_schema, list_schema, object_schema, query_schema, response_schema
from app.http.params import QueryParams, parse_query
from app.http.responses import json_response, rows_response
from app.ingest.catalogue.voice import Status
from app.ingest.fields import Text
from app.ledger.event_cursor import parse_cursor

router = APIRouter(prefix="/v1/feedback", tags=["feedback"])
READ = [Depends(requires("read"))]

Class = Literal["promoter", "passive", "detractor", "satisfied", "unsatisfied", "easy", "neutral", "difficult"]


class _Chosen(QueryParams):
    """Which comments."""

    start: Day | None = Field(None, description="First day.")
    end: Day | None = Field(None, description="The day after the last.")
    period: str | None = Field(None, max_length=40, description="Instead of start and end: `2026-03`, `last_30_days` …")
    survey: Id | None = None
    kind: Class | None = Field(None, alias="class", description="What the score beside the comment means.")
    tag: Id | None = None
    channel: Id | None = None
    status: Status | None = None
    account: RepeatedIds = Field([], description="Only these accounts.")
    filter: str | None = Field(None, max_length=4_000, description="Accounts by their attributes of today.")

    def wanted(self, start: date | None, end: date | None, *, words: str | None = None) -> comments.Wanted:
        return comments.Wanted(
            start=start,
            end=end,
            survey=self.survey,
            kind=self.kind,
            words=words,
            tag=self.tag,
            channel=self.channel,
            status=self.status,
            accounts=tuple(self.account),
            filter=parse_filter(normalize_id(self.filter)) if self.filter is not None else None,
        )

    def range(self, *, calendar: Calendar, today: date) -> tuple[date | None, date | None]:
        """The days that are asked for. Raises Invalid."""
        start, end = parse_range(self.period, self.start, self.end, calendar=calendar, today=today)
        split_range(start or FIRST_DAY, end or LAST_END, granularity="total", calendar=calendar, today=today)
        return start, end


class _Listed(_Chosen):
    """Which comments, and which page of them."""

    q: Text | None = Field(
        None,
        max_length=200,
        description='Words that the comment has: `slow export`, `"dark mode"`, `export or import`, `-price`.',
    )
    cursor: str | None = Field(None, max_length=1_000)
    limit: int = Field(100, ge=1, le=1_000)
    format: FormatName | None = Field(None, description="Default: what `Accept` asks for, else json.")


_TEXT = {"type": ["string", "null"]}
_WHOLE = {"type": "integer"}
_OF_A_COMMENT: dict[str, Any] = {
    "id": {"type": "string", "description": "Of the account and the event, for a path."},
    "event_id": {"type": "string"},
    "occurred_at": {"type": "string", "format": "date-time"},
    "account_id": {"type": "string"},
    "user_id": _TEXT,
    "survey": _TEXT,
    "score": {"type": ["integer", "null"]},
    "class": {"type": ["string", "null"], "enum": [*get_args(Class), None], "description": "Null: without a score."},
    "comment": _TEXT | {"description": "Null: erased."},
    "tags": {"type": "array", "items": {"type": "string"}},
    "channel": _TEXT,
    "status": {"type": "string", "enum": [*get_args(Status)]},
    "note": _TEXT,
    "updated_at": _TEXT | {"format": "date-time", "description": "When something was last said of it."},
}
_COMMENT = response_schema("The comment.", object_schema(_OF_A_COMMENT))
_COMMENTS = response_schema(
    "Comments.", object_schema({"feedback": list_schema(_OF_A_COMMENT), "next": _TEXT}), table=True
)
_COUNTED = {"comments": _WHOLE, "previous": _WHOLE, "change": _WHOLE}
_THEME = {"share": {"type": "number", "description": "Per hundred comments of the class."}, **_COUNTED}
_RANGE = {"start": {"type": "string"}, "end": {"type": "string"}}
_THEMES = response_schema(
    "Tags and words.",
    object_schema(
        {
            "period": object_schema(_RANGE | {"complete": {"type": "boolean"}}),
            "previous": object_schema(_RANGE),
            "classes": list_schema({"class": _TEXT, **_COUNTED}),
            "tags": list_schema({"class": _TEXT, "tag": _TEXT, **_THEME}),
            "words": list_schema({"class": _TEXT, "word": _TEXT, **_THEME}),
        }
    ),
)


@router.get("", dependencies=READ, responses=_COMMENTS, openapi_extra=query_schema(_Listed))
async def list_feedback(request: Request) -> Response:
    """Comments, the newest first: of answers to surveys and of free feedback, with what was done about them."""
    asked = parse_query(request, _Listed)
    books = books_of(request)
    wanted = asked.wanted(*asked.range(calendar=books.calendar, today=books.today()), words=asked.q)
    after = parse_cursor(asked.cursor) if asked.cursor is not None else None
    found, following = await comments.newest(books, wanted, limit=asked.limit, after=after)
    cursor = following.encode() if following else None
    columns = [*(name for name in _OF_A_COMMENT if name != "tags"), "tags"]

    def build_table() -> FlatTable:
        return FlatTable(columns, ([*(row[n] for n in columns[:-1]), ",".join(row["tags"])] for row in found))

    return rows_response(request, asked.format, {"feedback": found, "next": cursor}, build_table)


class _Themes(_Chosen):
    """Of which comments, and how many themes."""

    limit: int = Field(20, ge=1, le=100, description="The most frequent tags and words of each class.")


@router.get("/themes", dependencies=READ, responses=_THEMES, openapi_extra=query_schema(_Themes))
async def list_themes(request: Request) -> Response:
    """What comments are about: tags and frequent words by class, against the period before. Default: the last 30 days.

    A period that has not ended is put against as many days of the one before. Words are told apart by their English stems.
    """
    asked = parse_query(request, _Themes)
    books = books_of(request)
    start, end = asked.range(calendar=books.calendar, today=books.today())
    end = end or day_after(books.today())
    start = start or end - timedelta(days=30)
    split_range(start, end, granularity="total", calendar=books.calendar, today=books.today())
    found = await themes(books, asked.wanted(start, end), start=start, end=end, limit=asked.limit)
    return json_response(request, found)


class FeedbackBody(BaseModel):
    """What is new about a comment; what is not named stays. An empty note takes the note away."""

    model_config = ConfigDict(extra="forbid", strict=True)

    status: Status | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "FeedbackBody":
        if self.status is None and self.note is None:
            raise ValueError("a status, a note or both are needed")
        return self


@router.get("/{feedback_id}", dependencies=READ, responses=_COMMENT)
async def get_feedback(request: Request, feedback_id: PathId) -> Response:
    """One comment, by the `id` that the list gives it."""
    return json_response(request, await comments.find(books_of(request), feedback_id))


@router.patch(
    "/{feedback_id}",
    dependencies=[Depends(requires("ingest", "read"))],
    responses=_COMMENT,
    openapi_extra=body_schema(FeedbackBody),
)
async def patch_feedback(request: Request, feedback_id: PathId) -> dict[str, Any]:
    """Say what was done about a comment: an event `feedback.updated` of now. `feedback_closed_rate` counts it.

    Needs the scopes `ingest` and `read`; a key that may only post sends the event. 409 (`updated_later`) where something
    is said already of a later time.
    """
    body = await read_body(request, FeedbackBody)
    return await comments.update(books_of(request), feedback_id, body.model_dump(exclude_none=True))
