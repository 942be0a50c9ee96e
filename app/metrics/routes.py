"""Endpoints for numbers: the catalogue of metrics and questions about them."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from app.access.auth import books_of, requires
from app.core.errors import Invalid
from app.http.body import read_body
from app.http.chart_formats import ChartRequest
from app.http.openapi import body_schema, query_schema, response_schema
from app.http.params import parse_query
from app.http.responses import json_response, rows_response
from app.metrics.answer import answer
from app.metrics.define import METRICS
from app.metrics.describe import describe_metric, metric_in_path
from app.metrics.parameters import OneMetricParameters, SeveralParameters
from app.metrics.question import resolve_question
from app.metrics.rows import knowledge_members
from app.metrics.schema import flatten_interval, number_columns, table_builder

router = APIRouter(prefix="/v1", tags=["metrics"], dependencies=[Depends(requires("read"))])

_ANSWERS = response_schema(
    "Rows of numbers, each with its proof.", {"$ref": "#/components/schemas/Answer"}, table=True, chart=True
)


@router.get("/metrics")
async def list_metrics(request: Request) -> Response:
    """List all metrics with their definitions: description, unit, operands, conventions, dimensions and an example."""
    return json_response(request, {"metrics": [describe_metric(METRICS[name]) for name in sorted(METRICS)]})


@router.get(
    "/metrics/{metric}", responses=_ANSWERS, response_class=Response, openapi_extra=query_schema(OneMetricParameters)
)
async def get_metric(request: Request, metric: str) -> Response:
    """Return the definition of a metric and its numbers."""
    params = parse_query(request, OneMetricParameters)
    return await _respond(request, [metric], params, definition=describe_metric(metric_in_path(metric)))


@router.get(
    "/metrics/{metric}/conventions",
    responses=_ANSWERS,
    response_class=Response,
    openapi_extra=query_schema(OneMetricParameters),
)
async def get_conventions(request: Request, metric: str) -> Response:
    """Return the numbers of a metric by each of its conventions, side by side."""
    params = parse_query(request, OneMetricParameters)
    definition = describe_metric(metric_in_path(metric))
    return await _respond(request, [metric], params, definition=definition, side_by_side=True)


@router.get("/query", responses=_ANSWERS, response_class=Response, openapi_extra=query_schema(SeveralParameters))
async def get_query(request: Request) -> Response:
    """Return the numbers of several metrics."""
    params = parse_query(request, SeveralParameters)
    return await _respond(request, params.metrics, params)


@router.post(
    "/query",
    responses=_ANSWERS,
    response_class=Response,
    openapi_extra=body_schema(
        SeveralParameters, {"metrics": ["sessions", "nps"], "period": "last_3_months", "granularity": "month"}
    ),
)
async def post_query(request: Request) -> Response:
    """Return the numbers of several metrics. The question is the JSON body."""
    params = await read_body(request, SeveralParameters)
    try:
        return await _respond(request, params.metrics, params)
    except Invalid as invalid:
        # The parameters are checked as those of a URL, but here they are members of the body.
        for fault in invalid.errors:
            fault["pointer"] = fault["pointer"].removeprefix("/query")
        raise


async def _respond(
    request: Request,
    names: Sequence[str],
    params: OneMetricParameters | SeveralParameters,
    *,
    definition: dict[str, Any] | None = None,
    side_by_side: bool = False,
) -> Response:
    books = books_of(request)
    question = await resolve_question(books, names, params, side_by_side=side_by_side)
    rows, cursor = await answer(books, question, limit=params.limit, cursor=params.cursor)
    body: dict[str, Any] = {"definition": definition} if definition else {}
    body |= {"question": question.as_json(), "rows": rows, "next": cursor} | knowledge_members(question)
    build_table = table_builder(body, after=number_columns(question), flatten=flatten_interval)
    chart = ChartRequest("numbers", params)
    return await rows_response(request, params.format, body, build_table, chart=chart)
