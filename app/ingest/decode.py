"""Decode a request body into raw events, not yet validated: JSON, NDJSON and CloudEvents, gzip and zstd."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import unquote

from app.core.errors import Invalid, Malformed, TooLarge, Unsupported, json_pointer
from app.core.ids import MAX_ID_LENGTH
from app.core.names import Fault, name_fault
from app.http.encoding import (
    JSON,
    MAX_BYTES_AT_ONCE,
    MAX_VALUES_AT_ONCE,
    ONE_VALUE_ADVICE,
    check_value_count,
    parse_json,
    parse_json_array,
    parse_media_type,
)

MAX_EVENTS = 10_000

# The beginning of `{"events": [...]}`.
_ENVELOPE = re.compile(rb'\s*\{\s*"events"\s*:')
# A line that is not blank, from its first character that is not white space.
_LINE = re.compile(rb"\S[^\n]*")

NDJSON = "application/x-ndjson"
CLOUDEVENT = "application/cloudevents+json"
CLOUDEVENTS = "application/cloudevents-batch+json"

# The CloudEvents attribute of each member of an event's envelope, except id and data.
_ATTRIBUTES = {
    "account_id": "subject",
    "occurred_at": "time",
    "type": "type",
    "user_id": "userid",
    "recorded_on": "recordedon",
}


class UndecodableEvent(NamedTuple):
    """A part of a body that is no event. It becomes a rejection; its neighbors are accepted.

    detail: what is wrong. fault: the same with its place and code, where there is more to say than `malformed`.
    """

    detail: str
    fault: Fault | None = None


class CorrectedEvent(NamedTuple):
    """An event that happened, by the clock of the service, at another time than its sender says.

    raw: a JSON value, with the correct time. sent_time: what the sender says, in UTC; empty where it says none. Whoever sends the
    event again says the same, while the correction may be another one.
    """

    raw: Any
    sent_time: str


def decode_events(body: bytes, headers: Mapping[str, str]) -> list[Any]:
    """Return the raw events of a request body, JSON values or `UndecodableEvent`; at most `MAX_EVENTS`.

    body: decompressed. headers: by lower-case names. Raises Malformed, Unsupported, TooLarge or Invalid for the request as a
    whole.
    """
    media_type = parse_media_type(headers.get("content-type", ""))
    if media_type == CLOUDEVENT:
        raws = [_parse_cloudevent(_parse_one(body))]
    elif media_type == CLOUDEVENTS:
        raws = [_parse_cloudevent(value) for value in _as_batch(_parse(body))]
    elif "ce-specversion" in headers and media_type == JSON:
        raws = [_parse_binary_cloudevent(_parse_one(body), headers)]
    elif media_type == NDJSON:
        check_value_count(body)
        # One line more than the limit is enough to see that there are too many.
        raws = [_parse_line(line[0]) for line in islice(_LINE.finditer(body), MAX_EVENTS + 1)]
    elif media_type == JSON:
        raws = _unwrap(_parse(body))
    else:
        raise Unsupported(f"Content-Type must be {JSON}, {NDJSON}, {CLOUDEVENT} or {CLOUDEVENTS}.")
    if len(raws) > MAX_EVENTS:
        raise Invalid(f"A request may have at most {MAX_EVENTS} events. Send several requests.", code="too_many_events")
    return raws


def _parse(body: bytes) -> Any:
    """Return the JSON value of a body. A batch of very many values is parsed in parts."""
    if body.count(b",") <= MAX_VALUES_AT_ONCE and len(body) <= MAX_BYTES_AT_ONCE:
        return parse_json(body)
    if envelope := _ENVELOPE.match(body):
        end = body.rindex(b"}")
        if body[end + 1 :].strip():
            raise Malformed("The body is not well-formed JSON.", code="malformed_json")
        return {"events": parse_json_array(body[envelope.end() : end])}
    return parse_json_array(body) if body.lstrip()[:1] == b"[" else _parse_one(body)


def _parse_one(body: bytes) -> Any:
    """Return the JSON value of a body that is one event."""
    if len(body) > MAX_BYTES_AT_ONCE:
        raise TooLarge(f"One event may have at most {MAX_BYTES_AT_ONCE // 2**20} MiB.")
    return parse_json(body)


def _parse_line(line: bytes) -> Any:
    if len(line) > MAX_BYTES_AT_ONCE:
        return UndecodableEvent(f"One event may have at most {MAX_BYTES_AT_ONCE // 2**20} MiB.")
    try:
        return parse_json(line)
    except Malformed as error:
        detail = error.detail.replace("The body", "The line").replace("at line 1 column", "at column")
        # `curl -d` removes the line ends of a file.
        return UndecodableEvent(detail.replace(ONE_VALUE_ADVICE, "; send line ends as they are (curl: --data-binary)"))


def _as_batch(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Invalid.at("", "A batch of CloudEvents must be a JSON array.", code="not_an_array")
    return value


def _unwrap(value: Any) -> list[Any]:
    """Return the events of one event, an array, or `{"events": [...]}`."""
    if isinstance(value, dict) and "events" in value and "type" not in value:
        sentence = 'Unknown field{}: no other field may stand beside "events".'
        other_names = sorted(value.keys() - {"events"})
        if faults := [
            name_fault(json_pointer((name,)), sentence, name, code="extra_forbidden") for name in other_names
        ]:
            raise Invalid.of(faults, subject="The body")
        value = value["events"]
        if not isinstance(value, list):
            raise Invalid.at("/events", '"events" must be an array.', code="not_an_array")
    return value if isinstance(value, list) else [value]


def _parse_cloudevent(value: Any) -> Any:
    """Return the event in a structured CloudEvent. Unknown attributes are ignored, as the specification asks."""
    if not isinstance(value, dict):
        return value
    id, source = value.get("id"), value.get("source")
    if not (value.get("specversion") == "1.0" and isinstance(id, str) and id and isinstance(source, str) and source):
        return UndecodableEvent('A CloudEvent needs specversion "1.0", an id and a source.')
    if " " in source:
        return UndecodableEvent("The source of a CloudEvent must be a URI, without spaces.")
    event = {member: value[attribute] for member, attribute in _ATTRIBUTES.items() if attribute in value}
    event["id"] = _event_id(source, id)
    event["data"] = value.get("data", {})
    if "data_base64" in value:
        try:
            event["data"] = parse_json(base64.b64decode(value["data_base64"], validate=True))
        except (Malformed, TypeError, ValueError, binascii.Error):
            return UndecodableEvent("data_base64 must be JSON in base64.")
    return event


def _event_id(source: str, id: str) -> str:
    """Return the id of an event: CloudEvents are unique by source and id together, and a source has no space."""
    event_id = f"{source} {id}"
    return event_id if len(event_id) <= MAX_ID_LENGTH else hashlib.sha256(event_id.encode()).hexdigest()


def _parse_binary_cloudevent(data: Any, headers: Mapping[str, str]) -> Any:
    """Return the event of a binary CloudEvent: its attributes are headers `ce-…`, percent-encoded, its data is the body."""
    attributes: dict[str, str] = {}
    for name, text in headers.items():
        if name.startswith("ce-"):
            if name[3:] in attributes:
                return UndecodableEvent("A header of the CloudEvent occurs more than once.")
            try:
                # Strictly: bytes that are not UTF-8 would become U+FFFD, and two ids the same.
                attributes[name[3:]] = unquote(text.encode("ascii").decode(), errors="strict")
            except UnicodeError:
                return UndecodableEvent("The headers of a CloudEvent must be percent-encoded UTF-8.")
    return _parse_cloudevent(attributes | {"data": data})
