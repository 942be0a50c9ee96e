"""Endpoints for numbers: the catalogue of metrics and questions about them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from app.access.auth import books_of, requires
from app.books.books import Books
from app.core.errors import Invalid
from app.http.body import read_body
from app.http.openapi import body_schema, query_schema, response_schema
from app.http.params import choose_format, parse_query
from app.http.polls import pollable
from app.http.responses import json_response, rows_response
from app.http.row_parameters import MAX_ROWS
from app.http.tables import Answer
from app.metrics.annotations import load_annotations
from app.metrics.answer import Page, answer
from app.metrics.define import METRICS
from app.metrics.describe import MetricInPath, describe_metric, metric_in_path
from app.metrics.lookup import is_large
from app.metrics.parameters import NumberParameters, Parameters, SeveralParameters
from app.metrics.question import Question, resolve_question
from app.metrics.rows import knowledge_members
from app.metrics.schema import ANSWER_SCHEMA, METRICS_SCHEMA, number_columns, question_answer

router = APIRouter(prefix="/v1", tags=["metrics"], dependencies=[Depends(requires("read"))])

_ANSWERS = response_schema("Rows of numbers, each with its proof.", ANSWER_SCHEMA, table=True, chart=True)


@router.get("/metrics", responses=METRICS_SCHEMA, response_class=Response)
@pollable
async def list_metrics(request: Request) -> Response:
    """List all metrics with their definitions: description, unit, operands, conventions, dimensions and an example."""
    return json_response(request, {"metrics": [describe_metric(METRICS[name]) for name in sorted(METRICS)]})


@router.get(
    "/metrics/{metric}", responses=_ANSWERS, response_class=Response, openapi_extra=query_schema(NumberParameters)
)
@pollable
async def get_metric(request: Request, metric: MetricInPath) -> Response:
    """Return the definition of a metric and its numbers. With other parameters, the definition is left out.

    `definition=true` adds it, `definition=false` leaves it out.
    """
    params = parse_query(request, NumberParameters)
    return await _respond(request, [metric], params, definition=_definition(request, metric, params))


@router.get(
    "/metrics/{metric}/conventions",
    name="get_metric_conventions",
    responses=_ANSWERS,
    response_class=Response,
    openapi_extra=query_schema(NumberParameters),
)
@pollable
async def get_conventions(request: Request, metric: MetricInPath) -> Response:
    """Return the numbers of a metric by each of its conventions, side by side."""
    params = parse_query(request, NumberParameters)
    definition = _definition(request, metric, params)
    return await _respond(request, [metric], params, definition=definition, side_by_side=True)


@router.get("/query", responses=_ANSWERS, response_class=Response, openapi_extra=query_schema(SeveralParameters))
@pollable
async def get_query(request: Request) -> Response:
    """Return the numbers of several metrics."""
    params = parse_query(request, SeveralParameters)
    return await _respond(request, params.metrics, params)


@router.post(
    "/query",
    name="query",
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
        choose_format(request, params)
        return await _respond(request, params.metrics, params)
    except Invalid as invalid:
        # The parameters are checked as those of a URL, but here they are members of the body.
        for fault in invalid.errors:
            fault["pointer"] = fault["pointer"].removeprefix("/query")
        raise


async def _respond(
    request: Request,
    names: Sequence[str],
    params: NumberParameters | SeveralParameters,
    *,
    definition: dict[str, Any] | None = None,
    side_by_side: bool = False,
) -> Response:
    books = books_of(request)
    question = await resolve_question(books, names, params, side_by_side=side_by_side)
    members: dict[str, Any] = {"definition": definition} if definition else {}
    members["question"] = question.as_json()
    # To find the sums of a million rows takes seconds. The file begins before, unless the client may have it already.
    may_begin = params.has_all_rows and question.selection.group_by and "if-none-match" not in request.headers
    if may_begin and await is_large(books, question):
        return await rows_response(request, params, _deferred_answer(books, question, members))
    page = await answer(books, question, limit=params.page_rows, cursor=params.cursor)
    if params.annotations and not params.is_file:
        members["annotations"] = await load_annotations(books, question)
    return await rows_response(request, params, _numbers(question, members, page))


def _numbers(question: Question, members: dict[str, Any], page: Page) -> Answer:
    body = members | {"rows": page.rows, "next": page.next} | knowledge_members(question)
    columns = number_columns(question)
    return question_answer("numbers", body, question, after=columns, row_count=page.row_count, tag=page.tag)


def _deferred_answer(books: Books, question: Question, members: dict[str, Any]) -> Answer:
    """Return an answer whose rows are all on the page after its first, which is empty."""

    async def load_rows(_: str) -> Answer:
        return _numbers(question, members, await answer(books, question, limit=MAX_ROWS, cursor=None))

    return replace(_numbers(question, members, Page([], 0, next="rows")), load_more=load_rows)


def _definition(request: Request, metric: str, params: Parameters) -> dict[str, Any] | None:
    """Return the definition of the metric in the path if it is to be in the answer. Raises NotFound."""
    in_path = metric_in_path(metric)
    is_alone = not request.query_params.keys() - {"definition", "api_key"}
    return describe_metric(in_path) if params.definition or (params.definition is None and is_alone) else None
