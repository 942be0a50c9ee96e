"""Accept calls of Segment: correct their clocks, translate them, and store the events that they become, each exactly once."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from app.books.books import Books
from app.core.errors import Invalid, TooLarge
from app.core.names import Fault, NearestNames, build_fault, name_fault
from app.http.encoding import MAX_BYTES_AT_ONCE, parse_json
from app.ingest.accept import accept_events
from app.ingest.decode import MAX_EVENTS, CorrectedEvent, UndecodableEvent
from app.ingest.outcome import BatchOutcome, Rejection
from app.ingest.payload import Fields, Ignored, Untranslatable, event_id, format_moment, parse_moment
from app.ingest.segment.calls import CALLS, CallEvent, find_user, read_call
from app.ingest.segment.schemas import IgnoredCall, SegmentAnswer

_VENDOR = "segment"
# What faults of events call the members of an event, and what these are in a call.
_NAMES = {"id": "messageId", "account_id": "context.groupId", "user_id": "userId", "occurred_at": "timestamp"}


class CallBatch(NamedTuple):
    """The calls of a request. context: what the contexts of all calls have in common. sent_at: by the clock of the sender."""

    calls: Sequence[Any]
    context: Mapping[str, Any]
    sent_at: datetime | None


class _Reading(NamedTuple):
    """What is read of a call. number: its position in the request. raw: what `accept_events` takes, or why it counts nothing.

    event: None for a call that cannot be read, and for one that counts nothing.
    """

    number: int
    message_id: str | None
    raw: Any
    event: CallEvent | None = None


def decode_batch(body: bytes) -> CallBatch:
    """Return the batch in a decompressed body. Raises Malformed, TooLarge or Invalid for the request as a whole."""
    value = _parse(body)
    calls = value.get("batch")
    if not isinstance(calls, list):
        code = "not_an_array" if "batch" in value else "missing"
        raise Invalid.at("/batch", '"batch" must be an array of calls.', code=code)
    if len(calls) > MAX_EVENTS:
        raise Invalid(f"A request may have at most {MAX_EVENTS} calls. Send several requests.", code="too_many_events")
    context = value.get("context")
    return CallBatch(calls, context if isinstance(context, dict) else {}, _read_sent_at(value))


def decode_call(body: bytes, kind: str) -> CallBatch:
    """Return the batch of the only call in a decompressed body. kind: one of CALLS. Raises as `decode_batch` does."""
    value = _parse(body)
    if value.setdefault("type", kind) != kind:
        raise Invalid.at("/type", f'At this path "type" is "{kind}". Leave it out.')
    return CallBatch([value], {}, _read_sent_at(value))


def _parse(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BYTES_AT_ONCE:
        raise TooLarge(f"A batch may have at most {MAX_BYTES_AT_ONCE // 2**20} MiB. Send several requests.")
    value = parse_json(body)
    if not isinstance(value, dict):
        raise Invalid.at("", "The body must be a JSON object.", code="dict_type")
    return value


def _read_sent_at(value: Mapping[str, Any]) -> datetime | None:
    raw = value.get("sentAt")
    sent_at = None if raw is None else parse_moment(raw)
    if raw is not None and sent_at is None:
        raise Invalid.at(
            "/sentAt", "A time must be ISO 8601 with an offset, such as 2026-03-14T09:30:00Z.", code="time"
        )
    return sent_at


async def accept_calls(books: Books, batch: CallBatch, *, received_at: datetime) -> SegmentAnswer:
    """Store and post the events that calls become, and return what became of each call. received_at: when the request came.

    Sending the same calls again, in the same request or in others, is always safe. Raises Unavailable.
    """
    skew = received_at - batch.sent_at if batch.sent_at is not None else timedelta()
    nearest = NearestNames()
    ignored: list[IgnoredCall] = []
    readings: list[_Reading] = []
    for number, raw in enumerate(batch.calls):
        reading = _read(number, raw, batch, skew=skew, received_at=received_at, nearest=nearest)
        if isinstance(reading.raw, Ignored):
            ignored.append({"index": number, "id": reading.message_id, "detail": reading.raw.reason})
        else:
            readings.append(reading)
    outcome = await accept_events(books, [reading.raw for reading in readings])
    return _build_answer(outcome, readings, ignored)


def _read(
    number: int, raw: Any, batch: CallBatch, *, skew: timedelta, received_at: datetime, nearest: NearestNames
) -> _Reading:
    """Return what accept_events takes of a call, or why it counts nothing."""
    if not isinstance(raw, dict):
        return _reject(number, None, build_fault("", "A call must be a JSON object.", code="not_an_object"))
    context = raw.get("context")
    call = Fields({**raw, "context": {**batch.context, **(context if isinstance(context, dict) else {})}})
    message_id, kind = call.find_text("messageId"), raw.get("type")
    if kind not in CALLS:
        return _reject(number, message_id, _unknown_kind(raw, nearest))
    user = find_user(call)
    try:
        event = read_call(call, user=user)
    except Untranslatable as error:
        code = "missing" if call.find("event") is None else "string_type"
        return _reject(number, message_id, build_fault("/event", str(error).replace("/event", '"event"'), code=code))
    if isinstance(event, Ignored) and user is None and call.find_text("anonymousId") is None:
        return _reject(
            number, message_id, build_fault("/userId", '"userId" or "anonymousId" is required.', code="missing")
        )
    if isinstance(event, Ignored):
        return _Reading(number, message_id, event)
    occurred_at, sent_time = _correct_time(call, skew=skew, received_at=received_at)
    id = message_id or _derive_id(event, sent_time)
    if id is None:
        detail = "A call needs a messageId, or a timestamp. Without both, nobody knows whether it is one sent again."
        return _reject(number, None, build_fault("/messageId", detail, code="missing"))
    raw_event = {
        "id": event_id(_VENDOR, id),
        "type": event.type,
        "occurred_at": occurred_at,
        "data": dict(event.data),
    }
    people = {"account_id": event.account, "user_id": event.user}
    raw_event |= {name: value for name, value in people.items() if value is not None}
    return _Reading(number, message_id, CorrectedEvent(raw_event, sent_time), event)


def _reject(number: int, message_id: str | None, fault: Fault) -> _Reading:
    return _Reading(number, message_id, UndecodableEvent(fault["detail"], fault))


def _unknown_kind(raw: Mapping[str, Any], nearest: NearestNames) -> Fault:
    kind = raw.get("type")
    if kind is None:
        return build_fault("/type", f'"type" is required: one of {", ".join(CALLS)}.', code="missing")
    similar = nearest.find(kind, CALLS) if isinstance(kind, str) else ()
    return name_fault(
        "/type", "Unknown call{}.", kind, similar, code="unknown_type", advice=f"Calls are {', '.join(CALLS)}."
    )


def _correct_time(call: Fields, *, skew: timedelta, received_at: datetime) -> tuple[Any, str]:
    """Return when a call happened by the clock of the service, and what its sender says.

    skew: how far the clock of the sender is behind. A call with both `originalTimestamp` and `timestamp` was corrected by
    Segment. One that says no time happened when it was received. What is no time is returned as it is.
    """
    original, timestamp = call.find("originalTimestamp"), call.find("timestamp")
    text = timestamp if original is None else original
    if text is None:
        return format_moment(received_at), ""
    sent_time = parse_moment(text)
    if sent_time is None:
        return text, ""
    if original is not None and timestamp is not None:
        time = parse_moment(timestamp)
        return timestamp if time is None else format_moment(time), sent_time.isoformat()
    try:
        return format_moment(sent_time + skew), sent_time.isoformat()
    except OverflowError:
        return text, ""


def _derive_id(event: CallEvent, sent_time: str) -> str | None:
    """Return the id of a call without a messageId, by its content; None for one without a time, which may happen twice."""
    if not sent_time:
        return None
    content = [event.type, event.account, event.user, sent_time, dict(event.data)]
    try:
        text = json.dumps(content, sort_keys=True, default=str)
    except ValueError:  # a number of more digits than Python writes
        return None
    return hashlib.sha256(text.encode()).hexdigest()


def _build_answer(outcome: BatchOutcome, readings: Sequence[_Reading], ignored: list[IgnoredCall]) -> SegmentAnswer:
    return {
        "success": True,
        "accepted": outcome.accepted,
        "duplicates": outcome.duplicates,
        "ignored": ignored,
        "rejected": [_name_rejection(rejection, readings[rejection["index"]]) for rejection in outcome.rejected],
    }


def _name_rejection(rejection: Rejection, reading: _Reading) -> Rejection:
    """Return the rejection of an event as that of its call: with the places and names that things have there."""
    faults = [_name_fault(fault, reading.event) for fault in rejection["errors"]]
    first = faults[0]
    return {
        "index": reading.number,
        "id": reading.message_id,
        "code": first["code"],
        "detail": first["detail"],
        "pointer": first["pointer"],
        "errors": faults,
    }


def _name_fault(fault: Fault, event: CallEvent | None) -> Fault:
    if event is None:
        return fault
    pointer, detail = fault["pointer"], fault["detail"]
    parent = max((own for own in event.pointers if f"{pointer}/".startswith(f"{own}/")), key=len, default=None)
    if parent is not None:
        pointer = event.pointers[parent] + pointer.removeprefix(parent)
    for name, own_name in _NAMES.items():
        detail = detail.replace(f'"{name}"', f'"{own_name}"')
    return {**fault, "pointer": pointer, "detail": detail}
