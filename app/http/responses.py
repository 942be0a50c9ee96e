"""Build responses: ETags, pages, and the output format that the client wants."""

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request, Response

from app.core.aside import MAX_ITEMS, run_aside
from app.http.chart_formats import CHART_FORMATS, ChartParameters, Charts
from app.http.conditional import parse_if_none_match
from app.http.encoded_stream import EncodedStream
from app.http.formats import DEFAULT_FORMAT, FORMATS, Format, encode_whole, write_json
from app.http.polls import CACHE_HEADERS, complete_tag, format_tag, known_tag, not_modified, poll_of
from app.http.row_parameters import RowParameters
from app.http.streams import StreamResponse
from app.http.tables import Answer

# An answer of more rows is sent while it is encoded.
MAX_WHOLE_ROWS = 10_000


def tagged_response(
    request: Request, body: bytes, *, content_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the body with an ETag, or 304 if the client has it already.

    The ETag is a hash of the bytes. That of a poll begins with the state of the data, and its answer is kept in memory.
    """
    poll = poll_of(request.scope)
    tag = complete_tag(poll, _hash(content_type.encode() + body))
    response_headers = _headers(tag) | {**(headers or {})}
    if client_tag := _known_tag(request, tag):
        return not_modified(client_tag, response_headers)
    response = Response(body, media_type=content_type, headers=response_headers)
    return response if poll is None else poll.keep(tag, response)


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def _headers(tag: str | None) -> dict[str, str]:
    return CACHE_HEADERS if tag is None else {"ETag": format_tag(tag), **CACHE_HEADERS}


def _known_tag(request: Request, tag: str) -> str | None:
    """Return the client's own tag of the answer with this tag; None if it does not have that answer."""
    if request.method not in ("GET", "HEAD"):
        return None
    return known_tag(parse_if_none_match(request.headers.get("if-none-match", "")), tag)


def json_response(request: Request, value: Any, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return a value as JSON, with an ETag."""
    return tagged_response(request, write_json(value), content_type=FORMATS["json"].content_type, headers=headers)


async def rows_response(request: Request, parameters: RowParameters, answer: Answer) -> Response:
    """Return a page of rows in the format that the client wants, or a chart of it, with an ETag and the link to the next page.

    An answer of many rows is a stream, whose ETag is the answer's tag. A file without a limit has the further pages, too.
    """
    # A name that does not exist is a fault in every format: of a chart also where none is drawn, of a field also where one is.
    if isinstance(parameters, ChartParameters) and parameters.chart is not None:
        request.app.state.charts.check_name(answer.name, parameters.chart)
    format = parameters.format or DEFAULT_FORMAT
    if isinstance(parameters, ChartParameters) and format in CHART_FORMATS:
        # It takes the columns that it needs.
        answer.choose_columns(parameters.fields)
        return await _chart_response(request, format, parameters, answer)
    entry = FORMATS[format]
    fields = parameters.fields
    own = answer.with_fields(fields) if fields else answer
    has_more = entry.is_file and not parameters.has_limit and answer.load_more is not None and answer.next is not None
    headers = _file_headers(entry, own)
    if not has_more:
        headers |= next_link(request, answer.next)
    if answer.size <= MAX_WHOLE_ROWS and not has_more:
        # To build a workbook takes some milliseconds, however few rows it has.
        items = own.size if entry.is_text else MAX_ITEMS + 1
        content = await run_aside(lambda: encode_whole(entry, own), items=items)
        return tagged_response(request, content, content_type=entry.content_type, headers=headers)
    poll, tag = poll_of(request.scope), None
    if answer.tag is not None and not has_more:
        own_tag = (request.app.version, answer.tag, format, fields, answer.next)
        tag = complete_tag(poll, _hash(repr(own_tag).encode()))
        if client_tag := _known_tag(request, tag):
            return not_modified(client_tag, _headers(tag) | headers)
    elif poll is not None:
        # Further pages are not loaded yet. They are as new as the state, and a state that is over does not come back.
        tag = poll.state
    stream = EncodedStream(entry, own, fields, has_more=has_more)
    return StreamResponse(stream, request.app.state.streams, headers=_headers(tag) | headers)


def _file_headers(entry: Format, answer: Answer) -> dict[str, str]:
    """Return the name under which a browser keeps a file that it cannot show."""
    if entry.is_text or not entry.is_file:
        return {}
    return {"Content-Disposition": f'attachment; filename="{answer.name}.{entry.extension}"'}


async def _chart_response(request: Request, format: str, parameters: ChartParameters, answer: Answer) -> Response:
    charts: Charts = request.app.state.charts
    body = {**answer.body, answer.rows_name: list(answer.body.get(answer.rows_name, ()))}
    currency = request.app.state.books.currency
    content = await charts.draw(answer.name, body, format, parameters, currency=currency)
    entry = CHART_FORMATS[format]
    headers = {**next_link(request, answer.next), **entry.headers}
    return tagged_response(request, content, content_type=entry.media_type, headers=headers)


def next_link(request: Request, cursor: str | None) -> dict[str, str]:
    """Return the `Link` header to the next page; empty after the last page."""
    if cursor is None or request.method != "GET":
        return {}
    params = [(name, value) for name, value in request.query_params.multi_items() if name not in ("cursor", "api_key")]
    # The path begins with that of the public URL.
    origin = request.app.state.settings.public_origin
    path = quote(request.scope["path"], safe="/%")
    return {"Link": f'<{origin}{path}?{urlencode([*params, ("cursor", cursor)])}>; rel="next"'}
