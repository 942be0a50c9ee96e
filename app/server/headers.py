"""The headers and the URL of a request: what is wrong with them, and the headers that every response has."""

import os
import re
from collections.abc import Iterable, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

from app.core.errors import HeadersTooLarge, Malformed, Problem, TooLarge

Headers = list[tuple[bytes, bytes]]
HeaderValues = dict[bytes, list[bytes]]

MAX_HEADERS = 100
MAX_HEADER_BYTES = 32 * 2**10
_UNREPEATABLE = (b"authorization", b"x-api-key", b"content-length", b"content-type", b"content-encoding")
# Their values are lists, which may be in several lines.
_LISTS = (b"accept", b"accept-encoding", b"if-none-match", b"prefer")
_CHECKED_HEADERS = frozenset({b"host", b"x-request-id", b"traceparent", b"transfer-encoding", *_UNREPEATABLE, *_LISTS})
_HOST = re.compile(rb"[\w.~%!$&'()*+,;=:\[\]-]+")
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_RESPONSE_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]


def read_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[HeaderValues, int]:
    """Return the values of the headers that are checked, by name, and the size of all headers in bytes."""
    checked_headers: HeaderValues = {}
    size = 0
    for name, value in headers:
        size += len(name) + len(value)
        if name in _CHECKED_HEADERS:
            checked_headers.setdefault(name, []).append(value)
    return checked_headers, size


def join_lists(headers: Headers, values: HeaderValues) -> Headers:
    """Return the headers with each list in one line, so that all who read it read the same (RFC 9110, 5.3).

    values: of the checked headers.
    """
    repeated_names = {name for name in _LISTS if len(values.get(name, ())) > 1}
    if not repeated_names:
        return headers
    other_headers = [own for own in headers if own[0] not in repeated_names]
    return [*other_headers, *((name, b", ".join(values[name])) for name in repeated_names)]


def request_id(headers: HeaderValues) -> str:
    """Return the request id that the client sent, or a new one."""
    values = headers.get(b"x-request-id")
    return values[0].decode() if values and _REQUEST_ID.fullmatch(values[0]) else os.urandom(16).hex()


def trace_context(headers: HeaderValues) -> dict[str, str]:
    """Return `traceparent` as the client sent it and the `trace_id` in it, for the log; empty without a valid one.

    >>> trace_context({b"traceparent": [b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]})["trace_id"]
    '0af7651916cd43dd8448eb211c80319c'
    """
    values = headers.get(b"traceparent", ())
    match = _TRACEPARENT.fullmatch(values[0]) if len(values) == 1 and len(values[0]) <= 128 else None
    return {"traceparent": match[0].decode("latin-1"), "trace_id": match[1].decode()} if match else {}


def find_header_fault(
    scope: MutableMapping[str, Any], headers: HeaderValues, *, header_bytes: int, max_body_bytes: int
) -> Problem | None:
    """Return what is wrong with the headers, above all what two programs could read in two ways; None if nothing is."""
    size = header_bytes + len(scope["path"]) + len(scope.get("query_string", b""))
    if len(scope["headers"]) > MAX_HEADERS or size > MAX_HEADER_BYTES:
        limits = f"{MAX_HEADERS} headers, and {MAX_HEADER_BYTES} bytes of headers and URL"
        return HeadersTooLarge(f"The request has too many or too large headers. At most {limits} are accepted.")
    hosts = headers.get(b"host", ())
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        return Malformed("The request needs exactly one valid Host header.", code="malformed_host")
    for name, values in headers.items():
        if len(values) > 1 and name in _UNREPEATABLE:
            return Malformed(f'Header "{name.decode()}" is given more than once.', code="repeated_header")
    lengths = headers.get(b"content-length", ())
    if b"transfer-encoding" in headers and (lengths or scope.get("http_version") == "1.0"):
        detail = (
            "The length of the body is ambiguous. Send Content-Length or, with HTTP/1.1, Transfer-Encoding: chunked."
        )
        return Malformed(detail, code="malformed_length")
    if lengths and not lengths[0].isdigit():
        return Malformed("Content-Length must be a number of bytes.", code="malformed_length")
    if lengths and (len(lengths[0]) > 18 or int(lengths[0]) > max_body_bytes):
        return body_too_large(max_body_bytes)
    return None


def body_too_large(max_body_bytes: int) -> Problem:
    return TooLarge(f"The body is larger than {max_body_bytes:,} bytes. Send smaller requests.")


def check_query(query: bytes) -> None:
    """Raise UnicodeDecodeError for a query that is not percent-encoded UTF-8: with U+FFFD instead, two ids could be the same."""
    text = query.decode("ascii")
    if "%" in text:
        unquote_to_bytes(text).decode()


def complete_headers(headers: Iterable[tuple[bytes, bytes]], *, request_id: str) -> Headers:
    """Return the headers of a response with those that every response has, unless the app has set its own."""
    complete = list(headers)
    names = dict(complete)
    complete += [header for header in _RESPONSE_HEADERS if header[0] not in names]
    if b"x-request-id" not in names:
        complete.append((b"x-request-id", request_id.encode()))
    return complete
