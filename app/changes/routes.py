"""The endpoint for pollers: what has changed since they last asked."""

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from app.access.auth import books_of, requires
from app.changes.changes import DEFAULT_LIMIT, MAX_LIMIT, load_changes
from app.http.openapi import name_schema, object_schema, query_schema, response_schema
from app.http.params import QueryParams, parse_query
from app.http.responses import json_response

router = APIRouter(prefix="/v1", tags=["metrics"], dependencies=[Depends(requires("read"))])

_SCHEMA = object_schema(
    "Changes",
    {
        "everything": {
            "type": "boolean",
            "description": "Whether any metric and any account may have changed: definitions such as segments or exchange rates "
            "have, or the cursor is too old.",
        },
        "metrics": {
            "type": "array",
            "items": name_schema("MetricName"),
            "description": "Metrics of which a number may have changed.",
        },
        "accounts": {
            "type": ["array", "null"],
            "items": {"type": "string"},
            "description": "Accounts of which something has changed, in order of their ids. Null: any may have.",
        },
        "today": {"type": "string", "format": "date", "description": "The day in the reporting time zone."},
        "new_day": {
            "type": "boolean",
            "description": "Whether it is another day than that of the cursor: running and relative periods have moved on.",
        },
        "has_more": {"type": "boolean", "description": "Whether `next` leads to more accounts of the same changes."},
        "next": {"type": "string", "description": "The cursor to send as `since` next."},
    },
)


class ChangesParameters(QueryParams):
    """Since when, and how many accounts a page has."""

    since: str | None = Field(
        None,
        min_length=1,
        max_length=20_000,
        description="`next` of the answer before. Without it, the answer has nothing but the cursor of now.",
    )
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="Most accounts of a page.")


@router.get(
    "/changes",
    responses=response_schema("What has changed, and the cursor to ask with next.", _SCHEMA),
    response_class=Response,
    openapi_extra=query_schema(ChangesParameters),
)
async def get_changes(request: Request) -> Response:
    """Return which metrics and accounts have changed since a cursor. No change is left out, whatever the order of commits.

    A change may be named that changes no number. Ask for the metrics and accounts that it names, and keep `next`.
    """
    parameters = parse_query(request, ChangesParameters)
    return json_response(request, await load_changes(books_of(request), since=parameters.since, limit=parameters.limit))
