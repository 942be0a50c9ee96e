"""The body of an alert, as clients send it: each field is validated on its own, so that all faults are found at once."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from app.core.names import Fault, field_finder
from app.metrics.number_body import Number, SourceFields, parse_valid_fields

MAX_FOR_PERIODS = 12

_Unit = Annotated[
    Literal["day", "week", "month", "quarter", "year"],
    Field(description="The unit whose periods are evaluated. Quarters and years are fiscal."),
]


class AlertBody(SourceFields):
    """An alert: a number, and the threshold that it must not cross: one of `above`, `below` and `change_percent`."""

    model_config = ConfigDict(json_schema_extra={"required": ["metric", "granularity"]})

    each_account: bool = Field(False, description="Whether the number of each account is evaluated, each by itself.")
    granularity: _Unit | None = None
    above: Number | None = Field(None, description="It triggers when the number is above this.")
    below: Number | None = Field(None, description="It triggers when the number is below this.")
    change_percent: Number | None = Field(
        None,
        description="It triggers when the number is at least so many percent above that of the period before; with a minus "
        "sign, below it.",
    )
    margin: Number | None = Field(
        None,
        description="How far the number must be on the other side of the threshold before it resolves. Default: 2% of the "
        "range of the metric or, where that has no end, 10% of the threshold.",
    )
    min_sample: int = Field(0, ge=0, le=1_000_000, description="Numbers with a smaller sample are ignored.")
    for_periods: int = Field(
        1, ge=1, le=MAX_FOR_PERIODS, description="How many periods in a row the number must be beyond the threshold."
    )


_find_fields = field_finder(AlertBody.model_json_schema())


def parse_alert_fields(raw: Any) -> tuple[AlertBody, list[Fault]]:
    """Return the valid fields of a body, and the faults of the others. Raises Invalid for a body that is no object."""
    return parse_valid_fields(raw, choose_model=lambda _: AlertBody, find_fields=_find_fields)
