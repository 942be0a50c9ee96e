"""Endpoints of sources and their deliveries."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field
from pydantic_core import to_json

from app.access.auth import books_of, requires
from app.books.books import Books
from app.core.ids import PathId
from app.http.body import read_body, read_bytes
from app.http.encoding import JSON, MAX_BYTES_AT_ONCE
from app.http.openapi import body_schema, conflict_response, query_schema
from app.http.params import QueryParams, parse_query
from app.http.responses import json_response, next_link
from app.inbound.deliveries import (
    MAX_PAGE,
    ReplayableStatus,
    Status,
    list_deliveries,
    load_delivery,
    load_events,
)
from app.inbound.describe import (
    DELIVERIES_SCHEMA,
    DELIVERY_SCHEMA,
    PREVIEW_SCHEMA,
    RECEIPT_SCHEMA,
    REPLAY_SCHEMA,
    SOURCE_SCHEMA,
    SOURCES_SCHEMA,
    VENDORS_SCHEMA,
    delivery_to_json,
    list_vendors,
    preview_to_json,
    receipt_to_json,
    summary_to_json,
)
from app.inbound.receive import Receipt, preview, receive, unknown_source
from app.inbound.replay import replay, replay_all
from app.inbound.schemes import SignedRequest
from app.inbound.sources import (
    DeliverySource,
    SourceBody,
    delete_source,
    find_source,
    list_sources,
    load_source,
    put_source,
)

router = APIRouter(prefix="/v1", tags=["inbound"], default_response_class=Response)
ADMIN = [Depends(requires("admin"))]

_PATH = "/v1/inbound/"
_EXAMPLE: dict[str, Any] = {"vendor": "stripe", "secrets": ["whsec_the-signing-secret-of-stripe"]}
_RAW_BODY = {
    "requestBody": {
        "required": True,
        "description": "As the vendor sends it.",
        "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}
SourceId = Annotated[PathId, Path(alias="source", description="The name of the source.")]
DeliveryId = Annotated[PathId, Path(alias="delivery", description="The id of the delivery.")]


class _DeliveryParameters(QueryParams):
    status: Status | None = Field(None, description="Only deliveries with this status.")
    limit: int = Field(100, ge=1, le=MAX_PAGE, description="Deliveries of a page.")
    cursor: str | None = Field(None, max_length=1_000, description="`next` of the page before.")


class _ReplayParameters(QueryParams):
    status: ReplayableStatus | None = Field(
        None, description="Only deliveries with this status. Default: all that were not erased."
    )


@router.post(
    "/inbound/{source}",
    name="post_inbound_delivery",
    responses=RECEIPT_SCHEMA,
    openapi_extra={**_RAW_BODY, "security": []},
)
async def post_delivery(request: Request, source_id: SourceId) -> Response:
    """Receive a delivery of another system, which is authenticated by its signature and needs no key.

    It is kept as received, in one transaction with the events that it becomes. 202: it is kept, and became no event.
    """
    books = books_of(request)
    source = await find_source(books, source_id)
    if source is None:
        raise unknown_source()
    signed_request = await _read_request(request)
    receipt = await receive(books, source, signed_request, max_bytes=_max_bytes(request))
    if (reply := source.vendor.reply(signed_request.body)) is not None:
        return Response(reply.body, media_type=reply.media_type)
    return _respond(receipt)


@router.options("/inbound/{source}", include_in_schema=False)
async def allow_deliveries() -> Response:
    """Consent to deliveries, as the webhook specification of CloudEvents asks for: of any sender, at any rate.

    The answer is the same for a source that does not exist. Deliveries are authenticated, whatever was consented to.
    """
    headers = {"Allow": "GET, HEAD, OPTIONS, POST", "WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "*"}
    return Response(status_code=200, headers=headers)


@router.get("/inbound/{source}", include_in_schema=False)
async def show_that_it_exists() -> Response:
    """Answer vendors that look whether there is something at the URL before they accept it: Intercom sends HEAD."""
    return Response("Deliveries are sent here by POST.\n", media_type="text/plain")


def _respond(receipt: Receipt) -> Response:
    status = 200 if receipt.result.events else 202
    return Response(to_json(receipt_to_json(receipt)), status_code=status, media_type=JSON)


async def _read_request(request: Request) -> SignedRequest:
    """Return the request as it was sent, with the URL that the sender called."""
    body = await read_bytes(request, max_bytes=_max_bytes(request), advice="Let the sender send smaller ones.")
    headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in request.headers.raw]
    return SignedRequest(request.method, _called_url(request), headers, body)


def _called_url(request: Request) -> str:
    """Return the URL that the sender called: below PUBLIC_URL, since a proxy may have changed host and path."""
    raw_path = request.scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
    name = raw_path.rpartition(_PATH)[2]
    query = request.scope.get("query_string", b"").decode("latin-1")
    return f"{_base_of(request)}{_PATH}{name}" + (f"?{query}" if query else "")


def _base_of(request: Request) -> str:
    return request.app.state.settings.public_url or str(request.base_url).rstrip("/")


def _max_bytes(request: Request) -> int:
    settings = request.app.state.settings
    return int(min(MAX_BYTES_AT_ONCE, settings.max_body_bytes, settings.max_inflated_bytes))


@router.put(
    "/sources/{source}",
    name="put_source",
    dependencies=ADMIN,
    responses=SOURCE_SCHEMA | conflict_response("The source exists with another vendor (`other_vendor`)."),
    openapi_extra=body_schema(SourceBody, _EXAMPLE),
)
async def put_a_source(request: Request, source_id: SourceId) -> Response:
    """Put a source: the vendor that sends to its URL, the secrets, and where a payload says which account it is about.

    Secrets are never shown again. To rotate one, put the new and the old one together, and later the new one alone.
    """
    source = await put_source(books_of(request), source_id, await read_body(request, SourceBody))
    return json_response(request, source.to_json(url=_url_of(request, source.id)))


def _url_of(request: Request, source_id: str) -> str:
    return f"{_base_of(request)}{_PATH}{quote(source_id, safe='')}"


@router.get("/sources", name="list_sources", dependencies=ADMIN, responses=SOURCES_SCHEMA)
async def get_sources(request: Request) -> Response:
    """List the sources, each with the number of its kept deliveries by status."""
    sources = [
        source.to_json(url=_url_of(request, source.id)) | {"deliveries": counts}
        for source, counts in await list_sources(books_of(request))
    ]
    return json_response(request, {"sources": sources})


@router.get("/sources/{source}", dependencies=ADMIN, responses=SOURCE_SCHEMA)
async def get_source(request: Request, source_id: SourceId) -> Response:
    """Return a source."""
    source = await load_source(books_of(request), source_id)
    return json_response(request, source.to_json(url=_url_of(request, source.id)))


@router.delete("/sources/{source}", name="delete_source", status_code=204, response_class=Response, dependencies=ADMIN)
async def delete_a_source(request: Request, source_id: SourceId) -> None:
    """Delete a source and its kept deliveries. The events that they became stay."""
    await delete_source(books_of(request), source_id)


@router.post(
    "/sources/{source}/preview",
    name="preview_delivery",
    dependencies=ADMIN,
    responses=PREVIEW_SCHEMA,
    openapi_extra=_RAW_BODY,
)
async def post_preview(request: Request, source_id: SourceId) -> Response:
    """Return what a payload would become, without storing anything. It needs no signature."""
    books, source = await _load(request, source_id)
    signed_request = await _read_request(request)
    return json_response(
        request, preview_to_json(*await preview(books, source, signed_request, max_bytes=_max_bytes(request)))
    )


async def _load(request: Request, source_id: str) -> tuple[Books, DeliverySource]:
    books = books_of(request)
    return books, await load_source(books, source_id)


@router.get(
    "/sources/{source}/deliveries",
    name="list_deliveries",
    dependencies=ADMIN,
    responses=DELIVERIES_SCHEMA,
    openapi_extra=query_schema(_DeliveryParameters),
)
async def get_deliveries(request: Request, source_id: SourceId) -> Response:
    """List the kept deliveries of a source, the latest first, with what became of them and why."""
    parameters = parse_query(request, _DeliveryParameters)
    books, source = await _load(request, source_id)
    rows, cursor = await list_deliveries(
        books, source.id, status=parameters.status, limit=parameters.limit, cursor=parameters.cursor
    )
    body = {"deliveries": [summary_to_json(row) for row in rows], "next": cursor}
    return json_response(request, body, headers=next_link(request, cursor))


@router.get("/sources/{source}/deliveries/{delivery}", dependencies=ADMIN, responses=DELIVERY_SCHEMA)
async def get_delivery(request: Request, source_id: SourceId, delivery_id: DeliveryId) -> Response:
    """Return a kept delivery as it was received, and the events that it became."""
    books, source = await _load(request, source_id)
    row = await load_delivery(books, source.id, delivery_id)
    return json_response(request, delivery_to_json(row, await load_events(books, row)))


@router.post(
    "/sources/{source}/deliveries/{delivery}/replay",
    name="replay_delivery",
    dependencies=ADMIN,
    responses=RECEIPT_SCHEMA | conflict_response("The delivery was erased (`erased`)."),
)
async def post_replay(request: Request, source_id: SourceId, delivery_id: DeliveryId) -> Response:
    """Translate a kept delivery again, by the current mapping. Events that are stored already are duplicates."""
    books, source = await _load(request, source_id)
    return _respond(await replay(books, source, delivery_id))


@router.post(
    "/sources/{source}/replay",
    name="replay_deliveries",
    dependencies=ADMIN,
    responses=REPLAY_SCHEMA,
    openapi_extra=query_schema(_ReplayParameters),
)
async def post_replay_of_all(request: Request, source_id: SourceId) -> Response:
    """Translate all kept deliveries of a status again, the earliest first, and return how many have which status now."""
    parameters = parse_query(request, _ReplayParameters)
    books, source = await _load(request, source_id)
    counts = await replay_all(books, source, status=parameters.status)
    return Response(to_json({"deliveries": counts}), media_type=JSON)


@router.get(
    "/inbound-vendors", name="list_inbound_vendors", dependencies=[Depends(requires("read"))], responses=VENDORS_SCHEMA
)
async def get_vendors(request: Request) -> Response:
    """List the vendors whose deliveries are understood: how they are verified, what becomes what, and an example."""
    return json_response(request, {"vendors": list_vendors()})
