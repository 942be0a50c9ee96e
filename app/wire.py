"""Bytes in and out: bodies are inflated and parsed strictly, answers are tagged so that a client can ask for changes only."""

import hashlib
import io
import re
import zlib
from collections.abc import Iterable, Mapping
from csv import writer
from datetime import datetime
from functools import cache
from json import dumps
from typing import Any, TypeVar, get_origin
from urllib.parse import quote, urlencode

import jiter
import zstandard
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json, to_jsonable_python

from app.errors import Invalid, Malformed, TooLarge, Unsupported, faults_of

JSON = "application/json"
CSV = "text/csv"
_DEEPEST = 64
_WIDEST = 10_000
_MOST_VALUES = 4_000_000
_MOST_MEMBERS = 64
_PIECE = 256
_PLACE = re.compile(r"at line \d+ column \d+$")
_AMOUNT = re.compile(r"-?[0-9]+(\.[0-9]+)?")

# The bodies that doors take, for the components of the OpenAPI document.
SCHEMAS: dict[str, Any] = {}

Model = TypeVar("Model", bound=BaseModel)


class InUrl(BaseModel):
    """Parameters that are asked for in a URL only: these and no others."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def asked(request: Request, model: type[Model]) -> Model:
    """The parameters in the URL of a request as `model`; its lists may be given several times. Raises Invalid.

    The framework would do so too, in a fifth of the time of a small answer.
    """
    lists = _lists_in(model)
    given: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in lists:
            given.setdefault(name, []).append(value)
        elif name in given:
            # Nobody knows which one was meant.
            raise Invalid.at(f"/query/{name}", "The parameter is given more than once.", code="repeated")
        else:
            given[name] = value
    given.pop("api_key", None)  # it has been read
    try:
        return model.model_validate(given)
    except ValidationError as error:
        faults = faults_of(
            [e | {"loc": ("query", *e["loc"])} for e in error.errors(include_url=False, include_input=False)]
        )
        raise Invalid("The request is not acceptable; `errors` says where.", errors=faults) from None


@cache
def _lists_in(model: type[BaseModel]) -> frozenset[str]:
    fields = model.model_fields.items()
    return frozenset(field.alias or name for name, field in fields if get_origin(field.annotation) is list)


def asks(model: type[BaseModel]) -> dict[str, Any]:
    """What the OpenAPI document says of parameters that are read with `asked`."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    SCHEMAS.update(schema.pop("$defs", {}))
    required = schema.get("required", ())
    return {
        "parameters": [
            {"name": name, "in": "query", "required": name in required, "schema": said}
            | ({"description": said["description"]} if "description" in said else {})
            for name, said in schema["properties"].items()
        ]
    }


async def read(request: Request, model: type[Model]) -> Model:
    """The JSON body of a request as `model`, strictly: nothing is coerced. Raises Unsupported, Malformed or Invalid."""
    if media_type(request.headers.get("content-type", "")) != JSON:
        raise Unsupported(f"The content type is {JSON}.")
    most = request.app.state.settings.max_inflated_bytes
    body = inflated(await request.body(), request.headers.get("content-encoding", ""), most=most)
    try:
        return model.model_validate(value_of(body), strict=True)
    except ValidationError as error:
        faults = faults_of(error.errors(include_url=False, include_input=False))
        raise Invalid("The body is not acceptable; `errors` says where.", errors=faults) from None


def takes(model: type[BaseModel]) -> dict[str, Any]:
    """What the OpenAPI document says of a body that is read with `read`."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    SCHEMAS.update(schema.pop("$defs", {}) | {model.__name__: schema})
    reference = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": reference}}}}


def gives(description: str, schema: Any, *, table: bool = False) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says of an answer: JSON of this schema or, where it may be one, a table."""
    content = {JSON: {"schema": schema}} | ({CSV: {"schema": {"type": "string"}}} if table else {})
    return {200: {"description": description, "content": content}}


def object_of(members: Mapping[str, Any], at_times: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The schema of an object that has these members, and others at times."""
    return {"type": "object", "required": [*members], "properties": {**members, **(at_times or {})}}


def list_of(members: Mapping[str, Any], at_times: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The schema of a list of such objects."""
    return {"type": "array", "items": object_of(members, at_times)}


def inflated(body: bytes, encoding: str, *, most: int) -> bytes:
    """The body without its content encoding. Raises TooLarge when it grows beyond `most` bytes."""
    try:
        match encoding.strip().lower():
            case "" | "identity":
                return body
            case "gzip" | "x-gzip":
                return _gunzipped(body, most=most)
            case "zstd":
                return _unzstd(body, most=most)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise Malformed(f"The body is not {encoding.strip().lower()}.", code="malformed_encoding") from error
    raise Unsupported("The content encoding is gzip or zstd, once.", code="unsupported_encoding")


def _gunzipped(body: bytes, *, most: int) -> bytes:
    whole, rest = bytearray(), body
    # Each member copies what follows it, so that many empty ones would cost the square of their number.
    for _ in range(_MOST_MEMBERS):
        member = zlib.decompressobj(wbits=31)
        whole += member.decompress(rest, most + 1 - len(whole))
        if len(whole) > most:
            raise _too_large(most)
        if not member.eof:
            raise EOFError
        rest = member.unused_data
        if not rest:
            return bytes(whole)
    raise zlib.error("too many members")


def _unzstd(body: bytes, *, most: int) -> bytes:
    decompressor, whole, rest = zstandard.ZstdDecompressor(max_window_size=2**27), bytearray(), body
    for _ in range(_MOST_MEMBERS):
        frame = decompressor.decompressobj()
        # In small pieces, since what a piece becomes cannot be limited: three bytes may be 128 KiB.
        for end in range(_PIECE, len(rest) + _PIECE, _PIECE):
            whole += frame.decompress(rest[end - _PIECE : end])
            if len(whole) > most:
                raise _too_large(most)
            if frame.eof:
                break
        if not frame.eof:
            raise EOFError
        rest = frame.unused_data + rest[end:]
        if not rest:
            return bytes(whole)
    raise zstandard.ZstdError("too many frames")


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"The body is larger than {most} bytes when decompressed.")


def media_type(content_type: str) -> str:
    """The type without its parameters, in lower case. Raises Unsupported for a charset other than UTF-8."""
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    for parameter in parameters:
        if parameter.startswith("charset=") and parameter.removeprefix("charset=").strip('"') not in ("utf-8", "utf8"):
            raise Unsupported("The body is UTF-8.", code="unsupported_charset")
    return kind


def value_of(body: bytes) -> Any:
    """The JSON value of a body.

    Raises Malformed, also for NaN, duplicate keys, lone surrogates, more than 64 levels, and objects of more than 10,000
    members (each that nobody asked for is a fault to report); TooLarge for more than some four million values, of which
    the smallest take thirty times their length.
    """
    if body.count(b",") > _MOST_VALUES:
        raise TooLarge(f"The body has more than {_MOST_VALUES} values.")
    try:
        value = jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True, float_mode="decimal")
    except ValueError as error:
        # The parser's message may repeat what was sent; the place is enough.
        place = _PLACE.search(str(error))
        detail = "The body is not well-formed JSON (RFC 8259, UTF-8, no duplicate keys)"
        raise Malformed(f"{detail}{': ' + place[0] if place else ''}.", code="malformed_json") from None
    _check_shape(value)
    return value


def _check_shape(value: Any) -> None:
    containers = [value] if isinstance(value, dict | list) else []
    for _ in range(_DEEPEST):
        if any(len(whole) > _WIDEST for whole in containers if isinstance(whole, dict)):
            raise Malformed(f"A JSON object has at most {_WIDEST} members.", code="malformed_json")
        inner = (part for whole in containers for part in (whole.values() if isinstance(whole, dict) else whole))
        containers = [part for part in inner if isinstance(part, dict | list)]
        if not containers:
            return
    raise Malformed(f"JSON is nested at most {_DEEPEST} levels deep.", code="malformed_json")


def tagged(
    request: Request, body: bytes, *, media_type: str = JSON, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer with its tag, or 304 when the client has it already. The tag is of the bytes: it changes when they do."""
    tag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    carried = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, X-API-Key, Accept",
        **(headers or {}),
    }
    held = {held.strip().removeprefix("W/") for held in request.headers.get("if-none-match", "").split(",")}
    if request.method in ("GET", "HEAD") and ("*" in held or tag.removeprefix("W/") in held):
        return Response(status_code=304, headers=carried)
    return Response(body, media_type=media_type, headers=carried)


def json(request: Request, value: Any, *, headers: Mapping[str, str] | None = None) -> Response:
    """A tagged JSON answer; numbers, dates and None as JSON has them."""
    return tagged(request, to_json(value), headers=headers)


def wants_csv(request: Request, format: str | None) -> bool:
    """Whether the answer is to be a table: by the parameter `format` or else by the `Accept` header."""
    if format is not None:
        return format == "csv"
    return request.headers.get("accept", "").split(",")[0].split(";")[0].strip().lower() == CSV


def csv(
    request: Request,
    columns: Iterable[str],
    rows: Iterable[Iterable[Any]],
    *,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A tagged answer that is a flat table (RFC 4180)."""
    text = io.StringIO()
    table = writer(text)
    table.writerow(map(safe, columns))
    table.writerows([safe(cell) for cell in row] for row in rows)
    return tagged(request, text.getvalue().encode(), media_type=f"{CSV}; charset=utf-8", headers=headers)


def safe(cell: Any) -> Any:
    """A value as JSON has it, an object or a list as its text.

    A text that a spreadsheet would take for a formula is marked as a text; an amount, which is a text of ours, is none.
    """
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, dict | list):
        return dumps(cell, ensure_ascii=False)
    if isinstance(cell, datetime):
        return to_jsonable_python(cell)
    if not isinstance(cell, str) or _AMOUNT.fullmatch(cell):
        return cell
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def next_link(request: Request, cursor: str | None) -> dict[str, str]:
    """The `Link` header to the following page; none after the last."""
    if cursor is None or request.method != "GET":
        return {}
    others = [(name, value) for name, value in request.query_params.multi_items() if name not in ("cursor", "api_key")]
    base = request.app.state.settings.public_url or ""
    path = quote(request.scope["path"], safe="/%")
    return {"Link": f'<{base.rstrip("/")}{path}?{urlencode([*others, ("cursor", cursor)])}>; rel="next"'}
