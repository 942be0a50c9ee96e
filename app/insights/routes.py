"""Endpoints of insights: what needs attention, and the catalogue of detectors."""

from fastapi import APIRouter, Depends, Request, Response

from app.access.auth import books_of, requires
from app.core.ids import PathId
from app.http.openapi import query_schema
from app.http.params import parse_query
from app.http.polls import pollable
from app.http.responses import json_response, rows_response
from app.insights.answers import (
    INSIGHT_ACCOUNTS_SCHEMA,
    INSIGHTS_SCHEMA,
    InsightAccountParameters,
    InsightParameters,
    list_insight_accounts,
    list_insights,
)
from app.insights.define import DETECTORS
from app.insights.describe import DETECTORS_SCHEMA, describe_detector

router = APIRouter(
    prefix="/v1", tags=["insights"], dependencies=[Depends(requires("read"))], default_response_class=Response
)


@router.get("/insights", name="list_insights", responses=INSIGHTS_SCHEMA, openapi_extra=query_schema(InsightParameters))
@pollable
async def get_insights(request: Request) -> Response:
    """Return what needs attention, the most urgent first: each with the threshold that fired, the numbers, and what to do next.

    Detectors read the same numbers as all other answers, in complete periods only, and are quiet by default. Insights are derived
    from what is recorded, never stored: with `as_of`, they are those of then.
    """
    parameters = parse_query(request, InsightParameters)
    return await rows_response(request, parameters, await list_insights(books_of(request), parameters))


@router.get(
    "/insights/{insight_id}/accounts",
    name="list_insight_accounts",
    responses=INSIGHT_ACCOUNTS_SCHEMA,
    openapi_extra=query_schema(InsightAccountParameters),
)
@pollable
async def get_insight_accounts(request: Request, insight_id: PathId) -> Response:
    """Return all accounts that an insight is about, the most important first; none while it does not fire."""
    parameters = parse_query(request, InsightAccountParameters)
    answer = await list_insight_accounts(books_of(request), insight_id, parameters)
    return await rows_response(request, parameters, answer)


@router.get("/insight-detectors", name="list_insight_detectors", responses=DETECTORS_SCHEMA)
@pollable
async def list_detectors(request: Request) -> Response:
    """List all detectors: what each reads, its thresholds, an example, and what to do next."""
    return json_response(request, {"detectors": [describe_detector(DETECTORS[name]) for name in sorted(DETECTORS)]})
