"""The request bodies of PUT: accounts, surveys and exchange rates."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator

from app.core.ids import Id
from app.core.periods import Day
from app.ingest.fields import WHOLE, Attributes, Text, Time
from app.ledger.surveys import MAX_SCORE, NPS_SCALES, Survey, default_satisfied_from


class AccountBody(BaseModel):
    """What is true of an account from `effective_at` (default: now) on; null ends an attribute.

    It counts from the first day that begins at that time or later. The first value of an attribute also holds before that.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Id | None = None
    attributes: Attributes = Field(default_factory=dict)
    effective_at: Time | None = None

    def to_event_data(self) -> dict[str, Any]:
        """Return the data of the `account.updated` event."""
        data: dict[str, Any] = {"attributes": self.attributes} if self.attributes else {}
        return data | ({"name": self.name} if self.name is not None else {})


class Scale(BaseModel):
    """The lowest and the highest score, whole numbers."""

    model_config = ConfigDict(extra="forbid", strict=True)

    min: Annotated[int, Field(ge=0, le=MAX_SCORE), WHOLE]
    max: Annotated[int, Field(ge=1, le=MAX_SCORE), WHOLE]


class SurveyBody(BaseModel):
    """How the scores of a survey are read."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["nps", "csat", "ces"]
    scale: Scale
    satisfied_from: Annotated[int, WHOLE] | None = Field(
        None, description="csat only: the lowest score that means satisfied."
    )
    easy_is: Literal["low", "high"] | None = Field(
        None, description="ces only, and required there: which end of the scale means easy."
    )
    question: Text | None = None

    @model_validator(mode="after")
    def _check_consistency(self) -> "SurveyBody":
        low, high = self.scale.min, self.scale.max
        if low >= high:
            raise ValueError('"scale.min" must be less than "scale.max".')
        if self.kind == "nps" and (low, high) not in NPS_SCALES:
            raise ValueError("The scale of an nps survey must be 0 to 10 or 1 to 10.")
        if (self.kind == "ces") != (self.easy_is is not None):
            raise ValueError('"easy_is" is required for a ces survey and not allowed for others.')
        if self.satisfied_from is not None and (self.kind != "csat" or not low < self.satisfied_from <= high):
            raise ValueError(
                '"satisfied_from" is allowed for a csat survey only, above the lowest score of its scale and within it.'
            )
        return self


def to_survey(id: str, body: SurveyBody) -> Survey:
    """Return the survey that a body declares, without responses yet."""
    low, high = body.scale.min, body.scale.max
    satisfied_from = body.satisfied_from
    if body.kind == "csat" and satisfied_from is None:
        satisfied_from = default_satisfied_from(low, high)
    return Survey(id, body.kind, low, high, satisfied_from, body.easy_is, body.question, answered=False)


def _parse_rate(raw: Any) -> Decimal:
    if isinstance(raw, str | int | float | Decimal) and not isinstance(raw, bool):
        text = str(raw)
        digits = text.replace(".", "", 1)
        if len(text) <= 20 and digits.isascii() and digits.isdigit():
            rate = Decimal(text)
            if Decimal("0.00000001") <= rate <= 1_000_000_000:
                return rate
    raise ValueError('A rate must be a decimal string such as "1.0832", above zero and at most a billion.')


class RatesBody(BaseModel):
    """What one unit of a currency is worth in the base currency, from each day on."""

    model_config = ConfigDict(extra="forbid")

    currency: str = Field(pattern="^[A-Z]{3}$")
    rates: dict[Day, Annotated[Decimal, PlainValidator(_parse_rate, json_schema_input_type=str)]] = Field(
        min_length=1, max_length=10_000
    )
