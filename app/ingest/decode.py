"""From the bytes of a request to the events in it, not yet validated: JSON, NDJSON and CloudEvents, gzip and zstd."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import unquote

from app.core.errors import Invalid, Malformed, Unsupported, json_pointer
from app.core.ids import MAX_ID_LENGTH
from app.http.encoding import JSON, decompress, parse_json, parse_media_type

MOST_EVENTS = 10_000

# What is not blank, from its first character on.
_LINE = re.compile(rb"\S[^\n]*")

NDJSON = "application/x-ndjson"
CLOUDEVENT = "application/cloudevents+json"
CLOUDEVENTS = "application/cloudevents-batch+json"


class UndecodableEvent(NamedTuple):
    """A line that is not JSON: reported in its place, its neighbours are read."""

    detail: str


def decode_events(body: bytes, headers: Mapping[str, str], *, most_inflated: int) -> list[Any]:
    """The events of a request body: raw JSON values or `UndecodableEvent`, at most 10,000.

    headers: lower-case names. Raises Malformed, Unsupported, TooLarge or Invalid for the request as a whole.
    """
    body = decompress(body, headers.get("content-encoding", ""), max_bytes=most_inflated)
    kind = parse_media_type(headers.get("content-type", ""))
    if kind == CLOUDEVENT:
        found = [_of_cloudevent(parse_json(body))]
    elif kind == CLOUDEVENTS:
        found = [_of_cloudevent(value) for value in _listed(parse_json(body))]
    elif "ce-specversion" in headers and kind == JSON:
        found = [_of_binary_cloudevent(parse_json(body), headers)]
    elif kind == NDJSON:
        # One line more than may be is enough to know that there are too many.
        found = [_line(line[0]) for line in islice(_LINE.finditer(body), MOST_EVENTS + 1)]
    elif kind == JSON:
        found = _unwrapped(parse_json(body))
    else:
        raise Unsupported(f"The content type is {JSON}, {NDJSON}, {CLOUDEVENT} or {CLOUDEVENTS}.")
    if len(found) > MOST_EVENTS:
        raise Invalid(f"At most {MOST_EVENTS} events fit one request.", code="too_many_events")
    return found


def _line(line: bytes) -> Any:
    try:
        return parse_json(line)
    except Malformed as error:
        return UndecodableEvent(error.detail.replace("The body", "The line"))


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Invalid.at("", "A batch is a JSON array.", code="not_an_array")
    return value


def _unwrapped(value: Any) -> list[Any]:
    if isinstance(value, dict) and "events" in value and "type" not in value:
        for other in value.keys() - {"events"}:
            raise Invalid.at(json_pointer((other,)), "Beside `events` there is nothing.", code="extra_forbidden")
        value = value["events"]
        if not isinstance(value, list):
            raise Invalid.at("/events", "`events` is an array.", code="not_an_array")
    return value if isinstance(value, list) else [value]


def _of_cloudevent(value: Any) -> Any:
    """The event that a structured CloudEvent carries; attributes that are not ours are left out, as the standard asks."""
    if not isinstance(value, dict):
        return value
    if value.get("specversion") != "1.0":
        return UndecodableEvent("A CloudEvent has specversion 1.0, an id and a source.")
    id, source = value.get("id"), value.get("source")
    if not (isinstance(id, str) and id and isinstance(source, str) and source):
        return UndecodableEvent("A CloudEvent has specversion 1.0, an id and a source.")
    if " " in source:
        return UndecodableEvent("The source of a CloudEvent is a URI, which has no space.")
    given = {
        "account_id": "subject",
        "occurred_at": "time",
        "type": "type",
        "user_id": "userid",
        "recorded_on": "recordedon",
    }
    event = {ours: value[theirs] for ours, theirs in given.items() if theirs in value}
    event["id"] = _joined(source, id)
    event["data"] = value.get("data", {})
    if "data_base64" in value:
        try:
            event["data"] = parse_json(base64.b64decode(value["data_base64"], validate=True))
        except (Malformed, TypeError, ValueError, binascii.Error):
            return UndecodableEvent("`data_base64` is not JSON in base64.")
    return event


def _joined(source: str, id: str) -> str:
    """CloudEvents are unique by source and id together; a source has no space."""
    joined = f"{source} {id}"
    return joined if len(joined) <= MAX_ID_LENGTH else hashlib.sha256(joined.encode()).hexdigest()


def _of_binary_cloudevent(data: Any, headers: Mapping[str, str]) -> Any:
    # What is not UTF-8 would become U+FFFD, and two ids one.
    attributes: dict[str, str] = {}
    for name, text in headers.items():
        if name.startswith("ce-"):
            if name[3:] in attributes:
                return UndecodableEvent("A header of the CloudEvent is given more than once.")
            try:
                attributes[name[3:]] = unquote(text.encode("ascii").decode(), errors="strict")
            except UnicodeError:
                return UndecodableEvent("A header of the CloudEvent is not percent-encoded UTF-8.")
    return _of_cloudevent(attributes | {"data": data})
