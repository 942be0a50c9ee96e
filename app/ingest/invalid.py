"""Find all faults of an event that its declaration does not accept, and which of its fields are valid nevertheless."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError, with_config
from typing_extensions import NotRequired, TypedDict

from app.core.errors import validation_faults
from app.core.ids import normalize_id
from app.core.names import Fault, NearestNames, build_fault, field_finder, name_fault
from app.ingest.define import EVENT_TYPES, STRICT, EventType
from app.ingest.fields import Day, Id, Time

_Fields = dict[str, Any]


@with_config(STRICT)
class _Envelope(TypedDict):
    """The fields of an event of an unknown type, whose data can be anything."""

    id: Id
    type: NotRequired[Any]
    account_id: NotRequired[Id]
    user_id: NotRequired[Id]
    occurred_at: Time
    recorded_on: NotRequired[Day]
    data: NotRequired[Any]


_ENVELOPE = TypeAdapter(_Envelope)
_envelope_fields = field_finder(_ENVELOPE.json_schema())
# The fields of the envelope that are converted, by what converts them.
_CONVERTED: dict[str, TypeAdapter[Any]] = {"occurred_at": TypeAdapter(Time), "recorded_on": TypeAdapter(Day)}


class Faults(NamedTuple):
    """What is wrong with an event: its valid fields, its faults, and how many more of them are not listed."""

    fields: _Fields
    faults: list[Fault]
    more: int = 0


def find_faults(
    event_type: EventType, raw: Mapping[str, Any], error: ValidationError, nearest: NearestNames, *, limit: int
) -> Faults:
    """Return the faults of an event and its valid fields. error: what its type's adapter raised. limit: how many to list."""
    errors = error.errors(include_url=False)
    faults = validation_faults(errors[:limit], fields=_fields_of(event_type.name), nearest=nearest)
    for fault in faults:
        advice = (
            event_type.if_missing.get(fault["pointer"].removeprefix("/data/")) if fault["code"] == "missing" else None
        )
        if advice:
            fault["detail"] += f" {advice}"
    return Faults(_valid_fields(raw, errors), faults, len(errors) - len(faults))


@cache
def _fields_of(type: str) -> Callable[[Sequence[str | int]], list[str]]:
    return field_finder(EVENT_TYPES[type].adapter.json_schema())


def unknown_type(raw: Mapping[str, Any], nearest: NearestNames, *, limit: int) -> Faults:
    """Return the faults and valid fields of an event without a type, or of an unknown one. limit: how many to list."""
    fault = build_fault("/type", 'Field "type" is required.', code="missing")
    if "type" in raw:
        name = raw["type"]
        similar = nearest.find(name, [*EVENT_TYPES]) if isinstance(name, str) else ()
        advice = "GET /v1/event-types lists all event types."
        fault = name_fault("/type", "Unknown event type{}.", name, similar, code="unknown_type", advice=advice)
    try:
        _ENVELOPE.validate_python(raw)
        errors: list[Any] = []
    except ValidationError as error:
        errors = error.errors(include_url=False)
    # Nobody knows what its data may be.
    fields = {name: value for name, value in _valid_fields(raw, errors).items() if name not in ("type", "data")}
    faults = [fault, *validation_faults(errors[: limit - 1], fields=_envelope_fields, nearest=nearest)]
    return Faults(fields, faults, 1 + len(errors) - len(faults))


def _valid_fields(raw: Mapping[str, Any], errors: Sequence[Mapping[str, Any]]) -> _Fields:
    """Return the fields without an error, in `data` as well."""
    invalid = {error["loc"][0] for error in errors if error["loc"]}
    fields = {name: value for name, value in raw.items() if name not in invalid}
    for name, adapter in _CONVERTED.items():
        if name in fields:
            fields[name] = adapter.validate_python(fields[name])
    # One error at `data` itself is about all of its fields together, which are valid by themselves.
    invalid_data = {error["loc"][1] for error in errors if error["loc"][:1] == ("data",) and len(error["loc"]) > 1}
    data = raw.get("data")
    if isinstance(data, dict):
        fields["data"] = {name: _normalize(value) for name, value in data.items() if name not in invalid_data}
    return fields


def _normalize(value: Any) -> Any:
    return normalize_id(value) if isinstance(value, str) else value
