"""Read the raw events of a batch: validate each by the declaration of its type and by what its sender may do."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from app.accounts.accounts import account_key
from app.accounts.attributes import ACCOUNT_UPDATED
from app.books.books import Books
from app.core.errors import EventRejected, validation_faults
from app.database.tables import WHOLE_BUSINESS
from app.ingest.decode import UndecodableEvent
from app.ingest.define import EVENT_TYPES
from app.ingest.outcome import Rejection, build_rejection
from app.ingest.stages import RESERVED_ID_PREFIX, IncomingEvent

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_AHEAD = timedelta(hours=24)


def read_events(
    raws: Sequence[Any], *, books: Books, may_backdate: bool, may_use_reserved_ids: bool
) -> tuple[list[IncomingEvent], list[Rejection]]:
    """Return the valid events of a batch and the rejections of the others.

    raws: JSON values or `UndecodableEvent`. The two permissions are those of `accept_events`.
    """
    now = books.clock()
    today = books.calendar.day(now)
    events: list[IncomingEvent] = []
    rejections: list[Rejection] = []
    for position, raw in enumerate(raws):
        try:
            event = read_event(raw, position=position, now=now)
            if not may_use_reserved_ids and event.id.startswith(RESERVED_ID_PREFIX) and event.type == ACCOUNT_UPDATED:
                detail = f'Ids that begin with "{RESERVED_ID_PREFIX}" are reserved for PUT /v1/accounts/{{id}}.'
                raise EventRejected("reserved", detail, "/id")
            if event.recorded_on_override is not None:
                _check_recorded_on(event.recorded_on_override, today=today, may_backdate=may_backdate)
            events.append(event)
        except EventRejected as error:
            rejections.append(build_rejection(position, raw.get("id") if isinstance(raw, dict) else None, error))
    return events, rejections


def read_event(raw: Any, *, position: int, now: datetime) -> IncomingEvent:
    """Return one raw event, validated. Raises EventRejected with the reason and a pointer into the event."""
    if not isinstance(raw, dict):
        if isinstance(raw, UndecodableEvent):
            raise EventRejected("malformed", raw.detail)
        raise EventRejected("not_an_object", "An event must be a JSON object.")
    if "type" not in raw:
        raise EventRejected("missing", 'Field "type" is required.', "/type")
    name = raw.get("type")
    event_type = EVENT_TYPES.get(name) if isinstance(name, str) else None
    if event_type is None:
        raise EventRejected("unknown_type", "Unknown event type. /docs lists all event types.", "/type")
    try:
        fields = event_type.adapter.validate_python(raw)
    except ValidationError as error:
        raise _first_fault(error) from None
    _check_time(fields["occurred_at"], fields.get("recorded_on"), now=now)
    account = fields.get("account_id", "")
    if not account and "user_id" in fields:
        detail = 'An event with a "user_id" needs an "account_id": a user belongs to an account.'
        raise EventRejected("no_account", detail, "/user_id")
    return IncomingEvent(
        position=position,
        id=fields["id"],
        type=event_type.name,
        account=account,
        account_id=account_key(account) if account else WHOLE_BUSINESS,
        user_id=fields.get("user_id"),
        occurred_at=fields["occurred_at"],
        recorded_on_override=fields.get("recorded_on"),
        data=fields["data"],
        fingerprint=_fingerprint(fields),
    )


def _first_fault(error: ValidationError) -> EventRejected:
    """Return the first fault, which is enough to repair the event. Its message never repeats what was sent."""
    fault = validation_faults(error.errors(include_url=False, include_input=False))[0]
    return EventRejected(fault["code"], fault["detail"], fault["pointer"])


def _check_time(occurred_at: datetime, recorded_on: date | None, *, now: datetime) -> None:
    # The details name no field: other endpoints have other names for `occurred_at`.
    if occurred_at < _EARLIEST:
        raise EventRejected("too_old", "The time must not be before 1970-01-01T00:00:00Z.", "/occurred_at")
    if recorded_on is not None and recorded_on < _EARLIEST.date():
        raise EventRejected("too_old", "recorded_on must not be before 1970-01-01.", "/recorded_on")
    if occurred_at > now + _MAX_AHEAD:
        raise EventRejected("in_the_future", "The time must be at most 24 hours in the future.", "/occurred_at")


def _check_recorded_on(recorded_on: date, *, today: date, may_backdate: bool) -> None:
    if not may_backdate:
        raise EventRejected("forbidden", "Only a key with scope admin may set recorded_on.", "/recorded_on")
    if recorded_on > today:
        raise EventRejected("in_the_future", f"recorded_on must not be after today, {today}.", "/recorded_on")


_encode_sorted = json.JSONEncoder(sort_keys=True).encode


def _fingerprint(fields: Mapping[str, Any]) -> int:
    """Return a 64-bit hash of the content, independent of its spelling. `recorded_on` is not part of the content."""
    # The time is in UTC, however it was sent: see `fields.Time`.
    content = _encode_sorted([fields["type"], fields.get("user_id"), fields["occurred_at"].isoformat(), fields["data"]])
    return int.from_bytes(hashlib.blake2b(content.encode(), digest_size=8).digest(), signed=True)
