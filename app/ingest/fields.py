"""The types of the fields of events: what is valid, and the form in which it is stored.

Nothing is coerced: a number is a number, a time has an offset, money is a decimal string (or a number). Only 4.0 is the whole
number 4: JSON does not tell them apart, and many programs write every number with a decimal point.
"""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError, to_json

from app.core.ids import Id, check_text, normalize_id
from app.core.periods import FIRST_DAY, LAST_END, Day

__all__ = [
    "WHOLE",
    "Attributes",
    "Currency",
    "Day",
    "DayText",
    "EndMoment",
    "Extra",
    "Id",
    "LastDay",
    "Moment",
    "Money",
    "Tags",
    "Text",
    "Time",
]

MAX_MONEY = 10**11
_MAX_NUMBER = 1e15
_MAX_ATTRIBUTE_LENGTH = 1024
_MAX_EXTRA_BYTES = 16_384
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d"
_TIME = re.compile(rf"\d{{4}}-\d\d-\d\dT{_CLOCK}:[0-5]\d(\.\d{{1,9}})?(Z|[+-]{_CLOCK})", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MONEY = re.compile(r"\d{1,15}(\.\d{1,4})?", re.ASCII)


def _parse_time(raw: Any) -> datetime:
    if not isinstance(raw, str):
        raise PydanticCustomError("time", "A time must be a string such as 2026-03-14T09:30:00Z.")
    text = raw.upper()
    if not _TIME.fullmatch(text):
        raise PydanticCustomError("time", "A time must be RFC 3339 with an offset, such as 2026-03-14T09:30:00Z.")
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise PydanticCustomError("time", "This time does not exist.") from None
    # In these years a datetime can hold the time whatever its offset is. It is converted to UTC because PostgreSQL does not
    # accept offsets of 16 hours and more.
    if not 1000 <= time.year <= 9998:
        raise PydanticCustomError("time", "The time must be within the years 1970 to 9998.")
    return time.astimezone(UTC)


def _normalize_time(raw: Any) -> str:
    if (time := _parse_time(raw)).date() < FIRST_DAY:
        raise PydanticCustomError("too_old", "The time must not be before 1970-01-01T00:00:00Z.")
    return time.isoformat()


def _normalize_end(raw: Any) -> str:
    if isinstance(raw, str) and _DATE.fullmatch(raw):
        detail = (
            'The first moment that is not paid for is a time. The last paid day, a date, belongs in "paid_through".'
        )
        raise PydanticCustomError("last_day", detail)
    return _parse_time(raw).isoformat()


def _normalize_last_day(raw: Any) -> str:
    if not isinstance(raw, str) or not _DATE.fullmatch(raw):
        detail = 'The last day that is paid for is a date, such as 2026-03-31. For an instant, send "ends_at".'
        raise PydanticCustomError("date", detail)
    try:
        day = date.fromisoformat(raw)
    except ValueError:
        raise PydanticCustomError("date", "This day does not exist.") from None
    if not FIRST_DAY <= day < LAST_END:
        detail = "The date must be within the years 1970 to 9998. What has no end is not canceled."
        raise PydanticCustomError("date", detail)
    return raw


def _normalize_money(raw: Any) -> str:
    """Return an amount in its shortest spelling, so that `12.50` and `12.5` are the same content."""
    if isinstance(raw, bool) or not isinstance(raw, str | int | float | Decimal):
        raise PydanticCustomError("money", 'An amount must be a decimal string such as "1250.50".')
    text = raw if isinstance(raw, str) else _format_number(raw)
    if not _MONEY.fullmatch(text):
        if text.startswith("-") and _MONEY.fullmatch(text[1:]):
            detail = (
                "An amount must not be negative. Money that is given back is an event of its own: purchase.refunded."
            )
            raise PydanticCustomError("money", detail)
        detail = (
            'An amount must be a decimal number such as "1250.50": not negative, with at most 4 decimal places, without '
            "thousands separators and currency signs."
        )
        raise PydanticCustomError("money", detail)
    if (amount := Decimal(text)) >= MAX_MONEY:
        raise PydanticCustomError("money_too_large", "An amount must be below 100 billion.")
    return format(amount.normalize(), "f")


def _format_number(number: int | float | Decimal) -> str:
    """Return a number without exponent; empty where it has too many digits to be an amount."""
    decimal = Decimal(repr(number) if isinstance(number, float) else number)
    # Written out, a number such as 1e999999999 would fill the memory.
    return format(decimal, "f") if decimal.is_finite() and -20 < decimal.adjusted() < 20 else ""


def _normalize_whole(raw: Any) -> Any:
    """Return a number without decimals, however it is written, as an integer, and anything else as it is."""
    if isinstance(raw, float | Decimal):
        number = Decimal(raw)
        # Written out, a number such as 1e999999999 would fill the memory.
        if number.is_finite() and number.adjusted() < 20 and number == number.to_integral_value():
            return int(number)
    return raw


def _normalize_number(raw: Any) -> int | float:
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal):
        raise PydanticCustomError("number", "The value must be a text, a number, true, false or null.")
    number = raw if isinstance(raw, int) else float(raw)
    if not abs(number) < _MAX_NUMBER:
        raise PydanticCustomError("number_too_large", "A number must be below 10^15.")
    return int(number) if number == int(number) else number


def _normalize_attribute(raw: Any) -> str | int | float | bool | None:
    if raw is None or isinstance(raw, bool):
        return raw
    if not isinstance(raw, str):
        return _normalize_number(raw)
    if len(raw) > _MAX_ATTRIBUTE_LENGTH:
        detail = f"The text of an attribute may have at most {_MAX_ATTRIBUTE_LENGTH} characters."
        raise PydanticCustomError("string_too_long", detail)
    return normalize_id(check_text(raw))


def _check_distinct_keys(raw: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    attributes = validate(raw)
    if len(attributes) < len(raw):
        raise PydanticCustomError("duplicate_key", "Two keys are the same after Unicode normalization (NFC).")
    return attributes


def _normalize_json(raw: Any) -> Any:
    if isinstance(raw, str):
        return check_text(raw)
    if isinstance(raw, dict):
        return {check_text(key): _normalize_json(value) for key, value in raw.items()}
    if isinstance(raw, list):
        return [_normalize_json(value) for value in raw]
    return raw if raw is None or isinstance(raw, bool) else _normalize_number(raw)


def _normalize_extra(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise PydanticCustomError("dict_type", '"extra" must be an object.')
    extra = _normalize_json(raw)
    if len(to_json(extra)) > _MAX_EXTRA_BYTES:
        raise PydanticCustomError("too_long", f'"extra" may have at most {_MAX_EXTRA_BYTES // 1024} KiB.')
    return dict(extra)


Text = Annotated[str, Field(max_length=10_000), AfterValidator(check_text)]
Tags = Annotated[list[Id], Field(max_length=20)]
# A time as a datetime in UTC, and as its text in event data.
Time = Annotated[
    datetime, PlainValidator(_parse_time, json_schema_input_type=str), Field(json_schema_extra={"format": "date-time"})
]
Moment = Annotated[
    str, PlainValidator(_normalize_time, json_schema_input_type=str), Field(json_schema_extra={"format": "date-time"})
]
# The first moment that is not paid for, and the last day that is paid for.
EndMoment = Annotated[
    str, PlainValidator(_normalize_end, json_schema_input_type=str), Field(json_schema_extra={"format": "date-time"})
]
LastDay = Annotated[
    str, PlainValidator(_normalize_last_day, json_schema_input_type=str), Field(json_schema_extra={"format": "date"})
]
# A day within the data of an event, which is stored as text.
DayText = Annotated[Day, AfterValidator(str)]
Money = Annotated[str, PlainValidator(_normalize_money, json_schema_input_type=str | float)]
# Marks a field of a whole number, after its limits: `Annotated[int, Field(ge=1), WHOLE]`.
WHOLE = BeforeValidator(_normalize_whole)
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 4217; default: the base currency.")]
Attributes = Annotated[
    dict[Id, Annotated[Any, BeforeValidator(_normalize_attribute, json_schema_input_type=str | float | bool | None)]],
    Field(max_length=100),
    WrapValidator(_check_distinct_keys),
]
Extra = Annotated[
    dict[str, Any],
    PlainValidator(_normalize_extra, json_schema_input_type=dict[str, Any]),
    Field(description="Any other information to store with the event, at most 16 KiB."),
]
