"""The endpoint for Prometheus."""

from fastapi import APIRouter, Depends, Request, Response

from app.access.auth import may_read_meters
from app.monitoring.scrape import render_page

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
