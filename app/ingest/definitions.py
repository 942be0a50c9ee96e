"""Request bodies that define how events are read: surveys and exchange rates."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator

from app.core.periods import Day
from app.ingest.fields import Text
from app.ledger import surveys
from app.ledger.surveys import Survey


class Scale(BaseModel):
    """Whole numbers, both ends included."""

    model_config = ConfigDict(extra="forbid", strict=True)

    min: int = Field(ge=0, le=100)
    max: int = Field(ge=1, le=100)


class SurveyBody(BaseModel):
    """How the scores of a survey are read."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["nps", "csat", "ces"]
    scale: Scale
    satisfied_from: int | None = Field(None, description="csat: the lowest score that means satisfied.")
    easy_is: Literal["low", "high"] | None = Field(None, description="ces, needed: which end of the scale is easy.")
    question: Text | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> "SurveyBody":
        low, high = self.scale.min, self.scale.max
        if low >= high:
            raise ValueError("scale.min is below scale.max")
        if self.kind == "nps" and (low, high) not in ((0, 10), (1, 10)):
            raise ValueError("an NPS survey is on 0-10 or 1-10")
        if (self.kind == "ces") != (self.easy_is is not None):
            raise ValueError("a ces survey, and no other, says with easy_is which end is easy")
        if self.satisfied_from is not None and (self.kind != "csat" or not low < self.satisfied_from <= high):
            raise ValueError("satisfied_from is csat's and within the scale, above its lowest score")
        return self


def survey_of(id: str, body: SurveyBody) -> Survey:
    """The survey that a body declares."""
    low, high = body.scale.min, body.scale.max
    satisfied = body.satisfied_from
    if body.kind == "csat" and satisfied is None:
        satisfied = surveys.default_satisfied_from(low, high)
    return Survey(id, body.kind, low, high, satisfied, body.easy_is, body.question, answered=False)


def _rate(given: Any) -> Decimal:
    if isinstance(given, str | int | float | Decimal) and not isinstance(given, bool):
        spelled = str(given)
        if len(spelled) <= 20 and spelled.replace(".", "", 1).isascii() and spelled.replace(".", "", 1).isdigit():
            rate = Decimal(spelled)
            if Decimal("0.00000001") <= rate <= 1_000_000_000:
                return rate
    raise ValueError('a rate is a decimal string such as "1.0832", above zero, at most a billion')


class RatesBody(BaseModel):
    """What one unit of a currency is worth in the base currency, from each day on."""

    model_config = ConfigDict(extra="forbid")

    currency: str = Field(pattern="^[A-Z]{3}$")
    rates: dict[Day, Annotated[Decimal, PlainValidator(_rate, json_schema_input_type=str)]] = Field(
        min_length=1, max_length=10_000
    )
