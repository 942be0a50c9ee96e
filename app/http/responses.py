"""Build responses: ETags, pages, and the output format that the client wants."""

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request, Response

from app.core.aside import run_aside
from app.http.chart_formats import CHART_FORMATS, ChartRequest, choose_chart_format
from app.http.formats import FORMATS, BuildTable, choose_format, write_json


def tagged_response(
    request: Request, body: bytes, *, content_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the body with an ETag, or 304 if the client has it already. The ETag is a hash of the bytes."""
    tag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    response_headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, X-API-Key, Accept",
        **(headers or {}),
    }
    client_tags = {part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")}
    if request.method in ("GET", "HEAD") and ("*" in client_tags or tag.removeprefix("W/") in client_tags):
        return Response(status_code=304, headers=response_headers)
    return Response(body, media_type=content_type, headers=response_headers)


def json_response(request: Request, value: Any, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return a value as JSON, with an ETag."""
    return tagged_response(request, write_json(value), content_type=FORMATS["json"].content_type, headers=headers)


async def rows_response(
    request: Request,
    format: str | None,
    body: Mapping[str, Any],
    build_table: BuildTable,
    *,
    chart: ChartRequest | None = None,
) -> Response:
    """Return a page of rows in the format that the client wants, with an ETag and the link to the next page.

    format: the parameter; None: what `Accept` asks for. body: the answer as an object; its `next` is the cursor of the next
    page. build_table: the same as a table. chart: the chart that it can be; None: it cannot be one.
    """
    headers = next_link(request, body["next"])
    return await table_response(request, format, body, build_table, chart=chart, headers=headers)


async def table_response(
    request: Request,
    format: str | None,
    body: Mapping[str, Any],
    build_table: BuildTable,
    *,
    chart: ChartRequest | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an answer that is also a table, without pages; see `rows_response`."""
    if chart and (chart_format := choose_chart_format(format, request.headers.get("accept", ""))):
        return await _chart_response(request, chart, chart_format, body, headers=headers or {})
    entry = choose_format(format, request.headers.get("accept", ""))
    count = max((len(member) for member in body.values() if isinstance(member, list)), default=0)
    content = await run_aside(lambda: entry.write(body, build_table), items=count)
    return tagged_response(request, content, content_type=entry.content_type, headers=headers)


async def _chart_response(
    request: Request, chart: ChartRequest, format: str, body: Mapping[str, Any], *, headers: Mapping[str, str]
) -> Response:
    state, entry = request.app.state, CHART_FORMATS[format]
    content = await state.charts.draw(chart, format, body, currency=state.books.currency)
    return tagged_response(request, content, content_type=entry.media_type, headers={**headers, **entry.headers})


def next_link(request: Request, cursor: str | None) -> dict[str, str]:
    """Return the `Link` header to the next page; empty after the last page."""
    if cursor is None or request.method != "GET":
        return {}
    params = [(name, value) for name, value in request.query_params.multi_items() if name not in ("cursor", "api_key")]
    # The path begins with that of the public URL.
    origin = request.app.state.settings.public_origin
    path = quote(request.scope["path"], safe="/%")
    return {"Link": f'<{origin}{path}?{urlencode([*params, ("cursor", cursor)])}>; rel="next"'}
