"""The fields of a body that say what a number is about, and the numbers in it, as clients send them."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError
from pydantic_core import PydanticCustomError

from app.core.errors import Invalid, validation_faults
from app.core.ids import Id
from app.core.names import Fault

Body = TypeVar("Body", bound=BaseModel)

_DIGITS = 15
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?", re.ASCII)


def _parse_number(raw: Any) -> Decimal:
    """Return a number that is written as one or as a text: exact, and with no more decimals than answers have."""
    if isinstance(raw, bool) or not isinstance(raw, str | int | float | Decimal):
        raise PydanticCustomError("invalid_number", 'A value must be a number, or a decimal string such as "1250.50".')
    text = raw if isinstance(raw, str) else _in_full(Decimal(str(raw)))
    if not _NUMBER.fullmatch(text):
        detail = "A value must be a decimal number below 10^15, with at most 6 decimal places."
        raise PydanticCustomError("invalid_number", detail)
    return Decimal(text).normalize()


def _in_full(number: Decimal) -> str:
    """Return a number without an exponent, with which JSON may write it; an empty text for one with too many digits."""
    if number.is_finite() and not number:
        return "0"
    return f"{number:f}" if number.is_finite() and -_DIGITS < number.adjusted() < _DIGITS else ""


Number = Annotated[Decimal, PlainValidator(_parse_number, json_schema_input_type=float | str)]


class SourceFields(BaseModel):
    """The fields of a body that say which metric, and in which group of accounts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    metric: Id | None = Field(None, description="The metric, as in `GET /v1/metrics`.")
    convention: Id | None = Field(None, description="Its convention. Default: that of the metric.")
    segment: Id | None = Field(None, description="Only the accounts of this stored segment.")
    filter: str | None = Field(
        None, max_length=4_000, description="Only the accounts whose attributes satisfy this condition."
    )
    subject: Id | None = Field(None, description="Only this subject: a survey, a feature, a plan …")
    channel: Id | None = Field(None, description="Only this channel.")


def parse_valid_fields(
    raw: Any, *, choose_model: Callable[[Any], type[Body]], find_fields: Callable[[Sequence[str | int]], Sequence[str]]
) -> tuple[Body, list[Fault]]:
    """Return the valid fields of a body, and the faults of the others. Raises Invalid for a body that is no object.

    choose_model: returns the model by which a body is read. find_fields: returns the names of the fields at a location.
    """
    try:
        return choose_model(raw).model_validate(raw, strict=True), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
    if not isinstance(raw, dict):
        raise Invalid.of(validation_faults(errors), subject="The body", code="invalid")
    invalid = {location[0] for location in (own["loc"] for own in errors) if location}
    valid_fields = {name: value for name, value in raw.items() if name not in invalid}
    fields = choose_model(valid_fields).model_validate(valid_fields, strict=True)
    return fields, validation_faults(errors, fields=find_fields)


def format_number(number: Decimal) -> str:
    """Return a number in full, without an exponent."""
    return f"{number:f}"
