"""Read JSON bodies into Pydantic models."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from app.core.errors import Invalid, TooLarge, Unsupported, validation_faults
from app.core.names import field_finder
from app.core.settings import Settings
from app.http.encoding import JSON, IncomingBody, decompress, parse_json, parse_media_type

# Of all bodies but batches of events, which are read by `ingest`.
MAX_BYTES = 2**20

Body = TypeVar("Body", bound=BaseModel)


def incoming_body(request: Request) -> IncomingBody:
    """Return the body of a request, of any size that the service accepts, which is still to be read."""
    settings: Settings = request.app.state.settings
    length = request.headers.get("content-length")
    return IncomingBody(
        request.stream(),
        int(length) if length is not None else None,
        request.headers.get("content-encoding", ""),
        settings.max_body_bytes,
        settings.max_inflated_bytes,
    )


async def read_json(request: Request) -> Any:
    """Return the JSON body of a request as it is. Raises Unsupported, Malformed or TooLarge."""
    check_media_type(request)
    return _parse(request, await _read_content(request))


def check_media_type(request: Request) -> None:
    """Raise Unsupported for a request whose Content-Type is not that of JSON."""
    if parse_media_type(request.headers.get("content-type", "")) != JSON:
        raise Unsupported(f"Content-Type must be {JSON}.")


def _max_bytes(request: Request) -> int:
    settings: Settings = request.app.state.settings
    return min(MAX_BYTES, settings.max_inflated_bytes)


async def _read_content(request: Request) -> bytes:
    advice = "Only batches of events may be larger."
    return await read_bytes(request, max_bytes=_max_bytes(request), advice=advice)


def _parse(request: Request, content: bytes) -> Any:
    encoding = request.headers.get("content-encoding", "")
    return parse_json(decompress(content, encoding, max_bytes=_max_bytes(request)))


async def read_bytes(request: Request, *, max_bytes: int, advice: str) -> bytes:
    """Return the body of a request as it is. advice: what to do about one that is too large. Raises TooLarge."""
    content = bytearray()
    async for part in request.stream():
        content += part
        # Not when all of it is there: sixteen times as much would be in memory, for each of many requests.
        if len(content) > max_bytes:
            raise TooLarge(f"The body is larger than {max_bytes:,} bytes. {advice}")
    return bytes(content)


async def read_body(request: Request, model: type[Body]) -> Body:
    """Return the JSON body of a request as `model`, validated strictly. Raises Invalid, and what `read_json` does."""
    return _validate(await read_json(request), model)


async def read_optional_body(request: Request, model: type[Body]) -> Body:
    """Return the JSON body of a request as `read_body` does; of a request without one, the defaults of the model.

    A request without a body needs no Content-Type: who sends nothing does not say what it is.
    """
    content = await _read_content(request)
    if not content:
        return model()
    check_media_type(request)
    return _validate(_parse(request, content), model)


def _validate(raw: Any, model: type[Body]) -> Body:
    try:
        return model.model_validate(raw, strict=True)
    except ValidationError as error:
        faults = validation_faults(error.errors(include_url=False), fields=find_fields(model))
        raise Invalid.of(faults, subject="The body", code="invalid") from None


@cache
def find_fields(model: type[BaseModel]) -> Callable[[Sequence[str | int]], list[str]]:
    """Return the function that finds the names of the fields at a location of a model."""
    return field_finder(model.model_json_schema())
