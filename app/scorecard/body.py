"""The body of a target, as clients send it: each field is validated on its own, so that all faults are found at once."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError
from pydantic_core import PydanticCustomError

from app.core.errors import Invalid, validation_faults
from app.core.ids import Id
from app.core.names import Fault, field_finder
from app.core.periods import Day
from app.metrics.parameters import Granularity

MAX_DATED_VALUES = 100
_DIGITS = 15
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?", re.ASCII)


def _parse_number(raw: Any) -> Decimal:
    """Return a number that is written as one or as a text: exact, and with no more decimals than answers have."""
    if isinstance(raw, bool) or not isinstance(raw, str | int | float | Decimal):
        raise PydanticCustomError("target_number", 'A value must be a number, or a decimal string such as "1250.50".')
    text = raw if isinstance(raw, str) else _in_full(Decimal(str(raw)))
    if not _NUMBER.fullmatch(text):
        detail = "A value must be a decimal number below 10^15, with at most 6 decimal places."
        raise PydanticCustomError("target_number", detail)
    return Decimal(text).normalize()


def _in_full(number: Decimal) -> str:
    """Return a number without an exponent, with which JSON may write it; an empty text for one with too many digits."""
    if number.is_finite() and not number:
        return "0"
    return f"{number:f}" if number.is_finite() and -_DIGITS < number.adjusted() < _DIGITS else ""


Number = Annotated[Decimal, PlainValidator(_parse_number, json_schema_input_type=float | str)]


class DatedValue(BaseModel):
    """A part of a path: the target of the periods that end on this day or before."""

    model_config = ConfigDict(extra="forbid", strict=True)

    until: Day = Field(description="The day after the last one on which it is the target.")
    value: Number


class _TargetFields(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    metric: Id | None = Field(None, description="The metric, as in `GET /v1/metrics`.")
    convention: Id | None = Field(None, description="Its convention. Default: that of the metric.")
    segment: Id | None = Field(None, description="Only the accounts of this stored segment.")
    filter: str | None = Field(
        None, max_length=4_000, description="Only the accounts whose attributes satisfy this condition."
    )
    subject: Id | None = Field(None, description="Only this subject: a survey, a feature, a plan …")
    channel: Id | None = Field(None, description="Only this channel.")
    granularity: Granularity | None = Field(
        None, description="The unit whose periods have the target. `total`: one period, from `from` until `until`."
    )
    value: Number | None = Field(
        None,
        description="The target: the value that a period is to reach. Of money, in the base currency, best as a text such as "
        '"1250.50".',
    )
    direction: Literal["up", "down"] | None = Field(
        None, description="Whether higher or lower values are better; only for metrics that do not say so themselves."
    )
    baseline: Number | None = Field(
        None,
        description="The value that counts as 0% of the target. Default: 0 or, where lower values are better, twice the target.",
    )
    since: Day | None = Field(
        None, alias="from", description="The first day on which it holds. Default: the first day of the current period."
    )
    until: Day | None = Field(None, description="The day after the last one on which it holds. Default: it has no end.")


class _WordFields(_TargetFields):
    path: Literal["step", "linear"] | None = None


class _ListFields(_TargetFields):
    path: list[DatedValue] = Field(min_length=1, max_length=MAX_DATED_VALUES)


class TargetBody(_TargetFields):
    """A target: the value that a metric is to reach in each period."""

    model_config = ConfigDict(json_schema_extra={"required": ["metric", "granularity", "value"]})

    path: (
        Literal["step", "linear"] | Annotated[list[DatedValue], Field(min_length=1, max_length=MAX_DATED_VALUES)] | None
    ) = Field(
        None,
        description="How the target of a period depends on its end: `step` (the default) is `value` in every period, `linear` "
        "goes from `baseline` at `from` to `value` at `until`. A list has the targets before `value`, each until a day.",
    )


_find_fields = field_finder(TargetBody.model_json_schema())


def parse_target_fields(raw: Any) -> tuple[TargetBody, list[Fault]]:
    """Return the valid fields of a body, and the faults of the others. Raises Invalid for a body that is no object."""
    model = _ListFields if isinstance(raw, dict) and isinstance(raw.get("path"), list) else _WordFields
    try:
        return _as_body(model.model_validate(raw, strict=True)), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
    if not isinstance(raw, dict):
        raise Invalid.of(validation_faults(errors), subject="The body", code="invalid")
    invalid = {location[0] for location in (own["loc"] for own in errors) if location}
    valid_fields = {name: value for name, value in raw.items() if name not in invalid}
    model = _WordFields if "path" in invalid else model
    return _as_body(model.model_validate(valid_fields, strict=True)), validation_faults(errors, fields=_fields_at)


def _as_body(fields: _TargetFields) -> TargetBody:
    # By the names of the fields, without validating them again.
    return TargetBody.model_construct(_fields_set=set(fields.model_fields_set), **dict(fields))


def _fields_at(location: Sequence[str | int]) -> list[str]:
    return ["until", "value"] if location[:1] == ("path",) else _find_fields(location)


def fields_in(faults: Sequence[Fault]) -> set[str]:
    """Return the names of the top-level fields that have a fault."""
    return {fault["pointer"].split("/")[1] for fault in faults if fault["pointer"]}
