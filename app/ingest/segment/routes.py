"""The endpoints that Segment's libraries send to."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, cast

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from app.access.auth import authorize_key, books_of, has_key, requires
from app.books.books import Books
from app.core.errors import Invalid, Malformed, TooLarge, Unsupported
from app.http.body import check_media_type, incoming_body, read_bytes
from app.http.encoding import JSON, MAX_BYTES_AT_ONCE, decompress, parse_json
from app.http.openapi import REQUIRED_SCOPES, body_schema
from app.http.problems import problem_response
from app.ingest.large_batches import LargeBatches
from app.ingest.schemas import BATCH_RESPONSES
from app.ingest.segment.accept import CallBatch, accept_calls, decode_batch, decode_call
from app.ingest.segment.schemas import CALL_MODELS, EXAMPLE_BATCH, EXAMPLES, SegmentAnswer, SegmentBatch

router = APIRouter(prefix="/v1/segment", tags=["segment"])

# Who has sent a body without a key in a header is not known yet. Segment's libraries send at most 500 kB at once.
_MAX_UNKNOWN_BYTES = 2**19
# The body may have the key, so no dependency says it.
_SCOPES = {REQUIRED_SCOPES: ["ingest"]}


@router.post("/batch", response_model=SegmentAnswer, openapi_extra=body_schema(SegmentBatch, EXAMPLE_BATCH) | _SCOPES)
@router.post("/v1/batch", response_model=SegmentAnswer, include_in_schema=False)
async def post_segment_batch(request: Request) -> Response:
    """Store and count the calls that a library of Segment sends, each exactly once.

    The key is the write key: as user name of HTTP Basic, in another header, or as `writeKey` of the body. The answer is 200 also
    when calls were rejected, since the libraries would lose the whole batch otherwise. Sending a batch again is always safe. A
    library with the option `host` only gets `/v1/segment` as the path of its host.
    """
    return Response(to_json(await _accept(request, decode_batch)), media_type=JSON)


def _call_endpoint(kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def post(request: Request) -> Response:
        answer = await _accept(request, partial(decode_call, kind=kind))
        if answer["rejected"]:
            # Without `success`, which an error would deny.
            members: Any = {name: answer[name] for name in ("accepted", "duplicates", "rejected")}
            problem = Invalid("The call was not accepted; see `rejected`.", code="all_rejected", **members)
            return problem_response(problem)
        return Response(to_json(answer), media_type=JSON)

    article = "an" if kind[0] in "aeiou" else "a"
    post.__name__ = f"post_segment_{kind}"
    post.__doc__ = f"Store and count {article} {kind} call of Segment.\n\n{CALL_MODELS[kind].__doc__}"
    return post


for _kind, _model in CALL_MODELS.items():
    router.add_api_route(
        f"/{_kind}",
        _call_endpoint(_kind),
        methods=["POST"],
        response_model=SegmentAnswer,
        responses=BATCH_RESPONSES,
        openapi_extra=body_schema(_model, EXAMPLES[_kind]) | _SCOPES,
    )


async def _accept(request: Request, decode: Callable[[bytes], CallBatch]) -> SegmentAnswer:
    """Authenticate the sender, and store the calls in the body of a request."""
    body = incoming_body(request)
    if has_key(request):
        await requires("ingest")(request)
    else:
        content = await read_bytes(request, max_bytes=_MAX_UNKNOWN_BYTES, advice="Send the key in a header.")
        await authorize_key(request, _find_write_key(content, body.encoding), "ingest")
        body = body._replace(parts=_once(content))
    check_media_type(request)
    books, batches = books_of(request), cast(LargeBatches, request.app.state.large_batches)
    received_at = books.now()

    async def store(books: Books, batch: CallBatch) -> SegmentAnswer:
        return await accept_calls(books, batch, received_at=received_at)

    limit = min(body.max_inflated_bytes, MAX_BYTES_AT_ONCE)
    return await batches.accept(books, body._replace(max_inflated_bytes=limit), decode=decode, store=store)


def _find_write_key(content: bytes, encoding: str) -> str | None:
    """Return the write key in a body; None where there is none, or the body cannot be read."""
    try:
        value = parse_json(decompress(content, encoding, max_bytes=_MAX_UNKNOWN_BYTES))
    except (Malformed, TooLarge, Unsupported):
        return None
    key = value.get("writeKey") if isinstance(value, dict) else None
    return key if isinstance(key, str) else None


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
