"""Check the events of a mapping against the catalogue of event types, before any file is read."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Annotated, Any, NamedTuple, NotRequired, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from app.core.errors import validation_faults
from app.ingest.define import EVENT_TYPES, STRICT, EventType
from app.ingest.files.columns import FileColumn
from app.ingest.files.converters import converter
from app.ingest.files.hints import did_you_mean
from app.ingest.files.mapping import EventTemplate
from app.ingest.files.possible_values import MappingScope, may_be_left_out, values_of, variants_of
from app.ingest.files.templates import columns_in, find_unknown_unit, split_shifts
from app.ingest.files.times import UNITS

_SAMPLE_TIME = "2026-01-01T00:00:00Z"
_MAX_OPTIONAL = 10
# By the code of Pydantic or of our fields: what the value has to be, and which type of column that is.
_NEEDS = {
    "int_type": ("a whole number", 'type = "integer"'),
    "bool_type": ("true or false", 'type = "boolean"'),
    "string_type": ("a text", 'type = "text"'),
    "list_type": ("a list", "a separator"),
    "time": ("a time", 'type = "datetime"'),
    "date": ("a day", 'type = "date"'),
    "money": ("an amount", 'type = "money"'),
}


class MappingFault(NamedTuple):
    """What is wrong at one place of a mapping. location: the tables and keys that lead there, items counted from 0."""

    location: tuple[str | int, ...]
    detail: str


def check_event(scope: MappingScope, event: EventTemplate) -> Iterator[MappingFault]:
    """Yield what is wrong with an event of the mapping, whatever its rows hold."""
    yield from _check_envelope(scope, event)
    groups = values_of(scope, event.type)
    if any(len(group) > 1 for group in groups):
        return  # each row says its type
    names = [str(name) for [name] in groups]
    for name in names:
        if name not in EVENT_TYPES:
            hint = did_you_mean(name, EVENT_TYPES) or " The reference of events lists them all."
            yield MappingFault(("type",), f'"{name}" is no event type.{hint}')
    types = [EVENT_TYPES[name] for name in names if name in EVENT_TYPES]
    for event_type in types:
        yield from _check_required(event, event_type)
    if len(types) == len(names) and isinstance(event.data, dict):
        yield from _check_data(scope, event.data, types)


def _check_envelope(scope: MappingScope, event: EventTemplate) -> Iterator[MappingFault]:
    for key, type in (("occurred_at", "datetime"), ("recorded_on", "date")):
        text = getattr(event, key)
        if text is not None and (detail := _explain_unknown_unit(text)):
            yield MappingFault((key,), detail)
        elif text is not None and not columns_in(text):
            try:
                converter(FileColumn(), type)(text)
            except ValueError as error:
                yield MappingFault((key,), f'"{text}" {error}, such as 2026-03-14T09:30:00Z or "{{column}}"')
    for key in ("id", "account_id", "user_id"):
        text = getattr(event, key)
        if text is not None and not columns_in(text):
            yield from (
                MappingFault((key,), detail) for _, detail in _faults_of(_fields_of("session.ended")[key], text)
            )


def _explain_unknown_unit(text: str) -> str:
    """Return what is wrong with the units of a text that adds to a time; empty if nothing is, or if it adds nothing."""
    unit = find_unknown_unit(text)
    if unit is None:
        return ""
    return f'"{unit}" is no unit of time. Use one of {", ".join(UNITS)}.{did_you_mean(unit, UNITS)}'


def _check_required(event: EventTemplate, event_type: EventType) -> Iterator[MappingFault]:
    """Yield the fields that a type requires and the mapping does not set."""
    hints = _fields_of(event_type.name)
    for key in ("account_id", "user_id"):
        if getattr(event, key) is None and key in event_type.envelope.__required_keys__:  # type: ignore[attr-defined]
            yield MappingFault((), f"{event_type.name} needs {key}")
    if event.user_id is not None and event.account_id is None:
        yield MappingFault(("user_id",), "a user belongs to an account: set account_id, too")
    if isinstance(event.data, dict):
        missing = sorted(_data_class(hints["data"]).__required_keys__ - event.data.keys())
        yield from (MappingFault(("data",), f"{event_type.name} needs {name}") for name in missing)


def _check_data(scope: MappingScope, data: Mapping[str, Any], types: Sequence[EventType]) -> Iterator[MappingFault]:
    """Yield what is wrong with the data of an event that is of one of these types."""
    fields_by_type = [_data_fields(event_type.name) for event_type in types]
    samples: dict[str, Any] = {}
    faults: list[MappingFault] = []
    for name, value in data.items():
        fields = [fields[name] for fields in fields_by_type if name in fields]
        if not fields:
            owners = " and ".join(event_type.name for event_type in types)
            candidates = sorted({name for fields in fields_by_type for name in fields})
            faults.append(MappingFault(("data", name), f"{owners} has no such field.{did_you_mean(name, candidates)}"))
            continue
        results = [list(_check_value(scope, name, value, field)) for field in fields]
        best = min(results, key=lambda result: sum(isinstance(item, MappingFault) for item in result))
        faults += [item for item in best if isinstance(item, MappingFault)]
        samples[name] = next((item for item in best if not isinstance(item, MappingFault)), None)
    yield from faults
    is_complete = all(_data_class(_fields_of(item.name)["data"]).__required_keys__ <= samples.keys() for item in types)
    if not faults and is_complete and len(types) == 1:
        yield from _check_together(scope, data, samples, types[0])


def _check_value(scope: MappingScope, name: str, value: Any, field: "FieldType") -> Iterator[Any]:
    """Yield a valid sample of a field for each of the values that it can have, or the fault of it."""
    if isinstance(value, str) and field.is_time and (detail := _explain_unknown_unit(value)):
        yield MappingFault(("data", name), detail)
        return
    try:
        for group in variants_of(scope, value, texts=field.options):
            faults = [_faults_of(field, sample) for sample in group]
            if [] in faults:
                yield group[faults.index([])]
            else:
                yield MappingFault(("data", name), _explain(scope, value, group[0], faults[0][0], field))
    except ValueError as error:
        yield MappingFault(("data", name), f"the default {error}")


def _explain(scope: MappingScope, value: Any, sample: Any, fault: tuple[str, str], field: "FieldType") -> str:
    """Return what is wrong with a value. fault: of the sample, its code and its detail."""
    code, detail = fault
    columns = sorted(columns_in(value))
    if not columns or scope.column(columns[0]).values or scope.column(columns[0]).default is not None:
        quoted_value = f'"{sample}"' if isinstance(sample, str) else str(sample)
        if field.options and isinstance(sample, str):
            return f"{quoted_value} is not one of {', '.join(field.options)}.{did_you_mean(sample, field.options)}"
        return f"{quoted_value}: {detail}"
    if code not in _NEEDS or not isinstance(value, str):
        return f"column {columns[0]}: {detail}"
    need, option = _NEEDS[code]
    if split_shifts(value):
        return f"time can be added only to a column of type datetime or date. Give column {columns[0]} {option}"
    if value != f"{{{columns[0]}}}":
        return f'"{value}" makes a text, but {need} is needed. Write a column alone in braces'
    current = scope.type_of(columns[0]) or "text"
    return f"{need} is needed, but column {columns[0]} is of type {current}. Give it {option} under [source.columns]"


def _check_together(
    scope: MappingScope, data: Mapping[str, Any], samples: Mapping[str, Any], event_type: EventType
) -> Iterator[MappingFault]:
    """Yield the fault of the data as a whole, unless rows with some empty cells can be valid."""
    optional = [name for name, value in data.items() if may_be_left_out(scope, value)][:_MAX_OPTIONAL]
    event = {"id": "x", "type": event_type.name, "account_id": "x", "user_id": "x", "occurred_at": _SAMPLE_TIME}
    first: list[tuple[str, str]] = []
    for count in range(len(optional) + 1):
        for left_out in combinations(optional, count):
            rest = {name: value for name, value in samples.items() if name not in left_out}
            faults = _adapter_faults(event_type.adapter, event | {"data": rest})
            if not faults:
                return
            first = first or faults
    yield MappingFault(("data",), first[0][1])


class FieldType(NamedTuple):
    """A field and its type. options: the texts that it allows, where it allows only some. is_time: a time or a day."""

    name: str
    adapter: TypeAdapter[Any]
    options: Sequence[str]
    is_time: bool


def _faults_of(field: FieldType, value: Any) -> list[tuple[str, str]]:
    return _adapter_faults(field.adapter, value, location=(field.name,))


def _adapter_faults(adapter: TypeAdapter[Any], value: Any, *, location: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Return the codes and details of what is wrong with a value. location: of the value, for the sentences."""
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        faults = validation_faults([{**item, "loc": (*location, *item["loc"])} for item in errors])
        return [(fault["code"], fault["detail"]) for fault in faults]
    return []


@lru_cache
def _fields_of(name: str) -> Mapping[str, Any]:
    """Return the types of the fields of an event, `data` as it is declared."""
    hints = get_type_hints(EVENT_TYPES[name].envelope, include_extras=True)
    return {key: hint if key == "data" else _field_type(key, hint) for key, hint in hints.items()}


@lru_cache
def _data_fields(name: str) -> Mapping[str, FieldType]:
    hints = get_type_hints(_data_class(_fields_of(name)["data"]), include_extras=True)
    return {key: _field_type(key, hint) for key, hint in hints.items()}


def _field_type(name: str, hint: Any) -> FieldType:
    if get_origin(hint) is Annotated and get_origin(get_args(hint)[0]) is NotRequired:
        hint = get_args(hint)[0]  # what is beside it is documentation
    if get_origin(hint) is NotRequired:
        hint = get_args(hint)[0]
    is_model = hasattr(hint, "__pydantic_config__")
    adapter = TypeAdapter(hint) if is_model else TypeAdapter(hint, config=STRICT)
    schema = adapter.json_schema()
    options = [option for option in schema.get("enum", ()) if isinstance(option, str)]
    return FieldType(name, adapter, options, schema.get("format") in ("date", "date-time"))


def _data_class(hint: Any) -> Any:
    """Return the TypedDict of an event's data, without the check of the data as a whole."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint
