"""Read the raw events of a batch: validate each by the declaration of its type and by what its sender may do."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from pydantic import ValidationError

from app.accounts.accounts import account_key
from app.accounts.attributes import ACCOUNT_UPDATED
from app.books.books import Books
from app.core.errors import EventRejected
from app.core.names import Fault, NearestNames, build_fault
from app.database.tables import WHOLE_BUSINESS
from app.ingest.decode import CorrectedEvent, UndecodableEvent
from app.ingest.define import EVENT_TYPES
from app.ingest.invalid import Faults, find_faults, unknown_type
from app.ingest.outcome import MAX_FAULTS
from app.ingest.stages import RESERVED_ID_PREFIX, IncomingEvent, InvalidEvent

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_AHEAD = timedelta(hours=24)
# Once the rejections of a request list so many faults, each further one lists one.
_MAX_LISTED_FAULTS = 20_000


class Sender(NamedTuple):
    """What the sender of a batch may do: set `recorded_on`, and use the ids of PUT /v1/accounts/{id}."""

    may_backdate: bool = True
    may_use_reserved_ids: bool = True


def read_events(
    raws: Sequence[Any], *, books: Books, may_backdate: bool, may_use_reserved_ids: bool
) -> tuple[list[IncomingEvent], list[InvalidEvent]]:
    """Return the valid events of a batch, and the others with their faults.

    raws: JSON values, `UndecodableEvent` or `CorrectedEvent`. The two permissions are those of `accept_events`.
    """
    now, today = books.now(), books.today()
    nearest = NearestNames()
    sender = Sender(may_backdate, may_use_reserved_ids)
    events: list[IncomingEvent] = []
    invalid: list[InvalidEvent] = []
    listed_faults = 0
    for position, part in enumerate(raws):
        raw, sent_time = part if isinstance(part, CorrectedEvent) else (part, None)
        limit = MAX_FAULTS if listed_faults < _MAX_LISTED_FAULTS else 1
        fields, faults, more_faults = _validate(raw, nearest, limit=limit)
        faults += _check_meaning(fields, faults, sender=sender, now=now, today=today)
        if faults:
            id = raw.get("id") if isinstance(raw, dict) else None
            invalid.append(InvalidEvent(position, id, fields, faults, more_faults))
            listed_faults += len(faults)
        else:
            events.append(_build_event(fields, position, sent_time=sent_time))
    return events, invalid


def read_event(raw: Any, *, position: int, now: datetime) -> IncomingEvent:
    """Return one raw event, validated, of a sender who may do anything. Raises EventRejected with all faults."""
    fields, faults, _ = _validate(raw, NearestNames(), limit=MAX_FAULTS)
    faults += _check_meaning(fields, faults, sender=Sender(), now=now, today=now.date())
    if faults:
        raise EventRejected.of(faults)
    return _build_event(fields, position)


def _validate(raw: Any, nearest: NearestNames, *, limit: int) -> Faults:
    """Return the fields of a raw event, validated, and no faults; or those fields that are valid, and at most `limit` faults."""
    if not isinstance(raw, dict):
        if isinstance(raw, UndecodableEvent):
            return Faults({}, [raw.fault or build_fault("", raw.detail, code="malformed")])
        return Faults({}, [build_fault("", "An event must be a JSON object.", code="not_an_object")])
    name = raw.get("type")
    event_type = EVENT_TYPES.get(name) if isinstance(name, str) else None
    if event_type is None:
        return unknown_type(raw, nearest, limit=limit)
    try:
        return Faults(event_type.adapter.validate_python(raw), [])
    except ValidationError as error:
        return find_faults(event_type, raw, error, nearest, limit=limit)


def _check_meaning(
    fields: Mapping[str, Any], faults: Sequence[Fault], *, sender: Sender, now: datetime, today: date
) -> list[Fault]:
    """Return what is wrong with fields that are valid by themselves. faults: those of the other fields."""
    occurred_at, recorded_on = fields.get("occurred_at"), fields.get("recorded_on")
    more: list[Fault] = []
    # The details name no field: other endpoints have other names for `occurred_at`.
    if occurred_at is not None and occurred_at < _EARLIEST:
        detail = "The time must not be before 1970-01-01T00:00:00Z."
        more.append(build_fault("/occurred_at", detail, code="too_old"))
    if occurred_at is not None and occurred_at > now + _MAX_AHEAD:
        detail = "The time must be at most 24 hours in the future. Check the clock and the time zone of the sender."
        event_type = EVENT_TYPES.get(fields.get("type", ""))
        if event_type is not None and event_type.effect_field:
            detail += f' For what takes effect later, send "{event_type.effect_field}" in "data".'
        more.append(build_fault("/occurred_at", detail, code="in_the_future"))
    if recorded_on is not None:
        more += _check_recorded_on(recorded_on, sender=sender, today=today)
    if "user_id" in fields and not fields.get("account_id") and not _is_at(faults, "/account_id"):
        detail = 'An event with a "user_id" needs an "account_id": a user belongs to an account.'
        more.append(build_fault("/user_id", detail, code="no_account"))
    is_put = fields.get("type") == ACCOUNT_UPDATED and fields.get("id", "").startswith(RESERVED_ID_PREFIX)
    if is_put and not sender.may_use_reserved_ids:
        detail = f'Ids that begin with "{RESERVED_ID_PREFIX}" are reserved for PUT /v1/accounts/{{id}}. Use another id.'
        more.append(build_fault("/id", detail, code="reserved"))
    return more


def _is_at(faults: Sequence[Fault], pointer: str) -> bool:
    return any(fault["pointer"] == pointer for fault in faults)


def _check_recorded_on(recorded_on: date, *, sender: Sender, today: date) -> list[Fault]:
    faults: list[Fault] = []
    if recorded_on < _EARLIEST.date():
        faults.append(build_fault("/recorded_on", "recorded_on must not be before 1970-01-01.", code="too_old"))
    if not sender.may_backdate:
        detail = "Only a key with scope admin may set recorded_on. Use one, or leave recorded_on out."
        faults.append(build_fault("/recorded_on", detail, code="forbidden"))
    elif recorded_on > today:
        detail = f"recorded_on must not be after today, {today}."
        faults.append(build_fault("/recorded_on", detail, code="in_the_future"))
    return faults


def _build_event(fields: Mapping[str, Any], position: int, *, sent_time: str | None = None) -> IncomingEvent:
    account = fields.get("account_id", "")
    return IncomingEvent(
        position=position,
        id=fields["id"],
        type=fields["type"],
        account=account,
        account_id=account_key(account) if account else WHOLE_BUSINESS,
        user_id=fields.get("user_id"),
        occurred_at=fields["occurred_at"],
        recorded_on_override=fields.get("recorded_on"),
        data=fields["data"],
        fingerprint=_fingerprint(fields, sent_time),
    )


_encode_sorted = json.JSONEncoder(sort_keys=True).encode


def _fingerprint(fields: Mapping[str, Any], sent_time: str | None) -> int:
    """Return a 64-bit hash of the content, independent of its spelling. `recorded_on` is not part of the content."""
    # The time is in UTC, however it was sent: see `fields.Time`.
    time = fields["occurred_at"].isoformat() if sent_time is None else sent_time
    content = _encode_sorted([fields["type"], fields.get("user_id"), time, fields["data"]])
    return int.from_bytes(hashlib.blake2b(content.encode(), digest_size=8).digest(), signed=True)
