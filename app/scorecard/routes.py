"""Endpoints of targets and the scorecard."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from app.access.auth import books_of, requires
from app.core.ids import PathId
from app.core.periods import Day
from app.http.body import read_json
from app.http.openapi import body_schema, query_schema
from app.http.params import QueryParams, parse_query
from app.http.polls import pollable
from app.http.responses import json_response, rows_response
from app.scorecard.body import TargetBody
from app.scorecard.history import HISTORY_SCHEMA, HistoryParameters, target_history
from app.scorecard.preview import TARGET_PREVIEW_SCHEMA, preview_target
from app.scorecard.scorecard import SCORECARD_SCHEMA, ScorecardParameters, scorecard
from app.scorecard.targets import TARGET_SCHEMA, TARGETS_SCHEMA, end_target, list_targets, load_target, put_target

router = APIRouter(prefix="/v1", tags=["scorecard"], default_response_class=Response)
READ = [Depends(requires("read"))]
ADMIN = [Depends(requires("admin"))]

_TARGET = {"metric": "nps", "granularity": "quarter", "value": 45}


class _PutParameters(QueryParams):
    strict: bool = Field(
        True,
        description="Whether attributes, subjects and channels that have never been recorded are errors. `false` puts the target "
        "before its data arrives.",
    )


class _TargetParameters(QueryParams):
    as_of: Day | None = Field(None, description="As it was known at the end of this day.")


@router.put(
    "/targets/{target_id}",
    name="put_target",
    dependencies=ADMIN,
    responses=TARGET_SCHEMA,
    openapi_extra=body_schema(TargetBody, _TARGET) | query_schema(_PutParameters),
)
async def put_target_version(request: Request, target_id: PathId) -> Response:
    """Put a target: the value that a metric is to reach in each period.

    It takes the place of the target from `from` on. Without `from`, that is the first day of the current period: earlier
    periods keep the target that they had. Answers as of earlier days keep it, too.
    """
    parameters = parse_query(request, _PutParameters)
    raw = await read_json(request)
    return json_response(request, await put_target(books_of(request), target_id, raw, strict=parameters.strict))


@router.post(
    "/targets/{target_id}/preview",
    name="preview_target",
    dependencies=READ,
    responses=TARGET_PREVIEW_SCHEMA,
    openapi_extra=body_schema(TargetBody, _TARGET) | query_schema(_PutParameters),
)
async def post_target_preview(request: Request, target_id: PathId) -> Response:
    """Return what a PUT of the same body would change: the row of the scorecard before and after it, and the periods that
    have ended. Nothing is stored.
    """
    parameters = parse_query(request, _PutParameters)
    raw = await read_json(request)
    return json_response(request, await preview_target(books_of(request), target_id, raw, strict=parameters.strict))


@router.get(
    "/targets",
    name="list_targets",
    dependencies=READ,
    responses=TARGETS_SCHEMA,
    openapi_extra=query_schema(_TargetParameters),
)
@pollable
async def get_targets(request: Request) -> Response:
    """List the targets that hold or are ahead, ordered by id."""
    parameters = parse_query(request, _TargetParameters)
    body: dict[str, Any] = {"targets": await list_targets(books_of(request), as_of=parameters.as_of)}
    return json_response(request, body)


@router.get(
    "/targets/{target_id}", dependencies=READ, responses=TARGET_SCHEMA, openapi_extra=query_schema(_TargetParameters)
)
@pollable
async def get_target(request: Request, target_id: PathId) -> Response:
    """Return a target with all its versions, also one that has ended."""
    parameters = parse_query(request, _TargetParameters)
    return json_response(request, await load_target(books_of(request), target_id, as_of=parameters.as_of))


@router.delete("/targets/{target_id}", status_code=204, response_class=Response, dependencies=ADMIN)
async def delete_target(request: Request, target_id: PathId) -> None:
    """End a target from the current period on. Earlier periods and answers as of earlier days keep it."""
    await end_target(books_of(request), target_id)


@router.get(
    "/targets/{target_id}/history",
    dependencies=READ,
    responses=HISTORY_SCHEMA,
    openapi_extra=query_schema(HistoryParameters),
)
@pollable
async def get_target_history(request: Request, target_id: PathId) -> Response:
    """Return the periods of a target that have ended: target, value and status as known at the period's end, and now."""
    parameters = parse_query(request, HistoryParameters)
    return await rows_response(request, parameters, await target_history(books_of(request), target_id, parameters))


@router.get(
    "/scorecard", dependencies=READ, responses=SCORECARD_SCHEMA, openapi_extra=query_schema(ScorecardParameters)
)
@pollable
async def get_scorecard(request: Request) -> Response:
    """Return how near every target is: value, attainment, what is expected by now, where the period will end, and status.

    Statuses are derived from what is recorded, never stored. Beside the targets stands which detractors nobody has answered.
    """
    parameters = parse_query(request, ScorecardParameters)
    return await rows_response(request, parameters, await scorecard(books_of(request), parameters))
