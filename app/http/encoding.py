"""Decode request bodies: media type, content encoding, JSON. Every limit is checked before memory is spent."""

import codecs
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Any, NamedTuple

import jiter
import zstandard

from app.core.errors import Malformed, TooLarge, Unsupported

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
NDJSON = "application/x-ndjson"
MAX_DEPTH = 64
MAX_MEMBERS = 10_000
MAX_VALUES = 1_000_000
# Of one value that is parsed at once: that takes up to 50 milliseconds, in which nothing else can go on.
MAX_VALUES_AT_ONCE = 50_000
# And so many bytes: numbers of thousands of digits take longer than other values.
MAX_BYTES_AT_ONCE = 2**22
MAX_COMPRESSED_FRAMES = 64
_ZSTD_CHUNK_BYTES = 256
# How gzip and zstd begin.
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
# A body has one value. Several, one a line, are NDJSON.
ONE_VALUE_ADVICE = "; send one value per line as application/x-ndjson"
# By what the parser's message contains: the problem as a sentence.
_JSON_PROBLEMS = {
    "duplicate key": "an object has a key twice",
    "trailing characters": f"more text after the end of the value{ONE_VALUE_ADVICE}",
    "trailing comma": "a comma after the last item",
    "EOF": "it ends too early",
    "key must be a string": "a key must be in double quotes",
    "invalid number": "a number is not written as in JSON, or is NaN or infinite",
    "control character": "a text has a line end or another control character, which must be escaped",
    "invalid escape": "a text has a backslash that escapes nothing; write two",
    "hex escape": "a text has half of a surrogate pair, or an incomplete escape",
    "unicode code point": "it is not UTF-8",
    "expected value": "a value must be a text in double quotes, a number, true, false, null, an object or an array",
    "expected `:`": "a colon is missing",
    "expected `,`": "a comma or a closing bracket is missing",
}
_VALUES_PER_PART = 10_000
_BYTES_PER_PART = 2**18
# A whole string, or a sign that structures arrays and objects.
_STRUCTURE = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]', re.DOTALL)
_POSITION = re.compile(r"at line \d+ column \d+$")


class IncomingBody(NamedTuple):
    """The body of a request that is still to be read. length: as the request says it. encoding: its Content-Encoding.

    max_bytes: how many it may have, which the server sees to. max_inflated_bytes: how many of them when it is decompressed.
    """

    parts: AsyncIterator[bytes]
    length: int | None
    encoding: str
    max_bytes: int
    max_inflated_bytes: int


def parse_media_type(content_type: str) -> str:
    """Return the media type without parameters, in lower case. Raises Unsupported for a charset other than UTF-8."""
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    for parameter in parameters:
        if parameter.startswith("charset=") and parameter.removeprefix("charset=").strip('"') not in ("utf-8", "utf8"):
            raise Unsupported("The charset must be UTF-8.", code="unsupported_charset")
    return media_type


def decompress(body: bytes, encoding: str, *, max_bytes: int) -> bytes:
    """Return the body without its content encoding. Raises TooLarge when it grows beyond `max_bytes`."""
    try:
        match encoding.strip().lower():
            case "" | "identity":
                return body
            case "gzip" | "x-gzip":
                return _gunzip(body, max_bytes=max_bytes)
            case "zstd":
                return _unzstd(body, max_bytes=max_bytes)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        detail = (
            f"The body is not valid {encoding.strip().lower()}. If it is not compressed, leave out Content-Encoding."
        )
        raise Malformed(detail, code="malformed_encoding") from error
    raise Unsupported("Content-Encoding must be gzip or zstd, once.", code="unsupported_encoding")


def decompress_within(body: bytes, encoding: str, *, limit: int) -> bytes | None:
    """Return a body without its content encoding; None for one of more than `limit` bytes. Raises as `decompress` else does."""
    try:
        content = decompress(body, encoding, max_bytes=limit)
    except TooLarge:
        return None
    return content if len(content) <= limit else None


def _gunzip(body: bytes, *, max_bytes: int) -> bytes:
    content, rest = b"", body
    # Each member copies what follows it, so the cost of many empty members would be quadratic.
    for _ in range(MAX_COMPRESSED_FRAMES):
        member = zlib.decompressobj(wbits=31)
        # Nearly always there is one member, whose content need not be copied.
        part = member.decompress(rest, max_bytes + 1 - len(content))
        content = content + part if content else part
        if len(content) > max_bytes:
            raise _too_large(max_bytes)
        if not member.eof:
            raise EOFError
        rest = member.unused_data
        if not rest:
            return content
    raise zlib.error("too many members")


def _unzstd(body: bytes, *, max_bytes: int) -> bytes:
    decompressor, content, rest = zstandard.ZstdDecompressor(max_window_size=2**27), bytearray(), body
    for _ in range(MAX_COMPRESSED_FRAMES):
        frame = decompressor.decompressobj()
        # In small chunks, because the output of a chunk cannot be limited: three bytes may become 128 KiB.
        for end in range(_ZSTD_CHUNK_BYTES, len(rest) + _ZSTD_CHUNK_BYTES, _ZSTD_CHUNK_BYTES):
            content += frame.decompress(rest[end - _ZSTD_CHUNK_BYTES : end])
            if len(content) > max_bytes:
                raise _too_large(max_bytes)
            if frame.eof:
                break
        if not frame.eof:
            raise EOFError
        rest = frame.unused_data + rest[end:]
        if not rest:
            return bytes(content)
    raise zstandard.ZstdError("too many frames")


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"The decompressed body is larger than {max_bytes:,} bytes.")


def parse_json(body: bytes) -> Any:
    """Return the JSON value of a body.

    Raises Malformed, also for NaN, duplicate keys, lone surrogates, more than 64 levels, and objects with more than 10,000
    members (each unexpected member is an error to report); TooLarge for more than about 50,000 values, since the smallest
    values take thirty times their length in memory, and while they are parsed nothing else can go on. See `parse_json_array`.
    """
    if body.count(b",") > MAX_VALUES_AT_ONCE:
        raise _too_many_values(MAX_VALUES_AT_ONCE)
    return _parse(body)


def _parse(body: bytes) -> Any:
    try:
        value = jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True, float_mode="decimal")
    except ValueError as error:
        # The parser's message may repeat what was sent; its kind and the position are enough.
        position = _POSITION.search(str(error))
        reason = _name_json_problem(body, str(error))
        detail = f"The body is not well-formed JSON{', ' + position[0] if position and body.strip() else ''}: {reason}."
        raise Malformed(detail, code="malformed_json") from None
    _check_shape(value)
    return value


def _name_json_problem(body: bytes, message: str) -> str:
    """Return what keeps a body from being JSON, and what to do. message: of the parser."""
    if not body.strip():
        return "it is empty"
    if body.startswith(_COMPRESSED):
        return "it is compressed; say so with the header Content-Encoding"
    if body.startswith(codecs.BOM_UTF8):
        return "it begins with a byte order mark; leave it out"
    try:
        body.decode()
    except UnicodeDecodeError:
        return "it is not UTF-8"
    return next(
        (reason for part, reason in _JSON_PROBLEMS.items() if part in message), "this character cannot stand here"
    )


def parse_json_array(body: bytes) -> list[Any]:
    """Return the items of a JSON array with up to about a million values, parsed in parts. Raises as `parse_json` does.

    In a thread, others go on between the parts. An error does not say where it is.
    """
    items: list[Any] = []
    parts, has_blank = 0, False
    for part in _split_array(body):
        parts, has_blank = parts + 1, has_blank or not part.strip()
        try:
            items += _parse(b"[%b]" % part)
        except Malformed as error:
            raise (_not_well_formed() if "line" in error.detail else error) from None
    if has_blank and parts > 1:
        raise _not_well_formed()
    return items


def check_value_count(body: bytes) -> None:
    """Raise TooLarge for a body of several JSON values with more than about a million values within them.

    Commas in texts do not count.
    """
    if body.count(b",") > MAX_VALUES:
        commas = (token for token in _STRUCTURE.finditer(body) if body[token.start()] == b","[0])
        if next(islice(commas, MAX_VALUES, None), None) is not None:
            raise _too_many_values(MAX_VALUES)


def _split_array(body: bytes) -> Iterator[bytes]:
    """Yield the text of a JSON array in parts of whole items, without the brackets and the commas between the parts.

    Only quotes, brackets and commas are looked at. Raises Malformed where they do not make one array, and TooLarge.
    """
    start, values, all_values, depth, end = 0, 0, 0, 0, -1
    for token in _STRUCTURE.finditer(body):
        mark = body[token.start()]
        if mark in b"[{":
            if depth == 0 and (end >= 0 or mark != b"["[0] or body[: token.start()].strip()):
                raise _not_well_formed()
            if depth == 0:
                start = token.end()
            depth += 1
        elif mark in b"]}":
            depth -= 1
            if depth == 0:
                end = token.start()
                if mark != b"]"[0] or body[token.end() :].strip():
                    raise _not_well_formed()
                _check_part(end - start)
                yield body[start:end]
        elif mark == b","[0]:
            values, all_values = values + 1, all_values + 1
            if values > MAX_VALUES_AT_ONCE or all_values > MAX_VALUES:
                raise _too_many_values(MAX_VALUES_AT_ONCE if values > MAX_VALUES_AT_ONCE else MAX_VALUES)
            if depth == 1 and (values > _VALUES_PER_PART or token.start() - start > _BYTES_PER_PART):
                _check_part(token.start() - start)
                yield body[start : token.start()]
                start, values = token.end(), 0
        if depth < 0 or (depth == 0 and end < 0):
            raise _not_well_formed()
    if end < 0:
        raise _not_well_formed()


def _check_part(size: int) -> None:
    if size > MAX_BYTES_AT_ONCE:
        raise TooLarge(f"One event may have at most {MAX_BYTES_AT_ONCE // 2**20} MiB. Send smaller ones.")


def _too_many_values(limit: int) -> TooLarge:
    return TooLarge(
        f"At most {limit:,} values are accepted: in one event or object {MAX_VALUES_AT_ONCE:,}. Send smaller requests."
    )


def _not_well_formed() -> Malformed:
    return Malformed("The body is not well-formed JSON (RFC 8259, UTF-8, no duplicate keys).", code="malformed_json")


def _check_shape(value: Any) -> None:
    """Raise Malformed for a value that is nested too deeply or has an object with too many members."""
    containers = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        if any(len(container) > MAX_MEMBERS for container in containers if isinstance(container, dict)):
            raise Malformed(f"A JSON object may have at most {MAX_MEMBERS} members.", code="malformed_json")
        members = (
            member
            for container in containers
            for member in (container.values() if isinstance(container, dict) else container)
        )
        containers = [member for member in members if isinstance(member, dict | list)]
        if not containers:
            return
    raise Malformed(f"JSON may be nested at most {MAX_DEPTH} levels deep.", code="malformed_json")
