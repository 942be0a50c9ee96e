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
            "description": "Whether any metric and any account may have changed, because a definition such as a segment or an "
            "exchange rate has changed, the database has started again, or the cursor is too old.",
        },
        "metrics": {
            "type": "array",
            "items": name_schema("MetricName"),
            "description": "Metrics whose numbers may have changed.",
        },
        "accounts": {
            "type": ["array", "null"],
            "items": {"type": "string"},
            "description": "Accounts that have changed, in order of their ids. Null: any account may have changed.",
        },
        "today": {"type": "string", "format": "date", "description": "The day in the reporting time zone."},
        "new_day": {
            "type": "boolean",
            "description": "Whether `today` is another day than that of the cursor. Then running and relative periods have "
            "moved on.",
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
        description="The `next` of the previous answer. Without it, the answer contains only a cursor of now.",
    )
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="Maximum number of accounts per page.")


@router.get(
    "/changes",
    responses=response_schema("What has changed, and the cursor to ask with next.", _SCHEMA),
    response_class=Response,
    openapi_extra=query_schema(ChangesParameters),
)
async def get_changes(request: Request) -> Response:
    """Return which metrics and accounts have changed since a cursor. No change is left out, whatever the order of commits.

    A change may leave all numbers as they were. Load the metrics and accounts that the answer names, and then store `next`.
    """
    parameters = parse_query(request, ChangesParameters)
    return json_response(request, await load_changes(books_of(request), since=parameters.since, limit=parameters.limit))
