"""The types of the fields that events are made of: what is accepted, and as what it is kept.

Nothing is coerced: a number is a number, a time has an offset, money is a decimal string (or a number).
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError, to_json

from app.core.ids import Id, normalize_id
from app.core.periods import Day

__all__ = [
    "Attributes",
    "Currency",
    "Day",
    "Extra",
    "Id",
    "Moment",
    "Money",
    "Tags",
    "Text",
    "Time",
]

MOST_MONEY = 10**11
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d"
_TIME = re.compile(rf"\d{{4}}-\d\d-\d\dT{_CLOCK}:[0-5]\d(\.\d{{1,9}})?(Z|[+-]{_CLOCK})", re.ASCII)
_MONEY = re.compile(r"\d{1,15}(\.\d{1,4})?", re.ASCII)


def _text(given: str) -> str:
    if "\0" in given:
        raise PydanticCustomError("control_character", "A text has no U+0000.")
    return given


def _time(given: Any) -> datetime:
    if not isinstance(given, str):
        raise PydanticCustomError("time", "A time is a string such as 2026-03-14T09:30:00Z.")
    spelled = given.upper()
    if _TIME.fullmatch(spelled):
        try:
            # Within these years no time zone takes a time out of what a datetime can hold. In UTC, since PostgreSQL
            # does not know offsets of 16 hours and more.
            if 1000 <= (at := datetime.fromisoformat(spelled)).year <= 9998:
                return at.astimezone(UTC)
        except ValueError:
            pass
    raise PydanticCustomError("time", "A time is RFC 3339 with an offset, such as 2026-03-14T09:30:00Z.")


def _moment(given: Any) -> str:
    return _time(given).isoformat()


def _money(given: Any) -> str:
    if isinstance(given, bool) or not isinstance(given, str | int | float | Decimal):
        raise PydanticCustomError("money", 'Money is a decimal string, such as "1250.50".')
    spelled = given if isinstance(given, str) else _digits(given)
    if not _MONEY.fullmatch(spelled):
        raise PydanticCustomError("money", 'Money is not negative and has at most 4 decimals, such as "1250.50".')
    if (amount := Decimal(spelled)) >= MOST_MONEY:
        raise PydanticCustomError("money_too_large", "Money is below 100 billion.")
    return format(amount.normalize(), "f")


def _digits(given: int | float | Decimal) -> str:
    number = Decimal(repr(given) if isinstance(given, float) else given)
    # Written out, a number such as 1e999999999 would fill the memory.
    return format(number, "f") if number.is_finite() and -20 < number.adjusted() < 20 else "none"


def _number(given: Any) -> int | float:
    if isinstance(given, bool) or not isinstance(given, int | float | Decimal):
        raise PydanticCustomError("number", "A text, a number, true, false or null is needed.")
    plain = given if isinstance(given, int) else float(given)
    if not abs(plain) < 1e15:
        raise PydanticCustomError("number_too_large", "A number is below 10^15.")
    return int(plain) if plain == int(plain) else plain


def _attribute(given: Any) -> str | int | float | bool | None:
    if given is None or isinstance(given, bool):
        return given
    if not isinstance(given, str):
        return _number(given)
    if len(given) > 1024:
        raise PydanticCustomError("string_too_long", "An attribute's text has at most 1024 characters.")
    return normalize_id(_text(given))


def _with_distinct_keys(given: Any, read: ValidatorFunctionWrapHandler) -> Any:
    kept = read(given)
    if len(kept) < len(given):
        raise PydanticCustomError("duplicate_key", "Two keys are the same in Unicode's NFC.")
    return kept


def _plain(given: Any) -> Any:
    if isinstance(given, str):
        return _text(given)
    if isinstance(given, dict):
        return {_text(key): _plain(value) for key, value in given.items()}
    if isinstance(given, list):
        return [_plain(value) for value in given]
    return given if given is None or isinstance(given, bool) else _number(given)


def _extra(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise PydanticCustomError("dict_type", "`extra` is an object.")
    kept = _plain(given)
    if len(to_json(kept)) > 16_384:
        raise PydanticCustomError("too_long", "`extra` takes at most 16 KiB.")
    return dict(kept)


Text = Annotated[str, Field(max_length=10_000), AfterValidator(_text)]
Tags = Annotated[list[Id], Field(max_length=20)]
Time = Annotated[
    datetime, PlainValidator(_time, json_schema_input_type=str), Field(json_schema_extra={"format": "date-time"})
]
Moment = Annotated[
    str, PlainValidator(_moment, json_schema_input_type=str), Field(json_schema_extra={"format": "date-time"})
]
Money = Annotated[str, PlainValidator(_money, json_schema_input_type=str | float)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 4217; default: the base currency.")]
Attributes = Annotated[
    dict[Id, Annotated[Any, BeforeValidator(_attribute, json_schema_input_type=str | float | bool | None)]],
    Field(max_length=100),
    WrapValidator(_with_distinct_keys),
]
Extra = Annotated[
    dict[str, Any],
    PlainValidator(_extra, json_schema_input_type=dict[str, Any]),
    Field(description="Whatever else you want kept with the event; at most 16 KiB."),
]
