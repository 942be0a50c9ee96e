"""Senders of CloudEvents."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from app.core.errors import Malformed
from app.inbound.define import Context, Part, vendor
from app.inbound.mapping import EventMapping, map_events
from app.inbound.senders import SenderOptions, scheme_of_sender
from app.ingest.decode import decode_events
from app.ingest.payload import parse_moment, text_of

_PREFIX = "ce-"


def _find_id(payload: Any, headers: Mapping[str, str]) -> str | None:
    attributes = payload if isinstance(payload, dict) and "specversion" in payload else _attributes(headers)
    source, id = text_of(attributes.get("source")), text_of(attributes.get("id"))
    return f"{source} {id}" if source and id else None


def _attributes(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes of a CloudEvent in binary mode, whose headers are percent-encoded."""
    return {name.removeprefix(_PREFIX): unquote(value) for name, value in headers.items() if name.startswith(_PREFIX)}


def _envelopes(payload: Any, headers: Mapping[str, str]) -> list[Any]:
    """Return the CloudEvents of a payload with their attributes, in the order in which `decode_events` returns them."""
    if attributes := _attributes(headers):
        return [attributes | {"data": payload}]
    return payload if isinstance(payload, list) else [payload]


@vendor(
    title="CloudEvents",
    scheme=scheme_of_sender,
    documentation="https://cloudevents.io",
    options=SenderOptions,
    mapping=EventMapping,
    becomes=(("a CloudEvent whose `type` is an event type", "that event"),),
    headers=("content-type", _PREFIX),
    find_id=_find_id,
    example={
        "specversion": "1.0",
        "id": "s-1",
        "source": "/product/eu",
        "type": "session.ended",
        "subject": "acme",
        "userid": "ada",
        "time": "2026-03-14T09:30:00Z",
        "data": {"duration_seconds": 600},
    },
)
def cloudevents(payload: Any, context: Context) -> Iterator[Part]:
    """CloudEvents 1.0 in structured, batch or binary mode, as `POST /v1/events` takes them.

    `type` is one of our event types, `subject` the account, `time` when it happened, the extension `userid` the user. The id of
    the event is made of `source` and `id`. With the option `may_backdate`, the extension `recordedtime` says when it became
    known: its day is `recorded_on`, our second time axis. Without that option it is not used.

    With a mapping, types of your own become events, too: `item` is each CloudEvent with its attributes and `data`.
    """
    envelopes = _envelopes(payload, context.headers)
    if context.mapping is not None:
        whole = envelopes if isinstance(payload, list) and not _attributes(context.headers) else envelopes[0]
        yield from map_events(whole, context, default_items=envelopes)
        return
    media_type = context.headers.get("content-type", "")
    is_envelope = isinstance(payload, dict) and "specversion" in payload
    if is_envelope and "cloudevents" not in media_type:
        # Some senders say application/json for a structured event.
        media_type = "application/cloudevents+json"
    headers = dict(context.headers) | {"content-type": media_type}
    raws = decode_events(context.body, headers)
    if len(raws) != len(envelopes):
        raise Malformed("The body is no CloudEvent.")
    for raw, envelope in zip(raws, envelopes, strict=True):
        recorded_at = parse_moment(envelope.get("recordedtime")) if isinstance(envelope, dict) else None
        if recorded_at is not None and context.options.may_backdate and isinstance(raw, dict):
            raw = {**raw, "recorded_on": context.day_of(recorded_at).isoformat()}
        yield raw
