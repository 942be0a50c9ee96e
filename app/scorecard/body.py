"""The body of a target, as clients send it: each field is validated on its own, so that all faults are found at once."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.core.names import Fault, field_finder
from app.core.periods import Day
from app.metrics.number_body import Number, SourceFields, parse_valid_fields
from app.metrics.parameters import Granularity

MAX_DATED_VALUES = 100


class DatedValue(BaseModel):
    """A part of a path: the target of the periods that end on this day or before."""

    model_config = ConfigDict(extra="forbid", strict=True)

    until: Day = Field(description="The day after the last one on which it is the target.")
    value: Number


class _TargetFields(SourceFields):
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
    fields, faults = parse_valid_fields(raw, choose_model=_choose_model, find_fields=_fields_at)
    return _as_body(fields), faults


def _choose_model(raw: Any) -> type[_TargetFields]:
    return _ListFields if isinstance(raw, dict) and isinstance(raw.get("path"), list) else _WordFields


def _as_body(fields: _TargetFields) -> TargetBody:
    # By the names of the fields, without validating them again.
    return TargetBody.model_construct(_fields_set=set(fields.model_fields_set), **dict(fields))


def _fields_at(location: Sequence[str | int]) -> list[str]:
    return ["until", "value"] if location[:1] == ("path",) else _find_fields(location)
