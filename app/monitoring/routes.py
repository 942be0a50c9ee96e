"""The endpoints for those who run the service: the meters for Prometheus, and the size and age of the books."""

from fastapi import APIRouter, Depends, Request, Response

from app.access.auth import books_of, may_read_meters, requires
from app.http.responses import json_response
from app.monitoring.scrape import render_page
from app.monitoring.size_and_age import BOOKS_SCHEMA, load_size_and_age

router = APIRouter(tags=["operations"])

_PAGE = {"description": "The meters.", "content": {"text/plain": {"schema": {"type": "string"}}}}


@router.get(
    "/metrics/prometheus",
    response_class=Response,
    responses={200: _PAGE},
    dependencies=[Depends(may_read_meters)],
)
async def get_meters(request: Request) -> Response:
    """Return counters and gauges about the service for Prometheus.

    They count requests, events, questions, statements and connections of all workers of this machine. The key is the one of
    the setting `PROMETHEUS_KEY`, which also works while the database is away, or one with scope `read`.
    """
    accept = request.headers.get("accept", "")
    page, content_type = await render_page(request.app.state.books, accept, version=request.app.version)
    return Response(page, media_type=content_type)


@router.get(
    "/v1/books",
    name="get_books",
    response_class=Response,
    responses=BOOKS_SCHEMA,
    dependencies=[Depends(requires("read"))],
)
async def get_books(request: Request) -> Response:
    """Return how large the books are, how far they go, and what work waits.

    It is cheap to ask, so a monitor can: up to 10,000 events or accounts are counted, and of more the number is an estimate of
    three digits.
    """
    return json_response(request, await load_size_and_age(books_of(request), version=request.app.version))
